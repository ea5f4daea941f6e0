"""G15: guesses come to nothing and lock nobody out; a name that exists looks like one that does not."""

import itertools
import random
import re
import threading

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.accounts import forms, guesses, views
from core.jobs.models import Job
from tests.factories import OrganisationFactory, person

from .size import count, say

GUESSES = count(120, 10_000)
MOST = 20  # guesses that are looked at, an account and hour
PASSWORD = "seven lean herons at dusk"
SIGN_IN, RESET = "/accounts/sign-in/", "/accounts/reset/"
pytestmark = pytest.mark.django_db


class CountingHasher(MD5PasswordHasher):
    """Counts how often a password is hashed: once for every guess that is looked at."""

    hashed = 0

    def encode(self, password, salt):
        CountingHasher.hashed += 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def hasher(settings):
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    CountingHasher.hashed = 0
    return CountingHasher


@pytest.fixture
def owner():
    user = person("entry", OrganisationFactory(), email="owner@example.org")
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(client: Client, name: str, password: str = PASSWORD, network: str = "203.0.113.7"):
    return client.post(SIGN_IN, {"username": name, "password": password}, REMOTE_ADDR=network)


def is_signed_in(client: Client) -> bool:
    return client.get("/accounts/").status_code == 200


def networks(seed: int = 15):
    """Addresses of many networks, as a net of hired machines has them."""
    chance = random.Random(seed)
    while True:
        yield ".".join(str(chance.randrange(1, 224)) for _ in range(4))


def looked_at(names: list[str], n: int) -> int:
    """How many of `n` guesses, under each of an account's names in turn, are looked at."""
    before = CountingHasher.hashed
    strangers = networks()
    for number, name in zip(range(n), itertools.cycle(names), strict=False):
        sign_in(Client(), name, f"guess {number}", next(strangers))
    return CountingHasher.hashed - before


def test_few_guesses_are_looked_at_and_the_owner_still_comes_in(owner):
    home = Client()
    sign_in(home, owner.username)
    home.post(reverse("accounts:sign-out"))

    seen = looked_at([owner.username, owner.email, owner.email.upper()], GUESSES)

    say(f"{seen} of {GUESSES} guesses from as many networks were looked at; at most {MOST} are an hour.")
    assert 0 < seen <= MOST
    stranger = Client()
    sign_in(stranger, owner.username, network="198.51.100.9")
    assert not is_signed_in(stranger), "The account is still open to guesses."
    sign_in(home, owner.username, network="198.51.100.9")
    assert is_signed_in(home), "The owner was locked out on a known device."


def test_an_owner_without_a_known_device_comes_in_by_mail(owner):
    from django.core import mail

    from core.jobs import ledger

    looked_at([owner.username], 50)
    strange, new = Client(), "eleven dry rivers and a bridge"
    strange.post(RESET, {"name": owner.username})
    for job in Job.objects.filter(state="queued"):
        ledger.run(job.pk, heartbeat=False)
    strange.post(
        re.search(r"(/accounts/reset/\S+)", mail.outbox[0].body)[1], {"new_password1": new, "new_password2": new}
    )

    sign_in(strange, owner.username, new, "198.51.100.9")

    assert is_signed_in(strange)


def test_a_known_device_is_known_for_its_own_account_only(owner):
    other = person("entry", OrganisationFactory())
    other.set_password(PASSWORD)
    other.save()
    client = Client()
    sign_in(client, other.username)
    client.post(reverse("accounts:sign-out"))

    before = CountingHasher.hashed
    for number in range(60):
        sign_in(client, owner.username, f"guess {number}")

    assert CountingHasher.hashed - before <= guesses.LIMITS["pair"][0] + 1


def test_one_network_does_not_use_up_an_account(owner):
    """A rival in one place guesses all day; the owner elsewhere is not kept out."""
    for number in range(60):
        sign_in(Client(), owner.username, f"guess {number}", "192.0.2.1")
    elsewhere = Client()

    sign_in(elsewhere, owner.username, network="198.51.100.9")

    assert is_signed_in(elsewhere)


def test_one_network_guesses_few_passwords_of_many_accounts():
    before = CountingHasher.hashed
    for number in range(120):
        sign_in(Client(), f"somebody-{number}", "winter2026", f"192.0.2.{number}")

    assert CountingHasher.hashed - before <= sum(guesses.LIMITS["network"])


def test_without_the_limit_guesses_would_be_looked_at(owner, monkeypatch):
    """The mutation: with the limit taken away the gate's own count must exceed what it allows."""
    monkeypatch.setattr(guesses, "may_guess", lambda *args, **kwargs: True)

    assert looked_at([owner.username], MOST + 5) > MOST


def test_a_limit_by_account_alone_would_lock_the_owner_out(owner, monkeypatch):
    """The mutation: where no device is known, the owner is kept out, and the gate's question notices."""
    home = Client()
    sign_in(home, owner.username)
    home.post(reverse("accounts:sign-out"))
    monkeypatch.setattr(forms.devices, "is_known", lambda request, user: False)
    looked_at([owner.username], 50)

    sign_in(home, owner.username, network="198.51.100.9")

    assert not is_signed_in(home)


# --- Known and unknown ----------------------------------------------------------------------------


NETWORKS = networks(seed=7)
OWN_HEADERS = ("Content-Length", "X-Request-ID", "Expires")  # the name's length, the request's number, its second


def told(path: str, field: str, name: str, times: int = 1) -> dict:
    """All that a stranger learns from asking with a name: answer, work done, messages queued."""
    # Each from a network of its own, so that neither finds the other's counters.
    client = Client(REMOTE_ADDR=next(NETWORKS))
    for _ in range(times - 1):
        client.post(path, {field: name, "password": "wrong"})
    jobs, hashed = Job.objects.count(), CountingHasher.hashed
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = client.post(path, {field: name, "password": "wrong"})
    body = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())
    return {
        "status": answer.status_code,
        "body": body.replace(name, "NAME"),
        "headers": sorted((key, value) for key, value in answer.items() if key not in OWN_HEADERS),
        "cookies": sorted(set(answer.cookies) - {"csrftoken"}),
        "queries": len(queries),
        "hashed": CountingHasher.hashed - hashed,
        "jobs": Job.objects.count() - jobs,
    }


def differences(path: str, field: str, known: str, unknown: str, times: int = 1) -> list[str]:
    first, second = told(path, field, known, times), told(path, field, unknown, times)
    return [key for key in first if first[key] != second[key]]


UNKNOWN = ("nobody-at-all", "nobody@example.org")


@pytest.mark.parametrize("times", [1, 3, 12])
@pytest.mark.parametrize(("path", "field"), [(SIGN_IN, "username"), (RESET, "name")])
@pytest.mark.parametrize("by", ["username", "email"])
def test_known_and_unknown_look_the_same(owner, path, field, by, times):
    assert differences(path, field, getattr(owner, by), UNKNOWN[by == "email"], times) == []


def test_somebody_who_left_or_never_had_a_password_looks_the_same(owner):
    left, without = person("entry", OrganisationFactory(), is_active=False), person("entry", OrganisationFactory())
    left.set_password(PASSWORD)
    left.save()
    without.set_unusable_password()
    without.save()

    for user in (left, without):
        nobody = f"not-{user.username}"
        assert differences(SIGN_IN, "username", user.username, nobody) == []
        assert differences(RESET, "name", user.username, nobody) == []
    assert sign_in(Client(), left.username).status_code == sign_in(Client(), UNKNOWN[0]).status_code == 200


def test_a_guess_is_hashed_for_an_unknown_name_too(owner):
    assert told(SIGN_IN, "username", UNKNOWN[0])["hashed"] == told(SIGN_IN, "username", owner.username)["hashed"] == 1


def test_a_door_that_hashes_for_known_names_only_would_be_noticed(owner, monkeypatch):
    """The mutation: no work for a name that does not exist."""
    real = forms.authenticate
    monkeypatch.setattr(
        forms,
        "authenticate",
        lambda request, username, password: (
            real(request, username=username, password=password) if forms.find(username) else None
        ),
    )

    assert "hashed" in differences(SIGN_IN, "username", owner.username, UNKNOWN[0])


def test_a_reset_that_looks_before_it_answers_would_be_noticed(owner, monkeypatch):
    """The mutation: a message is queued for known names only."""
    real = views.people.ask_reset
    monkeypatch.setattr(views.people, "ask_reset", lambda name: views.people.find(name) and real(name))

    assert {"queries", "jobs"} <= set(differences(RESET, "name", owner.username, UNKNOWN[0]))


@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_do_not_share_a_try():
    if connection.vendor == "sqlite":
        pytest.skip("one connection at a time writes in SQLite's memory; its transactions queue")
    burst, taken = guesses.LIMITS["pair"][0], []
    together = threading.Barrier(16)

    def guess():
        together.wait()
        taken.append(guesses.take("pair", "amina", "net"))
        connection.close()

    threads = [threading.Thread(target=guess) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(taken) == burst

"""Signing in: two steps, the password once more, sessions, a new password."""

import re
import time

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from core.accounts import guesses, second_factor, sessions
from core.accounts.models import Allowance, RecoveryCode, Reset, SecondFactor, User
from core.audit.models import Event
from core.jobs import ledger
from core.jobs.models import Job
from tests.factories import OrganisationFactory, person

PASSWORD = "seven lean herons at dusk"
SIGN_IN = "/accounts/sign-in/"
pytestmark = pytest.mark.django_db


def member(role: str, **fields) -> User:
    user = person(role, OrganisationFactory() if role in ("entry", "head", "staff", "supervisor") else None, **fields)
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(client: Client, name: str, password: str = PASSWORD, **extra):
    return client.post(SIGN_IN, {"username": name, "password": password}, **extra)


def is_signed_in(client: Client) -> bool:
    return client.get("/accounts/").status_code == 200


def with_second_factor(user, back: int = 2) -> bytes:
    """Give a person an authenticator whose last used code is some steps old."""
    secret = second_factor.new_secret()
    second_factor.set_up(user, secret, int(time.time()) // second_factor.STEP_SECONDS - back)
    return secret


def run_jobs() -> None:
    for job in Job.objects.filter(state="queued").order_by("pk"):
        ledger.run(job.pk, heartbeat=False)


def link_in_mail() -> str:
    return re.search(r"https?://[^/]+(/accounts/\S+)", mail.outbox[-1].body)[1]


# --- Coming in ------------------------------------------------------------------------------------


def test_the_second_factor_is_the_published_one():
    # RFC 6238, appendix B, SHA-1, the last six of eight digits.
    secret = b"12345678901234567890"

    assert [second_factor.code_at(secret, at) for at in (59, 1111111109, 20000000000)] == ["287082", "081804", "353130"]


@pytest.mark.parametrize("typed", ["username", "email"])
def test_who_needs_no_second_factor_comes_in_by_name_or_address(typed):
    user, client = member("entry", email="Amina@example.org"), Client()

    answer = sign_in(client, getattr(user, typed).lower())

    assert answer.status_code == 302 and is_signed_in(client)


def test_an_address_of_two_people_names_neither():
    member("entry", email="office@example.org"), member("entry", email="office@example.org")
    client = Client()

    assert sign_in(client, "office@example.org").status_code == 200
    assert not is_signed_in(client)


@pytest.mark.parametrize("role", ["head", "supervisor", "analyst", "auditor", "admin"])
def test_roles_that_decide_set_up_a_second_factor_before_they_come_in(role):
    user, client = member(role), Client()

    first = sign_in(client, user.username)

    assert first.url == reverse("accounts:second-factor") and not is_signed_in(client)
    page = client.get(first.url).content.decode()
    assert 'src="data:image/svg+xml' in page and "<script>" not in page
    secret = second_factor.base64.b32decode(re.search(r"<code>([A-Z2-7 ]+)</code>", page)[1].replace(" ", ""))
    done = client.post(first.url, {"code": second_factor.code_at(secret, time.time())})
    codes = re.findall(r"<code>([a-z2-7-]{19})</code>", done.content.decode())
    assert len(codes) == second_factor.CODES and is_signed_in(client)
    assert secret not in bytes(SecondFactor.objects.get().sealed)


def test_the_password_alone_replaces_no_second_factor():
    user, client = member("head"), Client()
    with_second_factor(user)
    sign_in(client, user.username)

    answer = client.get(reverse("accounts:second-factor"))

    assert answer.status_code == 302 and answer.url == reverse("accounts:code")


def test_a_code_works_once():
    user = member("head")
    secret = with_second_factor(user)
    code = second_factor.code_at(secret, time.time())
    first, second = Client(), Client()
    for client in (first, second):
        assert sign_in(client, user.username).url == reverse("accounts:code")
        client.post(reverse("accounts:code"), {"code": code})

    assert is_signed_in(first) and not is_signed_in(second)


def test_a_recovery_code_works_once_and_only_for_its_owner():
    user, other = member("head"), member("head")
    codes = second_factor.set_up(user, second_factor.new_secret(), 0)
    with_second_factor(other)

    assert not second_factor.check(other, codes[0])
    assert second_factor.check(user, codes[0].upper()) and not second_factor.check(user, codes[0])
    assert RecoveryCode.objects.filter(user=user, used_at=None).count() == second_factor.CODES - 1


def test_without_the_first_step_there_is_no_second():
    client = Client()

    for name in ("code", "second-factor"):
        assert client.get(reverse(f"accounts:{name}")).url == reverse("accounts:sign-in")


def test_the_second_step_waits_ten_minutes_and_ends_with_a_new_password(monkeypatch):
    user, client = member("head"), Client()
    with_second_factor(user)
    sign_in(client, user.username)
    assert client.get(reverse("accounts:code")).status_code == 200
    user.set_password(PASSWORD + "!")
    user.save()
    assert client.get(reverse("accounts:code")).status_code == 302
    sign_in(client, user.username, PASSWORD + "!")
    monkeypatch.setattr("core.accounts.views.time.time", lambda real=time.time: real() + 601)

    assert client.get(reverse("accounts:code")).status_code == 302


def test_codes_are_not_guessed_for_long():
    user, client = member("head"), Client()
    secret = with_second_factor(user)
    sign_in(client, user.username)
    for _ in range(guesses.LIMITS["pair"][0]):
        client.post(reverse("accounts:code"), {"code": "000000"})

    client.post(reverse("accounts:code"), {"code": second_factor.code_at(secret, time.time())})

    assert not is_signed_in(client)


def test_demonstration_accounts_come_in_with_their_password_and_keep_it(settings):
    user, client = member("head", username="demo-head"), Client()

    assert sign_in(client, "demo-head").url == reverse("workspace") and is_signed_in(client)
    client.post(
        reverse("accounts:password"), {"new_password1": "x9 quite new words", "new_password2": "x9 quite new words"}
    )
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    settings.DEMO = False
    assert second_factor.is_required(user)


def test_an_allowance_comes_back_with_time(monkeypatch):
    burst, per_hour = guesses.LIMITS["pair"]
    ahead = 0
    monkeypatch.setattr(guesses.time, "time", lambda real=time.time: real() + ahead)
    assert [guesses.take("pair", "amina", "net") for _ in range(burst + 2)] == [True] * burst + [False] * 2

    ahead = 3600 / per_hour + 1

    assert [guesses.take("pair", "amina", "net") for _ in range(2)] == [True, False]
    assert guesses.take("pair", "bilal", "net")
    ahead = 10 * 3600
    assert guesses.forget_old() == 2 and not Allowance.objects.exists()


def test_a_right_password_uses_nothing_up():
    user = member("entry")

    for _ in range(guesses.LIMITS["pair"][0] + 3):
        client = Client()
        sign_in(client, user.username)
        assert is_signed_in(client)


# --- Sessions -------------------------------------------------------------------------------------


def test_signing_out_clears_the_browser():
    client = Client()
    sign_in(client, member("entry").username)

    answer = client.post(reverse("accounts:sign-out"))

    assert answer["Clear-Site-Data"] == '"cache", "storage"' and "no-store" in answer["Cache-Control"]
    assert not is_signed_in(client)


def test_signing_out_everywhere_else_spares_this_session():
    user, here, there = member("entry"), Client(), Client()
    for client in (here, there):
        sign_in(client, user.username)

    here.post(reverse("accounts:end-sessions"))

    assert is_signed_in(here) and not is_signed_in(there)


def later(client: Client, seconds: int) -> None:
    session = client.session
    session["sure_at"] -= seconds
    session.save()


def test_acts_of_weight_ask_for_the_password_again_after_a_quarter_of_an_hour():
    client, page = Client(), reverse("accounts:password")
    user = member("entry")
    sign_in(client, user.username)
    assert client.get(page).status_code == 200
    later(client, sessions.RECENT + 5)
    new = "a wholly other set of words"
    asked = client.post(page, {"new_password1": new, "new_password2": new})
    user.refresh_from_db()
    assert (
        asked.status_code == 302 and asked.url.startswith(reverse("accounts:again")) and user.check_password(PASSWORD)
    )

    assert client.post(asked.url, {"password": "wrong", "next": page}).status_code == 200
    back = client.post(asked.url, {"password": PASSWORD, "next": page})

    assert back.url == page and client.get(page).status_code == 200


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_nobody_is_led_to_another_site(address):
    client = Client()
    user = member("entry")

    assert sign_in(client, user.username).url == reverse("workspace")
    answer = client.post(reverse("accounts:again"), {"password": PASSWORD, "next": address})
    assert answer.url == reverse("workspace")
    answer = Client().post(f"{SIGN_IN}?next={address}", {"username": user.username, "password": PASSWORD})
    assert answer.url == reverse("workspace")


# --- A new password -------------------------------------------------------------------------------


def test_a_link_by_mail_sets_a_new_password_once_and_ends_sessions():
    user, old, client = member("entry", email="amina@example.org"), Client(), Client()
    sign_in(old, user.username)
    client.post(reverse("accounts:reset"), {"name": "amina@example.org"}, HTTP_HOST="localhost")
    run_jobs()
    link, new = link_in_mail(), "eleven dry rivers and a bridge"
    token = link.rstrip("/").rpartition("/")[2]
    assert token not in str(list(Job.objects.values())) + str(list(Reset.objects.values()))
    page = client.get(link)
    assert page.status_code == 200 and page["Referrer-Policy"] == "strict-origin"

    done = client.post(link, {"new_password1": new, "new_password2": new})

    assert done.url == reverse("accounts:sign-in") and not is_signed_in(old) and not is_signed_in(client)
    assert client.get(link).status_code == 404
    sign_in(client, user.username, new)
    assert is_signed_in(client)
    assert Event.objects.filter(action="account.password_set", actor=user).count() == 1


def test_a_link_for_a_new_password_ends_after_an_hour():
    member("entry", email="amina@example.org")
    client = Client()
    client.post(reverse("accounts:reset"), {"name": "amina@example.org"})
    run_jobs()
    link = link_in_mail()
    Reset.objects.update(expires_at=Reset.objects.get().asked_at)

    assert client.get(link).status_code == 404


def test_a_weak_new_password_is_refused():
    member("entry", email="amina@example.org")
    client = Client()
    client.post(reverse("accounts:reset"), {"name": "amina@example.org"})
    run_jobs()

    answer = client.post(link_in_mail(), {"new_password1": "password1234", "new_password2": "password1234"})

    assert answer.status_code == 200 and b"too common" in answer.content


def test_nothing_is_sent_where_there_is_nobody_and_nothing_twice():
    member("entry", email="amina@example.org")
    member("entry", username="without-address")
    for name in ("nobody", "without-address", "amina@example.org", "amina@example.org"):
        Client().post(reverse("accounts:reset"), {"name": name})
    run_jobs()

    assert [one.to for one in mail.outbox] == [["amina@example.org"]]
    assert not Job.objects.exclude(state="done").exists()


def test_links_in_mails_name_this_site_whatever_the_request_said(settings):
    settings.ALLOWED_HOSTS = ["*"]
    member("entry", email="amina@example.org")
    Client().post(reverse("accounts:reset"), {"name": "amina@example.org"}, HTTP_HOST="evil.example")
    run_jobs()

    assert settings.SITE_URL in mail.outbox[0].body and "evil" not in mail.outbox[0].body


def test_passwords_are_kept_with_argon2():
    from django.contrib.auth.hashers import check_password, make_password

    from core.accounts.hashers import Argon2

    kept = make_password(PASSWORD, hasher=Argon2())

    assert kept.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    from django.test import override_settings

    with override_settings(PASSWORD_HASHERS=["core.accounts.hashers.Argon2"]):
        assert check_password(PASSWORD, kept) and not check_password("other", kept)


def test_every_page_of_accounts_opens():
    user, client = member("admin"), Client()
    client.force_login(user)

    for name in ("accounts:account", "accounts:password", "accounts:second-factor", "accounts:again", "accounts:reset"):
        assert client.get(reverse(name)).status_code == 200, name
    for name in ("people:list", "people:invite", "people:clients", "people:new-client"):
        assert client.get(reverse(name)).status_code == 200, name


# --- Controls taken away: the tests above must be able to fail ----------------------------------------


def test_without_the_second_factor_a_password_would_open_a_head(monkeypatch):
    user, client = member("head"), Client()
    monkeypatch.setattr(second_factor, "is_required", lambda user: False)

    sign_in(client, user.username)

    assert is_signed_in(client)


def test_without_the_note_of_the_last_step_a_code_would_work_twice():
    user = member("head")
    secret = with_second_factor(user)
    code = second_factor.code_at(secret, time.time())
    assert second_factor.check(user, code) and not second_factor.check(user, code)

    SecondFactor.objects.update(last_step=0)

    assert second_factor.check(user, code)


def test_without_the_question_an_old_session_would_change_the_password(monkeypatch):
    user, client, new = member("entry"), Client(), "a wholly other set of words"
    sign_in(client, user.username)
    later(client, sessions.RECENT + 5)
    monkeypatch.setattr(sessions, "is_sure", lambda request: True)

    client.post(reverse("accounts:password"), {"new_password1": new, "new_password2": new})

    user.refresh_from_db()
    assert user.check_password(new)


def test_without_the_epoch_other_sessions_would_go_on(monkeypatch):
    user, here, there = member("entry"), Client(), Client()
    for client in (here, there):
        sign_in(client, user.username)
    monkeypatch.setattr(sessions, "end_sessions", lambda user: None)

    here.post(reverse("accounts:end-sessions"))

    assert is_signed_in(there)

"""A key on a POST: done once, answered the same for a week, whoever repeats it and however often at once."""

import json
import threading
import urllib.error
import urllib.request
from datetime import timedelta

import pytest

from core.audit.models import Event
from facts.models import IdempotencyKey, Return
from facts.services import idempotency
from facts.vault.models import SealedText
from tests.servers import Server

from .test_returns import ADDRESS, UNIT, batch, body, client_user, entry, post  # noqa: F401  (fixtures)

EQUAL = 64


def test_the_same_key_and_body_get_the_first_answer_again_byte_for_byte(town, post):  # noqa: F811
    first = post(body(town), HTTP_IDEMPOTENCY_KEY="one")
    again = post(body(town), HTTP_IDEMPOTENCY_KEY="one")

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first
    for name in ("Location", "ETag", "Content-Type"):
        assert first[name] == again[name]
    assert Event.objects.filter(action="return.import").count() == 1


def test_equal_content_is_the_same_request_however_it_is_laid_out(town, api, client_user):  # noqa: F811
    client, posted = api(client_user), body(town)
    texts = [json.dumps(posted), json.dumps(dict(reversed(posted.items())), indent=2)]

    answers = [
        client.post(ADDRESS, text, content_type="application/json", HTTP_IDEMPOTENCY_KEY="one") for text in texts
    ]

    assert answers[0].content == answers[1].content
    assert answers[1]["Idempotency-Replayed"] == "true"


def test_another_body_under_the_key_is_refused(town, post):  # noqa: F811
    post(body(town), HTTP_IDEMPOTENCY_KEY="one")
    other = post(body(town, answers={"UC01": 1}), HTTP_IDEMPOTENCY_KEY="one")

    assert other.status_code == 422
    assert other["Content-Type"] == "application/problem+json"
    assert other.json()["errors"][0]["code"] == "idempotency-key"
    assert Return.objects.get().revision == 1


def test_a_refusal_is_an_answer_too(town, post):  # noqa: F811
    bad = body(town, answers={"UB01": "many"})
    first = post(bad, HTTP_IDEMPOTENCY_KEY="one")
    again = post(bad, HTTP_IDEMPOTENCY_KEY="one")

    assert (first.status_code, again.status_code) == (400, 400)
    assert first.content == again.content and again["Idempotency-Replayed"] == "true"
    assert again["Content-Type"] == "application/problem+json"


def test_not_now_is_no_answer_so_the_key_stays_free(town, post):  # noqa: F811
    town.round.state = "planned"
    town.round.save()
    assert post(body(town), HTTP_IDEMPOTENCY_KEY="one").status_code == 409
    assert not IdempotencyKey.objects.exists()

    town.round.state = "open"
    town.round.save()
    assert post(body(town), HTTP_IDEMPOTENCY_KEY="one").status_code == 201


def test_a_fault_in_the_middle_frees_the_key_and_keeps_nothing(town, post, monkeypatch):  # noqa: F811
    from facts.api import returns

    def broken(*args, **kwargs):
        raise RuntimeError("the line is cut")

    monkeypatch.setattr(returns, "_open_points", broken)
    with pytest.raises(RuntimeError):
        post(body(town), HTTP_IDEMPOTENCY_KEY="one")
    assert not IdempotencyKey.objects.exists() and not Return.objects.exists()

    monkeypatch.undo()
    assert post(body(town), HTTP_IDEMPOTENCY_KEY="one").status_code == 201


def test_keys_belong_to_their_client(town, post):  # noqa: F811
    post(body(town), HTTP_IDEMPOTENCY_KEY="one")
    other = post(body(town, answers={"UC01": 8_000_000}), user=town.head, HTTP_IDEMPOTENCY_KEY="one")

    assert other.status_code == 200
    assert IdempotencyKey.objects.count() == 2


@pytest.mark.parametrize("key", ["", " ", "x" * 81, "é", "a\tb"])
def test_an_odd_key_is_refused(town, post, key):  # noqa: F811
    answer = post(body(town), HTTP_IDEMPOTENCY_KEY=key)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "idempotency-key"
    assert not Return.objects.exists()


def test_the_stored_answer_is_sealed_and_gone_after_a_week(town, post):  # noqa: F811
    post(batch(town, entry(town, UD03=0)), HTTP_IDEMPOTENCY_KEY="one")
    row = IdempotencyKey.objects.get()
    place = f"idempotency:{row.pk}"

    sealed = SealedText.objects.get(place=place)
    assert b"UD03" not in bytes(sealed.payload) and str(UNIT["UC01"]) not in row.request_digest
    assert idempotency.wipe_expired() == 0
    IdempotencyKey.objects.update(created_at=row.created_at - idempotency.KEPT_FOR - timedelta(minutes=1))
    assert idempotency.wipe_expired() == 1
    assert not SealedText.objects.filter(place=place).exists() and not IdempotencyKey.objects.exists()


# --- equal requests at the same moment, against a real server -----------------------------------------

WORLD = """
from rest_framework.authtoken.models import Token
from tests.factories import Town, person
town = Town(units=3)
token = Token.objects.create(user=person("client", town.association))
print(token, *(unit.frame_id for unit in town.units), flush=True)
"""
COUNT = """
from facts.models import IdempotencyKey, Return
from core.audit.models import Event
print(Return.objects.count(), IdempotencyKey.objects.count(), Event.objects.filter(action="return.import").count())
"""


def send(server: Server, payload: dict, key: str) -> tuple[int, bytes, dict]:
    request = urllib.request.Request(
        f"http://{server.address}{ADDRESS}",
        json.dumps(payload).encode(),
        {"Content-Type": "application/json", "Authorization": f"Token {server.said[0]}", "Idempotency-Key": key},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read(), dict(refusal.headers)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server"), WORLD)
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture
def made(server):
    """Returns, keys and imports in the audit chain that a test has made."""
    before = [int(n) for n in server.run(COUNT).split()]
    return lambda: [int(n) - was for n, was in zip(server.run(COUNT).split(), before, strict=True)]


def at_once(count: int, act) -> list:
    found: list = [None] * count
    ready = threading.Barrier(count)

    def one(number):
        ready.wait(30)
        found[number] = act(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return found


def test_of_equal_requests_at_the_same_moment_one_does_the_work(server, made):
    payload = {"round": 2026, "schedule": "UNIT", "subject": server.said[1], "answers": UNIT}

    answers = at_once(EQUAL, lambda _: send(server, payload, "the-same-key"))

    assert {status for status, _, _ in answers} == {201}
    assert len({content for _, content, _ in answers}) == 1
    assert sum(headers.get("Idempotency-Replayed") == "true" for _, _, headers in answers) == EQUAL - 1
    assert made() == [1, 1, 1]  # one return, one key, one import in the audit chain


def test_of_different_requests_under_one_key_one_is_taken(server, made):
    def one(number):
        answers = {**UNIT, "UC01": 8_000_000 + number}
        return send(server, {"round": 2026, "schedule": "UNIT", "subject": server.said[2], "answers": answers}, "key")

    statuses = [status for status, _, _ in at_once(12, one)]

    assert sorted(statuses) == [201] + [422] * 11
    assert made() == [1, 1, 1]

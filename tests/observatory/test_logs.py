"""Logs: one JSON object a line, listed keys only, route names instead of addresses, and never the text of an error."""

import io
import json
import logging

import pytest
from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import include, path, reverse

from core.accounts.models import User
from core.policy.views import public
from observatory import logs

CANARY = "87654321"


@public
def broken(request, token):
    secret = f"figure {CANARY}"
    raise ValueError(f"Failing row contains ({secret})")


@public
def refused_by_the_database(request):
    with transaction.atomic(), connection.cursor() as cursor:
        columns = "username, password, is_superuser, first_name, last_name, email, is_staff, is_active, date_joined"
        row = f"'{CANARY}', '', NULL, '', '', '', NULL, NULL, NULL"
        cursor.execute(f"INSERT INTO accounts_user ({columns}) VALUES ({row})")
    return HttpResponse()


urlpatterns = [
    path("broken/<str:token>/", broken, name="broken"),
    path("refused/", refused_by_the_database, name="refused"),
    path("", include("observatory.urls")),
]
handler500 = "observatory.views.errors.broken"


@pytest.fixture
def lines():
    """What the product's own handler and formatter write, at the level they are set to."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.Lines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


def leaks(lines) -> list[dict]:
    """The gate: lines that hold the canary."""
    return [line for line in lines() if CANARY in json.dumps(line)]


def test_the_products_own_handler_writes_such_lines(settings):
    assert settings.LOGGING["formatters"]["line"]["()"] == "observatory.logs.Lines"
    held = [type(handler).__name__ for handler in logging.getLogger("django").handlers]
    assert "AdminEmailHandler" not in held and not settings.LOGGING["loggers"]["django"]["handlers"]


@override_settings(ROOT_URLCONF=__name__)
def test_a_broken_page_leaves_its_class_and_place_and_not_its_text(db, lines):
    answer = Client(raise_request_exception=False).get(f"/broken/{CANARY}/")

    assert answer.status_code == 500 and CANARY.encode() not in answer.content
    assert leaks(lines) == []
    (told,) = [line for line in lines() if "error" in line]
    assert told["error"] == "builtins.ValueError" and told["route"] == "broken" and told["status"] == 500
    assert any(call.endswith(" broken") for call in told["calls"])


@override_settings(ROOT_URLCONF=__name__)
def test_a_row_that_the_database_refused_is_not_in_the_log(db, lines):
    try:
        with transaction.atomic():
            User.objects.create(username=CANARY)
            User.objects.create(username=CANARY)
    except IntegrityError as refusal:
        error = str(refusal)
    assert error  # on PostgreSQL it quotes the row

    answer = Client(raise_request_exception=False).get("/refused/")

    assert answer.status_code == 500 and leaks(lines) == []
    assert [line["error"].split(" < ")[0] for line in lines() if "error" in line] == ["django.db.utils.IntegrityError"]


@override_settings(ROOT_URLCONF=__name__)
def test_djangos_own_format_would_have_told(db):
    """Mutation: the same fault through an ordinary formatter is found by the gate."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.getLogger("django.request").addHandler(handler)
    try:
        Client(raise_request_exception=False).get(f"/broken/{CANARY}/")
    finally:
        logging.getLogger("django.request").removeHandler(handler)

    assert leaks(lambda: [{"event": line} for line in stream.getvalue().splitlines()])


def test_a_request_is_one_line_with_its_route_and_not_its_address(db, lines):
    answer = Client().get(reverse("facts:link", args=[f"token-{CANARY}"]), {"q": CANARY})

    (line,) = [one for one in lines() if one["logger"] == "observatory.request"]
    assert line["route"] == "facts:link" and line["status"] == 404 and line["method"] == "GET"
    assert line["request"] == answer["X-Request-ID"] and isinstance(line["ms"], int)
    assert leaks(lines) == []


def test_every_line_of_a_request_carries_its_number(db, lines):
    answer = Client().get(f"/no-such-page-{CANARY}/")

    assert {line.get("request") for line in lines()} == {answer["X-Request-ID"]} and leaks(lines) == []


def test_keys_that_are_not_listed_are_dropped(lines):
    logging.getLogger("observatory.test").info("seen", extra={"answer": CANARY, "job": 7, "kind": "x", "sales": 5})

    (line,) = lines()
    assert line.keys() == {"time", "level", "logger", "event", "job", "kind"} and leaks(lines) == []


def test_what_other_libraries_put_into_their_lines_is_left_out(lines):
    logging.getLogger("django.security.DisallowedHost").error(f"Invalid HTTP_HOST header: {CANARY}.")
    logging.getLogger("celery.worker").error("Task %s raised %r", "x", ValueError(CANARY))
    logging.getLogger("some.library").warning(f"Retrying {CANARY}: {CANARY}")

    assert [line["event"] for line in lines()] == ["refused as suspicious", "Task %s raised %r", "Retrying #"]
    assert leaks(lines) == []


def test_an_unknown_method_is_not_repeated(db, lines):
    Client().generic(f"X{CANARY}", "/")

    assert leaks(lines) == [] and {line["method"] for line in lines() if "method" in line} == {"other"}


def test_an_error_behind_an_error_is_named_by_class_only(lines):
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as first:
            raise IntegrityError(f"DETAIL: {CANARY}") from first
    except IntegrityError:
        logging.getLogger("facts.test").exception("failed")

    (line,) = lines()
    assert line["error"] == "django.db.utils.IntegrityError < builtins.KeyError" and leaks(lines) == []


def test_a_line_break_cannot_forge_a_line(lines):
    logging.getLogger("observatory.test").warning('one\n{"level": "INFO"}')

    assert len(lines()) == 1

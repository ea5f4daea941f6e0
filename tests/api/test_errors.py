"""One shape for every error, and a parser that strangers cannot break."""

import json
import time

import pytest
from django.db import OperationalError
from rest_framework.exceptions import ParseError

from clusters import api as clusters
from observatory.api.errors import TooLarge, pointer
from observatory.api.parsers import MAX_BYTES, MAX_DEPTH, SafeJSONParser
from tests.factories import OrganisationFactory, person

V1 = "/api/v1/"


def require_problem(response, status) -> dict:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    found = json.loads(response.content)
    assert set(found) <= {"type", "title", "status", "detail", "errors"}
    assert (found["type"], found["status"]) == ("about:blank", status)
    assert found["title"]
    assert found["detail"]
    for one in found["errors"]:
        assert {"pointer", "code", "detail", "mend"} <= set(one) <= {"pointer", "code", "detail", "mend", "parameter"}
        assert one["pointer"].startswith("#")
        assert one["detail"]
    return found


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("get", "clusters/?no=1", 400),
        ("get", "units/", 401),
        ("get", "clusters/NO-SUCH/", 404),
        ("get", "nothing/", 404),
        ("post", "nothing/", 404),
        ("get", "clusters/a/b/c/", 404),
        ("get", "../nothing", 404),
        ("get", "../v2/clusters/", 404),
        ("get", "clusters/%00/", 404),
        ("get", "clusters/%ff/", 404),
        ("get", "questions/%00/", 404),
        ("get", "rankings/%00/", 404),
        ("get", "editions/%00/", 404),
        ("get", "scores/?cluster=%00", 400),
        ("get", "rounds/99999999999999999999/", 404),
        ("get", "rounds/x/", 404),
        ("get", "scores/x/", 404),
        ("get", "scores/99999999999999999999/", 404),
        ("delete", "clusters/", 405),
        ("post", "", 405),
        ("options", "clusters/", 405),
        ("get", "clusters/?format=xml", 406),
        ("get", "../schema/?format=xml", 406),
    ],
)
@pytest.mark.parametrize("wish", ["", "text/csv", "application/json"])
def test_every_refusal_has_one_shape(db, api, method, address, status, wish):
    extra = {"HTTP_ACCEPT": wish} if wish and method == "get" and status != 406 and "schema" not in address else {}
    prefix = "/api/" if address.startswith("../") else V1

    require_problem(getattr(api(), method)(prefix + address.removeprefix("../"), **extra), status)


def test_csv_was_asked_for_and_the_problem_is_still_a_problem(db, api):
    require_problem(api().get(f"{V1}clusters/?format=csv&no=1"), 400)
    require_problem(api().get(f"{V1}units/?format=xlsx"), 401)


def test_an_accept_header_we_cannot_serve_is_406(db, api):
    require_problem(api().get(f"{V1}clusters/", HTTP_ACCEPT="image/png"), 406)


def test_a_role_without_the_right_is_403(db, api):
    require_problem(api(person("viewer")).get(f"{V1}units/"), 403)


def test_a_reader_who_left_the_last_slash_out_is_sent_on(db, api):
    response = api().get(f"{V1}clusters?country=PK")

    assert (response.status_code, response["Location"]) == (301, f"{V1}clusters/?country=PK")
    require_problem(api().post(f"{V1}returns", {}, format="json"), 404)


def test_a_busy_database_is_503_and_says_when_to_come_back(db, api, monkeypatch):
    def busy(self):
        raise OperationalError("database is locked")

    monkeypatch.setattr(clusters.RegionViewSet, "get_queryset", busy)
    response = api().get(f"{V1}regions/")
    require_problem(response, 503)
    assert response["Retry-After"] == "5"


def test_a_fault_of_ours_is_a_problem_without_a_word_of_its_cause(db, api, monkeypatch):
    def broken(self):
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(clusters.RegionViewSet, "get_queryset", broken)
    client = api()
    client.raise_request_exception = False

    assert "secret" not in json.dumps(require_problem(client.get(f"{V1}regions/"), 500))


# --- bodies -------------------------------------------------------------------------------------------------


@pytest.fixture
def send(db, api):
    user = person("client", OrganisationFactory())

    def post(raw, content_type="application/json"):
        return api(user).generic("POST", f"{V1}returns/", raw, content_type=content_type)

    return post


DEEP = b"[" * 2000
WIDE = b"[" + b"1," * 30_000 + b"1]"


@pytest.mark.parametrize(
    ("raw", "status", "says"),
    [
        (b"{", 400, "not valid JSON"),
        (b"", 400, ""),
        (b'"x"', 400, ""),
        (b"null", 400, ""),
        (DEEP, 400, "nested deeper"),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, 400, "nested deeper"),
        (b"]" * 50 + DEEP, 400, ""),
        (WIDE, 413, "20,000 values"),
        (b"[" + b'"x",' * 19_990 + b'"x"]', 400, ""),
        (b'{"a": "\\u0000"}', 400, "NUL"),
        (b'{"a\\u0000": 1}', 400, "NUL"),
        (b'{"a": "\\ud800"}', 400, "surrogate"),
        (b'{"\\udfff": 1}', 400, "surrogate"),
        (b'{"round": 1, "round": 2}', 400, "stands twice"),
        (b'{"answers": {"UB01": 1, "UB01": 2}}', 400, "stands twice"),
        (b'{"a": NaN}', 400, "not a number"),
        (b'{"a": -Infinity}', 400, "not a number"),
        (b'{"a": ' + b"9" * 5000 + b"}", 400, "not valid JSON"),
        (b'{"a": 1e999}', 400, ""),
        (b'\xff\xfe{"a": 1}', 400, "UTF-8"),
        (b'{"a": "' + b"x" * (MAX_BYTES + 1) + b'"}', 413, "10 MB"),
    ],
)
def test_no_body_breaks_the_door(send, raw, status, says):
    found = require_problem(send(raw), status)

    assert says in found["detail"]


def test_only_json_is_read(send):
    require_problem(send(b"a=1", "application/x-www-form-urlencoded"), 415)
    require_problem(send(b"<a/>", "application/xml"), 415)
    require_problem(send(b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x"), 415)


@pytest.mark.parametrize(
    "raw",
    [
        b'"' + b'\\"' * 4_000_000,
        b'"' * 9_000_000,
        b"{}," * 3_000_000,
        b"[]" * 4_000_000,
        b"{" + b",".join(b'"k%d":1' % n for n in range(18_000)) + b',"k1":2}',
        b"\\" * 9_000_000,
    ],
)
def test_a_hostile_body_is_refused_quickly(raw):
    class Stream:
        def read(self, size):
            return raw[:size]

    begun = time.process_time()
    with pytest.raises((ParseError, TooLarge)):
        SafeJSONParser().parse(Stream())
    assert time.process_time() - begun < 5  # the square of the length would take minutes


def test_brackets_inside_strings_do_not_count_as_depth():
    class Stream:
        def read(self, size):
            return json.dumps({"text": "[" * 5000 + '\\"{', "list": [1, 2]}).encode()

    assert SafeJSONParser().parse(Stream())["list"] == [1, 2]


def test_the_deepest_body_allowed_is_read():
    class Stream:
        def read(self, size):
            return b"[" * MAX_DEPTH + b"]" * MAX_DEPTH

    assert SafeJSONParser().parse(Stream())


def test_a_pointer_is_escaped_as_a_fragment():
    assert pointer(("answers", "a/b~c d", 0)) == "#/answers/a~1b~0c%20d/0"

"""G5: whatever is sent to the API, made from its own document or against it: no fault, and not only refusals."""

import copy
import json
import logging
import random
import warnings
from urllib.parse import quote, urlencode

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, seed, settings

from facts.models import Indicator, IndicatorValue, Question
from tests.facts.valid_returns import RETURNS
from tests.gates.size import count, say
from tests.gates.walk_world import WalkWorld

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: G5 is not run")

SEEN_AT_LEAST = 0.6
ROLES = ("AN", "AH", "AL")


@pytest.fixture
def world(db, settings, tmp_path) -> WalkWorld:
    settings.QUARANTINE_DIR = tmp_path / "quarantine"
    settings.RETURN_REQUESTS_PER_HOUR = 1_000_000
    cache.clear()
    logging.disable(logging.CRITICAL)
    yield WalkWorld()
    logging.disable(logging.NOTSET)
    cache.clear()


def real_names(world) -> dict[str, dict[str, list]]:
    """Endpoint → name of a place in the address or of a filter → values that are there."""
    from cci.models import Erratum, Score

    objects = world.objects
    clusters = [one.code for one in objects["cluster"].values()]
    labels = [one.label for one in objects["edition"].values()]
    at_hand = {
        "regions": {"code": ["PK-PB", "PK-SD"]},
        "sectors": {"code": ["1410", "3250"]},
        "clusters": {"code": clusters},
        "units": {"frame_id": [one.frame_id for one in objects["unit"].values()]},
        "associations": {"slug": [world.association.slug, world.other.association.slug]},
        "agencies": {"slug": [f"{one.slug}" for one in objects["organisation"].values()]},
        "rounds": {"year": [2024, 2025, 2026]},
        "instruments": {"version": ["1.0"]},
        "questions": {"code": [one.code for one in Question.objects.all()[:9]]},
        "returns": {"id": [one.pk for one in objects["return"].values()]},
        "indicators": {"code": [one.code for one in Indicator.objects.all()[:9]]},
        "indicator-values": {"id": [one.pk for one in IndicatorValue.objects.all()[:40]]},
        "editions": {"label": labels},
        "scores": {"id": [one.pk for one in Score.objects.all()[:40]]},
        "rankings": {"cluster": clusters},
        "releases": {"id": [one.pk for one in world.round.releases.all()]},
        "errata": {"id": [one.pk for one in Erratum.objects.all()]},
        "interventions": {"code": [one.code for one in objects["intervention"].values()]},
        "schemes": {"slug": [world.scheme.slug]},
    }
    for names in at_hand.values():
        names |= {"edition": [*labels, "latest"], "country": ["PK"], "format": ["json", "csv", "xlsx"]}
        names.setdefault("cluster", clusters)
    return at_hand


class Sender:
    """Sends cases of one role, in process; keeps what went wrong and which operations were answered 2xx."""

    def __init__(self, world, code: str, chance: random.Random):
        self.client, self.chance, self.names = Client(raise_request_exception=False), chance, real_names(world)
        if person := world.people_of("a")[code]:
            self.client.force_login(person)
        self.code, self.world = code, world
        self.sent, self.faults, self.seen = 0, [], set()

    def send(self, operation: str, case) -> None:
        """Send one case, now and then with names that are there; what it changed is taken back."""
        endpoint = operation.split("/api/v1/")[-1].split("/")[0]
        here = self.names.get(endpoint, {})
        keys = dict(case.path_parameters or {})
        query = dict(case.query or {})
        if self.chance.random() < 0.8:
            keys = {name: self.chance.choice(here.get(name) or [value]) for name, value in keys.items()}
        if self.chance.random() < 0.5:
            query = {name: self.chance.choice(here[name]) for name in query if name in here}
        path = operation.split(" ")[1]
        for name, value in keys.items():
            path = path.replace("{" + name + "}", quote(str(value), safe=""))
        headers = {name: str(value) for name, value in (case.headers or {}).items() if _is_sendable(str(value))}
        if case.method == "PATCH" and self.chance.random() < 0.7:
            headers["If-Match"] = "*"
        body, kind = self._body(case)
        url = path + (f"?{urlencode(query, doseq=True, errors='surrogatepass')}" if query else "")
        with transaction.atomic():
            answer = self.client.generic(case.method, url, body, content_type=kind, headers=headers)
            content = b"".join(answer) if answer.streaming else answer.content
            transaction.set_rollback(True)
        self.sent += 1
        if answer.status_code >= 500:
            self.faults.append(f"{self.code}: {case.method} {url[:200]} {body[:300]!r} → {answer.status_code}")
        elif answer.status_code < 300:
            self.seen.add(operation)
        if "json" in answer.get("Content-Type", "") and content:
            json.loads(content)  # an answer that says it is JSON is

    def _body(self, case) -> tuple[bytes, str]:
        if case.method not in ("POST", "PATCH"):
            return b"", "application/json"
        body = case.body
        if self.chance.random() < 0.4:
            ret = self.world.objects["return"]["a.draft"]
            answers = self.chance.sample(sorted(RETURNS["UNIT"].items()), 3)
            body = {"answers": dict(answers)}
            if case.method == "POST":
                body |= {"round": 2026, "schedule": "UNIT", "subject": ret.subject, "partial": True}
                body |= {"answers": RETURNS["UNIT"], "dry_run": self.chance.random() < 0.5}
                del body["partial"]
        if isinstance(body, bytes):
            return body, "application/json"
        try:
            return json.dumps(body).encode("utf-8", "surrogatepass"), "application/json"
        except (TypeError, ValueError):
            return repr(body).encode("utf-8", "replace"), "application/json"


def _is_sendable(value: str) -> bool:
    return value.isascii() and value.isprintable()


def operations(document: dict):
    """(name, operation) of everything in the API's document; one that cannot be read is an error."""
    schema = schemathesis.openapi.from_dict(copy.deepcopy(document))
    found = []
    for result in schema.get_all_operations():
        operation = result.ok()
        found.append((f"{operation.method.upper()} {operation.path}", operation))
    return found


def _trial(sender: Sender, name: str, cases, share: int):
    """A run of `share` cases of one operation, the same every time."""

    @seed(11)
    @settings(
        max_examples=share,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def tried(case):
        sender.send(name, case)

    return tried


def fuzzed(world, code: str, cases: int) -> tuple[Sender, int]:
    """Send `cases` cases as one role, spread over all operations: half fit the document, half do not."""
    from schemathesis import GenerationMode

    document = json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))
    every = operations(document)
    chance = random.Random(11)
    sender = Sender(world, code, chance)
    each = max(2, -(-cases // len(every)))
    for name, operation in every:
        for mode, share in ((GenerationMode.POSITIVE, each - each // 2), (GenerationMode.NEGATIVE, each // 2)):
            tried = _trial(sender, name, operation.as_strategy(generation_mode=mode), share)
            try:
                tried()
            except Exception as error:
                if "Unsatisfiable" not in type(error).__name__ and "Skip" not in type(error).__name__:
                    sender.faults.append(f"{code}: {name}: phase ended with {type(error).__name__}: {error}"[:300])
    return sender, len(every)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", ROLES)
def test_nothing_that_is_sent_breaks_the_api(world, code):
    sender, n_operations = fuzzed(world, code, count(40, 10_000))

    say(f"G5 {code}: {sender.sent} cases, {len(sender.faults)} faults, {len(sender.seen)} of {n_operations} seen 2xx")
    assert not sender.faults, "\n".join(dict.fromkeys(sender.faults[:40]))
    assert sender.sent >= n_operations
    assert len(sender.seen) >= SEEN_AT_LEAST * n_operations, sorted(sender.seen)


@pytest.mark.filterwarnings("ignore")
def test_mutation_an_endpoint_that_breaks_is_found(world, monkeypatch):
    from clusters.api import RegionViewSet

    def broken(self, request, *args, **kwargs):
        return 1 / 0

    monkeypatch.setattr(RegionViewSet, "retrieve", broken)
    sender, _ = fuzzed(world, "AN", 50)

    assert any("/api/v1/regions/" in one and "500" in one for one in sender.faults)

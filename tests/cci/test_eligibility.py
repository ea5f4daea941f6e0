"""Standings: who is ranked, with the category of the reason; what is stored with an edition and never changes."""

import hashlib
from dataclasses import replace

import pandas as pd
import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from cci.methodology import FIXTURES, load_method
from cci.models import Edition, Standing
from cci.services import CURRENT, compute_edition, register_methodology
from cci.standings import standings_of, with_missing_pillars
from facts.models import Reliability, Snapshot
from facts.reliability import load_rules, reliability
from facts.services.standing import reliability_history, reliability_now, standings_now, store_reliability
from tests.factories import ClusterFactory, open_round
from tests.villages import village

RULES = load_rules()
SCORES = pd.DataFrame({"CCI": [50.0], "O": [50.0], "R": [50.0]}, index=["V"])
PILLARS = {"O": "Outcomes", "R": "Regulation and policy"}


def results(**changes):
    return reliability(village(**{"accepted": 45, **changes}), RULES, 2025)


def verdict(found, scores=SCORES):
    return standings_of(["V"], found, scores)["V"]


def test_the_rules_are_part_of_the_methodology():
    method = load_method(CURRENT)
    folder = FIXTURES / "methodologies"
    files = (folder / f"cci-{CURRENT}.toml").read_bytes() + (
        folder / method.engine_config["normalise"]["file"]
    ).read_bytes()
    both = files + method.definitions.digest.encode()

    assert method.content["reliability"]["thresholds"]["enter"] == 75
    assert method.digest == hashlib.sha256(both + RULES.digest.encode()).hexdigest()
    assert RULES.checks.digest not in (RULES.digest, method.digest)


def test_the_digest_of_the_rules_covers_the_checks_they_rest_on():
    from facts.reliability.rules import FOLDER, read_rules

    content = (FOLDER / "facts-1.0.toml").read_bytes()
    same, other = (read_rules(content, replace(RULES.checks, digest=digest)) for digest in (RULES.checks.digest, "x"))

    assert same.digest == RULES.digest != other.digest


def test_a_ranked_cluster_is_eligible_and_has_an_index():
    assert verdict(results()) == verdict(results())
    assert (verdict(results()).status, verdict(results()).reason) == ("eligible", "")


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"accepted": 20}, "not", "response"),
        ({"AA04": "2018-03-14"}, "provisional", "association"),
        ({"AA03": 0}, "not", "association"),
        ({"accepted": 33, "source": 4, "warned": 14}, "provisional", "reliability"),
    ],
)
def test_the_reason_is_a_category(changes, status, reason):
    found = verdict(results(**changes))

    assert (found.status, found.reason, found.is_ranked) == (status, reason, False)
    assert found.reason in Standing.Reason.values


def test_an_eligible_cluster_without_an_index_says_why():
    empty = SCORES.assign(CCI=float("nan"), R=float("nan"))
    whole, tables = results(), village(45)
    regionless = reliability(
        replace(tables, collective=tables.collective[tables.collective["schedule"] != "REGION"]), RULES, 2025
    )

    assert verdict(whole, empty).reason == "incomplete"
    assert verdict(regionless, empty).reason == "schedules"
    assert [step.key for step in regionless["V"].steps] == ["REGION"]
    added = with_missing_pillars(whole, empty, PILLARS)["V"].steps
    assert [step.text for step in added] == ["Answer the questions behind Regulation and policy"]
    assert with_missing_pillars(whole, SCORES, PILLARS)["V"].steps == ()


def test_a_cluster_without_a_frame_in_the_round_is_not_ranked():
    assert standings_of(["W"], results(), SCORES)["W"].reason == "response"


def test_the_edition_is_named_by_what_it_was_judged_by():
    """A warning that opens again changes neither value nor rank, and yet the digest."""
    method = load_method(CURRENT)
    first, again, warned = (compute_edition(village(45, warned=n), 2025, method, "snapshot") for n in (0, 0, 3))

    assert first["digest"] == again["digest"] != warned["digest"]
    assert first["standings"]["V"].status == "eligible"


# --- Stored ---------------------------------------------------------------------------------


@pytest.fixture
def stored(db):
    """A cluster's reliability in the rounds of 2024 and 2025, stored with their snapshots."""
    cluster = ClusterFactory(code="V")
    snapshots = {}
    for year in (2024, 2025):
        round_ = open_round(year, state="closed")
        snapshots[year] = Snapshot.objects.create(round=round_, digest=f"snapshot {year}", taken_at=timezone.now())
        store_reliability(snapshots[year], reliability(village(40), RULES, year))
    return cluster, snapshots


def test_every_point_and_every_step_is_kept(stored):
    cluster, snapshots = stored
    store_reliability(snapshots[2025], results(AA04="2018-03-14"))

    row = reliability_now(snapshots[2025].round, cluster)

    assert [part["code"] for part in row.parts] == [f"D{n}" for n in range(1, 9)]
    assert row.score == pytest.approx(sum(part["given"] for part in row.parts))
    assert (row.status, row.association, row.grade) == ("provisional", "V/a", "A")
    assert [gate["code"] for gate in row.gates if not gate["is_passed"]] == ["OG3"]
    assert [step["key"] for step in row.steps] == ["OG3"]
    assert Reliability.objects.filter(snapshot=snapshots[2025]).count() == 1


def test_the_newest_computation_of_a_round_counts(stored, django_assert_num_queries):
    cluster, snapshots = stored
    later = Snapshot.objects.create(round=snapshots[2025].round, digest="later", taken_at=timezone.now())
    store_reliability(later, results(AA03=0))

    assert reliability_now(later.round, cluster).snapshot == later
    with django_assert_num_queries(1):
        history = reliability_history(cluster, until=2030)
    assert [(row.snapshot.round.year, row.status) for row in history] == [(2024, "eligible"), (2025, "not")]
    with django_assert_num_queries(1):
        assert standings_now([cluster])[cluster.pk].snapshot == later


@pytest.mark.parametrize("state", ["published", "superseded"])
def test_what_a_published_edition_ranked_by_never_changes(stored, state):
    cluster, snapshots = stored
    Edition.objects.create(
        round=snapshots[2025].round,
        methodology=register_methodology(CURRENT),
        snapshot=snapshots[2025],
        label="2025",
        revision=0,
        state=state,
    )

    store_reliability(snapshots[2025], results(AA03=0))

    assert reliability_now(snapshots[2025].round, cluster).status == "eligible"
    kept = Reliability.objects.filter(snapshot=snapshots[2025])
    for change in (lambda: kept.update(status="not"), lambda: kept.delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert Reliability.objects.filter(snapshot=snapshots[2024]).update(status="not") == 1

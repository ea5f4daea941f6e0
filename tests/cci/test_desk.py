"""What the analyst's desk reads: forecasts that promise no more than is known, comparisons, judgements, the record."""

import csv
import datetime as dt
import io
import json

import numpy as np
import pandas as pd
import pytest
from django.utils import timezone

from cci.coherence import coherence_of
from cci.desk import comparing, cycle, judging, record
from cci.desk.running import figures_of, left_words
from cci.methodology import load_method
from cci.models import Edition, Explanation, Methodology, Score, Standing
from facts.models import FrameEntry, Reliability, Return, Snapshot
from tests.factories import ClusterFactory, Town, UnitFactory, open_round, person
from tests.methods import adopted

METHOD = load_method("1.0")
CODES = [one.code for one in METHOD.definitions.indicators]


# --- Coherence (pure) ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def made():
    """Twelve clusters: O101 and O102 the same, O103 turned round, H101 the size of the cluster, S102 one value."""
    rng = np.random.default_rng(5)
    index = [f"C{n:02}" for n in range(12)]
    inputs = pd.DataFrame(rng.normal(50, 10, (12, len(CODES))), index=index, columns=CODES)
    inputs["O102"], inputs["O103"] = inputs["O101"] * 2, -inputs["O101"]
    frame = pd.DataFrame({"in_scope": np.arange(10, 130, 10)}, index=index)
    inputs["H101"] = frame["in_scope"] * 3.0
    inputs["S102"] = 7.0
    normalised = (inputs - inputs.min()) / (inputs.max() - inputs.min()).replace(0, 1) * 100
    d = METHOD.definitions
    scores = pd.DataFrame(index=index)
    for node in d.dimensions:
        scores[node.code] = normalised[[one.code for one in d.indicators if one.dimension == node.code]].mean(axis=1)
    for node in d.pillars:
        scores[node.code] = scores[[one.code for one in d.dimensions if one.parent == node.code]].mean(axis=1)
    scores["CCI"] = scores[[node.code for node in d.pillars]].mean(axis=1)
    return coherence_of(inputs, normalised, scores, frame, METHOD)


def of(made, table) -> list[dict]:
    return judging.rows_of({"audit": made}, table)


def test_the_audit_finds_what_was_put_in(made):
    flags = {(row["topic"], row["element"]) for row in of(made, "flags")}
    pair = next(r for r in of(made, "correlations_within_groups") if {r["element"], r["other"]} == {"O101", "O102"})
    constant = next(row for row in of(made, "statistics_observed") if row["iCode"] == "S102")

    assert pair["correlation"] == pytest.approx(1.0)
    assert ("size", "H101") in flags and ("correlation", "O101") in flags
    assert (constant["n_unique"], constant["minimum"], constant["maximum"]) == (1, 7.0, 7.0)
    assert {row["ancestor_level"] - row["level"] for row in of(made, "correlations_with_parents")} == {1}
    json.dumps(made, allow_nan=False)


def test_two_clusters_are_no_ground_for_an_audit():
    empty = pd.DataFrame(1.0, index=["A", "B"], columns=["CCI"])

    assert coherence_of(empty, empty, empty, empty, METHOD) == {"clusters": 2, "tables": {}}


def test_what_may_be_chance_grows_with_fewer_clusters():
    assert judging.chance(3) is None
    assert judging.chance(100) == pytest.approx(0.196)
    assert judging.chance(16) > judging.chance(25)


def test_opposition_that_chance_may_make_stands_apart_and_weak_ties_do_not():
    rows = [
        ["correlation", "O101", "O101 and O102 of O1 are opposed (r = -0.25): is a direction wrong?"],
        ["correlation", "O102", "O102 and O104 of O1 are opposed (r = -0.75): is a direction wrong?"],
        ["correlation", "O103", "O103 is hardly represented in its own group O1 (r = 0.20)."],
    ]
    audit = {"clusters": 16, "tables": {"flags": {"columns": ["topic", "element", "words"], "rows": rows}}}

    found = judging.coherence(Edition(report={"audit": audit}), METHOD)

    assert [flag["words"].split()[0] for flag in found["doubtful"]] == ["O101"]
    assert [flag["words"].split()[0] for flag in found["topics"][0]["flags"]] == ["O102", "O103"]


# --- Editions beside each other -------------------------------------------------------------


@pytest.fixture
def method(db):
    return adopted("1.0")


def edition_of(round_, **fields) -> Edition:
    defaults = {"label": str(round_.year), "revision": 0, "state": "candidate", "digest": "d" * 64}
    defaults |= {"computed_at": timezone.now(), "methodology": Methodology.objects.get()}
    return Edition.objects.create(round=round_, **(defaults | fields))


def ranked(edition, *rows) -> None:
    """rows : (cluster, score, rank, low, high, band)."""
    for cluster, value, place, low, high, band in rows:
        Score.objects.create(
            edition=edition, cluster=cluster, node="CCI", value=value, rank=place, rank_low=low, rank_high=high
        )
        Standing.objects.create(edition=edition, cluster=cluster, is_ranked=True, status="eligible", band=band)


@pytest.fixture
def two(method):
    """A overtakes B clearly, C enters, D leaves, E stands where it stood."""
    a, b, c, d, e = (ClusterFactory(name=name) for name in "ABCDE")
    before = edition_of(open_round(2025, state="closed"), label="2025")
    ranked(before, (b, 70, 1, 1, 1, 1), (e, 60, 2, 2, 3, 2), (d, 55, 3, 2, 3, 2), (a, 40, 4, 4, 4, 3))
    Edition.objects.filter(pk=before.pk).update(state="published")
    edition = edition_of(open_round(2026, state="closed"), label="2026")
    ranked(edition, (a, 80, 1, 1, 1, 1), (e, 61, 2, 2, 2, 2), (b, 50, 3, 3, 4, 3), (c, 45, 4, 3, 4, 3))
    Standing.objects.create(edition=edition, cluster=d, is_ranked=False, reason="response")
    return edition, {one.name: one for one in (a, b, c, d, e)}


def names(rows) -> list[str]:
    return [row.cluster.name for row in rows]


def test_who_comes_and_goes_stands_first_then_the_largest_moves(two):
    found = comparing.compare(two[0])

    assert {kind: names(found.chosen(kind, order="name")) for kind in comparing.KINDS} == {
        "moved": ["A", "B"],
        "band": ["A", "B"],
        "in": ["C"],
        "out": ["D"],
        "ranked": ["A", "B", "C", "E"],
        "unranked": ["D"],
    }
    order = names(found.chosen())
    assert set(order[:2]) == {"C", "D"} and order[2:] == ["A", "B", "E"]
    assert names(found.chosen(order="score"))[0] == "A"
    assert names(found.chosen(words="e")) == ["E"]


def test_the_causes_of_a_move_are_those_of_the_very_edition_compared_with(two):
    edition, clusters = two
    rank = {"before": 4, "after": 1, "places": 3, "data": 2, "framework": 0, "sample": 1}
    for name, since in (("A", "2025"), ("B", "2019")):
        moved = {"since": since, "score": {"nodes": {"O1": 1.0, "H2": -4.0, "S1": 2.0}}, "rank": rank}
        Explanation.objects.create(edition=edition, cluster=clusters[name], content={"moved": moved})
    found = comparing.compare(edition)

    causes = comparing.causes_of(found, found.rows)

    assert list(causes) == [clusters["A"].pk]
    assert (causes[clusters["A"].pk]["data"], causes[clusters["A"].pk]["sample"]) == (2, 1)
    assert [node["code"] for node in causes[clusters["A"].pk]["nodes"]] == ["H2", "S1"]


def test_alone_an_edition_is_shown_without_moves(method):
    edition = edition_of(open_round(2026, state="closed"))
    ranked(edition, (ClusterFactory(name="A"), 80, 1, 1, 1, 1))

    found = comparing.compare(edition)

    assert found.before is None and names(found.rows) == ["A"]
    assert comparing.causes_of(found, found.rows) == {}


# --- Forecast -------------------------------------------------------------------------------


def step(key, n=1) -> dict:
    return {"key": key, "n": n, "who": "association", "text": "", "detail": ""}


@pytest.fixture
def open_town(method):
    town = Town(units=4)
    snapshot = Snapshot.objects.create(round=town.round, digest="s" * 64, taken_at=timezone.now())
    edition = edition_of(town.round, label="2026-provisional", revision=None, is_provisional=True, snapshot=snapshot)
    return town, edition


def stands(edition, cluster, status, *steps) -> None:
    Reliability.objects.create(
        snapshot=edition.snapshot, cluster=cluster, score=70, grade="C", status=status, steps=list(steps)
    )


def returned(town, number, state, **fields) -> None:
    unit = town.units[number]
    Return.objects.create(
        **{"round": town.round, "schedule": "UNIT", "subject": unit.frame_id, "unit": unit, "cluster": town.cluster},
        **({"state": state, "version": 1, "submitted_at": timezone.now()} | fields),
    )


@pytest.mark.parametrize(
    ("steps", "in_hand", "nearly"),
    [
        ([step("returns", 2)], 2, True),
        ([step("returns", 3)], 2, False),
        ([step("returns", 2), step("warnings")], 2, False),
        ([step("returns", 1), step("CLUSTER")], 2, False),
        ([], 2, False),
    ],
)
def test_only_who_lacks_nothing_but_returns_in_hand_is_carried_over(open_town, steps, in_hand, nearly):
    town, edition = open_town
    stands(edition, town.cluster, "provisional", *steps)
    for number in range(in_hand):
        returned(town, number, "submitted")
    returned(town, 3, "accepted", decided_at=edition.snapshot.taken_at - dt.timedelta(days=1))  # is in it already

    forecast = cycle.forecasts([edition])[town.round.pk]

    assert (forecast.provisional, forecast.eligible, forecast.in_hand) == (1, 0, in_hand)
    assert forecast.nearly == ([town.cluster.name] if nearly else [])


def test_what_was_accepted_since_and_schedules_that_wait_count_as_in_hand(open_town):
    town, edition = open_town
    stands(edition, town.cluster, "not", step("returns"), step("REGION"))
    returned(town, 0, "accepted", decided_at=edition.snapshot.taken_at + dt.timedelta(minutes=1))
    region = town.cluster.region
    Return.objects.create(
        **{"round": town.round, "schedule": "REGION", "subject": region.pk, "region": region, "state": "submitted"},
        **{"version": 1, "submitted_at": timezone.now()},
    )

    assert cycle.forecasts([edition])[town.round.pk].nearly == [town.cluster.name]


def test_the_forecast_asks_as_often_for_one_cluster_as_for_many(open_town, django_assert_num_queries):
    town, edition = open_town
    for _ in range(5):
        stands(edition, ClusterFactory(), "not", step("returns"))

    with django_assert_num_queries(2):
        assert cycle.forecasts([edition])[town.round.pk].not_eligible == 5


def test_coverage_counts_employment_where_a_return_was_accepted(open_town):
    town, _ = open_town
    FrameEntry.objects.filter(unit=town.units[0]).update(prior_employment=85)
    returned(town, 0, "accepted", decided_at=timezone.now())
    returned(town, 1, "submitted")
    UnitFactory(cluster=town.cluster)  # outside the frame

    coverage = cycle.coverage_of_rounds()[town.round.pk]

    assert (coverage.frame, coverage.accepted, coverage.waiting) == (4, 1, 1)
    assert coverage.share == 0.25
    assert coverage.employment == pytest.approx(85 / 100)


def test_the_next_night_lies_ahead(settings):
    settings.NIGHTLY_RECOMPUTE_HOUR = 1
    noon = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)

    assert cycle.next_night(noon) == dt.datetime(2026, 11, 23, 1, tzinfo=dt.UTC)
    assert cycle.next_night(noon.replace(hour=0)) == dt.datetime(2026, 11, 22, 1, tzinfo=dt.UTC)


def test_the_schedule_shown_is_the_schedule_kept(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["recompute open rounds at night"]["schedule"]

    assert entry.hour == {settings.NIGHTLY_RECOMPUTE_HOUR} and entry.minute == {0}


# --- A run, its figures, the record ---------------------------------------------------------


def test_time_left_is_said_in_whole_minutes():
    assert [left_words(seconds) for seconds in (None, 20, 70, 600)] == [
        "",
        "less than a minute left",
        "about 1 minute left",
        "about 10 minutes left",
    ]


def test_what_was_assumed_is_gathered_over_all_sets_of_goalposts(method):
    part = {"warnings": [{"message": "m", "names": ["a"]}], "defaults": ["x"], "clipped": {"low": 2, "high": 1}}
    edition = Edition(report={"by_goalposts": {"all": part, "13": part}, "precision": {"without_figures": 4}})

    figures = figures_of(edition)

    assert (len(figures["warnings"]), figures["defaults"], figures["clipped"]) == (2, ["x"], 6)
    assert figures["without_figures"] == 4 and figures["inputs"] == []


def test_the_record_of_an_edition_holds_its_acts_in_order_and_no_formula(method):
    from cci.services import propose, publish

    first, second = person("analyst", username="=one"), person("analyst")
    edition = edition_of(open_round(2026, state="closed"))
    other = edition_of(open_round(2025, state="closed"), digest="o" * 64)
    propose(edition, by=first, digest=edition.digest)
    propose(other, by=first, digest=other.digest)
    publish(edition, by=second, digest=edition.digest)

    rows = list(csv.DictReader(io.StringIO(record.as_csv(record.events_of(edition)))))

    assert [row["action"] for row in rows] == ["edition.propose", "edition.publish"]
    assert rows[0]["who"] == "'=one"
    assert json.loads(rows[0]["detail"])["digest"] == edition.digest


def test_what_changed_after_the_last_day_is_counted_by_cluster(method):
    town = Town(units=3)
    town.round.closes_on = dt.date(2026, 3, 31)
    town.round.save()
    edition = edition_of(town.round)
    late, early = dt.datetime(2026, 4, 2, tzinfo=dt.UTC), dt.datetime(2026, 3, 31, 23, tzinfo=dt.UTC)
    returned(town, 0, "accepted", submitted_at=early, decided_at=late)
    returned(town, 1, "accepted", submitted_at=late, decided_at=late)
    returned(town, 2, "accepted", submitted_at=early, decided_at=early)

    assert record.changed_late(edition) == [record.Late(town.cluster.name, dt.date(2026, 3, 31), 1, 2)]

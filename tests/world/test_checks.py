"""The checks over the whole demonstration world: what was planted stands flagged, and a reviewer has been at work."""

import json
from collections import Counter

import pytest

from facts.demo.panel import generate
from facts.models import CheckRun, Flag, Return, Round, RoundFlag
from facts.vault import store

pytestmark = [pytest.mark.world, pytest.mark.usefixtures("world")]
ROUNDS = [2021, 2022, 2023, 2024, 2025]


@pytest.fixture(scope="module")
def planted():
    return generate().planted


def flagged(rule: str, year: int, **more) -> set[str]:
    flags = Flag.objects.filter(rule__startswith=rule, ret__round__year=year, **more)
    return set(flags.values_list("ret__subject", flat=True))


def over(rule: str, **more) -> set[tuple[str, int]]:
    return set(RoundFlag.objects.filter(rule=rule, **more).values_list("cluster__code", "round__year"))


def test_every_round_was_checked_whole():
    for round_ in Round.objects.all():
        handed_in = Return.objects.filter(round=round_, schedule="UNIT", version__gt=0)
        assert not handed_in.filter(checked_version=0).exists()
        run = CheckRun.objects.get(round=round_, cluster=None)
        # Closing checks once more, without what was sent back and did not come again.
        seen = handed_in.exclude(state="sent_back") if round_.state == "closed" else handed_in
        assert run.counts["returns"] == seen.count()
        assert run.counts["failed"] == 0


def test_p1_copies_are_flagged_and_the_cluster_is_stopped(planted):
    for year in (2023, 2024, 2025):
        units = Return.objects.filter(schedule="UNIT", state="locked")
        before, there = (set(units.filter(round__year=y).values_list("subject", flat=True)) for y in (year - 1, year))
        copies = set(planted["P1"][year - 1]) & before & there
        found = flagged("X02", year, severity="critical")
        assert len(copies & found) >= 0.95 * len(copies) > 25
        assert set(Flag.objects.filter(rule="X02", ret__subject__in=copies).values_list("resolution", flat=True)) == {
            "rejected"
        }
    assert over("X20", severity="critical") == {("IN-TEX-LKO", year) for year in (2023, 2024, 2025)}


def test_p2_bunching_is_seen_in_pune_alone():
    assert {code for code, _ in over("X24")} == {"IN-AUT-PUN"}
    assert over("X24") >= {("IN-AUT-PUN", year) for year in ROUNDS}


def test_p3_figures_from_memory_are_seen():
    assert over("X22", severity="critical") >= {("MM-MNG-MDY", year) for year in ROUNDS}
    assert over("X22") >= {("KH-SLK-TAK", year) for year in ROUNDS}


@pytest.mark.parametrize(("case", "year", "least"), [("P6", 2023, 5), ("P7", 2024, 4)])
def test_p6_and_p7_slips_are_critical_and_went_back(case, year, least, planted):
    units = set(planted[case][year - 1])
    slips = units & flagged("X08", year, severity="critical")

    assert len(slips) >= least
    assert units <= flagged("X01", year, severity="critical")
    states = Return.objects.filter(round__year=year, subject__in=slips).values_list("state", flat=True)
    assert set(states) == {"sent_back"}


def test_p9_karachi_gems_under_report_most():
    runs = CheckRun.objects.filter(cluster__isnull=False, round__year__in=ROUNDS)
    spoke, returns = Counter(), Counter()
    for code, counts in runs.values_list("cluster__code", "counts"):
        spoke[code] += counts["rules"].get("X05", 0)
        returns[code] += counts["returns"]
    share = {code: spoke[code] / returns[code] for code in returns}

    assert share["PK-GEM-KHI"] >= 0.10
    assert max(share, key=share.get) == "PK-GEM-KHI"


def test_p14_undeclared_electricity_is_seen_in_lahore_footwear_alone():
    assert over("X25", round__year__in=ROUNDS) == {("PK-FTW-LHE", year) for year in ROUNDS}


def test_p15_both_returns_of_a_pair_are_on_hold(planted):
    units = set(planted["P15"][2024])

    assert flagged("X09", 2025) == units
    states = Return.objects.filter(round__year=2025, subject__in=units).values_list("state", flat=True)
    assert set(states) == {"sent_back"}


def test_the_reviewer_settled_most_and_left_some_open():
    decided = Counter(
        Flag.objects.filter(rule__startswith="X", ret__state="locked").values_list("resolution", flat=True)
    )

    assert decided["accepted"] > 4 * decided["open"] > 0
    assert decided["rejected"] > 100
    critical = Flag.objects.filter(rule__startswith="X", severity="critical", ret__state="locked", resolution="open")
    assert not critical.exists()


def test_numbers_lie_sealed_beside_every_flag():
    flags = list(Flag.objects.filter(rule__startswith="X", ret__round__year=2025).values_list("pk", flat=True)[:300])
    texts = store.texts_of([f"flag:{pk}" for pk in flags])

    assert len(texts) == len(flags)
    assert all(json.loads(said[0]["text"]) for said in texts.values())


def test_something_suspicious_waits_in_the_open_round():
    waiting = Return.objects.waiting_for_review().filter(round__year=2026, schedule="UNIT")

    assert waiting.filter(suspicion__gt=0).exists()
    assert waiting.filter(suspicion=0).exists()

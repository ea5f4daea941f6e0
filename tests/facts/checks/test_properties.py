"""What must hold whatever the figures are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.checks.findings import LOUDNESS, loudness
from facts.checks.grouping import quantile
from facts.checks.units import copies_of, unit_findings, x01
from tests.facts.checks.firms import FLOWS, MONEY, a_year_later, crowd, firm, table_of

MONEY_ANSWERS = (*MONEY, "UC02", "UC06")
seeds = st.integers(0, 10_000)


def wild(seed: int, n: int = 30) -> tuple[list[dict], list[dict]]:
    """Two years of firms, some of whose figures went astray."""
    rng = np.random.default_rng(seed)
    before = crowd(n, seed=seed, spread=0.8)
    now = a_year_later(before, seed=seed + 1)
    for row in now:
        if rng.random() < 0.3:
            code = rng.choice([*FLOWS, "UE01", "UB01"])
            row[code] = int(row[code] * 10 ** rng.uniform(-3, 3)) + 1
    return now, before


def ratio_scores(now, before):
    table = table_of(now, before)
    return {(row.frame_id, row.rule): row.score for part in x01(table, copies_of(table)) for row in part.itertuples()}


@given(seeds, st.sampled_from([0.001, 0.02, 7.5, 1000.0]))
@settings(max_examples=25, deadline=None)
def test_another_currency_changes_no_score_of_x01(seed, rate):
    now, before = wild(seed)
    other = [[{**row, **{c: row[c] * rate for c in MONEY_ANSWERS}} for row in rows] for rows in (now, before)]

    here, there = ratio_scores(now, before), ratio_scores(*other)
    assert here.keys() == there.keys()
    assert all(there[key] == pytest.approx(score, rel=1e-6) for key, score in here.items())


@given(seeds, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_returns_changes_nothing(seed, random):
    now, before = wild(seed)

    def told(rows, earlier):
        found = unit_findings(table_of(rows, earlier))
        return {(r.frame_id, r.rule): (r.severity, round(r.score, 9), str(r.numbers)) for r in found.itertuples()}

    expected = told(now, before)
    random.shuffle(now)
    random.shuffle(before)
    assert told(now, before) == expected


@given(seeds, st.sets(st.sampled_from([*FLOWS, "UE01", "UB01", "UA05", "UJ02"]), min_size=1))
@settings(max_examples=25, deadline=None)
def test_what_is_missing_is_never_flagged(seed, gone):
    now, before = wild(seed)
    blanks = dict.fromkeys(gone)
    blank = firm("BLANK", **blanks)
    found = unit_findings(table_of([*now, blank], [*before, firm("BLANK", UC01=1, UD03=1, UE01=1, UB01=900)]))
    mine = found[found["frame_id"] == "BLANK"]

    assert not set(mine["question"]) & gone
    for numbers in mine["numbers"]:
        assert not set(numbers.get("items", ()) if isinstance(numbers.get("items"), list) else ()) & gone


def test_a_return_with_nothing_but_its_status_is_never_flagged():
    now, before = wild(1)
    empty = {"cluster": "PK-TST-001", "frame_id": "BLANK", "UA01": 1}
    found = unit_findings(table_of([*now, empty], [*before, firm("BLANK")]))

    assert "BLANK" not in set(found["frame_id"])


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_a_cluster_says_the_same_alone_and_among_others(seed):
    """Partition: whatever is compared inside a cluster does not depend on which clusters are checked with it."""
    now, before = wild(seed, 40)
    stranger = crowd(30, seed=seed + 5, cluster="PK-TST-002")

    def told(rows, earlier):
        found = unit_findings(table_of(rows, earlier))
        mine = found[found["cluster"] == "PK-TST-001"]
        return {(r.frame_id, r.rule, round(r.score, 9)) for r in mine.itertuples()}

    assert told(now, before) == told([*now, *a_year_later(stranger)], [*before, *stranger])


@given(st.lists(st.tuples(st.integers(-1, 4), st.floats(-1e9, 1e9) | st.just(float("nan"))), max_size=40))
def test_quantiles_of_groups_are_numpys(rows):
    group = np.array([g for g, _ in rows], dtype=int)
    values = np.array([v for _, v in rows], dtype=float)
    for share in (0.25, 0.5, 0.75):
        got = quantile(values, group, 5, share)
        for place in range(5):
            here = values[(group == place) & np.isfinite(values)]
            assert (
                got[place] == pytest.approx(np.quantile(here, share), nan_ok=True)
                if len(here)
                else np.isnan(got[place])
            )


@given(st.sampled_from(sorted(LOUDNESS)), st.floats(0, 50), st.floats(0, 50))
def test_a_louder_finding_never_adds_less(severity, one, two):
    low, high = sorted((one, two))

    assert 0 <= loudness(severity, low) <= loudness(severity, high)


def test_critical_is_louder_than_a_warning_and_a_warning_than_a_hint():
    assert loudness("critical", 1) > loudness("warn", 1) > loudness("soft", None) > loudness("info", 1) > 0

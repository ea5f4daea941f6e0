"""X20–X30 on hand-made rounds."""

import numpy as np
import pandas as pd
import pytest

from facts.checks.rounds import (
    cluster_figures,
    cluster_findings,
    doubtful_returns,
    significant_digits_at_most,
    worker_findings,
)
from tests.facts.checks.firms import FIRM, MONEY, a_year_later, crowd, firm, table_of

HERE = "PK-TST-001"


def said(*rows, **rest) -> dict:
    found = cluster_findings(table_of(*rows, **rest))
    return {row.rule: row for row in found.itertuples() if row.cluster == HERE}


def raised(rows, n):
    """The first n firms raise all money by a tenth; the others live on."""
    copies = [{**row, **{code: round(row[code] * 1.1, 2) for code in MONEY}} for row in rows[:n]]
    return [*copies, *a_year_later(rows[n:])]


@pytest.mark.parametrize(("copies", "severity"), [(2, None), (5, "warn"), (12, "critical")])
def test_x20_counts_copies_among_the_matched(copies, severity):
    before = crowd(40)
    spoke = said(raised(before, copies), before)

    assert (spoke["X20"].severity if "X20" in spoke else None) == severity
    if severity:
        assert spoke["X20"].numbers["share"] == copies / 40


def test_x21_needs_thirty_matched_and_eight_alike():
    before = crowd(40)

    assert "X21" in said(raised(before, 9), before)
    assert "X21" not in said(raised(before, 7), before)
    assert "X21" not in said(raised(before[:29], 9), before[:29])


def test_x22_counts_significant_digits():
    heaped = [{**row, **{code: round(row[code], -len(str(row[code])) + 2) for code in MONEY}} for row in crowd(20)]

    assert said(heaped)["X22"].severity == "critical"
    assert "X22" not in said(crowd(20))


@pytest.mark.parametrize(
    ("value", "few"), [(100, True), (120, True), (123, False), (1000, True), (99_000, True), (990_100, False)]
)
def test_digits_before_only_noughts_follow(value, few):
    assert significant_digits_at_most(np.array([float(value)]), 2)[0] == few


def test_x23_needs_forty_returns_of_twenty_persons():
    by_tens = [{**row, "UB01": 20 + 5 * (n % 9)} for n, row in enumerate(crowd(40))]
    counted = [{**row, "UB01": 20 + n} for n, row in enumerate(crowd(40))]

    assert said(by_tens)["X23"].numbers["index"] == 5
    assert "X23" not in said(by_tens[:39])
    assert "X23" not in said(counted)


def machinery(values, cluster=HERE):
    return [{**row, "UE01": value} for row, value in zip(crowd(len(values), cluster=cluster), values, strict=True)]


def test_x24_sees_a_crowd_below_the_limit_of_its_own_country_only():
    crowded = [9_500_000 + n for n in range(25)] + [10_500_000] * 3
    even = [9_500_000 + n for n in range(14)] + [10_500_000 + n for n in range(14)]

    assert said(machinery(crowded), country="IN")["X24"].numbers["below"] == 25
    assert "X24" not in said(machinery(crowded), country="PK")
    assert "X24" not in said(machinery(even), country="IN")
    assert "X24" not in said(machinery(crowded[:15]), country="IN")


@pytest.mark.parametrize(("share", "severity"), [(1.0, None), (0.7, "warn"), (0.45, "critical"), (2.5, "critical")])
def test_x25_holds_electricity_against_the_feeders(share, severity):
    rows = crowd(20)
    sold = sum(row["UD03"] for row in rows) / share
    spoke = said(rows, claims={"CLUSTER": {"CV02": sold}})

    assert (spoke["X25"].severity if "X25" in spoke else None) == severity
    if severity:
        assert spoke["X25"].numbers["ratio"] == pytest.approx(share, rel=1e-4)


def test_x25_is_weighted_up_to_the_frame():
    """Half of the frame answered: twice its electricity is what the feeders sold."""
    from dataclasses import replace

    from facts.checks.rules import load_rules
    from facts.checks.table import check_table
    from tests.facts.checks.firms import tables_of

    rows = crowd(20)
    tables = tables_of(rows, claims={"CLUSTER": {"CV02": 2 * sum(row["UD03"] for row in rows)}})
    silent = tables.frame.assign(frame_id=[f"silent-{n}" for n in range(20)])
    figures = cluster_figures(check_table(replace(tables, frame=pd.concat([tables.frame, silent])), 2026, load_rules()))

    assert figures.loc[HERE, "electricity_ratio"] == pytest.approx(1.0)


def test_x26_turns_exports_into_dollars():
    rows = crowd(20)
    customs = sum(row["UC02"] for row in rows) / 200.0  # rupees a dollar in the hand-made context

    assert "X26" not in said(rows, claims={"CLUSTER": {"CV01": customs}})
    assert said(rows, claims={"CLUSTER": {"CV01": customs * 2}})["X26"].severity == "warn"


def test_x27_and_x28_hold_claims_against_the_frame():
    rows = crowd(20)  # all say that they are members

    assert "X27" in said(rows, claims={"CLUSTER": {"CV03": 23}})
    assert "X27" not in said(rows, claims={"CLUSTER": {"CV03": 22}})
    assert "X28" in said(rows, claims={"ASSOCIATION": {"AB01": 15}})
    assert "X28" not in said(rows, claims={"ASSOCIATION": {"AB01": 17}})


def test_x29_needs_three_hundred_figures():
    nines = [{**row, **dict.fromkeys(MONEY, 9000000 + 137 * n)} for n, row in enumerate(crowd(60))]

    assert said(nines)["X29"].severity == "info"
    assert "X29" not in said(nines[:40])


def test_nothing_is_said_of_a_cluster_without_returns():
    asleep = table_of([{"cluster": HERE, "frame_id": "A", "UA01": 3}])

    assert cluster_findings(table_of([])).empty
    assert cluster_findings(asleep).empty
    assert cluster_figures(asleep).loc[HERE, ["copied_share", "heaping", "electricity_ratio"]].isna().all()


def counts(*rows):
    return pd.DataFrame(rows, columns=["worker", "returns", "doubtful"])


def test_x30_names_the_worker_whose_returns_are_doubtful():
    found = worker_findings(counts((None, 400, 20), (7, 40, 12), (8, 60, 3)), {"errors": 2.5, "least": 20})

    assert found["worker"].tolist() == [7]
    assert found["numbers"].iloc[0]["share"] == 0.3


def test_x30_does_not_judge_by_few_returns():
    assert worker_findings(counts((None, 400, 20), (7, 19, 12)), {"errors": 2.5, "least": 20}).empty


def test_x30_adds_up_a_worker_over_clusters():
    found = worker_findings(counts((None, 400, 20), (7, 10, 5), (7, 10, 5)), {"errors": 2.5, "least": 20})

    assert found["numbers"].iloc[0]["returns"] == 20


def test_doubtful_returns_are_counted_by_worker():
    heaped = dict.fromkeys(MONEY, 5000000)
    rows = [*crowd(5), firm("A", worker=7, **heaped), firm("B", worker=7, UC01=FIRM["UC01"] + 7)]
    found = doubtful_returns(table_of(rows))

    by_worker = {None if pd.isna(worker) else worker: (n, odd) for worker, n, odd in found.itertuples(index=False)}
    assert by_worker == {None: (5, 0), 7: (2, 1)}

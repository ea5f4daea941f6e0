"""Who answered: units of unknown eligibility, size classes, samples (framework §11.2 and §11.4)."""

import numpy as np
import pandas as pd
import pytest

from facts.indicators.coverage import coverage_by_size, coverage_of
from facts.indicators.tables import Tables


def tables(status, size=None, employment=None, **frame) -> Tables:
    """One cluster; status by frame unit, None = no accepted return."""
    ids = [f"u{n:02d}" for n in range(len(status))]
    rows = pd.DataFrame({"round": 2025, "cluster": "A", "frame_id": ids, "UA01": status})
    framed = {
        "round": 2025,
        "cluster": "A",
        "frame_id": ids,
        "size": size or [1] * len(ids),
        "prior_employment": employment or [5] * len(ids),
        "in_scope": True,
    }
    return Tables(
        units=rows.dropna(subset=["UA01"]).reset_index(drop=True),
        frame=pd.DataFrame(framed | frame),
        collective=pd.DataFrame(columns=["round", "schedule", "subject", "cluster", "region", "answers"]),
        context=pd.DataFrame(columns=["country", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]),
        clusters=pd.DataFrame({"code": ["A"], "country": "PK", "region": "", "sector": "", "fiscal_year_end_month": 6}),
    )


def test_of_the_silent_so_many_count_as_of_the_resolved_are_in_scope():
    """8 answered in scope, 2 have left it, 10 are silent: 8 of the 10 silent are taken for in scope."""
    row = coverage_of(tables([1] * 7 + [3] + [4, 5] + [None] * 10), 2025).loc["A"]

    assert (row["in_scope"], row["accepted"], row["operating"]) == (18, 8, 7)
    assert row["response_share"] == pytest.approx(8 / (8 + 10 * 0.8))


def test_where_nobody_answered_all_count_as_in_scope():
    row = coverage_of(tables([None] * 4), 2025).loc["A"]

    assert (row["response_share"], row["employment_share"]) == (0, 0)


def test_employment_counts_firms_by_their_size():
    row = coverage_of(tables([1, None], employment=[90, 10]), 2025).loc["A"]

    assert row["employment_share"] == pytest.approx(0.9)


def test_of_a_sample_only_the_drawn_count_and_by_what_they_stand_for():
    """Two large firms, both drawn; ten small ones, four drawn (design 2.5) of whom two answered, and a volunteer."""
    found = tables(
        [1, 1, 1, 1, None, None, 1] + [None] * 5,
        size=[4, 4] + [1] * 10,
        drawn=[True] * 6 + [False] * 6,
        design_weight=[1.0, 1.0] + [2.5] * 4 + [1.0] * 6,
        member=False,
    )
    row, by_size = coverage_of(found, 2025).loc["A"], coverage_by_size(found, 2025).loc["A"]

    assert (row["in_scope"], row["accepted"], row["operating"]) == (6, 4, 5)
    assert row["response_share"] == pytest.approx((2 + 5) / (2 + 10))
    assert by_size["response_share"].to_dict() == {1: 0.5, 4: 1.0}


def test_size_classes_add_up_to_the_cluster():
    found = tables([1, 1, None, 3, 4, None, 1], size=[1, 1, 1, 2, 2, 3, 3], employment=[2, 3, 4, 20, 30, 60, 90])
    row, by_size = coverage_of(found, 2025).loc["A"], coverage_by_size(found, 2025).loc["A"]

    assert by_size["in_scope"].to_dict() == {1: 3, 2: 1, 3: 2}
    assert by_size[["in_scope", "accepted"]].sum().tolist() == [row["in_scope"], row["accepted"]]
    assert by_size.loc[2, "response_share"] == 1
    assert not by_size["response_share"].isna().any()


def test_a_cluster_with_a_frame_in_another_round_only_has_no_share():
    late = tables([1])
    row = coverage_of(late, 2024).loc["A"]

    assert row["in_scope"] == 0
    assert np.isnan(row["response_share"])

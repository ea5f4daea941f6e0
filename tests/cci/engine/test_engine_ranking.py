"""Ranks: ties, tolerance, gaps, groups, and COINr's ranks inside groups."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine.ranking import TIES, rank, rank_within

cell = st.one_of(st.none(), st.integers(-4, 4).map(float))
columns = st.lists(st.tuples(cell, cell, st.sampled_from(["g", "h", None])), min_size=1, max_size=25)


def loop(scores: list[float], ties: str) -> list[float]:
    """Ranks from their definition."""
    found = []
    for one in scores:
        better = [s for s in scores if s > one]
        same = sum(s == one for s in scores)
        place = {"min": 1 + len(better), "dense": 1 + len(set(better)), "average": len(better) + (same + 1) / 2}
        found.append(np.nan if np.isnan(one) else place[ties])
    return found


@pytest.mark.parametrize("ties", TIES)
@settings(deadline=None, max_examples=25)
@given(rows=columns)
def test_ranks_within_groups_follow_their_definition(ties, rows):
    index = [f"U{i}" for i in range(len(rows))]
    scores = pd.DataFrame(np.array([row[:2] for row in rows], dtype=float), columns=["S", "T"], index=index)
    groups = pd.Series([row[2] for row in rows], index=index, dtype=object)

    ranks = rank_within(scores, groups.iloc[::-1], ties=ties)

    for group in (None, "g", "h"):
        units = groups.index[groups.isna() if group is None else groups == group]
        for column in scores:
            expected = [np.nan] * len(units) if group is None else loop(scores.loc[units, column].tolist(), ties)
            actual = ranks.loc[units, column].astype("Float64").to_numpy(float, na_value=np.nan)
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("ties", TIES)
@settings(deadline=None, max_examples=15)
@given(rows=columns, random=st.randoms(use_true_random=False))
def test_order_of_units_and_columns_beside_change_nothing(ties, rows, random):
    index = [f"U{i}" for i in range(len(rows))]
    scores = pd.DataFrame(np.array([row[:2] for row in rows], dtype=float), columns=["S", "T"], index=index)
    order = list(index)
    random.shuffle(order)

    ranks = rank(scores, ties=ties)

    pd.testing.assert_frame_equal(rank(scores.loc[order], ties=ties).loc[index], ranks)
    pd.testing.assert_frame_equal(rank(scores[["T"]], ties=ties), ranks[["T"]])


def test_ranks_within_a_group_are_those_of_coinr(asem):
    """COINr ranks raw doubles: one cell of 2,600, a tie split by rounding noise, differs by default."""
    expected = pd.read_csv(asem("a_example/08_ranks_within_EurAsia_group.csv")).set_index("uCode")
    scores = pd.read_csv(asem("a_example/07_aggregated_amean.csv")).set_index("uCode")
    groups = pd.read_csv(asem("inputs/iData.csv")).set_index("uCode")["EurAsia_group"]

    exact, tolerant = (rank_within(scores, groups, tolerance=tolerance) for tolerance in (0, 1e-9))

    expected = expected.loc[scores.index, scores.columns].astype("Int64")
    pd.testing.assert_frame_equal(exact, expected)
    different = (tolerant != expected).to_numpy()
    assert [(scores.index[i], scores.columns[j]) for i, j in np.argwhere(different)] == [("GRC", "TolMin")]


def test_rounding_noise_ties_and_real_differences_do_not():
    scores = pd.DataFrame({"T": [0.1 + 0.2, 0.3, 0.30000001, -0.3, -0.1 - 0.2, 0.0]})

    assert rank(scores)["T"].tolist() == [2, 2, 1, 5, 5, 4]
    assert rank(scores, tolerance=0)["T"].tolist() == [2, 3, 1, 5, 6, 4]


def test_an_infinite_score_is_tied_with_its_like_only():
    scores = pd.DataFrame({"T": [np.inf, 1e308, np.inf, -np.inf, None]})

    assert rank(scores)["T"].tolist()[:4] == [1, 3, 1, 4]


@pytest.mark.parametrize("ties", TIES)
def test_nothing_one_and_equal(ties):
    nothing = rank(pd.DataFrame({"T": [None, None]}, dtype=float), ties=ties)
    assert nothing["T"].isna().all()
    assert rank(pd.DataFrame({"T": [7.0]}), ties=ties)["T"].tolist() == [1]
    assert rank(pd.DataFrame({"T": [7.0] * 3}), ties=ties)["T"].tolist() == [2 if ties == "average" else 1] * 3
    assert rank(pd.DataFrame({"T": pd.Series([], dtype=float)}), ties=ties).shape == (0, 1)


def test_several_units_of_one_name_keep_their_places():
    """Units may stand at several times; groups given in their order need no labels."""
    scores = pd.DataFrame({"T": [1.0, 2.0, 3.0, 4.0]}, index=["A", "B", "A", "B"])

    assert rank_within(scores, pd.Index([2020, 2020, 2021, 2021]))["T"].tolist() == [2, 1, 2, 1]


def test_groups_that_do_not_fit_are_refused():
    scores = pd.DataFrame({"T": [1.0, 2.0]}, index=["A", "B"])

    with pytest.raises(ValueError, match="No group is given for B"):
        rank_within(scores, pd.Series({"A": "g"}))
    with pytest.raises(ValueError, match="2 units need 2 groups"):
        rank_within(scores, pd.Index(["g"]))
    with pytest.raises(ValueError, match="no rule for ties"):
        rank(scores, ties="max")

"""Outranking and Copeland: COINr's matrix, a loop over pairs, and what holds for every input."""

import importlib
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine import MetaError, read_meta
from cci.engine.aggregation import LevelRule, aggregate, copeland, dominance, outranking

CODES = list("abcd")
cell = st.one_of(st.none(), st.integers(0, 4).map(float))
matrices = st.integers(1, 9).flatmap(lambda n: st.lists(st.lists(cell, min_size=4, max_size=4), min_size=n, max_size=n))
weight_lists = st.lists(st.integers(0, 10).map(lambda n: n / 10), min_size=4, max_size=4).filter(any)
PILLARS = ["Physical", "ConEcFin", "Political", "Instit", "P2P", "Environ", "Social", "SusEcFin"]


def table(rows) -> pd.DataFrame:
    return pd.DataFrame(np.array(rows, dtype=float), columns=CODES, index=[f"U{i}" for i in range(len(rows))])


def named(weights) -> "pd.Series[float]":
    return pd.Series(dict(zip(CODES, weights, strict=True)))


def share(one, other, weights, *, pairwise: bool, earlier: bool) -> float:
    """o of a pair, written from the method note alone; exact, for the weights are tenths."""
    both = [(x, y, round(10 * w)) for x, y, w in zip(one, other, weights, strict=True) if x == x and y == y]
    won = sum(2 * w * (x > y) + w * (x == y) for x, y, w in both)
    if pairwise:
        common = sum(w for _, _, w in both)
        return won / (2 * common) if common else 0.5
    whole = sum(round(10 * w) for w in weights)
    if earlier:
        return won / (2 * whole)
    return 1 - sum(2 * w * (y > x) + w * (x == y) for x, y, w in both) / (2 * whole)


def test_shares_and_dominance_are_those_of_coinr(asem):
    scores = pd.read_csv(asem("a_example/07_aggregated_amean.csv")).set_index("uCode")[PILLARS]
    expected = pd.read_csv(asem("aggregation/outranking_matrix_8pillars_equal.csv")).set_index("uCode")

    shares = outranking(scores, pd.Series(1.0, index=PILLARS))

    np.testing.assert_allclose(shares.loc[expected.index, expected.columns], expected, rtol=1e-12, atol=1e-12)
    counted = pd.read_csv(asem("aggregation/outranking_dominance_8pillars.csv")).iloc[0]
    assert dominance(shares) == (counted["nDominant"], pytest.approx(counted["fracDominant"]))


@pytest.mark.parametrize("pairwise", [True, False])
@settings(deadline=None, max_examples=40)
@given(rows=matrices, weights=weight_lists)
def test_shares_and_scores_agree_with_a_loop_over_pairs(pairwise, rows, weights):
    values = table(rows)

    shares = outranking(values, named(weights), pairwise=pairwise)
    scores = copeland(values, named(weights), pairwise=pairwise)

    cells, n = values.to_numpy().tolist(), len(values)
    expected = np.zeros((n, n))
    for i in range(n):
        for h in range(n):
            if i != h:
                expected[i, h] = share(cells[i], cells[h], weights, pairwise=pairwise, earlier=i < h)
    np.testing.assert_allclose(shares, expected, atol=1e-12)
    for i, unit in enumerate(values.index):
        nothing = all(x != x or w == 0 for x, w in zip(cells[i], weights, strict=True))
        others = [expected[i, h] for h in range(n) if h != i]
        won = sum(o > 0.5 + 1e-9 for o in others) - sum(o < 0.5 - 1e-9 for o in others)
        assert math.isnan(scores[unit]) if nothing else scores[unit] == won


@settings(deadline=None, max_examples=25)
@given(rows=matrices, weights=weight_lists, random=st.randoms(use_true_random=False), factor=st.floats(1e-3, 1e3))
def test_order_and_scale_of_weights_change_no_score(rows, weights, random, factor):
    values, order = table(rows), list(range(len(rows)))
    random.shuffle(order)

    first = copeland(values, named(weights))

    pd.testing.assert_series_equal(copeland(values.iloc[order], named(weights)).loc[values.index], first)
    pd.testing.assert_series_equal(copeland(values[CODES[::-1]], named(weights)), first)
    pd.testing.assert_series_equal(copeland(values, named(weights) * factor), first)


@settings(deadline=None, max_examples=25)
@given(rows=matrices, weights=weight_lists, code=st.sampled_from(CODES), gain=st.integers(0, 5))
def test_a_better_component_never_lowers_the_own_nor_lifts_another_score(rows, weights, code, gain):
    values = table(rows)
    better = values.copy()
    better.iloc[0, CODES.index(code)] += gain

    before, after = copeland(values, named(weights)).fillna(0), copeland(better, named(weights)).fillna(0)

    assert after.iloc[0] >= before.iloc[0]
    assert (after.iloc[1:] <= before.iloc[1:]).all()


@settings(deadline=None, max_examples=25)
@given(rows=matrices, weights=weight_lists)
def test_wins_and_losses_balance(rows, weights):
    values = table(rows)

    shares = outranking(values, named(weights)).to_numpy()
    scores = copeland(values, named(weights))

    assert scores.sum() == 0
    assert (shares + shares.T)[~np.eye(len(values), dtype=bool)] == pytest.approx(1)


def test_sums_of_weights_that_are_not_exact_make_a_draw():
    values = table([[1, 0, 0, 0], [0, 1, 1, 0]])
    weights = named([0.3, 0.1, 0.2, 0.0])  # 0.1 + 0.2 is not 0.3

    assert copeland(values, weights).tolist() == [0, 0]
    assert copeland(values, weights, tolerance=0).tolist() != [0, 0]


def test_what_cannot_be_compared_counts_for_nobody():
    """COINr counts it for whoever stands later in the table."""
    values = table([[2, None, None, None], [None, 1, 1, 1]])

    assert copeland(values, named([1, 1, 1, 1])).tolist() == [0, 0]
    assert copeland(values, named([1, 1, 1, 1]), pairwise=False).tolist() == [-1, 1]


def test_the_size_of_blocks_changes_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    values = table(np.where(rng.random((150, 4)) < 0.1, np.nan, rng.integers(0, 20, (150, 4))))
    weights = named([0.1, 0.2, 0.3, 0.4])
    module = importlib.import_module("cci.engine.aggregation.outranking")
    whole = copeland(values, weights), copeland(values, weights, pairwise=False), outranking(values, weights)

    for block in (1, 150, 1000):
        monkeypatch.setattr(module, "BLOCK", block)
        pd.testing.assert_series_equal(copeland(values, weights), whole[0])
        pd.testing.assert_series_equal(copeland(values, weights, pairwise=False), whole[1])
        pd.testing.assert_frame_equal(outranking(values, weights), whole[2])


def test_units_of_one_time_are_compared_among_themselves():
    meta = pd.DataFrame({"Level": [1, 2], "iCode": ["a", "T"], "Parent": ["T", ""], "Direction": 1, "Weight": 1})
    index = pd.MultiIndex.from_tuples([("A", 2020), ("A", 2021), ("B", 2020), ("B", 2021)], names=["uCode", "Time"])

    scores = aggregate(pd.DataFrame({"a": [1.0, 9.0, 2.0, 8.0]}, index=index), read_meta(meta), [LevelRule("copeland")])

    assert scores["T"].tolist() == [-1, 1, 1, -1]


def test_units_below_the_limit_have_no_score_and_count_for_nobody():
    tree = read_meta(
        pd.DataFrame(
            {"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""], "Direction": 1, "Weight": 1}
        )
    )
    values = pd.DataFrame({"a": [1.0, 2.0, 9.0], "b": [1.0, 2.0, None]}, index=list("XYZ"))

    scores = aggregate(values, tree, [LevelRule("copeland")])["T"]

    assert scores.iloc[:2].tolist() == [-1, 1]
    assert math.isnan(scores["Z"])


def test_one_unit_beats_nobody_and_weights_are_checked():
    assert copeland(table([[1, 2, 3, 4]]), named([1, 1, 1, 1])).tolist() == [0]
    assert dominance(outranking(table([[1, 2, 3, 4]]), named([1, 1, 1, 1]))) == (0, 0.0)
    with pytest.raises(MetaError, match="sum to 0"):
        copeland(table([[1, 2, 3, 4]]), named([0, 0, 0, 0]))

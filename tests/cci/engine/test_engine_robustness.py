"""Leaving out one element, and doing otherwise: COINr's figures, and removal recomputed from a smaller tree."""

import numpy as np
import pandas as pd
import pytest

from cci.engine.aggregation import LevelRule, aggregate
from cci.engine.errors import DataError
from cci.engine.meta import read_meta
from cci.engine.normalisation import min_max
from cci.engine.robustness import alternatives, removal

OPEN = LevelRule(min_available=0)


def read(path):
    return pd.read_csv(path, dtype={"uCode": str}).set_index("uCode")


@pytest.fixture
def tree(asem):
    return read_meta(pd.read_csv(asem("inputs/iMeta.csv"), keep_default_na=False))


def meta_of(*rows):
    return pd.DataFrame(rows, columns=["Level", "iCode", "Parent", "Direction", "Weight"])


SMALL = meta_of(
    (1, "a", "P", 1, 1),
    (1, "b", "P", 1, 2),
    (1, "c", "Q", 1, 1),
    (2, "P", "T", 1, 1),
    (2, "Q", "T", 1, 1),
    (3, "T", "", 1, 1),
)


def values(n=12, *, missing=0.0):
    rng = np.random.default_rng(4)
    table = rng.uniform(1, 100, size=(n, 3))
    table[rng.random((n, 3)) < missing] = np.nan
    return pd.DataFrame(table, index=pd.Index([f"u{i:02}" for i in range(n)], name="uCode"), columns=list("abc"))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_removal_gives_the_figures_of_coinr(asem, tree, level):
    expected = pd.read_csv(asem(f"robustness/remove_level{level}_mean_abs_rank_diff.csv")).set_index("removed")
    expected = expected["MeanAbsRankDiff"].drop("Nominal")
    normalised = read(asem("a_example/06_normalised.csv"))

    found = removal(normalised, tree, [OPEN] * 3, elements=tree.at_level(level), tolerance=0)

    figures = found.summary.set_index("element")
    np.testing.assert_allclose(figures.loc[expected.index, "mean_abs_rank_change"], expected, rtol=1e-12)
    if level > 1:
        scores = read(asem(f"robustness/remove_level{level}_scores.csv"))
        np.testing.assert_allclose(found.scores.loc[scores.index, scores.columns], scores, rtol=1e-9)


def test_versions_side_by_side_are_those_of_coinr(asem, tree):
    treated = read(asem("a_example/05_treated.csv"))[list(tree.indicators)]
    oriented = treated * tree.directions[treated.columns]
    versions = {
        "minmax": aggregate(min_max(treated, directions=tree.directions), tree, [OPEN] * 3)["Index"],
        "prank": aggregate((oriented.rank(method="min") - 1) / 50, tree, [OPEN] * 3)["Index"],
    }
    ranks = read(asem("robustness/compare_minmax_vs_prank_ranks.csv"))
    scores = read(asem("robustness/compare_minmax_vs_prank_scores.csv"))

    found = alternatives(versions, tolerance=0)

    np.testing.assert_allclose(pd.DataFrame(versions).loc[scores.index], scores[["coin.1", "coin.2"]], rtol=1e-9)
    assert found.ranks.loc[ranks.index].to_numpy().tolist() == ranks[["coin.1", "coin.2"]].to_numpy().tolist()
    assert found.changes.loc[ranks.index, "prank"].tolist() == ranks["Diff"].tolist()
    row = found.agreement.iloc[0]
    assert row["mean_abs_rank_change"] == pytest.approx(ranks["Abs.diff"].mean())
    assert row["max_abs_rank_change"] == ranks["Abs.diff"].max()
    assert row["n_moved"] == (ranks["Diff"] != 0).sum()
    assert row["kendall"] == pytest.approx(pd.DataFrame(versions).corr("kendall").iloc[0, 1])
    assert row["spearman"] == pytest.approx(pd.DataFrame(versions).corr("spearman").iloc[0, 1])


def test_removing_an_element_is_the_index_without_it():
    tree, table = read_meta(SMALL), values(missing=0.2)

    found = removal(table, tree, [OPEN] * 2)

    without_a = aggregate(table, read_meta(SMALL[SMALL["iCode"] != "a"]), [OPEN] * 2)["T"]
    without_q = aggregate(table, read_meta(SMALL[~SMALL["iCode"].isin(["c", "Q"])]), [OPEN] * 2)["T"]
    np.testing.assert_allclose(found.scores["a"], without_a)
    np.testing.assert_allclose(found.scores["Q"], without_q)


def test_the_only_component_goes_with_its_group():
    found = removal(values(), read_meta(SMALL), [LevelRule()] * 2)

    figures = found.summary.set_index("element")
    assert figures["removed"].to_dict() == {"a": "a", "b": "b", "c": "Q", "P": "P", "Q": "Q"}
    pd.testing.assert_series_equal(found.scores["c"], found.scores["Q"], check_names=False)


def test_the_only_way_to_the_top_cannot_be_removed():
    lone = meta_of((1, "a", "P", 1, 1), (1, "b", "P", 1, 1), (2, "P", "T", 1, 1), (3, "T", "", 1, 1))

    found = removal(values()[["a", "b"]], read_meta(lone), [LevelRule()] * 2).summary.set_index("element")

    assert found.loc["P", "removed"] == ""
    assert found.loc["P", "n_lost"] == 12
    assert np.isnan(found.loc["P", "mean_abs_rank_change"])


def test_units_that_lose_their_score_are_counted_and_move_nobody():
    table = pd.DataFrame(
        {"a": [90.0, 10.0, 50.0], "b": [np.nan, 20.0, 40.0], "c": [np.nan, 30.0, 60.0]}, index=list("XYZ")
    )

    found = removal(table, read_meta(SMALL), [OPEN] * 2, elements=["a"]).summary.iloc[0]

    assert (found["n_lost"], found["n_moved"], found["max_abs_rank_change"]) == (1, 0, 0)


def test_an_element_without_weight_moves_nobody():
    meta = SMALL.assign(Weight=[0, 2, 1, 1, 1, 1])

    found = removal(values(), read_meta(meta), [LevelRule()] * 2, elements=["a"]).summary.iloc[0]

    assert (found["n_moved"], found["moved_most"], found["spearman"]) == (0, "", 1.0)


def test_the_order_of_rows_changes_no_digit():
    tree, table = read_meta(SMALL), values(missing=0.2)

    first = removal(table, tree, [OPEN] * 2)
    second = removal(table.sample(frac=1, random_state=1), tree, [OPEN] * 2)

    pd.testing.assert_frame_equal(first.summary, second.summary, check_exact=True)
    pd.testing.assert_frame_equal(first.ranks, second.ranks, check_exact=True)


def test_a_lower_aggregate_can_be_watched():
    found = removal(values(), read_meta(SMALL), [LevelRule()] * 2, target="P")

    assert list(found.summary["element"]) == ["a", "b"]
    np.testing.assert_allclose(found.scores["a"], values()["b"])


def test_what_is_not_there_is_refused_by_name():
    tree = read_meta(SMALL)

    with pytest.raises(ValueError, match="no aggregate R; name one of P, Q, T"):
        removal(values(), tree, [LevelRule()] * 2, target="R")
    with pytest.raises(ValueError, match="Not below P: c"):
        removal(values(), tree, [LevelRule()] * 2, target="P", elements=["c"])


def test_versions_are_compared_over_the_units_they_share():
    first = pd.Series({"W": 9.0, "X": 8.0, "Y": 7.0, "Z": 6.0})
    second = pd.Series({"X": 1.0, "Y": 2.0, "Z": np.nan, "V": 3.0})

    found = alternatives({"first": first, "second": second})

    assert found.agreement.loc[0, ["n_common", "n_moved", "max_abs_rank_change"]].tolist() == [2, 2, 1.0]
    assert found.changes["second"].dropna().to_dict() == {"X": -1, "Y": 1}


def test_a_unit_that_stands_twice_is_refused():
    scores = pd.Series([1.0, 2.0], index=["X", "X"])

    with pytest.raises(DataError, match="unit X stands twice"):
        alternatives({"a": scores, "b": scores})

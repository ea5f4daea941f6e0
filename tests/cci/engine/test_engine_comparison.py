"""Two editions: movements, parts of a rank change that add up, and a score's change shared out in full."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine.aggregation import LevelRule, aggregate
from cci.engine.comparison import Edition, attribute_score_change, compare, decompose_rank_change, decompose_ranks
from cci.engine.errors import DataError
from cci.engine.meta import read_meta
from cci.engine.ranking import rank

PARTS = ["leavers", "performance", "framework", "entrants"]


def meta(*rows):
    return read_meta(pd.DataFrame(rows, columns=["Level", "iCode", "Parent", "Direction", "Weight"]))


def tree(weights=(1, 1, 1, 1, 1, 1)):
    a, b, c, d, p, q = weights
    return meta(
        (1, "a", "P", 1, a),
        (1, "b", "P", 1, b),
        (1, "c", "Q", 1, c),
        (1, "d", "Q", 1, d),
        (2, "P", "T", 1, p),
        (2, "Q", "T", 1, q),
        (3, "T", "", 1, 1),
    )


def table(seed, *, n=15, columns="abcd", missing=0.0, first=0):
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 100, size=(n, len(columns)))
    values[rng.random(values.shape) < missing] = np.nan
    return pd.DataFrame(values, index=[f"u{i:02}" for i in range(first, first + n)], columns=list(columns))


def edition(values, hierarchy, *rules):
    rules = rules or (LevelRule(min_available=0),) * (hierarchy.top_level - 1)
    return Edition(values, aggregate(values, hierarchy, rules), hierarchy, rules)


def min_max_score(tables, hierarchies):
    """A real index: scaled by the units that are asked for, so who is among them matters."""

    def score(framework, data, units):
        hierarchy = hierarchies[framework]
        values = tables[data].loc[units, list(hierarchy.indicators)]
        scaled = (values - values.min()) / (values.max() - values.min())
        return aggregate(scaled, hierarchy, [LevelRule(min_available=0)] * 2)["T"]

    return score


# Movements


def test_the_signs_and_gaps_of_a_comparison():
    editions = {
        "2023": pd.Series({"V": 90.0, "W": 80.0, "X": 70.0, "Y": np.nan}),
        "2024": pd.Series({"W": 60.0, "X": 70.0, "Y": 50.0, "Z": 90.0}),
    }

    found = compare(editions).set_index("uCode")

    assert found["status"].to_dict() == {"V": "left", "W": "both", "X": "both", "Y": "unranked", "Z": "entered"}
    assert found["rank_change"].dropna().to_dict() == {"W": -1, "X": 1}
    assert found["score_change"].dropna().to_dict() == {"W": -20.0, "X": 0.0}
    assert set(found["n_from"]) == {3}
    assert set(found["n_to"]) == {4}


def test_a_move_inside_both_intervals_is_no_movement():
    before, after = pd.Series({"X": 3.0, "Y": 2.0, "Z": 1.0}), pd.Series({"X": 2.0, "Y": 3.0, "Z": 1.0})
    wide = pd.DataFrame({"low": [1, 1, 3], "high": [2, 2, 3]}, index=list("XYZ"))
    narrow = pd.DataFrame({"low": [1, 2, 3], "high": [2, 2, 3]}, index=list("XYZ"))

    def movements(**intervals):
        return list(compare({"a": before, "b": after}, intervals=intervals)["movement"])

    assert movements() == ["down", "up", "unchanged"]
    assert movements(a=wide, b=wide) == ["none", "none", "unchanged"]
    assert movements(a=narrow, b=wide) == ["none", "up", "unchanged"]
    assert movements(a=wide) == ["down", "up", "unchanged"]


def test_each_edition_is_compared_with_the_next():
    scores = {year: pd.Series({"X": float(i), "Y": 1.5}) for i, year in enumerate(["2022", "2023", "2024"])}

    found = compare(scores)

    assert list(found[["from", "to"]].drop_duplicates().itertuples(index=False, name=None)) == [
        ("2022", "2023"),
        ("2023", "2024"),
    ]
    assert found.loc[found["uCode"] == "X", "movement"].tolist() == ["unchanged", "up"]


def test_one_edition_is_no_comparison_and_no_unit_stands_twice():
    with pytest.raises(ValueError, match="at least two editions"):
        compare({"a": pd.Series({"X": 1.0})})
    with pytest.raises(DataError, match="unit X stands twice"):
        compare({"a": pd.Series([1.0, 2.0], index=["X", "X"]), "b": pd.Series({"X": 1.0})})


# Parts of a rank change


@pytest.mark.parametrize("order", ["chain", "shapley"])
@pytest.mark.parametrize("missing", [0.0, 0.15])
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_the_parts_add_up_exactly(order, missing, seed):
    tables = {"old": table(seed, missing=missing), "new": table(seed + 1, missing=missing, first=3)}
    score = min_max_score(tables, {"old": tree(), "new": tree((3, 1, 1, 5, 1, 2))})

    found = decompose_rank_change(
        score, old_units=tables["old"].index, new_units=tables["new"].index, order=order
    ).set_index("uCode")

    both = found[found["status"] == "both"]
    assert len(both)
    assert (both[PARTS].sum(axis=1) == both["rank_change"]).all()
    old = rank(score("old", "old", tables["old"].index).to_frame())["T"]
    new = rank(score("new", "new", tables["new"].index).to_frame())["T"]
    for unit, row in both.iterrows():
        assert (row["rank_from"], row["rank_to"]) == (old[unit], new[unit])
    assert found.loc[found["status"] != "both", PARTS].isna().all(axis=None)


def test_what_did_not_change_has_no_part():
    values = table(1)
    same = {"old": tree(), "new": tree()}
    score = min_max_score({"old": values, "new": values}, same)

    still = decompose_rank_change(score, old_units=values.index, new_units=values.index)
    left = decompose_rank_change(score, old_units=values.index, new_units=values.index[2:]).dropna()

    assert (still[PARTS] == 0).all(axis=None)
    assert (left[["performance", "framework", "entrants"]] == 0).all(axis=None)
    assert (left["leavers"] != 0).any()


def test_the_average_of_the_orders_treats_data_and_framework_alike():
    """Swapping which factor is called which swaps the parts, where nobody enters or leaves."""
    tables = {"old": table(1), "new": table(2)}
    trees = {"old": tree(), "new": tree((9, 1, 1, 5, 1, 4))}
    units = tables["old"].index
    score = min_max_score(tables, trees)

    found = decompose_rank_change(score, old_units=units, new_units=units)
    swapped = decompose_rank_change(lambda f, d, u: score(d, f, u), old_units=units, new_units=units)

    assert found["performance"].tolist() == swapped["framework"].tolist()
    assert found["framework"].tolist() == swapped["performance"].tolist()


def test_known_ranks_give_the_chain():
    tables = {"old": table(5), "new": table(6, first=2)}
    score = min_max_score(tables, {"old": tree(), "new": tree((3, 1, 1, 5, 1, 2))})
    old, new = tables["old"].index, tables["new"].index
    common = old.intersection(new)

    def ranks(framework, data, units):
        return rank(score(framework, data, units).to_frame())["T"]

    found = decompose_ranks(
        ranks("old", "old", old), ranks("old", "new", common), ranks("new", "new", common), ranks("new", "new", new)
    )

    chain = decompose_rank_change(score, old_units=old, new_units=new, order="chain")
    pd.testing.assert_frame_equal(found[["uCode", "rank_change", "status"]], chain[["uCode", "rank_change", "status"]])
    pd.testing.assert_frame_equal(found[["framework", "entrants"]], chain[["framework", "entrants"]])
    both = found[found["status"] == "both"]
    assert (both[PARTS].sum(axis=1) == both["rank_change"]).all()


def test_a_unit_without_a_score_on_the_way_is_named_as_such():
    r = pd.Series({"X": 1.0, "Y": 2.0})

    found = decompose_ranks(r, r, pd.Series({"X": 1.0, "Y": np.nan}), r).set_index("uCode")

    assert found["status"].to_dict() == {"X": "both", "Y": "no score"}
    assert found.loc["Y", PARTS].isna().all()


def test_a_score_that_leaves_units_out_is_refused():
    units = pd.Index(["X", "Y"])

    with pytest.raises(ValueError, match="gave no row for unit Y"):
        decompose_rank_change(lambda f, d, u: pd.Series({"X": 1.0}), old_units=units, new_units=units)
    with pytest.raises(ValueError, match="'any' is no order; choose chain, shapley"):
        decompose_rank_change(lambda f, d, u: pd.Series(1.0, u), old_units=units, new_units=units, order="any")


# Shares in a change of score

RULES = {
    "arithmetic": [LevelRule(min_available=0.5)] * 2,
    "geometric": [LevelRule("geometric_mean", min_available=0.5)] * 2,
    "harmonic": [LevelRule("harmonic_mean", min_available=0.5)] * 2,
    "power": [LevelRule("generalised_mean", min_available=0.5, power=-2.0)] * 2,
    "square": [LevelRule("generalised_mean", min_available=0.5, power=2.0)] * 2,
    "mixed": [LevelRule(min_available=0.5), LevelRule("geometric_mean", min_available=0.5, floor=40.0)],
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_the_shares_add_up_to_the_change(rules, seed):
    old = edition(table(seed, missing=0.1), tree(), *rules)
    new = edition(table(seed + 1, missing=0.1, first=2), tree((3, 1, 0, 5, 1, 2)), *rules)

    found = attribute_score_change(old, new)

    change = (new.scores["T"] - old.scores["T"]).dropna()
    assert len(change)
    total = found.values.sum(axis=1) + found.weights.sum(axis=1)
    np.testing.assert_allclose(total[change.index], change, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.change[change.index], change)
    missing = found.change.isna()
    assert found.values[missing].isna().all(axis=None)


def test_with_equal_weights_a_share_is_effective_weight_times_change():
    old, new = table(1), table(2)

    found = attribute_score_change(edition(old, tree((1, 3, 1, 1, 1, 3))), edition(new, tree((1, 3, 1, 1, 1, 3))))

    expected = (new - old) * [1 / 16, 3 / 16, 3 / 8, 3 / 8]
    np.testing.assert_allclose(found.values[list("abcd")], expected)
    np.testing.assert_allclose(found.weights, 0, atol=1e-12)


def test_a_geometric_mean_is_shared_out_in_logarithms():
    rules = [LevelRule("geometric_mean")] * 2
    old, new = table(1), table(2)

    found = attribute_score_change(edition(old, tree(), *rules), edition(new, tree(), *rules))

    logs = (np.log(new) - np.log(old)) / 4
    np.testing.assert_allclose(
        found.values[list("abcd")].div(found.change, axis=0), logs.div(logs.sum(axis=1), axis=0), rtol=1e-9
    )


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_close_editions_lose_no_digits(rules):
    values = table(3) + 50
    nearly = values * (1 + 1e-13 * np.arange(4)) + [1e-9, -1e-9, 0, 3.0]

    found = attribute_score_change(edition(values, tree(), *rules), edition(nearly, tree(), *rules))

    np.testing.assert_allclose(found.values.sum(axis=1) + found.weights.sum(axis=1), found.change, atol=1e-11)
    np.testing.assert_allclose(found.values["c"], 0, atol=1e-8)


def test_new_and_lost_indicators_are_changes_of_weight():
    wider = meta(
        *((1, code, "P" if code in "ab" else "Q", 1, 1) for code in "abce"),
        (2, "P", "T", 1, 1),
        (2, "Q", "T", 1, 1),
        (3, "T", "", 1, 1),
    )
    values = table(1)
    old, new = edition(values, tree()), edition(values.rename(columns={"d": "e"}), wider)

    found = attribute_score_change(old, new)

    assert (found.values[list("abc")] == 0).all(axis=None)
    assert (found.values[["d", "e"]] == 0).all(axis=None)
    np.testing.assert_allclose(found.weights["d"] + found.weights["e"], 0, atol=1e-12)
    assert (found.weights["d"].abs() > 1e-6).any()


def test_an_indicator_that_changed_its_group_is_followed():
    moved = meta(
        *((1, code, "P" if code in "abc" else "Q", 1, 1) for code in "abcd"),
        (2, "P", "T", 1, 1),
        (2, "Q", "T", 1, 1),
        (3, "T", "", 1, 1),
    )
    old, new = edition(table(1), tree()), edition(table(2), moved)

    found = attribute_score_change(old, new)

    np.testing.assert_allclose(found.values.sum(axis=1) + found.weights.sum(axis=1), found.change, atol=1e-10)


def test_more_weight_on_a_better_component_raises_the_score():
    values = pd.DataFrame({"a": [90.0], "b": [10.0], "c": [50.0], "d": [50.0]}, index=["X"])

    found = attribute_score_change(edition(values, tree()), edition(values, tree((3, 1, 1, 1, 1, 1))))

    assert found.weights.loc["X", "a"] > 0
    assert found.weights.loc["X", "b"] > 0  # less weight on what is below the group's level
    assert found.change["X"] == pytest.approx(10)


def test_what_cannot_be_shared_out_is_refused_by_name():
    median = edition(table(1), tree(), LevelRule("median"), LevelRule())
    with pytest.raises(ValueError, match="P is made by median"):
        attribute_score_change(median, median)

    other = edition(table(1), tree(), LevelRule(), LevelRule("geometric_mean"))
    with pytest.raises(ValueError, match="T is made otherwise in the two editions"):
        attribute_score_change(edition(table(1), tree()), other)

    with pytest.raises(ValueError, match="no aggregate R; name a score of both"):
        attribute_score_change(other, other, target="R")

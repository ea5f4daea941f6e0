"""Aggregation against COINr's results, against plain loops, and what must hold for every input."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine import MetaError, NonPositiveError, read_meta
from cci.engine.aggregation import (
    METHODS,
    LevelRule,
    aggregate,
    arithmetic_mean,
    coverage,
    enough,
    generalised_mean,
    geometric_mean,
    harmonic_mean,
    mazziotta_pareto,
    median,
)
from cci.engine.ranking import rank
from cci.engine.weighting import with_weights

META = pd.DataFrame(
    {
        "Level": [1, 1, 1, 1, 1, 2, 2, 3],
        "iCode": ["a", "b", "c", "d", "e", "P", "Q", "T"],
        "Parent": ["P", "P", "P", "Q", "Q", "T", "T", ""],
        "Direction": [1, -1, 1, 1, -1, 1, 1, 1],
        "Weight": [1, 2, 0.5, 1, 3, 0.4, 0.6, 1],
    }
)
TREE = read_meta(META)
CODES = list("abcde")
# What the other units have decides here, and the score has a scale of its own.
AMONG_UNITS = ("copeland", "benefit_of_doubt")
MONOTONE = [method for method in METHODS if method not in ("mazziotta_pareto", *AMONG_UNITS)]
cell = st.one_of(st.none(), st.integers(4, 400).map(lambda n: n / 4))
matrices = st.integers(1, 7).flatmap(lambda n: st.lists(st.lists(cell, min_size=5, max_size=5), min_size=n, max_size=n))
weight_lists = st.lists(st.integers(0, 8).map(lambda n: n / 4), min_size=5, max_size=5).filter(any)


def read(path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"uCode": str}).set_index("uCode")


def table(rows) -> pd.DataFrame:
    return pd.DataFrame(np.array(rows, dtype=float), columns=CODES, index=[f"U{i}" for i in range(len(rows))])


def rules(method, steps=2, **options) -> list[LevelRule]:
    return [LevelRule(method, **{"min_available": 0.0, "power": -0.5, "floor": 1.0, **options})] * steps


def hierarchy(asem, weights: str = "equal"):
    meta = pd.read_csv(asem("inputs/iMeta.csv"))
    if weights == "unequal":
        unequal = pd.read_csv(asem("aggregation/weights_unequal.csv")).set_index("iCode")["Weight"]
        meta = meta.assign(Weight=meta["iCode"].map(unequal))
    return read_meta(meta)


def compare(scores: pd.DataFrame, expected: pd.DataFrame) -> None:
    columns = [code for code in expected.columns if code in scores.columns]
    assert len(columns) == len(scores.columns)
    np.testing.assert_allclose(
        scores[columns].to_numpy(), expected.loc[scores.index, columns].to_numpy(), rtol=1e-9, atol=1e-12
    )


def compare_ranks(scores: pd.DataFrame, expected: pd.DataFrame, **options) -> None:
    ranks = rank(scores, **options)
    pd.testing.assert_frame_equal(ranks, expected.loc[ranks.index, ranks.columns].astype("Int64"))


A, G, H, C = "arithmetic_mean", "geometric_mean", "harmonic_mean", "copeland"
FILES = [
    ("amean", [A] * 3, {}),
    ("gmean", [G] * 3, {}),
    ("hmean", [H] * 3, {}),
    ("genmean_p0.5", ["generalised_mean"] * 3, {"power": 0.5}),
    ("genmean_pminus2", ["generalised_mean"] * 3, {"power": -2.0}),
    ("amean_amean_gmean", [A, A, G], {}),
    ("copeland_all_levels", [C] * 3, {}),
    ("amean_amean_copeland", [A, A, C], {}),
    ("amean_unequal_w", [A] * 3, {}),
    ("gmean_unequal_w", [G] * 3, {}),
    ("hmean_unequal_w", [H] * 3, {}),
]


@pytest.mark.parametrize(("file", "methods", "options"), FILES)
def test_scores_and_ranks_are_those_of_coinr(asem, file, methods, options):
    tree = hierarchy(asem, "unequal" if file.endswith("unequal_w") else "equal")
    normalised = read(asem("a_example/06_normalised_1_100.csv"))

    scores = aggregate(normalised, tree, [LevelRule(method, **options) for method in methods])

    expected = read(asem(f"aggregation/{file}.csv"))
    compare(scores, expected)
    compare_ranks(scores, read(asem(f"aggregation/{file}_ranks.csv")))
    pd.testing.assert_series_equal(rank(expected)["Index"], rank(scores)["Index"].loc[expected.index], check_exact=True)


@pytest.mark.parametrize("limit", ["none", "0.75", "0.9"])
@pytest.mark.parametrize(("name", "method"), [("amean", A), ("gmean", G), ("hmean", H)])
@pytest.mark.parametrize("exact_counts", [True, False])
def test_limits_on_what_may_be_missing_are_those_of_coinr(asem, limit, name, method, exact_counts):
    normalised = read(asem("missing/normalised_1_100_with_na.csv"))
    rule = LevelRule(method, min_available=0 if limit == "none" else float(limit))

    scores = aggregate(normalised, hierarchy(asem), [rule] * 3, exact_counts=exact_counts)

    compare(scores, read(asem(f"missing/a_{name}_thresh_{limit}.csv")))
    compare_ranks(scores, read(asem(f"missing/a_{name}_thresh_{limit}_ranks.csv")))


def test_the_example_index_is_that_of_coinr(asem):
    normalised = read(asem("a_example/06_normalised.csv"))

    scores = aggregate(normalised, hierarchy(asem), [LevelRule()] * 3)

    compare(scores, read(asem("a_example/07_aggregated_amean.csv")))
    compare_ranks(scores, read(asem("a_example/08_ranks_amean.csv")))
    printed = read(asem("a_example/08_results_table_rounded2.csv"))
    assert (scores["Index"].round(2) == printed["Index"].loc[scores.index]).all()
    assert (rank(scores)["Index"] == printed["Rank"].loc[scores.index]).all()


@pytest.mark.parametrize("level", [2, 3])
def test_an_element_without_weight_is_as_removed(asem, level):
    normalised, tree = read(asem("a_example/06_normalised.csv")), hierarchy(asem)
    expected = read(asem(f"robustness/remove_level{level}_scores.csv"))

    removed = {
        code: aggregate(normalised, with_weights(tree, {code: 0.0}), [LevelRule()] * 3)["Index"]
        for code in tree.at_level(level)
    }

    assert set(expected.columns) == {"Nominal", *removed}
    np.testing.assert_allclose(pd.DataFrame(removed).to_numpy(), expected[list(removed)].to_numpy(), rtol=1e-9)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_mean_rank_change_by_removal_is_that_of_coinr(asem, level):
    normalised, tree = read(asem("a_example/06_normalised.csv")), hierarchy(asem)
    expected = pd.read_csv(asem(f"robustness/remove_level{level}_mean_abs_rank_diff.csv")).set_index("removed")
    nominal = rank(aggregate(normalised, tree, [LevelRule()] * 3))["Index"]

    for code in tree.at_level(level):
        scores = aggregate(normalised, with_weights(tree, {code: 0.0}), [LevelRule()] * 3)

        change = (rank(scores)["Index"] - nominal).abs().mean()
        assert change == pytest.approx(expected.loc[code, "MeanAbsRankDiff"], rel=1e-12)


def loop(z: list[float], w: list[float], method: str, power: float, sign: int) -> float:
    """One unit, written from the method note alone."""
    pairs = [(value, weight) for value, weight in zip(z, w, strict=True) if not math.isnan(value) and weight > 0]
    if not pairs:
        return math.nan
    total = sum(weight for _, weight in pairs)
    mean = sum(weight * value for value, weight in pairs) / total
    if method == "arithmetic_mean":
        return mean
    if method == "geometric_mean" or (method == "generalised_mean" and power == 0):
        return math.prod(value ** (weight / total) for value, weight in pairs)
    if method == "harmonic_mean":
        return total / sum(weight / value for value, weight in pairs)
    if method == "generalised_mean":
        return (sum(weight * value**power for value, weight in pairs) / total) ** (1 / power)
    if method == "mazziotta_pareto":
        variance = sum(weight * (value - mean) ** 2 for value, weight in pairs) / total
        return mean + sign * variance / mean
    held, pairs = 0.0, sorted(pairs)
    for place, (value, weight) in enumerate(pairs):
        held += weight
        if held == total / 2:
            return (value + pairs[place + 1][0]) / 2
        if held > total / 2:
            return value
    raise AssertionError


@pytest.mark.parametrize(
    ("method", "power", "sign"),
    [(m, 1.0, -1) for m in MONOTONE if m != "generalised_mean"]
    + [("generalised_mean", p, -1) for p in (-7.0, -1.0, -0.3, 0.0, 0.5, 1.0, 2.0, 3.0, 40.0)]
    + [("mazziotta_pareto", 1.0, -1), ("mazziotta_pareto", 1.0, 1)],
)
@settings(deadline=None, max_examples=25)
@given(rows=matrices, weights=weight_lists)
def test_every_method_agrees_with_a_plain_loop(method, power, sign, rows, weights):
    values, named = table(rows), pd.Series(dict(zip(CODES, weights, strict=True)))
    function = {
        "arithmetic_mean": arithmetic_mean,
        "geometric_mean": geometric_mean,
        "harmonic_mean": harmonic_mean,
        "median": median,
        "generalised_mean": lambda v, w: generalised_mean(v, w, power=power),
        "mazziotta_pareto": lambda v, w: mazziotta_pareto(v, w, sign=sign),
    }[method]

    scores = function(values, named)

    expected = [loop(row, weights, method, power, sign) for row in values.to_numpy().tolist()]
    np.testing.assert_allclose(scores.to_numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=15)
@given(rows=matrices, random=st.randoms(use_true_random=False), factor=st.floats(1e-3, 1e3))
def test_order_and_scale_change_nothing(method, rows, random, factor):
    values, chosen = table(rows), rules(method)
    units, order = list(values.index), list(range(len(META)))
    random.shuffle(units)
    random.shuffle(order)

    first = aggregate(values, TREE, chosen)
    shuffled = aggregate(values.loc[units, CODES[::-1]], read_meta(META.iloc[order]), chosen)
    scaled = aggregate(values, read_meta(META.assign(Weight=META["Weight"] * factor)), chosen)

    pd.testing.assert_frame_equal(first, shuffled.loc[first.index, first.columns], check_exact=True)
    pd.testing.assert_frame_equal(first, scaled, rtol=1e-11)


@pytest.mark.parametrize("method", [method for method in METHODS if method not in AMONG_UNITS])
@settings(deadline=None, max_examples=15)
@given(rows=matrices)
def test_a_unit_alone_scores_as_among_others(method, rows):
    """Bit for bit: no way of adding up may depend on how many units stand in the table."""
    values, chosen = table(rows), rules(method)

    together = aggregate(values, TREE, chosen)

    for unit in values.index:
        pd.testing.assert_frame_equal(
            aggregate(values.loc[[unit]], TREE, chosen), together.loc[[unit]], check_exact=True
        )


@pytest.mark.parametrize("method", MONOTONE)
@settings(deadline=None, max_examples=25)
@given(rows=matrices, code=st.sampled_from(CODES), gain=st.floats(0, 50))
def test_a_better_component_never_lowers_a_score_and_scores_stay_among_the_components(method, rows, code, gain):
    values = table(rows)
    better = values.copy()
    better.iloc[0, CODES.index(code)] += gain

    before, after = aggregate(values, TREE, rules(method)), aggregate(better, TREE, rules(method))

    assert (after.iloc[0].fillna(0) >= before.iloc[0].fillna(0) * (1 - 1e-12)).all()
    filled = before.apply(lambda column: column.fillna(values.min(axis=1)))
    assert (
        (filled.le(values.max(axis=1), axis=0) & filled.ge(values.min(axis=1), axis=0))
        .to_numpy()[values.notna().any(axis=1)]
        .all()
    )


@pytest.mark.parametrize("method", METHODS)
def test_missing_is_never_zero(method):
    values = table([[8, None, 8, 8, 8], [8, 8, 8, 8, 8], [None] * 5])

    scores = aggregate(values, TREE, rules(method))

    assert scores.iloc[0].tolist() == scores.iloc[1].tolist()
    assert scores.iloc[2].isna().all()
    if method != "copeland":
        assert scores.iloc[0].tolist() == [100 if method == "benefit_of_doubt" else 8] * 3


@pytest.mark.parametrize("method", METHODS)
def test_one_component_passes_through(method):
    tree = read_meta(
        pd.DataFrame({"Level": [1, 2], "iCode": ["a", "T"], "Parent": ["T", ""], "Direction": 1, "Weight": 1})
    )

    scores = aggregate(pd.DataFrame({"a": [0.1]}, index=["X"]), tree, [LevelRule(method, power=-0.5)])

    assert scores.loc["X", "T"] == {"copeland": 0, "benefit_of_doubt": 100}.get(method, 0.1)


def test_generalised_mean_meets_the_means_it_contains():
    rng = np.random.default_rng(5)
    values = pd.DataFrame(rng.uniform(1, 100, (200, 4)), columns=list("abcd"))
    weights = pd.Series({"a": 1.0, "b": 2.0, "c": 0.5, "d": 1.5})

    for power, same in [(1.0, arithmetic_mean), (0.0, geometric_mean), (-1.0, harmonic_mean)]:
        pd.testing.assert_series_equal(
            generalised_mean(values, weights, power=power), same(values, weights), check_exact=True
        )
        near = generalised_mean(values, weights, power=power + 1e-9)
        np.testing.assert_allclose(near, same(values, weights), rtol=1e-7)
    # Neither end overflows: the largest and the smallest component take over.
    np.testing.assert_allclose(generalised_mean(values, weights, power=5000.0), values.max(axis=1), rtol=1e-3)
    np.testing.assert_allclose(generalised_mean(values, weights, power=-5000.0), values.min(axis=1), rtol=1e-3)


@pytest.mark.parametrize(
    ("method", "power", "value", "refused"),
    [
        ("geometric_mean", 1.0, 0.0, True),
        ("harmonic_mean", 1.0, -1.0, True),
        ("generalised_mean", 0.5, 0.0, True),
        ("generalised_mean", -2.0, 0.0, True),
        ("generalised_mean", 0.0, 0.0, True),
        ("generalised_mean", 2.0, -1.0, True),
        ("generalised_mean", 2.0, 0.0, False),
        ("generalised_mean", 3.0, -1.0, False),
        ("mazziotta_pareto", 1.0, -1.0, True),
        ("mazziotta_pareto", 1.0, 0.0, False),
        ("arithmetic_mean", 1.0, -1.0, False),
        ("median", 1.0, -1.0, False),
    ],
)
def test_values_that_a_method_cannot_take_are_named(method, power, value, refused):
    values = table([[5, 5, 5, 5, 5], [5, 5, value, 5, 5]])
    chosen = [LevelRule(method, power=power), LevelRule()]

    if not refused:
        assert np.isfinite(aggregate(values, TREE, chosen).to_numpy()).all()
        return
    with pytest.raises(NonPositiveError, match=r"column c: unit U1: component c of P is"):
        aggregate(values, TREE, chosen)


def test_components_without_weight_or_below_the_limit_spoil_nothing():
    values = table([[5, 5, -1, 5, 5], [None, None, -1, 5, 5]])
    free = with_weights(TREE, {"c": 0.0})

    assert aggregate(values, free, [LevelRule("geometric_mean", min_available=0)] * 2).loc["U0", "P"] == 5
    limited = aggregate(
        table([[None, None, -1, 5, 5]]), TREE, [LevelRule("geometric_mean"), LevelRule(min_available=0)]
    )
    assert limited.isna().iloc[0].tolist() == [True, False, False]


def test_groups_have_rules_of_their_own():
    values = table([[1, 4, 16, 9, 25]])

    scores = aggregate(
        values, TREE, [LevelRule()] * 2, groups={"Q": LevelRule("geometric_mean"), "T": LevelRule("median")}
    )

    assert scores.loc["U0", "P"] == pytest.approx((1 + 8 + 8) / 3.5)
    assert scores.loc["U0", "Q"] == pytest.approx(9 ** (1 / 4) * 25 ** (3 / 4))
    assert scores.loc["U0", "T"] == scores.loc["U0", "Q"]
    with pytest.raises(ValueError, match="no aggregate X"):
        aggregate(values, TREE, [LevelRule()] * 2, groups={"X": LevelRule()})


def test_generalised_mean_of_coinr_loses_units_with_gaps():
    values = table([[1, 4, None, 9, 25], [1, 4, 16, 9, 25]])
    chosen = [LevelRule("generalised_mean", power=0.5)] * 2

    assert aggregate(values, TREE, chosen).notna().all(axis=None)
    assert aggregate(values, TREE, chosen, skip_missing=False).isna().to_numpy().tolist() == [
        [True, False, True],
        [False] * 3,
    ]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"a": 1.0, "b": -1.0}, "weight of b"),
        ({"a": 1.0}, "weight of b in the group is nan"),
        ({"a": 0.0, "b": 0.0}, "sum to 0"),
        ({"a": 1.0, "b": math.inf}, "weight of b"),
    ],
)
def test_weights_that_say_nothing_are_refused(weights, words):
    values = pd.DataFrame({"a": [1.0], "b": [2.0]})

    for function in (arithmetic_mean, median, mazziotta_pareto):
        with pytest.raises(MetaError, match=words):
            function(values, pd.Series(weights))


@pytest.mark.parametrize("bad", [{"method": "mode"}, {"sign": 0}, {"power": math.inf}])
def test_rules_that_mean_nothing_are_refused(bad):
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        LevelRule(**bad)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="no column for c"):
        aggregate(table([[1] * 5]).drop(columns="c"), TREE, [LevelRule()] * 2)


@settings(deadline=None, max_examples=25)
@given(rows=matrices)
def test_coverage_is_the_effective_weight_of_what_is_there(rows):
    observed = table(rows).notna()

    shares = coverage(observed, TREE)

    weight = {"a": 1 / 3.5 * 0.4, "b": 2 / 3.5 * 0.4, "c": 0.5 / 3.5 * 0.4, "d": 0.6 / 4, "e": 0.6 * 3 / 4}
    np.testing.assert_allclose(shares["T"], (observed * pd.Series(weight)).sum(axis=1), atol=1e-12)
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    assert (shares["T"][observed.all(axis=1)] == 1).all()


def test_share_of_weight_counts_weights_and_number_counts_heads():
    values = pd.DataFrame({"a": [1.0, None], "b": [None, 1.0]})
    weights = pd.Series({"a": 3.0, "b": 1.0})

    assert enough(values, weights, LevelRule(min_available=0, min_weight_share=0.75)).tolist() == [True, False]
    assert enough(values, weights, LevelRule(min_available=0.5)).tolist() == [True, True]
    assert enough(values, weights, LevelRule(min_available=0, min_components=2)).tolist() == [False, False]


def test_nothing_to_score_gives_an_empty_table():
    assert aggregate(table([[1] * 5]).iloc[:0], TREE, [LevelRule("median")] * 2).shape == (0, 3)

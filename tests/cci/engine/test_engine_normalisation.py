"""Normalisation: COINr's results on real data, the properties of each method, and the edges where formulas end."""

import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cci.engine import normalisation
from cci.engine.errors import DataError, EngineError, GoalpostsError
from cci.engine.normalisation import (
    LITERAL,
    METHODS,
    above_below_mean,
    bounds_of,
    change,
    clip_scores,
    constant_indicators,
    cyclical,
    distance_to_reference,
    distance_to_target,
    fraction_of_max,
    min_max,
    normalise,
    percentile_classes,
    percentile_rank,
    rank,
    read_bounds,
    read_targets,
    z_score,
)


def read(path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"uCode": str}).set_index("uCode").sort_index()


@pytest.fixture
def meta(asem) -> pd.DataFrame:
    table = pd.read_csv(asem("inputs/iMeta.csv"), dtype={"iCode": str})
    return table[table["Level"] == 1].set_index("iCode", drop=False)


# --- COINr on the ASEM data ---

TREATED = [
    ("normalisation/minmax_0_1", "min_max", {"upper": 1}),
    ("normalisation/minmax_0_100", "min_max", {}),
    ("normalisation/minmax_1_7", "min_max", {"lower": 1, "upper": 7}),
    ("a_example/06_normalised", "min_max", {}),
    ("a_example/06_normalised_1_100", "min_max", {"lower": 1}),
    ("normalisation/zscore_0_1", "z_score", {}),
    ("normalisation/zscore_10_2", "z_score", {"mean": 10, "sd": 2}),
    ("normalisation/rank_min", "rank", {}),
    ("normalisation/rank_average", "rank", {"ties": "average"}),
    ("normalisation/borda_min", "borda", {}),
    ("normalisation/prank_min", "percentile_rank", {}),
    ("normalisation/prank_average", "percentile_rank", {"ties": "average"}),
    ("normalisation/dist2max", "distance_to_max", {}),
    ("normalisation/fracmax", "fraction_of_max", {"literal": True}),
]


@pytest.mark.parametrize(("file", "method", "options"), TREATED)
def test_methods_are_those_of_coinr(asem, meta, file, method, options):
    values = read(asem("a_example/05_treated.csv"))

    result = normalise(values, method=method, directions=meta["Direction"], **options)

    assert_same(result.values, read(asem(f"{file}.csv")))
    assert result.constant == []


@pytest.mark.parametrize(
    ("before", "after", "lower"),
    [
        ("missing/treated_with_na", "missing/normalised_1_100_with_na", 1),
        ("b_overview/04_treated_from_screened", "b_overview/05_normalised", 0),
    ],
)
def test_min_max_with_gaps(asem, meta, before, after, lower):
    scores = min_max(read(asem(f"{before}.csv")), directions=meta["Direction"], lower=lower)

    assert_same(scores, read(asem(f"{after}.csv")))


@pytest.mark.parametrize("cap", [True, False])
def test_distance_to_reference(asem, meta, cap):
    values = read(asem("a_example/05_treated.csv"))
    file = f"normalisation/dist2ref_unit_row10_{'cap' if cap else 'nocap'}"
    expected = read(asem(f"{file}.csv"))
    reference = values.index[9]

    literal = distance_to_reference(values, directions=meta["Direction"], reference=reference, cap=cap, literal=True)

    assert_same(literal, expected)
    with pytest.raises(DataError, match=f"the reference unit {reference} is not better than the worst unit"):
        distance_to_reference(values, directions=meta["Direction"], reference=reference, cap=cap)
    # Where the reference is not the worst, nothing has to be taken by the letter.
    sound = [code for code in values if np.isfinite(literal[code]).all()]
    careful = normalise(
        values[sound], method="distance_to_reference", directions=meta["Direction"], reference=reference, cap=cap
    )
    assert_same(careful.values, expected[sound])
    open_end = read(asem("normalisation/dist2ref_unit_row10_nocap.csv"))[sound]
    assert len(careful.clipped) == cap * (open_end > 1).to_numpy().sum()


@pytest.mark.parametrize("cap", [True, False])
def test_distance_to_target(asem, meta, cap):
    values = read(asem("a_example/01_raw.csv"))
    targets = read_targets(meta, indicators=values.columns)

    result = normalise(values, method="distance_to_target", directions=meta["Direction"], targets=targets, cap=cap)

    file = f"normalisation/raw_dist2targ_iMeta_Target_{'cap' if cap else 'nocap'}"
    assert_same(result.values, read(asem(f"{file}.csv")))
    assert (len(result.clipped) > 0) == cap


def test_goalposts(asem, meta):
    given_posts = pd.read_csv(asem("normalisation/raw_goalposts_parameters.csv"), dtype={"iCode": str})
    table = given_posts.assign(transform="lin", lo=given_posts["goalpost_lower"], hi=given_posts["goalpost_upper"])
    posts = normalisation.read_goalposts(table[["iCode", "transform", "lo", "hi"]], directions=meta["Direction"])
    values = read(asem("a_example/01_raw.csv"))

    result = normalise(values, method="goalposts", directions=meta["Direction"], posts=posts)

    assert_same(result.values, read(asem("normalisation/raw_goalposts_p10_p90_trunc_0_100.csv")))
    assert result.clipped["new"].isin([0, 100]).all()
    free = normalise(values, method="scaled", directions=meta["Direction"], posts=posts).values
    assert len(result.clipped) == ((free < 0) | (free > 100)).to_numpy().sum()


def assert_same(actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Same units and columns, values to 1e-9, the same gaps and the same infinities."""
    assert actual.index.equals(expected.index)
    assert set(actual.columns) == set(expected.columns)
    np.testing.assert_allclose(
        actual[expected.columns].to_numpy(float), expected.to_numpy(float), rtol=1e-9, atol=1e-12
    )


# --- what must hold for every input ---

CODES = list("abc")
DIRECTIONS = pd.Series({"a": 1.0, "b": -1.0, "c": 1.0})
POSTS = pd.DataFrame({"transform": "lin", "lo": 0.0, "hi": 60.0}, index=CODES)
# Every method with options under which it works on positive data.
WORKING = {
    "min_max": {"lower": 1},
    "goalposts": {"posts": POSTS},
    "scaled": {"posts": POSTS},
    "z_score": {"mean": 10, "sd": 2},
    "rank": {},
    "borda": {"ties": "average"},
    "percentile_rank": {"ties": "average"},
    "percentile_classes": {"percentiles": [20, 50, 80], "scores": [0, 1, 2, 3]},
    "distance_to_max": {},
    "distance_to_target": {"targets": pd.Series({"a": 900.0, "b": 0.001, "c": 900.0})},
    "fraction_of_max": {},
    "above_below_mean": {"threshold": 0.1},
    "cyclical": {},
}
FIXED = {"goalposts", "scaled"}
cell = st.one_of(st.none(), st.integers(1, 200).map(lambda n: n / 4))
tables = st.integers(2, 9).flatmap(lambda n: st.lists(st.lists(cell, min_size=3, max_size=3), min_size=n, max_size=n))


def frame(rows) -> pd.DataFrame:
    index = pd.Index([f"U{n}" for n in range(len(rows))], name="uCode")
    return pd.DataFrame(np.array(rows, dtype=float), columns=CODES, index=index)


@pytest.mark.parametrize("method", WORKING)
@settings(deadline=None, max_examples=15)
@given(rows=tables, random=st.randoms(use_true_random=False))
def test_order_of_units_and_indicators_changes_nothing(method, rows, random):
    values = frame(rows)
    places, codes = list(range(len(rows))), list(CODES)
    random.shuffle(places)
    random.shuffle(codes)

    first = normalise(values, method=method, directions=DIRECTIONS, **WORKING[method]).values
    second = normalise(values.iloc[places][codes], method=method, directions=DIRECTIONS, **WORKING[method]).values

    pd.testing.assert_frame_equal(first, second.loc[first.index, first.columns], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", WORKING)
@settings(deadline=None, max_examples=15)
@given(rows=tables)
def test_gaps_stay_and_nothing_else_becomes_missing_but_constants(method, rows):
    values = frame(rows)

    result = normalise(values, method=method, directions=DIRECTIONS, **WORKING[method])

    constant = [] if method in FIXED else constant_indicators(values)
    assert result.constant == constant
    expected = values.notna()
    expected[constant] = False
    pd.testing.assert_frame_equal(result.values.notna(), expected)
    assert not np.isinf(result.values.to_numpy()).any()


@pytest.mark.parametrize("method", sorted(set(WORKING) - FIXED - {"distance_to_target"}))
@settings(deadline=None, max_examples=15)
@given(rows=tables, factor=st.sampled_from([0.001, 3.0, 1e6]))
def test_the_unit_of_measure_changes_no_score(method, rows, factor):
    values = frame(rows)

    first = normalise(values, method=method, directions=DIRECTIONS, **WORKING[method]).values
    second = normalise(values * factor, method=method, directions=DIRECTIONS, **WORKING[method]).values

    if method == "above_below_mean":
        # A value on the very limit may fall either way by rounding.
        mean = values.mean()
        on_limit = ((values - 0.9 * mean).abs() < 1e-9) | ((values - 1.1 * mean).abs() < 1e-9)
        first, second = first.mask(on_limit), second.mask(on_limit)
    pd.testing.assert_frame_equal(first, second, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", WORKING)
@settings(deadline=None, max_examples=20)
@given(rows=tables)
def test_a_better_unit_never_has_the_lower_score(method, rows):
    """Among the units, and for one that gets better while the others stand still."""
    values = frame(rows)
    scores = normalise(values, method=method, directions=DIRECTIONS, **WORKING[method]).values

    for code in CODES:
        column = pd.DataFrame({"v": values[code] * DIRECTIONS[code], "s": scores[code]}).dropna().sort_values("v")
        assert (np.diff(column["s"]) >= -1e-9).all()
        assert column.groupby("v")["s"].nunique().le(1).all()


@pytest.mark.parametrize("method", sorted(set(WORKING) - {"z_score", "cyclical", "above_below_mean"}))
@settings(deadline=None, max_examples=20)
@given(rows=tables, gain=st.floats(0.1, 20), code=st.sampled_from(CODES))
def test_getting_better_never_lowers_the_own_score(method, rows, gain, code):
    values = frame(rows)
    better = values.copy()
    # Halving keeps what is less-is-better above 0.
    better.loc["U0", code] = better.loc["U0", code] + gain if DIRECTIONS[code] > 0 else better.loc["U0", code] / 2
    assume(values[code].nunique() > 1 and better[code].nunique() > 1)

    before = normalise(values, method=method, directions=DIRECTIONS, **WORKING[method]).values
    after = normalise(better, method=method, directions=DIRECTIONS, **WORKING[method]).values

    if values[code].notna().iloc[0]:
        assert after.loc["U0", code] >= before.loc["U0", code] - 1e-9


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        ("min_max", 1, 100),
        ("goalposts", 0, 100),
        ("percentile_rank", 0, 1),
        ("percentile_classes", 0, 3),
        ("distance_to_max", 0, 1),
        ("distance_to_target", 0, 1),
        ("fraction_of_max", 0, 1),
        ("above_below_mean", -1, 1),
    ],
)
@settings(deadline=None, max_examples=20)
@given(rows=tables)
def test_scores_stay_in_their_range(method, low, high, rows):
    scores = normalise(frame(rows), method=method, directions=DIRECTIONS, **WORKING[method]).values.to_numpy()

    assert ((scores >= low) & (scores <= high) | np.isnan(scores)).all()


@settings(deadline=None, max_examples=20)
@given(rows=tables)
def test_z_scores_have_the_mean_and_spread_asked_for(rows):
    scores = z_score(frame(rows), directions=DIRECTIONS, mean=10, sd=2).dropna(axis=1, how="all")

    assert scores.mean().to_numpy() == pytest.approx(10)
    assert scores.std().to_numpy() == pytest.approx(2)


@pytest.mark.parametrize("method", sorted(set(WORKING) - FIXED))
@pytest.mark.parametrize("column", [[7.0, 7.0, 7.0], [7.0, None, None], [7.0]])
def test_one_distinct_value_is_missing_for_all_and_named(method, column):
    values = frame([[value, value, value] for value in column])

    result = normalise(values, method=method, directions=DIRECTIONS, **WORKING[method])

    assert result.values.isna().all(axis=None)
    assert result.constant == CODES


@pytest.mark.parametrize("method", WORKING)
def test_all_missing_stays_missing_and_is_not_called_constant(method):
    values = frame([[None] * 3] * 4)

    result = normalise(values, method=method, directions=DIRECTIONS, **WORKING[method])

    assert result.values.isna().all(axis=None)
    assert result.constant == []


@pytest.mark.parametrize("method", WORKING)
def test_inputs_are_not_changed(method):
    values = frame([[1.0, 2.0, 3.0], [4.0, None, 6.0], [7.0, 8.0, 90.0]])
    before = values.copy()

    normalise(values, method=method, directions=DIRECTIONS, **WORKING[method])

    pd.testing.assert_frame_equal(values, before)


@pytest.mark.parametrize("method", METHODS)
def test_the_table_of_methods_names_the_keys_of_their_functions(method):
    taken = set(inspect.signature(getattr(normalisation, method)).parameters) - {"values", "directions"}

    assert taken - {"literal"} == set(METHODS[method])
    assert ("literal" in taken) == (method in LITERAL)


@pytest.mark.parametrize("method", ["min_max", "z_score", "distance_to_max", "above_below_mean", "cyclical"])
def test_a_range_too_large_to_compute_with_is_refused_by_name(method):
    values = frame([[-1e308, 1, 1], [1e308, 2, 2], [1.0, 3, 3]])
    options = {"threshold": 0.0} if method == "above_below_mean" else {}

    with pytest.raises(DataError, match="column a: the range from smallest to largest value is infinite"):
        normalise(values, method=method, directions=DIRECTIONS, **options)


# --- options and refusals ---


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("minmax", {}, "'minmax' is no normalisation; choose min_max"),
        ("z_score", {"lower": 1}, "z_score has no option lower; it knows mean, sd"),
        ("change", {"lower": 1}, "it knows no option"),
        ("min_max", {"lower": 5, "upper": 5}, "min_max needs lower < upper"),
        ("z_score", {"sd": 0}, "z_score needs sd above 0"),
        ("rank", {"ties": "max"}, "'max' is no way to rank ties"),
        ("percentile_classes", {"percentiles": [50, 20]}, "rising percentiles"),
        ("percentile_classes", {"percentiles": [50], "scores": [1, 2, 3]}, "rising scores, one more"),
        ("above_below_mean", {"threshold": 1}, "threshold from 0 to below 1"),
        ("cyclical", {"over": "space"}, "'space' is no set"),
        ("cyclical", {"over": "time"}, "needs data with a Time"),
        ("change", {}, "needs data with a Time"),
        ("distance_to_target", {"targets": pd.Series({"a": 1.0, "c": 2.0})}, "no target for b"),
        ("distance_to_target", {"targets": pd.Series({"a": 1.0, "b": 0.5, "c": 9.0})}, "column a: the target is not"),
        ("distance_to_reference", {"reference": "U9"}, "reference unit U9 is not among the units"),
        ("distance_to_reference", {"reference": "U2"}, "column b: the reference unit U2 has no value"),
        ("min_max", {"bounds": pd.DataFrame({"lo": 0.0, "hi": 1.0}, index=["a"])}, "no bounds for b, c"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(method, options, message):
    values = frame([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, None, 9.0]])

    with pytest.raises(ValueError, match=message):
        normalise(values, method=method, directions=DIRECTIONS, **options)


def test_an_indicator_without_direction_is_refused():
    for method, options in WORKING.items():
        with pytest.raises(ValueError, match="No direction for b"):
            normalise(
                frame([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]), method=method, directions=DIRECTIONS[["a", "c"]], **options
            )


def test_a_constant_is_missing_before_it_is_refused():
    """An indicator without variety has no worst unit to be compared with."""
    values = frame([[1.0, 5.0, 7.0], [2.0, 4.0, 7.0]])

    scores = distance_to_reference(values, directions=DIRECTIONS, reference="U1")

    assert scores["c"].isna().all()
    assert scores["a"].tolist() == [0.0, 1.0]


# --- literal: COINr where its formula ends ---


def test_literal_percentile_rank_of_a_constant_is_zero():
    values = frame([[7.0, 1.0, 1.0], [7.0, 2.0, 2.0]])

    assert percentile_rank(values, directions=DIRECTIONS, literal=True)["a"].tolist() == [0, 0]
    assert rank(values, directions=DIRECTIONS, literal=True)["a"].tolist() == [1, 1]


def test_literal_target_at_the_worst_value_is_infinite_or_undefined():
    values = pd.DataFrame({"a": [1.0, 2.0, 3.0]})

    scores = distance_to_target(values, directions=pd.Series({"a": 1}), targets=pd.Series({"a": 1.0}), literal=True)

    assert np.isnan(scores["a"][0])
    assert scores["a"].tolist()[1:] == [np.inf, np.inf]


def test_fraction_of_max_turns_what_less_is_better_and_refuses_what_has_no_share():
    values = pd.DataFrame({"a": [2.0, 8.0, None]}, index=["X", "Y", "Z"])
    less, more = pd.Series({"a": -1}), pd.Series({"a": 1})

    assert fraction_of_max(values, directions=less)["a"].tolist()[:2] == [1.0, 0.25]
    assert fraction_of_max(values, directions=less, literal=True)["a"].tolist()[:2] == [1.0, 4.0]
    with pytest.raises(DataError, match="column a: unit X: less is better and the value is not above 0"):
        fraction_of_max(values - 2, directions=less)
    with pytest.raises(DataError, match="column a: the best value is not above 0"):
        fraction_of_max(values - 9, directions=more)


# --- bounds of a base edition ---


def test_with_base_bounds_a_unit_that_stands_still_keeps_its_score():
    base = frame([[1.0, 9.0, 3.0], [5.0, 1.0, 6.0], [3.0, 4.0, None]])
    later = base.copy()
    later.loc["U1"] = [50.0, -3.0, 0.0]
    bounds = bounds_of(base)

    first = min_max(base, directions=DIRECTIONS)
    second = min_max(later, directions=DIRECTIONS, bounds=bounds)
    free = min_max(later, directions=DIRECTIONS)

    pd.testing.assert_frame_equal(min_max(base, directions=DIRECTIONS, bounds=bounds), first, check_exact=True)
    pd.testing.assert_frame_equal(second.drop(index="U1"), first.drop(index="U1"), check_exact=True)
    assert second.loc["U1"].tolist() == [1225.0, 150.0, -100.0]
    assert not free.drop(index="U1").equals(first.drop(index="U1"))


def test_cells_beyond_the_base_bounds_are_cut_and_counted():
    bounds = read_bounds(
        pd.DataFrame({"iCode": CODES, "lo": ["0", "0", "0"], "hi": ["10", "10", "10"]}), indicators=pd.Index(CODES)
    )
    values = frame([[12.0, 12.0, 5.0], [-1.0, 5.0, None]])

    result = normalise(values, directions=DIRECTIONS, bounds=bounds, clip=True)

    assert result.values.to_numpy()[:, :2].tolist() == [[100.0, 0.0], [0.0, 50.0]]
    assert result.clipped.to_dict("records") == [
        {"uCode": "U0", "indicator": "a", "original": 120.0, "new": 100.0},
        {"uCode": "U1", "indicator": "a", "original": -10.0, "new": 0.0},
        {"uCode": "U0", "indicator": "b", "original": pytest.approx(-20.0), "new": 0.0},
    ]
    pd.testing.assert_frame_equal(min_max(values, directions=DIRECTIONS, bounds=bounds, clip=True), result.values)


def test_an_indicator_constant_in_the_base_is_missing_and_named():
    bounds = pd.DataFrame({"lo": [1.0, 2.0, np.nan], "hi": [9.0, 2.0, np.nan]}, index=CODES)

    result = normalise(frame([[1.0, 2.0, 3.0], [5.0, 8.0, 4.0]]), directions=DIRECTIONS, bounds=bounds)

    assert result.constant == ["b", "c"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"iCode": ["a"], "lo": [1]}, "column hi: the column is missing"),
        ({"iCode": ["a", "a"], "lo": [1, 1], "hi": [2, 2]}, "row 3, column iCode: a stands twice"),
        ({"iCode": ["b"], "lo": [1], "hi": [2]}, "no row for a"),
        ({"iCode": ["a"], "lo": [""], "hi": [2]}, "row 2, column lo: a has no figure"),
        ({"iCode": ["a"], "lo": [3], "hi": [2]}, "the bounds of a need lo <= hi"),
        ({"iCode": ["a"], "lo": ["x"], "hi": [2]}, "row 2, column lo: 'x' is not a number"),
    ],
)
def test_a_bad_table_of_bounds_is_refused_by_row(table, message):
    with pytest.raises(GoalpostsError, match=message):
        read_bounds(pd.DataFrame(table), indicators=pd.Index(["a"]))


def test_scores_inside_the_range_are_not_listed_as_cut():
    scores = frame([[0.0, 50.0, 100.0], [None, -1e-9, 100.1]])

    cut, cells = clip_scores(scores, 0, 100)

    assert cells["new"].tolist() == [0.0, 100.0]
    assert cut.notna().equals(scores.notna())


# --- the Handbook's others ---


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 30).map(float), min_size=2, max_size=25), st.sets(st.integers(1, 99), min_size=1))
def test_classes_are_those_of_numpy_s_percentiles(column, percentiles):
    assume(len(set(column)) > 1)
    limits = sorted(percentiles)
    values = pd.DataFrame({"a": column})

    classes = percentile_classes(
        values, directions=pd.Series({"a": 1}), percentiles=limits, scores=range(len(limits) + 1)
    )["a"]

    expected = (values["a"].to_numpy()[:, None] >= np.percentile(column, limits) - 1e-9).sum(axis=1)
    assert classes.tolist() == expected.tolist()


def test_above_and_below_turn_with_the_direction():
    values = pd.DataFrame({"a": [8.0, 10.0, 12.0, 10.4]})

    scores = above_below_mean(values, directions=pd.Series({"a": 1}), threshold=0.1)["a"].tolist()
    turned = above_below_mean(values, directions=pd.Series({"a": -1}), threshold=0.1)["a"].tolist()

    assert scores == [-1, 0, 1, 0]
    assert turned == [1, 0, -1, 0]
    with pytest.raises(DataError, match="column a: the mean is not above 0"):
        above_below_mean(values - 50, directions=pd.Series({"a": 1}), threshold=0.1)


def test_cyclical_over_time_compares_a_unit_with_itself():
    index = pd.MultiIndex.from_product([["X", "Y", "Z"], [2020, 2021]], names=["uCode", "Time"])
    values = pd.DataFrame({"a": [1.0, 3.0, 100.0, 300.0, 7.0, 7.0]}, index=index)

    scores = cyclical(values, directions=pd.Series({"a": 1}), over="time")["a"]

    assert scores.tolist()[:4] == [-1.0, 1.0, -1.0, 1.0]
    assert scores.isna().tolist()[4:] == [True, True]


def test_change_is_on_the_time_before_in_whatever_order_the_rows_come():
    index = pd.MultiIndex.from_tuples(
        [("Y", 2022), ("X", 2021), ("Y", 2020), ("X", 2020), ("X", 2022)], names=["uCode", "Time"]
    )
    values = pd.DataFrame({"a": [8.0, 5.0, 4.0, 4.0, 6.0], "b": [1.0, 2.0, 3.0, 4.0, None]}, index=index)

    result = normalise(values, method="change", directions=pd.Series({"a": 1, "b": -1}))

    # Y has no 2021, so it has no change in 2022.
    np.testing.assert_allclose(result.values["a"], [np.nan, 25.0, np.nan, np.nan, 20.0])
    np.testing.assert_allclose(result.values["b"], [np.nan, 50.0, np.nan, np.nan, np.nan])
    assert result.constant == []


def test_change_on_zero_is_refused_by_name():
    index = pd.MultiIndex.from_product([["X"], [2020, 2021]], names=["uCode", "Time"])

    with pytest.raises(DataError, match=r"column a: unit X \(2021\): the value of the time before is 0.0"):
        change(pd.DataFrame({"a": [0.0, 1.0]}, index=index), directions=pd.Series({"a": 1}))


def test_a_reference_in_a_panel_is_a_unit_at_a_time():
    index = pd.MultiIndex.from_product([["X", "Y"], [2020, 2021]], names=["uCode", "Time"])
    values = pd.DataFrame({"a": [0.0, 2.0, 4.0, 8.0]}, index=index)
    directions = pd.Series({"a": 1})

    scores = distance_to_reference(values, directions=directions, reference=("Y", 2020))

    assert scores["a"].tolist() == [0.0, 0.5, 1.0, 2.0]
    one_year = values[values.index.get_level_values(1) == 2021]
    assert distance_to_reference(one_year, directions=directions, reference="Y")["a"].tolist() == [0.0, 1.0]
    with pytest.raises(EngineError, match="stands at several times"):
        distance_to_reference(values, directions=directions, reference="Y")

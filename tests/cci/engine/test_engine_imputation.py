"""What must hold of every way to fill gaps, each method by an independent computation, and the edges."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine.errors import ConfigError, DataError
from cci.engine.imputation import METHODS, impute
from cci.engine.imputation.multivariate import fit, start
from cci.engine.imputation.panel import METHODS as OVER_TIME
from cci.engine.meta import read_meta

TREE = read_meta(
    pd.DataFrame(
        {
            "Level": [1, 1, 1, 1, 2, 2, 3],
            "iCode": ["a", "b", "c", "d", "P", "Q", "T"],
            "Parent": ["P", "P", "Q", "Q", "T", "T", ""],
            "Direction": [1, -1, 1, 1, 1, 1, 1],
            "Weight": [1] * 7,
        }
    )
)
ACROSS = [method for method in METHODS if method not in OVER_TIME]
OPTIONS = {"hierarchy": TREE, "neighbours": 2}
cell = st.one_of(st.none(), st.integers(1, 60).map(lambda n: n / 4))
matrices = st.integers(3, 10).flatmap(
    lambda n: st.lists(st.lists(cell, min_size=4, max_size=4), min_size=n, max_size=n)
)


def frame(rows, columns: str = "abcd") -> pd.DataFrame:
    index = pd.Index([f"U{i:02d}" for i in range(len(rows))], name="uCode")
    return pd.DataFrame(np.array(rows, dtype=float).reshape(-1, len(columns)), columns=list(columns), index=index)


def with_enough(rows) -> pd.DataFrame:
    """Four indicators with at least three values each, as EM needs."""
    values = frame(rows)
    values.iloc[:3] = values.iloc[:3].fillna(pd.Series({"a": 1.5, "b": 4.0, "c": 9.25, "d": 0.5}))
    return values


def groups_of(values: pd.DataFrame) -> pd.Series:
    return pd.Series([("x", "y", None)[i % 3] for i in range(len(values))], index=values.index)


@settings(deadline=None, max_examples=8)
@given(matrices)
@pytest.mark.parametrize("method", ACROSS)
def test_observed_values_come_back_to_the_bit_and_nothing_filled_is_out_of_range(method, rows):
    values = with_enough(rows)
    before = values.copy()

    result = impute(values, method=method, groups=groups_of(values), **OPTIONS)

    pd.testing.assert_frame_equal(values, before, check_exact=True)
    observed = values.notna()
    pd.testing.assert_frame_equal(result.values.where(observed), before, check_exact=True)
    filled = result.values.where(~observed)
    low, high = values.min(), values.max()
    slack = 1e-12 * (high - low)
    assert (filled.isna() | ((filled >= low - slack) & (filled <= high + slack))).all().all()
    assert len(result.cells) == int(filled.notna().to_numpy().sum()) == result.report["filled"]
    assert len(result.left) == int(result.values.isna().to_numpy().sum()) == result.report["left"]
    for entry in result.cells.itertuples():
        assert result.values.loc[entry.uCode, entry.indicator] == entry.value
    assert (result.left["reason"] != "").all()


@settings(deadline=None, max_examples=8)
@given(matrices, st.randoms(use_true_random=False))
@pytest.mark.parametrize("method", ACROSS)
def test_order_of_rows_and_columns_moves_no_digit(method, rows, random):
    values = with_enough(rows)
    shuffled = values.sample(frac=1, random_state=random.randint(0, 999))
    shuffled = shuffled.sample(frac=1, axis=1, random_state=random.randint(0, 999))

    first = impute(values, method=method, groups=groups_of(values), **OPTIONS)
    second = impute(shuffled, method=method, groups=groups_of(values)[::-1], **OPTIONS)

    assert second.values.index.equals(shuffled.index) and second.values.columns.equals(shuffled.columns)
    again = second.values.loc[values.index, values.columns]
    pd.testing.assert_frame_equal(again, first.values, check_exact=True)
    pd.testing.assert_frame_equal(second.cells, first.cells, check_exact=True)
    pd.testing.assert_frame_equal(second.left, first.left)


@settings(deadline=None, max_examples=8)
@given(matrices, st.floats(0.01, 1000), st.floats(-100, 100))
@pytest.mark.parametrize("method", ["mean", "median", "group_mean", "group_median", "row_mean", "row_median", "em"])
def test_a_change_of_unit_changes_what_is_filled_likewise(method, rows, factor, shift):
    values = with_enough(rows)

    plain = impute(values, method=method, groups=groups_of(values), **OPTIONS).values
    changed = impute(values * factor + shift, method=method, groups=groups_of(values), **OPTIONS).values

    np.testing.assert_allclose(changed, plain * factor + shift, rtol=1e-6, atol=1e-6 * factor)


def test_mean_and_median_are_those_of_pandas():
    random = np.random.default_rng(5)
    values = frame(random.lognormal(size=(40, 4))).mask(random.random((40, 4)) < 0.3)
    groups = pd.Series(random.choice(["x", "y", "z"], 40), index=values.index)

    for kind in ("mean", "median"):
        overall = impute(values, method=kind).values
        within = impute(values, method=f"group_{kind}", groups=groups).values

        pd.testing.assert_frame_equal(overall, values.fillna(getattr(values, kind)()), rtol=1e-12)
        own = values.groupby(groups).transform(kind)
        pd.testing.assert_frame_equal(within, values.fillna(own), rtol=1e-12)


def test_groups_fall_back_aloud_or_leave_the_gap_and_units_without_group_stay():
    values = frame([[1, 1, 1, 1], [3, 2, 2, 2], [None, 5, 5, 5], [None, 6, 6, 6]])
    groups = pd.Series(["x", "x", "y", ""], index=values.index)

    told = impute(values, method="group_mean", groups=groups)
    left = impute(values, method="group_mean", groups=groups, fallback=False)

    assert told.cells[["uCode", "value", "fallback"]].to_numpy().tolist() == [["U02", 2.0, True]]
    assert told.left.to_numpy().tolist() == [["U03", "a", "the unit has no group"]]
    assert left.left["reason"].tolist() == [
        "no unit of the group has a value of this indicator",
        "the unit has no group",
    ]


def test_rows_go_by_direction_and_section():
    """b is less-is-better: U00 has the worst of it (u = 0), so half way on a alone is 15 of 10 … 20."""
    values = frame([[0, 20, 7, 1], [10, 10, 7, 2], [5, None, 7, 4], [None, 20, None, None]])

    result = impute(values, method="row_mean", hierarchy=TREE, within_level=2)

    assert result.values.loc["U02", "b"] == 15.0
    assert result.values.loc["U03", "a"] == 0.0
    # Pillar Q: nothing of its own, so all indicators of the unit (u = 0 on b) and a mark; c has no scale.
    assert result.cells.set_index(["uCode", "indicator"])["fallback"].to_dict() == {
        ("U02", "b"): False,
        ("U03", "a"): False,
        ("U03", "d"): True,
    }
    assert result.values.loc["U03", "d"] == 1.0
    assert result.left.to_numpy().tolist() == [["U03", "c", "the indicator has one distinct value and no scale"]]


def test_em_is_the_regression_where_one_indicator_alone_has_gaps():
    """Anderson (1957): with gaps in y only, the likeliest values lie on the regression of the whole pairs."""
    random = np.random.default_rng(2)
    x = random.normal(size=60)
    values = pd.DataFrame({"x": x, "y": 3 - 2 * x + random.normal(size=60)})
    values.loc[40:, "y"] = np.nan
    slope, intercept = np.polyfit(values["x"][:40], values["y"][:40], 1)

    result = impute(values, method="em", ridge=0, tolerance=1e-10, keep_range=False)

    np.testing.assert_allclose(result.values["y"][40:], intercept + slope * values["x"][40:], rtol=1e-7)
    assert result.report["converged"]


def test_em_ends_where_its_own_equations_hold():
    """Recomputed one unit at a time with a linear algebra library: expectations, then mean and covariance."""
    random = np.random.default_rng(8)
    cells = (random.normal(size=(50, 2)) @ random.normal(size=(2, 6)) + random.normal(size=(50, 6))) * 40 + 7
    cells[random.random(cells.shape) < 0.25] = np.nan
    cells[0, 1:] = np.nan
    model = fit(cells, start(cells, list("abcdef"), ridge=3), tolerance=1e-12, max_iterations=5000)
    assert model.converged

    z = model.standardised(cells)
    spread = np.zeros((6, 6))
    for row in z:
        gap = np.isnan(row)
        pull = model.covariance[np.ix_(gap, ~gap)] @ np.linalg.inv(model.covariance[np.ix_(~gap, ~gap)])
        row[gap] = model.mean[gap] + pull @ (row[~gap] - model.mean[~gap])
        spread[np.ix_(gap, gap)] += model.covariance[np.ix_(gap, gap)] - pull @ model.covariance[np.ix_(~gap, gap)]
    deviation = z - z.mean(axis=0)
    covariance = (deviation.T @ deviation + spread + 3 * np.eye(6)) / 53

    np.testing.assert_allclose(model.mean, z.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(model.covariance, covariance, atol=1e-10)


def test_em_says_what_it_did():
    values = frame([[1, 5, 2, 1], [2, 5, 4, 3], [3, 5, 6, 2], [4, None, None, 4], [None] * 4])

    result = impute(values, method="em")
    stopped = impute(values, method="em", max_iterations=1)

    assert result.report["ridge"] == 3.0 and result.report["converged"]
    assert result.cells[["uCode", "indicator", "fallback"]].to_numpy().tolist() == [
        ["U03", "b", True],
        ["U03", "c", False],
    ]
    assert result.values.loc["U03", "b"] == 5.0
    assert set(result.left["reason"]) == {"the unit has no value of any indicator"} and len(result.left) == 4
    assert not stopped.report["converged"] and stopped.report["iterations"] == 1


def test_em_holds_more_indicators_than_units_and_copies_of_each_other():
    random = np.random.default_rng(4)
    base = random.normal(size=(12, 10))
    values = pd.DataFrame(np.hstack([base, base, base * 2 + 1]))
    values = values.mask(random.random(values.shape) < 0.1)

    result = impute(values, method="em")

    assert result.report["converged"] and result.report["left"] == 0
    with pytest.raises(DataError, match="12 units are too few for 30 indicators without a ridge"):
        impute(values, method="em", ridge=0)


def test_em_refuses_an_indicator_with_two_values_by_name():
    values = frame([[1, 1, 1, 1], [2, 2, 3, 2], [3, None, 4, 5]])

    with pytest.raises(DataError, match="column b: the indicator has fewer than 3 values"):
        impute(values, method="em")


def test_nearest_neighbours_are_those_of_a_plain_search():
    random = np.random.default_rng(6)
    values = frame(random.lognormal(size=(30, 4))).mask(random.random((30, 4)) < 0.2)
    values.iloc[0] = [1.0, np.nan, np.nan, np.nan]
    z = (values - values.mean()) / values.std(ddof=0)

    result = impute(values, method="knn", neighbours=3)

    for entry in result.cells.itertuples():
        own = z.loc[entry.uCode]
        found = []
        for other in values.index[values[entry.indicator].notna()]:
            common = own.notna() & z.loc[other].notna()
            if common.any() and 2 * common.sum() >= own.notna().sum():
                found.append((((own - z.loc[other])[common] ** 2).mean(), other))
        nearest = [values.loc[other, entry.indicator] for _, other in sorted(found)[:3]]
        assert entry.value == pytest.approx(np.mean(nearest), rel=1e-12)
    assert result.report["filled"] > 15


def test_equal_neighbours_are_taken_in_the_order_of_their_codes_and_few_are_marked():
    values = frame([[1, 1, 10, 1], [1, 1, 30, 1], [1, 1, 50, 1], [1, 1, None, 1], [9, 9, 90, None]])

    near = impute(values, method="knn", neighbours=2)
    few = impute(values, method="knn", neighbours=5)

    assert near.values.loc["U03", "c"] == 20.0
    assert few.values.loc["U03", "c"] == 45.0
    assert few.cells["fallback"].tolist() == [True, True]


def test_a_unit_comparable_with_nobody_is_left():
    values = frame([[1, 1, None, None], [2, 2, None, None], [None, None, 3, 3]])

    result = impute(values, method="knn")

    assert set(result.left["reason"]) == {"no unit with a value is comparable on half of the unit's indicators"}
    assert result.report["filled"] == 0


def panel(columns: dict[str, list[float | None]], times=(2018, 2019, 2020, 2023)) -> pd.DataFrame:
    units = len(next(iter(columns.values()))) // len(times)
    index = pd.MultiIndex.from_product([[f"U{i}" for i in range(units)], times], names=["uCode", "Time"])
    return pd.DataFrame(columns, index=index, dtype=float)


def test_series_are_filled_in_time_and_say_from_when():
    values = panel({"a": [1, None, None, 6, None, 5, None, None]})

    linear = impute(values, method="linear")
    latest = impute(values, method="latest", max_periods=1)

    # 2019 and 2020 lie a fifth and two fifths of the way from 2018 to 2023.
    np.testing.assert_allclose(linear.values["a"], [1, 2, 3, 6, 5, 5, 5, 5])
    used = linear.cells[["Time", "source_time", "source_time_to", "fallback"]].to_numpy(dtype=object).tolist()
    assert used[:2] == [[2019, 2018, 2023, False], [2020, 2018, 2023, False]]
    assert used[2:] == [[2018, 2019, None, True], [2020, 2019, None, True], [2023, 2019, None, True]]
    assert linear.report["looks_ahead"] == 3
    np.testing.assert_array_equal(latest.values["a"], [1, 1, np.nan, 6, np.nan, 5, 5, np.nan])
    assert latest.report["looks_ahead"] == 0
    assert impute(values, method="linear_constant").cells["fallback"].any() == np.False_


def test_a_series_without_a_value_stays_and_is_named():
    values = panel({"a": [1, None, None, 6, None, None, None, None]})

    for method in OVER_TIME:
        left = impute(values, method=method).left
        assert left["uCode"].tolist() == ["U1"] * 4
        assert left["reason"].str.contains("the unit has no").all()


@settings(deadline=None, max_examples=8)
@given(st.lists(st.one_of(st.none(), st.integers(1, 40)), min_size=12, max_size=12), st.integers(41, 99))
@pytest.mark.parametrize("method", ["latest", "mean", "group_median", "row_mean", "knn"])
def test_what_is_known_later_changes_no_earlier_edition(method, cells, news):
    values = panel({"a": cells, "b": cells[::-1], "c": [3.0] * 12, "d": range(12)}, times=(2018, 2019, 2020))
    changed = values.copy()
    changed.loc[(slice(None), 2020), :] = news
    groups = pd.Series(["x"] * 4, index=[f"U{i}" for i in range(4)])

    before = impute(values, method=method, groups=groups, **OPTIONS).values
    after = impute(changed, method=method, groups=groups, **OPTIONS).values

    early = values.index.get_level_values("Time") < 2020
    pd.testing.assert_frame_equal(before[early], after[early], check_exact=True)


def test_times_may_be_pooled():
    values = panel({"a": [1, None, None, 6, None, 5, None, None]})

    pooled = impute(values, method="mean", scope="all")
    apart = impute(values, method="mean")

    assert set(pooled.cells["value"]) == {4.0}
    assert apart.values["a"].dropna().tolist() == [1, 5, 6, 1, 5, 6]
    assert apart.left["Time"].tolist() == [2020, 2020]


def test_times_that_are_text_count_as_steps():
    values = panel({"a": [1, None, None, 6]}, times=("2018-19", "2019-20", "2020-21", "2023-24"))

    latest = impute(values, method="latest", max_periods=1)

    assert latest.cells[["Time", "source_time"]].to_numpy().tolist() == [["2019-20", "2018-19"]]
    with pytest.raises(ConfigError, match="needs times that are numbers"):
        impute(values, method="linear")


SMALL = frame([[1, 2, 3, 4], [None, 2, 5, 1], [3, 1, 1, 2]])
REFUSALS = [
    ({"method": "guess"}, SMALL, "'guess' is not known; choose none, mean"),
    ({"method": "mean", "scope": "year"}, SMALL, "'year' is not known; choose time, all"),
    ({"method": "latest"}, SMALL, "latest fills from other times, and the data hold one"),
    ({"method": "group_mean"}, SMALL, "group_mean needs a group for each unit"),
    ({"method": "group_mean", "groups": pd.Series(["x"], index=["U00"])}, SMALL, "unit U01 is not in the groups"),
    ({"method": "group_mean", "groups": pd.Series(["x"] * 2, index=["U00"] * 2)}, SMALL, "unit U00 has two groups"),
    ({"method": "row_mean"}, SMALL, "needs the hierarchy"),
    ({"method": "row_mean", "hierarchy": TREE}, SMALL.assign(e=1.0), "column e: the hierarchy has no such indicator"),
    ({"method": "row_mean", "hierarchy": TREE, "within_level": 1}, SMALL, "level 1 has no aggregates; choose 2 to 3"),
    ({"method": "mean"}, SMALL.set_axis(["X", "Y", "X"]), "unit X stands twice"),
    ({"method": "mean"}, SMALL.set_axis(list("abca"), axis=1), "column a: the indicator stands twice"),
    ({"method": "mean"}, SMALL.replace(5, np.inf), "column c: unit U01: the value is infinite or too large"),
    ({"method": "em"}, SMALL.replace(5, -1e305), "column c: unit U01: the value is infinite or too large"),
]


@pytest.mark.parametrize(("options", "values", "words"), REFUSALS)
def test_refusals_name_the_place_and_the_mend(options, values, words):
    with pytest.raises((ConfigError, DataError)) as caught:
        impute(values, **options)

    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", ["none", "one unit", "nothing observed"])
def test_nothing_is_made_of_nothing(method, shape):
    rows = {"none": 0, "one unit": 3, "nothing observed": 9}[shape]
    values = panel({code: [None] * rows for code in "abcd"}, times=(1, 2, 3))
    if shape == "one unit":
        values.iloc[:, 0] = 7.0

    result = impute(values, method=method, groups=pd.Series(["x"] * 3, index=["U0", "U1", "U2"]), **OPTIONS)

    pd.testing.assert_frame_equal(result.values, values)
    assert len(result.left) == int(values.isna().to_numpy().sum())
    assert len(result.cells) == 0

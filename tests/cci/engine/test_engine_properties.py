"""What must hold for every input: order, scale, direction, bounds; and the edges of one, none and equal."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine import compute
from cci.engine.aggregation import LevelRule, arithmetic_mean, enough, geometric_mean, harmonic_mean
from cci.engine.normalisation import goalposts, min_max
from cci.engine.ranking import rank
from cci.engine.treatment import skew_and_kurtosis, treat, winsorise

CONFIG = {
    "normalise": {"lower": 1},
    "aggregate": {"method": ["arithmetic_mean", "geometric_mean"], "min_available": 0.5},
    "rank": {},
}
META = pd.DataFrame(
    {
        "Level": [1, 1, 1, 1, 1, 2, 2, 3],
        "iCode": ["a", "b", "c", "d", "e", "P", "Q", "T"],
        "Parent": ["P", "P", "P", "Q", "Q", "T", "T", ""],
        "Direction": [1, -1, 1, 1, -1, 1, 1, 1],
        "Weight": [1, 2, 0.5, 1, 3, 0.4, 0.6, 1],
    }
)
INDICATORS = list("abcde")
cell = st.one_of(st.none(), st.integers(-50, 50).map(lambda n: n / 4))
matrices = st.integers(1, 9).flatmap(lambda n: st.lists(st.lists(cell, min_size=5, max_size=5), min_size=n, max_size=n))
positive = st.floats(0.01, 1000)


def units(rows: list[list[float | None]]) -> pd.DataFrame:
    data = pd.DataFrame(np.array(rows, dtype=float), columns=INDICATORS)
    data.insert(0, "uCode", [f"U{i:02d}" for i in range(len(rows))])
    return data


@settings(deadline=None, max_examples=20)
@given(matrices, st.randoms(use_true_random=False))
def test_order_of_units_and_elements_changes_nothing(rows, random):
    data = units(rows)
    shuffled = data.sample(frac=1, random_state=random.randint(0, 999))
    meta = META.sample(frac=1, random_state=random.randint(0, 999))

    first, second = compute(data, META, CONFIG), compute(shuffled, meta, CONFIG)

    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(table, second.tables[name][table.columns], check_exact=True)


@settings(deadline=None, max_examples=20)
@given(matrices, positive)
def test_scale_of_weights_changes_no_score(rows, factor):
    data = units(rows)

    first = compute(data, META, CONFIG)
    second = compute(data, META.assign(Weight=META["Weight"] * factor), CONFIG)

    pd.testing.assert_frame_equal(first.tables["scores"], second.tables["scores"], rtol=1e-12)
    pd.testing.assert_frame_equal(first.tables["ranks"], second.tables["ranks"])


@settings(deadline=None, max_examples=20)
@given(matrices, positive, st.floats(-100, 100))
def test_changing_the_unit_of_measure_changes_no_score(rows, factor, shift):
    data = units(rows)
    changed = data.assign(**{code: data[code] * factor + shift for code in INDICATORS})

    first, second = compute(data, META, CONFIG), compute(changed, META, CONFIG)

    pd.testing.assert_frame_equal(first.tables["scores"], second.tables["scores"], rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(matrices)
def test_scores_stay_on_the_scale_of_their_indicators(rows):
    tables = compute(units(rows), META, CONFIG).tables

    for name in ("normalised", "scores"):
        values = tables[name].drop(columns="uCode").to_numpy(dtype=float)
        assert ((values >= 1) & (values <= 100) | np.isnan(values)).all()
    coverage = tables["coverage"].drop(columns="uCode").to_numpy()
    assert ((coverage >= 0) & (coverage <= 1)).all()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.floats(1, 100), min_size=5, max_size=5), min_size=2, max_size=6),
    st.sampled_from(INDICATORS),
    st.floats(0, 50),
    st.sampled_from(["arithmetic_mean", "geometric_mean", "harmonic_mean"]),
)
def test_better_input_never_lowers_a_score(rows, code, gain, method):
    """With fixed goalposts: the bounds do not move with the unit."""
    data = units(rows)
    sign = META.set_index("iCode").loc[code, "Direction"]
    better = data.copy()
    better.loc[0, code] += sign * gain
    posts = pd.DataFrame({"iCode": INDICATORS, "transform": "lin", "lo": 0.0, "hi": 100.0})
    config = {
        "normalise": {"method": "goalposts", "file": "posts.csv"},
        "aggregate": {"method": method, "floor": 1},
    }

    before = compute(data, META, config, goalposts=posts).tables["scores"].set_index("uCode")
    after = compute(better, META, config, goalposts=posts).tables["scores"].set_index("uCode")

    assert (after.loc["U00"] >= before.loc["U00"] - 1e-9).all()
    pd.testing.assert_frame_equal(after.iloc[1:], before.iloc[1:], check_exact=True)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.5, 100), min_size=1, max_size=6), st.lists(positive, min_size=6, max_size=6))
def test_means_are_ordered_and_between_their_components(values, weights):
    frame = pd.DataFrame([values], columns=[f"c{i}" for i in range(len(values))])
    share = pd.Series(dict(zip(frame.columns, weights, strict=False)))

    harmonic, geometric, arithmetic = (
        mean(frame, share)[0] for mean in (harmonic_mean, geometric_mean, arithmetic_mean)
    )

    assert min(values) <= harmonic <= geometric * (1 + 1e-12)
    assert geometric <= arithmetic * (1 + 1e-12) <= max(values) * (1 + 2e-12)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1000, 1000), min_size=4, max_size=60))
def test_moments_agree_with_pandas(values):
    column = pd.Series(values)
    if column.max() - column.min() < 1e-3:
        return

    skew, kurtosis = skew_and_kurtosis(column.to_numpy())

    assert skew == pytest.approx(column.skew(), rel=1e-6, abs=1e-6)
    assert kurtosis == pytest.approx(column.kurt(), rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, 50.0, 400.0, -300.0]), min_size=1, max_size=40))
def test_treatment_keeps_order_and_gaps(values):
    frame = pd.DataFrame({"a": [*values, None]})

    treated, _ = treat(frame)

    assert treated["a"].isna().tolist() == frame["a"].isna().tolist()
    order = np.argsort(values, kind="stable")
    assert (np.diff(treated["a"].to_numpy()[:-1][order]) >= 0).all()


@pytest.mark.parametrize("ties", ["min", "dense", "average"])
@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.one_of(st.none(), st.integers(0, 5).map(float)), min_size=1, max_size=20))
def test_ranks_agree_with_pandas(ties, values):
    scores = pd.DataFrame({"T": np.array(values, dtype=float)})

    ranks = rank(scores, ties=ties)["T"].astype("Float64")

    expected = scores["T"].rank(ascending=False, method=ties).astype("Float64")
    assert ranks.to_numpy(float, na_value=np.nan) == pytest.approx(
        expected.to_numpy(float, na_value=np.nan), nan_ok=True
    )


def test_rounding_noise_does_not_split_a_tie():
    scores = pd.DataFrame({"T": [0.1 + 0.2, 0.3, 0.30000001]})

    assert rank(scores)["T"].tolist() == [2, 2, 1]
    assert rank(scores, tolerance=0)["T"].tolist() == [2, 3, 1]


def test_one_unit_has_no_min_max_score_and_is_named():
    result = compute(units([[1.0, 2.0, 3.0, 4.0, 5.0]]), META, CONFIG)

    assert result.tables["scores"][["P", "Q", "T"]].isna().all(axis=None)
    assert result.tables["ranks"][["P", "Q", "T"]].isna().all(axis=None)
    warnings = {warning["kind"]: warning["names"] for warning in result.report["warnings"]}
    assert warnings["constant_indicator"] == INDICATORS
    assert warnings["no_scores"] == ["P", "Q", "T"]


def test_one_unit_has_a_score_between_goalposts():
    posts = pd.DataFrame({"iCode": INDICATORS, "transform": "fixed", "lo": None, "hi": None})
    config = {"normalise": {"method": "goalposts", "file": "p.csv"}, "aggregate": {}, "rank": {}}

    result = compute(units([[50.0] * 5]), META, config, goalposts=posts)

    assert result.tables["scores"].iloc[0, 1:].tolist() == [50.0, 50.0, 50.0]
    assert result.tables["ranks"].iloc[0, 1:].tolist() == [1, 1, 1]


def test_all_missing_stays_missing():
    result = compute(units([[None] * 5] * 3), META, CONFIG)

    assert result.tables["normalised"][INDICATORS].isna().all(axis=None)
    assert result.tables["ranks"]["T"].isna().all()
    assert (result.tables["coverage"]["T"] == 0).all()


def test_all_equal_is_missing_and_named_never_a_midpoint():
    result = compute(units([[7.0] * 5] * 4), META, {**CONFIG, "treat": {}})

    assert result.tables["treated"][INDICATORS].eq(7).all(axis=None)
    assert result.tables["normalised"][INDICATORS].isna().all(axis=None)
    assert result.report["warnings"][0]["kind"] == "constant_indicator"


def test_a_constant_indicator_counts_as_absent():
    data = units([[1.0, 5.0, 1.0, 1.0, 7.0], [2.0, 6.0, 2.0, 3.0, 7.0]])

    result = compute(data, META, {**CONFIG, "aggregate": {"min_available": 1}})

    assert result.tables["scores"]["P"].notna().all()
    assert result.tables["scores"]["Q"].isna().all()
    assert (result.tables["coverage"]["Q"] == 0.25).all()


def test_equal_components_give_exactly_their_value():
    frame = pd.DataFrame([[0.1, 0.1, 0.1]], columns=list("abc"))
    weights = pd.Series({"a": 0.1, "b": 0.7, "c": 0.3})

    assert [mean(frame, weights)[0] for mean in (arithmetic_mean, geometric_mean, harmonic_mean)] == [0.1] * 3


def test_screening_counts_and_does_not_round():
    """66 of 100 reach 0.66; in floating point, as COINr computes it, they do not."""
    codes = [f"i{n:03d}" for n in range(100)]
    meta = pd.DataFrame({"Level": 1, "iCode": codes, "Parent": "", "Direction": 1, "Weight": 1})
    data = pd.DataFrame([[1.0] * 66 + [None] * 34], columns=codes).assign(uCode="X")
    screen = {"screen": {"method": "by_na", "min_available": 0.66}}

    assert len(compute(data, meta, screen).tables["screened"]) == 1
    assert len(compute(data, meta, {**screen, "compat": "coinr"}).tables["screened"]) == 0


def test_all_units_screened_out_leave_empty_tables():
    config = {**CONFIG, "screen": {"min_available": 1}, "impute": {}, "treat": {}}

    result = compute(units([[None, 1.0, 2.0, 3.0, 4.0]] * 2), META, config)

    assert {len(table) for table in result.tables.values()} == {0}
    assert [warning["kind"] for warning in result.report["warnings"]][:2] == ["screened_out", "no_units"]


def test_only_other_value_is_left_alone_and_flagged():
    """39 zeros and a one: winsorising would make the column constant."""
    values = pd.DataFrame({"a": [0.0] * 39 + [1.0]})

    treated, (record,) = treat(values)

    assert treated.equals(values)
    assert (record.action, record.passes) == ("left", False)
    assert winsorise(values["a"].to_numpy()) is None


def test_treatment_that_does_not_help_is_named():
    left = -np.exp(np.linspace(0, 60, 40))
    meta = pd.DataFrame({"Level": [1], "iCode": ["a"], "Parent": [""], "Direction": [1], "Weight": [1]})
    data = pd.DataFrame({"uCode": [f"U{i:02d}" for i in range(40)], "a": left})

    report = compute(data, meta, {"treat": {"winsorise_max": 1}}).report

    assert report["treatment"][0]["action"] == "log_ct"
    assert report["warnings"][0]["names"] == ["a"]


def test_floor_keeps_a_geometric_mean_alive():
    data = pd.DataFrame({"uCode": ["X"], "a": [0.0], "b": [100.0], "c": [100.0], "d": [9.0], "e": [9.0]})
    config = {"aggregate": {"method": ["geometric_mean", "arithmetic_mean"], "floor": [1, 0]}}

    scores = compute(data, META.assign(Weight=1), config).tables["scores"]

    assert scores["P"][0] == pytest.approx(100 ** (2 / 3))


def test_limits_of_weight_and_number():
    values = pd.DataFrame({"a": [1.0, None], "b": [None, 1.0], "c": [1.0, 1.0]})
    weights = pd.Series({"a": 0.3, "b": 0.4, "c": 0.3})

    assert enough(values, weights, LevelRule(min_available=0, min_weight_share=0.6)).all()
    assert enough(values, weights, LevelRule(min_available=0, min_weight_share=0.65)).tolist() == [
        False,
        True,
    ]
    assert not enough(values, weights, LevelRule(min_available=0, min_components=3)).any()


def test_several_times_are_ranked_apart_and_treated_alike():
    data = pd.DataFrame({"uCode": ["B", "A", "B", "A"], "Time": [2021, 2021, 2020, 2020], "a": [4.0, 3.0, 1.0, 2.0]})
    meta = pd.DataFrame(
        {"Level": [1, 2], "iCode": ["a", "T"], "Parent": ["T", ""], "Direction": [1, 1], "Weight": [1, 1]}
    )

    pooled = compute(data, meta, {"normalise": {}, "aggregate": {}, "rank": {}}).tables
    apart = compute(data, meta, {"normalise": {"scope": "time"}, "aggregate": {}, "rank": {}}).tables

    assert pooled["ranks"].to_dict("list") == {
        "uCode": ["A", "A", "B", "B"],
        "Time": [2020, 2021, 2020, 2021],
        "T": [1, 2, 2, 1],
    }
    assert pooled["scores"]["T"].tolist() == pytest.approx([100 / 3, 200 / 3, 0, 100])
    assert apart["scores"]["T"].tolist() == [100, 0, 0, 100]


def test_inputs_are_not_changed():
    data, meta, config = (
        units([[1.0, 2, 3, 4, 5], [5.0, 4, 3, 2, None]]),
        META.copy(),
        {**CONFIG, "treat": {}},
    )
    before = data.copy(), meta.copy(), repr(config)

    result = compute(data, meta, config)
    result.tables["scores"]["T"] = 0.0

    pd.testing.assert_frame_equal(data, before[0])
    pd.testing.assert_frame_equal(meta, before[1])
    assert repr(config) == before[2]


def test_min_max_and_goalposts_refuse_gaps_by_name():
    values = pd.DataFrame({"a": [1.0], "b": [2.0]})
    one = pd.Series({"a": 1.0})
    posts = pd.DataFrame({"transform": ["lin"], "lo": [0.0], "hi": [1.0]}, index=["a"])

    with pytest.raises(ValueError, match="No direction for b"):
        min_max(values, directions=one)
    with pytest.raises(ValueError, match="no row for b"):
        goalposts(values, posts=posts, directions=pd.Series({"a": 1.0, "b": 1.0}))

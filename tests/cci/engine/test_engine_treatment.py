"""Treatment of outliers: COINr's results on real data, what must hold for every input, edges, later editions."""

import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cci.engine.errors import DataError
from cci.engine.treatment import (
    TRANSFORMS,
    Transform,
    apply_transform,
    fitted,
    moments,
    passes,
    read_treatments,
    retreat,
    skew_and_kurtosis,
    transformed,
    treat,
    treated_cells,
    winsorise,
)


def read(path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"uCode": str}).set_index("uCode").sort_index()


def assert_same(actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert actual.index.equals(expected.index)
    np.testing.assert_allclose(
        actual[expected.columns].to_numpy(float), expected.to_numpy(float), rtol=1e-9, atol=1e-12
    )


# --- COINr on the ASEM data ---

CASES = [
    *((f"qTreat_winmax{n}", {"winsorise_max": n}) for n in (1, 2, 3, 5, 10)),
    ("qTreat_winmax1_skew1.5_kurt3_log_CT", {"skew": 1.5, "kurtosis": 3, "winsorise_max": 1}),
    ("winmax0_log_CT", {"winsorise_max": 0}),
    ("winmax1_combine_log_CT", {"winsorise_max": 1, "combine": True}),
    ("winmax1_log_CT_orig", {"winsorise_max": 1, "transform": "log_ct_orig"}),
    ("winmax1_log_CT_plus", {"winsorise_max": 1, "transform": "log_ct_plus"}),
]


@pytest.mark.parametrize(("file", "options"), CASES)
def test_values_and_moments_are_those_of_coinr(asem, file, options):
    values = read(asem("a_example/04_screened.csv"))
    details = pd.read_csv(asem(f"treatment/{file}_details.csv")).set_index("iCode")
    limits = {key: options[key] for key in ("skew", "kurtosis") if key in options}

    treated, records = treat(values, **options)

    assert_same(treated, read(asem(f"treatment/{file}_values.csv")))
    for record in records:
        row = details.loc[record.indicator]
        assert record.skew == pytest.approx(row["check_SkewKurt0.Skew"], rel=1e-9)
        assert record.kurtosis == pytest.approx(row["check_SkewKurt0.Kurt"], rel=1e-9)
        assert (record.action == "none") == bool(row["check_SkewKurt0.Pass"])
        if record.action == "none":
            continue
        assert record.n_winsorised == row["winsorise.nwin"]
        cut, moved = winsorise(
            values[record.indicator].to_numpy(), winsorise_max=options.get("winsorise_max", 5), **limits
        )
        assert moved.sum() == row["winsorise.nwin"]
        stage = [row["check_SkewKurt1.Skew"], row["check_SkewKurt1.Kurt"]]
        assert list(skew_and_kurtosis(cut)) == pytest.approx(stage, rel=1e-9)
        last = 2 if "check_SkewKurt2.Skew" in row and not math.isnan(row["check_SkewKurt2.Skew"]) else 1
        assert record.skew_after == pytest.approx(row[f"check_SkewKurt{last}.Skew"], rel=1e-9)
        assert record.kurtosis_after == pytest.approx(row[f"check_SkewKurt{last}.Kurt"], rel=1e-9)
        assert record.passes == bool(row[f"check_SkewKurt{last}.Pass"])
        assert (record.reason == "still fails the test") == (not record.passes)


def test_box_cox_of_every_indicator(asem):
    values = read(asem("a_example/04_screened.csv"))

    treated = values.apply(lambda column: transformed(column.to_numpy(), "boxcox", power=0.5))

    assert_same(treated, read(asem("treatment/boxcox_lambda0.5_all_values.csv")))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a_example/04_screened", "a_example/05_treated"),
        ("a_example/02_denominated", "missing/treated_with_na"),
        ("b_overview/02_screened", "b_overview/04_treated_from_screened"),
        ("b_overview/03_imputed", "b_overview/c_treated_from_imputed"),
    ],
)
def test_treated_tables_of_coinr(asem, before, after):
    treated, _ = treat(read(asem(f"{before}.csv")))

    assert_same(treated, read(asem(f"{after}.csv")))


@pytest.mark.parametrize(
    ("before", "file"),
    [
        ("a_example/04_screened", "a_example/05_treat_details"),
        ("b_overview/02_screened", "b_overview/04_treat_details"),
    ],
)
def test_details_of_the_examples(asem, before, file):
    details = pd.read_csv(asem(f"{file}.csv")).set_index("iCode")

    _, records = treat(read(asem(f"{before}.csv")))

    for record in records:
        row = details.loc[record.indicator]
        assert [record.skew, record.kurtosis] == pytest.approx(
            [row["check_SkewKurt0.Skew"], row["check_SkewKurt0.Kurt"]], rel=1e-9
        )
        if not bool(row["check_SkewKurt0.Pass"]):
            assert record.n_winsorised == row["winsorise.nwin"]
            assert record.skew_after == pytest.approx(row["check_SkewKurt1.Skew"], rel=1e-9)


def test_points_are_those_of_coinr(asem):
    marks = pd.read_csv(asem("a_example/05_treated_points.csv")).set_index("uCode").stack()

    _, records = treat(read(asem("a_example/04_screened.csv")))

    points = {
        (unit, record.indicator): "winhi" if old > new else "winlo"
        for record in records
        for unit, old, new in record.points
    }
    assert points == {place: mark for place, mark in marks.items() if isinstance(mark, str) and mark}


# --- what must hold for every input ---

spiky = st.lists(
    st.one_of(st.integers(-20, 20).map(float), st.sampled_from([400.0, -300.0, 5e3, 7.25])), min_size=4, max_size=60
)
numbers = st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=80)
OPTIONS = [
    {},
    {"winsorise_max": 0},
    {"winsorise_max": 2, "combine": True},
    {"winsorise_max": 1, "transform": "log_ct_plus"},
    {"winsorise_max": 1, "transform": "boxcox", "power": 0.5},
    {"winsorise_max": 1, "transform": "none"},
    {"mode": "improved", "winsorise_max": 1},
    {"mode": "improved", "winsorise_share": 0.1, "transform": "log_gii"},
    {"winsorise_max": 2, "force": ["a"]},
]


@pytest.mark.parametrize("options", OPTIONS)
@settings(deadline=None, max_examples=25)
@given(values=spiky)
def test_order_is_kept_and_gaps_stay(options, values):
    frame = pd.DataFrame({"a": [*values, None]})

    treated, _ = treat(frame, **options)

    assert treated["a"].isna().tolist() == frame["a"].isna().tolist()
    order = np.argsort(values, kind="stable")
    assert (np.diff(treated["a"].to_numpy()[:-1][order]) >= 0).all()


@pytest.mark.parametrize("options", OPTIONS)
@settings(deadline=None, max_examples=15)
@given(values=spiky, random=st.randoms(use_true_random=False))
def test_order_of_units_changes_nothing(options, values, random):
    frame = pd.DataFrame({"a": values})
    places = list(range(len(values)))
    random.shuffle(places)

    first, (one,) = treat(frame, **options)
    second, (two,) = treat(frame.iloc[places], **options)

    pd.testing.assert_frame_equal(first, second.sort_index(), check_exact=True)
    assert (one.action, sorted(one.points)) == (two.action, sorted(two.points))


@settings(deadline=None, max_examples=25)
@given(values=spiky, exponent=st.integers(-30, 30))
def test_the_unit_of_measure_changes_nothing_but_the_unit(values, exponent):
    """A power of two is exact, so equality is exact too: same points, same moments."""
    factor = 2.0**exponent
    frame = pd.DataFrame({"a": values})

    treated, (record,) = treat(frame, transform="none")
    scaled, (other,) = treat(frame * factor, transform="none")

    pd.testing.assert_frame_equal(treated * factor, scaled, check_exact=True)
    assert (other.skew, other.kurtosis) == (record.skew, record.kurtosis) or math.isnan(record.skew)
    assert [unit for unit, *_ in other.points] == [unit for unit, *_ in record.points]


@settings(deadline=None, max_examples=40)
@given(values=numbers)
def test_moments_agree_with_pandas_with_gaps_too(values):
    assume(max(values) - min(values) > 1e-2)
    column = pd.Series([None, *values, None], dtype=float)

    (skew,), (kurtosis,) = moments(column.to_numpy()[None, :])

    assert skew == pytest.approx(column.skew(), rel=1e-6, abs=1e-6)
    assert kurtosis == pytest.approx(column.kurt(), rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.0, 0.02, 0.1]),
    spread=st.sampled_from([1.0, 2.0, 4.0]),
    ties=st.booleans(),
)
def test_winsorising_by_sums_is_winsorising_by_the_letter(seed, share, spread, ties):
    """Long columns use sums kept from step to step; the procedure of the method note, word by word, agrees."""
    values = np.exp(np.random.default_rng(seed).normal(scale=spread, size=400)) * (-1) ** seed
    values = np.round(values, 1) if ties else values
    limit = max(5, math.ceil(share * values.size))

    result, moved = winsorise(values, winsorise_max=limit)

    high = low = np.zeros(values.size, dtype=bool)
    expected = values.copy()
    while not passes(expected) and high.sum() + low.sum() < limit:
        if skew_and_kurtosis(expected)[0] >= 0:
            high = expected == expected.max()
            expected[high] = expected[~high].max()
        else:
            low = expected == expected.min()
            expected[low] = expected[~low].min()
    assert result.tolist() == expected.tolist()
    assert moved.astype(bool).tolist() == (high | low).tolist()


@pytest.mark.parametrize("scale", [1e-300, 1e-80, 1e60, 1e300])
def test_moments_are_free_of_units_at_any_size(scale):
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 90.0])

    assert skew_and_kurtosis(values * scale) == pytest.approx(skew_and_kurtosis(values), rel=1e-12)


@pytest.mark.parametrize("transform", [name for name in TRANSFORMS if name != "none"])
@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.integers(-40, 900).map(float), min_size=2, max_size=30))
def test_every_transform_rises_also_mirrored(transform, values):
    ordered = np.unique(values)
    assume(ordered.size > 1 and ordered[-1] > 0)

    for by_skew in (False, True):
        fit = fitted(np.asarray(values), transform, power=0.3, by_skew=by_skew)
        result = apply_transform(ordered, fit)

        assert np.isfinite(result).all()
        assert (np.diff(result) > 0).all()


# --- edges ---


def test_one_spike_is_pulled_in_to_its_neighbour():
    values = pd.DataFrame({"a": [*map(float, range(20)), 1e6]}, index=[f"U{n:02d}" for n in range(21)])

    treated, (record,) = treat(values)

    assert treated["a"].tolist()[-1] == 19.0
    assert record.points == (("U20", 1e6, 19.0),)
    assert (record.low, record.high, record.passes, record.reason) == (None, 19.0, True, "")


def test_tied_spikes_move_together_beyond_the_limit():
    values = pd.DataFrame({"a": [*map(float, range(60)), 900.0, 900.0, 900.0]})

    treated, (record,) = treat(values, winsorise_max=1)

    assert record.n_winsorised == 3
    assert treated["a"].max() == 59.0


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([None] * 6, "fewer than 4 values"),
        ([1.0, 2.0, 99.0, None, None, None], "fewer than 4 values"),
        ([7.0] * 6, "one distinct value"),
        ([0.0] * 39 + [1.0], "winsorising would leave one distinct value"),
    ],
)
def test_what_cannot_be_treated_is_left_with_a_reason(column, reason):
    values = pd.DataFrame({"a": column}, dtype=float)

    for mode in ("standard", "improved"):
        treated, (record,) = treat(values, mode=mode, force=["a"])

        pd.testing.assert_frame_equal(treated, values)
        assert (record.action, record.reason) == ("left", reason)
        assert not record.passes or record.kurtosis != record.kurtosis  # three values have no kurtosis to fail by


def test_infinite_values_are_refused_by_name():
    values = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, math.inf]}, index=["X", "Y"])

    with pytest.raises(DataError, match="column b: unit Y has an infinite value"):
        treat(values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "best"}, "'best' is no mode"),
        ({"force": ["z"]}, "No indicator z"),
        ({"winsorise_max": 0, "transform": "root"}, "'root' is no transform"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        treat(pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]}), **options)


def test_empty_tables_pass():
    treated, (record,) = treat(pd.DataFrame({"a": []}, dtype=float))

    assert len(treated) == 0
    assert record.reason == "fewer than 4 values"


def test_inputs_are_not_changed():
    values = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]})

    treat(values)
    retreat(values, treat(values)[1])

    assert values["a"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]


# --- beyond COINr ---


def test_the_limit_grows_with_the_number_of_values():
    values = pd.DataFrame({"a": np.exp(np.linspace(0, 40, 400))})

    _, (five,) = treat(values, transform="none")
    _, (share,) = treat(values, transform="none", winsorise_share=0.07)

    assert five.n_winsorised == 5
    assert not five.passes
    assert share.n_winsorised == 28  # 0.07 * 400 is 28.000000000000004 in floating point


def left_tail() -> pd.DataFrame:
    return pd.DataFrame({"a": -np.exp(np.linspace(0, 20, 40))})


def test_a_left_tail_gets_a_mirrored_transform_where_the_standard_makes_it_longer():
    _, (standard,) = treat(left_tail(), winsorise_max=1)
    _, (improved,) = treat(left_tail(), winsorise_max=1, mode="improved")

    assert standard.action == improved.action == "log_ct"
    assert abs(standard.skew_after) > abs(standard.skew)
    assert not standard.passes
    assert improved.transform.mirrored
    assert abs(improved.skew_after) < abs(improved.skew)
    assert improved.passes


def test_a_transform_that_helps_less_than_winsorising_is_not_kept():
    """Twenty spikes on both sides: the log stretches the lower ones."""
    rng = np.random.default_rng(5)
    values = pd.DataFrame({"a": np.concatenate([rng.normal(size=200), np.full(6, 80.0), [-400.0, -401.0]])})

    _, (standard,) = treat(values, winsorise_max=1)
    _, (improved,) = treat(values, winsorise_max=1, mode="improved")

    assert standard.action == "log_ct"
    assert abs(improved.skew_after) <= abs(standard.skew_after)
    assert abs(improved.skew_after) < abs(improved.skew)


@settings(deadline=None, max_examples=30)
@given(values=spiky, transform=st.sampled_from(["log_ct", "log_ct_orig", "boxcox", "none"]))
def test_the_improved_mode_never_leaves_more_skew_than_there_was(values, transform):
    _, (record,) = treat(pd.DataFrame({"a": values}), mode="improved", winsorise_max=2, transform=transform)

    if record.action not in ("none", "left"):
        assert abs(record.skew_after) < abs(record.skew)


def test_forced_indicators_are_treated_though_they_pass():
    values = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 6.5], "b": [1.0, 2.0, 3.0, 4.0, 5.0, 6.5]})

    treated, (forced, other) = treat(values, winsorise_max=1, force=["a"])
    _, (logged, _) = treat(values, winsorise_max=0, force=["a"])

    assert treated["a"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 5.0]
    assert (forced.action, forced.n_winsorised, other.action) == ("winsorised", 1, "none")
    assert logged.action == "log_ct"


def test_log_gii_is_that_of_the_global_innovation_index():
    values = np.array([0.0, 3.0, 11.0])

    result = transformed(values, "log_gii")

    assert result.tolist() == pytest.approx([0.0, math.log(10 * 3 / 11 + 1), math.log(11)])
    # A largest value below 1 would turn the order round; a power of ten lifts it above 1.
    assert transformed(np.array([0.0, 0.2]), "log_gii").tolist() == pytest.approx([0.0, math.log(2)])


def test_log_gii_needs_a_value_above_zero():
    values = pd.DataFrame({"a": [-90.0, -5.0, -4.0, -3.0, -2.0, -1.0]})

    treated, (record,) = treat(values, winsorise_max=0, transform="log_gii")

    pd.testing.assert_frame_equal(treated, values)
    assert record.reason == "log_gii needs a largest value above 0"
    with pytest.raises(ValueError, match="above 0"):
        transformed(values["a"].to_numpy(), "log_gii")


def test_unchanged_puts_the_original_back_as_coinr_does_under_the_name_log_gii():
    values = left_tail()

    treated, (record,) = treat(values, winsorise_max=1, transform="unchanged")

    pd.testing.assert_frame_equal(treated, values)
    assert (record.action, record.passes, record.reason) == ("unchanged", False, "still fails the test")


# --- records ---


def test_every_changed_cell_can_be_rebuilt_from_the_record():
    rng = np.random.default_rng(3)
    values = pd.DataFrame(
        {"a": np.exp(rng.normal(scale=3, size=50)), "b": rng.normal(size=50), "c": [0.0] * 49 + [9.0]}
    )
    values.loc[7, "a"] = np.nan

    for options in ({"winsorise_max": 1}, {"combine": True, "winsorise_max": 2}, {"winsorise_max": 50}):
        treated, records = treat(values, **options)

        for record in records:
            column = values[record.indicator].to_numpy()
            low = -math.inf if record.low is None else record.low
            high = math.inf if record.high is None else record.high
            column = np.clip(column, low, high)
            if record.transform:
                column = apply_transform(column, record.transform)
            np.testing.assert_array_equal(column, treated[record.indicator])
        cells = treated_cells(values, treated, records)
        changed = (values != treated) & values.notna()
        assert len(cells) == changed.to_numpy().sum()
        assert set(cells["action"]) <= {record.action for record in records}


def test_cells_of_a_panel_carry_unit_and_time():
    index = pd.MultiIndex.from_product([["X", "Y", "Z"], [2020, 2021]], names=["uCode", "Time"])
    values = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]}, index=index)

    cells = treated_cells(values, *treat(values))

    assert cells.to_dict("records") == [
        {"uCode": "Z", "Time": 2021, "indicator": "a", "original": 90.0, "treated": 5.0, "action": "winsorised"}
    ]


# --- later editions ---


def test_the_base_edition_treats_itself_to_the_same_values(asem):
    values = read(asem("a_example/04_screened.csv"))

    for options in ({}, {"winsorise_max": 1}, {"winsorise_max": 1, "combine": True}, {"mode": "improved"}):
        treated, records = treat(values, **options)
        again, _ = retreat(values, records)

        pd.testing.assert_frame_equal(again, treated, check_exact=True)


def test_a_unit_that_stands_still_keeps_its_value_whatever_the_others_do():
    base = pd.DataFrame({"a": np.exp(np.linspace(0, 15, 30))}, index=[f"U{n:02d}" for n in range(30)])
    treated, records = treat(base, winsorise_max=1)
    later = base.copy()
    later.iloc[:10] *= 40

    again, _ = retreat(later, records)

    pd.testing.assert_frame_equal(again.iloc[10:], treated.iloc[10:], check_exact=True)
    assert (again.iloc[:10] > treated.iloc[:10]).all(axis=None)


def test_values_beyond_the_base_are_cut_or_held_and_listed():
    base = pd.DataFrame({"cut": [*map(float, range(20)), 1e6], "log": np.exp(np.linspace(0, 20, 21))})
    treated, records = treat(base, winsorise_max=1)
    assert [record.action for record in records] == ["winsorised", "log_ct"]

    later, (cut, log) = retreat(pd.DataFrame({"cut": [-50.0, 70.0], "log": [0.5, 9e12]}, index=["X", "Y"]), records)

    assert later["cut"].tolist() == [-50.0, 19.0]  # the base cut at the top only
    assert cut.points == (("Y", 70.0, 19.0),)
    assert later["log"].iloc[0] == treated["log"].min()
    assert later["log"].iloc[1] > treated["log"].max()
    assert log.points == (("X", 0.5, 1.0),)


def test_indicators_without_a_record_are_not_changed():
    values = pd.DataFrame({"new": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]})

    again, (record,) = retreat(values, [])

    pd.testing.assert_frame_equal(again, values)
    assert (record.action, record.passes) == ("none", False)


def test_records_survive_a_report():
    values = pd.DataFrame({"a": np.exp(np.linspace(0, 20, 21)), "b": [*map(float, range(20)), 1e6], "c": 1.0})
    treated, records = treat(values, winsorise_max=1, mode="improved")
    entries = [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in asdict(one).items()}
        for one in records
    ]

    again, _ = retreat(values, read_treatments(entries))

    pd.testing.assert_frame_equal(again, treated, check_exact=True)
    assert isinstance(read_treatments(entries)[0].transform, Transform)

"""Trends: COINr's results on the ASEM panel, a second computation series by series, and the series without a trend."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine.errors import DataError
from cci.engine.trends import growth, percent_change

CASES = [
    (growth, "growth", "trends_CAGR_first3", "CAGR"),
    (percent_change, "change", "trends_prc_change_first3", "prc_change"),
]


def panel(series: dict[str, list[float | None]], start: int = 2018) -> pd.DataFrame:
    """One indicator, a series per unit."""
    index = pd.MultiIndex.from_product([series, range(start, start + len(next(iter(series.values()))))])
    index.names = ["uCode", "Time"]
    return pd.DataFrame({"a": np.array([value for one in series.values() for value in one], dtype=float)}, index=index)


@pytest.mark.parametrize(("trend", "name", "file", "column"), CASES)
def test_trends_are_those_of_coinr(asem, trend, name, file, column):
    expected = pd.read_csv(asem(f"panel/{file}.csv")).set_index(["uCode", "iCode"])
    values = pd.read_csv(asem("inputs/iData_panel.csv")).set_index(["uCode", "Time"])
    codes = list(expected.index.get_level_values("iCode").unique())

    table = trend(values[codes], literal=True).set_index(["uCode", "indicator"]).loc[expected.index]

    np.testing.assert_allclose(table[name], expected[column], rtol=1e-9)
    np.testing.assert_array_equal(table[["first", "last"]], expected[["t_first", "t_latest"]])
    np.testing.assert_allclose(table["available"], expected["Avail"], rtol=1e-12)


@pytest.mark.parametrize(("trend", "name", "file", "column"), CASES)
def test_where_coinr_s_formula_ends_there_is_a_reason_and_no_number(asem, trend, name, file, column):
    expected = pd.read_csv(asem(f"panel/{file}.csv")).set_index(["uCode", "iCode"])
    values = pd.read_csv(asem("inputs/iData_panel.csv")).set_index(["uCode", "Time"])
    codes = list(expected.index.get_level_values("iCode").unique())

    table = trend(values[codes]).set_index(["uCode", "indicator"]).loc[expected.index]

    defined = table["reason"] == ""
    np.testing.assert_allclose(table.loc[defined, name], expected.loc[defined, column], rtol=1e-9)
    assert table.loc[~defined, name].isna().all()
    assert not np.isinf(table[name]).any()
    assert (~defined).sum() == {"growth": 9, "change": 5}[name]


numbers = st.lists(st.one_of(st.none(), st.integers(1, 50).map(float)), min_size=4, max_size=4)


@settings(deadline=None, max_examples=30)
@given(series=st.lists(numbers, min_size=1, max_size=4))
def test_each_series_alone_gives_the_same(series):
    """np.polyfit and the closed formula, one series at a time."""
    values = panel({f"U{n}": one for n, one in enumerate(series)})

    rates, changes = growth(values), percent_change(values)

    for place, one in enumerate(series):
        seen = [(2018 + year, value) for year, value in enumerate(one) if value is not None]
        if len(seen) < 2:
            assert rates["reason"][place] == changes["reason"][place] == "fewer than two values"
            continue
        (t0, y0), (t1, y1) = seen[0], seen[-1]
        assert rates["growth"][place] == pytest.approx((y1 / y0) ** (1 / (t1 - t0)) - 1, abs=1e-12)
        slope, level = np.polyfit([t - t0 for t, _ in seen], [y for _, y in seen], 1)
        if changes["reason"][place] == "":
            assert changes["change"][place] == pytest.approx(100 * slope / level, rel=1e-6, abs=1e-6)
        else:
            assert level < 1e-9


@settings(deadline=None, max_examples=20)
@given(series=st.lists(numbers, min_size=2, max_size=4), random=st.randoms(use_true_random=False))
def test_order_of_rows_and_unit_of_measure_change_nothing(series, random):
    values = panel({f"U{n}": one for n, one in enumerate(series)})
    places = list(range(len(values)))
    random.shuffle(places)

    for trend in (growth, percent_change):
        pd.testing.assert_frame_equal(trend(values), trend(values.iloc[places]), check_exact=True)
        pd.testing.assert_frame_equal(trend(values), trend(values * 8), check_exact=True)


@pytest.mark.parametrize(
    ("series", "rate", "change", "reasons"),
    [
        ([4.0, 9.0, 4.0], 0.0, None, ("", "")),
        ([0.0, 0.0, 0.0], 0.0, 0.0, ("", "")),
        ([5.0, 5.0, 5.0], 0.0, 0.0, ("", "")),
        ([0.0, 1.0, 2.0], None, None, ("starts at zero", "starts at zero")),
        ([-1.0, 0.5, 1.0], None, None, ("the sign changes", "the sign changes")),
        ([-4.0, -3.0, -1.0], -0.5, None, ("", "")),
        ([4.0, 2.0, 0.0], -1.0, -50.0, ("", "")),
        ([None, 3.0, None], None, None, ("fewer than two values",) * 2),
        ([None, None, None], None, None, ("fewer than two values",) * 2),
        ([2.0, None, 8.0], 1.0, 150.0, ("", "")),
    ],
)
def test_edges(series, rate, change, reasons):
    values = panel({"X": series})

    (one,), (two,) = growth(values).to_dict("records"), percent_change(values).to_dict("records")

    assert (one["reason"], two["reason"]) == reasons
    for reason, found, expected in zip(reasons, (one["growth"], two["change"]), (rate, change), strict=True):
        assert np.isnan(found) == bool(reason)
        if expected is not None:
            assert found == pytest.approx(expected)


def test_times_used_and_share_available_are_told():
    table = growth(panel({"X": [None, 2.0, 8.0, None]}))

    row = table.iloc[0]
    assert (row["first"], row["last"], row["available"], row["growth"]) == (2019, 2020, 0.5, 3.0)


def test_change_over_a_decade_is_ten_times_that_of_a_year():
    values = panel({"X": [10.0, 11.0, 12.0]})

    assert percent_change(values, per=10)["change"][0] == pytest.approx(100.0)


def test_a_table_without_times_or_with_words_for_times_is_refused():
    with pytest.raises(ValueError, match="need data with a Time"):
        growth(pd.DataFrame({"a": [1.0]}, index=["X"]))
    words = panel({"X": [1.0, 2.0]}).rename(index={2018: "first", 2019: "second"}, level=1)
    with pytest.raises(DataError, match="column Time: a time is not a number"):
        percent_change(words)


def test_an_empty_panel_has_no_trends():
    assert len(growth(panel({"X": [1.0]}).iloc[:0])) == 0

"""Dividing by size: what cannot be divided is missing and recorded, never infinite."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine.denomination import denominate, size_correlations
from cci.engine.errors import DataError, MetaError

VALUES = pd.DataFrame(
    {"firms": [50.0, 8.0, 0.0, 4.0, np.nan], "rate": [0.1, 0.2, 0.3, 0.4, 0.5]},
    index=pd.Index(list("VWXYZ"), name="uCode"),
)
SIZES = pd.DataFrame({"people": [100.0, 0.0, 0.0, np.nan, np.nan]}, index=list("VWXYZ"))


def test_a_size_of_zero_or_none_gives_missing_and_a_record():
    result, records = denominate(VALUES, denominators=SIZES, by={"firms": "people"}, scale={"people": 10})

    np.testing.assert_array_equal(result["firms"], [5.0, np.nan, np.nan, np.nan, np.nan])
    assert result["rate"].tolist() == VALUES["rate"].tolist()
    assert records[["uCode", "original", "reason"]].to_numpy().tolist() == [
        ["Y", 4.0, "the denominator is missing"],
        ["W", 8.0, "the denominator is 0"],
        ["X", 0.0, "the denominator is 0"],
    ]
    assert VALUES["firms"].tolist()[:2] == [50.0, 8.0]


def test_coinr_lets_the_infinite_through_and_it_is_still_recorded():
    result, records = denominate(VALUES, denominators=SIZES, by={"firms": "people"}, undefined="keep")

    np.testing.assert_array_equal(result["firms"], [0.5, np.inf, np.nan, np.nan, np.nan])
    assert len(records) == 3


def test_a_negative_size_is_divided_by_and_flagged():
    sizes = SIZES.assign(people=[-100.0, 1, 1, 1, 1])

    result, records = denominate(VALUES, denominators=sizes, by={"firms": "people"})

    assert result.loc["V", "firms"] == -0.5
    assert records[["uCode", "new", "reason"]].to_numpy().tolist() == [["V", -0.5, "the denominator is negative"]]


def test_sizes_without_a_time_hold_for_all_times():
    index = pd.MultiIndex.from_tuples([("V", 2018), ("V", 2019), ("W", 2018)], names=["uCode", "Time"])
    values = pd.DataFrame({"firms": [10.0, 20.0, 30.0]}, index=index)
    sizes = pd.DataFrame({"people": [10.0, 0.0]}, index=["V", "W"])

    result, records = denominate(values, denominators=sizes, by={"firms": "people"})

    np.testing.assert_array_equal(result["firms"], [1.0, 2.0, np.nan])
    assert records[["uCode", "Time"]].to_numpy().tolist() == [["W", 2018]]


REFUSALS = [
    ({"denominators": SIZES.drop(index="X")}, DataError, "unit X has no row in the denominators"),
    ({"denominators": pd.concat([SIZES, SIZES.loc[["W"]]])}, DataError, "unit W stands twice in the denominators"),
    ({"denominators": SIZES.assign(people=[np.inf, 1, 1, 1, 1])}, DataError, "column people: unit V: the size"),
    ({"denominators": SIZES.assign(people=[1e-320, 1, 1, 1, 1])}, DataError, "column firms: unit V: divided by people"),
    ({"by": {"jobs": "people"}}, MetaError, "jobs is no indicator"),
    ({"by": {"firms": "area"}}, MetaError, "firms is to be divided by area, and the data hold no such column"),
    ({"scale": {"area": 2.0}}, MetaError, "the scale names area"),
    ({"scale": {"people": 0.0}}, MetaError, "the scale of people is 0.0; write a number above 0"),
]


@pytest.mark.parametrize(("change", "error", "words"), REFUSALS)
def test_refusals_name_the_place(change, error, words):
    options = {"denominators": SIZES, "by": {"firms": "people"}, **change}

    with pytest.raises(error, match=words) as caught:
        denominate(VALUES, **options)

    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.1, 1e6)), min_size=1, max_size=8), st.floats(0.01, 1e6))
def test_scale_is_the_unit_of_the_size(pairs, factor):
    index = pd.Index([f"U{i}" for i in range(len(pairs))], name="uCode")
    values = pd.DataFrame({"x": [pair[0] for pair in pairs]}, index=index)
    sizes = pd.DataFrame({"D": [pair[1] for pair in pairs]}, index=index)

    plain, _ = denominate(values, denominators=sizes, by={"x": "D"})
    scaled, _ = denominate(values, denominators=sizes.iloc[::-1] * factor, by={"x": "D"}, scale={"D": factor})

    np.testing.assert_allclose(scaled["x"], plain["x"], rtol=1e-12)
    assert plain.index.equals(values.index)


def test_correlation_with_size_is_that_of_pandas_and_a_constant_has_none():
    random = np.random.default_rng(3)
    size = random.lognormal(size=40)
    values = pd.DataFrame({"grows": size * random.uniform(0.8, 1.2, 40), "flat": 7.0, "few": np.nan, "shrinks": -size})
    values.loc[:1, "few"] = [1.0, 2.0]
    values.loc[5:9, "grows"] = np.nan
    sizes = pd.DataFrame({"people": size})

    found = size_correlations(values, sizes, threshold=0.6).set_index("indicator")

    assert list(found.index) == ["grows", "shrinks"]
    assert found.loc["grows", "correlation"] == pytest.approx(values["grows"].corr(sizes["people"]), rel=1e-9)
    assert found.loc["grows", "n"] == 35
    assert found.loc["shrinks", "correlation"] == -1.0

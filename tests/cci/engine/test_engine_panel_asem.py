"""The ASEM panel through the functions: bounds of each year, pooled bounds, and bounds of a base edition."""

import numpy as np
import pandas as pd
import pytest

from cci.engine.aggregation import LevelRule, aggregate
from cci.engine.meta import read_meta
from cci.engine.normalisation import bounds_of, min_max, normalise, read_bounds
from cci.engine.screening import screen
from cci.engine.treatment import retreat, treat


@pytest.fixture
def hierarchy(asem):
    return read_meta(pd.read_csv(asem("inputs/iMeta.csv"), dtype={"iCode": str}))


@pytest.fixture
def values(asem, hierarchy) -> pd.DataFrame:
    table = pd.read_csv(asem("inputs/iData_panel.csv"), dtype={"uCode": str}).set_index(["uCode", "Time"]).sort_index()
    return table[list(hierarchy.indicators)]


def by_year(function, values: pd.DataFrame) -> pd.DataFrame:
    parts = [function(part) for _, part in values.groupby(level="Time")]
    return pd.concat(parts).sort_index()


def expected(asem, name: str) -> pd.DataFrame:
    return pd.read_csv(asem(f"panel/{name}.csv"), dtype={"uCode": str}).set_index(["uCode", "Time"]).sort_index()


def assert_same(actual: pd.DataFrame, table: pd.DataFrame) -> None:
    assert actual.index.equals(table.index)
    np.testing.assert_allclose(actual[table.columns].to_numpy(float), table.to_numpy(float), rtol=1e-9, atol=1e-9)


def scores(normalised: pd.DataFrame, hierarchy) -> pd.DataFrame:
    rules = [LevelRule(min_available=0)] * (hierarchy.top_level - 1)
    return aggregate(normalised, hierarchy, rules)


def treated_by_year(values: pd.DataFrame) -> pd.DataFrame:
    """As COINr does it: screened and treated year by year, so that an indicator is cut differently each year."""

    def year(part: pd.DataFrame) -> pd.DataFrame:
        kept = screen(part, method="by_na", min_available=0.9)["kept"]
        return treat(part[kept.to_numpy()])[0]

    return by_year(year, values)


def test_pooled_bounds(asem, hierarchy, values):
    normalised = min_max(treated_by_year(values), directions=hierarchy.directions)

    assert_same(normalised, expected(asem, "global_minmax_normalised_first12"))
    assert_same(scores(normalised, hierarchy), expected(asem, "global_minmax_aggregated"))


def test_bounds_of_each_year(asem, hierarchy, values):
    normalised = by_year(lambda part: min_max(part, directions=hierarchy.directions), treated_by_year(values))

    assert_same(scores(normalised, hierarchy), expected(asem, "peryear_minmax_aggregated"))


def test_bounds_of_the_base_year(asem, hierarchy, values):
    base = values.xs(2018, level="Time")
    given = pd.read_csv(asem("panel/base2018_bounds.csv"), dtype={"iCode": str})
    table = given.rename(columns={"scaled_lower": "lo", "scaled_upper": "hi"})
    bounds = bounds_of(base)

    assert bounds.equals(read_bounds(table, indicators=values.columns))
    normalised = min_max(values, directions=hierarchy.directions, bounds=bounds)
    assert_same(normalised, expected(asem, "base2018_bounds_raw_normalised_first12"))
    assert_same(scores(normalised, hierarchy), expected(asem, "base2018_bounds_raw_aggregated"))


def test_base_bounds_cut_only_later_years_and_every_cut_is_listed(hierarchy, values):
    bounds = bounds_of(values.xs(2018, level="Time"))

    free = normalise(values, directions=hierarchy.directions, bounds=bounds)
    cut = normalise(values, directions=hierarchy.directions, bounds=bounds, clip=True)

    beyond = (free.values < 0) | (free.values > 100)
    assert len(free.clipped) == 0
    assert len(cut.clipped) == beyond.to_numpy().sum() > 0
    assert cut.clipped["Time"].min() > 2018
    pd.testing.assert_frame_equal(cut.values[~beyond], free.values[~beyond], check_exact=True)


def test_a_base_edition_decides_treatment_once(hierarchy, values):
    """The same unit with the same value has the same score in every year, as COINr's treatment by year has not."""
    base = values.xs(2018, level="Time", drop_level=False)
    treated, records = treat(base)
    bounds = bounds_of(treated)
    still = pd.concat([values.drop(index=2022, level="Time"), base.rename(index={2018: 2022}, level="Time")])

    again, _ = retreat(still, records)
    normalised = min_max(again, directions=hierarchy.directions, bounds=bounds)

    first, last = (normalised.xs(year, level="Time").sort_index() for year in (2018, 2022))
    pd.testing.assert_frame_equal(first, last, check_exact=True)
    pd.testing.assert_frame_equal(first, min_max(treated, directions=hierarchy.directions).droplevel("Time"))

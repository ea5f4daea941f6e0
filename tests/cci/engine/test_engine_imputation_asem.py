"""Screening, denomination and imputation of the ASEM table, through the functions: COINr's results on real data."""

import numpy as np
import pandas as pd
import pytest

from cci.engine.denomination import denominate, size_correlations
from cci.engine.imputation import impute
from cci.engine.meta import read_meta
from cci.engine.screening import availability, screen


def read(path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"uCode": str}).set_index("uCode").sort_index()


def assert_same(actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Same rows, same columns, values to 1e-9 relative, the same gaps."""
    assert list(actual.index) == list(expected.index)
    assert set(actual.columns) == set(expected.columns)
    np.testing.assert_allclose(
        actual[expected.columns].to_numpy(dtype=float), expected.to_numpy(dtype=float), rtol=1e-9, atol=1e-12
    )


@pytest.fixture
def meta(asem) -> pd.DataFrame:
    return pd.read_csv(asem("inputs/iMeta.csv"))


@pytest.fixture
def hierarchy(meta):
    return read_meta(meta)


@pytest.fixture
def units(asem) -> pd.DataFrame:
    return read(asem("inputs/iData.csv"))


@pytest.fixture
def denominated(asem) -> pd.DataFrame:
    return read(asem("a_example/02_denominated.csv"))


def assert_screened(table: pd.DataFrame, expected: pd.DataFrame, n_indicators: int) -> None:
    assert list(table.index) == list(expected.index)
    assert (n_indicators - table["available"]).tolist() == expected["N_missing"].tolist()
    assert table["zeros"].tolist() == expected["N_zero"].tolist()
    np.testing.assert_allclose(table["available_share"], expected["Dat_Avail"], rtol=1e-12)
    np.testing.assert_allclose(table["nonzero_share"], expected["Non_Zero"], rtol=1e-12)
    assert table["kept"].tolist() == expected["Included"].tolist()


SCREENINGS = [
    ("screening/raw_byNA_dat0.85_nonzero0.05", {"min_available": 0.85}),
    ("screening/raw_byzeros_dat0.66_nonzero0.95", {"method": "by_zeros", "min_nonzero": 0.95}),
    (
        "screening/raw_byNAandzeros_dat0.9_nonzero0.95",
        {"method": "by_na_and_zeros", "min_available": 0.9, "min_nonzero": 0.95},
    ),
    (
        "screening/raw_byNA_0.9_force_CHE_out_KHM_in",
        {"min_available": 0.9, "include": ["KHM"], "exclude": ["CHE"]},
    ),
]


@pytest.mark.parametrize("exact_counts", [True, False])
@pytest.mark.parametrize(("file", "options"), SCREENINGS)
def test_screening_of_raw_data(asem, file, options, exact_counts):
    raw = read(asem("a_example/01_raw.csv"))

    table = screen(raw, **options, exact_counts=exact_counts)

    assert_screened(table, read(asem(f"{file}.csv")), raw.shape[1])


def test_screening_after_imputation_keeps_everyone(asem):
    imputed = read(asem("a_example/03_imputed.csv"))

    table = screen(imputed, min_available=0.9)

    assert_screened(table, read(asem("a_example/04_screen_summary.csv")), imputed.shape[1])
    assert_same(imputed[table["kept"]], read(asem("a_example/04_screened.csv")))


def test_screening_names_the_units_removed(asem, denominated):
    table = screen(denominated, min_available=0.9)

    assert_screened(table, read(asem("b_overview/02_screen_summary.csv")), denominated.shape[1])
    removed = pd.read_csv(asem("b_overview/02_removed_units.csv"))["uCode"].tolist()
    assert table.index[~table["kept"]].tolist() == sorted(removed)
    assert (table["reason"] == "").tolist() == table["kept"].tolist()
    assert_same(denominated[table["kept"]], read(asem("b_overview/02_screened.csv")))


def test_availability(asem, hierarchy):
    table, groups = availability(read(asem("a_example/01_raw.csv")), hierarchy)

    expected = read(asem("missing/data_avail_summary_raw.csv"))
    assert table["missing"].tolist() == expected["N_missing"].tolist()
    assert table["zeros"].tolist() == expected["N_zero"].tolist()
    np.testing.assert_allclose(table["available_share"], expected["Dat_Avail"], rtol=1e-12)
    np.testing.assert_allclose(table["nonzero_share"], expected["Non_Zero"], rtol=1e-12)
    assert_same(groups, read(asem("missing/data_avail_by_group_raw.csv")))


@pytest.mark.parametrize("undefined", ["missing", "keep"])
def test_denomination(asem, meta, units, denominated, undefined):
    sizes = list(meta["iCode"][meta["Type"] == "Denominator"])
    by = meta.dropna(subset="Denominator").set_index("iCode")["Denominator"].to_dict()

    raw = read(asem("a_example/01_raw.csv"))

    result, records = denominate(raw, denominators=units[sizes], by=by, undefined=undefined)

    assert_same(result, denominated)
    lost = raw[result.columns].notna() & result.isna()
    assert len(records) == int(lost.to_numpy().sum()) == 2
    assert set(records["reason"]) == {"the denominator is missing"}


def test_correlations_with_sizes(asem, meta, units):
    sizes = list(meta["iCode"][meta["Type"] == "Denominator"])

    found = size_correlations(read(asem("a_example/01_raw.csv")), units[sizes], threshold=0.7)

    expected = pd.read_csv(asem("analysis/corr_with_denominators_0.7_raw.csv")).sort_values(["Ind", "Denom"])
    assert found[["indicator", "denominator"]].to_numpy().tolist() == expected[["Ind", "Denom"]].to_numpy().tolist()
    np.testing.assert_allclose(found["correlation"], expected["Corr"], rtol=1e-9)


IMPUTATIONS = [
    ("imputation/col_mean", "mean", {}),
    ("imputation/col_median", "median", {}),
    ("imputation/col_group_mean_EurAsia", "group_mean", {"groups": "EurAsia_group"}),
    ("imputation/col_group_mean_GDPpc", "group_mean", {"groups": "GDPpc_group"}),
    ("imputation/col_group_median_EurAsia", "group_median", {"groups": "EurAsia_group"}),
    ("imputation/row_mean_all_normalised_first", "row_mean", {}),
    ("imputation/row_mean_within_pillar_normalised_first", "row_mean", {"within_level": 2}),
    ("imputation/row_median_within_pillar", "row_median", {"within_level": 2}),
    ("a_example/03_imputed", "group_mean", {"groups": "EurAsia_group"}),
]


def assert_recorded(before: pd.DataFrame, result) -> None:
    """Observed values are the same to the bit; every filled cell has its record, and no other."""
    observed = before.notna()
    assert (result.values.where(observed) == before)[observed].fillna(True).all().all()
    filled = before.isna() & result.values.notna()
    labels = list(before.index.names)
    recorded = result.cells.set_index([*labels, "indicator"])["value"]
    assert len(recorded) == int(filled.to_numpy().sum())
    for place, value in recorded.items():
        row = place[0] if len(labels) == 1 else place[:-1]
        assert filled.loc[row, place[-1]]
        assert result.values.loc[row, place[-1]] == value
    assert len(result.left) == int(result.values.isna().to_numpy().sum())
    assert (result.left["reason"] != "").all()


@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize(("file", "method", "options"), IMPUTATIONS)
def test_imputation_across_units_and_rows(asem, units, denominated, hierarchy, file, method, options, fallback):
    options = {**options, "groups": units[options["groups"]]} if "groups" in options else options

    result = impute(denominated, method=method, hierarchy=hierarchy, fallback=fallback, **options)

    assert_same(result.values, read(asem(f"{file}.csv")))
    assert_recorded(denominated, result)
    assert result.report["filled"] == 65 and result.report["fallback"] == 0


def test_imputation_of_the_screened_units(asem, units):
    """COINr's overview page: the group means are those of the units kept."""
    screened = read(asem("b_overview/02_screened.csv"))

    result = impute(screened, method="group_mean", groups=units["EurAsia_group"])

    assert_same(result.values, read(asem("b_overview/03_imputed.csv")))


def panel(path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"uCode": str}).set_index(["uCode", "Time"]).sort_index()


@pytest.mark.parametrize(
    ("file", "method", "options"),
    [
        ("panel_latest", "latest", {}),
        ("panel_latest_max1", "latest", {"max_periods": 1}),
        ("panel_constant", "constant", {}),
        ("panel_linear", "linear", {}),
        ("panel_linear-constant", "linear_constant", {}),
    ],
)
def test_imputation_over_time(asem, file, method, options):
    holes = panel(asem("imputation/panel_input_with_holes.csv"))

    result = impute(holes, method=method, **options)

    assert_same(result.values, panel(asem(f"imputation/{file}.csv")))
    assert_recorded(holes, result)


def test_the_year_used_is_recorded(asem):
    holes = panel(asem("imputation/panel_input_with_holes.csv"))

    result = impute(holes, method="latest")

    years = pd.DataFrame({code: holes.index.get_level_values("Time") for code in holes.columns}, index=holes.index)
    years = years.where(holes.notna()).astype(float)
    for cell in result.cells.itertuples():
        years.loc[(cell.uCode, cell.Time), cell.indicator] = cell.source_time
    assert_same(years, panel(asem("imputation/panel_latest_year_used.csv")))
    assert result.report["looks_ahead"] == 0

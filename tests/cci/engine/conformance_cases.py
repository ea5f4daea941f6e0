"""What a run gives for the stage files of the ASEM conformance table, each beside COINr's result."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from cci.engine import compute
from cci.engine.aggregation import dominance, outranking
from cci.engine.screening import availability, screen
from cci.engine.treatment import apply_transform, fitted
from tests.cci.engine.conformance_base import MODES, OPEN, Asem, Case, like, stage_cases


def stages(asem: Asem) -> Iterator[Case]:
    """Every case of a step of the pipeline."""
    for part in (example, overview, screening, imputation, treatment, normalisation, aggregation, missing):
        yield from part(asem)


def example(asem: Asem) -> Iterator[Case]:
    file = "a_example/"
    raw = asem.by_unit(file + "01_raw")
    yield Case(file + "01_raw", "", asem.stage(asem.data, {"impute": {}}, "imputed")[raw.columns], raw)
    yield from stage_cases(asem, file + "02_denominated", asem.data, {"denominate": {}}, "denominated")
    denominated = asem.with_groups(file + "02_denominated")
    means = {"impute": {"method": "group_mean", "group": "EurAsia_group"}}
    yield from stage_cases(asem, file + "03_imputed", denominated, means, "imputed")
    imputed = asem.with_groups(file + "03_imputed")
    whole = {"screen": {"min_available": 0.9}, "treat": {}, "normalise": {}, "aggregate": {}, "rank": {}}
    for number, table in (("04_screened", "screened"), ("05_treated", "treated"), ("06_normalised", "normalised")):
        yield from stage_cases(asem, file + number, imputed, whole, table)
    yield summary_of_screening(
        asem, file + "04_screen_summary", asem.by_unit(file + "03_imputed"), {"min_available": 0.9}
    )
    yield details_of_treatment(asem, file + "05_treat_details", asem.table(file + "04_screened"), {})
    yield points_of_treatment(asem)
    one = whole | {"normalise": {"lower": 1}}
    yield from stage_cases(asem, file + "06_normalised_1_100", imputed, one, "normalised")
    yield from stage_cases(asem, file + "07_aggregated_amean", imputed, whole, "scores")
    expected = asem.by_unit(file + "08_ranks_amean")
    within = asem.by_unit(file + "08_ranks_within_EurAsia_group")
    for mode, switch in MODES.items():
        config = switch | whole | {"rank": {"groups": ["EurAsia_group"]}}
        tables = compute(imputed, asem.meta, config).tables
        ranks, inside = (tables[name].set_index("uCode") for name in ("ranks", "ranks_within_EurAsia_group"))
        yield Case(file + "08_ranks_amean", mode, ranks, like(expected, ranks[ranks.columns]))
        yield Case(file + "08_ranks_within_EurAsia_group", mode, inside, like(within, inside))
    printed = asem.table(file + "08_results_table_rounded2").set_index("uCode")
    tables = {
        name: table.set_index("uCode")
        for name, table in compute(imputed, asem.meta, whole).tables.items()
        if name in ("scores", "ranks")
    }
    shown = tables["scores"].round(2).assign(Rank=tables["ranks"]["Index"]).loc[printed.index, printed.columns]
    yield Case(file + "08_results_table_rounded2", "", shown, printed)


def overview(asem: Asem) -> Iterator[Case]:
    file, denominated = "b_overview/", asem.with_groups("a_example/02_denominated")
    screened = {"screen": {"min_available": 0.9}}
    yield from stage_cases(asem, file + "02_screened", denominated, screened, "screened")
    raw = asem.by_unit("a_example/02_denominated")
    yield summary_of_screening(asem, file + "02_screen_summary", raw, {"min_available": 0.9})
    out = compute(denominated, asem.meta, screened).report["screening"]["screened_out"]
    removed = sorted(asem.table(file + "02_removed_units")["uCode"])
    yield Case(file + "02_removed_units", "", [entry["unit"] for entry in out], removed)
    means = screened | {"impute": {"method": "group_mean", "group": "EurAsia_group"}}
    yield from stage_cases(asem, file + "03_imputed", denominated, means, "imputed")
    gappy = screened | {"treat": {}, "normalise": {}, "aggregate": OPEN, "rank": {}}
    yield from stage_cases(asem, file + "04_treated_from_screened", denominated, gappy, "treated")
    yield details_of_treatment(asem, file + "04_treat_details", asem.table(file + "02_screened"), {})
    yield from stage_cases(asem, file + "05_normalised", denominated, gappy, "normalised")
    yield from stage_cases(asem, file + "06_aggregated_amean", denominated, gappy, "scores")
    yield from rank_cases(asem, file + "07_ranks", denominated, gappy)
    filled = means | {"treat": {}, "normalise": {}, "aggregate": {}}
    yield from stage_cases(asem, file + "c_treated_from_imputed", denominated, filled, "treated")
    yield from stage_cases(asem, file + "c_aggregated_from_imputed", denominated, filled, "scores")


def rank_cases(
    asem: Asem, file: str, data: pd.DataFrame, config: dict[str, Any], modes: str = "both", **given: Any
) -> Iterator[Case]:
    expected = asem.by_unit(file)
    for mode, switch in MODES.items():
        if modes in ("both", mode):
            actual = asem.stage(data, switch | config, "ranks", **given)
            yield Case(file, mode, actual, like(expected, actual))


def screening(asem: Asem) -> Iterator[Case]:
    raw = asem.by_unit("a_example/01_raw")
    options = {
        "raw_byNA_dat0.85_nonzero0.05": {"min_available": 0.85},
        "raw_byzeros_dat0.66_nonzero0.95": {"method": "by_zeros", "min_nonzero": 0.95},
        "raw_byNAandzeros_dat0.9_nonzero0.95": {"method": "by_na_and_zeros", "min_available": 0.9, "min_nonzero": 0.95},
        "raw_byNA_0.9_force_CHE_out_KHM_in": {"min_available": 0.9, "include": ["KHM"], "exclude": ["CHE"]},
    }
    for name, given in options.items():
        for mode in MODES:
            yield summary_of_screening(asem, f"screening/{name}", raw, given, mode)


def summary_of_screening(
    asem: Asem, file: str, values: pd.DataFrame, options: dict[str, Any], mode: str = "default"
) -> Case:
    table = screen(values, **options, exact_counts=mode == "default")
    k = values.shape[1]
    actual = pd.DataFrame(
        {
            "N_missing": k - table["available"],
            "N_zero": table["zeros"],
            "N_miss_or_zero": k - table["available"] + table["zeros"],
            "Dat_Avail": table["available_share"],
            "Non_Zero": table["nonzero_share"],
            "Included": table["kept"],
        }
    )
    return Case(file, mode, actual, like(asem.by_unit(file)[list(actual.columns)], actual))


def imputation(asem: Asem) -> Iterator[Case]:
    denominated = asem.with_groups("a_example/02_denominated")
    options = {
        "col_mean": {"method": "mean"},
        "col_median": {"method": "median"},
        "col_group_mean_EurAsia": {"method": "group_mean", "group": "EurAsia_group"},
        "col_group_mean_GDPpc": {"method": "group_mean", "group": "GDPpc_group"},
        "col_group_median_EurAsia": {"method": "group_median", "group": "EurAsia_group"},
        "row_mean_all_normalised_first": {"method": "row_mean"},
        "row_mean_within_pillar_normalised_first": {"method": "row_mean", "within_level": 2},
        "row_median_within_pillar": {"method": "row_median", "within_level": 2},
    }
    for name, given in options.items():
        yield from stage_cases(asem, f"imputation/{name}", denominated, {"impute": given}, "imputed")
    holes = asem.table("imputation/panel_input_with_holes")
    codes = [column for column in holes.columns if column not in ("uCode", "Time")]
    meta = pd.DataFrame({"Level": 1, "iCode": codes, "Parent": "", "Direction": 1, "Weight": 1})
    over_time = {
        "panel_latest": {"method": "latest"},
        "panel_latest_max1": {"method": "latest", "max_periods": 1},
        "panel_constant": {"method": "constant"},
        "panel_linear": {"method": "linear"},
        "panel_linear-constant": {"method": "linear_constant"},
    }
    for name, given in over_time.items():
        yield from stage_cases(asem, f"imputation/{name}", holes, {"impute": given}, "imputed", meta=meta)
    cells = compute(holes, meta, {"impute": {"method": "latest"}}).tables["imputed_cells"]
    observed = holes.set_index(["uCode", "Time"]).sort_index()
    years = pd.DataFrame({c: observed.index.get_level_values("Time") for c in codes}, index=observed.index)
    years = years.where(observed.notna()).astype(float)
    for cell in cells.itertuples():
        years.loc[(cell.uCode, cell.Time), cell.indicator] = cell.source_time
    expected = asem.by_unit("imputation/panel_latest_year_used")
    yield Case("imputation/panel_latest_year_used", "default", like(years, expected), expected)


def treatment(asem: Asem) -> Iterator[Case]:
    data = asem.table("a_example/04_screened")
    options: dict[str, dict[str, Any]] = {f"qTreat_winmax{n}": {"winsorise_max": n} for n in (1, 2, 3, 5, 10)}
    options |= {
        "qTreat_winmax1_skew1.5_kurt3_log_CT": {"skew": 1.5, "kurtosis": 3, "winsorise_max": 1},
        "winmax0_log_CT": {"winsorise_max": 0},
        "winmax1_combine_log_CT": {"winsorise_max": 1, "combine": True},
        "winmax1_log_CT_orig": {"winsorise_max": 1, "transform": "log_ct_orig"},
        "winmax1_log_CT_plus": {"winsorise_max": 1, "transform": "log_ct_plus"},
    }
    for name, given in options.items():
        yield from stage_cases(asem, f"treatment/{name}_values", data, {"treat": given}, "treated")
        yield details_of_treatment(asem, f"treatment/{name}_details", data, given)
    expected = asem.by_unit("treatment/boxcox_lambda0.5_all_values")
    values = asem.by_unit("a_example/04_screened")[expected.columns]
    columns = {}
    for code, column in values.items():
        fit = fitted(column.to_numpy(), "boxcox", power=0.5)
        assert fit is not None
        columns[code] = apply_transform(column.to_numpy(), fit)
    yield Case("treatment/boxcox_lambda0.5_all_values", "", pd.DataFrame(columns, index=values.index), expected)


def details_of_treatment(asem: Asem, file: str, data: pd.DataFrame, options: dict[str, Any]) -> Case:
    """Skew and kurtosis of what was treated, before and after, and the number of winsorised points."""
    expected = asem.table(file).set_index("iCode")
    failing = expected[~expected["check_SkewKurt0.Pass"].astype(bool)]
    entries = compute(data, asem.meta, {"treat": options}).report["treatment"]
    actual = pd.DataFrame(entries).set_index("indicator").loc[failing.index, ["skew", "kurtosis", "n_winsorised"]]
    names = ["check_SkewKurt0.Skew", "check_SkewKurt0.Kurt", "winsorise.nwin"]
    assert len(entries) == len(failing), "other indicators are treated"
    return Case(file, "default", actual, failing[names].set_axis(actual.columns, axis=1).fillna(0))


def points_of_treatment(asem: Asem) -> Case:
    expected = asem.table("a_example/05_treated_points").set_index("uCode")
    marked = sorted(
        (unit, code) for code, column in expected.items() for unit, mark in column.items() if isinstance(mark, str)
    )
    cells = compute(asem.table("a_example/04_screened"), asem.meta, {"treat": {}}).tables["treated_cells"]
    found = sorted(zip(cells["uCode"], cells["indicator"], strict=True))
    return Case("a_example/05_treated_points", "default", found, marked)


def normalisation(asem: Asem) -> Iterator[Case]:
    treated, raw = asem.table("a_example/05_treated"), asem.data
    options: dict[str, tuple[dict[str, Any], str]] = {
        "minmax_0_1": ({"upper": 1}, "both"),
        "minmax_0_100": ({}, "both"),
        "minmax_1_7": ({"lower": 1, "upper": 7}, "both"),
        "zscore_0_1": ({"method": "z_score"}, "both"),
        "zscore_10_2": ({"method": "z_score", "mean": 10, "sd": 2}, "both"),
        "rank_min": ({"method": "rank"}, "both"),
        "rank_average": ({"method": "rank", "ties": "average"}, "both"),
        "borda_min": ({"method": "borda"}, "both"),
        "prank_min": ({"method": "percentile_rank"}, "both"),
        "prank_average": ({"method": "percentile_rank", "ties": "average"}, "both"),
        "dist2max": ({"method": "distance_to_max"}, "both"),
        "fracmax": ({"method": "fraction_of_max"}, "coinr"),
    }
    reference = {"method": "distance_to_reference", "reference": str(treated["uCode"].iloc[9])}
    options["dist2ref_unit_row10_nocap"] = (reference, "coinr")
    options["dist2ref_unit_row10_cap"] = (reference | {"cap": True}, "coinr")
    for name, (given, modes) in options.items():
        yield from stage_cases(asem, f"normalisation/{name}", treated, {"normalise": given}, "normalised", modes)
    for cap in (False, True):
        name = f"normalisation/raw_dist2targ_iMeta_Target_{'cap' if cap else 'nocap'}"
        config = {"normalise": {"method": "distance_to_target", "cap": cap}}
        yield from stage_cases(asem, name, raw, config, "normalised", "coinr")
    given = asem.table("normalisation/raw_goalposts_parameters")
    posts = given.rename(columns={"goalpost_lower": "lo", "goalpost_upper": "hi", "Direction": "direction"})
    config = {"normalise": {"method": "goalposts", "file": "posts.csv"}}
    name = "normalisation/raw_goalposts_p10_p90_trunc_0_100"
    yield from stage_cases(asem, name, raw, config, "normalised", goalposts=posts.assign(transform="lin"))


def unequal(asem: Asem) -> pd.DataFrame:
    weights = asem.table("aggregation/weights_unequal").set_index("iCode")["Weight"]
    return asem.meta.assign(Weight=asem.meta["iCode"].map(weights))


def aggregation(asem: Asem) -> Iterator[Case]:
    data = asem.table("a_example/06_normalised_1_100")
    means = {"amean": "arithmetic_mean", "gmean": "geometric_mean", "hmean": "harmonic_mean"}
    options: dict[str, dict[str, Any]] = {name: {"method": method} for name, method in means.items()}
    options |= {f"{name}_unequal_w": {"method": method} for name, method in means.items()}
    options |= {
        "genmean_p0.5": {"method": "generalised_mean", "power": 0.5},
        "genmean_pminus2": {"method": "generalised_mean", "power": -2},
        "amean_amean_gmean": {"method": ["arithmetic_mean", "arithmetic_mean", "geometric_mean"]},
        "amean_amean_copeland": {"method": ["arithmetic_mean", "arithmetic_mean", "copeland"]},
        "copeland_all_levels": {"method": "copeland"},
    }
    for name, given in options.items():
        meta = unequal(asem) if name.endswith("unequal_w") else asem.meta
        config = {"aggregate": given, "rank": {}}
        yield from stage_cases(asem, f"aggregation/{name}", data, config, "scores", meta=meta)
        yield from rank_cases(asem, f"aggregation/{name}_ranks", data, config, meta=meta)
    scores = asem.by_unit("a_example/07_aggregated_amean")
    pillars = asem.tree.at_level(2)
    shares = outranking(scores[pillars], pd.Series(1.0, index=pillars))
    expected = asem.table("aggregation/outranking_matrix_8pillars_equal").set_index("uCode")
    expected = expected.loc[list(shares.index), list(shares.columns)]
    square = shares.to_numpy(dtype=float).copy()
    np.fill_diagonal(square, np.diag(expected))  # nobody is compared with itself
    yield Case(
        "aggregation/outranking_matrix_8pillars_equal",
        "",
        pd.DataFrame(square, index=shares.index, columns=shares.columns),
        expected,
    )
    wanted = asem.table("aggregation/outranking_dominance_8pillars")
    found = pd.DataFrame([dominance(shares)], columns=wanted.columns)
    yield Case("aggregation/outranking_dominance_8pillars", "", found, wanted)


def missing(asem: Asem) -> Iterator[Case]:
    denominated = asem.with_groups("a_example/02_denominated")
    steps = {"treat": {}, "normalise": {"lower": 1}}
    yield from stage_cases(asem, "missing/treated_with_na", denominated, steps, "treated")
    yield from stage_cases(asem, "missing/normalised_1_100_with_na", denominated, steps, "normalised")
    data = asem.table("missing/normalised_1_100_with_na")
    means = {"amean": "arithmetic_mean", "gmean": "geometric_mean", "hmean": "harmonic_mean"}
    for name, method in means.items():
        for limit in ("none", "0.75", "0.9"):
            share = 0 if limit == "none" else float(limit)
            config = {"aggregate": {"method": method, "min_available": share}, "rank": {}}
            file = f"missing/a_{name}_thresh_{limit}"
            yield from stage_cases(asem, file, data, config, "scores")
            yield from rank_cases(asem, f"{file}_ranks", data, config)
    raw = asem.by_unit("a_example/01_raw")
    table, groups = availability(raw, asem.tree)
    expected = asem.by_unit("missing/data_avail_by_group_raw")
    yield Case("missing/data_avail_by_group_raw", "", like(groups, expected), expected)
    counts = pd.DataFrame(
        {
            "N_missing": table["missing"],
            "N_zero": table["zeros"],
            "N_miss_or_zero": table["missing"] + table["zeros"],
            "Dat_Avail": table["available_share"],
            "Non_Zero": table["nonzero_share"],
        }
    )
    yield Case("missing/data_avail_summary_raw", "", counts, asem.by_unit("missing/data_avail_summary_raw"))

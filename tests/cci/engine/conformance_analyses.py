"""What the analyses give for their files of the ASEM conformance table, each beside COINr's result."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.aggregation import LevelRule
from cci.engine.analysis import (
    correlation_flags,
    correlations,
    cronbach_alpha,
    principal_components,
    statistics,
    with_parents,
)
from cci.engine.config import read_config
from cci.engine.meta import effective_weights, read_meta
from cci.engine.normalisation import bounds_of
from cci.engine.pipeline import run_index
from cci.engine.profiles import strengths_and_weaknesses, summary
from cci.engine.robustness import alternatives, removal
from cci.engine.trends import growth, percent_change
from cci.engine.uncertainty import mean_rank_change, rank_statistics, read_choices, replay, sobol_indices
from cci.engine.weighting import optimised_weights
from tests.cci.engine.conformance_base import Asem, Case, like, stage_cases
from tests.cci.engine.conformance_cases import unequal

RULES = [LevelRule(min_available=0)] * 3


def analyses(asem: Asem) -> Iterator[Case]:
    """Every case of an analysis."""
    for part in (weights, statistics_of, correlations_of, robustness, profiles, panel, uncertainty):
        yield from part(asem)


def column(table: pd.DataFrame, labels: list[str], name: str) -> "pd.Series[Any]":
    return table.set_index(labels)[name]


def weights(asem: Asem) -> Iterator[Case]:
    for name, meta in (("equal", asem.meta), ("unequal", unequal(asem))):
        expected = asem.table(f"weights/effective_weights_{name}").set_index("iCode")["EffWeight"]
        found = effective_weights(read_meta(meta))[expected.index]
        yield Case(f"weights/effective_weights_{name}", "", found.to_frame(), expected.to_frame())
    scored = asem.by_unit("a_example/07_aggregated_amean")
    parts = principal_components(scored, asem.tree)
    first = parts.loadings.query("component == 1").set_index("element")["loading"]
    eigen = parts.components.set_index(["group", "component"])[["eigenvalue", "share"]]
    for level in (1, 2):
        expected = asem.table(f"weights/pca_level{level}").set_index("iCode")["Weight"].abs()
        yield Case(f"weights/pca_level{level}", "", first[expected.index].abs().to_frame(), expected.to_frame())
        wanted = asem.table(f"weights/pca_level{level}_eigen").set_index(["group", "component"])
        yield Case(f"weights/pca_level{level}_eigen", "", eigen.loc[wanted.index], wanted)
    normalised = asem.by_unit("a_example/06_normalised")
    wanted = asem.table("weights/opt_level3_equal_tol1e-10").set_index("iCode")
    found = optimised_weights(normalised, asem.tree, RULES, level=3)
    # Only the relation of weights counts; COINr's are not brought to a sum of 1, and stop at 1e-5 of the optimum.
    share = (wanted["OptWeight"] / wanted["OptWeight"].sum()).round(4)
    yield Case(
        "weights/opt_level3_equal_tol1e-10", "", found.weights[wanted.index].round(4).to_frame(), share.to_frame()
    )


def statistics_of(asem: Asem) -> Iterator[Case]:
    names = {
        "minimum": "Min",
        "maximum": "Max",
        "mean": "Mean",
        "median": "Median",
        "sd": "Std",
        "skew": "Skew",
        "kurtosis": "Kurt",
        "n_available": "N.Avail",
        "n_nonzero": "N.NonZero",
        "n_unique": "N.Unique",
        "n_same": "N.Same",
        "available": "Frc.Avail",
        "nonzero": "Frc.NonZero",
        "unique": "Frc.Unique",
        "same": "Frc.Same",
    }
    for name, stage in (("raw", "01_raw"), ("treated", "05_treated")):
        expected = asem.table(f"analysis/stats_{name}").set_index("iCode")[list(names.values())]
        found = statistics(asem.by_unit(f"a_example/{stage}").select_dtypes("number")).loc[expected.index, list(names)]
        yield Case(f"analysis/stats_{name}", "", found, expected)
    scored = asem.by_unit("a_example/07_aggregated_amean")
    alpha = cronbach_alpha(scored, asem.tree).query("dropped == ''").set_index("group")["alpha"]
    pillars = asem.table("analysis/cronbach_by_pillar").set_index("group")
    raw = cronbach_alpha(asem.by_unit("a_example/01_raw"), asem.tree).query("dropped == ''").set_index("group")["alpha"]
    found = pd.DataFrame({"normalised": alpha[pillars.index], "raw": raw[pillars.index]})
    yield Case("analysis/cronbach_by_pillar", "", found, pillars[["alpha_normalised", "alpha_raw_pairwise"]])
    above = asem.table("analysis/cronbach_aggregates").set_index("group")["alpha"]
    yield Case("analysis/cronbach_aggregates", "", alpha[above.index].to_frame(), above.to_frame())


def correlations_of(asem: Asem) -> Iterator[Case]:
    values = asem.by_unit("a_example/06_normalised")
    scored = asem.by_unit("a_example/07_aggregated_amean")
    for method in ("pearson", "spearman", "kendall"):
        expected = asem.table(f"analysis/corr_{method}_normalised").set_index("iCode")
        found = correlations(values[list(expected.columns)], method=method).loc[expected.index]
        yield Case(f"analysis/corr_{method}_normalised", "", found, expected)
    wanted = column(asem.table("analysis/corr_normalised_p05_blanked"), ["Var1", "Var2"], "Correlation")
    blanked = correlations(values, p_max=0.05)
    found = [blanked.loc[one, other] for one, other in wanted.index]
    yield Case("analysis/corr_normalised_p05_blanked", "", pd.DataFrame({"r": found}), wanted.to_frame())
    above = column(with_parents(scored, asem.tree), ["ancestor", "element"], "correlation")
    for name in ("corr_indicator_vs_own_pillar", "corr_pillar_vs_own_subindex", "corr_subindex_vs_index"):
        wanted = column(asem.table(f"analysis/{name}"), ["Var1", "Var2"], "Correlation")
        yield Case(f"analysis/{name}", "", above.loc[list(wanted.index)].to_frame(), wanted.to_frame())
    flags = correlation_flags(values, asem.tree, redundant=0.75, opposed=-0.3)
    for kind, name in (("redundant", "high_0.75"), ("opposed", "low_-0.3")):
        # "Redundant" asks of |r| here, of r in COINr.
        chosen = flags[(flags["kind"] == kind) & ((kind == "opposed") | (flags["correlation"] > 0))]
        file = f"analysis/corr_flags_{name}_within_pillar"
        yield Case(file, "", *(pairs(table.iloc[:, -4:]) for table in (chosen.iloc[:, 1:5], asem.table(file))))
    sizes = ["Area", "Energy", "GDP", "Population"]
    data = asem.data.set_index("uCode")
    matrix = correlations(data[list(asem.tree.indicators)], data[sizes]).stack()
    wanted = column(asem.table("analysis/corr_with_denominators_0.7_raw"), ["Ind", "Denom"], "Corr").sort_index()
    found = matrix[matrix.abs() > 0.7].sort_index()
    yield Case("analysis/corr_with_denominators_0.7_raw", "", found.to_frame(), wanted.to_frame())


def pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Group, one, other, correlation: in one order, whoever comes first."""
    rows = [(group, *sorted((one, other)), r) for group, one, other, r in table.itertuples(index=False)]
    return pd.DataFrame(sorted(rows), columns=["group", "one", "other", "r"]).set_index(["group", "one", "other"])


def robustness(asem: Asem) -> Iterator[Case]:
    normalised = asem.by_unit("a_example/06_normalised")
    for level in (1, 2, 3):
        file = f"robustness/remove_level{level}"
        found = removal(normalised, asem.tree, RULES, elements=asem.tree.at_level(level), tolerance=0)
        expected = asem.table(f"{file}_mean_abs_rank_diff").set_index("removed").drop(index="Nominal")
        figures = found.summary.set_index("element").loc[expected.index, ["mean_abs_rank_change"]]
        yield Case(f"{file}_mean_abs_rank_diff", "", figures, expected)
        if level > 1:
            scores = asem.by_unit(f"{file}_scores")
            yield Case(f"{file}_scores", "", like(found.scores.sort_index(), scores), scores)
    data = asem.table("a_example/05_treated")
    configs = {"minmax": {}, "prank": {"method": "percentile_rank"}}
    versions = {
        name: asem.stage(data, {"normalise": given, "aggregate": {}}, "scores")["Index"]
        for name, given in configs.items()
    }
    found = alternatives(versions, tolerance=0)
    expected = asem.by_unit("robustness/compare_minmax_vs_prank_scores")[["coin.1", "coin.2"]]
    yield Case("robustness/compare_minmax_vs_prank_scores", "", pd.DataFrame(versions).loc[expected.index], expected)
    expected = asem.by_unit("robustness/compare_minmax_vs_prank_ranks")[["coin.1", "coin.2", "Diff"]]
    ranks = found.ranks.assign(diff=found.changes["prank"]).loc[expected.index]
    yield Case("robustness/compare_minmax_vs_prank_ranks", "", ranks, expected)


def profiles(asem: Asem) -> Iterator[Case]:
    tree, groups = asem.tree, asem.data.set_index("uCode")["GDPpc_group"]
    listed: dict[str, tuple[str, dict[str, Any]]] = {f"{unit}_raw": ("01_raw", {}) for unit in ("CHE", "EST", "IND")}
    for unit in ("IND", "KHM"):
        for discard in (True, False):
            name = f"{unit}_normalised_mindiscard_{str(discard).upper()}"
            listed[name] = ("06_normalised", {"min_discard": discard})
    listed["EST_within_GDPpc_group"] = ("06_normalised", {"groups": groups})
    for name, (stage, options) in listed.items():
        values = asem.by_unit(f"a_example/{stage}")
        # COINr sorts its indicators by parent, and cuts ties in that order.
        values = values[sorted(tree.indicators, key=lambda code: tree.parents[code])]
        signs = tree.directions if stage == "01_raw" else pd.Series(1.0, index=values.columns)
        found = strengths_and_weaknesses(
            values, directions=signs, rule="coinr", parents=tree.parents, tolerance=0, **options
        )
        own = found.loc[found["uCode"] == name[:3], ["kind", "indicator", "group", "rank", "value"]]
        expected = asem.table(f"profiles/str_weak_{name}")[["kind", "Code", "Pillar", "Rank", "Value"]]
        yield Case(f"profiles/str_weak_{name}", "coinr", own, expected)
    scores = summary(asem.by_unit("a_example/07_aggregated_amean"), tree)
    for unit in ("CHE", "EST", "IND"):
        own = scores.loc[scores["uCode"] == unit, ["element", "score", "rank"]]
        yield Case(
            f"profiles/summary_{unit}", "", own, asem.table(f"profiles/summary_{unit}")[["Code", "Score", "Rank"]]
        )


def panel(asem: Asem) -> Iterator[Case]:
    data = asem.table("inputs/iData_panel")
    steps = {"screen": {"min_available": 0.9}, "treat": {"scope": "time"}, "aggregate": {"min_available": 0}}
    for name, scope in (("global", "all"), ("peryear", "time")):
        config = steps | {"normalise": {"scope": scope}}
        yield from stage_cases(asem, f"panel/{name}_minmax_aggregated", data, config, "scores")
        if name == "global":
            yield from stage_cases(asem, f"panel/{name}_minmax_normalised_first12", data, config, "normalised")
    values = data.set_index(["uCode", "Time"]).sort_index()
    given = asem.table("panel/base2018_bounds")
    base = bounds_of(values.xs(2018, level="Time")[list(given["iCode"])])
    wanted = given.set_index("iCode")[["scaled_lower", "scaled_upper"]]
    yield Case("panel/base2018_bounds", "", base, wanted)
    bounds = base.rename_axis("iCode").reset_index()
    config = {"normalise": {"bounds_file": "bounds.csv"}, "aggregate": {"min_available": 0}}
    files = {"normalise.bounds_file": bounds}
    for name, table in (("normalised_first12", "normalised"), ("aggregated", "scores")):
        yield from stage_cases(asem, f"panel/base2018_bounds_raw_{name}", data, config, table, files=files)
    for name, trend, mine, theirs in (
        ("CAGR", growth, "growth", "CAGR"),
        ("prc_change", percent_change, "change", "prc_change"),
    ):
        expected = asem.table(f"panel/trends_{name}_first3").set_index(["uCode", "iCode"])
        codes = list(expected.index.get_level_values("iCode").unique())
        found = trend(values[codes], literal=True).set_index(["uCode", "indicator"]).loc[expected.index]
        columns = [theirs, "Avail", "t_first", "t_latest"]
        yield Case(
            f"panel/trends_{name}_first3", "coinr", found[[mine, "available", "first", "last"]], expected[columns]
        )


def uncertainty(asem: Asem) -> Iterator[Case]:
    """The replicates of COINr's Monte Carlo and of its Sobol' design, computed again from their settings."""
    config = {
        "compat": "coinr",
        **{"treat": {}, "normalise": {"lower": 1}, "aggregate": {}, "rank": {}},
        "uncertainty": {
            "seed": 1,
            "treat": {"winsorise_max": [1, 2, 3, 4, 5]},
            "normalise": {"options": [{"method": "min_max", "lower": 1}, {"method": "z_score", "mean": 10, "sd": 2}]},
            "aggregate": {"options": [{"method": "arithmetic_mean"}, {"method": "geometric_mean"}]},
            "weights": {"kind": "sets", "sets_file": "sets.csv"},
        },
    }
    choices = read_choices(config, read_config)
    run = run_index(asem.table("a_example/04_screened"), asem.meta, config)
    sets = asem.table("uncertainty/noisy_weight_sets")
    for name in ("ua", "sa"):
        asked = asem.table(f"uncertainty/{name}_replicates")
        numbers = pd.DataFrame(
            {
                "treat": asked["winmax"] - 1,
                "normalise": (asked["normalisation"] != "n_minmax").astype(int),
                "aggregate": (asked["aggregation"] != "a_amean").astype(int),
                "weights": asked["weight_set"] - 1,
            }
        )
        found = replay(run, choices, numbers, weight_sets=sets)
        units = run.entering.index
        columns = [f"r_{number}" for number in asked["rep"]]
        scores = asem.by_unit(f"uncertainty/{name}_scores")[columns]
        ranks = asem.by_unit(f"uncertainty/{name}_ranks")
        nominal = ranks["Nominal"].to_numpy()
        yield Case(f"uncertainty/{name}_scores", "", pd.DataFrame(found.scores.T, units, columns), scores)
        yield Case(f"uncertainty/{name}_ranks", "", pd.DataFrame(found.ranks.T, units, columns), ranks[columns])
        # In the Sobol' design COINr summarises the replicates of A and B only.
        count = len(asked) if name == "ua" else 200
        stats = rank_statistics(found.ranks[:count], nominal, units=units)
        expected = asem.by_unit(f"uncertainty/{name}_rank_stats")
        yield Case(f"uncertainty/{name}_rank_stats", "", stats[["nominal", "mean", "median", "q5", "q95"]], expected)
        if name == "sa":
            target = mean_rank_change(found.ranks, nominal)
            wanted = asem.table("uncertainty/sa_target")[["mean_abs_rank_change"]]
            yield Case("uncertainty/sa_target", "", pd.DataFrame({"y": target}), wanted)
            y = target.reshape(6, 100)
            indices = np.array(sobol_indices(y[0], y[1], y[2:], centred=False)).T
            wanted = asem.table("uncertainty/sa_sensitivity_indices")[["Si", "STi"]]
            yield Case("uncertainty/sa_sensitivity_indices", "coinr", pd.DataFrame(indices), wanted)

"""How sure values, scores and ranks are: firms resampled (framework §11.8), pillar weights drawn (§12.4 c). Pure.

Every replicate of the firms goes the whole way: weights, 65 indicators, caps, smoothing, scaling, joining. Replicate b
of a round takes replicate b of the earlier rounds for the smoothed indicators. A joint draw d pairs draw d of the
pillar weights with replicate d mod `replicates`; with one source held at its nominal value the same draws tell what
the other contributes alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cci.engine import compute
from facts.indicators.compute import Round, joined_inputs
from facts.indicators.resampling import replicated_between
from facts.indicators.tables import Tables

from .methodology import Method, draw_weights, rank_quantiles

SOURCES = ("joint", "firms", "weights")
TOP = "CCI"
PART = 16_384  # units scored together: the engine runs once over their clusters × replicates


@dataclass(frozen=True)
class Precision:
    """values : standard error of each indicator value, cluster × indicator, NaN where the value is missing or no firm
    enters. scores : standard error of each score, cluster × node, NaN where missing. intervals : of ranked clusters,
    low and high of the rank by both sources. report : both sources apart, for the edition's report."""

    values: pd.DataFrame
    scores: pd.DataFrame
    intervals: pd.DataFrame
    report: dict


def precision_of(
    tables: Tables,
    by_round: Mapping[int, pd.DataFrame],
    round_year: int,
    method: Method,
    scores: pd.DataFrame,
    ranked: Sequence[str],
) -> Precision:
    """Standard errors and rank intervals of an edition.

    by_round : the values of each round that enters, as `compute_round` gives them and as they are admitted: what is
    missing there stays missing in every replicate. scores : cluster × node. ranked : the clusters that have ranks.
    """
    settings, pillars = method.content["uncertainty"], [node.code for node in method.definitions.pillars]
    replicates = settings["replicates"]
    values, nodes, drawn_pillars, failed = _resampled(tables, by_round, round_year, method, scores, replicates)
    rows = [tables.codes.index(code) for code in ranked]
    nominal = scores.loc[list(ranked), pillars].to_numpy(dtype=float)
    firms = drawn_pillars[:, rows]
    # A replicate that leaves a pillar without figures says nothing of it: the pillar keeps its score there.
    lost = np.isnan(firms)
    failed += int(lost.any(axis=2).sum())
    firms = np.where(lost, nominal, firms)
    base = np.array([node.weight for node in method.definitions.pillars])
    drawn = draw_weights(base, settings["draws"], settings["concentration"], round_year * settings["seed_per_round"])
    floor = float(method.engine_config["aggregate"]["floor"][-1])
    sources = {
        "joint": rank_quantiles(firms, drawn, floor),
        "firms": rank_quantiles(firms, base[None], floor),
        "weights": rank_quantiles(nominal[None], drawn, floor),
    }
    ranks = rank_quantiles(nominal[None], base[None], floor)[0]
    widened = [code for place, code in enumerate(ranked) if not _inside(ranks[place], sources["joint"], place)]
    # An interval never leaves its own rank out.
    spans = {name: (np.minimum(low, ranks), np.maximum(high, ranks)) for name, (low, high) in sources.items()}
    low, high = spans["joint"]
    by_cluster = {
        code: {"se": _plain(float(nodes[TOP][code]))}
        | {name: [int(spans[name][0][place]), int(spans[name][1][place])] for name in SOURCES}
        for place, code in enumerate(ranked)
    }
    report = {
        "replicates": replicates,
        "draws": settings["draws"],
        "seed": "round × 1000 + first 48 bits of the SHA-256 of the cluster's code",
        "covers": ["firms resampled inside size classes", "pillar weights drawn around the base weights"],
        "without_figures": failed,
        "widened_to_hold_the_rank": widened,
        "rank_intervals": by_cluster,
    }
    return Precision(values, nodes, pd.DataFrame({"low": low, "high": high}, index=pd.Index(ranked)), report)


def _inside(rank: int, quantiles: tuple[np.ndarray, np.ndarray], place: int) -> bool:
    return bool(quantiles[0][place] <= rank <= quantiles[1][place])


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(f"{value:.6g}")


def _resampled(
    tables: Tables,
    by_round: Mapping[int, pd.DataFrame],
    round_year: int,
    method: Method,
    scores: pd.DataFrame,
    replicates: int,
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, int]:
    """Standard errors of values and of scores, the pillars of every replicate (replicates, n_clusters, n_pillars), and
    how many values were left without figures by a replicate. Worked out a few clusters at a time."""
    definitions, codes = method.definitions, tables.codes
    smoothed = frozenset(one.code for one in definitions.indicators if one.smooth_rounds > 1)
    rounds = {year: Round(tables, year, definitions, method.imputation) for year in sorted(by_round)}
    point = {
        year: one.pivot(index="cluster", columns="indicator", values="value").reindex(codes)
        for year, one in by_round.items()
    }
    nodes = list(scores.columns)
    pillars = [nodes.index(node.code) for node in definitions.pillars]
    of_values = pd.DataFrame(np.nan, index=pd.Index(codes), columns=[one.code for one in definitions.indicators])
    of_scores = pd.DataFrame(np.nan, index=pd.Index(codes), columns=nodes)
    kept = np.full((replicates, len(codes), len(pillars)), np.nan)
    failed = 0
    for first, last in rounds[round_year].units.parts(PART):
        here = codes[first:last]
        by_year: dict[int, dict[str, np.ndarray]] = {}
        for year, round_ in rounds.items():
            only = None if year == round_year else smoothed
            drawn = replicated_between(round_, replicates, first, last, only)
            nominal = {str(code): column.to_numpy()[first:last] for code, column in point[year].items()}
            by_year[year] = {
                code: np.where(np.isnan(nominal[code]), np.nan, drawn.get(code, nominal[code]))
                for code in nominal
                if only is None or code in only
            }
            if year == round_year:
                for code, found in drawn.items():
                    of_values.loc[here, code] = standard_error(found, nominal[code])
                    failed += int((np.isnan(found) & ~np.isnan(nominal[code])).sum())
        found = _scored(joined_inputs(by_year, round_year, definitions), method, replicates, here, nodes)
        of_scores.loc[here] = standard_error(found, scores.loc[here].to_numpy(dtype=float))
        kept[:, first:last] = found[:, :, pillars]
    return of_values, of_scores, kept, failed


def standard_error(replicates: np.ndarray, nominal: np.ndarray) -> np.ndarray:
    """√ of the mean squared distance of replicates (axis 0) from the value itself; NaN where that is missing.

    Replicates without a figure are left out.
    """
    square = (replicates - nominal) ** 2
    count = (~np.isnan(square)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, np.sqrt(np.nansum(square, axis=0) / np.maximum(count, 1)), np.nan)


def _scored(
    inputs: Mapping[str, np.ndarray], method: Method, replicates: int, codes: Sequence[str], nodes: Sequence[str]
) -> np.ndarray:
    """Run the engine over all replicates at once; returns (replicates, n_clusters, n_nodes)."""
    n = len(codes)
    shape = (replicates, n)
    data = pd.DataFrame({code: np.broadcast_to(values, shape).ravel() for code, values in inputs.items()})
    data.insert(0, "uCode", np.tile(np.array(codes, dtype=object), replicates))
    data.insert(1, "Time", np.repeat(np.arange(replicates), n))
    config = {step: settings for step, settings in method.engine_config.items() if step != "rank"}
    found = compute(data, method.meta, config, goalposts=method.goalposts).tables["scores"]
    found = found.sort_values(["Time", "uCode"], kind="stable")  # codes stand in order
    return found[list(nodes)].to_numpy(dtype=float).reshape(replicates, n, len(nodes))

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

from facts.indicators.compute import Round, joined_inputs
from facts.indicators.parallel import in_order
from facts.indicators.resampling import replicated_between
from facts.indicators.tables import Tables

from .bands import band_numbers
from .draws import draw_weights, drawn_ranks, rank_quantiles, ranks_inside, share_ahead
from .methodology import Method
from .scoring import ReplicateScores

SOURCES = ("joint", "firms", "weights")
TOP = "CCI"
PART = 16_384  # units worked on together, by one thread: their clusters × replicates take some 50 MB to score


@dataclass(frozen=True)
class Precision:
    """values : standard error of each indicator value, cluster × indicator, NaN where the value is missing or no firm
    enters. scores : standard error of each score, cluster × node, NaN where missing. intervals : of ranked clusters,
    low and high of the rank by both sources. report : both sources apart, for the edition's report. ranks : of ranked
    clusters in every joint draw, (draws, n_ranked) in the order of `intervals`; by_weights : the same where only the
    pillar weights are drawn."""

    values: pd.DataFrame
    scores: pd.DataFrame
    intervals: pd.DataFrame
    report: dict
    ranks: np.ndarray
    by_weights: np.ndarray

    def ahead_of_next(self, order: Sequence[str]) -> pd.Series:
        """The share of joint draws in which each cluster stands before the next one; NaN for the last.

        order : ranked clusters, the best first.
        """
        columns = self.intervals.index.get_indexer(pd.Index(order))
        found = np.full(len(order), np.nan)
        found[:-1] = share_ahead(self.ranks, columns[:-1], columns[1:])
        return pd.Series(found, index=pd.Index(order))

    def among(self, members: Sequence[str], ranks: pd.Series) -> pd.DataFrame:
        """Rank, interval and band of some ranked clusters counted among themselves: columns rank, low, high, band.

        ranks : of the whole edition. The draws are ranked anew inside the group.
        """
        columns = self.intervals.index.get_indexer(pd.Index(members))
        own = ranks_inside(ranks[list(members)].to_numpy()[None])[0]
        low, high = rank_quantiles(ranks_inside(self.ranks[:, columns]))
        index = pd.Index(members)
        found = pd.DataFrame({"rank": own, "low": np.minimum(low, own), "high": np.maximum(high, own)}, index=index)
        return found.assign(band=band_numbers(found["rank"], found))


def precision_of(
    tables: Tables,
    by_round: Mapping[int, pd.DataFrame],
    round_year: int,
    method: Method,
    scores: pd.DataFrame,
    ranked: Sequence[str],
    divisions: Mapping[str, str] | None = None,
) -> Precision:
    """Standard errors and rank intervals of an edition.

    by_round : the values of each round that enters, as `compute_round` gives them and as they are admitted: what is
    missing there stays missing in every replicate. scores : cluster × node. ranked : the clusters that have ranks.
    divisions : cluster → ISIC division, for the goalposts.
    """
    settings, pillars = method.content["uncertainty"], [node.code for node in method.definitions.pillars]
    replicates = settings["replicates"]
    values, nodes, drawn_pillars, failed = _resampled(
        tables, by_round, round_year, method, scores, replicates, divisions or {}
    )
    rows = [tables.codes.index(code) for code in ranked]
    nominal = scores.loc[list(ranked), pillars].to_numpy(dtype=float)
    firms = drawn_pillars[:, rows]
    # A replicate that leaves a pillar without figures says nothing of it: the pillar keeps its score there.
    lost = np.isnan(firms)
    failed += int(lost.any(axis=2).sum())
    firms = np.where(lost, nominal, firms)
    base, floor = method.pillar_weights, method.floor
    drawn = draw_weights(base, settings["draws"], settings["concentration"], round_year * settings["seed_per_round"])
    joint = drawn_ranks(firms, drawn, floor)
    by_weights = drawn_ranks(nominal[None], drawn, floor)
    sources = {
        "joint": rank_quantiles(joint),
        "firms": rank_quantiles(drawn_ranks(firms, base[None], floor)),
        "weights": rank_quantiles(by_weights),
    }
    ranks = drawn_ranks(nominal[None], base[None], floor)[0]
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
    intervals = pd.DataFrame({"low": low, "high": high}, index=pd.Index(ranked))
    return Precision(values, nodes, intervals, report, joint, by_weights)


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
    divisions: Mapping[str, str],
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, int]:
    """Standard errors of values and of scores, the pillars of every replicate (replicates, n_clusters, n_pillars), and
    how many values were left without figures by a replicate. Worked out a few clusters at a time."""
    definitions, codes = method.definitions, tables.codes
    smoothed = frozenset(one.code for one in definitions.indicators if one.smooth_rounds > 1)
    rounds = {year: Round(tables, year, definitions, method.imputation) for year in sorted(by_round)}
    point = {
        year: {
            str(code): column.to_numpy(dtype=float)
            for code, column in one.pivot(index="cluster", columns="indicator", values="value").reindex(codes).items()
        }
        for year, one in by_round.items()
    }
    nodes, indicators = list(scores.columns), [one.code for one in definitions.indicators]
    pillars = [nodes.index(node.code) for node in definitions.pillars]
    nominal_scores = scores.reindex(codes).to_numpy(dtype=float)
    scorer = ReplicateScores(method)

    def work(ends: tuple[int, int]) -> tuple[slice, dict[str, np.ndarray], np.ndarray, np.ndarray, int]:
        here, failed = slice(*ends), 0
        by_year: dict[int, dict[str, np.ndarray]] = {}
        errors: dict[str, np.ndarray] = {}
        for year, round_ in rounds.items():
            only = None if year == round_year else smoothed
            drawn = replicated_between(round_, replicates, *ends, only)
            nominal = {code: column[here] for code, column in point[year].items() if only is None or code in only}
            if year == round_year:
                for code, found in drawn.items():
                    errors[code] = standard_error(found, nominal[code])
                    failed += int((np.isnan(found) & ~np.isnan(nominal[code])).sum())
            by_year[year] = {
                code: np.where(np.isnan(value), np.nan, drawn[code]) if code in drawn else value
                for code, value in nominal.items()
            }
        of = [divisions.get(code, "") for code in codes[here]]
        found = scorer.of(joined_inputs(by_year, round_year, definitions), of, nodes)
        return here, errors, standard_error(found, nominal_scores[here]), found[:, :, pillars], failed

    of_values = np.full((len(codes), len(indicators)), np.nan)
    of_scores = np.full((len(codes), len(nodes)), np.nan)
    kept = np.full((replicates, len(codes), len(pillars)), np.nan)
    failed = 0
    for here, errors, error, drawn, lost in in_order(work, rounds[round_year].units.parts(PART)):
        for code, found in errors.items():
            of_values[here, indicators.index(code)] = found
        of_scores[here], kept[:, here], failed = error, drawn, failed + lost
    index = pd.Index(codes)
    return pd.DataFrame(of_values, index, indicators), pd.DataFrame(of_scores, index, nodes), kept, failed


def standard_error(replicates: np.ndarray, nominal: np.ndarray) -> np.ndarray:
    """√ of the mean squared distance of replicates (axis 0) from the value itself; NaN where that is missing.

    Replicates without a figure are left out.
    """
    square = (replicates - nominal) ** 2
    count = (~np.isnan(square)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, np.sqrt(np.nansum(square, axis=0) / np.maximum(count, 1)), np.nan)

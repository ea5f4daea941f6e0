"""Compute everything of an edition from a snapshot's tables: values, index, ranks, precision, standings, explanations,
digest."""

import hashlib
import json
from collections.abc import Callable

import pandas as pd

from cci.bands import band_numbers
from cci.coherence import coherence_of
from cci.engine import VERSION
from cci.engine.ranking import rank
from cci.explanations import Figures, Previous, explain
from cci.methodology import Method
from cci.peers import peer_groups, trades_of
from cci.precision import precision_of
from cci.robustness import robustness_of
from cci.scoring import score
from cci.standings import standings_of, with_missing_pillars
from core.base import DomainError
from facts.indicators.compute import compute_round, coverage_of, index_inputs
from facts.reliability import reliability

INDEX = "CCI"
STAGES = ("indicators", "scores", "precision", "robustness", "explanations", "coherence")


def compute_edition(
    tables,
    round_year: int,
    method: Method,
    snapshot_digest: str,
    previous: Previous | None = None,
    begins: Callable[[str], None] = lambda stage: None,
) -> dict:
    """Compute everything of an edition from a snapshot's tables; nothing is read or written.

    The digest covers all but the audit of coherence, which judges the framework and moves no figure.

    previous : the edition of an earlier round by the same methodology, for what moved since. begins : told each of
    `STAGES` as it begins.
    """
    begins("indicators")
    years = [year for year in sorted(set(tables.frame["round"])) if round_year - 2 <= year <= round_year]
    if round_year not in years:
        raise DomainError(f"Round {round_year} has no frozen frame, so nothing can be computed. Freeze it first.")
    by_round = {year: compute_round(tables, year, method.definitions, method.imputation) for year in years}
    _admit_proxy(by_round, method)
    inputs = index_inputs(by_round, round_year, method.definitions)
    coverage = coverage_of(tables, round_year)
    trades = trades_of(tables, round_year)
    begins("scores")
    divisions = {code: trade.division for code, trade in trades.items()}
    scored = score(inputs.rename_axis("uCode").reset_index(), divisions, method)
    scores = scored.scores
    pillars = {node.code: node.name for node in method.definitions.pillars}
    reliabilities = with_missing_pillars(reliability(tables, method.reliability, round_year), scores, pillars)
    standings = standings_of(coverage.index, reliabilities, scores)
    ranked = [code for code, verdict in standings.items() if verdict.is_ranked]
    ranks = rank(scores.loc[ranked]) if ranked else scores.loc[[]]
    begins("precision")
    sure = precision_of(tables, by_round, round_year, method, scores, ranked, divisions)
    bands = band_numbers(ranks[INDEX], sure.intervals)
    begins("robustness")
    robustness = robustness_of(scored.normalised, ranks[INDEX], bands, sure.by_weights, method) if ranked else {}
    begins("explanations")
    values = by_round[round_year]
    figures = Figures(
        normalised=scored.normalised,
        scores=scores,
        ranks=ranks[INDEX],
        bands=bands,
        precision=sure,
        groups=peer_groups(list(scores.index), trades, ranked, method.content["peers"]["least"]),
        divisions=divisions,
        estimated=values.assign(guessed=values["status"] == "E").pivot(
            index="cluster", columns="indicator", values="guessed"
        ),
        robustness=robustness or {"clusters": {}},
        previous=previous,
    )
    explanations, contributions = explain(figures, method)
    judged = {
        code: [verdict.status, verdict.reason, reliabilities[code].score if code in reliabilities else None]
        for code, verdict in standings.items()
    }
    report = scored.report | {"precision": sure.report, "robustness": robustness}
    begins("coherence")
    inside = (inputs.loc[ranked], scored.normalised.loc[ranked], scores.loc[ranked])
    report["audit"] = coherence_of(*inside, coverage.loc[ranked, ["in_scope"]], method)
    report["previous"] = {"label": previous.label, "digest": previous.digest} if previous else None
    return {
        "values": values,
        "coverage": coverage,
        "scores": scores,
        "observed": scored.observed,
        "contributions": contributions,
        "ranks": ranks,
        "bands": bands,
        "precision": sure,
        "standings": standings,
        "reliability": reliabilities,
        "explanations": explanations,
        "report": report,
        "digest": _digest(
            [
                snapshot_digest,
                method.digest,
                VERSION,
                _plain(scores),
                _plain(ranks),
                _plain(sure.intervals),
                _plain(sure.scores, 6),
                _plain(sure.values, 6),
                sorted(judged.items()),
                sorted(bands.items()),
                robustness,
                explanations,
                report["previous"],
            ]
        ),
    }


def _admit_proxy(by_round: dict, method: Method) -> None:
    """Estimated indicators enter only in the rounds that the methodology names."""
    estimated = [indicator.code for indicator in method.definitions.indicators if indicator.estimated]
    for year, values in by_round.items():
        if year not in method.content["proxy_rounds"]:
            proxy = values["indicator"].isin(estimated)
            values.loc[proxy, ["value", "status", "reason"]] = [float("nan"), "O", "no assessment yet"]


def _digest(content: list) -> str:
    """SHA-256 over inputs, methodology, engine and results. Ten significant digits, six of standard errors and of
    explanations: no more is claimed."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _plain(frame: pd.DataFrame, digits: int = 10) -> list:
    frame = frame.sort_index()[sorted(frame.columns)]
    return [
        [code, *(None if pd.isna(v) else float(f"{float(v):.{digits}g}") for v in row)]
        for code, row in zip(frame.index, frame.to_numpy(dtype=object), strict=True)
    ]

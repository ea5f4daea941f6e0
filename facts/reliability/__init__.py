"""Reliability and eligibility (framework §10): from the tables of a snapshot to score, status and the way there. Pure.

>>> from facts.reliability import load_rules
>>> load_rules().thresholds["enter"]
75
"""

from dataclasses import dataclass

import numpy as np

from facts.indicators.tables import Tables

from .figures import Figures, figures_of
from .gates import Association, GateResult, best_associations
from .rules import Rules, load_rules
from .scoring import Part, Stop, grade_of, points_of, score_of, stops_of
from .way import Step, carried_out, shortest_way

__all__ = [
    "Association",
    "Figures",
    "GateResult",
    "Part",
    "ReliabilityResult",
    "Rules",
    "Step",
    "Stop",
    "carried_out",
    "load_rules",
    "reliability",
    "result_of",
    "shortest_way",
]

ELIGIBLE, PROVISIONAL, NOT_ELIGIBLE = "eligible", "provisional", "not"


@dataclass(frozen=True)
class ReliabilityResult:
    """What a cluster's data and its association are worth in a round.

    score : 0–100 after caps. status : eligible, provisional or not (framework §10.4). category : the public word for
        why it is not eligible; empty where it is. is_reliable : score and stops alone. was_reliable : a round before.
    stops : hard stops, then caps that hold. steps : the shortest way to become eligible, empty where it is.
    """

    cluster: str
    score: float
    grade: str
    status: str
    category: str
    is_reliable: bool
    was_reliable: bool
    figures: Figures
    parts: tuple[Part, ...]
    stops: tuple[Stop, ...]
    association: Association
    steps: tuple[Step, ...]


def reliability(tables: Tables, rules: Rules, round_year: int) -> dict[str, ReliabilityResult]:
    """Score every cluster that has a frame in the round, by code.

    Rounds before are looked at only for clusters whose score lies where "stays while the score is at least …" matters
    (§10.2): the answer is the same as from scoring all rounds in order, since no figure of a cluster rests on another.
    """
    figures = figures_of(tables, rules, round_year)
    undecided = {code for code, f in figures.items() if _may_stay(f, rules)}
    before = _reliable_before(tables, rules, _years(tables, round_year, set(tables.codes)), undecided)
    associations = best_associations(tables, rules, round_year)
    return {
        code: result_of(code, f, associations[code], rules, was_reliable=code in before) for code, f in figures.items()
    }


def result_of(
    code: str, figures: Figures, association: Association, rules: Rules, *, was_reliable: bool
) -> ReliabilityResult:
    """Score, status and steps of one cluster."""
    score, parts, caps = score_of(figures, rules)
    stops = stops_of(figures, rules)
    target = rules.thresholds["stay" if was_reliable else "enter"]
    is_reliable = score >= target and not stops
    status = _status(score, is_reliable, bool(stops), association, rules)
    category = "" if status == ELIGIBLE else _category(stops, is_reliable, association)
    is_whole = status == ELIGIBLE and figures.has_region_return
    steps = [] if is_whole else shortest_way(figures, association, rules, target=target)
    return ReliabilityResult(
        cluster=code,
        score=score,
        grade=grade_of(score, rules),
        status=status,
        category=category,
        is_reliable=is_reliable,
        was_reliable=was_reliable,
        figures=figures,
        parts=tuple(parts),
        stops=(*stops, *caps),
        association=association,
        steps=tuple(steps),
    )


def _may_stay(figures: Figures, rules: Rules) -> bool:
    limits = rules.thresholds
    return limits["stay"] <= points_of(figures, rules) < limits["enter"] and not stops_of(figures, rules)


def _reliable_before(tables: Tables, rules: Rules, years: set[int], codes: set[str]) -> set[str]:
    """Which of the clusters were reliable in the last of those years."""
    if not codes or not years:
        return set()
    year = max(years)
    figures = figures_of(tables, rules, year, codes)
    undecided = {code for code, f in figures.items() if _may_stay(f, rules)}
    stayed = _reliable_before(tables, rules, _years(tables, year, codes), undecided)
    enter = rules.thresholds["enter"]
    entered = {code for code, f in figures.items() if points_of(f, rules) >= enter and not stops_of(f, rules)}
    return entered | stayed


def _years(tables: Tables, before: int, codes: set[str]) -> set[int]:
    """Earlier rounds in which any of the clusters has a frame."""
    frame = tables.arrays.frame
    there = np.array([code in codes for code in tables.codes], dtype=bool)
    return set(np.unique(frame["round"][there[frame["cluster"]] & (frame["round"] < before)]).tolist())


def _status(score: float, is_reliable: bool, is_stopped: bool, association: Association, rules: Rules) -> str:
    """Eligible: reliable and organised. Provisional: no stop, at least 60 points, at most one near gate missing.

    The framework's words would make a cluster with 65 points provisional whatever its association, and one with 80
    points not; read so that better data never give a worse status.
    """
    if is_reliable and association.is_organised:
        return ELIGIBLE
    nearly_organised = association.is_organised or association.is_near
    if not is_stopped and nearly_organised and score >= rules.thresholds["provisional"]:
        return PROVISIONAL
    return NOT_ELIGIBLE


def _category(stops: list[Stop], is_reliable: bool, association: Association) -> str:
    """The public word of the reason that comes first: stops, schedules, reliability, association."""
    if stops:
        return stops[0].category
    if not association.subject:
        return "schedules"
    return "association" if is_reliable else "reliability"

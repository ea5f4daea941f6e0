"""Selective editing: which return to look at first. Pure: tables in, numbers and words out.

The order is suspicion × effect. Suspicion is what the checks say. Effect is how many places of the published ranking
the return may move, in three steps:

1. What would be expected of each figure: last round's, moved as the cluster moved; else what peers report per person.
2. The local score of a figure, weight · |reported − expected| / total, and the largest of a return as its global
   score. A return that moves no total of its cluster by a thousandth moves no rank, and is left out of step 3.
3. The index of the cluster with the expected figures of all that wait, and with the reported ones of this return
   alone; the difference, read off the ranking of the latest edition, is the number of places. (Expected first, so that
   several slips of scale in one cluster do not hide each other behind a goalpost.)

Sources: T. de Waal, "Selective Editing: A Quest for Efficiency and Data Quality", Journal of Official Statistics 29(4),
2013 (local and global scores; the largest local score as global score); A. Norberg, K. Lindgren, C. Tongur,
"Experiences from Selective Editing at Statistics Sweden", UNECE work session on data editing, Paris 2014
(score = suspicion × potential impact). Step 3 goes beyond them: the output here is a rank, so the impact is a rank's.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

# Figures of a unit that enter indicators. Amounts grow with the firm and add up to totals; levels do neither.
AMOUNTS = (
    "UB01", "UB03", "UB05", "UB06", "UB07", "UB08", "UB09",
    "UC01", "UC02", "UC03", "UC06",
    "UD01", "UD03", "UD04", "UD05", "UD06",
    "UE01", "UE02", "UF02", "UG01", "UG03",
)  # fmt: skip
LEVELS = ("UC04", "UC05", "UD02", "UE03", "UE04", "UE05", "UE06", "UF03")
FIGURES = (*AMOUNTS, *LEVELS)
PERSONS = "UB01"

LEAST_MATCHED = 5  # firms in both rounds before the cluster's own growth is trusted (framework §13.1: n ≥ 5)
LEAST_PEERS = 5  # firms behind a figure per person
LEAST_MOVE = 0.001  # of a total: below, no rank moves
LEAST_EFFECT = 0.05  # of a place: below, a return is said hardly to move anything
POINTS_A_PLACE = 1.0  # index points between neighbours where no edition says it yet


@dataclass(frozen=True)
class Yardstick:
    """How the index measures. Made by the index and handed down: nothing here knows an edition.

    posts : indicator → transform ("lin", "log", "log1p"), low and high goalpost, direction.
    weights : indicator → (pillar, weight in that pillar, adding up to 1).
    pillar_weights : pillar → weight in the index. floor : least pillar score in the geometric mean.
    pillars : cluster → its pillar scores in the latest edition. scores : cluster → its index score there.
    """

    posts: Mapping[str, tuple[str, float, float, int]]
    weights: Mapping[str, tuple[str, float]]
    pillar_weights: Mapping[str, float]
    floor: float = 1.0
    pillars: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


# --- 1. What would be expected ---------------------------------------------------------------


def expected_figures(now: pd.DataFrame, before: pd.DataFrame, persons: pd.Series) -> pd.DataFrame:
    """What each figure would be expected to be.

    now : one row a unit (index: frame id), a column a figure, NaN = no answer. before : the same one round earlier;
    rows and columns may be missing. persons : persons engaged as the frame has them, by frame id.

    An amount: last round's × median growth of the cluster's matched units (growth 1 below LEAST_MATCHED of them); else
    the median per person × persons. A level: last round's; else the median. Where nothing can be expected (no answer
    now, too few peers), what was reported is returned, so that it moves nothing.
    """
    codes = [code for code in FIGURES if code in now]
    now = now[codes].apply(pd.to_numeric, errors="coerce").astype(float)
    before = before.reindex(index=now.index, columns=codes).apply(pd.to_numeric, errors="coerce").astype(float)
    expected = pd.DataFrame(np.nan, index=now.index, columns=codes)
    growth = {code: _growth(now[code], before[code]) for code in codes if code in AMOUNTS}
    heads = persons.reindex(now.index).astype(float)
    if PERSONS in codes:
        heads = (before[PERSONS] * growth[PERSONS]).fillna(heads)
    heads = heads.where(heads > 0)
    for code in codes:
        if code in AMOUNTS:
            each = (now[code] / heads).dropna()
            peers = float(each.median()) * heads if len(each) >= LEAST_PEERS else np.nan
            expected[code] = (before[code] * growth[code]).fillna(peers)
        else:
            there = now[code].dropna()
            expected[code] = before[code].fillna(float(there.median()) if len(there) >= LEAST_PEERS else np.nan)
    return expected.where(now.notna() & expected.notna(), now)


def _growth(now: pd.Series, before: pd.Series) -> float:
    both = (now > 0) & (before > 0)
    return float((now[both] / before[both]).median()) if both.sum() >= LEAST_MATCHED else 1.0


# --- 2. Local and global scores --------------------------------------------------------------


def local_scores(now: pd.DataFrame, expected: pd.DataFrame, weight: pd.Series) -> pd.DataFrame:
    """weight · |reported − expected| / Σ weight · |expected|, by unit and figure; 0 where there is nothing to compare.

    The total is the expected one: a slip of 1,000 would hide in a total that it made itself.
    """
    total = expected.abs().mul(weight, axis=0).sum()
    moved = (now[expected.columns] - expected).abs().mul(weight, axis=0)
    return (moved / total.where(total > 0)).fillna(0.0)


def global_scores(local: pd.DataFrame) -> pd.Series:
    """The largest local score of each unit (the Minkowski sum with exponent ∞)."""
    return local.max(axis=1) if len(local.columns) else pd.Series(0.0, index=local.index)


# --- 3. Index and places ---------------------------------------------------------------------


def scaled(value: float, post: tuple[str, float, float, int]) -> float:
    """Score an indicator value between its goalposts, 0–100 (framework §12.3 N1); NaN stays."""
    transform, low, high, direction = post
    if math.isnan(value):
        return math.nan
    if transform == "log":
        value = math.log(value) if value > 0 else -math.inf
    elif transform == "log1p":
        value = math.log1p(value) if value > -1 else -math.inf
    score = 100 * (value - low) / (high - low)
    score = min(100.0, max(0.0, score))
    return score if direction > 0 else 100.0 - score


def index_shift(cluster: str, reported: Mapping[str, float], instead: Mapping[str, float], rod: Yardstick) -> float:
    """How far reported figures take the cluster's index from where the expected ones leave it, in points.

    reported, instead : indicator values, the latter with the expected figures. The pillars of the latest edition stand
    for the expected state. An indicator missing on either side counts as unmoved.
    """
    moved: dict[str, float] = {}
    for code, (pillar, weight) in rod.weights.items():
        if code not in rod.posts:
            continue
        one, other = (scaled(values.get(code, math.nan), rod.posts[code]) for values in (reported, instead))
        if not (math.isnan(one) or math.isnan(other)):
            moved[pillar] = moved.get(pillar, 0.0) + weight * (one - other)
    if not any(moved.values()):
        return 0.0
    pillars = rod.pillars.get(cluster, {})
    if set(rod.pillar_weights) <= set(pillars):
        logs = [0.0, 0.0]
        for pillar, weight in rod.pillar_weights.items():
            there = pillars[pillar]
            logs[0] += weight * math.log(max(there + moved.get(pillar, 0.0), rod.floor))
            logs[1] += weight * math.log(max(there, rod.floor))
        return math.exp(logs[0]) - math.exp(logs[1])
    return sum(rod.pillar_weights[pillar] * by for pillar, by in moved.items())


def places(cluster: str, shift: float, scores: Mapping[str, float]) -> float:
    """How many places a shift of the index is worth: the ranking read as a line through the others' scores.

    Between two neighbours a place is counted in parts, so that half the way to the next one is half a place.
    """
    others = sorted(score for code, score in scores.items() if code != cluster)
    if not others or shift == 0:
        return abs(shift) / POINTS_A_PLACE
    here = scores.get(cluster, float(np.median(others)))
    gap = float(np.median(np.diff(others))) if len(others) > 1 else POINTS_A_PLACE
    gap = gap or POINTS_A_PLACE
    line = [others[0] - gap, *others, others[-1] + gap]
    steps = np.arange(len(line))
    return float(abs(np.interp(here, line, steps) - np.interp(here + shift, line, steps)))


# --- Words -----------------------------------------------------------------------------------


def place_words(effect: float, name: str) -> str:
    """Say an effect without figures of anybody: "may move Sialkot by 1–2 places"."""
    if effect < LEAST_EFFECT:
        return f"hardly moves {name}"
    if effect < 1:
        return f"may move {name} by up to 1 place"
    low = math.floor(effect)
    return f"may move {name} by {low}–{low + 1} places"


def in_order(rows: Iterable[tuple[float, float, object]]) -> list:
    """Keys of (suspicion, effect, key) with the largest product first; equals keep their order."""
    return [key for _, _, key in sorted(rows, key=lambda row: -row[0] * row[1])]

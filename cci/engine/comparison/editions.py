"""Compare editions of an index: what moved, and why a rank moved."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.errors import unit_name
from cci.engine.ranking import rank
from cci.engine.robustness import refuse_doubles

# score(framework, data, units): the scores of these units by the old or new framework on old or new data.
Score = Callable[[str, str, "pd.Index[Any]"], "pd.Series[float]"]
PARTS = ("leavers", "performance", "framework", "entrants")
# L leavers go, P performance (data), F framework, E entrants come. Who left has no new data, and who
# entered no old data: so L stands before P and E after it; F may stand anywhere.
ORDERS = {"chain": ("LPFE",), "shapley": ("FLPE", "LFPE", "LPFE", "LPEF")}


def compare(
    editions: "Mapping[str, pd.Series[float]]",
    *,
    intervals: Mapping[str, pd.DataFrame] | None = None,
    ties: str = "min",
    tolerance: float = 1e-9,
) -> pd.DataFrame:
    """Say for each unit how score and rank moved from each edition to the next.

    editions : scores labelled by uCode, by name of the edition, in the order of time; NaN: no score.
    intervals : for some editions, labelled by uCode, columns `low` and `high`: the ranks between which the
        uncertainty analysis leaves the unit. Without an interval on both sides every change is a movement.

    Returns one row per unit and pair of successive editions: from, to, uCode, score_from, score_to,
    score_change, rank_from, rank_to, rank_change (places gained: positive is up), n_from, n_to (ranked).
    status: `both`; `entered`, `left` (not a unit of the other edition); `unranked` (no score in one).
    movement: `up`, `down`, `unchanged`; `none` where the rank changed, but each of the two ranks lies inside
    both intervals, so it may be nothing at all; empty without two ranks. Raises ValueError for fewer than
    two editions, DataError for a unit that stands twice. Method note, section 16 (COINr
    `compare_coins_multi`; the sign is its own, first less second).

    >>> editions = {"2023": pd.Series({"X": 60.0, "Y": 50.0, "Z": 40.0}),
    ...             "2024": pd.Series({"X": 50.0, "Y": 55.0, "W": 70.0})}
    >>> found = compare(editions)
    >>> found[["uCode", "rank_from", "rank_to", "rank_change", "movement"]].to_dict("split")["data"]
    [['W', None, 1, None, ''], ['X', 1, 3, -2, 'down'], ['Y', 2, 2, 0, 'unchanged'], ['Z', 3, None, None, '']]
    """
    if len(editions) < 2:
        raise ValueError("A comparison needs at least two editions.")
    for scores in editions.values():
        refuse_doubles(scores.index)
    ranks = {name: _rank(scores, ties, tolerance) for name, scores in editions.items()}
    intervals = intervals or {}
    parts = []
    for first, second in pairwise(editions):
        units = editions[first].index.union(editions[second].index)
        old, new = ranks[first].reindex(units), ranks[second].reindex(units)
        change = old - new
        score_from, score_to = editions[first].reindex(units), editions[second].reindex(units)
        unsure = _inside(old, new, intervals.get(first)) & _inside(old, new, intervals.get(second))
        movement = np.select(
            [change.isna(), change == 0, unsure, change > 0], ["", "unchanged", "none", "up"], default="down"
        )
        in_old, in_new = (editions[name].index.get_indexer(units) >= 0 for name in (first, second))
        status = np.select([change.notna(), ~in_old, ~in_new], ["both", "entered", "left"], default="unranked")
        table = pd.DataFrame({"from": first, "to": second, "uCode": units})
        figures = {"score_from": score_from, "score_to": score_to, "score_change": score_to - score_from}
        for name, values in figures.items():
            table[name] = values.to_numpy(dtype=np.float64)
        for name, values in {"rank_from": old, "rank_to": new, "rank_change": change}.items():
            numbers = values.reset_index(drop=True)
            table[name] = numbers if ties == "average" else numbers.astype("Int64")
        n = {"n_from": int(ranks[first].notna().sum()), "n_to": int(ranks[second].notna().sum())}
        parts.append(table.assign(**n, status=status, movement=movement))
    return pd.concat(parts, ignore_index=True)


def decompose_rank_change(
    score: Score,
    *,
    old_units: "pd.Index[Any]",
    new_units: "pd.Index[Any]",
    order: str = "shapley",
    ties: str = "min",
    tolerance: float = 1e-9,
) -> pd.DataFrame:
    """Split each unit's change of rank into the units that left, performance, framework, and new units.

    Along a chain of one change at a time, R0 (old framework, old data, old units), R0' (the same among the
    units of both editions), R1 (new data), R2 (new framework), R3 (the new units too), the parts are R0 -
    R0', R0' - R1, R1 - R2, R2 - R3: positive is a gain of places, and they add up exactly.

    score : called as score(framework, data, units) with "old" or "new" for the first two; returns the
        scores of just these units, labelled by them (scaling by the data means scaling by these units).
    old_units, new_units : the units of each edition.
    order : `chain` as above; `shapley` averages the four orders in which the changes can happen, so that
        none is favoured (it also scores old data by the new framework).

    Returns one row per unit of either edition: uCode, rank_from, rank_to, rank_change, leavers,
    performance, framework, entrants, status (`both`, `entered`, `left`, `no score`: somewhere along the
    chains it has none, so its parts are missing). Method note, section 16 (as in the Global Innovation
    Index 2012).

    >>> old = pd.DataFrame({"a": [9.0, 8.0, 7.0], "b": [1.0, 2.0, 3.0]}, index=list("XYZ"))
    >>> new = pd.DataFrame({"a": [8.0, 9.0, 5.0], "b": [1.0, 2.0, 9.0]}, index=list("XYW"))
    >>> def score(framework, data, units):
    ...     return {"old": old, "new": new}[data].loc[units, "a" if framework == "old" else "b"]
    >>> found = decompose_rank_change(score, old_units=old.index, new_units=new.index)
    >>> found.set_index("uCode").loc["X", ["rank_change", "leavers", "performance", "framework", "entrants"]].tolist()
    [-2.0, 0.25, -0.5, -1.0, -0.75]
    """
    if order not in ORDERS:
        raise ValueError(f"{order!r} is no order; choose {', '.join(ORDERS)}.")
    refuse_doubles(old_units)
    refuse_doubles(new_units)
    old_units, new_units = old_units.sort_values(), new_units.sort_values()
    common = old_units.intersection(new_units).sort_values()
    units = old_units.union(new_units)
    states: dict[frozenset[str], pd.Series[float]] = {}

    def ranks(done: frozenset[str]) -> "pd.Series[float]":
        if done not in states:
            among = new_units if "E" in done else common if "L" in done else old_units
            framework, data = ("new" if "F" in done else "old"), ("new" if "P" in done else "old")
            states[done] = _rank(_asked(score, framework, data, among), ties, tolerance).reindex(units)
        return states[done]

    chains = [[ranks(frozenset(steps[:i])) for i in range(len(steps) + 1)] for steps in ORDERS[order]]
    return _decomposed(chains, ORDERS[order], units, old_units, new_units)


def decompose_ranks(
    r0: "pd.Series[float]", r1: "pd.Series[float]", r2: "pd.Series[float]", r3: "pd.Series[float]"
) -> pd.DataFrame:
    """As `decompose_rank_change`, in the order of the chain, from ranks that are known already.

    r0 : ranks of the old edition; r1, r2 : of the units of both editions, by the old and by the new
    framework on new data; r3 : of the new edition. Labelled by unit; NaN: no rank. R0' is r0 with the
    places of those who left closed up.

    >>> r0 = pd.Series({"W": 1, "X": 2, "Y": 3})
    >>> r1, r2, r3 = pd.Series({"X": 1, "Y": 2}), pd.Series({"X": 2, "Y": 1}), pd.Series({"X": 3, "Y": 1, "Z": 2})
    >>> found = decompose_ranks(r0, r1, r2, r3).set_index("uCode")
    >>> found.loc["X", ["rank_change", "leavers", "performance", "framework", "entrants"]].tolist()
    [-1.0, 1.0, 0.0, -1.0, -1.0]
    """
    for ranks in (r0, r1, r2, r3):
        refuse_doubles(ranks.index)
    r0, r1, r2, r3 = (ranks.astype("Float64").astype(np.float64) for ranks in (r0, r1, r2, r3))
    common = r0.index.intersection(r3.index)
    units = r0.index.union(r3.index)
    among = _rank(-r0.loc[common], "min", 0)
    chain = [ranks.reindex(units) for ranks in (r0, among, r1, r2, r3)]
    return _decomposed([chain], ("LPFE",), units, r0.index, r3.index)


def _rank(scores: "pd.Series[float]", ties: str, tolerance: float) -> "pd.Series[float]":
    ranks = rank(scores.to_frame("score"), ties=ties, tolerance=tolerance)["score"]
    return pd.Series(ranks.to_numpy(dtype=np.float64, na_value=np.nan), index=scores.index)


def _inside(old: "pd.Series[float]", new: "pd.Series[float]", interval: pd.DataFrame | None) -> "pd.Series[bool]":
    """Both ranks lie inside the interval."""
    if interval is None:
        return pd.Series(False, index=old.index)
    low, high = interval["low"].reindex(old.index), interval["high"].reindex(old.index)
    return old.between(low, high) & new.between(low, high)


def _asked(score: Score, framework: str, data: str, units: "pd.Index[Any]") -> "pd.Series[float]":
    scores = score(framework, data, units)
    absent = units.difference(scores.index)
    if len(absent):
        raise ValueError(
            f"The {framework} framework on {data} data gave no row for unit {unit_name(absent[0])}; "
            "score each unit asked for, with NaN where it has no score."
        )
    return scores.loc[units].astype(np.float64)


def _decomposed(
    chains: "list[list[pd.Series[float]]]",
    orders: Sequence[str],
    units: "pd.Index[Any]",
    old_units: "pd.Index[Any]",
    new_units: "pd.Index[Any]",
) -> pd.DataFrame:
    parts = {letter: np.zeros(len(units)) for letter in "LPFE"}
    for chain, steps in zip(chains, orders, strict=True):
        for i, letter in enumerate(steps):
            # Quarters of whole and half places: the sums are exact.
            parts[letter] += (chain[i] - chain[i + 1]).to_numpy() / len(chains)
    first, last = chains[0][0].to_numpy(), chains[0][-1].to_numpy()
    table = pd.DataFrame({"uCode": units, "rank_from": first, "rank_to": last, "rank_change": first - last})
    known = ~np.isnan(sum(parts.values()))
    for name, letter in zip(PARTS, "LPFE", strict=True):
        table[name] = np.where(known, parts[letter], np.nan)
    entered, left = (among.get_indexer(units) < 0 for among in (old_units, new_units))
    return table.assign(
        status=np.select([entered, left, known], ["entered", "left", "both"], default="no score"),
    )

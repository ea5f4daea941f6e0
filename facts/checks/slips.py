"""X08: a factor of 1,000 or a million on everything, or one digit too many or too few in one figure."""

import numpy as np
import pandas as pd

from .findings import CRITICAL, of_units
from .grouping import counts, quantile, spread_back
from .peers import centred, peer_groups
from .table import CheckTable


def x08(table: CheckTable) -> list[pd.DataFrame]:
    """Slips of the scale or of a digit, with the corrected figure for the respondent to confirm."""
    p = table.parameters("X08")
    if p is None or not len(table):
        return []
    items = np.array(table.rules.money_items, dtype=object)
    away, spread = deviations(table, p)
    known = np.isfinite(away)
    size = np.abs(np.where(known, away, 0.0))
    found = []
    power, slipped = _scale_slips(away, p)
    whole = np.flatnonzero(slipped.sum(axis=0) >= p["unit_items"])
    if len(whole):
        numbers = []
        for row in whole.tolist():
            chosen = items[slipped[:, row]].tolist()
            numbers.append(_seen(table, row, chosen, int(power[row])) | {"kind": "scale"})
        score = slipped[:, whole].sum(axis=0) / p["unit_items"]
        found.append(of_units(table, whole, "X08", severity=CRITICAL, score=score, numbers=numbers))
    one = known & (np.abs(size - 1) <= p["digit_near"])
    still = known & (size <= p["digit_others"])
    # Without last year's figures a single one beside a blank proves nothing: the others must be there and fit, and the
    # one must lie outside what peers differ by.
    with np.errstate(divide="ignore", invalid="ignore"):
        one &= table.matched | (size / spread > p["new_spreads"])
    others = np.where(table.matched, 1, p["new_others"])
    slip = (one.sum(axis=0) == 1) & (still.sum(axis=0) == known.sum(axis=0) - 1) & (still.sum(axis=0) >= others)
    slip[whole] = False
    rows = np.flatnonzero(slip)
    if len(rows):
        at = one[:, rows].argmax(axis=0)
        questions = items[at].tolist()
        numbers = [
            _seen(table, row, [item], int(np.sign(away[place, row]))) | {"kind": "digit"}
            for row, place, item in zip(rows.tolist(), at, questions, strict=True)
        ]
        found.append(of_units(table, rows, "X08", question=questions, severity=CRITICAL, score=1.0, numbers=numbers))
    return found


def deviations(table: CheckTable, p: dict) -> tuple[np.ndarray, np.ndarray]:
    """(n_items, n) powers of ten that each money item lies from where it should: last year's figure moved like the
    cluster's, or, for a unit without last year, its peers' figure per person. NaN: nothing to compare with.

    Also what peers differ by (1.4826 · median distance, powers of ten), for units without last year.
    """
    groups = peer_groups(table)
    out = np.full((len(table.rules.money_items), len(table)), np.nan)
    spread = np.full_like(out, np.nan)
    for place, item in enumerate(table.rules.money_items):
        now, before = table.now[item], table.before[item]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.log10(np.where((now > 0) & (before > 0), now / before, np.nan))
            persons = table.now["UB01"] if item == "UE01" else table.persons
            level = np.log10(np.where((now > 0) & (persons > 0), now / persons, np.nan))
        enough = counts(table.cluster_of, table.n_clusters, np.isfinite(change)) >= p["least"]
        common = np.where(enough, quantile(change, table.cluster_of, table.n_clusters), 0.0)
        change = change - spread_back(common, table.cluster_of)
        level, typical = centred(level, groups, p["least_peers"])
        out[place], spread[place] = np.where(table.matched, change, level), 1.4826 * typical
    return out, spread


def _scale_slips(away: np.ndarray, p: dict) -> tuple[np.ndarray, np.ndarray]:
    """For each unit the power of ten that most items slipped by (±3, ±6), and which items did, (n_items, n)."""
    best = np.zeros(away.shape, dtype=bool)
    power = np.zeros(away.shape[1])
    for step in p["unit_powers"]:
        for sign in (1, -1):
            with np.errstate(invalid="ignore"):
                hit = np.abs(away - sign * step) <= p["unit_near"]
            more = hit.sum(axis=0) > best.sum(axis=0)
            best = np.where(more, hit, best)
            power = np.where(more, sign * step, power)
    return power, best


def _seen(table: CheckTable, row: int, items: list[str], power: int) -> dict:
    """The figures as they stand and as they would be with the slip undone."""
    return {
        "items": items,
        "power": power,
        "now": [table.now[item][row] for item in items],
        "before": [table.before[item][row] for item in items] if table.matched[row] else None,
        "corrected": [table.now[item][row] * 10.0**-power for item in items],
    }

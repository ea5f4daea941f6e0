"""Primary suppression: which cells must not be shown for what is in them alone (rules P0–P4), and the delta rule.

The field's names are those of the Handbook on Statistical Disclosure Control (Hundepool and others, 2010): contributor,
cell, frequency rule, p % rule. Which rules hold and why: docs/disclosure.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facts.disclosure.panel import TABLES, Bools, Floats, Ints, Leaders, Panel, leaders


@dataclass(frozen=True)
class Rules:
    """Parameters of the rules. percent : the p of the p % rule, never to be told in public.

    least : contributors of a cell. least_signed : the same where values may be below zero. least_clusters : of a cell
    above cluster level. least_changed : contributors that must differ before a cell of the same round is shown anew.
    """

    percent: float = 15.0
    least: int = 5
    least_signed: int = 10
    least_clusters: int = 3
    least_changed: int = 5

    @property
    def margin(self) -> float:
        """Return p as a share."""
        return self.percent / 100


def concentrated(group: Leaders, margin: float) -> Bools:
    """Return where the p % rule finds a group sensitive: X − x1 − x2 < p · x1. A group of nothing is not."""
    return group.total - group.first - group.second < margin * group.first * (1 - 1e-12)


def primary(panel: Panel, rules: Rules) -> tuple[Bools, Bools]:
    """Return (masked, filled): (cells,) of the newest edition, one mask for all variables (rule P4).

    filled : somebody contributes. A cell without contributors is neither shown nor masked.
    """
    masked, filled = np.zeros(panel.tables.count, dtype=bool), np.zeros(panel.tables.count, dtype=bool)
    for variable in panel.values:
        sensitive, some = _primary(panel, variable, rules)
        masked |= sensitive
        filled |= some
    masked[: panel.tables.clusters] |= ~panel.eligible[-1]
    return masked & filled, filled


def _primary(panel: Panel, variable: str, rules: Rules) -> tuple[Bools, Bools]:
    least = rules.least_signed if variable in panel.signed else rules.least
    values = np.abs(panel.values[variable][:, -1])
    here = (panel.place[:, -1] >= 0) & ~np.isnan(values)
    place, holding, value = panel.place[here, -1], panel.holding[here], values[here]
    cell_of = panel.tables.cells(place, panel.sector[-1], panel.zone[-1])
    cluster = place // panel.sizes
    clusters = panel.tables.clusters
    masked, filled = [], []
    starts = list(panel.tables.starts.values())
    for at, (start, end) in enumerate(zip(starts, starts[1:], strict=False)):
        cell, cells = cell_of[:, at] - start, end - start
        whole = leaders(cell, holding, value, cells)
        sensitive = (whole.count < least) | concentrated(whole, rules.margin)
        if TABLES[at] != "T1":
            pair, inverse = np.unique(cell * clusters + cluster, return_inverse=True)
            sensitive |= np.bincount(pair // clusters, minlength=cells) < rules.least_clusters
            parts = leaders(inverse, holding, value, len(pair))
            without = whole.total[pair // clusters] - parts.total
            ahead = whole.first[pair // clusters] * (1 + rules.margin) + whole.second[pair // clusters]
            doubt = (without < ahead) | (whole.count[pair // clusters] - parts.count < least)
            doubt &= ~sensitive[pair // clusters]
            if doubt.any():  # only where the whole cell's two largest do not settle it already
                units = (cell, cluster, holding, value)
                sensitive |= _without_one(units, pair[doubt], clusters, cells, least, rules.margin)
        masked.append(sensitive)
        filled.append(np.bincount(cell, minlength=cells) > 0)
    return np.concatenate(masked), np.concatenate(filled)


def _without_one(
    units: tuple[Ints, Ints, Ints, Floats], pairs: Ints, clusters: int, cells: int, least: int, margin: float
) -> Bools:
    """Return (cells,) those that break the rules once one of these (cell, cluster) pairs is taken out (rule P3)."""
    cell, cluster, holding, value = units
    found = np.zeros(cells, dtype=bool)
    order = np.argsort(cell, kind="stable")
    cell, cluster, holding, value = cell[order], cluster[order], holding[order], value[order]
    for pair in pairs:
        at, gone = divmod(int(pair), clusters)
        if found[at]:
            continue
        inside = slice(*np.searchsorted(cell, [at, at + 1]))
        rest = cluster[inside] != gone
        left = leaders(np.zeros(int(rest.sum()), dtype=np.int64), holding[inside][rest], value[inside][rest], 1)
        found[at] = bool(left.count[0] < least or concentrated(left, margin)[0])
    return found


def last_shown(earlier: Sequence[Bools], cells: int) -> Ints:
    """Return (cells,) the newest earlier edition in which each cell was given a value; −1 where in none."""
    newest = np.full(cells, -1, dtype=np.int64)
    for edition, shown in enumerate(earlier):
        newest[shown] = edition
    return newest


def unchanged(panel: Panel, before: Ints) -> tuple[Bools, Bools]:
    """Return (same, some) : (cells,) whether a cell holds exactly what it held in edition `before`, and whether any.

    before : (cells,) edition to compare with, −1 for none (then neither same nor changed).
    """
    entered = np.zeros(len(before), dtype=bool)
    for edition in range(panel.editions - 1):
        for _, cell, _ in _changes(panel, edition):
            touched = np.zeros(len(before), dtype=bool)
            touched[cell] = True
            entered |= touched & (before == edition)
    return (before >= 0) & ~entered, before >= 0


def held(panel: Panel, earlier: Sequence[Bools], rules: Rules) -> Bools:
    """Return (cells,) those that keep their old value: what changed since is too few or too one-sided (delta rule E2).

    earlier : of each earlier edition, (cells,) which cells were given a value then.
    """
    before = last_shown(earlier, panel.tables.count)
    keep = np.zeros(panel.tables.count, dtype=bool)
    for edition in range(panel.editions - 1):
        for holding, cell, change in _changes(panel, edition):
            group = leaders(cell, holding, change, panel.tables.count)
            few = (group.count > 0) & ((group.count < rules.least_changed) | concentrated(group, rules.margin))
            keep |= few & (before == edition)
    return keep


def _changes(panel: Panel, edition: int) -> list[tuple[Ints, Ints, Floats]]:
    """Return per variable (holding, cell, |change|) of what entered, left or changed since the edition."""
    out = []
    for values in panel.values.values():
        old, new = panel.place[:, edition], panel.place[:, -1]
        was, now = np.nan_to_num(np.abs(values[:, edition])), np.nan_to_num(np.abs(values[:, -1]))
        moved = (old != new) | (panel.sector[edition] != panel.sector[-1])[old // panel.sizes]
        moved |= (panel.zone[edition] != panel.zone[-1])[old // panel.sizes]
        touched = np.flatnonzero((moved | (values[:, edition] != values[:, -1])) & ((old >= 0) | (new >= 0)))
        cells_old = panel.tables.cells(old[touched], panel.sector[edition], panel.zone[edition])
        cells_new = panel.tables.cells(new[touched], panel.sector[-1], panel.zone[-1])
        holdings, cells, changes = [], [], []
        for at in range(len(TABLES)):
            a, b = cells_old[:, at], cells_new[:, at]
            stayed = a == b
            for cell, change in [
                (np.where(stayed, a, -1), np.abs(now[touched] - was[touched])),
                (np.where(stayed, -1, a), was[touched]),
                (np.where(stayed, -1, b), now[touched]),
            ]:
                inside = (cell >= 0) & (change > 0)
                holdings.append(panel.holding[touched][inside])
                cells.append(cell[inside])
                changes.append(change[inside])
        out.append((np.concatenate(holdings), np.concatenate(cells), np.concatenate(changes)))
    return out

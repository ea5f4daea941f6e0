"""The re-audit: attacks what is about to be published, from scratch, and reads it as an outsider would.

It shares the attacker with the mask maker but none of its state; what is shown is taken from what was printed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facts.disclosure.attack import KINDS, Attack
from facts.disclosure.panel import Bools, Floats, Panel
from facts.disclosure.rules import Rules, held, last_shown, primary, unchanged
from facts.release import BANDS, significant

DIGITS = 3
PRINTED_BANDS = frozenset({f"{low}–{high}" for low, high in BANDS} | {"100+"})


@dataclass(frozen=True)
class Audit:
    """What an audit found. exposed : kind of attacker → holdings told. findings : a sentence each; none means: pass."""

    exposed: dict[str, int]
    findings: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings


@dataclass(frozen=True)
class Printed:
    """One figure as it stands in the bytes to be published.

    table, key : as `Tables.key` names the cell. edition : whose contributors it counts (an older one where it is held).
    value : None where "c" is printed. n : the band beside it, "" for none. statistic : anything but "total" is refused.
    """

    table: str
    key: tuple[int, ...]
    variable: str
    edition: int
    value: float | None
    n: str = ""
    statistic: str = "total"


def as_of(panel: Panel, edition: int) -> Panel:
    """Return the panel as it was known when this edition was the newest."""
    upto = slice(0, edition + 1)
    return replace(
        panel,
        place=panel.place[:, upto],
        values={variable: values[:, upto] for variable, values in panel.values.items()},
        sector=panel.sector[upto],
        zone=panel.zone[upto],
        eligible=panel.eligible[upto],
        index=tuple(row for row in panel.index if row.edition <= edition),
        sectors=panel.tables.sectors,
        zones=panel.tables.zones,
    )


def audit(
    panel: Panel,
    given: Sequence[Bools],
    rules: Rules | None = None,
    *,
    composites: Sequence[str] | frozenset[str] | None = None,
    merge: bool = True,
    kinds: Sequence[str] = KINDS,
) -> Audit:
    """Return what is wrong with showing these cells.

    given : of each edition, (cells,) which were given a value in it. composites : names of the index rows shown, None
    for all. merge : False attacks without the shortcut of merged clusters (slower, the same answer).
    """
    rules = rules or Rules()
    if len(given) != panel.editions:
        raise ValueError(f"{len(given)} editions given, the panel has {panel.editions}: give the cells of each.")
    findings = [finding for edition in range(panel.editions) for finding in _rules(panel, edition, given, rules)]
    told: dict[str, set[int]] = {kind: set() for kind in KINDS}
    nothing = np.zeros(panel.tables.count, dtype=bool)
    for variable in panel.values:
        names = None if composites is None else list(composites)
        attack = Attack(panel, variable, rules, given, nothing, merge=merge, kinds=kinds, index_shown=names)
        for victim in attack.victims:
            if breach := attack.examine(victim):
                told[breach.kind].add(victim.holding)
    exposed = {kind: len(holdings) for kind, holdings in told.items()}
    findings += [f"{n} holdings can be told within p % by {kind}; mask more." for kind, n in exposed.items() if n]
    return Audit(exposed, tuple(findings))


def _rules(panel: Panel, edition: int, given: Sequence[Bools], rules: Rules) -> list[str]:
    """Cells of one edition that its own rules forbid."""
    then, earlier = as_of(panel, edition), given[:edition]
    masked, filled = primary(then, rules)
    same, known = unchanged(then, last_shown(earlier, panel.tables.count))
    too_few = known & ~same & held(then, earlier, rules)
    wrong = [
        ("breaks the primary rules; mask it", given[edition] & masked & ~same),
        ("has no contributors; do not print it", given[edition] & ~filled),
        ("changed by too few contributors; keep its old value", given[edition] & too_few),
    ]
    return [
        f"{panel.tables.key(int(cell))} of edition {edition} {words}."
        for words, cells in wrong
        for cell in np.flatnonzero(cells)
    ]


def audit_printed(panel: Panel, printed: Sequence[Printed], rules: Rules | None = None) -> Audit:
    """Return what is wrong with these printed figures, all editions together: their form, their truth, what they tell.

    The attack runs on what was seen: a cell counts as shown where any variable of it prints a number.
    """
    findings = []
    tables = panel.tables
    number = {tables.key(cell): cell for cell in range(tables.count)}
    given = [np.zeros(tables.count, dtype=bool) for _ in range(panel.editions)]
    totals = _totals(panel)
    seen: dict[tuple[int, int], dict[bool, str]] = {}
    for figure in printed:
        name = f"{figure.table} {figure.key} {figure.variable} of edition {figure.edition}"
        cell = number.get((figure.table, figure.key))
        if cell is None or figure.variable not in panel.values or figure.statistic != "total":
            findings.append(f"{name}: a {figure.statistic} of this is not in the closed list; do not print it.")
            continue
        seen.setdefault((figure.edition, cell), {})[figure.value is None] = figure.variable
        if figure.value is None:
            if figure.n:
                findings.append(f"{name}: its number of firms is printed beside a masked value; mask both.")
            continue
        given[figure.edition][cell] = True
        if figure.n and figure.n not in PRINTED_BANDS:
            findings.append(f"{name}: {figure.n} firms is no band; print the band.")
        if significant(figure.value, DIGITS) != figure.value:
            findings.append(f"{name}: {figure.value!r} has more than {DIGITS} significant digits; round it.")
        elif significant(float(totals[figure.variable][figure.edition][cell]), DIGITS) != figure.value:
            findings.append(f"{name}: {figure.value!r} is not the total of its contributors; recompute it.")
    findings += [
        f"{tables.key(cell)} of edition {edition}: {by[False]} shown, {by[True]} masked; mask all variables of a cell."
        for (edition, cell), by in seen.items()
        if len(by) == 2
    ]
    found = audit(panel, given, rules)
    return Audit(found.exposed, (*findings, *found.findings))


def print_cells(panel: Panel, given: Sequence[Bools]) -> list[Printed]:
    """Return the figures of all editions as they are printed: one renderer, three significant digits, a band for n."""
    totals = _totals(panel)
    out = []
    for edition, cells in enumerate(given):
        for variable, of_edition in totals.items():
            for cell in range(panel.tables.count):
                table, key = panel.tables.key(cell)
                value = significant(float(of_edition[edition][cell]), DIGITS) if cells[cell] else None
                out.append(Printed(table, key, variable, edition, value))
    return out


def _totals(panel: Panel) -> dict[str, list[Floats]]:
    """Variable → per edition (cells,) totals."""
    out: dict[str, list[Floats]] = {variable: [] for variable in panel.values}
    for edition in range(panel.editions):
        cells = panel.tables.cells(panel.place[:, edition], panel.sector[edition], panel.zone[edition])
        for variable, values in panel.values.items():
            figure = np.nan_to_num(values[:, edition])
            total = np.zeros(panel.tables.count + 1)
            for at in range(cells.shape[1]):
                np.add.at(total, cells[:, at], np.where(cells[:, at] < 0, 0.0, figure))
            out[variable].append(total[:-1])
    return out

"""The mask maker: it attacks, takes away the cheapest cell that holds a victim's figure, and attacks again.

Taking a cell away only widens what an attacker must think possible, so whoever was safe stays safe: one pass over the
victims ends it. Restoration then tries the cells that fell once more, dearest first, against all attackers.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from facts.disclosure.attack import KINDS, Attack, Breach, Victim
from facts.disclosure.audit import audit
from facts.disclosure.panel import TABLES, Bools, Panel
from facts.disclosure.rules import Rules, held, last_shown, primary, unchanged

EMPTY, SHOWN, PRIMARY, SECONDARY, HELD = range(5)
STATES = ("empty", "shown", "primary", "secondary", "held")


@dataclass(frozen=True)
class Limits:
    """Where restoration stops. programmes : linear programmes solved, the same on every machine; None for no limit.

    seconds : of the clock; None for no limit. A restoration that the clock stopped may end elsewhere on another one.
    """

    programmes: int | None = None
    seconds: float | None = 120.0


@dataclass
class Report:
    """What an edition's masks cost and what they are worth. For the analyst and the auditor, never public."""

    cells: dict[str, dict[str, int]] = field(default_factory=dict)  # table → state → cells
    exposed_before: dict[str, int] = field(default_factory=dict)  # weakest kind of attacker that could → holdings
    exposed_after: dict[str, int] = field(default_factory=dict)
    clusters_passing: int = 0  # clusters with a filled cell that the primary rules pass
    clusters_shown: int = 0  # of them, with a value of this or an earlier edition
    victims: dict[str, int] = field(default_factory=dict)  # variable → questions asked
    unknowns: dict[str, int] = field(default_factory=dict)  # variable → atoms after merging
    programmes: int = 0
    restored: int = 0
    restoration_complete: bool = True
    composites_hidden: tuple[str, ...] = ()
    beyond_repair: tuple[str, ...] = ()  # told already by earlier editions, or by rows that cannot be dropped
    seconds: dict[str, float] = field(default_factory=dict)  # stage → seconds

    @property
    def share_shown(self) -> float:
        """Return the share of passing clusters that are shown; 1 where none passes."""
        return self.clusters_shown / self.clusters_passing if self.clusters_passing else 1.0

    def as_dict(self) -> dict[str, object]:
        """Return plain values, ready for JSON."""
        return {**self.__dict__, "share_shown": self.share_shown}


@dataclass(frozen=True)
class Masks:
    """The state of every cell of the newest edition. state : (cells,) of EMPTY, SHOWN, PRIMARY, SECONDARY, HELD.

    given : (cells,) cells given a value in this edition, to be handed back as part of `earlier` next time.
    composites : names of the index rows of this edition that stay shown.
    """

    state: npt.NDArray[np.int8]
    given: Bools
    composites: frozenset[str]
    report: Report


def exposed(attacks: Sequence[Attack]) -> dict[str, int]:
    """Return kind of attacker → holdings that it can tell, over all variables."""
    found: dict[str, set[int]] = {kind: set() for kind in KINDS}
    for attack in attacks:
        for breach in breaches(attack):
            found[breach.kind].add(breach.victim.holding)
    return {kind: len(holdings) for kind, holdings in found.items()}


def breaches(attack: Attack) -> list[Breach]:
    """Return the first breach of every victim of one variable; none means: proved."""
    return [breach for victim in attack.victims if (breach := attack.examine(victim))]


def make_masks(
    panel: Panel,
    rules: Rules | None = None,
    *,
    earlier: Sequence[Bools] = (),
    start: Bools | None = None,
    limits: Limits | None = None,
    count_before: bool = True,
    audit_after: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> Masks:
    """Return which cells of the newest edition may be shown, so that no attacker tells a holding within p %.

    earlier : of each earlier edition of the round, (cells,) which were given a value in it; they stay known for ever.
    start : (cells,) cells to begin without, such as the masks of last year's round; they may come back at the end.
    count_before : count also who is exposed by the primary rules alone (costs about as much as the masks).
    audit_after : attack the finished masks from scratch; without it `exposed_after` stays empty.
    Raises ValueError where `earlier` is not one row per earlier edition.
    """
    rules, limits = rules or Rules(), limits or Limits()
    if len(earlier) != panel.editions - 1:
        raise ValueError(f"{len(earlier)} earlier editions given, not {panel.editions - 1}: give the cells of each.")
    report, began = Report(), clock()
    state, given, fresh = _first_state(panel, rules, earlier)
    report.seconds["primary"] = clock() - began
    began = clock()
    attacks = [Attack(panel, variable, rules, [*earlier, given], fresh) for variable in panel.values]
    report.seconds["programmes"] = clock() - began
    if count_before:
        began = clock()
        report.exposed_before = exposed(attacks)
        report.seconds["before"] = clock() - began
    began = clock()
    dropped: list[int] = []
    hidden: set[str] = set()
    if start is not None:
        for cell in np.flatnonzero(start & given & fresh):
            _take(attacks, int(cell), dropped)
    beyond: list[str] = []
    for attack in attacks:
        for victim in attack.victims:
            _mend(attacks, attack, victim, dropped, hidden, beyond)
    report.seconds["masks"] = clock() - began
    began = clock()
    fallen = len(dropped)
    report.restoration_complete = not beyond and _restore(attacks, dropped, limits, clock)
    report.restored = fallen - len(dropped)
    report.seconds["restoration"] = clock() - began
    given = given.copy()
    given[dropped] = False
    known = last_shown(earlier, panel.tables.count) >= 0
    state[dropped] = np.where(known[dropped], HELD, SECONDARY)
    newest = frozenset(row.name for row in panel.index if row.edition == panel.editions - 1) - hidden
    report.composites_hidden, report.beyond_repair = tuple(sorted(hidden)), tuple(beyond)
    if audit_after:
        began = clock()
        report.exposed_after = audit(panel, [*earlier, given], rules, composites=_composites(panel, hidden)).exposed
        report.seconds["audit"] = clock() - began
    _count(report, panel, state, attacks)
    return Masks(state, given, newest, report)


def _first_state(panel: Panel, rules: Rules, earlier: Sequence[Bools]) -> tuple[npt.NDArray[np.int8], Bools, Bools]:
    """(state, given, fresh): by the primary and delta rules alone; fresh cells tell more than earlier editions did."""
    masked, filled = primary(panel, rules)
    state = np.where(filled, np.where(masked, PRIMARY, SHOWN), EMPTY).astype(np.int8)
    before = last_shown(earlier, panel.tables.count)
    same, known = unchanged(panel, before)
    # What is out cannot be taken back: the old value stays where the new one may not be shown.
    state[known & (held(panel, earlier, rules) | masked)] = HELD
    state[same] = SHOWN
    given = state == SHOWN
    return state, given, given & ~same


def _take(attacks: Sequence[Attack], cell: int, dropped: list[int]) -> None:
    for attack in attacks:
        if (row := attack.row_of(cell)) >= 0:
            attack.drop(row)
    dropped.append(cell)


def _mend(
    attacks: Sequence[Attack],
    attack: Attack,
    victim: Victim,
    dropped: list[int],
    hidden: set[str],
    beyond: list[str],
) -> None:
    """Drop cells until nobody can tell this victim."""
    while breach := attack.examine(victim):
        enough, rows = attack.way_out(breach)
        if not enough or not len(rows):
            beyond.append(f"{attack.variable}: a holding can be told by {breach.kind} from what cannot be taken back.")
            return
        for row in rows:
            attack.drop(row)
        for row in sorted(rows, key=lambda row: (-attack.rows[row].weight, -attack.row_size[row], row)):
            attack.show(row)  # does it help at all? If not, it stays shown
            if len(rows) == 1 or attack.still(breach):
                attack.drop(row)
                if attack.rows[row].cell < 0:
                    hidden.add(attack.rows[row].name)
                else:
                    _take([other for other in attacks if other is not attack], attack.rows[row].cell, dropped)


def _composites(panel: Panel, hidden: set[str]) -> list[str]:
    """Names of index rows shown: all of earlier editions, and the newest's that did not fall."""
    return [row.name for row in panel.index if row.edition < panel.editions - 1 or row.name not in hidden]


def _restore(attacks: Sequence[Attack], dropped: list[int], limits: Limits, clock: Callable[[], float]) -> bool:
    """Show each fallen cell again, dearest first, where every attacker still fails. Returns whether all were tried."""
    began, solved = clock(), sum(attack.programme.solves for attack in attacks)
    victims = [_by_first_unknown(attack) for attack in attacks]
    rows = {cell: [attack.row_of(cell) for attack in attacks] for cell in dropped}

    weights = attacks[0].panel.tables.weights()

    def worth(cell: int) -> tuple[float, float, int]:
        size = sum(attack.row_size[row] for attack, row in zip(attacks, rows[cell], strict=True) if row >= 0)
        return -float(weights[cell]), -float(size), cell

    for cell in sorted(dropped, key=worth):
        spent = sum(attack.programme.solves for attack in attacks) - solved
        if limits.seconds is not None and clock() - began >= limits.seconds:
            return False
        if limits.programmes is not None and spent >= limits.programmes:
            return False
        old = [dict(attack.pools) for attack in attacks]
        safe = True
        for attack, row, asked in zip(attacks, rows[cell], victims, strict=True):
            if row < 0 or not safe:
                continue
            for key in attack.show(row):
                attack.pools[key] = list(attack.pools[key])  # the old lists are what to go back to
                safe = safe and all(attack.examine(victim) is None for victim in asked[key])
                if not safe:
                    break
        if safe:
            dropped.remove(cell)
            continue
        for attack, row, pools in zip(attacks, rows[cell], old, strict=True):
            if row >= 0:
                attack.drop(row)
                attack.pools = pools
    return True


def _by_first_unknown(attack: Attack) -> dict[int, list[Victim]]:
    found: dict[int, list[Victim]] = {}
    for victim in attack.victims:
        found.setdefault(int(victim.aim[0]), []).append(victim)
    return found


def _count(report: Report, panel: Panel, state: npt.NDArray[np.int8], attacks: Sequence[Attack]) -> None:
    table = panel.tables.table_of()
    for at, name in enumerate(TABLES):
        counts = np.bincount(state[table == at], minlength=len(STATES))
        report.cells[name] = {STATES[s]: int(counts[s]) for s in (SHOWN, PRIMARY, SECONDARY, HELD)}
        report.cells[name]["cells"] = int(counts[1:].sum())
    first = report.cells["T1"]
    report.clusters_passing = first["shown"] + first["secondary"] + first["held"]
    report.clusters_shown = first["shown"] + first["held"]
    report.victims = {attack.variable: len(attack.victims) for attack in attacks}
    report.unknowns = {attack.variable: attack.count for attack in attacks}
    report.programmes = sum(attack.programme.solves for attack in attacks)

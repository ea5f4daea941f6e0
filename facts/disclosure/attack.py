"""The attacker: from what is shown and what it knows itself, how closely can it tell a firm's figure?

The unknowns are the totals of atoms, moved away from the truth; the truth itself always fits what is shown, so a firm
is safe from the start where its own atom obeys the p % rule. Every move that has been found is kept as a *witness*: it
fits the shown cells, and proves for all attackers whose own figures it respects that they cannot tell. It stays a proof
when cells are taken away, and when a cell is added that it does not touch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facts.disclosure.panel import Bools, Floats, Ints, Panel, atoms, sums
from facts.disclosure.rules import Rules
from facts.disclosure.solver import Programme

KINDS = ("nobody", "firm", "holding", "association")
NEAR = 1e-6  # of the victim's figure: what the arithmetic of the programme cannot tell apart
NOBODY = -1


@dataclass(frozen=True)
class Victim:
    """What an attacker is after: a holding's part in one unknown, or its total over several (`aim`, `parts`).

    sign : +1 the figure is told from above, −1 (a lone contributor) from below. only : the one attacker to whom the
    question applies (the second of an atom of two, from below), else None.
    """

    holding: int
    aim: Ints
    parts: Floats
    sign: int = 1
    only: int | None = None


@dataclass(frozen=True)
class Breach:
    """A victim that an attacker can tell within p %. kind : of KINDS. attacker : holding or cluster, −1 for nobody."""

    victim: Victim
    kind: str
    attacker: int
    variable: str
    knower: int


@dataclass(frozen=True)
class Row:
    """A shown figure as the programme sees it. cell : of `edition`, −1 for an index row, called by `name`."""

    edition: int
    cell: int
    weight: float
    droppable: bool
    name: str = ""


class Attack:
    """All attackers of one variable against the cells shown in all editions of a round."""

    def __init__(
        self,
        panel: Panel,
        variable: str,
        rules: Rules,
        shown: Sequence[Bools],
        droppable: Bools,
        *,
        merge: bool = True,
        kinds: Sequence[str] = KINDS,
        index_shown: Sequence[str] | None = None,
    ) -> None:
        """shown : of each edition, (cells,) which are given a value in it. droppable : (cells,) of the newest.

        merge : let clusters without sensitive atoms count as one where that is exact (see `_merge`). index_shown :
        names of the composites shown, None for all.
        """
        self.panel, self.variable, self.rules, self.kinds = panel, variable, rules, tuple(kinds)
        self.signed = variable in panel.signed
        self.index = [
            row for row in panel.index if row.variable == variable and (index_shown is None or row.name in index_shown)
        ]
        self.atoms = atoms(panel, variable)
        self._look_at_atoms()
        aims = self._aims()
        kept = np.unique(np.concatenate([[], *(aim for _, aim in aims)])).astype(np.int64)
        alias = self._merge(kept, shown) if merge else np.arange(panel.tables.clusters)
        self._unknowns(alias)
        self._rows(shown, droppable, alias)
        self._knowers()
        self.victims = list(self._victims(aims))
        self.pools: dict[int, list[tuple[Ints, Floats]]] = {}

    # What there is ------------------------------------------------------------------------------------------------

    def _look_at_atoms(self) -> None:
        a = self.atoms
        self.start = np.searchsorted(a.part_atom, np.arange(a.count + 1))
        value = np.append(a.part_value, [0.0, 0.0])
        self.holders = np.diff(self.start)
        self.total = sums(a.part_atom, a.part_value, a.count)
        self.givers = np.bincount(a.part_atom[a.part_value > 0], minlength=a.count)
        first = value[self.start[:-1]]
        second = np.where(self.holders > 1, value[np.minimum(self.start[:-1] + 1, len(a.part_value))], 0.0)
        self.sensitive = (first > 0) & (self.total - first - second < self.rules.margin * first * (1 - 1e-12))

    def _aims(self) -> list[tuple[int, Ints]]:
        """(holding, atoms) of every holding's total that a sensitive atom is part of, in each edition; and of atoms."""
        a = self.atoms
        found = [(-1, np.flatnonzero(self.sensitive))]
        real = a.part_value > 0
        touched = np.unique(a.part_holding[real & self.sensitive[a.part_atom]])
        rows = np.flatnonzero(real & np.isin(a.part_holding, touched))
        rows = rows[np.argsort(a.part_holding[rows], kind="stable")]
        for group in np.split(rows, np.flatnonzero(np.diff(a.part_holding[rows])) + 1):
            if len(group) < 2:
                continue
            seen = set()
            for edition in range(self.panel.editions):
                here = a.part_atom[group][a.path[a.part_atom[group], edition] >= 0]
                if len(here) > 1 and tuple(here) not in seen:
                    seen.add(tuple(here))
                    found.append((int(a.part_holding[group[0]]), here))
        return found

    def _merge(self, kept: Ints, shown: Sequence[Bools]) -> Ints:
        """Return (clusters,) the cluster under whose name each one counts.

        Exact: clusters of one sector and zone, shown or not shown alike, with the same firms in every edition, and with
        nobody in them whom an attacker is after: a move of their sum splits among them in proportion to their totals.
        """
        panel, path = self.panel, self.atoms.path
        steady = (path == path[:, :1]).all(axis=1)
        apart = np.zeros(panel.tables.clusters, dtype=bool)
        for edition in range(panel.editions):
            for which in (kept, np.flatnonzero(~steady)):
                place = path[which, edition]
                apart[place[place >= 0] // panel.sizes] = True
        for row in self.index:
            apart[row.cells[row.cells < panel.tables.clusters]] = True
        own = np.where(apart, np.arange(panel.tables.clusters), -1)
        ones = np.stack([cells[: panel.tables.clusters] for cells in shown])
        key = np.concatenate([own[None], panel.sector, panel.zone, ones.astype(np.int64)])
        _, first, inverse = np.unique(key, axis=1, return_index=True, return_inverse=True)
        return first[inverse.reshape(-1)]

    def _unknowns(self, alias: Ints) -> None:
        path, sizes = self.atoms.path, self.panel.sizes
        named = np.where(path < 0, -1, alias[path // sizes] * sizes + path % sizes)
        self.paths, inverse = np.unique(named, axis=0, return_inverse=True)
        self.unknown_of = inverse.reshape(-1)
        self.count = len(self.paths)
        self.size = sums(self.unknown_of, self.total, self.count)
        self.inside = np.bincount(self.unknown_of, minlength=self.count)

    def _rows(self, shown: Sequence[Bools], droppable: Bools, alias: Ints) -> None:
        panel, weights = self.panel, self.panel.tables.weights()
        together = np.bincount(alias, minlength=panel.tables.clusters) > 1
        self.rows: list[Row] = []
        entries: list[tuple[Ints, Ints, Floats]] = []
        low: list[float] = []
        cells_of = [panel.tables.cells(self.paths[:, e], panel.sector[e], panel.zone[e]) for e in range(panel.editions)]
        for edition, cells in enumerate(shown):
            number = np.full(panel.tables.count + 1, -1, dtype=np.int64)
            wanted = np.flatnonzero(cells & np.isin(np.arange(len(cells)), cells_of[edition]))
            number[wanted] = len(self.rows) + np.arange(len(wanted))
            for cell in wanted:
                many = cell < panel.tables.clusters and together[cell]
                free = edition == panel.editions - 1 and bool(droppable[cell]) and not many
                self.rows.append(Row(edition, int(cell), float(weights[cell]), free))
            row = number[cells_of[edition]]
            unknown = np.broadcast_to(np.arange(self.count)[:, None], row.shape)
            entries.append((row[row >= 0], unknown[row >= 0], np.ones(int((row >= 0).sum()))))
        low += [0.0] * len(self.rows)
        high = list(low)
        for composite in self.index:
            factor = np.zeros(panel.tables.count + 1)
            np.add.at(factor, composite.cells, composite.coefficients)
            factor[-1] = 0.0
            coefficient = factor[cells_of[composite.edition]].sum(axis=1)
            some = np.flatnonzero(coefficient)
            scale = np.abs(coefficient).max(initial=0.0) or 1.0
            entries.append((np.full(len(some), len(self.rows)), some, coefficient[some] / scale))
            newest = composite.edition == panel.editions - 1
            self.rows.append(Row(composite.edition, -1, composite.weight, newest, composite.name))
            low.append(-composite.below / scale)
            high.append(composite.above / scale)
        self._droppable = {row.cell: at for at, row in enumerate(self.rows) if row.droppable and row.cell >= 0}
        row, column, coefficient = (np.concatenate(part) for part in zip(*entries, strict=True))
        self.row_size = sums(row, np.abs(coefficient) * self.size[column], len(self.rows))
        order = np.argsort(row, kind="stable")
        self.members = np.split(column[order], np.searchsorted(row[order], np.arange(1, len(self.rows))))
        self.factors = np.split(coefficient[order], np.searchsorted(row[order], np.arange(1, len(self.rows))))
        self.programme = Programme(row, column, coefficient, np.array(low), np.array(high), self.count)

    def _knowers(self) -> None:
        """What each attacker knows: (unknown, own part of it, whether it is all its own), holdings then associations.

        In a merged unknown a holding is given all of its cluster's atom: more than it knows, so that the merge stays
        exact. Holdings that are in one merged cluster only are left out there: its association knows more.
        """
        a, sizes = self.atoms, self.panel.sizes
        unknown = self.unknown_of[a.part_atom]
        alone = self.inside[unknown] == 1
        several = np.bincount(a.part_holding, minlength=int(a.part_holding.max(initial=0)) + 1)[a.part_holding] > 1
        keep = alone | several
        self.offset = int(a.part_holding.max(initial=-1)) + 1
        who, what = [a.part_holding[keep]], [unknown[keep]]
        own = [np.where(alone, a.part_value, self.total[a.part_atom])[keep]]
        whole = [(alone & (self.holders[a.part_atom] == 1))[keep]]
        cluster = np.where(a.path < 0, -1, a.path // sizes)
        pair = np.unique(
            np.concatenate([np.stack([cluster[:, e], np.arange(a.count)], axis=1) for e in range(self.panel.editions)]),
            axis=0,
        )
        pair = pair[pair[:, 0] >= 0]
        both, inverse = np.unique(pair[:, 0] * self.count + self.unknown_of[pair[:, 1]], return_inverse=True)
        who.append(both // self.count + self.offset)
        what.append(both % self.count)
        own.append(sums(inverse, self.total[pair[:, 1]], len(both)))
        whole.append(np.bincount(inverse, minlength=len(both)) == self.inside[both % self.count])
        self.knower, self.knows = np.concatenate(who), np.concatenate(what)
        self.own, self.whole = np.concatenate(own), np.concatenate(whole)
        kinds = np.where(
            self.knower >= self.offset, 3, np.where(np.concatenate([several[keep], np.ones(len(both), bool)]), 2, 1)
        )
        allowed = np.isin(kinds, [KINDS.index(kind) for kind in self.kinds])
        self.knower, self.knows, self.own, self.whole, kinds = (
            array[allowed] for array in (self.knower, self.knows, self.own, self.whole, kinds)
        )
        self.kind_of = dict(zip(self.knower.tolist(), kinds.tolist(), strict=True))
        self.by_knower = np.argsort(self.knower, kind="stable")
        self.knower_start = np.searchsorted(
            self.knower[self.by_knower], np.arange(self.offset + self.panel.tables.clusters + 1)
        )
        self.by_unknown = np.lexsort((-self.own, self.knows))
        self.unknown_start = np.searchsorted(self.knows[self.by_unknown], np.arange(self.count + 1))
        self.largest = np.zeros(self.count)
        firms = self.knower < self.offset
        np.maximum.at(self.largest, self.knows[firms], self.own[firms])

    def _victims(self, aims: list[tuple[int, Ints]]) -> Iterator[Victim]:
        a = self.atoms
        for atom in aims[0][1]:
            start = self.start[atom]
            givers = int(self.givers[atom])
            aim = self.unknown_of[[atom]]
            two = [(int(a.part_holding[at]), a.part_value[[at]]) for at in range(start, start + min(givers, 2))]
            for holding, part in two:
                yield Victim(holding, aim, part)
            if givers == 1:
                yield Victim(*(two[0][0], aim, two[0][1]), sign=-1)
            if givers == 2:
                yield Victim(two[0][0], aim, two[0][1], sign=-1, only=two[1][0])
                yield Victim(two[1][0], aim, two[1][1], sign=-1, only=two[0][0])
        for holding, group in aims[1:]:
            mine = [np.flatnonzero(a.part_holding[self.start[x] : self.start[x + 1]] == holding)[0] for x in group]
            yield Victim(holding, self.unknown_of[group], a.part_value[self.start[group] + np.array(mine)])

    # What an attacker can tell ------------------------------------------------------------------------------------

    def _view(self, knower: int) -> tuple[Ints, Floats, Bools]:
        """What the knower knows: (unknowns, own parts, all its own)."""
        if knower == NOBODY:
            return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=bool)
        at = self.by_knower[self.knower_start[knower] : self.knower_start[knower + 1]]
        return self.knows[at], self.own[at], self.whole[at]

    def _need(self, victim: Victim, knower: int) -> tuple[Ints, float] | None:
        """(unknowns that must move together, how far), or None where the question does not arise."""
        if knower == victim.holding or (victim.only is not None and knower != victim.only):
            return None
        unknowns, own, whole = self._view(knower)
        if victim.sign < 0:
            known = np.isin(victim.aim, unknowns[whole])
            return None if known.any() else (victim.aim, self.rules.margin * float(victim.parts.sum()))
        left = ~np.isin(victim.aim, unknowns[whole])
        if not left.any():
            return None
        aim = victim.aim[left]
        mine = float(own[np.isin(unknowns, aim)].sum())
        return aim, (1 + self.rules.margin) * float(victim.parts[left].sum()) + mine - float(self.size[aim].sum())

    def _holds(self, victim: Victim, knower: int, z: Floats) -> bool:
        """Whether the move z proves that the knower cannot tell the victim."""
        asked = self._need(victim, knower)
        if asked is None:
            return True
        unit = float(victim.parts.sum())
        aim, need = asked
        if victim.sign * float(z[aim].sum()) < need - NEAR * unit:
            return False
        unknowns, own, whole = self._view(knower)
        if (np.abs(z[unknowns[whole]]) > NEAR * unit).any():
            return False
        return self.signed or not (z[unknowns] < own - self.size[unknowns] - NEAR * unit).any()

    def _solve(self, victim: Victim, knower: int) -> tuple[bool, Floats]:
        """(whether the knower stays in the dark, the move that proves it)."""
        aim, need, down, fixed = self._question(victim, knower)
        unit = float(victim.parts.sum())
        far, z = self._reach(aim, victim.sign, need, down, fixed, unit)
        return far >= need - NEAR * unit, z

    def _question(self, victim: Victim, knower: int) -> tuple[Ints, float, Floats, Ints]:
        asked = self._need(victim, knower)
        assert asked is not None
        unknowns, own, whole = self._view(knower)
        down = self.size.copy()
        down[unknowns] -= own
        return *asked, down, unknowns[whole]

    def _reach(self, aim: Ints, sign: int, need: float, down: Floats, fixed: Ints, unit: float) -> tuple[float, Floats]:
        down = self._floor(down)
        return self.programme.reach(aim, sign, need, down, fixed, unit)

    def _floor(self, down: Floats) -> Floats:
        return np.full(self.count, np.inf) if self.signed else np.maximum(down, 0.0)

    def _doubtful(self, victim: Victim, z: Floats, slack: float) -> list[int]:
        """Attackers for whom z may be no proof; for all others it is one if it is for nobody."""
        unit = float(victim.parts.sum())
        found: list[Ints] = []
        in_aim = set(victim.aim.tolist())
        for unknown in set(np.flatnonzero(np.abs(z) > NEAR * unit * 0.1).tolist()) | in_aim:
            at = self.by_unknown[self.unknown_start[unknown] : self.unknown_start[unknown + 1]]
            found.append(self.knower[at[self.whole[at]]])
            least = self.size[unknown] + z[unknown] if z[unknown] < 0 and not self.signed else np.inf
            if unknown in in_aim and victim.sign > 0:
                least = min(least, slack / len(victim.aim) - NEAR * unit)
            found.append(self.knower[at[: np.searchsorted(-self.own[at], -least, side="left")]])
        return np.unique(np.concatenate(found)).tolist() if found else []  # holdings before associations

    def _pool(self, victim: Victim) -> Iterator[Floats]:
        for where, move in self.pools.get(int(victim.aim[0]), []):
            z = np.zeros(self.count)
            z[where] = move
            yield z

    def _keep(self, victim: Victim, z: Floats) -> None:
        where = np.flatnonzero(z)
        self.pools.setdefault(int(victim.aim[0]), []).append((where, z[where]))

    def examine(self, victim: Victim) -> Breach | None:
        """Return the first attacker that can tell the victim, weakest first, or None: proved for all of them."""
        if victim.only is not None:
            others = [victim.only] if victim.only in self.kind_of else []
            return self._try(victim, others, list(self._pool(victim)))
        asked = self._need(victim, NOBODY)
        assert asked is not None
        aim, need = asked
        unit = float(victim.parts.sum())
        pool = [np.zeros(self.count), *self._pool(victim)]
        base = next((z for z in pool if self._holds(victim, NOBODY, z)), None)
        worst = need + (float(self.largest[aim].sum()) if victim.sign > 0 else 0.0)
        if base is None:
            # One question for all firms at once: nothing falls below the largest contributor's own figure.
            far, base = self._reach(
                aim, victim.sign, worst, self.size - self.largest, np.zeros(0, dtype=np.int64), unit
            )
            if far < need - NEAR * unit:
                safe, base = self._solve(victim, NOBODY)
                if not safe:
                    return Breach(victim, "nobody", -1, self.variable, NOBODY)
            self._keep(victim, base)
            pool.append(base)
        slack = victim.sign * float(base[aim].sum()) - need
        others = [w for w in self._doubtful(victim, base, slack) if not any(self._holds(victim, w, z) for z in pool)]
        leagues = [w for w in others if w >= self.offset and self._need(victim, w) is not None]
        if len(leagues) > 1:
            # One question for several associations: none of what they know moves.
            shut = np.concatenate([unknowns[whole] for unknowns, _, whole in map(self._view, leagues)])
            shut = np.setdiff1d(shut, aim)
            far, z = self._reach(aim, victim.sign, worst, self.size - self.largest, shut, unit)
            if far >= need - NEAR * unit:
                self._keep(victim, z)
                pool.append(z)
        return self._try(victim, others, pool)

    def _try(self, victim: Victim, others: Sequence[int], pool: list[Floats]) -> Breach | None:
        for knower in others:
            if any(self._holds(victim, knower, z) for z in pool):
                continue
            safe, z = self._solve(victim, knower)
            if not safe:
                at = knower - self.offset if knower >= self.offset else knower
                return Breach(victim, KINDS[self.kind_of[knower]], at, self.variable, knower)
            self._keep(victim, z)
            pool.append(z)
        return None

    def still(self, breach: Breach) -> bool:
        """Whether this attacker can still tell this victim."""
        return not self._solve(breach.victim, breach.knower)[0]

    def way_out(self, breach: Breach) -> tuple[bool, Ints]:
        """Return (whether a way out exists, rows to drop for it): light ones, of those that can be dropped."""
        aim, need, down, fixed = self._question(breach.victim, breach.knower)
        weight = np.array([row.weight if row.droppable else 0.0 for row in self.rows])
        unit = float(breach.victim.parts.sum())
        return self.programme.give_up(aim, breach.victim.sign, need, self._floor(down), fixed, unit, weight)

    # What is shown --------------------------------------------------------------------------------------------------

    def row_of(self, cell: int) -> int:
        """Return the row of a cell of the newest edition, −1 where it has none that can be dropped.

        A merged cluster has none: that its cell counts as shown though it is masked errs on the attacker's side.
        """
        return self._droppable.get(cell, -1)

    def drop(self, row: int) -> None:
        """Take a row away. All proofs stay proofs."""
        self.programme.set_row(row, False)

    def show(self, row: int) -> list[int]:
        """Show a row again; return the first unknowns of the victims some of whose witnesses it makes void."""
        self.programme.set_row(row, True)
        touched = []
        low, high = self.programme.low[row], self.programme.high[row]
        factor = np.zeros(self.count)
        factor[self.members[row]] = self.factors[row]
        for key, pool in self.pools.items():
            left = []
            for where, z in pool:
                moved = float(factor[where] @ z)
                near = NEAR * 0.1 * float(np.abs(z).max(initial=0.0))
                if low - near <= moved <= high + near:
                    left.append((where, z))
            if len(left) < len(pool):
                self.pools[key] = left
                touched.append(key)
        return touched


def describe(panel: Panel, row: Row) -> str:
    """Return a row in words: table, key and edition, or the composite's name."""
    if row.cell < 0:
        return f"index {row.name}"
    table, key = panel.tables.key(row.cell)
    return f"{table} {key} of edition {row.edition}"

"""An attacker that shares nothing with the library: one variable for each figure of each unit, scipy, plain loops.

It knows which unit is where in each edition and its own figures exactly; it asks how large, and how small, another
holding's figure in one place can be.
"""

import numpy as np
from scipy.optimize import linprog


def classes(panel, edition, unit):
    """Names of the cells that a unit counts in."""
    place = panel.place[unit, edition]
    if place < 0:
        return []
    cluster, size = divmod(int(place), panel.sizes)
    s, z = int(panel.sector[edition, cluster]), int(panel.zone[edition, cluster])
    return [
        ("T1", (cluster,)),
        ("T2", (s, z)),
        ("T3 sector", (s, size)),
        ("T3 zone", (z, size)),
        ("T4 sector", (s,)),
        ("T4 zone", (z,)),
        ("T4 size", (size,)),
        ("T4 total", ()),
    ]


class Outsider:
    def __init__(self, panel, variable, given):
        """given : per edition, cells that show a value."""
        self.panel = panel
        values = panel.values[variable]
        known = {}  # (unit, figure) → editions
        for unit in range(len(panel.holding)):
            for edition in range(panel.editions):
                figure = values[unit, edition]
                if panel.place[unit, edition] >= 0 and not np.isnan(figure):
                    known.setdefault((unit, float(figure)), []).append(edition)
        self.figures = list(known)
        self.truth = np.array([figure for _, figure in self.figures])
        self.owner = [int(panel.holding[unit]) for unit, _ in self.figures]
        self.path = [
            tuple(int(panel.place[unit, e]) if e in known[unit, figure] else -1 for e in range(panel.editions))
            for unit, figure in self.figures
        ]
        rows = {}
        for at, (unit, figure) in enumerate(self.figures):
            for edition in known[unit, figure]:
                for cell in classes(panel, edition, unit):
                    rows.setdefault((edition, *cell), []).append(at)
        shown = [
            members
            for (edition, table, key), members in sorted(rows.items())
            if given[edition][self.number(table, key)]
        ]
        self.matrix = np.zeros((len(shown), len(self.figures)))
        for at, members in enumerate(shown):
            self.matrix[at, members] = 1.0

    def number(self, table, key):
        return next(cell for cell in range(self.panel.tables.count) if self.panel.tables.key(cell) == (table, key))

    def attackers(self):
        clusters = sorted({place // self.panel.sizes for path in self.path for place in path if place >= 0})
        return [("nobody", -1), *(("holding", h) for h in sorted(set(self.owner)))] + [
            ("association", c) for c in clusters
        ]

    def known_to(self, attacker):
        kind, who = attacker
        if kind == "holding":
            return [at for at, owner in enumerate(self.owner) if owner == who]
        if kind == "association":
            return [
                at
                for at, path in enumerate(self.path)
                if who in {place // self.panel.sizes for place in path if place >= 0}
            ]
        return []

    def victims(self):
        """Lists of figures: each holding's in each place, and its total in each edition."""
        found = {}
        for at, (owner, path) in enumerate(zip(self.owner, self.path, strict=True)):
            found.setdefault((owner, path), []).append(at)
            for edition, place in enumerate(path):
                if place >= 0:
                    found.setdefault((owner, edition), []).append(at)
        return sorted({tuple(figures) for figures in found.values() if self.truth[figures].sum() > 0})

    def bounds(self, victim, attacker):
        """(least, greatest) of the part of the victim's figures that the attacker does not know, and its truth."""
        fixed = self.known_to(attacker)
        left = [at for at in victim if at not in fixed]
        aim = np.zeros(len(self.truth))
        aim[left] = 1.0
        limits = [(x, x) if at in fixed else (0, None) for at, x in enumerate(self.truth)]
        ends = []
        for sign in (1, -1):
            done = linprog(
                sign * aim,
                A_eq=self.matrix if len(self.matrix) else None,
                b_eq=self.matrix @ self.truth if len(self.matrix) else None,
                bounds=limits,
            )
            ends.append(sign * done.fun if done.status == 0 else np.inf)
        return ends[0], ends[1], float(self.truth[left].sum())

    def tells(self, victim, attacker, margin=0.15):
        """Whether the attacker tells the victim's figure within the margin, from above or from below."""
        low, high, truth = self.bounds(victim, attacker)
        if truth <= 0:
            return False
        near = 1e-5 * truth
        return high < (1 + margin) * truth - near or low > (1 - margin) * truth + near

"""The code book's hand rule (facts-framework §13.4): the baseline that the mask maker must beat."""

import numpy as np

from facts.disclosure import TABLES
from facts.disclosure.rules import primary


def sums(panel):
    """(total cell, its class cells) of every published sum, in the newest edition."""
    t, starts = panel.tables, panel.tables.starts
    s0, z0, k0 = starts["T4 sector"], starts["T4 zone"], starts["T4 size"]
    t2, t3s, t3z, top = starts["T2"], starts["T3 sector"], starts["T3 zone"], starts["T4 total"]
    for s in range(t.sectors):
        yield s0 + s, [t2 + s * t.zones + z for z in range(t.zones)]
        yield s0 + s, [t3s + s * t.sizes + k for k in range(t.sizes)]
        for z in range(t.zones):
            inside = np.flatnonzero((panel.sector[-1] == s) & (panel.zone[-1] == z))
            yield t2 + s * t.zones + z, inside.tolist()
    for z in range(t.zones):
        yield z0 + z, [t2 + s * t.zones + z for s in range(t.sectors)]
        yield z0 + z, [t3z + z * t.sizes + k for k in range(t.sizes)]
    for k in range(t.sizes):
        yield k0 + k, [t3s + s * t.sizes + k for s in range(t.sectors)]
        yield k0 + k, [t3z + z * t.sizes + k for z in range(t.zones)]
    for first, many in ((s0, t.sectors), (z0, t.zones), (k0, t.sizes)):
        yield top, list(range(first, first + many))


def hand_rule(panel, rules):
    """(cells,) shown: exactly one class withheld takes its sibling of fewest firms with it, until nothing moves."""
    masked, filled = primary(panel, rules)
    cells = panel.tables.cells(panel.place[:, -1], panel.sector[-1], panel.zone[-1])
    firms = np.bincount(cells.reshape(-1), minlength=panel.tables.count)
    assert cells.shape[1] == len(TABLES)
    shown = filled & ~masked
    groups = [(total, [c for c in inside if filled[c]]) for total, inside in sums(panel)]
    moved = True
    while moved:
        moved = False
        for total, inside in groups:
            withheld = [c for c in inside if not shown[c]]
            others = [c for c in inside if shown[c]]
            if shown[total] and len(withheld) == 1 and others:
                shown[min(others, key=lambda c: firms[c])] = False
                moved = True
    return shown

"""Small panels by hand: units as (holding, cluster, size, value)."""

import numpy as np

from facts.disclosure import Panel


def panel(units, sector, zone, sizes=2, **more):
    """One edition; sector and zone by cluster."""
    holding, cluster, size, value = (np.array(column) for column in zip(*units, strict=True))
    return Panel(
        holding=holding.astype(np.int64),
        place=(cluster * sizes + size).astype(np.int64)[:, None],
        values={"sales": value.astype(float)[:, None]},
        sector=np.array([sector]),
        zone=np.array([zone]),
        sizes=sizes,
        eligible=np.ones((1, len(sector)), dtype=bool),
        **more,
    )


def editions(first, *later):
    """Join panels over the same units (rows) and clusters into editions of one round."""
    every = (first, *later)
    return Panel(
        holding=first.holding,
        place=np.concatenate([p.place for p in every], axis=1),
        values={v: np.concatenate([p.values[v] for p in every], axis=1) for v in first.values},
        sector=np.concatenate([p.sector for p in every]),
        zone=np.concatenate([p.zone for p in every]),
        sizes=first.sizes,
        eligible=np.concatenate([p.eligible for p in every]),
    )


def cell(of, table, *key):
    """Number of a cell."""
    return next(at for at in range(of.tables.count) if of.tables.key(at) == (table, key))


def only(of, *cells):
    """(cells,) with these and no others shown."""
    shown = np.zeros(of.tables.count, dtype=bool)
    for table, *key in cells:
        shown[cell(of, table, *key)] = True
    return shown

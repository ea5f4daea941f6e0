"""What the agency knows: contributors with their figures, and the closed list of tables that is published of them.

Arrays only. A *unit* is one return, a *holding* the units that one owner steers (the contributor of all rules), a
*place* the number cluster × sizes + size, an *edition* one publication of the same round: late returns, corrections
and moved clusters make the next.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

WEIGHTS = {"T1": 20.0, "T2": 2.0, "T3 sector": 4.0, "T3 zone": 4.0} | {  # what is given up first is lightest
    "T4 sector": 60.0,
    "T4 zone": 60.0,
    "T4 size": 200.0,
    "T4 total": 1000.0,
}
TABLES = tuple(WEIGHTS)


@dataclass(frozen=True)
class IndexRow:
    """A published composite as a linear row: Σ coefficient × cell total lies within `below` and `above` of the truth.

    edition : whose cells they are. cells : (k,) cell numbers of `Tables`. coefficients : (k,) points per unit of value.
    below, above : how far the published figure lets the true one lie, in points, both ≥ 0 (whole points: half a point
        around what was printed). weight : what the composite costs if it must fall. variable : whose totals they are.
    """

    name: str
    variable: str
    edition: int
    cells: Ints
    coefficients: Floats
    below: float
    above: float
    weight: float = 20.0


@dataclass(frozen=True)
class Panel:
    """Units of one round as known in each of its editions, the newest last.

    holding : (n,) number of the owner. place : (n, editions) cluster × sizes + size, −1 where the unit is not in.
    values : variable → (n, editions), in any unit; NaN where not answered. sector, zone : (editions, clusters).
    sizes : number of size classes. eligible : (editions, clusters) responds well enough to be shown (rule P0).
    signed : variables that may be below zero. index : rows of published composites. sectors, zones : how many classes
    there are, 0 for as many as occur; name them where a later edition may bring a new one: cells keep their numbers.
    """

    holding: Ints
    place: Ints
    values: dict[str, Floats]
    sector: Ints
    zone: Ints
    sizes: int
    eligible: Bools
    signed: frozenset[str] = frozenset()
    index: tuple[IndexRow, ...] = ()
    sectors: int = 0
    zones: int = 0
    tables: "Tables" = field(init=False)

    def __post_init__(self) -> None:
        n, editions = self.place.shape
        clusters = self.sector.shape[1]
        for name, array, shape in [
            ("holding", self.holding, (n,)),
            ("sector", self.sector, (editions, clusters)),
            ("zone", self.zone, (editions, clusters)),
            ("eligible", self.eligible, (editions, clusters)),
            *[(f"values of {variable}", values, (n, editions)) for variable, values in self.values.items()],
        ]:
            if array.shape != shape:
                raise ValueError(f"Panel: {name} is {array.shape}, not {shape}: units, editions, clusters.")
        if not self.values:
            raise ValueError("Panel: no variable: nothing can be masked of nothing, give at least one.")
        if n and (self.place.min() < -1 or self.place.max() >= clusters * self.sizes):
            raise ValueError(f"Panel: place must lie in −1 … {clusters * self.sizes - 1} (cluster × sizes + size).")
        for variable, values in self.values.items():
            if variable not in self.signed and np.nanmin(values, initial=0.0) < 0:
                raise ValueError(f"Panel: {variable} is below 0 somewhere: name it in `signed`, or mend the value.")
            if not np.isfinite(values[~np.isnan(values)]).all():
                raise ValueError(f"Panel: {variable} is infinite somewhere: mend the value.")
        sectors = max(self.sectors, int(self.sector.max(initial=-1)) + 1)
        zones = max(self.zones, int(self.zone.max(initial=-1)) + 1)
        object.__setattr__(self, "tables", Tables(clusters, sectors, zones, self.sizes))

    @property
    def editions(self) -> int:
        """Return how many editions of the round there are, the newest among them."""
        return int(self.place.shape[1])


@dataclass(frozen=True)
class Tables:
    """The closed list of cells of one edition, numbered through; the same numbers in every edition of the round."""

    clusters: int
    sectors: int
    zones: int
    sizes: int

    @property
    def starts(self) -> dict[str, int]:
        """Return table → number of its first cell; the key after the last table is the number of cells."""
        c, s, z, k = self.clusters, self.sectors, self.zones, self.sizes
        ends = np.cumsum([0, c, s * z, s * k, z * k, s, z, k, 1])
        return dict(zip([*TABLES, "end"], (int(end) for end in ends), strict=True))

    @property
    def count(self) -> int:
        """Return the number of cells of an edition."""
        return self.starts["end"]

    def table_of(self) -> Ints:
        """Return (cells,) the number of each cell's table in TABLES."""
        sizes = np.diff(list(self.starts.values()))
        return np.repeat(np.arange(len(TABLES)), sizes)

    def weights(self) -> Floats:
        """Return (cells,) what each cell costs to give up."""
        return np.array(list(WEIGHTS.values()))[self.table_of()]

    def cells(self, place: Ints, sector: Ints, zone: Ints) -> Ints:
        """Return (n, 8) the cell of each table that holds each place; −1 throughout where the place is −1.

        sector, zone : (clusters,) of the edition.
        """
        cluster, size = np.divmod(place, self.sizes)
        s, z = sector[cluster], zone[cluster]
        keys = [cluster, s * self.zones + z, s * self.sizes + size, z * self.sizes + size, s, z, size, 0 * size]
        found = np.stack([start + key for start, key in zip(self.starts.values(), keys, strict=False)], axis=1)
        return np.where(place[:, None] < 0, -1, found)

    def key(self, cell: int) -> tuple[str, tuple[int, ...]]:
        """Return (table, key) of a cell: T1 (cluster,), T2 (sector, zone), T3 (sector or zone, size), T4 (class,)."""
        table = TABLES[int(np.searchsorted(list(self.starts.values()), cell, side="right")) - 1]
        at = cell - self.starts[table]
        wide = {"T2": self.zones, "T3 sector": self.sizes, "T3 zone": self.sizes}.get(table)
        if table == "T4 total":
            return table, ()
        return table, (at,) if wide is None else divmod(at, wide)


@dataclass(frozen=True)
class Atoms:
    """Contributors that no cell tells apart: the same places in the same editions with the same figure.

    path : (atoms, editions) place, −1 where absent. part_atom, part_holding, part_value : (parts,) what each holding
    has in each atom, by atom and then value, largest first; zero where it is in with nothing.
    """

    path: Ints
    part_atom: Ints
    part_holding: Ints
    part_value: Floats

    @property
    def count(self) -> int:
        """Return the number of atoms."""
        return len(self.path)


def atoms(panel: Panel, variable: str) -> Atoms:
    """Return the atoms of one variable; absolute values where it may be below zero.

    A unit whose figure was corrected enters once for each figure: the two are different unknowns. A unit that moved
    with its figure unchanged is one unknown in two places. A figure not answered is no contribution.
    """
    values = np.abs(panel.values[variable])
    present = (panel.place >= 0) & ~np.isnan(values)
    paths, holdings, figures = [], [], []
    for edition in range(panel.editions):
        figure = values[:, edition]
        same = present & (values == figure[:, None])
        first = present[:, edition] & ~same[:, :edition].any(axis=1)
        paths.append(np.where(same, panel.place, -1)[first])
        holdings.append(panel.holding[first])
        figures.append(figure[first])
    path, holding, figure = np.concatenate(paths), np.concatenate(holdings), np.concatenate(figures)
    code = np.zeros(len(path), dtype=np.int64)
    for edition in range(panel.editions):  # numbers stay small: each step renumbers what there is
        code = np.unique(code * (panel.place.max(initial=0) + 2) + path[:, edition] + 1, return_inverse=True)[1]
    kinds, first_of = np.unique(code, return_index=True)
    span = int(holding.max(initial=0)) + 1
    pair, inverse = np.unique(code * span + holding, return_inverse=True)
    total = sums(inverse, figure, len(pair))
    atom, owner = np.divmod(pair, span)
    order = np.lexsort((owner, -total, atom))
    return Atoms(path[first_of][: len(kinds)], atom[order], owner[order], total[order])


@dataclass(frozen=True)
class Leaders:
    """Of each group: number of contributors with more than nothing, their sum, and the two largest (0 where none)."""

    count: Ints
    total: Floats
    first: Floats
    second: Floats


def sums(group: Ints, value: Floats, groups: int) -> Floats:
    """Return (groups,) the sum of the values (n,) of each group (n,)."""
    return np.bincount(group, weights=value, minlength=groups).astype(np.float64)


def leaders(group: Ints, holding: Ints, value: Floats, groups: int) -> Leaders:
    """Return count, total and two largest contributors of each group. All inputs (n,); group −1 is left out."""
    keep = (group >= 0) & (value > 0)
    group, holding, value = group[keep], holding[keep], value[keep]
    span = int(holding.max(initial=0)) + 1
    pair, inverse = np.unique(group * span + holding, return_inverse=True)
    value = sums(inverse, value, len(pair))
    group = pair // span
    order = np.lexsort((-value, group))
    group, value = group[order], value[order]
    start = np.searchsorted(group, np.arange(groups))
    count = np.bincount(group, minlength=groups)
    padded = np.append(value, [0.0, 0.0])
    first = np.where(count > 0, padded[np.minimum(start, len(value))], 0.0)
    second = np.where(count > 1, padded[np.minimum(start + 1, len(value))], 0.0)
    return Leaders(count, sums(group, value, groups), first, second)

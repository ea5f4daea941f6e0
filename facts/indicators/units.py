"""One round's accepted units lined up: with their weights, and with what the same units answered a round earlier."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facts.checks.copying import MONEY_ITEMS, copied_forward

from .formulas import Answers
from .tables import GONE, IN_SCOPE, OPERATING, Arrays, Tables
from .weights import SIZES, Sample, Weights, survey_weights

PART = 65_536  # units worked on together: memory stays flat, and numbers outweigh the walking of formulas


@dataclass(frozen=True)
class Units:
    """The units of one round, cluster by cluster and inside by frame id, whatever the order they came in.

    row, before : (n,) rows in the unit table, of this round and of the same unit one round earlier (operating then);
        −1 = none. size : (n,) of the frame, 1–4. works : (n,) bool, operating; the others were closed for the year and
        stay in the count that weights rest on. edges : (n_clusters + 1,), cluster c holds the units from edges[c] to
        edges[c + 1].
    """

    arrays: Arrays
    row: np.ndarray
    before: np.ndarray
    size: np.ndarray
    cluster_of: np.ndarray
    works: np.ndarray
    weights: Weights
    edges: np.ndarray

    def parts(self, most: int = PART, first: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """Runs of whole clusters (first, after the last) with at most so many units each, or one larger cluster."""
        end = len(self.edges) - 1 if end is None else end
        while first < end:
            last = int(np.searchsorted(self.edges, self.edges[first] + most, side="right")) - 1
            last = min(max(last, first + 1), end)
            yield first, last
            first = last


def units_of(tables: Tables, round_year: int) -> Units:
    """Line up one round. ValueError where a cluster has returns and no frame."""
    arrays = tables.arrays
    rows = arrays.rows(round_year, IN_SCOPE)
    if len(rows) and arrays.unit["cluster"][rows].min() < 0:
        lost = tables.units["cluster"].iloc[rows[arrays.unit["cluster"][rows] < 0][0]]
        raise ValueError(f"Cluster {lost} has returns in round {round_year} and no unit in any frame.")
    rows = _in_order(arrays, rows)
    cluster_of, key = arrays.unit["cluster"][rows], arrays.unit["key"][rows]
    earlier = arrays.rows(round_year - 1, OPERATING)
    before = arrays.look_up(key, arrays.unit["key"], earlier)
    framed = arrays.frame_rows(round_year)
    in_frame = arrays.look_up(key, arrays.frame["key"], framed)
    size = np.where(in_frame >= 0, arrays.frame["size"][in_frame], 1) if len(framed) else np.ones(len(rows), dtype=int)
    return Units(
        arrays=arrays,
        row=rows,
        before=before,
        size=size,
        cluster_of=cluster_of,
        works=_is(arrays.unit["status"][rows], OPERATING),
        weights=_weights(arrays, round_year, cluster_of, size, in_frame, before, earlier),
        edges=np.searchsorted(cluster_of, np.arange(len(arrays.codes) + 1)),
    )


def _is(status: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    return np.isin(status, wanted)


def _in_order(arrays: Arrays, rows: np.ndarray) -> np.ndarray:
    """Rows by cluster, then by frame id. A snapshot is stored in order of frame id, which is checked, not trusted."""
    n_clusters = len(arrays.codes)
    cluster = arrays.unit["cluster"][rows].astype(np.uint16 if n_clusters < 1 << 16 else np.int64)
    rows = rows[np.argsort(cluster, kind="stable")]
    cluster, key = arrays.unit["cluster"][rows], arrays.unit["key"][rows]
    ids = arrays.ids.take(key)
    falls = (np.diff(cluster) == 0) & np.asarray(ids[1:] <= ids[:-1], dtype=bool) if len(rows) > 1 else np.zeros(0)
    if not falls.any():
        return rows
    place = np.empty(len(ids), dtype=np.int64)
    place[np.asarray(pd.Series(ids).argsort(kind="stable"))] = np.arange(len(ids))
    return rows[np.lexsort((place, cluster))]


def _weights(
    arrays: Arrays,
    round_year: int,
    cluster_of: np.ndarray,
    size: np.ndarray,
    in_frame: np.ndarray,
    before: np.ndarray,
    earlier: np.ndarray,
) -> Weights:
    frame, n_clusters = arrays.frame, len(arrays.codes)
    scope = arrays.frame_rows(round_year)
    scope = scope[frame["in_scope"][scope]]
    place = frame["cluster"][scope] * SIZES + frame["size"][scope] - 1
    counts = np.bincount(place, minlength=n_clusters * SIZES).reshape(n_clusters, SIZES)
    sales = arrays.number("UC01")
    known = (arrays.unit["cluster"][earlier] >= 0) & ~np.isnan(sales[earlier])
    totals = np.bincount(arrays.unit["cluster"][earlier[known]], sales[earlier[known]], n_clusters)
    sample = None
    if not frame["drawn"][scope].all():
        sample = _sample(arrays, round_year, scope, in_frame, cluster_of)
    return survey_weights(cluster_of, size, counts, pick(sales, before), totals, sample)


def _sample(arrays: Arrays, round_year: int, scope: np.ndarray, in_frame: np.ndarray, cluster_of: np.ndarray) -> Sample:
    """What was drawn, without the units known by now to have left the scope (UA01 4–6)."""
    frame, n_clusters = arrays.frame, len(arrays.codes)
    is_drawn = np.zeros(n_clusters, dtype=bool)
    is_drawn[frame["cluster"][scope[~frame["drawn"][scope]]]] = True
    gone = arrays.look_up(frame["key"][scope], arrays.unit["key"], arrays.rows(round_year, GONE)) >= 0
    rows = scope[frame["drawn"][scope] & ~gone]
    place = (frame["cluster"][rows] * SIZES + frame["size"][rows] - 1) * 2 + frame["member"][rows]
    known = in_frame >= 0
    return Sample(
        member=known & frame["member"][in_frame],
        drawn=known & frame["drawn"][in_frame],
        design=np.where(known, frame["design"][in_frame], 1.0),
        is_drawn=is_drawn,
        drawn_weight=np.bincount(place, frame["design"][rows], n_clusters * SIZES * 2).reshape(n_clusters, SIZES, 2),
    )


def pick(column: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """column[rows]; NaN at rows of −1."""
    if not len(column):
        return np.full(len(rows), np.nan)
    picked = column[rows]
    picked[rows < 0] = np.nan
    return picked


class Picked(Mapping):
    """The answers of some units, question by question, opened when a formula asks for them.

    put : columns that stand in place of what was answered.
    """

    def __init__(self, arrays: Arrays, rows: np.ndarray, multiple: frozenset[str], put: Mapping | None = None):
        self.arrays, self.rows, self.multiple = arrays, rows, multiple
        self._opened: dict[str, np.ndarray | Answers] = dict(put or {})

    def __getitem__(self, name: str) -> np.ndarray | Answers:
        if name not in self._opened:
            if not self.arrays.has(name):
                raise KeyError(name)
            if name in self.multiple:
                self._opened[name] = self.arrays.answers(name, self.rows)
            else:
                self._opened[name] = pick(self.arrays.number(name), self.rows)
        return self._opened[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._opened or self.arrays.has(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays.tables.units.columns)

    def __len__(self) -> int:
        return len(self.arrays.tables.units.columns)


def comparable(
    now: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray], in_doubt: np.ndarray, n: int
) -> np.ndarray:
    """Units that may enter growth, (n,) bool: answered both rounds, not copied forward (X02, X03), no open X08."""
    blank = np.full(n, np.nan)
    matched = np.isfinite(before["UA01"]) if "UA01" in before else np.zeros(n, dtype=bool)
    items = [{item: year.get(item, blank) for item in MONEY_ITEMS} for year in (now, before)]
    return matched & ~copied_forward(*items) & ~in_doubt


def slips(tables: Tables, round_year: int) -> np.ndarray:
    """(n_ids,) by key: units with an open X08 in this round or in the one before, where growth would be the slip's."""
    flags, arrays = tables.flags, tables.arrays
    open_slip = flags["rule"].astype(str).str.startswith("X08") & (flags["resolution"] == "open")
    rows = flags[open_slip & flags["round"].isin([round_year, round_year - 1])]
    return np.asarray(arrays.ids.isin(rows["frame_id"]))

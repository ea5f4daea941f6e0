"""Sums and weighted medians of units by cluster, under the survey weights or under many replicates of them at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np

# Keeps a half of the weight that is exact on paper from being missed by rounding.
HALF = 0.5 * (1 - 1e-12)
# Multiplications up to which OpenBLAS works on the calling thread: its own would mostly wait for so small products.
ALONE = 1 << 18


@dataclass(frozen=True)
class ReplicateWeights:
    """Weights in many replicates, made one cluster at a time: never do those of a round stand in memory together.

    of : a cluster's place and its units → (n_units, replicates), or (n_units,) where its weights do not vary.
    """

    replicates: int
    of: Callable[[int, slice], np.ndarray]

    @classmethod
    def given(cls, weights: np.ndarray) -> "ReplicateWeights":
        """From an array (replicates, n_units)."""
        return cls(len(weights), lambda cluster, units: weights[:, units].T)


@dataclass(frozen=True)
class Ordered:
    """Units that enter a median, cluster by cluster and inside by value. rows : their places among all units.
    values : of the same units. edges : (n_clusters + 1,), where each cluster begins among them."""

    rows: np.ndarray
    values: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, cluster_of: np.ndarray, support: np.ndarray, n_clusters: int) -> "Ordered":
        """values : (n_units,). support : (n_units,) bool, the units that enter."""
        rows = np.flatnonzero(support)
        at = cluster_of[rows]
        order = order_in_groups(values[rows], at, n_clusters)
        rows = rows[order]
        return cls(rows, values[rows], np.searchsorted(at, np.arange(n_clusters + 1)))


def figures(
    summed: Sequence[np.ndarray],
    ordered: Sequence[Ordered],
    weight: np.ndarray | ReplicateWeights,
    cluster_of: np.ndarray,
    n_clusters: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Σ w·x of each array of `summed`, (n_units,), and the weighted median of each of `ordered`, by cluster.

    cluster_of : (n_units,), never falling. weight : (n_units,), or replicates. Returns sums, 0 where a cluster has no
    unit, and medians, NaN there: (n_arrays, n_clusters), or (n_arrays, replicates, n_clusters).
    """
    drawn = (weight.replicates,) if isinstance(weight, ReplicateWeights) else ()
    sums = np.zeros((len(summed), n_clusters, *drawn))
    medians = np.full((len(ordered), n_clusters, *drawn), np.nan)
    edges = np.searchsorted(cluster_of, np.arange(n_clusters + 1))
    filled = np.flatnonzero(edges[1:] > edges[:-1])
    if isinstance(weight, ReplicateWeights):
        held = np.array(summed).reshape(len(summed), len(cluster_of))
        for cluster in filled.tolist():
            first, last = int(edges[cluster]), int(edges[cluster + 1])
            own = weight.of(cluster, slice(first, last))
            if own.ndim == 2:
                sums[:, cluster] = _product(held[:, first:last], own)
            else:
                sums[:, cluster] = np.add.reduceat(held[:, first:last] * own, [0], axis=1)
            for median, one in zip(medians, ordered, strict=True):
                part = slice(one.edges[cluster], one.edges[cluster + 1])
                median[cluster] = weighted_median(own.take(one.rows[part] - first, axis=0), one.values[part])
        return np.moveaxis(sums, 1, 2), np.moveaxis(medians, 1, 2)
    if len(filled):
        for total, x in zip(sums, summed, strict=True):
            total[filled] = np.add.reduceat(weight * x, edges[filled])
    for median, one in zip(medians, ordered, strict=True):
        held = weight[one.rows]
        for cluster in np.flatnonzero(one.edges[1:] > one.edges[:-1]).tolist():
            part = slice(one.edges[cluster], one.edges[cluster + 1])
            median[cluster] = weighted_median(held[part], one.values[part])
    return sums, medians


def _product(held: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """All sums of one cluster, (n_arrays, n) @ (n, replicates): its shape, and so each digit, hangs on nothing else."""
    replicates = weight.shape[1]
    width = ALONE // max(held.size, 1)
    if not 8 <= width < replicates:
        return held @ weight
    out = np.empty((len(held), replicates))
    for start in range(0, replicates, width):
        out[:, start : start + width] = held @ weight[:, start : start + width]
    return out


def weighted_median(weight: np.ndarray, values: np.ndarray) -> np.ndarray | float:
    """The smallest value up to which at least half of the weight lies; NaN where nothing weighs.

    weight : (n,) or (n, replicates), none below 0. values : (n,), rising. Returns one number, or (replicates,).

    >>> weighted_median(np.array([1.0, 1.0, 2.0]), np.array([3.0, 5.0, 9.0]))
    5.0
    """
    n = len(values)
    if not n:
        return np.nan
    if weight.ndim == 1:
        cumulated = weight.cumsum()
        place = int((cumulated < cumulated[-1] * HALF).sum())
        return float(values[min(place, n - 1)]) if cumulated[-1] > 0 else np.nan
    # Runs of √n units first, then unit by unit in the one run that reaches the half.
    size = isqrt(n) + 1
    runs = np.add.reduceat(weight, np.arange(0, n, size), axis=0).cumsum(axis=0)
    half = runs[-1] * HALF
    run = np.minimum((runs < half).sum(axis=0), len(runs) - 1)
    replicate = np.arange(weight.shape[1])
    rows = run * size + np.arange(size)[:, None]
    inside = np.where(rows < n, weight[np.minimum(rows, n - 1), replicate], 0.0)
    inside[0] += np.where(run > 0, runs[run - 1, replicate], 0.0)
    place = run * size + (inside.cumsum(axis=0) < half).sum(axis=0)
    return np.where(runs[-1] > 0, values[np.minimum(place, n - 1)], np.nan)


def order_in_groups(values: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """The order that sorts by group, then by value, (n,) places. group : whole numbers below `n_groups`."""
    order = values.argsort()
    # By value, then by group without touching that order: whole numbers of 16 bits are sorted in one sweep.
    narrow = group.astype(np.uint16 if n_groups <= 1 << 16 else np.int64)
    return order[narrow[order].argsort(kind="stable")]

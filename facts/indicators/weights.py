"""Survey weights (framework §11.5), over arrays."""

from dataclasses import dataclass

import numpy as np

LEAST_IN_CELL = 5
TRIM = 5.0
DOMINANT_SHARE = 0.05
SIZES = 4


@dataclass(frozen=True)
class Sample:
    """What a drawn sample adds to a frame. Of accepted units, in the order of the weights: member, drawn (bool),
    design (units it stands for by design), each (n_units,).

    is_drawn : (n_clusters,) whether the cluster was sampled; elsewhere everybody was asked.
    drawn_weight : (n_clusters, 4, 2), sum of the design weights of drawn units in scope, by size and membership.
    """

    member: np.ndarray
    drawn: np.ndarray
    design: np.ndarray
    is_drawn: np.ndarray
    drawn_weight: np.ndarray


@dataclass(frozen=True)
class Weights:
    """weight : (n_units,). stratum : (n_units,) cluster × 4 + cell, the classes that were blown up together; −1 where
    a unit stands for itself only. population : (n_clusters × 4,) units of the frame that each stratum stands for."""

    weight: np.ndarray
    stratum: np.ndarray
    population: np.ndarray


def cell_weights(
    cluster_of: np.ndarray,
    size: np.ndarray,
    frame_counts: np.ndarray,
    earlier_value: np.ndarray,
    earlier_total: np.ndarray,
    sample: Sample | None = None,
) -> np.ndarray:
    """The weights alone of `survey_weights`."""
    return survey_weights(cluster_of, size, frame_counts, earlier_value, earlier_total, sample).weight


def survey_weights(
    cluster_of: np.ndarray,
    size: np.ndarray,
    frame_counts: np.ndarray,
    earlier_value: np.ndarray,
    earlier_total: np.ndarray,
    sample: Sample | None = None,
) -> Weights:
    """Weight each accepted unit so that size classes add up to the frozen frame.

    cluster_of, size (1–4), earlier_value : (n_units,) accepted units in scope, operating or closed for the year;
        earlier_value = sales one round earlier, NaN if unknown.
    frame_counts : (n_clusters, 4), units in scope of the frozen frame by size class.
    earlier_total : (n_clusters,) sales of the whole cluster one round earlier, 0 if unknown.
    sample : None where everybody was asked in every cluster.

    Asked all: N/n of the size class. Sampled: design weight × non-response factor by size × membership, then brought
    to N of the size class. A class with fewer than 5 accepted units is joined to the next smaller one (the smallest to
    the next larger). Large units with at least 5 % of the cluster's earlier sales count for themselves only, and so do
    units that answered without being drawn. Weights are trimmed at 5 × the cluster's median and rescaled so that they
    again add up to the frame.
    """
    n_clusters = len(frame_counts)
    known = np.nan_to_num(earlier_value)
    alone = (size == SIZES) & (known > 0) & (known >= DOMINANT_SHARE * earlier_total[cluster_of])
    if sample is not None:
        alone |= sample.is_drawn[cluster_of] & ~sample.drawn
    place = cluster_of * SIZES + size - 1
    accepted = _counted(place[~alone], n_clusters)
    frame = np.maximum(frame_counts - _counted(place[alone], n_clusters), 0)
    joined = _joined(accepted) + np.arange(n_clusters)[:, None] * SIZES
    population = np.bincount(joined.ravel(), frame.ravel(), n_clusters * SIZES)
    answered = np.bincount(joined.ravel(), accepted.ravel(), n_clusters * SIZES)
    stratum = joined.ravel()[place]
    if sample is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = (population / answered)[stratum]
    else:
        weight = _sampled(sample, alone, place, stratum, joined, population, answered)
    weight = np.where(alone | ~np.isfinite(weight), 1.0, weight)
    _trim(weight, cluster_of, alone, n_clusters)
    return Weights(weight, np.where(alone, -1, stratum), population)


def _counted(place: np.ndarray, n_clusters: int, weights: np.ndarray | None = None) -> np.ndarray:
    return np.bincount(place, weights, n_clusters * SIZES).reshape(n_clusters, SIZES).astype(float)


def _joined(accepted: np.ndarray) -> np.ndarray:
    """The class that each size class is counted with, 0–3. accepted : (n_clusters, 4)."""
    counts = accepted.copy()
    joined = np.tile(np.arange(SIZES), (len(accepted), 1))
    for size in range(SIZES - 1, 0, -1):
        thin = counts[:, size] < LEAST_IN_CELL
        counts[thin, size - 1] += counts[thin, size]
        joined[thin[:, None] & (joined == size)] = size - 1
    stand = np.stack([np.any(joined == size, axis=1) for size in range(1, SIZES)], axis=1)
    upwards = (counts[:, 0] < LEAST_IN_CELL) & stand.any(axis=1)
    nearest = np.argmax(stand, axis=1) + 1
    return np.where(upwards[:, None] & (joined == 0), nearest[:, None], joined)


def _sampled(
    sample: Sample,
    alone: np.ndarray,
    place: np.ndarray,
    stratum: np.ndarray,
    joined: np.ndarray,
    population: np.ndarray,
    answered: np.ndarray,
) -> np.ndarray:
    """Design weight × non-response factor by size × membership, brought to N of the class; N/n where all were asked.

    Members and others are told apart where at least 5 of each answered in the class.
    """
    n_cells = len(population)
    counts = ~alone & sample.drawn
    of = stratum * 2 + sample.member
    by_member = np.bincount(of[counts], minlength=2 * n_cells).reshape(n_cells, 2)
    apart = np.all(by_member >= LEAST_IN_CELL, axis=1)
    of = stratum * 2 + (sample.member & apart[stratum])
    drawn = sample.drawn_weight.reshape(n_cells, 2).copy()
    own = alone & sample.drawn  # a dominant unit is no member of a class that is blown up
    np.subtract.at(drawn, (place[own], sample.member[own].astype(int)), sample.design[own])
    in_class = np.zeros((n_cells, 2))
    np.add.at(in_class, joined.ravel(), drawn)
    in_class[~apart, 0] += in_class[~apart, 1]
    got = np.bincount(of[counts], sample.design[counts], 2 * n_cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = sample.design * (np.maximum(in_class.ravel(), 0) / got)[of]
        total = np.bincount(stratum[counts], weight[counts], n_cells)
        weight = weight * (population / total)[stratum]
        census = (population / answered)[stratum]
    return np.where(sample.is_drawn[stratum // SIZES], weight, census)


def _trim(weight: np.ndarray, cluster_of: np.ndarray, alone: np.ndarray, n_clusters: int) -> None:
    """Cut weights at 5 × their cluster's median and rescale to the same total; changes `weight` in place."""
    shared = np.flatnonzero(~alone)
    order = shared[np.argsort(cluster_of[shared], kind="stable")]
    edges = np.searchsorted(cluster_of[order], np.arange(n_clusters + 1))
    filled = np.flatnonzero(edges[1:] > edges[:-1])
    if not len(filled):
        return
    lowest = np.minimum.reduceat(weight[order], edges[filled])
    highest = np.maximum.reduceat(weight[order], edges[filled])
    for cluster in filled[highest > TRIM * lowest]:  # elsewhere nothing can lie above 5 × the median
        part = order[edges[cluster] : edges[cluster + 1]]
        total = weight[part].sum()
        trimmed = np.minimum(weight[part], TRIM * np.median(weight[part]))
        weight[part] = trimmed * (total / trimmed.sum())

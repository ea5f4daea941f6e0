"""Survey weights, over arrays."""

import numpy as np

LEAST_IN_CELL = 5
TRIM = 5.0
DOMINANT_SHARE = 0.05
SIZES = 4


def cell_weights(
    cluster_of: np.ndarray,
    size: np.ndarray,
    frame_counts: np.ndarray,
    earlier_value: np.ndarray,
    earlier_total: np.ndarray,
) -> np.ndarray:
    """Weight each accepted unit by N/n of its size class (framework §11.5).

    cluster_of, size (1–4), earlier_value : (n_units,) accepted units in scope, operating or closed for the year;
        earlier_value = sales one round earlier, NaN if unknown.
    frame_counts : (n_clusters, 4), units in scope of the frozen frame by size class.
    earlier_total : (n_clusters,) sales of the whole cluster one round earlier, 0 if unknown.

    A class with fewer than 5 accepted units is joined to the next smaller one (the smallest to the next larger).
    Large units with at least 5 % of the cluster's earlier sales count for themselves only. Weights are trimmed at
    5 × the cluster's median and rescaled so that they again add up to the frame.
    """
    n_clusters = len(frame_counts)
    weight = np.ones(len(cluster_of))
    known = np.nan_to_num(earlier_value)
    alone = (size == SIZES) & (known > 0) & (known >= DOMINANT_SHARE * earlier_total[cluster_of])
    accepted = np.zeros((n_clusters, SIZES))
    np.add.at(accepted, (cluster_of[~alone], size[~alone] - 1), 1)
    frame = frame_counts.astype(float).copy()
    np.subtract.at(frame, (cluster_of[alone], size[alone] - 1), 1)
    frame = np.maximum(frame, 0)
    joined = np.tile(np.arange(SIZES), (n_clusters, 1))
    for cluster in range(n_clusters):
        _join_thin_classes(joined[cluster], accepted[cluster])
    cell_n = np.zeros_like(accepted)
    cell_frame = np.zeros_like(frame)
    rows = np.repeat(np.arange(n_clusters), SIZES)
    np.add.at(cell_n, (rows, joined.ravel()), accepted.ravel())
    np.add.at(cell_frame, (rows, joined.ravel()), frame.ravel())
    cell = joined[cluster_of, size - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        blown = cell_frame[cluster_of, cell] / cell_n[cluster_of, cell]
    weight[~alone] = np.where(np.isfinite(blown), blown, 1.0)[~alone]
    order = np.argsort(cluster_of, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(cluster_of[order])) + 1):
        part = part[~alone[part]]
        if len(part):
            total = weight[part].sum()
            trimmed = np.minimum(weight[part], TRIM * np.median(weight[part]))
            weight[part] = trimmed * (total / trimmed.sum())
    return weight


def _join_thin_classes(joined: np.ndarray, accepted: np.ndarray) -> None:
    """Point thin size classes at the class they are counted with; changes `joined` in place."""
    counts = accepted.copy()
    for size in range(SIZES - 1, 0, -1):
        if counts[size] < LEAST_IN_CELL:
            counts[size - 1] += counts[size]
            joined[joined == size] = size - 1
    if counts[0] < LEAST_IN_CELL:
        larger = [size for size in range(1, SIZES) if (joined == size).any()]
        if larger:
            joined[joined == 0] = larger[0]

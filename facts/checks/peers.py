"""Peers: the units of the same cluster and size that a unit's level is compared with."""

import numpy as np

from .grouping import codes_of, counts, quantile, spread_back
from .table import CheckTable

Groups = list[tuple[np.ndarray, int]]


def peer_groups(table: CheckTable) -> Groups:
    """Cluster × SIZE first; where that is too thin, micro and small units against medium and large ones."""
    size = table.size
    coarse = np.where(size < 0, -1, (size > 2).astype(int))
    return [codes_of(table.cluster_of, size), codes_of(table.cluster_of, coarse)]


def centred(x: np.ndarray, groups: Groups, least: int) -> tuple[np.ndarray, np.ndarray]:
    """x less the median of the first peer group with enough values, and the group's median distance; NaN: no peers."""
    away, spread = np.full(len(x), np.nan), np.full(len(x), np.nan)
    for group, n_groups in groups:
        enough = counts(group, n_groups, np.isfinite(x)) >= least
        distance = x - spread_back(np.where(enough, quantile(x, group, n_groups), np.nan), group)
        typical = spread_back(quantile(np.abs(distance), group, n_groups), group)
        free = np.isnan(away)
        away, spread = np.where(free, distance, away), np.where(free, typical, spread)
    return away, spread


def robust_score(x: np.ndarray, groups: Groups, p: dict) -> np.ndarray:
    """(x − median) / max(1.4826·MAD, least spread) among peers; NaN without enough of them."""
    away, spread = centred(x, groups, p["least"])
    return away / np.fmax(1.4826 * spread, p["least_spread"])

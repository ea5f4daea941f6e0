"""Ranks over draws: pillar weights drawn around the base weights, beside replicates of the firms. Pure."""

import numpy as np

from facts.indicators.parallel import in_order

NEXT_TO = 1e-12  # scores closer than this share of themselves are one score
BLOCK = 50  # draws that one thread ranks before it asks for more


def draw_weights(weights: np.ndarray, draws: int, concentration: float, seed: int) -> np.ndarray:
    """Draw pillar weights from a Dirichlet distribution with parameters `concentration` × base weight (framework
    §12.4 c): (draws, n_pillars), each row adds up to 1. weights : (n_pillars,), sum 1. Deterministic for a seed."""
    return np.random.default_rng(seed).dirichlet(concentration * weights, size=draws)


def drawn_ranks(pillars: np.ndarray, weights: np.ndarray, floor: float = 1.0) -> np.ndarray:
    """The rank of each cluster in each draw, (draws, n_clusters), 1 is the best, equal scores share the best rank.

    pillars : (n_replicates, n_clusters, n_pillars), all present. weights : (n_draws, n_pillars). Draw d takes row
    d mod n of each, so many times as the longer of the two has rows. The index is the weighted geometric mean of
    pillars not below `floor`.
    """
    logs = np.log(np.maximum(pillars, floor))
    ranks = np.empty((max(len(pillars), len(weights)), pillars.shape[1]), dtype=np.int32)

    def work(first: int) -> None:
        for draw in range(first, min(first + BLOCK, len(ranks))):
            # The sum runs pillar by pillar, so that one cluster's score does not depend on how many others there are.
            row = np.exp((logs[draw % len(pillars)] * weights[draw % len(weights)]).sum(axis=1))
            # Sorted once a draw: a comparison of every pair would take draws × n × n cells.
            ranks[draw] = 1 + len(row) - np.searchsorted(np.sort(row), row * (1 + NEXT_TO), side="right")

    for _ in in_order(work, range(0, len(ranks), BLOCK)):
        pass
    return ranks


def rank_quantiles(ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 5 % and 95 % quantile of each cluster's rank, whole numbers (n_clusters,). ranks : (draws, n_clusters)."""
    if not ranks.shape[1]:
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    low, high = np.quantile(ranks, [0.05, 0.95], axis=0, method="inverted_cdf")
    return low.astype(int), high.astype(int)


def ranks_inside(ranks: np.ndarray) -> np.ndarray:
    """Ranks counted among these clusters alone, (draws, n): the columns of a few clusters of `drawn_ranks`.

    >>> ranks_inside(np.array([[4, 2, 9], [7, 7, 1]])).tolist()
    [[2, 1, 3], [2, 2, 1]]
    """
    ordered = np.sort(ranks, axis=1)
    # Equal ranks share the first place that has them.
    first = np.concatenate([np.ones((len(ranks), 1), dtype=bool), np.diff(ordered, axis=1) > 0], axis=1)
    place = np.maximum.accumulate(np.where(first, np.arange(1, ranks.shape[1] + 1), 0), axis=1)
    inside = np.empty_like(place)
    np.put_along_axis(inside, np.argsort(ranks, axis=1, kind="stable"), place, axis=1)
    return inside


def share_ahead(ranks: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The share of draws in which cluster `one` stands before `other`; equal ranks count half. one, other : columns.

    >>> share_ahead(np.array([[1, 2], [2, 1], [1, 1], [1, 2]]), np.array([0]), np.array([1])).tolist()
    [0.625]
    """
    first, second = ranks[:, one], ranks[:, other]
    return ((first < second) + 0.5 * (first == second)).mean(axis=0)

"""What each node of the hierarchy contributes to the index of each cluster. Pure.

The index is a geometric mean of pillars: ln I = Σ w ln p. A pillar's contribution is its share of that sum, so that the
contributions of one level add up to the index. Below, means are arithmetic: a part's contribution is its share of the
sum that makes its parent, by the weights shared out over what is there (rule N7).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cci.methodology import Method
from cci.partial import CAPACITY, OUTCOMES, PERFORM

TOP = "CCI"


@dataclass(frozen=True)
class Shares:
    """Weights inside the parent, shared out over what each cluster has; 0 where it is missing.

    indicators : cluster × indicator, inside the dimension. dimensions : cluster × dimension, inside the pillar.
    """

    indicators: pd.DataFrame
    dimensions: pd.DataFrame


def shares_of(normalised: pd.DataFrame, scores: pd.DataFrame, method: Method) -> Shares:
    """normalised : cluster × indicator, 0–100. scores : cluster × node. Nodes without a score share out nothing."""
    definitions = method.definitions
    parents = {one.code: (one.dimension, one.weight) for one in definitions.indicators}
    nodes = {one.code: (one.parent, one.weight) for one in definitions.dimensions}
    return Shares(
        _shared_out(normalised[list(parents)], parents, scores),
        _shared_out(scores[list(nodes)], nodes, scores),
    )


def _shared_out(parts: pd.DataFrame, parents: dict[str, tuple[str, float]], scores: pd.DataFrame) -> pd.DataFrame:
    weights = np.array([weight for _, weight in parents.values()])
    there = parts.notna().to_numpy() * weights
    of_parent = np.array([parent for parent, _ in parents.values()])
    shares = np.zeros(there.shape)
    for parent in dict.fromkeys(of_parent):
        columns = of_parent == parent
        total = there[:, columns].sum(axis=1)
        scored = scores[parent].notna().to_numpy() & (total > 0)
        shares[:, columns] = np.where(scored, 1 / np.where(scored, total, 1), 0)[:, None] * there[:, columns]
    return pd.DataFrame(shares, index=parts.index, columns=parts.columns)


def contributions_of(
    normalised: pd.DataFrame, scores: pd.DataFrame, shares: Shares, method: Method
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points of the index that each node, and each indicator, stands for: two frames labelled by cluster.

    Those of the pillars add up to the index, as do those of the dimensions, of the indicators, and of the two partial
    indices. NaN where the cluster has no index or lacks the node.
    """
    definitions = method.definitions
    pillars = [node.code for node in definitions.pillars]
    index = scores[TOP].to_numpy(dtype=float)
    logs = np.log(np.maximum(scores[pillars].to_numpy(dtype=float), method.floor)) * method.pillar_weights
    total = logs.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # All pillars at the floor of 1: each stands for its weight.
        share = np.where(total[:, None] > 0, logs / total[:, None], method.pillar_weights)
    nodes = pd.DataFrame(share * index[:, None], index=scores.index, columns=pillars)
    nodes[PERFORM] = nodes[OUTCOMES]
    nodes[CAPACITY] = nodes[[code for code in pillars if code != OUTCOMES]].sum(axis=1, skipna=False)
    for node in definitions.dimensions:
        nodes[node.code] = _part(
            nodes[node.parent], scores[node.code], shares.dimensions[node.code], scores[node.parent]
        )
    nodes[TOP] = index
    indicators = {
        one.code: _part(nodes[one.dimension], normalised[one.code], shares.indicators[one.code], scores[one.dimension])
        for one in definitions.indicators
    }
    return nodes, pd.DataFrame(indicators, index=scores.index)


def _part(of_parent: pd.Series, score: pd.Series, share: pd.Series, parent: pd.Series) -> pd.Series:
    """What a part stands for: its share of the sum that makes the parent; its weight where that sum is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = np.where(parent > 0, share * score / parent, share)
    return (of_parent * fraction).where(score.notna() & parent.notna())

"""Missing core money items of accepted returns, estimated from peers (framework §11.6)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .formulas import Answers, order_in_groups
from .weights import SIZES

SALES = "UC01"


@dataclass(frozen=True)
class Rule:
    """items : money items that may be estimated. least_peers : returns behind a ratio. most_share : of the cluster's
    sales that the returns with an estimate of one item may hold. said_from : share of the sales behind a value, held
    by returns with an estimate, from which the value itself is called estimated."""

    items: tuple[str, ...]
    least_peers: int = 12
    most_share: float = 0.05
    said_from: float = 0.05

    @classmethod
    def read(cls, content: Mapping) -> "Rule":
        return cls(tuple(content["items"]), content["least_peers"], content["most_share"], content["said_from"])


@dataclass(frozen=True)
class Imputation:
    """columns : item → (n_units,) with estimates in the gaps. where : item → (n_units,) bool, the estimates.
    held : (n_units,) weighted sales, 0 where unknown."""

    columns: Mapping[str, np.ndarray]
    where: Mapping[str, np.ndarray]
    held: np.ndarray

    def behind(self, questions: frozenset[str]) -> np.ndarray | None:
        """Units with an estimated answer to one of the questions, (n_units,) bool; None where there is none."""
        found = [where for name, where in self.where.items() if name in questions]
        return np.any(found, axis=0) if found else None


def impute(
    units: Mapping[str, np.ndarray | Answers],
    cluster_of: np.ndarray,
    size: np.ndarray,
    weight: np.ndarray,
    n_clusters: int,
    rule: Rule,
) -> Imputation:
    """Estimate a missing item as sales × the median ratio of its peers, the operating units of cluster and size class.

    Where the returns that lack an item hold more than `most_share` of the cluster's weighted sales, the item is left
    missing in that cluster, for all of them: choosing among them would choose the result.
    """
    if SALES not in units or not len(cluster_of):
        return Imputation({}, {}, np.zeros(len(cluster_of)))
    sales = units[SALES]
    assert isinstance(sales, np.ndarray)
    has_sales = np.isfinite(sales) & (sales > 0)
    held = np.where(has_sales, weight * sales, 0.0)
    total = np.bincount(cluster_of, held, n_clusters)
    peers = cluster_of * SIZES + size - 1
    columns, where = {}, {}
    for item in rule.items:
        answers = units.get(item)
        if not isinstance(answers, np.ndarray):
            continue
        gap = np.isnan(answers) & has_sales
        if not gap.any():
            continue
        share = np.bincount(cluster_of[gap], held[gap], n_clusters) > rule.most_share * total
        gap &= ~share[cluster_of]
        needed = np.zeros(n_clusters * SIZES, dtype=bool)
        needed[peers[gap]] = True
        known = np.flatnonzero(needed[peers] & has_sales & np.isfinite(answers))
        ratio = _medians(answers[known] / sales[known], peers[known], n_clusters * SIZES, rule.least_peers)
        gap &= np.isfinite(ratio[peers])
        if gap.any():
            columns[item] = np.where(gap, sales * ratio[peers], answers)
            where[item] = gap
    return Imputation(columns, where, held)


def _medians(values: np.ndarray, group: np.ndarray, n_groups: int, least: int) -> np.ndarray:
    """The median of each group, (n_groups,); NaN for a group with fewer than `least` values."""
    out = np.full(n_groups, np.nan)
    order = order_in_groups(values, group, n_groups)
    values, group = values[order], group[order]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(np.append(starts, len(group)))
    middle = (values[starts + (sizes - 1) // 2] + values[starts + sizes // 2]) / 2
    enough = sizes >= least
    out[group[starts[enough]]] = middle[enough]
    return out

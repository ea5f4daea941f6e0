"""Weights sought so that each element has the importance in the index that it is meant to have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.aggregation import LevelRule, aggregate
from cci.engine.errors import DataError, MetaError
from cci.engine.meta import Hierarchy, effective_weights
from cci.engine.tables import FloatArray
from cci.engine.weighting.given import Weighting, groups_of, levels_of, weighting, with_weights

OBJECTIVES = ("target", "infomax")
# Gives, for weights, the correlations with the index and their derivatives (or None).
Importance = Callable[[FloatArray], tuple[FloatArray, FloatArray | None]]


def optimised_weights(
    normalised: pd.DataFrame,
    hierarchy: Hierarchy,
    rules: Sequence[LevelRule],
    *,
    level: int,
    targets: Mapping[str, float] | None = None,
    objective: str = "target",
    groups: Mapping[str, LevelRule] | None = None,
) -> Weighting:
    """Weights of one level's elements that bring their importance in the index near to targets.

    Importance r is an element's correlation with the top (Pearson, over the units that have both). With
    objective `target` the mean of (r_c / sum(r) - t_c)² over the level is least; with `infomax` sum(r) is
    greatest. Weights are >= 0 and sum to 1 in each group; those of other levels stay.

    normalised, hierarchy, rules, groups : as for `aggregate`.
    targets : shares by element, any scale, >= 0; None means the same for all.

    Returns weights; details: target, reached share, correlation with the top; report: the loss reached (mean
    square, or mean correlation) and whether the search ended by itself. The search is local: it starts from
    equal weights and from those of the hierarchy, and gives the better end. Raises MetaError for targets
    that do not fit the level's elements, DataError for an element that does not vary, and what `aggregate`
    raises. Method note, section 7 (COINr `get_opt_weights`, which may return negative weights).

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 1, 1]}))
    >>> data = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 60.0, 20.0, 40.0]})
    >>> optimised_weights(data, tree, [LevelRule()], level=1).weights.round(6).to_dict()
    {'a': 0.952381, 'b': 0.047619}
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"{objective!r} is no objective; choose {', '.join(OBJECTIVES)}.")
    levels_of(hierarchy, level)
    top = hierarchy.at_level(hierarchy.top_level)
    if len(top) > 1:
        raise MetaError(f"{', '.join(top)} stand at the top; importance needs one index.", column="Level")
    scores = aggregate(normalised, hierarchy, rules, groups=groups)
    members = groups_of(hierarchy, level)
    codes = [code for _, group in members for code in group]
    table = (normalised if level == 1 else scores)[codes].sort_index()
    shares = _targets(targets, codes, hierarchy.indicators + hierarchy.aggregates)
    for code in codes:
        if not table[code].max() > table[code].min():
            raise DataError(f"{code} does not vary over the units; it can have no importance.", column=code)

    upper = _above(hierarchy, level)
    above = [(groups or {}).get(c, rules[hierarchy.levels[c] - 2]) for c in upper.aggregates]
    linear = all(rule.method == "arithmetic_mean" and rule.floor == 0 for rule in above)
    importance: Importance
    if linear and table.notna().all(axis=None):
        importance = _linear(table, members, hierarchy)
    else:
        importance = _general(table, codes, upper, rules[level - 1 :], groups or {}, top[0])
    sizes = [len(group) for _, group in members]
    starts = [
        np.concatenate([np.full(size, 1 / size) for size in sizes]),
        np.concatenate([_shares(np.asarray(hierarchy.weights[group], dtype=np.float64)) for _, group in members]),
    ]
    ends = [_minimised(importance, start, sizes, shares, objective) for start in starts]
    best = ends[0] if ends[0].fun <= ends[1].fun else ends[1]
    found = np.where(best.x < 1e-9, 0.0, best.x)
    correlations, _ = importance(found)
    reached = correlations / correlations.sum()
    loss = float(((reached - shares) ** 2).mean()) if objective == "target" else float(correlations.mean())
    details = {
        code: {"target": shares[k], "reached": float(reached[k]), "correlation": float(correlations[k])}
        if objective == "target"
        else {"correlation": float(correlations[k])}
        for k, code in enumerate(codes)
    }
    place = {code: float(weight) for code, weight in zip(codes, found, strict=True)}
    return weighting(
        [(group, {code: place[code] for code in names}) for group, names in members],
        details,
        {"objective": objective, "reached": loss, "converged": bool(best.success), "level": level},
    )


def _targets(targets: Mapping[str, float] | None, codes: list[str], known: Sequence[str]) -> FloatArray:
    if targets is None:
        return np.full(len(codes), 1 / len(codes))
    for code, target in targets.items():
        if code not in codes:
            where = "stands on another level" if code in known else "is no element of the hierarchy"
            raise MetaError(f"the target {code} {where}; name the elements {', '.join(codes)}.", column="iCode")
        if not 0 <= float(target) < np.inf:
            raise MetaError(f"the target of {code} is {target:g}; write a finite number of 0 or more.", column="iCode")
    absent = [code for code in codes if code not in targets]
    if absent:
        raise MetaError(f"{', '.join(absent)} have no target; give one to each element.", column="iCode")
    found = np.array([float(targets[code]) for code in codes])
    if not found.any():
        raise MetaError("the targets sum to 0; give at least one above 0.", column="iCode")
    return _shares(found)


def _shares(weights: FloatArray) -> FloatArray:
    shares: FloatArray = weights / weights.sum()
    return shares


def _above(hierarchy: Hierarchy, level: int) -> Hierarchy:
    """The part of the hierarchy from a level up, its elements standing as indicators."""
    elements = tuple(code for _, group in groups_of(hierarchy, level) for code in group)
    aggregates = tuple(code for code in hierarchy.aggregates if hierarchy.levels[code] > level)
    kept = [*elements, *aggregates]
    return replace(
        hierarchy,
        indicators=elements,
        aggregates=aggregates,
        levels={code: hierarchy.levels[code] - level + 1 for code in kept},
        parents={code: hierarchy.parents[code] for code in kept if code in hierarchy.parents},
        weights=hierarchy.weights[kept],
        directions=pd.Series(1.0, index=list(elements)),
    )


def _linear(table: pd.DataFrame, members: list[tuple[str, list[str]]], hierarchy: Hierarchy) -> Importance:
    """Where the index is a sum of the elements, correlations follow from their covariances."""
    effective = effective_weights(hierarchy)
    of_group = np.concatenate([np.full(len(names), effective[group]) for group, names in members])
    cells = table.to_numpy(dtype=np.float64)
    centred = cells - cells.mean(axis=0)
    covariance = centred.T @ centred / max(len(cells) - 1, 1)
    spread = np.sqrt(np.diag(covariance))

    def importance(weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        with_index = covariance @ (weights * of_group)
        deviation = np.sqrt(float((weights * of_group) @ with_index))
        r = with_index / (spread * deviation)
        slopes = covariance / (spread[:, None] * deviation) - r[:, None] * with_index / deviation**2
        return r, slopes * of_group

    return importance


def _general(
    table: pd.DataFrame,
    codes: list[str],
    upper: Hierarchy,
    rules: Sequence[LevelRule],
    groups: Mapping[str, LevelRule],
    top: str,
) -> Importance:
    """With gaps or other means the upper levels are scored anew for every weighting that is tried."""
    cells = table.to_numpy(dtype=np.float64)
    kept = {code: rule for code, rule in groups.items() if code in upper.aggregates}

    def importance(weights: FloatArray) -> tuple[FloatArray, None]:
        weighed = with_weights(upper, dict(zip(codes, np.maximum(weights, 0).tolist(), strict=True)))
        index = aggregate(table, weighed, rules, groups=kept)[top].to_numpy()
        both = ~np.isnan(cells) & ~np.isnan(index)[:, None]
        count = both.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            x = np.where(both, cells, 0.0)
            y = np.where(both, index[:, None], 0.0)
            x = np.where(both, x - x.sum(axis=0) / count, 0.0)
            y = np.where(both, y - y.sum(axis=0) / count, 0.0)
            r = (x * y).sum(axis=0) / np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
        if np.isnan(r).any():
            code = codes[int(np.flatnonzero(np.isnan(r))[0])]
            raise DataError(
                f"{code} has no correlation with {top}: too few units have both, or one does not vary.", column=code
            )
        return r, None

    return importance


def _minimised(importance: Importance, start: FloatArray, sizes: list[int], shares: FloatArray, objective: str) -> Any:
    from scipy.optimize import minimize  # slow to load, and seldom needed

    m = len(start)
    ends = np.cumsum(sizes)
    sums = np.zeros((len(sizes), m))
    for row, (last, size) in enumerate(zip(ends, sizes, strict=True)):
        sums[row, last - size : last] = 1.0

    def loss(weights: FloatArray) -> float:
        r, _ = importance(weights)
        if objective == "infomax":
            return -float(r.mean())
        # In units of an equal share, so that one stopping rule fits any number of elements.
        return float(((m * (r / r.sum() - shares)) ** 2).mean())

    def slope(weights: FloatArray) -> FloatArray:
        r, slopes = importance(weights)
        assert slopes is not None
        if objective == "infomax":
            steepest: FloatArray = -slopes.mean(axis=0)
            return steepest
        total = r.sum()
        of_shares = slopes / total - r[:, None] * slopes.sum(axis=0) / total**2
        found: FloatArray = 2 * m * (r / total - shares) @ of_shares
        return found

    exact = importance(start)[1] is not None
    return minimize(
        loss,
        start,
        jac=slope if exact else "2-point",
        method="SLSQP",
        bounds=[(0.0, 1.0)] * m,
        constraints={"type": "eq", "fun": lambda w: sums @ w - 1, "jac": lambda w: sums},
        # Slopes from differences are good to about 1e-8; asking more of them only walks in circles.
        options={"ftol": 1e-15 if exact else 1e-11, "maxiter": 500},
    )

"""Weights that somebody sets: equal, or by name; and what every way of weighting hands back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.errors import MetaError
from cci.engine.meta import Hierarchy, checked_weights, power_of_two_scaled
from cci.engine.tables import FloatArray


@dataclass(frozen=True)
class Weighting:
    """Weights of some elements, and how they came about.

    weights : labelled by element, >= 0, summing to 1 in each group. For `with_weights`.
    details : one row per element, `group`, `weight` and what the method knows of it.
    report : what concerns the whole: counts, shares reached, plain values.
    """

    weights: "pd.Series[float]"
    details: pd.DataFrame
    report: dict[str, Any] = field(default_factory=dict)


def with_weights(hierarchy: Hierarchy, weights: "pd.Series[float] | Mapping[str, float]") -> Hierarchy:
    """The hierarchy with other weights for the elements named; the others keep theirs.

    Raises MetaError, naming the element or group, for a code that the hierarchy does not have, a weight that
    is missing, negative or infinite, and a group left without weight.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> with_weights(tree, {"b": 1.0}).weights.to_dict()
    {'a': 1.0, 'b': 1.0, 'T': 1.0}
    """
    given = {str(code): float(weight) for code, weight in weights.items()}
    unknown = [code for code in given if code not in hierarchy.levels]
    if unknown:
        raise MetaError(f"the hierarchy has no element {', '.join(unknown)}; correct the weights.", column="iCode")
    changed = hierarchy.weights.copy()
    for code, weight in given.items():
        if not 0 <= weight < np.inf:
            raise MetaError(f"the weight of {code} is {weight:g}; write a finite number of 0 or more.", column="Weight")
        changed[code] = weight
    for aggregate in hierarchy.aggregates:
        checked_weights(changed, hierarchy.components(aggregate), group=aggregate)
    return replace(hierarchy, weights=changed)


def equal_weights(hierarchy: Hierarchy, *, level: int | None = None) -> Weighting:
    """The same weight for each element of a group, on one level or (None) on all below the top.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> equal_weights(tree).weights.to_dict()
    {'a': 0.5, 'b': 0.5}
    """
    groups = [members for one in levels_of(hierarchy, level) for members in groups_of(hierarchy, one)]
    return weighting([(group, {code: 1 / len(codes) for code in codes}) for group, codes in groups])


def levels_of(hierarchy: Hierarchy, level: int | None) -> list[int]:
    """The levels meant: one, checked to have a level above it, or all that have."""
    top = hierarchy.top_level
    if level is None:
        return list(range(1, top))
    if not 1 <= level < top:
        raise ValueError(f"Level {level} has no weights; the hierarchy weighs the levels 1 to {top - 1}.")
    return [level]


def groups_of(hierarchy: Hierarchy, level: int) -> list[tuple[str, list[str]]]:
    """The aggregates above a level, each with its components in their order."""
    return [(group, hierarchy.components(group)) for group in hierarchy.at_level(level + 1)]


def group_values(values: pd.DataFrame, codes: list[str]) -> FloatArray:
    """The columns of a group as an array, rows sorted by unit so that their order moves no digit."""
    absent = [code for code in codes if code not in values.columns]
    if absent:
        raise ValueError(f"The table has no column for {', '.join(absent)}; every element weighed needs one.")
    return values[codes].sort_index().to_numpy(dtype=np.float64)


def weighting(
    groups: list[tuple[str, dict[str, float]]],
    details: Mapping[str, Mapping[str, Any]] | None = None,
    report: dict[str, Any] | None = None,
) -> Weighting:
    """Put raw weights of groups, >= 0 and not all 0, into shares of 1, with their details.

    Shares are rounded to 12 digits: the last ones come from a library's linear algebra, and would differ
    from machine to machine.
    """
    rows: dict[str, dict[str, Any]] = {}
    for group, raw in groups:
        scaled = power_of_two_scaled(checked_weights(raw, list(raw), group=group))
        total = sum(scaled.tolist())
        for code, weight in zip(raw, scaled.tolist(), strict=True):
            rows[code] = {"group": group, "weight": float(f"{weight / total:.12g}"), **(details or {}).get(code, {})}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return Weighting(table["weight"].astype(np.float64), table, report or {})

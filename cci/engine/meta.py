"""Read the hierarchy of the index: indicators, their groups up to the top, directions and weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cci.engine.errors import MetaError
from cci.engine.tables import FloatArray, numbers, refuse_blank_twins, refuse_formulas, texts

REQUIRED = ("Level", "iCode", "Parent", "Direction", "Weight")
USED = (*REQUIRED, "Type")
ELEMENTS = ("Indicator", "Aggregate")
OTHERS = ("Group", "Denominator", "Other")
RESERVED = ("uCode", "Time")


@dataclass(frozen=True)
class Hierarchy:
    """A checked tree. Level 1 holds the indicators; the parent of level l stands on level l + 1.

    `indicators` and `aggregates` keep the order of the meta; `directions` (+1 more is better, -1 less is
    better) covers the indicators, `weights` (any scale, never negative) all elements.
    """

    indicators: tuple[str, ...]
    aggregates: tuple[str, ...]
    levels: Mapping[str, int]
    parents: Mapping[str, str]
    weights: "pd.Series[float]"
    directions: "pd.Series[float]"
    unused_columns: tuple[str, ...] = ()
    unused_rows: tuple[str, ...] = ()
    reversed_aggregates: tuple[str, ...] = ()

    @property
    def top_level(self) -> int:
        return max(self.levels.values())

    def components(self, aggregate: str) -> list[str]:
        """The direct components of an aggregate, sorted by code: sums are always taken in this order,
        so that the order of rows in the meta never moves the last digit."""
        return sorted(code for code, parent in self.parents.items() if parent == aggregate)

    def at_level(self, level: int) -> list[str]:
        """The elements of a level, in the order of the meta."""
        return [code for code in (*self.indicators, *self.aggregates) if self.levels[code] == level]


def read_meta(meta: pd.DataFrame, *, file: str = "meta") -> Hierarchy:
    """Check the table of elements and return it as a tree.

    meta : one row per element, columns Level (1 = indicator), iCode, Parent (empty at the top),
        Direction (+1 or -1; may be empty for aggregates), Weight (0 or more), optionally Type
        (Indicator, Aggregate; rows of type Group, Denominator or Other, and rows without Level, are
        left aside). Text or numbers. Further columns are not used and are listed.

    Raises MetaError, naming file, row and column, for whatever is not such a tree.

    >>> meta = pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                      "Direction": [1, -1, 1], "Weight": [1, 3, 1]})
    >>> tree = read_meta(meta)
    >>> tree.components("T"), float(tree.directions["b"]), effective_weights(tree).to_dict()
    (['a', 'b'], -1.0, {'a': 0.25, 'b': 0.75, 'T': 1.0})
    """
    for column in REQUIRED:
        if column not in meta.columns:
            raise MetaError(
                "the column is missing; the meta needs " + ", ".join(REQUIRED) + ".",
                file=file,
                row=1,
                column=column,
            )
    codes, parents = texts(meta["iCode"]), texts(meta["Parent"])
    types = texts(meta["Type"]) if "Type" in meta.columns else [""] * len(meta)
    level = numbers(meta["Level"], name="Level", file=file, error=MetaError)
    direction = numbers(meta["Direction"], name="Direction", file=file, error=MetaError)
    weight = numbers(meta["Weight"], name="Weight", file=file, error=MetaError)

    refuse_formulas(codes, name="iCode", file=file, error=MetaError)
    refuse_blank_twins(codes, name="iCode", file=file, error=MetaError)
    rows: dict[str, int] = {}
    for position, code in enumerate(codes):
        if not code.strip():
            raise _error("the element has no code; give it one.", file, position, "iCode")
        if code in rows:
            raise _error(
                f"{code} stands twice, first in row {rows[code] + 2}; a code is given once.",
                file,
                position,
                "iCode",
            )
        rows[code] = position
    elements = {code: p for code, p in rows.items() if _is_element(types[p], level[p], code, file, p)}
    for code, p in elements.items():
        _check_element(code, types[p], level[p], direction[p], weight[p], file, p)
    _check_tree(elements, rows, {code: parents[p] for code, p in elements.items()}, level, file)

    indicators = tuple(code for code, p in elements.items() if level[p] == 1)
    if not indicators:
        raise MetaError("no row has Level 1; the index needs at least one indicator.", file=file, column="Level")
    aggregates = tuple(code for code in elements if code not in set(indicators))
    hierarchy = Hierarchy(
        indicators=indicators,
        aggregates=aggregates,
        levels={code: int(level[p]) for code, p in elements.items()},
        parents={code: parents[p] for code, p in elements.items() if parents[p]},
        weights=pd.Series({code: float(weight[p]) for code, p in elements.items()}, dtype=np.float64),
        directions=pd.Series({code: float(direction[rows[code]]) for code in indicators}, dtype=np.float64),
        unused_columns=tuple(str(column) for column in meta.columns if column not in USED),
        unused_rows=tuple(code for code in codes if code not in elements),
        reversed_aggregates=tuple(code for code in aggregates if direction[rows[code]] == -1),
    )
    _check_groups(hierarchy, rows, file)
    return hierarchy


def effective_weights(hierarchy: Hierarchy) -> "pd.Series[float]":
    """Give each element's share in the top: weights are shared out in each group and multiplied down.

    Returns shape (n_elements,), dimensionless; the elements below one top sum to 1 on each level
    (method note, section 7).
    """
    weights = hierarchy.weights.to_dict()
    shares = dict.fromkeys([code for code in hierarchy.levels if code not in hierarchy.parents], 1.0)
    for level in range(hierarchy.top_level, 1, -1):
        for group in hierarchy.at_level(level):
            components = hierarchy.components(group)
            scaled = power_of_two_scaled(np.array([weights[code] for code in components])).tolist()
            total = sum(scaled)
            for code, weight in zip(components, scaled, strict=True):
                shares[code] = shares[group] * weight / total
    order = (*hierarchy.indicators, *hierarchy.aggregates)
    return pd.Series({code: shares[code] for code in order}, dtype=np.float64)


def scaled_weights(weights: "pd.Series[float]") -> "pd.Series[float]":
    """The weights of one group, the largest brought to between 1/2 and 1, so that no sum overflows.

    Only their relation counts; a power of two changes no digit.
    """
    return pd.Series(power_of_two_scaled(np.asarray(weights, dtype=np.float64)), index=weights.index)


def power_of_two_scaled(weights: FloatArray) -> FloatArray:
    """As `scaled_weights`, for an array. shape (n_components,)."""
    _, exponent = np.frexp(weights.max())
    scaled: FloatArray = np.ldexp(weights, -exponent)
    return scaled


def checked_weights(
    weights: "pd.Series[float] | Mapping[str, float]", components: Sequence[str], *, group: str
) -> FloatArray:
    """The weights of one group's components, in their order. shape (n_components,), >= 0, not all 0.

    Raises MetaError, naming the component, for a weight that is missing, infinite or negative, and naming
    the group for weights that are all 0.

    >>> checked_weights({"a": 1.0, "b": 3.0}, ["b", "a"], group="T").tolist()
    [3.0, 1.0]
    """
    for code in components:
        weight = float(weights.get(code, np.nan))
        if not 0 <= weight < np.inf:
            raise MetaError(
                f"the weight of {code} in {group} is {weight:g}; write a finite number of 0 or more.", column="Weight"
            )
    found = np.array([weights[code] for code in components], dtype=np.float64)
    if not found.any():
        raise MetaError(
            f"the weights of {group} sum to 0; give at least one of {', '.join(components)} a weight above 0.",
            column="Weight",
        )
    return found


def _error(message: str, file: str, position: int, column: str) -> MetaError:
    return MetaError(message, file=file, row=position + 2, column=column)


def _is_element(kind: str, level: float, code: str, file: str, position: int) -> bool:
    """Tell indicators and aggregates from groups, denominators and the like."""
    if np.isnan(level):
        if kind in ELEMENTS:
            raise _error(
                f"{code} is an {kind} without a level; write 1 for an indicator, more for an aggregate.",
                file,
                position,
                "Level",
            )
        return False
    if kind in ("", *ELEMENTS):
        return True
    if kind in OTHERS:
        return False
    raise _error(f"{kind!r} is no type; write {', '.join((*ELEMENTS, *OTHERS))}.", file, position, "Type")


def _check_element(
    code: str, kind: str, level: float, direction: float, weight: float, file: str, position: int
) -> None:
    if level < 1 or not float(level).is_integer():
        raise _error(f"the level of {code} must be 1, 2, 3 …", file, position, "Level")
    if kind and (kind == "Indicator") != (level == 1):
        raise _error(
            f"{code} is an {kind} on level {level:g}; indicators, and only they, stand on level 1.",
            file,
            position,
            "Level",
        )
    if code in RESERVED:
        raise _error(f"{code} is the name of a column that marks units; choose another.", file, position, "iCode")
    if direction not in (1, -1) and not (np.isnan(direction) and level > 1):
        raise _error(
            f"the direction of {code} must be 1 (more is better) or -1 (less is better).",
            file,
            position,
            "Direction",
        )
    if np.isnan(weight):
        raise _error(f"{code} has no weight; write a number, 0 or more.", file, position, "Weight")
    if weight < 0:
        raise _error(f"the weight of {code} is negative; write 0 or more.", file, position, "Weight")


def _check_tree(
    elements: dict[str, int], rows: dict[str, int], parents: dict[str, str], level: np.ndarray, file: str
) -> None:
    top = max((level[p] for p in elements.values()), default=0)
    for code, p in elements.items():
        parent = parents[code]
        if parent and parent not in elements:
            where = f" (row {rows[parent] + 2} is no aggregate)" if parent in rows else ""
            raise _error(
                f"{code} has the parent {parent}, which the meta does not define{where}; add its row.",
                file,
                p,
                "Parent",
            )
    for code, p in elements.items():
        path, step = [code], parents[code]
        while step and step not in path:
            path.append(step)
            step = parents[step]
        # An element that only leads into a circle is not to blame; those on it are.
        if step == code:
            loop = " → ".join([*path, step])
            raise _error(f"parents run in a circle ({loop}); parents lead up to the top.", file, p, "Parent")
    for code, p in elements.items():
        parent = parents[code]
        if not parent and level[p] < top:
            raise _error(f"{code} has no parent and is not at the top; name one.", file, p, "Parent")
        if parent and level[elements[parent]] != level[p] + 1:
            raise _error(
                f"{code} on level {level[p]:g} has the parent {parent} on level "
                f"{level[elements[parent]]:g}; a parent stands exactly one level above.",
                file,
                p,
                "Parent",
            )


def _check_groups(hierarchy: Hierarchy, rows: dict[str, int], file: str) -> None:
    weights = hierarchy.weights.to_dict()
    for aggregate in hierarchy.aggregates:
        components = hierarchy.components(aggregate)
        if not components:
            raise _error(
                f"no element has {aggregate} as its parent; add one or delete the row.",
                file,
                rows[aggregate],
                "iCode",
            )
        if not any(weights[code] for code in components):
            raise _error(
                f"the weights of the group {aggregate} sum to 0; give at least one of "
                f"{', '.join(components)} a weight above 0.",
                file,
                rows[components[0]],
                "Weight",
            )

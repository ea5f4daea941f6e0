"""Weights from how much the elements tell units apart: entropy and CRITIC."""

import numpy as np
import pandas as pd

from cci.engine.errors import DataError
from cci.engine.meta import Hierarchy
from cci.engine.tables import FloatArray
from cci.engine.weighting.given import Weighting, group_values, groups_of, levels_of, weighting


def entropy_weights(values: pd.DataFrame, hierarchy: Hierarchy, level: int) -> Weighting:
    """Weights by Shannon's entropy: an element spread evenly over the units says little and weighs little.

    p_i = z_i / sum(z) over the n units that have the element, e = -sum(p ln p) / ln n, w ∝ 1 - e in each group.

    values : shape (n_units, n_elements), the level's columns among others, >= 0; NaN means missing. The
        weights depend on where 0 stands on the scale. Returns weights; details: entropy.
    Raises DataError for a negative value, an element of zeros only or with fewer than two units, and a group
    none of whose elements varies. Method note, section 7.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> data = pd.DataFrame({"a": [5.0, 5.0, 5.0], "b": [1.0, 5.0, 9.0]})
    >>> entropy_weights(data, tree, 1).weights.to_dict()
    {'a': 0.0, 'b': 1.0}
    """
    levels_of(hierarchy, level)
    groups, details = [], {}
    for group, codes in groups_of(hierarchy, level):
        raw = {}
        for code, column in zip(codes, group_values(values, codes).T, strict=True):
            z = column[~np.isnan(column)]
            if (z < 0).any():
                raise DataError(
                    f"{code} has the value {z.min():g}; entropy needs values of 0 or more, so normalise to such.",
                    column=code,
                )
            if len(z) < 2 or not z.any():
                raise DataError(
                    f"{code} has {len(z)} values, {np.count_nonzero(z)} above 0; entropy needs two, one above 0.",
                    column=code,
                )
            p = z / z.sum()
            with np.errstate(divide="ignore", invalid="ignore"):
                entropy = float(-np.where(p > 0, p * np.log(p), 0.0).sum() / np.log(len(z)))
            raw[code] = max(1 - entropy, 0.0) if z.max() > z.min() else 0.0
            details[code] = {"entropy": entropy}
        groups.append((group, _varied(raw, group)))
    return weighting(groups, details)


def critic_weights(values: pd.DataFrame, hierarchy: Hierarchy, level: int) -> Weighting:
    """CRITIC weights: an element weighs by its spread and by how little the group's others repeat it.

    w_j ∝ s_j * sum over k of (1 - r_jk), s the standard deviation of the element scaled to 0–1 by its own
    range, r Pearson's correlation over the units that have both (Diakoulaki, Mavrotas and Papayannakis, 1995).

    values : shape (n_units, n_elements), the level's columns among others; NaN means missing.
    Returns weights; details: spread, conflict. Raises DataError for an element that does not vary, a pair
    with no correlation, and a group whose elements all repeat each other. Method note, section 7.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 1, 2], "iCode": ["a", "b", "c", "T"],
    ...                                "Parent": ["T", "T", "T", ""], "Direction": 1, "Weight": 1}))
    >>> data = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [10.0, 20.0, 30.0], "c": [1.0, 5.0, 1.0]})
    >>> critic_weights(data, tree, 1).details["conflict"].tolist()
    [1.0, 1.0, 2.0]
    """
    levels_of(hierarchy, level)
    groups, details = [], {}
    for group, codes in groups_of(hierarchy, level):
        if len(codes) == 1:
            groups.append((group, {codes[0]: 1.0}))
            continue
        cells = group_values(values, codes)
        low, high = np.fmin.reduce(cells, axis=0), np.fmax.reduce(cells, axis=0)
        raw = {}
        for j, code in enumerate(codes):
            if not high[j] > low[j]:
                raise DataError(f"{code} does not vary over the units; leave it out.", column=code)
            z = (cells[:, j] - low[j]) / (high[j] - low[j])
            spread = float(np.std(z[~np.isnan(z)], ddof=1))
            conflict = sum(
                1 - _correlation(cells[:, j], cells[:, k], code, codes[k]) for k in range(len(codes)) if k != j
            )
            raw[code] = spread * max(conflict, 0.0)
            details[code] = {"spread": spread, "conflict": conflict}
        groups.append((group, _varied({c: w if w > 1e-12 else 0.0 for c, w in raw.items()}, group)))
    return weighting(groups, details)


def _correlation(x: FloatArray, y: FloatArray, first: str, second: str) -> float:
    both = ~np.isnan(x) & ~np.isnan(y)
    x, y = x[both], y[both]
    if len(x) < 2 or x.max() == x.min() or y.max() == y.min():
        raise DataError(
            f"{first} and {second} have {len(x)} units in common, too few or too alike for a correlation; leave "
            "one out.",
            column=first,
        )
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()), -1, 1))


def _varied(raw: dict[str, float], group: str) -> dict[str, float]:
    if not any(raw.values()):
        raise DataError(
            f"no component of {group} tells units apart by itself; weigh the group otherwise.", column=group
        )
    return raw

"""Join the components of each group into one score, level by level."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.errors import NonPositiveError
from cci.engine.meta import Hierarchy, scaled_weights
from cci.engine.tables import FloatArray

METHODS = ("arithmetic_mean", "geometric_mean", "harmonic_mean")
NEEDS_POSITIVE = ("geometric_mean", "harmonic_mean")


@dataclass(frozen=True)
class LevelRule:
    """How the groups of one level are made; 0 means "no limit" in each of the numbers.

    min_available : least share of the direct components that must be present, in [0, 1].
    min_components : least number of them.
    min_weight_share : least share of the group's weight that they hold, in [0, 1].
    floor : component scores below it count as it (rule N3 of the FACTS framework: 1 at the top).
    """

    method: str = "arithmetic_mean"
    min_available: float = 2 / 3
    min_components: int = 0
    min_weight_share: float = 0.0
    floor: float = 0.0


def arithmetic_mean(values: pd.DataFrame, weights: "pd.Series[float]") -> "pd.Series[float]":
    """Weighted mean of the components present: sum(w z) / sum(w).

    values : shape (n_units, n_components); NaN means missing. weights : labelled by component, >= 0.
    Returns shape (n_units,); NaN where nothing that weighs is present. Method note, section 8.

    >>> values = pd.DataFrame({"a": [10.0, None, None], "b": [40.0, 40.0, None]})
    >>> arithmetic_mean(values, pd.Series({"a": 2.0, "b": 1.0})).tolist()
    [20.0, 40.0, nan]
    """
    return _mean(values, weights, "arithmetic_mean", "the group")


def geometric_mean(values: pd.DataFrame, weights: "pd.Series[float]") -> "pd.Series[float]":
    """Weighted geometric mean of the components present: exp(sum(w ln z) / sum(w)).

    As `arithmetic_mean`; raises NonPositiveError, naming unit and component, for a value <= 0.

    >>> values = pd.DataFrame({"a": [1.0, 8.0], "b": [100.0, None]})
    >>> geometric_mean(values, pd.Series({"a": 1.0, "b": 1.0})).round(12).tolist()
    [10.0, 8.0]
    """
    return _mean(values, weights, "geometric_mean", "the group")


def harmonic_mean(values: pd.DataFrame, weights: "pd.Series[float]") -> "pd.Series[float]":
    """Weighted harmonic mean of the components present: sum(w) / sum(w / z).

    As `arithmetic_mean`; raises NonPositiveError, naming unit and component, for a value <= 0.

    >>> values = pd.DataFrame({"a": [20.0], "b": [60.0]})
    >>> harmonic_mean(values, pd.Series({"a": 1.0, "b": 1.0})).round(12).tolist()
    [30.0]
    """
    return _mean(values, weights, "harmonic_mean", "the group")


def aggregate(
    normalised: pd.DataFrame, hierarchy: Hierarchy, rules: Sequence[LevelRule], *, exact_counts: bool = True
) -> pd.DataFrame:
    """Score every aggregate of the hierarchy, from the indicators up.

    normalised : shape (n_units, n_indicators), on one scale, more is better; NaN means missing.
    rules : one per step, the first for the parents of indicators.
    exact_counts : compare whole counts with the limit, n_present >= ceil(share * n - 1e-9); False
        compares n_present / n in floating point, as COINr does.

    Returns shape (n_units, n_aggregates), on the same scale, columns in the order of the meta. A group
    is NaN where a limit is missed, and counts as a missing component one level up. Weights are re-scaled
    over the components present. Raises NonPositiveError from geometric and harmonic means.
    Method note, section 8; rules N3 and N7 of the FACTS framework.
    """
    steps = hierarchy.top_level - 1
    if len(rules) != steps:
        raise ValueError(f"{steps} steps of aggregation need {steps} rules, not {len(rules)}.")
    columns: dict[str, FloatArray] = {
        code: normalised[code].to_numpy(dtype=np.float64) for code in hierarchy.indicators
    }
    for level, rule in enumerate(rules, start=2):
        for code in hierarchy.at_level(level):
            components = hierarchy.components(code)
            values = pd.DataFrame({c: columns[c] for c in components}, index=normalised.index)
            weights = hierarchy.weights[components]
            present = enough(values, weights, rule, exact_counts=exact_counts)
            # Units that miss the limit are blanked first: they need no mean, so they cannot spoil one.
            values = values.where(pd.Series(present, index=values.index), axis=0)
            if rule.floor > 0:
                values = values.clip(lower=rule.floor)
            columns[code] = np.asarray(_mean(values, weights, rule.method, code), dtype=np.float64)
    return pd.DataFrame({code: columns[code] for code in hierarchy.aggregates}, index=normalised.index)


def enough(
    values: pd.DataFrame, weights: "pd.Series[float]", rule: LevelRule, *, exact_counts: bool = True
) -> NDArray[np.bool_]:
    """Say for each unit whether the components present reach all limits of the rule. shape (n_units,).

    >>> values = pd.DataFrame({"a": [1.0, None], "b": [1.0, 1.0], "c": [None, None]})
    >>> enough(values, pd.Series({"a": 1.0, "b": 1.0, "c": 1.0}), LevelRule(min_available=2 / 3)).tolist()
    [True, False]
    """
    present = ~np.isnan(values.to_numpy(dtype=np.float64))
    count, n = present.sum(axis=1), present.shape[1]
    if exact_counts:
        ok = count >= math.ceil(rule.min_available * n - 1e-9)
    else:
        ok = count / n >= rule.min_available
    share = np.zeros(len(values))
    scaled = scaled_weights(weights[list(values.columns)])
    for position, weight in enumerate(scaled):
        share += present[:, position] * weight
    share /= sum(scaled)
    result: NDArray[np.bool_] = ok & (count >= rule.min_components) & (share >= rule.min_weight_share - 1e-9)
    return result


def coverage(observed: pd.DataFrame, hierarchy: Hierarchy) -> pd.DataFrame:
    """Share of each aggregate's effective weight that rests on really observed indicators.

    observed : shape (n_units, n_indicators), bool: the cell has a value that was not imputed.
    Returns shape (n_units, n_aggregates), shares in [0, 1], columns in the order of the meta. A group
    withheld for want of data keeps its share: it tells what is known, not what was used.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> coverage(pd.DataFrame({"a": [True], "b": [False]}, index=["X"]), tree).to_dict("list")
    {'T': [0.25]}
    """
    columns: dict[str, FloatArray] = {code: observed[code].to_numpy(dtype=np.float64) for code in hierarchy.indicators}
    for level in range(2, hierarchy.top_level + 1):
        for code in hierarchy.at_level(level):
            components = hierarchy.components(code)
            weights = scaled_weights(hierarchy.weights[components])
            share: FloatArray = np.zeros(len(observed))
            for component in components:
                share += columns[component] * float(weights[component])
            # Rounding may leave a complete unit at 1 + 2e-16.
            columns[code] = np.minimum(share / sum(weights), 1)
    return pd.DataFrame({code: columns[code] for code in hierarchy.aggregates}, index=observed.index)


def _mean(values: pd.DataFrame, weights: "pd.Series[float]", method: str, group: str) -> "pd.Series[float]":
    """The weighted mean of a method over the components present; the sum runs in the columns' order."""
    if method not in METHODS:
        raise ValueError(f"{method!r} is no aggregation; choose {', '.join(METHODS)}.")
    n, weights = len(values), scaled_weights(weights)
    total, weight = np.zeros(n), np.zeros(n)
    low: FloatArray = np.full(n, np.inf)
    high: FloatArray = np.full(n, -np.inf)
    for component in values.columns:
        w = float(weights[component])
        if w == 0:
            continue
        cells: FloatArray = np.asarray(values[component], dtype=np.float64)
        present = ~np.isnan(cells)
        if method in NEEDS_POSITIVE and (cells <= 0).any():
            first = int(np.flatnonzero(cells <= 0)[0])
            raise NonPositiveError(
                unit=values.index[first],
                component=str(component),
                group=group,
                value=float(cells[first]),
                method=method.replace("_", " "),
            )
        terms = cells
        if method == "geometric_mean":
            terms = np.log(cells)
        elif method == "harmonic_mean":
            terms = 1 / cells
        total += np.where(present, w * terms, 0)
        weight += np.where(present, w, 0)
        low, high = np.fmin(low, cells), np.fmax(high, cells)
    result = np.full(n, np.nan)
    if method == "harmonic_mean":
        np.divide(weight, total, out=result, where=weight > 0)
    else:
        np.divide(total, weight, out=result, where=weight > 0)
    if method == "geometric_mean":
        result = np.exp(result)
    # A mean lies among its components; held exactly, so equal components give just that value. A sum
    # that overflowed must not hide behind those bounds.
    result = np.where(np.isfinite(total), np.clip(result, low, high), np.inf)
    return pd.Series(np.where(weight > 0, result, np.nan), index=values.index)

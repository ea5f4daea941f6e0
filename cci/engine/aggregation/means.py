"""Join the components of one group into one score: means, median, and a mean with a penalty."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.errors import NonPositiveError
from cci.engine.meta import checked_weights, power_of_two_scaled
from cci.engine.tables import FloatArray

MEANS = ("arithmetic_mean", "geometric_mean", "harmonic_mean", "generalised_mean", "median", "mazziotta_pareto")
POWERS = {"arithmetic_mean": 1.0, "geometric_mean": 0.0, "harmonic_mean": -1.0}


def arithmetic_mean(values: pd.DataFrame, weights: "pd.Series[float]") -> "pd.Series[float]":
    """Weighted mean of the components present: sum(w z) / sum(w).

    values : shape (n_units, n_components); NaN means missing. weights : labelled by component, >= 0.
    Returns shape (n_units,); NaN where nothing that weighs is present. Raises MetaError for a weight that
    is missing, negative or infinite, or weights that are all 0. Method note, section 8.

    >>> values = pd.DataFrame({"a": [10.0, None, None], "b": [40.0, 40.0, None]})
    >>> arithmetic_mean(values, pd.Series({"a": 2.0, "b": 1.0})).tolist()
    [20.0, 40.0, nan]
    """
    return _of_frame(values, weights, "arithmetic_mean")


def geometric_mean(values: pd.DataFrame, weights: "pd.Series[float]") -> "pd.Series[float]":
    """Weighted geometric mean of the components present: exp(sum(w ln z) / sum(w)).

    As `arithmetic_mean`; raises NonPositiveError, naming unit and component, for a value <= 0.

    >>> values = pd.DataFrame({"a": [1.0, 8.0], "b": [100.0, None]})
    >>> geometric_mean(values, pd.Series({"a": 1.0, "b": 1.0})).round(12).tolist()
    [10.0, 8.0]
    """
    return _of_frame(values, weights, "geometric_mean")


def harmonic_mean(values: pd.DataFrame, weights: "pd.Series[float]") -> "pd.Series[float]":
    """Weighted harmonic mean of the components present: sum(w) / sum(w / z).

    As `arithmetic_mean`; raises NonPositiveError, naming unit and component, for a value <= 0.

    >>> values = pd.DataFrame({"a": [20.0], "b": [60.0]})
    >>> harmonic_mean(values, pd.Series({"a": 1.0, "b": 1.0})).round(12).tolist()
    [30.0]
    """
    return _of_frame(values, weights, "harmonic_mean")


def generalised_mean(
    values: pd.DataFrame, weights: "pd.Series[float]", *, power: float, skip_missing: bool = True
) -> "pd.Series[float]":
    """Weighted power mean of the components present: (sum(w z^p) / sum(w))^(1/p).

    As `arithmetic_mean`. power : 1 is the arithmetic, 0 the geometric (the limit), -1 the harmonic mean;
    the lower, the less a strong component makes up for a weak one. skip_missing : False gives NaN to a unit
    that lacks any component, as COINr does.

    Raises NonPositiveError for a value <= 0 where the power is negative, 0 or fractional, and for one < 0
    where it is even: a better value would lower the mean. Method note, section 8 (COINr `a_genmean`).

    >>> values = pd.DataFrame({"a": [1.0], "b": [9.0]})
    >>> generalised_mean(values, pd.Series({"a": 1.0, "b": 1.0}), power=0.5).round(12).tolist()
    [4.0]
    """
    return _of_frame(values, weights, "generalised_mean", power=power, skip_missing=skip_missing)


def median(values: pd.DataFrame, weights: "pd.Series[float]") -> "pd.Series[float]":
    """Weighted median of the components present: the smallest z up to which half of the weight lies.

    As `arithmetic_mean`. Where exactly half lies up to z, the mean of z and the next. Method note, section 8.

    >>> values = pd.DataFrame({"a": [1.0, 1.0], "b": [2.0, 2.0], "c": [9.0, None]})
    >>> median(values, pd.Series({"a": 1.0, "b": 1.0, "c": 1.0})).tolist()
    [2.0, 1.5]
    """
    return _of_frame(values, weights, "median")


def mazziotta_pareto(values: pd.DataFrame, weights: "pd.Series[float]", *, sign: int = -1) -> "pd.Series[float]":
    """Arithmetic mean, corrected by how unequal the components are: M + sign * S * cv, cv = S / M.

    As `arithmetic_mean`. M is the weighted mean of the components present, S their standard deviation
    (weighted, divided by the whole weight). sign : -1 where more is better, so that imbalance costs; +1
    where more is worse. The score may leave the range of the components, and a better component may lower it.

    Raises NonPositiveError, naming unit and component, for a value < 0. Method note, section 8 (De Muro,
    Mazziotta and Pareto, 2011).

    >>> values = pd.DataFrame({"a": [110.0, 100.0], "b": [90.0, 100.0]})
    >>> mazziotta_pareto(values, pd.Series({"a": 1.0, "b": 1.0})).tolist()
    [99.0, 100.0]
    """
    return _of_frame(values, weights, "mazziotta_pareto", sign=sign)


def _of_frame(values: pd.DataFrame, weights: "pd.Series[float]", method: str, **options: Any) -> "pd.Series[float]":
    checked = checked_weights(weights, [str(code) for code in values.columns], group="the group")
    cells = np.ascontiguousarray(values.to_numpy(dtype=np.float64).T)
    refuse_non_positive(
        cells, checked, method, options.get("power", 1.0), values.columns.astype(str), "the group", values.index
    )
    return pd.Series(mean_of(cells, checked, method, **options), index=values.index)


def refuse_non_positive(
    cells: FloatArray,
    weights: FloatArray,
    method: str,
    power: float,
    components: Sequence[str] | pd.Index,
    group: str,
    units: pd.Index,
) -> None:
    """Raise NonPositiveError for the first component, and its first unit, that the method cannot take.

    cells : shape (n_components, n_units), other arguments as `mean_of`. Components without weight do not count.
    """
    if method == "generalised_mean" and power == 1 or method in ("arithmetic_mean", "median"):
        return
    whole = method == "generalised_mean" and power > 0 and float(power).is_integer()
    if whole and power % 2:
        return
    zero_too = not whole and method != "mazziotta_pareto"
    for row, weight, component in zip(cells, weights, components, strict=True):
        bad = row <= 0 if zero_too else row < 0
        if weight > 0 and bad.any():
            first = int(np.flatnonzero(bad)[0])
            name = method.replace("_", " ").replace("mazziotta pareto", "Mazziotta–Pareto mean")
            raise NonPositiveError(
                unit=units[first],
                component=str(component),
                group=group,
                value=float(row[first]),
                method=f"{name} of power {power:g}" if method == "generalised_mean" else name,
            )


def mean_of(
    cells: FloatArray,
    weights: FloatArray,
    method: str,
    *,
    power: float = 1.0,
    sign: int = -1,
    skip_missing: bool = True,
) -> FloatArray:
    """Join components; the arrays' side of the functions above, for values that the method can take.

    cells : shape (n_components, n_units), NaN is missing. weights : shape (n_components,), >= 0, not all 0.
    Returns shape (n_units,). Sums run over the components in their order, one after another for every unit
    alike, so that neither the number of units nor a library's way of adding moves the last digit.
    """
    weights = power_of_two_scaled(weights)
    if not (weights > 0).all():
        cells, weights = cells[weights > 0], weights[weights > 0]
    missing = np.isnan(cells)
    gaps: NDArray[np.bool_] = np.any(missing, axis=0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if method == "median":
            return _median(cells, ~missing, weights)
        if method == "mazziotta_pareto":
            return _mazziotta_pareto(cells, gaps, weights, sign)
        if method != "generalised_mean":
            return _power_mean(cells, gaps, weights, POWERS[method])
        result = _power_mean(cells, gaps, weights, power)
    return result if skip_missing else np.where(gaps, np.nan, result)


def _power_mean(cells: FloatArray, gaps: NDArray[np.bool_], weights: FloatArray, power: float) -> FloatArray:
    low, high = np.fmin.reduce(cells, axis=0), np.fmax.reduce(cells, axis=0)
    scale: FloatArray | float = 1.0
    if power == 1:
        terms = cells
    elif power == 0:
        terms = np.log(cells)
    elif power == -1:
        terms = 1 / cells
    else:
        # Against the largest (or, for p < 0, smallest) component no power overflows.
        scale = low if power < 0 else np.fmax(np.abs(low), np.abs(high))
        scale = np.where(scale == 0, 1.0, scale)
        ratio = cells / scale
        # Near p = 0 all powers are near 1 and their differences would be rounding noise.
        terms = np.expm1(power * np.log(ratio)) if abs(power) < 1 else ratio**power
    total, weight = weighted_sum(terms, weights, gaps)
    if power == -1:
        result = weight / total
    else:
        result = total / weight
        if power == 0:
            result = np.exp(result)
        elif abs(power) < 1:
            result = scale * np.exp(np.log1p(result) / power)
        elif power != 1:
            result = scale * np.sign(result) * np.abs(result) ** (1 / power)
    # A mean lies among its components; held exactly, so equal components give just that value. A sum
    # that overflowed must not hide behind those bounds.
    bounded: FloatArray = np.minimum(np.maximum(result, low), high)
    bounded[~np.isfinite(total)] = np.inf
    bounded[weight == 0] = np.nan
    return bounded


def weighted_sum(terms: FloatArray, weights: FloatArray, gaps: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Add w * term and w over the components present, in their order, for each unit.

    terms : shape (n_components, n_units), NaN is missing. gaps : shape (n_units,), the units that lack any.
    """
    total, weight = np.zeros(len(gaps)), np.zeros(len(gaps))
    part = np.empty(len(gaps))
    for row, w in zip(terms, weights, strict=True):
        total += np.multiply(row, w, out=part)
        weight += w
    places = np.flatnonzero(gaps)
    if places.size:
        # Few units have gaps as a rule: only these are added up again, without what they lack.
        some = terms.take(places, axis=1)
        there = ~np.isnan(some)
        held, some = there.astype(np.float64), np.where(there, some, 0.0)
        some_total, some_weight = np.zeros(places.size), np.zeros(places.size)
        for row, has, w in zip(some, held, weights, strict=True):
            some_total += row * w
            some_weight += has * w
        total[places], weight[places] = some_total, some_weight
    return total, weight


def _median(cells: FloatArray, present: NDArray[np.bool_], weights: FloatArray) -> FloatArray:
    m, n = cells.shape
    order = np.argsort(cells, axis=0, kind="stable")  # missing ones last
    ordered = np.take_along_axis(cells, order, axis=0)
    held = np.take_along_axis(present * weights[:, None], order, axis=0)
    below: FloatArray = np.zeros(n)
    cumulated = np.empty_like(held)
    for position in range(m):
        below = cumulated[position] = below + held[position]
    half = below / 2
    # Sums of weights are not exact: half is half to 12 digits.
    lower = (cumulated < half * (1 - 1e-12)).sum(axis=0)
    upper = (cumulated <= half * (1 + 1e-12)).sum(axis=0)
    columns = np.arange(n)
    first = ordered[np.minimum(lower, m - 1), columns]
    second = ordered[np.minimum(upper, m - 1), columns]
    # Where the half is met exactly upper is one further; a missing one is never reached, for it weighs 0.
    return np.where(below > 0, np.where(lower == upper, first, first / 2 + second / 2), np.nan)


def _mazziotta_pareto(cells: FloatArray, gaps: NDArray[np.bool_], weights: FloatArray, sign: int) -> FloatArray:
    mean = _power_mean(cells, gaps, weights, 1.0)
    square, weight = weighted_sum((cells - mean) ** 2, weights, gaps)
    # All components 0: the mean is 0 and so is their spread.
    joined: FloatArray = mean + sign * np.where(square == 0, 0.0, square / weight / mean)
    return joined

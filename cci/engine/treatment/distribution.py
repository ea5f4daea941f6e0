"""Skewness and kurtosis, adjusted for the size of the sample, of many columns at once."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cci.engine.tables import FloatArray

# Between these no fourth power of a deviation over- or underflows; outside, a power of two brings values there.
_SMALL, _LARGE = 1e-50, 1e70
# So many values are worked on together: they and their squares stay in the processor's cache.
_AT_ONCE = 32_768


def moments(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sample-adjusted skewness G1 and excess kurtosis G2 of each row.

    rows : shape (k, n), NaN means missing; each indicator is one row, as sums along memory are fastest.

    Returns two arrays of shape (k,), free of units. G1 needs 3 values, G2 needs 4; NaN below that, and
    for a row with one distinct value (libraries differ there: the range is tested itself).
    Method note, section 4 (Excel's SKEW and KURT, pandas `.skew()` and `.kurt()`).

    >>> skew, kurtosis = moments(np.array([[1.0, 2.0, 3.0, 4.0, 10.0], [np.nan, 5.0, 5.0, 5.0, 5.0]]))
    >>> skew.round(6).tolist(), kurtosis.round(6).tolist()
    ([1.697056, nan], [3.152, nan])
    """
    skew, kurtosis = np.empty(len(rows)), np.empty(len(rows))
    step = max(1, _AT_ONCE // max(1, rows.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        skew[part], kurtosis[part] = _moments(rows[part])
    return skew, kurtosis


def _moments(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    missing = np.isnan(rows)
    n = rows.shape[1] - missing.sum(axis=1)
    low = np.fmin.reduce(rows, axis=1, initial=np.inf)
    high = np.fmax.reduce(rows, axis=1, initial=-np.inf)
    defined = (n >= 3) & (low < high)
    counted = np.where(defined, n, 4).astype(np.float64)
    gaps = bool(missing.any())
    values = np.where(missing, 0.0, rows) if gaps else rows
    largest = np.maximum(np.abs(low), np.abs(high))
    if not ((largest > _SMALL) & (largest < _LARGE) | ~defined).all():
        # A power of two changes no digit.
        values = values * power_of_two(largest)[:, None]
    deviation = values - (values.sum(axis=1) / counted)[:, None]
    if gaps:
        np.copyto(deviation, 0.0, where=missing)
    square = deviation * deviation
    m2 = np.where(defined, square.sum(axis=1) / counted, 1.0)
    deviation *= square
    m3 = deviation.sum(axis=1) / counted
    square *= square
    m4 = square.sum(axis=1) / counted
    skew, kurtosis = adjusted(counted, m2, m3, m4)
    return np.where(defined, skew, np.nan), np.where(defined & (n >= 4), kurtosis, np.nan)


def adjusted(n: Any, m2: Any, m3: Any, m4: Any) -> tuple[Any, Any]:
    """G1 and G2 from the central moments of n values (n >= 3; G2 of three means nothing); numbers or arrays."""
    skew = (n * (n - 1)) ** 0.5 / (n - 2) * m3 / m2**1.5
    kurtosis = (n - 1) / ((n - 2) * (n - 3 + (n == 3))) * ((n + 1) * (m4 / m2**2 - 3) + 6)
    return skew, kurtosis


def power_of_two(largest: FloatArray) -> FloatArray:
    """The factors, powers of two, that bring the largest absolute values near 1."""
    _, exponent = np.frexp(np.where(np.isfinite(largest), largest, 1.0))
    factors: FloatArray = np.ldexp(1.0, -np.clip(exponent, -1000, 1000))
    return factors


def skew_and_kurtosis(values: FloatArray) -> tuple[float, float]:
    """G1 and G2 of one column: see `moments`.

    values : shape (n,). Method note, section 4.

    >>> [round(moment, 6) for moment in skew_and_kurtosis(np.array([1.0, 2.0, 3.0, 4.0, 10.0]))]
    [1.697056, 3.152]
    """
    n = values.size
    if n < 3:
        return math.nan, math.nan
    low, high = float(values.min()), float(values.max())
    if not low < high:
        return math.nan, math.nan
    largest = max(abs(low), abs(high))
    if not _SMALL < largest < _LARGE:
        values = values * float(power_of_two(np.array(largest)))
    deviation = values - values.sum() / n
    square = deviation * deviation
    m2 = float(square.sum()) / n
    deviation *= square
    square *= square
    skew, kurtosis = adjusted(n, m2, float(deviation.sum()) / n, float(square.sum()) / n)
    return skew, kurtosis if n > 3 else math.nan


def passes(values: FloatArray, *, skew: float = 2, kurtosis: float = 3.5) -> bool:
    """No outlier problem: |G1| below the one limit or G2 below the other. False where undefined."""
    g1, g2 = skew_and_kurtosis(values)
    return abs(g1) < skew or g2 < kurtosis


def within(g1: FloatArray, g2: FloatArray, *, skew: float, kurtosis: float) -> NDArray[np.bool_]:
    """The test of `passes` for moments already at hand."""
    inside: NDArray[np.bool_] = (np.abs(g1) < skew) | (g2 < kurtosis)
    return inside

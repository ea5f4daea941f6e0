"""Tame outliers: pull in a few extreme points, or take a logarithm where that is not enough."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.tables import FloatArray

TRANSFORMS = ("log_ct", "log_ct_orig", "log_ct_plus", "boxcox", "none")


@dataclass(frozen=True)
class Treatment:
    """What was done to one indicator and why.

    `action` is one of `none` (passed), `winsorised`, the name of a transform, `winsorised+<transform>`
    (the transform was applied to the winsorised values), or `left` with a `reason`. `points` lists the
    winsorised cells that the result keeps: (unit, original, treated). `passes` tells of the result.
    """

    indicator: str
    action: str
    skew: float
    kurtosis: float
    skew_after: float
    kurtosis_after: float
    passes: bool
    n_winsorised: int = 0
    reason: str = ""
    points: tuple[tuple[Any, float, float], ...] = field(default=())


def skew_and_kurtosis(values: FloatArray) -> tuple[float, float]:
    """Sample-adjusted skewness G1 and excess kurtosis G2 of values without gaps.

    values : shape (n,). G1 needs n >= 3, G2 needs n >= 4; NaN below that and for constant values.
    Method note, section 4 (Excel's SKEW and KURT, pandas `.skew()` and `.kurt()`).

    >>> skew_and_kurtosis(np.array([1.0, 2.0, 3.0, 4.0, 10.0]))
    (1.697056274847714, 3.1519999999999992)
    """
    n = values.size
    if n < 3 or values.min() == values.max():
        return math.nan, math.nan
    # Both moments are free of units: scaling first keeps large values from overflowing.
    scaled = values / np.abs(values).max()
    deviation = scaled - scaled.mean()
    deviation /= np.abs(deviation).max()
    square = deviation * deviation
    m2, m3, m4 = square.mean(), (square * deviation).mean(), (square * square).mean()
    skew = math.sqrt(n * (n - 1)) / (n - 2) * m3 / m2**1.5
    if n < 4:
        return float(skew), math.nan
    kurtosis = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6)
    return float(skew), float(kurtosis)


def passes(values: FloatArray, *, skew: float = 2, kurtosis: float = 3.5) -> bool:
    """No outlier problem: |G1| below the one limit or G2 below the other. False where undefined."""
    g1, g2 = skew_and_kurtosis(values)
    return abs(g1) < skew or g2 < kurtosis


def winsorise(
    values: FloatArray, *, winsorise_max: int = 5, skew: float = 2, kurtosis: float = 3.5
) -> tuple[FloatArray, FloatArray] | None:
    """Pull the most extreme points in, one step at a time, until the test passes.

    values : shape (n,), without gaps. Each step takes the side the current skew points to and sets all
    points at that end to the next value inside. It stops at `winsorise_max` points; with ties the last
    step may overshoot, as in COINr.

    Returns the values and the mask of moved points; None where a step would leave one distinct value
    (then the indicator has no outlier, it has only one value that differs). Method note, section 4.

    >>> winsorise(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 90.0]))[0].tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 5.0]
    """
    result = values.copy()
    high = np.zeros(values.size, dtype=bool)
    low = high.copy()
    while not passes(result, skew=skew, kurtosis=kurtosis) and high.sum() + low.sum() < winsorise_max:
        g1, _ = skew_and_kurtosis(result)
        # The set at an end is replaced, not added to: it contains the points moved there before.
        if g1 >= 0:
            high = result == result.max()
            result[high] = result[~high].max()
        else:
            low = result == result.min()
            result[low] = result[~low].min()
        if result.min() == result.max():
            return None
    return result, (high | low).astype(np.float64)


def transformed(values: FloatArray, transform: str, *, power: float = 0.0) -> FloatArray:
    """Apply a monotone increasing transform, with a = 0.01 (max - min).

    log_ct ln(x - min + a); log_ct_orig ln(x - min + 1); log_ct_plus the first for a right skew, its
    mirror -ln(max + a - x) for a left one; boxcox with u = x - min + 1: (u^power - 1) / power, ln u at 0.
    values : shape (n,), without gaps, not constant. Method note, section 4.

    >>> transformed(np.array([0.0, 9.0]), "boxcox", power=0.5).tolist()
    [0.0, 4.324555320336759]
    """
    low, high = float(values.min()), float(values.max())
    offset = 0.01 * (high - low)
    result: FloatArray
    if transform == "none":
        result = values.copy()
    elif transform == "log_ct_orig" or (transform == "boxcox" and power == 0):
        result = np.log(values - low + 1)
    elif transform == "boxcox":
        result = ((values - low + 1) ** power - 1) / power
    elif transform == "log_ct_plus" and skew_and_kurtosis(values)[0] <= 0:
        result = -np.log(high + offset - values)
    elif transform in ("log_ct", "log_ct_plus"):
        result = np.log(values - low + offset)
    else:
        raise ValueError(f"{transform!r} is no transform; choose {', '.join(TRANSFORMS)}.")
    return result


def treat(
    values: pd.DataFrame,
    *,
    skew: float = 2,
    kurtosis: float = 3.5,
    winsorise_max: int = 5,
    transform: str = "log_ct",
    combine: bool = False,
    power: float = 0.0,
) -> tuple[pd.DataFrame, list[Treatment]]:
    """Treat each indicator with an outlier problem: |G1| >= `skew` and G2 >= `kurtosis`.

    First winsorise at most `winsorise_max` points; if the test still fails, transform the original
    values instead (`combine`: the winsorised ones). The result stands even where it fails the test,
    and its record says so. An indicator with fewer than 4 values, with one distinct value, or whose
    only outlier is its only other value is left as it is.

    values : shape (n_units, n_indicators), each column in its own unit; NaN means missing and stays.
    Returns a frame labelled as `values`, and one Treatment per indicator in the same order.
    Method note, section 4 (COINr `qTreat`).

    >>> values = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]}, index=list("UVWXYZ"))
    >>> treated, records = treat(values)
    >>> treated["a"].tolist(), records[0].action, records[0].points
    ([1.0, 2.0, 3.0, 4.0, 5.0, 5.0], 'winsorised', (('Z', 90.0, 5.0),))
    """
    cells = values.to_numpy(dtype=np.float64).copy()
    records = []
    for position, indicator in enumerate(values.columns):
        present = np.flatnonzero(~np.isnan(cells[:, position]))
        result, record = _treat_one(
            str(indicator),
            cells[present, position],
            units=values.index[present],
            limits={"skew": skew, "kurtosis": kurtosis},
            winsorise_max=winsorise_max,
            transform=transform,
            combine=combine,
            power=power,
        )
        cells[present, position] = result
        records.append(record)
    return pd.DataFrame(cells, index=values.index, columns=values.columns), records


def _treat_one(
    indicator: str,
    values: FloatArray,
    *,
    units: "pd.Index[Any]",
    limits: dict[str, float],
    winsorise_max: int,
    transform: str,
    combine: bool,
    power: float,
) -> tuple[FloatArray, Treatment]:
    def record(result: FloatArray, action: str, **more: Any) -> tuple[FloatArray, Treatment]:
        before, after = skew_and_kurtosis(values), skew_and_kurtosis(result)
        ok = passes(result, **limits)
        return result, Treatment(indicator, action, *before, *after, passes=ok, **more)

    if values.size < 4:
        return record(values, "left", reason="fewer than 4 values")
    # The range is tested itself: libraries differ in the skew they give a constant.
    if values.min() == values.max():
        return record(values, "left", reason="one distinct value")
    if passes(values, **limits):
        return record(values, "none")
    winsorised = winsorise(values, winsorise_max=winsorise_max, **limits)
    if winsorised is None:
        return record(values, "left", reason="winsorising would leave one distinct value")
    result, moved = winsorised
    points = tuple((units[int(i)], float(values[i]), float(result[i])) for i in np.flatnonzero(moved))
    if passes(result, **limits) or (transform == "none" and points):
        return record(result, "winsorised", n_winsorised=len(points), points=points)
    if transform == "none":
        return record(values, "left", reason="no winsorising and no transform allowed")
    if combine and points:
        result = transformed(result, transform, power=power)
        return record(result, f"winsorised+{transform}", n_winsorised=len(points), points=points)
    return record(transformed(values, transform, power=power), transform, n_winsorised=len(points))

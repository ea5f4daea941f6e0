"""Monotone increasing transforms that draw in a long tail, with parameters that can be kept and used again."""

from dataclasses import dataclass

import numpy as np

from cci.engine.tables import FloatArray
from cci.engine.treatment.distribution import skew_and_kurtosis

TRANSFORMS = ("log_ct", "log_ct_orig", "log_ct_plus", "log_gii", "boxcox", "none", "unchanged")


@dataclass(frozen=True)
class Transform:
    """A transform and the parameters it was fitted with: all that rebuilds one value from another.

    With t = x - `low`, or t = `high` - x and the sign turned where `mirrored` (for a tail to the left),
    range r = `high` - `low`:

    log_ct: ln(t + 0.01 r). log_ct_orig: ln(t + 1). boxcox: ((t + 1)^power - 1) / power, ln(t + 1) at
    power 0. log_gii: ln((f `high` - 1) t / r + 1), where f is 1, or the smallest power of ten that brings
    f `high` above 1. unchanged: x.

    t below 0 counts as 0: a later value beyond the end at which the transform begins is held there.
    """

    name: str
    low: float
    high: float
    power: float = 0.0
    mirrored: bool = False


def fitted(values: FloatArray, transform: str, *, power: float = 0.0, by_skew: bool = False) -> Transform | None:
    """Fit a transform to the values it shall treat.

    values : shape (n,), without gaps, not constant.
    transform : of TRANSFORMS, but not `none`; log_ct_plus is log_ct, mirrored for a left skew.
    by_skew : mirror any transform for a left skew. COINr does not, and makes left tails longer.

    None where there is no such transform: log_gii needs a largest value above 0. Method note, section 4.
    """
    if transform not in TRANSFORMS or transform == "none":
        raise ValueError(f"{transform!r} is no transform; choose {', '.join(TRANSFORMS)}.")
    low, high = float(values.min()), float(values.max())
    if transform == "log_gii" and high < 1e-300:
        return None
    mirrored = (by_skew or transform == "log_ct_plus") and skew_and_kurtosis(values)[0] <= 0
    name = "log_ct" if transform == "log_ct_plus" else transform
    return Transform(name, low, high, power if name == "boxcox" else 0.0, mirrored and name != "unchanged")


def apply_transform(values: FloatArray, transform: Transform) -> FloatArray:
    """Apply a fitted transform, to the values it was fitted to or to others.

    values : any shape, NaN stays.

    >>> apply_transform(np.array([0.0, 9.0, -4.0]), Transform("boxcox", 0.0, 9.0, power=0.5)).round(6).tolist()
    [0.0, 4.324555, 0.0]
    """
    if transform.name == "unchanged":
        return values.copy()
    distance = transform.high - values if transform.mirrored else values - transform.low
    np.maximum(distance, 0.0, out=distance)
    width = transform.high - transform.low
    result: FloatArray
    if transform.name == "log_ct":
        result = np.log(distance + 0.01 * width)
    elif transform.name == "log_gii":
        result = np.log((_gii_factor(transform.high) * transform.high - 1) * (distance / width) + 1)
    elif transform.name == "log_ct_orig" or transform.power == 0:
        result = np.log(distance + 1)
    else:
        result = ((distance + 1) ** transform.power - 1) / transform.power
    return -result if transform.mirrored else result


def transformed(values: FloatArray, transform: str, *, power: float = 0.0) -> FloatArray:
    """Fit a transform to values and apply it to them.

    values : shape (n,), without gaps, not constant. `none` gives them back. Method note, section 4.

    >>> transformed(np.array([0.0, 9.0]), "boxcox", power=0.5).round(6).tolist()
    [0.0, 4.324555]
    """
    if transform == "none":
        return values.copy()
    fit = fitted(values, transform, power=power)
    if fit is None:
        raise ValueError("log_gii needs a largest value above 0; choose another transform.")
    return apply_transform(values, fit)


def _gii_factor(high: float) -> float:
    factor = 1.0
    while factor * high <= 1:
        factor *= 10
    return factor

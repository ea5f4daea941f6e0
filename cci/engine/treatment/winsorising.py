"""Pull the most extreme points in to the next value inside, a step at a time."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cci.engine.tables import FloatArray
from cci.engine.treatment.distribution import adjusted, power_of_two, skew_and_kurtosis


@dataclass(frozen=True)
class Ends:
    """Where winsorising cuts: -inf or inf at an end it leaves alone. `passes` tells of the values cut there."""

    low: float
    high: float
    moved: int
    passes: bool


def winsorise(
    values: FloatArray,
    *,
    winsorise_max: int = 5,
    skew: float = 2,
    kurtosis: float = 3.5,
    force: bool = False,
) -> tuple[FloatArray, FloatArray] | None:
    """Pull the most extreme points in, one step at a time, until the test passes.

    values : shape (n,), without gaps. See `winsorising_limits`, which finds how far.

    Returns the values and the mask of moved points (1 or 0); None where a step would leave one distinct
    value (then the indicator has no outlier, it has only one value that differs). Method note, section 4.

    >>> winsorise(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 90.0]))[0].tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 5.0]
    """
    found = winsorising_limits(values, winsorise_max=winsorise_max, skew=skew, kurtosis=kurtosis, force=force)
    if found is None:
        return None
    outside = (values < found.low) | (values > found.high)
    return np.clip(values, found.low, found.high), outside.astype(np.float64)


def winsorising_limits(
    values: FloatArray, *, winsorise_max: int, skew: float, kurtosis: float, force: bool = False
) -> Ends | None:
    """Find how far winsorising goes.

    Each step takes the side the current skew points to and sets all points at that end to the next value
    inside. It stops when the test passes (with `force`: it does not stop for that) or `winsorise_max`
    points are moved; with ties the last step may overshoot, as in COINr. None where a step would leave
    one distinct value.

    values : shape (n,), without gaps, n >= 4. Method note, section 4.

    >>> winsorising_limits(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 90.0]), winsorise_max=5, skew=2, kurtosis=3.5)
    Ends(low=-inf, high=5.0, moved=1, passes=True)
    """
    ordered = np.sort(values)
    moments_between = _moments_between(ordered, winsorise_max)
    first, last = 0, ordered.size - 1  # where the smallest and largest values left stand
    moved = 0
    g1, g2 = moments_between(first, last)
    while moved < winsorise_max and (force or not (abs(g1) < skew or g2 < kurtosis)):
        if g1 >= 0:
            last = int(ordered.searchsorted(ordered[last])) - 1
        else:
            first = int(ordered.searchsorted(ordered[first], side="right"))
        if first >= last or ordered[first] == ordered[last]:
            return None
        moved = first + ordered.size - 1 - last
        g1, g2 = moments_between(first, last)
    return Ends(
        low=float(ordered[first]) if first else -math.inf,
        high=float(ordered[last]) if last < ordered.size - 1 else math.inf,
        moved=moved,
        passes=abs(g1) < skew or g2 < kurtosis,
    )


def _moments_between(ordered: FloatArray, most: int) -> Callable[[int, int], tuple[float, float]]:
    """A function that gives G1 and G2 of the values cut to those at two positions.

    Up to `most` points move at an end, and all others stay: their sums of powers are taken once, those of
    the ends are added up outwards, so that a step costs the same for 60 and for 6,000 values. Deviations
    are from the mean of what stays. No digits are lost by that, as that mean lies within one standard
    deviation of the mean of any step while what stays is at least half of the values.
    """
    n = ordered.size

    def direct(first: int, last: int) -> tuple[float, float]:
        return skew_and_kurtosis(np.clip(ordered, ordered[first], ordered[last]))

    if n < 4 * most + 64:
        return direct
    scale = float(power_of_two(np.array(max(abs(ordered[0]), abs(ordered[-1])))))
    deviation = ordered * scale
    deviation -= deviation[most : n - most].mean()
    core = deviation[most : n - most]
    square = core * core
    core_sums = [float(sums) for sums in (core.sum(), square.sum(), (square * core).sum(), (square * square).sum())]
    counts = np.arange(most + 1)

    def ends(outwards: FloatArray) -> list[list[float]]:
        """Sums of the four powers at one end when none, one, … of its points are moved to the next inside.

        outwards : the values of the end from the inside out, the first of which is never moved.
        """
        square = outwards * outwards
        powers = np.stack((outwards, square, square * outwards, square * square))
        beyond = np.cumsum(powers, axis=1) - powers[:, :1]
        sums: list[list[float]] = (beyond + counts[::-1] * powers)[:, ::-1].T.tolist()
        return sums

    below, above = ends(deviation[most::-1]), ends(deviation[n - most - 1 :])

    def by_sums(first: int, last: int) -> tuple[float, float]:
        cut = n - 1 - last
        if first > most or cut > most:  # a tie overshot
            return direct(first, last)
        r1, r2, r3, r4 = (
            (core + low + high) / n for core, low, high in zip(core_sums, below[first], above[cut], strict=True)
        )
        m2 = r2 - r1 * r1
        if not m2 > 0:
            return direct(first, last)
        m3 = r3 - 3 * r1 * r2 + 2 * r1**3
        m4 = r4 - 4 * r1 * r3 + 6 * r1 * r1 * r2 - 3 * r1**4
        skew, kurtosis = adjusted(n, m2, m3, m4)
        return skew, kurtosis

    return by_sums

"""Compare units pair by pair: how much of the weight is on one's side, and how many others each one beats."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.meta import checked_weights, power_of_two_scaled
from cci.engine.tables import FloatArray

# Pairs compared at once: three arrays of this many cells stay within a few megabytes.
BLOCK = 1 << 18


def outranking(values: pd.DataFrame, weights: "pd.Series[float]", *, pairwise: bool = True) -> pd.DataFrame:
    """The share of the weight on which the row's unit is better than the column's; a tie counts half.

    o_ih = sum of w where z_i > z_h, plus half the sum of w where z_i = z_h, with the weights re-scaled to
    sum 1 over the components both have; 1/2 where they have none in common.

    values : shape (n_units, n_components), more is better; NaN means missing. weights : labelled by
    component, >= 0, not all 0.
    pairwise : False does as COINr: no re-scaling, and what cannot be compared counts for the unit that
        stands later in the table.

    Returns shape (n_units, n_units), shares in [0, 1], 0 on the diagonal: 8 n² bytes, so not for thousands
    of units, for which `copeland` needs no matrix. Method note, section 8 (COINr `outrankMatrix`).

    >>> values = pd.DataFrame({"a": [3.0, 1.0], "b": [5.0, 5.0], "c": [None, 9.0]}, index=["X", "Y"])
    >>> outranking(values, pd.Series({"a": 1.0, "b": 1.0, "c": 2.0})).to_numpy().tolist()
    [[0.0, 0.75], [0.25, 0.0]]
    """
    cells, scaled = _cells(values, weights)
    n = len(values)
    shares = np.full((n, n), 0.5)
    whole = scaled.sum()
    for first, last in _blocks(n):
        net = _net(cells, scaled, first, last, 0)
        if pairwise:
            common = _common(cells, scaled, first, last)
            shares[first:last] += 0.5 * np.divide(net, common, out=np.zeros_like(net), where=common > 0)
        else:
            later = np.arange(n) > np.arange(first, last)[:, None]
            lost = whole - _common(cells, scaled, first, last)
            shares[first:last] += 0.5 * (net - np.where(later, lost, -lost)) / whole
    np.fill_diagonal(shares, 0.0)
    return pd.DataFrame(np.clip(shares, 0, 1), index=values.index, columns=values.index)


def dominance(shares: pd.DataFrame) -> tuple[int, float]:
    """Count the pairs of which one unit is better on everything, and their share in all pairs.

    shares : as `outranking` gives it. The share of no pairs is 0.

    >>> values = pd.DataFrame({"a": [3.0, 1.0, 2.0], "b": [5.0, 4.0, 3.0]})
    >>> dominance(outranking(values, pd.Series({"a": 1.0, "b": 1.0})))
    (2, 0.6666666666666666)
    """
    pairs = len(shares) * (len(shares) - 1) // 2
    count = int((shares.to_numpy() >= 1 - 1e-12).sum())
    return count, count / pairs if pairs else 0.0


def copeland(
    values: pd.DataFrame, weights: "pd.Series[float]", *, pairwise: bool = True, tolerance: float = 1e-12
) -> "pd.Series[float]":
    """Number of units that a unit beats less the number that beat it: by more than half of the weight.

    As `outranking`. tolerance : shares within it of 1/2 are a draw, for sums of weights are not exact.
    Returns shape (n_units,), whole numbers from -(n - 1) to n - 1; NaN where nothing that weighs is present.
    Takes n² k / 2 comparisons: about half a second for 6,000 units and 8 components. Method note, section 8.

    >>> values = pd.DataFrame({"a": [3.0, 2.0, 1.0], "b": [3.0, 1.0, 2.0], "c": [1.0, 2.0, 3.0]}, index=list("XYZ"))
    >>> copeland(values, pd.Series({"a": 1.0, "b": 1.0, "c": 1.0})).to_dict()
    {'X': 2.0, 'Y': -2.0, 'Z': 0.0}
    """
    cells, scaled = _cells(values, weights)
    return pd.Series(copeland_of(cells, scaled, pairwise=pairwise, tolerance=tolerance), index=values.index)


def copeland_of(
    cells: FloatArray, weights: FloatArray, *, pairwise: bool = True, tolerance: float = 1e-12
) -> FloatArray:
    """The arrays' side of `copeland`. cells : shape (n_components, n_units); weights : (n_components,)."""
    weights = power_of_two_scaled(weights)
    cells, weights = np.ascontiguousarray(cells[weights > 0]), weights[weights > 0]
    n = cells.shape[1]
    whole = weights.sum()
    wins: NDArray[np.int64] = np.zeros(n, dtype=np.int64)
    for first, last in _blocks(n):
        # Of i against h only the sign counts, which no re-scaling of weights changes; h against i is the
        # same sum with the other sign. So each pair is compared once, and order adds nothing: the wins
        # are whole numbers.
        net = _net(cells, weights, first, last, first)
        if not pairwise:
            # COINr adds up what the earlier unit surely wins; the rest is the later one's.
            later = np.arange(first, n) > np.arange(first, last)[:, None]
            earlier = np.arange(first, n) < np.arange(first, last)[:, None]
            lost = whole - _common(cells, weights, first, last, first)
            net += np.where(earlier, lost, np.where(later, -lost, 0.0))
        edge = 2 * tolerance * whole
        sign = (net > edge).view(np.int8) - (net < -edge).view(np.int8)
        wins[first:last] += sign.sum(axis=1, dtype=np.int64)
        wins[last:] -= sign[:, last - first :].sum(axis=0, dtype=np.int64)
    return np.where(np.isnan(cells).all(axis=0), np.nan, wins)


def _cells(values: pd.DataFrame, weights: "pd.Series[float]") -> tuple[FloatArray, FloatArray]:
    checked = checked_weights(weights, [str(code) for code in values.columns], group="the group")
    return np.ascontiguousarray(values.to_numpy(dtype=np.float64).T), power_of_two_scaled(checked)


def _blocks(n: int) -> list[tuple[int, int]]:
    step = max(1, BLOCK // max(n, 1))
    return [(first, min(first + step, n)) for first in range(0, n, step)]


def _net(cells: FloatArray, weights: FloatArray, first: int, last: int, start: int) -> FloatArray:
    """Weight on which units first … last are better than units start … n, less that on which they are worse."""
    net: FloatArray = np.zeros((last - first, cells.shape[1] - start))
    part = np.empty_like(net)
    for row, weight in zip(cells, weights, strict=True):
        one, other = row[first:last, None], row[start:]
        # A missing value is neither above nor below anything.
        sign = np.greater(one, other).view(np.int8) - np.less(one, other).view(np.int8)
        net += np.multiply(sign, weight, out=part)
    return net


def _common(cells: FloatArray, weights: FloatArray, first: int, last: int, start: int = 0) -> FloatArray:
    """Weight of the components that both units of a pair have."""
    common: FloatArray = np.zeros((last - first, cells.shape[1] - start))
    for row, weight in zip(~np.isnan(cells), weights, strict=True):
        common += weight * (row[first:last, None] & row[start:])
    return common

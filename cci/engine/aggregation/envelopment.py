"""Benefit of the doubt: each unit is scored with the weights that suit it best, held against all the others."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.errors import DataError, NonPositiveError, unit_name
from cci.engine.tables import FloatArray


def benefit_of_doubt(
    values: pd.DataFrame,
    *,
    shares: tuple[float, float] | Mapping[str, tuple[float, float]] = (0.0, 1.0),
    group: str = "the group",
) -> tuple["pd.Series[float]", pd.DataFrame]:
    """Score each unit with its own best weights, under which no unit passes 1.

    For unit i: max sum_j w_j z_ij, subject to sum_j w_j z_hj <= 1 for every unit h and w >= 0 (data
    envelopment analysis with one constant input). Each component's part in the unit's own score,
    w_j z_ij / sum_k w_k z_ik, stays within bounds.

    values : shape (n_units, n_components), one group, >= 0, more is better; NaN means missing. A unit with
        gaps is scored on what it has, against the units that have all of that.
    shares : least and greatest part of each component, for all alike or by component; bounds that leave no
        room for a sum of 1 are refused. Without a lower bound a unit may live on one component alone.
    group : what to call the group in errors.

    Returns scores in (0, 1], NaN for a unit without values, with zeros only, or with a 0 where a least part is
    asked for; and the weights, shape
    (n_units, n_components), on the scale of the values; equally good weights may exist. Scores are rounded to
    nine decimals, weights to nine digits, so that the solver's last digits split no tie. One linear
    programme per unit: minutes for thousands of units. Raises NonPositiveError for a negative value,
    ValueError for impossible bounds. Method note, section 7 (Cherchye and others, 2007).

    >>> values = pd.DataFrame({"a": [4.0, 2.0, 1.0], "b": [1.0, 2.0, 1.0]}, index=list("XYZ"))
    >>> benefit_of_doubt(values)[0].round(9).to_dict()
    {'X': 1.0, 'Y': 1.0, 'Z': 0.5}
    """
    cells = values.to_numpy(dtype=np.float64)
    codes = [str(code) for code in values.columns]
    low, high = _bounds(shares, codes)
    if (cells < 0).any():
        row, column = np.argwhere(cells < 0)[0]
        raise NonPositiveError(
            unit=values.index[row],
            component=codes[column],
            group=group,
            value=float(cells[row, column]),
            method="benefit-of-the-doubt score",
        )
    scores = np.full(len(values), np.nan)
    weights = np.full(cells.shape, np.nan)
    present = ~np.isnan(cells)
    patterns, of_unit = np.unique(present, axis=0, return_inverse=True)
    for number, has in enumerate(patterns):
        if not has.any():
            continue
        if low[has].sum() > 1 + 1e-9 or high[has].sum() < 1 - 1e-9:
            unit = values.index[int(np.flatnonzero(of_unit == number)[0])]
            raise DataError(
                f"unit {unit_name(unit)} has {', '.join(np.array(codes)[has])} only of {group}, whose bounds leave no "
                "parts that sum to 1; widen the bounds or impute.",
                unit=unit,
            )
        peers = cells[present[:, has].all(axis=1)][:, has]
        frontier = peers[_undominated(peers)]
        for place in np.flatnonzero(of_unit.ravel() == number):
            found = _best(cells[place, has], frontier, low[has], high[has])
            if found is not None:
                weights[place, has] = [float(f"{weight:.9g}") for weight in found]
                scores[place] = round(min(float(found @ cells[place, has]), 1.0), 9)
    return (
        pd.Series(scores, index=values.index),
        pd.DataFrame(weights, index=values.index, columns=values.columns),
    )


def _best(own: FloatArray, frontier: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray | None:
    """The weights of one linear programme, or None where the bounds on parts leave only zero weights."""
    from scipy.optimize import linprog  # slow to load, and seldom needed

    if not own.any():
        return None
    # With u = w * scale all numbers are near 1, whatever the units of measure.
    scale = np.where(frontier.max(axis=0) > 0, frontier.max(axis=0), 1.0)
    own, frontier = own / scale, frontier / scale
    m = len(own)
    rows = [frontier]
    for j in range(m):
        part = np.zeros(m)
        part[j] = own[j]
        if low[j] > 0:
            rows.append((low[j] * own - part)[None])
        if high[j] < 1:
            rows.append((part - high[j] * own)[None])
    limits = np.concatenate([np.ones(len(frontier)), np.zeros(sum(map(len, rows)) - len(frontier))])
    answer = linprog(-own, A_ub=np.concatenate(rows), b_ub=limits, bounds=(0, None), method="highs")
    if answer.status != 0 or -answer.fun <= 1e-12:
        return None
    found: FloatArray = np.asarray(answer.x, dtype=np.float64) / scale
    return found


def _undominated(cells: FloatArray) -> NDArray[np.intp]:
    """Units that no other equals or passes on everything: only they can bind, for weights are >= 0."""
    unique, first = np.unique(cells, axis=0, return_index=True)
    order = np.argsort(-unique.sum(axis=1), kind="stable")
    kept: list[int] = []
    for place in order:
        # Only one with a larger sum can dominate.
        if not kept or not (unique[kept] >= unique[place]).all(axis=1).any():
            kept.append(int(place))
    chosen: NDArray[np.intp] = first[np.array(kept)]
    return chosen


def _bounds(
    shares: tuple[float, float] | Mapping[str, tuple[float, float]], codes: list[str]
) -> tuple[FloatArray, FloatArray]:
    if isinstance(shares, Mapping):
        unknown = [code for code in shares if code not in codes]
        if unknown:
            raise ValueError(f"There is no component {', '.join(unknown)}; correct the bounds.")
        pairs = [shares.get(code, (0.0, 1.0)) for code in codes]
    else:
        pairs = [shares] * len(codes)
    low, high = np.array([pair[0] for pair in pairs], dtype=float), np.array([pair[1] for pair in pairs], dtype=float)
    if not ((low >= 0) & (low <= high) & (high <= 1)).all():
        raise ValueError("A bound is a pair (least, greatest) with 0 <= least <= greatest <= 1.")
    if low.sum() > 1 + 1e-9 or high.sum() < 1 - 1e-9:
        raise ValueError("The bounds leave no parts that sum to 1; lower the least or raise the greatest ones.")
    return low, high

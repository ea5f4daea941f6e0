"""Divide what grows with size by size."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from cci.engine.errors import DataError, MetaError, unit_name

NO_SCALE: Mapping[str, float] = {}


def denominate(
    values: pd.DataFrame,
    *,
    denominators: pd.DataFrame,
    by: Mapping[str, str],
    scale: Mapping[str, float] = NO_SCALE,
    undefined: str = "missing",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divide indicators by a size: y = x / (D / scale).

    values : shape (n_units, n_indicators), each column in its own unit; NaN means missing and stays.
    denominators : one column per size (population, area, …), labelled by uCode, or by (uCode, Time) as
        the values; sizes without a time hold for all times.
    by : the denominator of each indicator to divide; what is not named stays as it is. Rates, scores and
        whatever is already relative should not be named.
    scale : by denominator, the number of its units to divide by; 1e5 gives "per 100,000". Default 1.
    undefined : `missing` makes a value missing where the denominator is 0 or missing; `keep` lets the
        infinite and undefined results of a zero through, as COINr does.

    Returns the frame, labelled as `values`, and the records of the cells that could not be divided or
    look wrong: uCode[, Time], indicator, original, new, denominator, size, reason. (What was divided
    ordinarily is said by `by`.) Raises DataError for a unit that the denominators lack or give twice,
    an infinite size and a result too large; MetaError for an unknown indicator or denominator.
    Method note, section 2 (COINr `Denominate`).

    >>> values = pd.DataFrame({"firms": [50.0, 8.0]}, index=pd.Index(["X", "Y"], name="uCode"))
    >>> sizes = pd.DataFrame({"people": [2000.0, 0.0]}, index=["X", "Y"])
    >>> frame, records = denominate(values, denominators=sizes, by={"firms": "people"}, scale={"people": 1000})
    >>> frame["firms"].tolist(), records["reason"].tolist()
    ([25.0, nan], ['the denominator is 0'])
    """
    if undefined not in ("missing", "keep"):
        raise ValueError(f"{undefined!r} is not known; choose missing, keep.")
    _check_names(values, denominators, by, scale)
    sizes = _matched(values, denominators)
    cells = values.to_numpy(dtype=np.float64).copy()
    parts: list[pd.DataFrame] = []
    for indicator, code in by.items():
        column = values.columns.get_loc(indicator)
        original = cells[:, column].copy()
        size = sizes[code].to_numpy(dtype=np.float64)
        _refuse_infinite(size, sizes.index, code, f"the size {code} is infinite; give a finite number")
        with np.errstate(all="ignore"):
            new = original / (size / scale.get(code, 1.0))
        observed = ~np.isnan(original)
        if undefined == "missing":
            new[size == 0] = np.nan
            _refuse_infinite(new, values.index, indicator, f"divided by {code} it becomes infinite; mend the size")
        for reason, where in (
            ("the denominator is missing", np.isnan(size)),
            ("the denominator is 0", size == 0),
            ("the denominator is negative", size < 0),
        ):
            if (rows := np.flatnonzero(where & observed)).size:
                part = values.index[rows].to_frame(index=False)
                part = part.assign(indicator=indicator, original=original[rows], new=new[rows])
                parts.append(part.assign(denominator=code, size=size[rows], reason=reason))
        cells[:, column] = new
    names = [*values.index.names, "indicator", "original", "new", "denominator", "size", "reason"]
    records = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)
    return pd.DataFrame(cells, index=values.index, columns=values.columns), records


def size_correlations(values: pd.DataFrame, denominators: pd.DataFrame, *, threshold: float = 0.6) -> pd.DataFrame:
    """List the indicators that still go with a size: |Pearson correlation| above the threshold.

    values : shape (n_units, n_indicators). denominators : as for `denominate`. Each pair is taken over
    the units that have both; fewer than 3 such units, or a constant, give no correlation and no row.

    Returns the columns indicator, denominator, correlation and n (units), sorted by the first two.
    Method note, section 2 (COINr `get_denom_corr`).

    >>> values = pd.DataFrame({"firms": [1.0, 2.0, 9.0], "rate": [1.0, 3.0, 1.5]}, index=list("XYZ"))
    >>> size_correlations(values, pd.DataFrame({"people": [10.0, 20.0, 90.0]}, index=list("XYZ"))).to_dict("list")
    {'indicator': ['firms'], 'denominator': ['people'], 'correlation': [1.0], 'n': [3]}
    """
    sizes = _matched(values, denominators).to_numpy(dtype=np.float64)
    cells = values.to_numpy(dtype=np.float64)
    order = values.index.argsort()  # sums in the order of the units, whatever the order of the rows
    rows = []
    for position, indicator in enumerate(values.columns):
        for place, code in enumerate(denominators.columns):
            pair = np.stack([cells[order, position], sizes[order, place]])
            pair = pair[:, np.isfinite(pair).all(axis=0)]
            correlation = _pearson(*pair) if pair.shape[1] >= 3 else math.nan
            if abs(correlation) > threshold:
                rows.append((str(indicator), str(code), correlation, pair.shape[1]))
    return pd.DataFrame(sorted(rows), columns=["indicator", "denominator", "correlation", "n"])


def _pearson(x: "np.ndarray", y: "np.ndarray") -> float:
    if x.min() == x.max() or y.min() == y.max():
        return math.nan
    deviations = []
    for values in (x, y):
        # Free of units: scaling first keeps large values from overflowing.
        scaled = values / np.abs(values).max()
        deviation = scaled - scaled.mean()
        deviations.append(deviation / np.sqrt(np.sum(deviation * deviation)))
    return float(np.clip(np.sum(deviations[0] * deviations[1]), -1, 1))


def _check_names(
    values: pd.DataFrame, denominators: pd.DataFrame, by: Mapping[str, str], scale: Mapping[str, float]
) -> None:
    for indicator, code in by.items():
        if indicator not in values.columns:
            raise MetaError(
                f"{indicator} is no indicator and cannot be divided; correct the name.", column="Denominator"
            )
        if code not in denominators.columns:
            raise MetaError(
                f"{indicator} is to be divided by {code}, and the data hold no such column; add it or leave "
                "the cell empty.",
                column="Denominator",
            )
    for code, number in scale.items():
        if code not in denominators.columns:
            raise MetaError(f"the scale names {code}, which is no denominator; correct the name.", column="Denominator")
        if not (math.isfinite(number) and number > 0):
            raise MetaError(f"the scale of {code} is {number!r}; write a number above 0.", column="Denominator")


def _matched(values: pd.DataFrame, denominators: pd.DataFrame) -> pd.DataFrame:
    """The denominators' rows in the order of the units; every unit needs one, and only one."""
    several = isinstance(values.index, pd.MultiIndex)
    wanted = values.index
    if several and not isinstance(denominators.index, pd.MultiIndex):
        wanted = values.index.get_level_values(0)
    twice = denominators.index[denominators.index.duplicated()]
    if len(twice):
        raise DataError(f"unit {unit_name(twice[0])} stands twice in the denominators; keep one row.", unit=twice[0])
    place = denominators.index.get_indexer(wanted)
    if (place < 0).any():
        unit = values.index[int(np.flatnonzero(place < 0)[0])]
        raise DataError(
            f"unit {unit_name(unit)} has no row in the denominators; add it, empty where not known.", unit=unit
        )
    return denominators.iloc[place].set_axis(values.index)


def _refuse_infinite(cells: "np.ndarray", units: "pd.Index", column: str, message: str) -> None:
    place = np.flatnonzero(np.isinf(cells))
    if place.size:
        unit = units[int(place[0])]
        raise DataError(f"unit {unit_name(unit)}: {message}.", column=column, unit=unit)

"""Compare each unit with the mean: z-scores, above and below, cyclical."""

import numpy as np
import pandas as pd

from cci.engine.errors import DataError
from cci.engine.normalisation.common import aligned, extent, labelled, oriented, width
from cci.engine.tables import FloatArray

OVER = ("units", "time")


def z_score(values: pd.DataFrame, *, directions: "pd.Series[float]", mean: float = 0, sd: float = 1) -> pd.DataFrame:
    """Give each indicator the same mean and standard deviation (of a sample, n - 1).

    values : shape (n_units, n_indicators), NaN means missing and stays.
    directions : labelled by indicator, +1 or -1.
    mean, sd : those of the scores; sd above 0. Scores go below 0 unless the mean is some sd above it, and
        then no geometric mean can follow.

    Returns scores labelled as `values`; an indicator with one distinct value becomes NaN. Raises ValueError
    for sd <= 0, DataError for a range too large to compute with. Method note, section 6 (COINr `n_zscore`).

    >>> values = pd.DataFrame({"wage": [1.0, 2.0, 3.0, None]})
    >>> z_score(values, directions=pd.Series({"wage": 1}), mean=10, sd=2)["wage"].tolist()
    [8.0, 10.0, 12.0, nan]
    """
    if not sd > 0:
        raise ValueError(f"z_score needs sd above 0, not {sd:g}.")
    # Scaled to 0–1 first, which changes no z-score, so that no sum or square overflows.
    share = _share(oriented(values, directions), values)
    n, average = _mean(share)
    deviation = share - average
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.where(np.isnan(deviation), 0.0, deviation**2).sum(axis=0) / (n - 1))
        scores = deviation / spread * sd + mean
    return labelled(scores, values)


def above_below_mean(values: pd.DataFrame, *, directions: "pd.Series[float]", threshold: float = 0.0) -> pd.DataFrame:
    """1 for units above the mean, 0 for those near it, -1 for those below; the other way where less is better.

    threshold : near the mean is from (1 - threshold) to (1 + threshold) times the mean; from 0 to below 1.

    Returns scores labelled as `values`; NaN stays, an indicator with one distinct value becomes NaN. Raises
    ValueError for a threshold out of range, and with one above 0 DataError for a mean that is not above 0.
    OECD/JRC Handbook (2008), step 5; method note, section 6.

    >>> values = pd.DataFrame({"days": [10.0, 11.0, 18.0, 1.0]})
    >>> above_below_mean(values, directions=pd.Series({"days": -1}), threshold=0.2)["days"].tolist()
    [0.0, 0.0, -1.0, 1.0]
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"above_below_mean needs a threshold from 0 to below 1, not {threshold:g}.")
    cells = values.to_numpy(dtype=np.float64)
    low, high = extent(cells)
    spread = width(low, high, values.columns)
    share = _share(cells, values)
    _, average = _mean(share)
    mean = low + average * spread
    if threshold > 0:
        for place in np.flatnonzero(mean <= 0):
            raise DataError(
                "the mean is not above 0, so no share of it is near it; set the threshold to 0 or choose another "
                "normalisation.",
                column=str(values.columns[int(place)]),
            )
    with np.errstate(invalid="ignore"):
        near = threshold * mean / spread
        scores = (share > average + near).astype(np.float64) - (share < average - near)
    scores[np.isnan(share)] = np.nan
    # 0.0 is added, as a reversed 0 would be -0.
    return labelled(scores * aligned(directions, values.columns) + 0.0, values)


def cyclical(values: pd.DataFrame, *, directions: "pd.Series[float]", over: str = "units") -> pd.DataFrame:
    """The deviation from the mean, in mean absolute deviations: (v - mean) / mean|v - mean|.

    over : `units` takes both means over all rows of the indicator; `time`, the Handbook's for business
        cycles, over the times of the unit itself.

    Returns scores labelled as `values`; NaN stays; what has one distinct value (the indicator, or the unit's
    series) becomes NaN. Raises ValueError for `time` where the data hold no times.
    OECD/JRC Handbook (2008), step 5; method note, section 6.

    >>> values = pd.DataFrame({"wage": [0.0, 2.0, 4.0]})
    >>> cyclical(values, directions=pd.Series({"wage": 1}))["wage"].tolist()
    [-1.5, 0.0, 1.5]
    """
    if over not in OVER:
        raise ValueError(f"{over!r} is no set to take means over; choose {', '.join(OVER)}.")
    cells = oriented(values, directions)
    if over == "units":
        return labelled(_cycles(cells, values), values)
    if values.index.nlevels < 2:
        raise ValueError("cyclical over time needs data with a Time.")
    scores = np.full_like(cells, np.nan)
    for places in values.groupby(level=0, sort=False).indices.values():
        scores[places] = _cycles(cells[places], values)
    return labelled(scores, values)


def _cycles(cells: FloatArray, values: pd.DataFrame) -> FloatArray:
    share = _share(cells, values)
    deviation = share - _mean(share)[1]
    with np.errstate(invalid="ignore"):
        scores: FloatArray = deviation / _mean(np.abs(deviation))[1]
    return scores


def _share(cells: FloatArray, values: pd.DataFrame) -> FloatArray:
    """The cells scaled to 0–1 by column; NaN where there is one distinct value."""
    low, high = extent(cells)
    spread = width(low, high, values.columns)
    with np.errstate(invalid="ignore"):
        shares: FloatArray = (cells - low) / spread
    return shares


def _mean(cells: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How many values each column has, and their mean; NaN where it has none."""
    missing = np.isnan(cells)
    n = np.asarray(cells.shape[0] - missing.sum(axis=0), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return n, np.where(missing, 0.0, cells).sum(axis=0) / n

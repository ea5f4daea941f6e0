"""Scale between the least and the largest value, of these data or of a base edition."""

import numpy as np
import pandas as pd

from cci.engine.errors import GoalpostsError
from cci.engine.normalisation.common import aligned, extent, labelled, oriented, read_figures, width
from cci.engine.tables import cells_table


def min_max(
    values: pd.DataFrame,
    *,
    directions: "pd.Series[float]",
    lower: float = 0,
    upper: float = 100,
    bounds: pd.DataFrame | None = None,
    clip: bool = False,
) -> pd.DataFrame:
    """Scale each indicator so that the worst unit has `lower` and the best `upper`.

    The bounds come from the data, so a unit's score moves when another unit moves; or from `bounds`, those
    of a base edition (`bounds_of`): then a unit that stands still keeps its score.

    values : shape (n_units, n_indicators), each column in its own unit; NaN means missing.
    directions : labelled by indicator, +1 where more is better, -1 where less is better.
    bounds : labelled by indicator, columns `lo` and `hi` in the indicator's own unit. Units may lie beyond:
        their scores leave [lower, upper], or with `clip` are cut there (`normalise` lists the cut cells).

    Returns scores labelled as `values`. NaN stays NaN. An indicator with one distinct value (or with equal
    bounds) says nothing about its units and becomes NaN for all of them, never a made-up midpoint: see
    `constant_indicators`. Raises ValueError for an indicator without direction or lower >= upper,
    GoalpostsError for one without bounds, DataError for a range too large to compute with.
    Method note, sections 5, 6 and 17 (COINr `n_minmax`).

    >>> values = pd.DataFrame({"wage": [300.0, 450.0, None, 500.0], "days": [9.0, 1.0, 5.0, None]})
    >>> min_max(values, directions=pd.Series({"wage": 1, "days": -1})).to_numpy().tolist()
    [[0.0, 0.0], [75.0, 100.0], [nan, 50.0], [100.0, nan]]
    """
    if not lower < upper:
        raise ValueError(f"min_max needs lower < upper, not {lower:g} and {upper:g}.")
    cells = oriented(values, directions)
    low, high = extent(cells) if bounds is None else _oriented_bounds(bounds, values, directions)
    spread = width(low, high, values.columns)
    with np.errstate(over="ignore", invalid="ignore"):
        cells -= low
        cells /= spread
        cells *= upper - lower
        cells += lower
    if clip:
        np.clip(cells, lower, upper, out=cells)
    return labelled(cells, values)


def distance_to_max(values: pd.DataFrame, *, directions: "pd.Series[float]") -> pd.DataFrame:
    """The distance to the frontier: 1 - (max - v) / (max - min), so that the best unit has 1 and the worst 0.

    It is `min_max` to 0–1, which see. Method note, section 6 (COINr `n_dist2max`).

    >>> values = pd.DataFrame({"days": [9.0, 1.0, 5.0]})
    >>> distance_to_max(values, directions=pd.Series({"days": -1}))["days"].tolist()
    [0.0, 1.0, 0.5]
    """
    return min_max(values, directions=directions, lower=0, upper=1)


def bounds_of(values: pd.DataFrame) -> pd.DataFrame:
    """The bounds of a base edition: the least and the largest value of each indicator, in its own unit.

    values : shape (n_units, n_indicators). An indicator without values has NaN. Returns columns `lo`, `hi`,
    labelled by indicator, for `min_max(bounds=…)`. Method note, section 17.

    >>> bounds_of(pd.DataFrame({"wage": [300.0, 450.0, None]})).to_dict("index")
    {'wage': {'lo': 300.0, 'hi': 450.0}}
    """
    low, high = extent(values.to_numpy(dtype=np.float64))
    empty = low > high
    return pd.DataFrame({"lo": np.where(empty, np.nan, low), "hi": np.where(empty, np.nan, high)}, index=values.columns)


def read_bounds(table: pd.DataFrame, *, indicators: "pd.Index[str]", file: str = "bounds") -> pd.DataFrame:
    """Check a table of bounds (columns iCode, lo, hi; lo <= hi) and return it labelled by indicator.

    >>> table = pd.DataFrame({"iCode": ["wage"], "lo": ["300"], "hi": ["450"]})
    >>> read_bounds(table, indicators=pd.Index(["wage"])).to_dict("index")
    {'wage': {'lo': 300.0, 'hi': 450.0}}
    """
    bounds = read_figures(table, ("lo", "hi"), indicators, file=file)
    for code in bounds.index[bounds["lo"] > bounds["hi"]]:
        raise GoalpostsError(f"the bounds of {code} need lo <= hi; swap or correct them.", file=file, column="lo")
    return bounds


def clip_scores(scores: pd.DataFrame, lower: float, upper: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut scores to a range and list the cells it changed.

    Returns the scores, and one row per cut cell: the unit's labels, indicator, original, new.

    >>> scores = pd.DataFrame({"a": [-5.0, 50.0]}, index=pd.Index(["X", "Y"], name="uCode"))
    >>> clip_scores(scores, 0, 100)[1].to_dict("records")
    [{'uCode': 'X', 'indicator': 'a', 'original': -5.0, 'new': 0.0}]
    """
    old = scores.to_numpy(dtype=np.float64)
    new, columns, rows = old, np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    if np.isfinite(lower) or np.isfinite(upper):
        cut = (old < lower) | (old > upper)
        new = np.clip(old, lower, upper) if cut.any() else old
        columns, rows = np.nonzero(cut.T)
    cells = cells_table(scores, rows, columns, original=old[rows, columns], new=new[rows, columns])
    return (scores if new is old else labelled(new, scores)), cells


def _oriented_bounds(
    bounds: pd.DataFrame, values: pd.DataFrame, directions: "pd.Series[float]"
) -> tuple[np.ndarray, np.ndarray]:
    absent = [str(code) for code in values.columns if code not in bounds.index]
    if absent:
        raise GoalpostsError(f"no bounds for {', '.join(absent)}; every indicator needs its bounds.")
    given = bounds.loc[list(values.columns), ["lo", "hi"]].to_numpy(dtype=np.float64)
    signs = aligned(directions, values.columns)
    # Where less is better, the new lower bound is minus the upper one (method note, section 5).
    ends = np.sort(given * signs[:, None], axis=1)
    return ends[:, 0], ends[:, 1]

"""Scale between fixed bounds: goalposts set by the method, so that only a unit's own value moves its score."""

from typing import Any

import numpy as np
import pandas as pd

from cci.engine.errors import DataError, GoalpostsError, unit_name
from cci.engine.normalisation.common import aligned, labelled
from cci.engine.tables import FloatArray, numbers, texts

TRANSFORMS = ("lin", "log", "log1p", "fixed")
# The smallest value each transform accepts is above this.
_ABOVE = {"log": 0.0, "log1p": -1.0}


def goalposts(
    values: pd.DataFrame, *, posts: pd.DataFrame, directions: "pd.Series[float]", clip: bool = True
) -> pd.DataFrame:
    """Scale each indicator between fixed bounds to 0–100 (rule N1 of the FACTS framework).

    score = 100 (T(x) - lo) / (hi - lo), cut to 0–100; where less is better it is 100 - score. The bounds
    are fixed by the method, so a unit's score moves only when the unit moves.

    values : shape (n_units, n_indicators), each column in its own unit; NaN means missing and stays.
    posts : labelled by indicator, columns `transform` (lin, fixed: x; log: ln x; log1p: ln(1 + x)),
        `lo` and `hi`, both on the transformed scale, lo < hi. See `read_goalposts`.
    directions : labelled by indicator, +1 or -1.
    clip : False lets scores leave 0–100.

    Returns scores labelled as `values`. Raises GoalpostsError for an indicator without bounds, DataError
    where a logarithm is asked of a value that has none.

    >>> posts = pd.DataFrame({"transform": ["lin", "log"], "lo": [200.0, 0.0], "hi": [700.0, 2.0]},
    ...                      index=["w", "d"])
    >>> values = pd.DataFrame({"w": [300.0, 900.0], "d": [np.e, None]}, index=["A", "B"])
    >>> goalposts(values, posts=posts, directions=pd.Series({"w": 1, "d": -1})).to_numpy().tolist()
    [[20.0, 50.0], [100.0, nan]]
    """
    signs = aligned(directions, values.columns)
    absent = [str(code) for code in values.columns if code not in posts.index]
    if absent:
        raise GoalpostsError(f"no row for {', '.join(absent)}; every indicator needs its goalposts.")
    given = posts.loc[list(values.columns)]
    lo, hi = given["lo"].to_numpy(dtype=np.float64), given["hi"].to_numpy(dtype=np.float64)
    cells = values.to_numpy(dtype=np.float64)
    scaled = np.empty_like(cells)
    for position, (code, transform) in enumerate(given["transform"].items()):
        scaled[:, position] = _transformed(cells[:, position], str(transform), str(code), values.index)
    scores = 100 * (scaled - lo) / (hi - lo)
    if clip:
        scores = np.clip(scores, 0, 100)
    return labelled(np.where(signs > 0, scores, 100 - scores), values)


def scaled(values: pd.DataFrame, *, posts: pd.DataFrame, directions: "pd.Series[float]") -> pd.DataFrame:
    """Scale each indicator between fixed bounds to 0–100 without cutting: units beyond a bound leave the range.

    Everything else as `goalposts`. Method note, section 6 (COINr `n_scaled`).

    >>> posts = pd.DataFrame({"transform": ["lin"], "lo": [200.0], "hi": [700.0]}, index=["w"])
    >>> scaled(pd.DataFrame({"w": [300.0, 900.0]}), posts=posts, directions=pd.Series({"w": 1}))["w"].tolist()
    [20.0, 140.0]
    """
    return goalposts(values, posts=posts, directions=directions, clip=False)


def read_goalposts(table: pd.DataFrame, *, directions: "pd.Series[float]", file: str = "goalposts") -> pd.DataFrame:
    """Check a table of goalposts against the indicators and return it labelled by indicator.

    table : columns iCode, transform (lin, log, log1p, fixed), lo, hi, optionally direction; text or
        numbers. `fixed` means the scale 0–100 of the indicator itself, where lo and hi may be empty.
    directions : those of the meta, labelled by indicator; a direction in the table must agree.

    Returns columns `transform`, `lo`, `hi` for the indicators only. Raises GoalpostsError, naming the
    row, for anything amiss.
    """
    for column in ("iCode", "transform", "lo", "hi"):
        if column not in table.columns:
            raise GoalpostsError(
                "the column is missing; goalposts need iCode, transform, lo, hi.",
                file=file,
                row=1,
                column=column,
            )
    codes, transforms = texts(table["iCode"]), texts(table["transform"])
    lo = numbers(table["lo"], name="lo", file=file, error=GoalpostsError)
    hi = numbers(table["hi"], name="hi", file=file, error=GoalpostsError)
    signs = np.full(len(codes), np.nan)
    if "direction" in table.columns:
        signs = numbers(table["direction"], name="direction", file=file, error=GoalpostsError)
    posts: dict[str, tuple[str, float, float]] = {}
    for position, code in enumerate(codes):

        def refuse(column: str, message: str, row: int = position + 2) -> GoalpostsError:
            return GoalpostsError(message, file=file, row=row, column=column)

        transform, low, high, sign = transforms[position], lo[position], hi[position], signs[position]
        if code in posts:
            raise refuse("iCode", f"{code} stands twice; keep one row.")
        if transform not in TRANSFORMS:
            raise refuse("transform", f"{transform!r} is no transform; write {', '.join(TRANSFORMS)}.")
        if transform == "fixed":
            low, high = (0.0 if np.isnan(low) else low), (100.0 if np.isnan(high) else high)
        if not low < high:
            raise refuse("lo", f"goalposts of {code} need lo < hi, both given.")
        if code in directions.index and not np.isnan(sign) and sign != directions[code]:
            raise refuse(
                "direction",
                f"the direction of {code} is {sign:g} here and {directions[code]:g} in the meta; make them agree.",
            )
        posts[code] = (transform, float(low), float(high))
    absent = [str(code) for code in directions.index if code not in posts]
    if absent:
        raise GoalpostsError(
            f"no row for {', '.join(absent)}; every indicator needs its goalposts.", file=file, column="iCode"
        )
    rows = [posts[str(code)] for code in directions.index]
    return pd.DataFrame(rows, index=directions.index, columns=["transform", "lo", "hi"])


def _transformed(values: FloatArray, transform: str, code: str, units: "pd.Index[Any]") -> FloatArray:
    if transform in ("lin", "fixed"):
        return values
    if transform not in _ABOVE:
        raise GoalpostsError(f"{transform!r} is no transform; choose {', '.join(TRANSFORMS)}.", column=code)
    outside = np.flatnonzero(values <= _ABOVE[transform])
    if outside.size:
        first = int(outside[0])
        raise DataError(
            f"unit {unit_name(units[first])}: {float(values[first])!r} has no {transform}, which needs "
            f"values above {_ABOVE[transform]:g}; correct the value or change the transform.",
            column=code,
            unit=units[first],
        )
    return np.log(values) if transform == "log" else np.log1p(values)

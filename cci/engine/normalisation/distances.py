"""Compare each unit with one mark: a reference unit, a target, the best value."""

from typing import Any

import numpy as np
import pandas as pd

from cci.engine.errors import DataError, GoalpostsError, unit_name
from cci.engine.normalisation.common import aligned, extent, labelled, oriented, read_figures, width
from cci.engine.tables import FloatArray


def distance_to_reference(
    values: pd.DataFrame,
    *,
    directions: "pd.Series[float]",
    reference: Any,
    cap: bool = False,
    literal: bool = False,
) -> pd.DataFrame:
    """The way from the worst unit to a reference unit: 1 - (v_r - v) / (v_r - min); the reference has 1, the worst 0.

    values : shape (n_units, n_indicators), NaN means missing and stays.
    directions : labelled by indicator, +1 or -1.
    reference : a unit; where the data hold several times, (unit, time).
    cap : units better than the reference have 1, not more.
    literal : follow the formula where it is not defined, to Inf and NaN, as COINr does.

    Returns scores labelled as `values`; an indicator with one distinct value becomes NaN. Raises DataError
    for a reference that is not there, has no value, or is the worst unit of an indicator.
    Method note, section 6 (COINr `n_dist2ref`).

    >>> values = pd.DataFrame({"a": [0.0, 2.0, 4.0]}, index=["X", "Y", "Z"])
    >>> distance_to_reference(values, directions=pd.Series({"a": 1}), reference="Y")["a"].tolist()
    [0.0, 1.0, 2.0]
    """
    mark = oriented(values, directions)[_place(values, reference)]
    if not literal:
        for code, missing in zip(values.columns, np.isnan(mark), strict=True):
            if missing and values[code].notna().any():
                raise DataError(
                    f"the reference unit {unit_name(reference)} has no value; impute it or choose another reference.",
                    column=str(code),
                    unit=reference,
                )
    return _towards(values, directions, mark, f"the reference unit {unit_name(reference)}", "reference", cap, literal)


def distance_to_target(
    values: pd.DataFrame,
    *,
    directions: "pd.Series[float]",
    targets: "pd.Series[float]",
    cap: bool = False,
    literal: bool = False,
) -> pd.DataFrame:
    """The way from the worst unit to a target: (v - min) / (T - min); who reaches the target has 1, the worst unit 0.

    targets : labelled by indicator, in its own unit (see `read_targets`).
    cap : units beyond the target have 1, not more.
    Everything else as `distance_to_reference`. Raises DataError for a target that is not better than the
    worst unit, GoalpostsError for an indicator without target. Method note, section 6 (COINr `n_dist2targ`).

    >>> values = pd.DataFrame({"days": [9.0, 5.0, 1.0]})
    >>> distance_to_target(values, directions=pd.Series({"days": -1}), targets=pd.Series({"days": 5.0}),
    ...                    cap=True)["days"].tolist()
    [0.0, 1.0, 1.0]
    """
    absent = [str(code) for code in values.columns if code not in targets.index or np.isnan(targets[code])]
    if absent:
        raise GoalpostsError(f"no target for {', '.join(absent)}; every indicator needs one.")
    goals = np.asarray(targets[list(values.columns)], dtype=np.float64) * aligned(directions, values.columns)
    return _towards(values, directions, goals, "the target", "target", cap, literal)


def read_targets(
    table: pd.DataFrame, *, indicators: "pd.Index[str]", column: str = "Target", file: str = "targets"
) -> "pd.Series[float]":
    """Read the targets of the indicators from a table with columns iCode and Target, such as the meta.

    >>> table = pd.DataFrame({"iCode": ["days", "wage"], "Target": ["5", "600"]})
    >>> read_targets(table, indicators=pd.Index(["wage"])).to_dict()
    {'wage': 600.0}
    """
    return read_figures(table, (column,), indicators, file=file)[column]


def fraction_of_max(values: pd.DataFrame, *, directions: "pd.Series[float]", literal: bool = False) -> pd.DataFrame:
    """The share of the best value: x / max where more is better, min / x where less is; the best unit has 1.

    literal : v / max of v = direction times x throughout, as COINr has it: where less is better, that grows
        with badness.

    Returns scores labelled as `values`; NaN stays NaN, an indicator with one distinct value becomes NaN.
    Raises DataError where more is better and no value is above 0, or less is better and one is not.
    Method note, section 6 (COINr `n_fracmax`).

    >>> values = pd.DataFrame({"wage": [300.0, 600.0], "days": [2.0, 8.0]})
    >>> fraction_of_max(values, directions=pd.Series({"wage": 1, "days": -1})).to_numpy().tolist()
    [[0.5, 1.0], [1.0, 0.25]]
    """
    if literal:
        cells = oriented(values, directions)
        with np.errstate(all="ignore"):
            return labelled(cells / extent(cells)[1], values)
    cells = values.to_numpy(dtype=np.float64)
    low, high = extent(cells)
    signs = aligned(directions, values.columns)
    for place in np.flatnonzero((signs > 0) & (high <= 0) & (high > -np.inf)):
        raise DataError(
            "the best value is not above 0, so there are no shares of it; choose another normalisation.",
            column=str(values.columns[int(place)]),
        )
    for place in np.flatnonzero((signs < 0) & (low <= 0)):
        worst = values.index[int(np.nanargmin(cells[:, place]))]
        raise DataError(
            f"unit {unit_name(worst)}: less is better and the value is not above 0, so there are no shares of the "
            "least; choose another normalisation.",
            column=str(values.columns[int(place)]),
            unit=worst,
        )
    with np.errstate(all="ignore"):
        scores = np.where(signs > 0, cells / high, low / cells)
    return labelled(np.where(low < high, scores, np.nan), values)


def _towards(
    values: pd.DataFrame,
    directions: "pd.Series[float]",
    goals: FloatArray,
    name: str,
    kind: str,
    cap: bool,
    literal: bool,
) -> pd.DataFrame:
    cells = oriented(values, directions)
    low, high = extent(cells)
    spread = width(low, high, values.columns)
    if not literal:
        for place in np.flatnonzero((goals <= low) & ~np.isnan(spread)):
            raise DataError(
                f"{name} is not better than the worst unit, so there is no way to it; choose another {kind}.",
                column=str(values.columns[int(place)]),
            )
    with np.errstate(all="ignore"):
        scores = 1 - (goals - cells) / (goals - low) if kind == "reference" else (cells - low) / (goals - low)
    if not literal:
        scores = np.where(np.isnan(spread), np.nan, scores)
    if cap:
        scores = np.minimum(scores, 1.0)
    return labelled(scores, values)


def _place(values: pd.DataFrame, reference: Any) -> int:
    """The row of the reference unit."""
    several = values.index.nlevels > 1
    labels = values.index.get_level_values(0) if several and not isinstance(reference, tuple) else values.index
    places = [place for place, label in enumerate(labels) if label == reference]
    if not places:
        raise DataError(f"the reference unit {unit_name(reference)} is not among the units; choose one that is.")
    if len(places) > 1:
        raise DataError(
            f"the reference unit {unit_name(reference)} stands at several times; name one, or normalise each time "
            "by itself."
        )
    return places[0]

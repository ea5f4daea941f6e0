"""Bring indicators of different units to one scale on which more is better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.normalisation.bounds import bounds_of, clip_scores, distance_to_max, min_max, read_bounds
from cci.engine.normalisation.changes import change
from cci.engine.normalisation.common import constant_indicators
from cci.engine.normalisation.distances import (
    distance_to_reference,
    distance_to_target,
    fraction_of_max,
    read_targets,
)
from cci.engine.normalisation.goalposts import TRANSFORMS, goalposts, read_goalposts, scaled
from cci.engine.normalisation.means import above_below_mean, cyclical, z_score
from cci.engine.normalisation.ranks import borda, percentile_classes, percentile_rank, rank

# The keys each method uses beside `directions`: those of the functions of the same names.
METHODS: Mapping[str, tuple[str, ...]] = {
    "min_max": ("lower", "upper", "bounds", "clip"),
    "goalposts": ("posts", "clip"),
    "scaled": ("posts",),
    "z_score": ("mean", "sd"),
    "rank": ("ties",),
    "borda": ("ties",),
    "percentile_rank": ("ties",),
    "percentile_classes": ("percentiles", "scores"),
    "distance_to_max": (),
    "distance_to_reference": ("reference", "cap"),
    "distance_to_target": ("targets", "cap"),
    "fraction_of_max": (),
    "above_below_mean": ("threshold",),
    "cyclical": ("over",),
    "change": (),
}
# Methods that can follow COINr where its formula has no answer, or a wrong one (`literal`).
LITERAL = ("rank", "borda", "percentile_rank", "distance_to_reference", "distance_to_target", "fraction_of_max")
_FUNCTIONS: Mapping[str, Callable[..., pd.DataFrame]] = {
    function.__name__: function
    for function in (
        *(min_max, goalposts, scaled, z_score, rank, borda, percentile_rank, percentile_classes, distance_to_max),
        *(distance_to_reference, distance_to_target, fraction_of_max, above_below_mean, cyclical, change),
    )
}

__all__ = [
    "LITERAL",
    "METHODS",
    "TRANSFORMS",
    "Normalisation",
    "bounds_of",
    "clip_scores",
    "constant_indicators",
    "normalise",
    "read_bounds",
    "read_goalposts",
    "read_targets",
    *METHODS,
]


@dataclass(frozen=True)
class Normalisation:
    """Scores, and what a reader must be told of them.

    values : labelled as the input. constant : indicators that had values and have no score, as one distinct
    value says nothing about its units. clipped : the cells that were cut to the range, see `clip_scores`.
    """

    values: pd.DataFrame
    constant: list[str]
    clipped: pd.DataFrame


def normalise(
    values: pd.DataFrame,
    *,
    method: str = "min_max",
    directions: "pd.Series[float]",
    literal: bool = False,
    **options: Any,
) -> Normalisation:
    """Normalise by a method of METHODS; the options are the keys named there.

    values : shape (n_units, n_indicators), each column in its own unit; NaN means missing and stays.
    directions : labelled by indicator, +1 where more is better, -1 where less is better.
    literal : let the methods of LITERAL follow COINr where its formula has no answer, or a wrong one.

    Raises ValueError for an unknown method or option, and what the method raises. Method note, section 6.

    >>> values = pd.DataFrame({"wage": [300.0, 450.0, 500.0], "flat": [1.0, 1.0, 1.0]}, index=["X", "Y", "Z"])
    >>> result = normalise(values, method="percentile_rank", directions=pd.Series({"wage": 1, "flat": 1}))
    >>> result.values["wage"].tolist(), result.constant
    ([0.0, 0.5, 1.0], ['flat'])
    """
    if method not in METHODS:
        raise ValueError(f"{method!r} is no normalisation; choose {', '.join(METHODS)}.")
    unknown = [key for key in options if key not in METHODS[method]]
    if unknown:
        knows = ", ".join(METHODS[method]) or "no option"
        raise ValueError(f"{method} has no option {', '.join(unknown)}; it knows {knows}.")
    # Cut here, not in the method, so that every cut cell is known.
    low, high = -np.inf, np.inf
    if "clip" in METHODS[method] and options.get("clip", method == "goalposts"):
        low, high = (options.get("lower", 0), options.get("upper", 100)) if method == "min_max" else (0, 100)
    if options.get("cap", False):
        high = 1
    for key in ("clip", "cap"):
        if key in METHODS[method]:
            options[key] = False
    if literal and method in LITERAL:
        options["literal"] = True
    scores = _FUNCTIONS[method](values, directions=directions, **options)
    scores, clipped = clip_scores(scores, low, high)
    lost = np.isnan(scores.to_numpy(dtype=np.float64)).all(axis=0) & ~np.isnan(values.to_numpy(dtype=np.float64)).all(
        axis=0
    )
    constant = [] if method == "change" else [str(code) for code in values.columns[lost]]
    return Normalisation(scores, constant, clipped)

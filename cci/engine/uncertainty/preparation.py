"""Prepare the normalised tables that replicates score: the steps of a run, with options in the place of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine import imputation
from cci.engine.errors import DataError
from cci.engine.tables import FloatArray
from cci.engine.uncertainty.draws import random

# Applies one step with checked settings: its name, the settings (None: the step is off), the values.
Apply = Callable[[str, Any, pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Preparation:
    """The values before the first step that is varied, and how to bring them to one scale.

    values : shape (n_units, n_indicators), NaN is missing. options : for impute, treat and normalise, the settings
    to choose among; one entry where the step is not varied, (None,) where it is not run. errors : standard
    errors, shape of the values, 0 where a value is exact. samples : instead, whole tables to take the
    values from, shape (n_draws, n_units, n_indicators). gaps : multiple imputation in the place of `impute`.
    """

    values: pd.DataFrame
    apply: Apply
    options: Mapping[str, tuple[Any, ...]]
    seed: int = 0
    errors: FloatArray | None = None
    samples: FloatArray | None = None
    gaps: "GapDraws | None" = None

    def treated(self, noise: int, impute: int, treat: int) -> pd.DataFrame:
        """The table after treatment, for one draw of the values and one option of each step."""
        values = self.values
        if self.samples is not None:
            values = self._with(np.where(values.isna(), np.nan, self.samples[noise % len(self.samples)]))
        elif self.errors is not None:
            values = self._with(noisy(values.to_numpy(dtype=np.float64), self.errors, self.seed, noise))
        if self.gaps is not None:
            values = self._with(self.gaps.filled(values.to_numpy(dtype=np.float64), impute))
        elif "impute" in self.options:
            values = self.apply("impute", self.options["impute"][impute], values)
        if "treat" in self.options:
            values = self.apply("treat", self.options["treat"][treat], values)
        return values

    def normalised(self, treated: pd.DataFrame, normalise: int) -> FloatArray:
        """The indicators on one scale, one run of memory each: shape (n_indicators, n_units)."""
        if "normalise" in self.options:
            treated = self.apply("normalise", self.options["normalise"][normalise], treated)
        return np.ascontiguousarray(treated.to_numpy(dtype=np.float64).T)

    def _with(self, cells: FloatArray) -> pd.DataFrame:
        return pd.DataFrame(cells, index=self.values.index, columns=self.values.columns)


class GapDraws:
    """The draws of multiple imputation, made some at a time: together they are quick, all at once too large."""

    def __init__(self, model: imputation.ImputationModel, block: int = 64) -> None:
        self.model, self.block = model, block
        self._first, self._lock = -1, Lock()

    def filled(self, cells: FloatArray, number: int) -> FloatArray:
        """A copy of the cells with the gaps of one draw, which does not depend on the others drawn with it."""
        with self._lock:
            first = number // self.block * self.block
            if first != self._first:
                self._draws, self._first = self.model.draw(self.block, first=first), first
            return self._draws.table(cells, number - first)


def noisy(cells: FloatArray, errors: FloatArray, seed: int, number: int) -> FloatArray:
    """Add a normal error to every value that has one: x + se u, u ~ N(0, 1). cells, errors : same shape.

    The numbers belong to the draw's number alone, so that a draw is the same whoever computes it and when. They
    are drawn in single precision: seven digits of an error are plenty, and take half the time.
    """
    rows = np.flatnonzero((errors > 0).any(axis=1))
    if len(rows) < len(cells):
        drawn = cells.copy()
        drawn[rows] += errors[rows] * random(seed, "noise", number).standard_normal(
            (len(rows), cells.shape[1]), np.float32
        )
        return drawn
    drawn = errors * random(seed, "noise", number).standard_normal(cells.shape, np.float32)
    drawn += cells
    return drawn


def errors_of(errors: pd.DataFrame, values: pd.DataFrame, *, file: str = "errors") -> FloatArray:
    """Bring a table of standard errors to the shape of the values; a unit or indicator not in it is exact.

    errors : labelled as the values, in each indicator's own unit. Raises DataError for a negative or infinite one.

    >>> values = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=["X", "Y"])
    >>> errors_of(pd.DataFrame({"a": [0.5]}, index=["Y"]), values).tolist()
    [[0.0, 0.0], [0.5, 0.0]]
    """
    cells = errors.to_numpy(dtype=np.float64)
    wrong = np.argwhere((cells < 0) | np.isinf(cells))
    if wrong.size:
        row, column = wrong[0]
        raise DataError(
            f"the standard error of {errors.index[row]} is {cells[row, column]:g}; write a finite number of 0 or more, "
            "or leave it empty.",
            file=file,
            row=int(row) + 2,
            column=str(errors.columns[column]),
        )
    unknown = [str(unit) for unit in errors.index if unit not in values.index]
    if unknown and len(unknown) == len(errors):
        raise DataError("names none of the units of the data; the column uCode holds them.", file=file, column="uCode")
    found: FloatArray = (
        errors.reindex(index=values.index, columns=values.columns).fillna(0.0).to_numpy(dtype=np.float64)
    )
    return found


def times_of(index: "pd.Index[Any]") -> tuple[NDArray[np.intp], ...]:
    """The places of the units of each time, which are ranked among themselves; of all, where there is one."""
    if index.nlevels < 2:
        return (np.arange(len(index)),)
    codes, times = pd.factorize(index.get_level_values(1), sort=True)
    return tuple(np.flatnonzero(codes == number) for number in range(len(times)))

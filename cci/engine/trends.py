"""How fast each unit moved on each indicator over the times of a panel."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.errors import DataError
from cci.engine.tables import FloatArray

# Why there is no figure.
TOO_FEW = "fewer than two values"
ZERO_START = "starts at zero"
SIGN_CHANGES = "the sign changes"


def growth(values: pd.DataFrame, *, literal: bool = False) -> pd.DataFrame:
    """The compound growth rate between the first and the last value: (y_T / y_0)^(1 / (T - 0)) - 1.

    values : labelled by uCode and Time (numbers, as years), shape (n_rows, n_indicators); NaN means missing.
    literal : follow the formula where it has no answer, to Inf at a zero start, as COINr does.

    Returns one row per unit and indicator, sorted by indicator (in the order of the columns), then unit:
    uCode, indicator, growth (a share per unit of time: 0.02 is 2 % a year), available (share of the
    times that have a value), first, last (the times used), reason. Equal ends have growth 0, also 0 and 0.
    There is no growth, and a reason, for fewer than two values, a zero start, and ends of different sign.
    Raises ValueError where the data hold no times, DataError for times that are no numbers.
    Method note, section 16 (COINr `CAGR`).

    >>> index = pd.MultiIndex.from_product([["X", "Y"], [2020, 2022]], names=["uCode", "Time"])
    >>> table = growth(pd.DataFrame({"wage": [100.0, 121.0, 0.0, 5.0]}, index=index))
    >>> table[["uCode", "growth", "reason"]].round(6).to_numpy().tolist()
    [['X', 0.1, ''], ['Y', nan, 'starts at zero']]
    """

    panel = _Panel(values)
    with np.errstate(all="ignore"):
        rates = (panel.last / panel.first) ** (1 / (panel.last_time - panel.first_time)) - 1
    rates = np.where(panel.last == panel.first, 0.0, rates)
    ends_differ = panel.last != panel.first
    reasons = [
        (panel.n < 2, TOO_FEW),
        (ends_differ & (panel.first == 0), ZERO_START),
        (ends_differ & (np.sign(panel.first) * np.sign(panel.last) < 0), SIGN_CHANGES),
    ]
    return panel.table("growth", rates, reasons, literal=literal)


def percent_change(values: pd.DataFrame, *, per: float = 1, literal: bool = False) -> pd.DataFrame:
    """The slope of a straight line through the values, in per cent of where the line starts.

    With two values the line joins them; with more it is the least-squares line.

    values : as for `growth`. per : the change over so many units of time (10 is a decade).
    literal : follow the formula where it has no sensible answer, as COINr does.

    Returns the table of `growth`, with the column `change` (per cent per `per` units of time). Equal values
    have change 0. There is no change, and a reason, for fewer than two values, a line that starts at zero,
    and one that starts on the other side of zero than the mean of the values lies. Raises as `growth`.
    Method note, section 16 (COINr `prc_change`).

    >>> index = pd.MultiIndex.from_product([["X"], [2020, 2021, 2022]], names=["uCode", "Time"])
    >>> percent_change(pd.DataFrame({"wage": [10.0, 11.0, 12.0]}, index=index))["change"].tolist()
    [10.0]
    """

    panel = _Panel(values)
    present = ~np.isnan(panel.cells)
    with np.errstate(all="ignore"):
        mean = np.where(present, panel.cells, 0.0).sum(axis=1) / panel.n
        middle = np.where(present, panel.times[:, None], 0.0).sum(axis=1) / panel.n
        away = np.where(present, panel.times[:, None] - middle[:, None, :], 0.0)
        rise = np.where(present, panel.cells - mean[:, None, :], 0.0)
        incline = (away * rise).sum(axis=1) / (away * away).sum(axis=1)
        start = np.where(panel.n > 2, mean + incline * (panel.first_time - middle), panel.first)
        changes = 100 * incline * per / start
    largest = np.fmax.reduce(np.abs(panel.cells), axis=1, initial=-np.inf)
    moves = np.fmax.reduce(panel.cells, axis=1, initial=-np.inf) > np.fmin.reduce(panel.cells, axis=1, initial=np.inf)
    reasons = [
        (panel.n < 2, TOO_FEW),
        # What is left of a difference of equals is rounding.
        (moves & (np.abs(start) <= 1e-12 * largest), ZERO_START),
        (moves & (start * mean < 0), SIGN_CHANGES),
    ]
    return panel.table("change", np.where(moves, changes, 0.0), reasons, literal=literal)


class _Panel:
    """A table by unit and time as a block (units, times, indicators), and the ends of each series."""

    def __init__(self, values: pd.DataFrame) -> None:
        if values.index.nlevels < 2:
            raise ValueError("Trends need data with a Time.")
        try:
            times = values.index.get_level_values(1).to_numpy().astype(np.float64)
        except (TypeError, ValueError):
            raise DataError(
                "a time is not a number, and trends need distances in time; write years.", column="Time"
            ) from None
        self.name, self.columns = values.index.names[0] or "uCode", values.columns
        self.units, row = np.unique(values.index.get_level_values(0).to_numpy(), return_inverse=True)
        self.times, place = np.unique(times, return_inverse=True)
        if not len(self.times):
            self.times = np.array([np.nan])  # an empty table has no series, and no ends to look for
        shape = (len(self.units), len(self.times), values.shape[1])
        self.cells = np.full(shape, np.nan)
        self.cells[row, place] = values.to_numpy(dtype=np.float64)
        present = ~np.isnan(self.cells)
        self.n = present.sum(axis=1)
        first, last = present.argmax(axis=1), shape[1] - 1 - present[:, ::-1].argmax(axis=1)
        self.first = np.take_along_axis(self.cells, first[:, None, :], axis=1)[:, 0]
        self.last = np.take_along_axis(self.cells, last[:, None, :], axis=1)[:, 0]
        self.first_time = np.where(self.n > 0, self.times[first], np.nan)
        self.last_time = np.where(self.n > 0, self.times[last], np.nan)

    def table(
        self, name: str, figures: FloatArray, reasons: list[tuple[NDArray[np.bool_], str]], *, literal: bool
    ) -> pd.DataFrame:
        """The figures as one row per indicator and unit; where a reason holds there is none."""
        said = np.select([where for where, _ in reasons], [text for _, text in reasons], default="")
        lost = reasons[0][0] if literal else said != ""
        return pd.DataFrame(
            {
                self.name: np.tile(self.units, len(self.columns)),
                "indicator": np.repeat(self.columns.to_numpy(), len(self.units)),
                name: np.where(lost, np.nan, figures).T.ravel(),
                "available": (self.n / len(self.times)).T.ravel(),
                "first": self.first_time.T.ravel(),
                "last": self.last_time.T.ravel(),
                "reason": said.T.ravel(),
            }
        )

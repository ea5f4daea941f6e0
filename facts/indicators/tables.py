"""The content of a snapshot: frames as stored, and the same content as arrays, made once and only in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from .formulas import Answers

FLAG_COLUMNS = ["round", "frame_id", "rule", "severity", "resolution"]
IN_SCOPE = (1, 2, 3)
OPERATING = (1, 2)
GONE = (4, 5, 6)


@dataclass(frozen=True)
class Tables:
    """The content of a snapshot.

    units : one row per accepted unit return: round, cluster, frame_id, and a column per question (multiple answers
        joined by ';', missing = NaN).
    frame : round, cluster, frame_id, size (1–4), prior_employment, in_scope, and, where samples are drawn, member,
        drawn, design_weight.
    collective : round, schedule, subject, cluster, region, answers (JSON) of the other schedules.
    context : country, year, inflation_pct, ppp_lcu_per_usd, fx_lcu_per_usd.
    clusters : code, country, region, sector, fiscal_year_end_month.
    flags : round, frame_id, rule, severity, resolution: what the checks said of the accepted versions.
    """

    units: pd.DataFrame
    frame: pd.DataFrame
    collective: pd.DataFrame
    context: pd.DataFrame
    clusters: pd.DataFrame
    flags: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FLAG_COLUMNS))

    @cached_property
    def codes(self) -> list[str]:
        """Clusters that have a frame in any round, in order of code."""
        return sorted(self.frame["cluster"].unique())

    @cached_property
    def arrays(self) -> "Arrays":
        return Arrays(self)


class Arrays:
    """Tables as arrays. Frame ids and clusters are whole numbers; answers are opened when first asked for.

    unit, frame : name → (n_rows,) array of the respective table: round, cluster (place in `codes`, −1 unknown) and
        key (one number per frame id, the same in both tables); of units also status (UA01), of the frame also size,
        employment, in_scope, member, drawn, design.
    """

    def __init__(self, tables: Tables):
        units, frame = tables.units, tables.frame
        self.tables, self.codes = tables, tables.codes
        keys, ids = pd.factorize(pd.concat([frame["frame_id"], units["frame_id"]]))
        self.ids = pd.Index(ids)
        named, names = pd.factorize(pd.concat([frame["cluster"], units["cluster"]]))
        place = {code: index for index, code in enumerate(self.codes)}
        at = np.array([place.get(name, -1) for name in names] + [-1], dtype=np.int64)[named]
        n = len(frame)
        self.frame: Mapping[str, np.ndarray] = {
            "round": _whole(frame["round"]),
            "cluster": at[:n],
            "key": keys[:n],
            "size": _whole(frame["size"]),
            "employment": frame["prior_employment"].to_numpy(dtype=float),
            "in_scope": frame["in_scope"].to_numpy(dtype=bool),
            "member": _or(frame, "member", False).astype(bool),
            "drawn": _or(frame, "drawn", True).astype(bool),
            "design": _or(frame, "design_weight", 1.0).astype(float),
        }
        self.unit: Mapping[str, np.ndarray] = {
            "round": _whole(units["round"]),
            "cluster": at[n:],
            "key": keys[n:],
            "status": self._floats(units, "UA01"),
        }
        self._numbers: dict[str, np.ndarray] = {}
        self._answers: dict[str, Answers] = {}

    def has(self, name: str) -> bool:
        return name in self.tables.units.columns

    def number(self, name: str) -> np.ndarray:
        """The answers to a question as floats over all unit rows; NaN where missing, refused or text."""
        if name not in self._numbers:
            self._numbers[name] = self._floats(self.tables.units, name)
        return self._numbers[name]

    def answers(self, name: str, rows: np.ndarray) -> Answers:
        """The answers of some unit rows to a question with several options; a row of −1 is missing."""
        if name not in self._answers:
            places, texts = pd.factorize(self.tables.units[name])
            self._answers[name] = Answers(places, tuple(frozenset(text.split(";")) for text in texts))
        every = self._answers[name]
        place = np.where(rows >= 0, every.place[rows], -1) if len(every.place) else np.full(len(rows), -1)
        return Answers(place, every.sets)

    def rows(self, round_year: int, status: tuple[int, ...]) -> np.ndarray:
        """Rows of the unit table: accepted in that round, with one of those statuses (UA01)."""
        wanted = self.unit["round"] == round_year
        return np.flatnonzero(wanted & _among(self.unit["status"], status))

    def frame_rows(self, round_year: int) -> np.ndarray:
        return np.flatnonzero(self.frame["round"] == round_year)

    def look_up(self, keys: np.ndarray, table_keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """For each key the row among `rows` that has it; −1 where none has. table_keys : of the rows' whole table."""
        at = np.full(len(self.ids), -1)
        at[table_keys[rows]] = rows
        return at[keys]

    @staticmethod
    def _floats(units: pd.DataFrame, name: str) -> np.ndarray:
        if name not in units:
            return np.full(len(units), np.nan)
        column = units[name]
        if not pd.api.types.is_numeric_dtype(column):
            column = pd.to_numeric(column, errors="coerce")
        return column.to_numpy(dtype=float)


def _among(values: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    found = np.zeros(len(values), dtype=bool)
    for one in wanted:
        found |= values == one
    return found


def _whole(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype=np.int64)


def _or(frame: pd.DataFrame, name: str, otherwise: float) -> np.ndarray:
    """A column that tables of an earlier form do not have."""
    if name not in frame:
        return np.full(len(frame), otherwise)
    column = frame[name]
    return (column.fillna(otherwise) if column.hasnans else column).to_numpy()

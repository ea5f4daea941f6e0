"""What was observed: rounds, frames, returns and their history, snapshots, indicator values.

Answers are not here: they lie sealed in `facts.vault`, apart from unit identity.
"""

from .instrument import Indicator, Instrument, Question, Schedule
from .results import CheckRun, Flag, IndicatorValue, Reliability, RoundFlag, Snapshot
from .returns import IdempotencyKey, Query, Reopening, Return, Upload
from .rounds import Collector, CountryYear, Extension, FiscalYear, FrameEntry, Invitation, Round, UnitLink

__all__ = [
    "CheckRun",
    "Collector",
    "CountryYear",
    "Extension",
    "FiscalYear",
    "Flag",
    "FrameEntry",
    "IdempotencyKey",
    "Indicator",
    "IndicatorValue",
    "Instrument",
    "Invitation",
    "Query",
    "Question",
    "Reliability",
    "Reopening",
    "Return",
    "Round",
    "RoundFlag",
    "Schedule",
    "Snapshot",
    "UnitLink",
    "Upload",
]

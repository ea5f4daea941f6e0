"""What was observed: rounds, frames, returns and their history, snapshots, indicator values.

Answers are not here: they lie sealed in `facts.vault`, apart from unit identity.
"""

from .field import FieldSubmission
from .instrument import Indicator, Instrument, Question, Schedule
from .results import CheckRun, Flag, IndicatorValue, Reliability, RoundFlag, Snapshot
from .returns import IdempotencyKey, Query, Reopening, RequestCount, Return, Upload
from .rounds import Collector, CountryYear, Extension, FiscalYear, FrameEntry, Invitation, Round, UnitLink

__all__ = [
    "CheckRun",
    "Collector",
    "CountryYear",
    "Extension",
    "FieldSubmission",
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
    "RequestCount",
    "Return",
    "Round",
    "RoundFlag",
    "Schedule",
    "Snapshot",
    "UnitLink",
    "Upload",
]

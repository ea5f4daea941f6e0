"""Forms of returns. Words and figures are written by `facts.wording`."""

from facts.wording import (
    MARKER_WORDS,
    NUMBERS,
    SCALE_WORDS,
    SCALES,
    change_words,
    in_words,
    last_year,
    rescaled,
    typed,
)

from .section import Field, SectionForm, Typed, drop_refused, unit_of
from .small import CertifyForm, ScaleForm, SendBackForm, UploadForm

__all__ = [
    "MARKER_WORDS",
    "NUMBERS",
    "SCALES",
    "SCALE_WORDS",
    "CertifyForm",
    "Field",
    "ScaleForm",
    "SectionForm",
    "SendBackForm",
    "Typed",
    "UploadForm",
    "change_words",
    "drop_refused",
    "in_words",
    "last_year",
    "rescaled",
    "typed",
    "unit_of",
]

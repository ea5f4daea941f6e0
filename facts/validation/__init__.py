"""One validator for form, file and API: from what people type to answers, and from answers to problems.

`read_answers` turns raw values into answers and markers, `check` applies routing, required, hard and
soft checks, `validate` does both. All doors show `problem.message` and `problem.mend` unchanged.

Three decisions:

- *A question the routing skips* is not asked. An answer or a marker DK or REF given all the same is not
  dropped in silence: it stays in the answers, a soft problem `UB01-route` says why it is not used, and no
  check sees it. Where the question that decides the routing is itself still without answer, only that
  question is named.
- *NA* is for skipped questions only. On a question that is asked, NA is a hard problem `UB01-marker`.
- *An empty list* answers a question with several answers where its options have no "none" ("of which
  present and working"); the word "none" says the same in a file. Where "none" is an option, an empty
  list is a blank.

Messages hold answers. Outside the vault keep a problem's `rule`, never its `message` or `value`.
"""

from facts.validation.checking import Examined, answered_core_share, asked, check, examine, unexplained, validate
from facts.validation.problems import Context, Lookups, Problem
from facts.validation.reading import MARKERS, SCALES, Reading, read_answers

__all__ = [
    "MARKERS",
    "SCALES",
    "Context",
    "Examined",
    "Lookups",
    "Problem",
    "Reading",
    "answered_core_share",
    "asked",
    "check",
    "examine",
    "read_answers",
    "unexplained",
    "validate",
]

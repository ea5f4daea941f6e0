"""From arrays to returns in the shape of the API door: questions not asked are absent."""

from __future__ import annotations

import numpy as np

from facts.demo.planting import Run
from facts.demo.year import DK, REF, Year

MARKERS = {DK: "DK", REF: "REF"}
ORDER = (
    *(
        "UA01",
        "UA02",
        "UA03",
        "UA04",
        "UA05",
        "UA06",
        "UA07",
        "UB01",
        "UB02",
        "UB03",
        "UB04",
        "UB05",
        "UB06",
        "UB07",
    ),
    *(
        "UB08",
        "UB09",
        "UC01",
        "UC02",
        "UC03",
        "UC04",
        "UC05",
        "UC06",
        "UD01",
        "UD02",
        "UD03",
        "UD04",
        "UD05",
        "UD06",
    ),
    *(
        "UD07",
        "UE01",
        "UE02",
        "UE03",
        "UE04",
        "UE05",
        "UE06",
        "UF01",
        "UF02",
        "UF03",
        "UG01",
        "UG02",
        "UG03",
        "UG04",
    ),
    *("UG05", "UG06", "UH01", "UH02", "UH03", "UH04", "UH05", "UJ01", "UJ02", "UJ03"),
)
# Asked only if the other question has a value above zero.
FOLLOWS = {"UC04": "UC01", "UC05": "UC01", "UD02": "UD01", "UF03": "UF02"}


def plain(values: np.ndarray) -> list:
    """Return Python values; whole numbers as int, so that 12.0 and 12 are not two answers."""
    return [int(v) if isinstance(v, float) and v.is_integer() else v for v in values.tolist()]


def returns_of(run: Run, year: Year, frame_ids: np.ndarray, rows: np.ndarray) -> list[dict]:
    """Return the returns of the units at `rows`, in that order.

    A marked item carries "DK" or "REF"; UC06, which nobody has to answer, is left out instead. A unit that
    did not operate (UA01 3-6) only confirms (UJ03).
    """
    columns = {code: _column(year, code, rows) for code in ORDER if code != "UJ03"}
    for code, leader in FOLLOWS.items():
        asked = (year.marks[leader][rows] == 0) & (year.answers[leader][rows] > 0)
        columns[code] = [value if ask else None for value, ask in zip(columns[code], asked, strict=True)]
    operating = np.isin(year.answers["UA01"][rows], (1, 2))
    returns = []
    for place, row in enumerate(rows):
        if operating[place]:
            answers = {code: column[place] for code, column in columns.items() if column[place] is not None}
        else:
            answers = {"UA01": columns["UA01"][place]}
        answers["UJ03"] = 1
        outcome = "draft" if year.draft[row] else "accepted"
        returns.append(
            {
                "frame_id": str(frame_ids[row]),
                "cluster": run.cluster["code"],
                "answers": answers,
                "outcome": outcome,
            }
        )
    return returns


def _column(year: Year, code: str, rows: np.ndarray) -> list:
    if code in year.options:
        codes, chosen = year.options[code]
        values = [[c for c, yes in zip(codes, row, strict=True) if yes] or ["none"] for row in chosen[rows].tolist()]
    else:
        values = plain(year.answers[code][rows])
    if code not in year.marks:
        return values
    markers = dict.fromkeys(MARKERS) if code == "UC06" else MARKERS
    marks = year.marks[code][rows].tolist()
    return [markers[mark] if mark else value for value, mark in zip(values, marks, strict=True)]

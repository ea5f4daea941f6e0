"""The sheet that a firm gets back: its own figures against those of its peers. Pure: answers in, figures and words out.

Nothing on it gives a peer away (framework §13.8; security design §6):

- Everybody of a group sees the same three figures of it, so two members learn nothing by laying their sheets together.
- A median or quartile is the mean of the three or four firms around that place: no firm's own figure is ever shown,
  and never the smallest or the largest. Rounded to three significant digits.
- A group grows in steps of five firms, in the order of acceptance, so that one firm's arrival changes nothing.
- At least ten peers beside oneself; the two largest of a group do not see it, because they could tell each other.
- A place is said as a quarter, read off the rounded figures; never a rank.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facts.expressions import MISSING, Expression, parse
from facts.release import significant

LEAST_PEERS = 10
STEP = 5  # a group grows by so many firms at a time (security design §6: a cell changes by ≥ 5 contributors)
LARGEST = 2  # so many largest firms of a group see nothing of it
GAPS = 3
OPERATING = (1, 2)

PE = "(UB01*UA02/12)"
OUT = "(UC01+coalesce(UC06,0))"


@dataclass(frozen=True)
class Figure:
    """A figure that helps a firm. unit: "money" or a word. direction: +1 more is better, −1 less is, 0 neither.

    base : the answer by which the two largest of a group are found. area : area of work that has helped others
    (framework §12.6; the compass has no area for productivity itself: technology stands for it).
    """

    code: str
    label: str
    expression: Expression
    unit: str
    direction: int
    base: str
    area: str
    meaning: str


def _figure(code, label, text, unit, direction, base, area, meaning) -> Figure:
    return Figure(code, label, parse(text), unit, direction, base, area, meaning)


FIGURES = (
    _figure("sales", "Sales per person", f"UC01/{PE}", "money", 1, "UC01", "tech", "Yearly, for a full year's work."),
    _figure(
        "value_added",
        "Value added per person",
        f"({OUT}-UD01-UD04-UD05-UD06)/{PE}",
        "money",
        1,
        "UC01",
        "tech",
        "Output less materials, energy, job-work and other running costs.",
    ),
    _figure(
        "labour",
        "Labour cost per paid worker",
        "UB09/((UB05+UB06)*UA02/12)",
        "money",
        0,
        "UB09",
        "cap",
        "Yearly, for a full year's work.",
    ),
    _figure("energy", "Energy cost in sales", "100*UD04/UC01", "%", -1, "UC01", "tech", "Of every 100 of sales."),
    _figure("capacity", "Capacity use", "UE04", "%", 1, "UE01", "mkt", "As reported, of what the machines could do."),
    _figure("rejects", "Rejects and rework", "UE06", "%", -1, "UC01", "innov", "Of what is made."),
    _figure("training", "Training days per person", f"UB08/{PE}", "days", 1, "UB01", "cap", "In the year."),
    _figure("exports", "Exports in sales", "100*(UC02+UC03)/UC01", "%", 1, "UC01", "mkt", "Direct or by traders."),
    _figure("new_products", "New products in sales", "UC05", "%", 1, "UC01", "innov", "New or clearly improved."),
)


@dataclass(frozen=True)
class Line:
    """One figure of a sheet: own value and, unless `withheld` says why not, what peers report and the own place."""

    figure: Figure
    own: float | None
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    place: str = ""
    withheld: str = ""

    @property
    def gap(self) -> float:
        """How far the own value lies on the worse side of the middle, in widths of the middle half; else 0."""
        if self.own is None or self.low is None or self.middle is None or self.high is None:
            return 0.0
        width = (self.high - self.low) or abs(self.middle) or 1.0
        return max(0.0, (self.middle - self.own) * self.figure.direction / width)


def value_of(expression: Expression, answers: Mapping) -> float | None:
    """Compute a figure from one firm's answers; None where something is missing."""
    value = expression.run(answers, None)  # these expressions read answers only
    return None if value is MISSING else float(value)


def is_operating(answers: Mapping) -> bool:
    """Whether the firm worked in the reference year."""
    return answers.get("UA01") in OPERATING


def group_size(n: int) -> int:
    """How many of n accepted firms make the group: none below ten peers and oneself, then 11, 15, 20, 25 …

    >>> [group_size(n) for n in (10, 11, 14, 15, 19, 64)]
    [0, 11, 11, 15, 15, 60]
    """
    if n <= LEAST_PEERS:
        return 0
    return max(LEAST_PEERS + 1, n // STEP * STEP)


def quartiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    """First quartile, median, third quartile, each the mean of the three or four firms around it; None if too few.

    >>> quartiles([float(n) for n in range(1, 12)])
    (3.5, 6.0, 8.5)
    """
    if len(values) <= LEAST_PEERS:
        return None
    ordered = sorted(values)
    found = []
    for share in (0.25, 0.5, 0.75):
        at = (len(ordered) - 1) * share
        around = ordered[math.floor(at) - 1 : math.ceil(at) + 2]
        found.append(significant(sum(around) / len(around)))
    return found[0], found[1], found[2]


def place_words(own: float, found: tuple[float, float, float], direction: int) -> str:
    """The place among peers as a quarter, in words that say which side is the better one."""
    low, middle, high = found
    quarter = 3 if own > high else 2 if own > middle else 1 if own >= low else 0
    if own == middle:
        return "in the middle"
    if direction == 0:
        return ("in the lowest quarter", "below the middle", "above the middle", "in the highest quarter")[quarter]
    words = ("in the weakest quarter", "in the weaker half", "in the better half", "in the best quarter")
    # Standing on the lower quartile is no longer in the lowest quarter; turned round, the same holds at the upper one.
    if direction < 0:
        quarter = 0 if own > high else 1 if own > middle else 2 if own >= low else 3
    return words[quarter]


def lines_of(own: Mapping, group: Sequence[Mapping]) -> list[Line]:
    """Every figure of a sheet. own : the firm's answers. group : those of the group, in it the firm itself or not."""
    lines = []
    for figure in FIGURES:
        mine = value_of(figure.expression, own)
        values = [value for answers in group if (value := value_of(figure.expression, answers)) is not None]
        found = quartiles(values)
        if found is None:
            lines.append(Line(figure, mine, withheld="fewer than ten peers answered this"))
        elif _is_largest(figure.base, own, group):
            lines.append(Line(figure, mine, withheld="you are one of the two largest here"))
        else:
            place = "" if mine is None else place_words(mine, found, figure.direction)
            lines.append(Line(figure, mine, *found, place=place))
    return lines


def _is_largest(base: str, own: Mapping, group: Sequence[Mapping]) -> bool:
    """Whether at most one firm of the group is larger than the own one."""
    size = own.get(base) or 0
    larger = sum((answers.get(base) or 0) > size for answers in group)
    return larger < LARGEST


def largest_gaps(lines: Sequence[Line]) -> list[Line]:
    """The three figures in which the firm lies furthest behind its peers' middle; fewer where it does not."""
    behind = [line for line in lines if line.gap > 0]
    return sorted(behind, key=lambda line: -line.gap)[:GAPS]

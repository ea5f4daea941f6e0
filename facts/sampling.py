"""Who of a cluster's frame is asked: everybody, or a sample that keeps three quarters of last year's (framework §11.3).

Pure: lists in, choices out; the same seed draws the same sample.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CENSUS_MAX = 120  # up to so many units of a frame everybody is asked
TAKE_ALL = (3, 4)  # sizes of which everybody is asked always: medium and large
Z, MARGIN = 1.645, 0.10  # the mean of sales per person within 10 per cent, nine times in ten
CV_DEFAULT = 0.6  # spread of sales per person where no last round tells it
LEAST = 30
KEPT = 0.75  # share of the random part that was drawn last year too


@dataclass(frozen=True)
class Listed:
    """A unit in scope of the frozen frame. `sector` is its ISIC class (UA05), `before`: drawn last year."""

    key: int
    size: int
    member: bool = False
    sector: str = ""
    before: bool = False


def wanted(population: int, *, cv: float | None = None, expected_response: float = 1.0) -> int:
    """How many of `population` small units to draw: m / (1 + m/N), at least 30, divided by the expected response.

    cv : coefficient of variation of sales per person in the last round; None where there is none.
    expected_response : share in (0, 1]. Raises ValueError outside.
    """
    if not 0 < expected_response <= 1:
        raise ValueError(f"The expected response is {expected_response}; it must be above 0 and at most 1.")
    if population <= 0:
        return 0
    m = (Z * (CV_DEFAULT if cv is None else cv) / MARGIN) ** 2
    n = max(m / (1 + m / population), LEAST)
    return min(population, math.ceil(n / expected_response - 1e-9))


def draw(
    units: Iterable[Listed], *, cv: float | None = None, expected_response: float = 1.0, seed: int
) -> dict[int, float]:
    """Return the design weight of every drawn unit by its key; a unit that is not in it is not asked.

    A frame of at most 120 is asked whole. Else all of SIZE 3 and 4, and of SIZE 1 and 2 a systematic sample along
    member status and ISIC class. Three quarters of it come from those drawn last year, the rest from the others;
    where one side has too few, the other fills up. The weights sum to the number of units.
    """
    units = sorted(units, key=lambda unit: unit.key)
    if len(units) <= CENSUS_MAX:
        return {unit.key: 1.0 for unit in units}
    certain = [unit for unit in units if unit.size in TAKE_ALL]
    others = [unit for unit in units if unit.size not in TAKE_ALL]
    n = wanted(len(others), cv=cv, expected_response=expected_response)
    rng = random.Random(seed)
    stayed, fresh = [u for u in others if u.before], [u for u in others if not u.before]
    if stayed:
        kept = min(len(stayed), max(round(KEPT * n), n - len(fresh)))
    else:
        kept = 0
    chosen = systematic(stayed, kept, rng) + systematic(fresh, n - kept, rng)
    weights = {unit.key: 1.0 for unit in certain}
    return weights | {unit.key: len(others) / n for unit in chosen}


def systematic(units: Sequence[Listed], n: int, rng: random.Random) -> list[Listed]:
    """Every k-th unit from a random start along member status and ISIC class: each has the same chance."""
    if n <= 0:
        return []
    row = sorted(units, key=lambda unit: (not unit.member, unit.sector, unit.key))
    step = len(row) / n
    start = rng.random() * step
    return [row[min(int(start + place * step), len(row) - 1)] for place in range(n)]

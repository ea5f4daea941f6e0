"""Places, bands and moves: what a ranking says no more precisely than its intervals allow. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Place:
    """A ranked cluster's place in an edition; a rank never comes without its interval.

    band : number of its band as stored with the edition, 1 is the first; None where it is not stored.
    """

    cluster_id: int
    score: float
    rank: int
    low: int
    high: int
    band: int | None = None


@dataclass(frozen=True)
class Band:
    """A run of clusters whose rank intervals overlap; inside it the order is not settled. position : from 0."""

    letter: str
    position: int
    places: tuple[Place, ...]

    @property
    def first(self) -> int:
        return min(place.low for place in self.places)

    @property
    def last(self) -> int:
        return max(place.high for place in self.places)


@dataclass(frozen=True)
class Move:
    """Ranks of one cluster in two editions, counted among the clusters ranked in both.

    is_move : the two intervals do not touch. Anything less is inside the noise and is said so.
    """

    before: int
    after: int
    n: int
    is_move: bool

    @property
    def gained(self) -> int:
        """Places won (+) or lost (−)."""
        return self.before - self.after

    @property
    def words(self) -> str:
        if not self.is_move:
            return "no move beyond the noise"
        places = f"{abs(self.gained)} place{'s' if abs(self.gained) != 1 else ''}"
        return f"{'up' if self.gained > 0 else 'down'} {places}"


def band_starts(spans: Iterable[tuple[int, int]]) -> list[int]:
    """The number of each place's band, from 1. spans : (low, high) of the ranks, in the order of the ranks.

    A ranking is cut where no interval reaches across: nine draws of ten keep the order between two bands.

    >>> band_starts([(1, 1), (2, 3), (2, 4), (4, 5), (6, 6)])
    [1, 2, 2, 2, 3]
    """
    numbers: list[int] = []
    reach = 0
    for low, high in spans:
        numbers.append((numbers[-1] if numbers else 0) + (not numbers or low > reach))
        reach = max(reach, high)
    return numbers


def band_numbers(ranks: "pd.Series[int]", intervals: pd.DataFrame) -> "pd.Series[int]":
    """The band of each ranked cluster, 1 is the first. ranks, intervals (columns low, high) : labelled by cluster."""
    order = sorted(ranks.index, key=lambda code: (ranks[code], code))
    spans = intervals.loc[order, ["low", "high"]].itertuples(index=False, name=None)
    return pd.Series(band_starts(spans), index=pd.Index(order), dtype=int).reindex(ranks.index)


def bands_of(places: Sequence[Place]) -> list[Band]:
    """The bands of a ranking, in the order of its ranks: as stored with the edition, else cut by the intervals."""
    stored = [place.band for place in places]
    numbers = band_starts((place.low, place.high) for place in places)
    if None not in stored:
        numbers = [band for band in stored if band is not None]
    runs: dict[int, list[Place]] = {}
    for number, place in zip(numbers, places, strict=True):
        runs.setdefault(number, []).append(place)
    return [Band(letters(number - 1), number - 1, tuple(run)) for number, run in runs.items()]


def letters(position: int) -> str:
    """0 → A, 25 → Z, 26 → AA."""
    text = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        text = chr(65 + rest) + text
    return text


def moves_between(earlier: Sequence[Place], later: Sequence[Place]) -> dict[int, Move]:
    """Like for like: how far each cluster ranked in both editions moved among those clusters.

    Intervals are shifted by as many places as clusters outside the comparison stood ahead.
    """
    both = {place.cluster_id for place in earlier} & {place.cluster_id for place in later}
    before, after = among(earlier, both), among(later, both)
    return {key: move_of(before[key], after[key], len(both)) for key in both}


def move_of(before: Place, after: Place, n: int) -> Move:
    apart = before.high < after.low or after.high < before.low
    return Move(before.rank, after.rank, n, before.rank != after.rank and apart)


def among(places: Sequence[Place], kept: set[int] | Mapping[int, object]) -> dict[int, Place]:
    """Ranks counted among some of the clusters only; ties stay ties."""
    found, shared, last = {}, 0, None
    chosen = [place for place in places if place.cluster_id in kept]
    for position, place in enumerate(chosen, start=1):
        if place.rank != last:
            shared, last = position, place.rank
        ahead = place.rank - shared
        found[place.cluster_id] = Place(
            place.cluster_id, place.score, shared, max(1, place.low - ahead), max(1, place.high - ahead)
        )
    return found

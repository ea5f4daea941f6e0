"""The smallest realistic improvement of one indicator, or of two, that gains a ranked cluster a place. Pure.

Of one indicator in closed form, for every cluster and indicator at once. One indicator's score moves its pillar by its
weight in it, and the index by exp(w · Δ ln pillar). So the pillar that the index needs, and the score that the pillar
needs, follow by going back the same way; the goalposts turn the score into a value. Of two by halving the share of the
way that both go. Realistic is what the best quarter of the peers reach. Everything else of the cluster, and every other
cluster, stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cci.methodology import Method
from cci.peers import Group

from .shares import TOP, Shares

# What is aimed at lies this share beyond the score to be beaten: well clear of a tie (1e-9), far below a whole point.
MARGIN = 1e-5
TIE = 1e-9
CANDIDATES = 16  # indicators of a cluster that pairs are sought among: those that would move its index most
HALVINGS = 45  # of the share of the way: exact to a double's last digits
REGION = "R"  # rule N8: the pillar describes the region, no cluster alone can move it


@dataclass(frozen=True)
class Ways:
    """Where the ranked clusters stand and how far they can realistically go. Arrays (n_ranked, n_indicators) where not
    said otherwise; NaN in `reach` where nothing can be said: the indicator or its dimension is missing, or the cluster
    is among the best quarter already.

    codes, indicators : of rows and columns. score : now, 0–100. reach : score of the best quarter of the peers.
    index, above, better_band : (n_ranked,), the index, the least one above it, the least one of a better band; NaN for
    none. pillar : score of the indicator's pillar. inside : share of the indicator in it. place, weight :
    (n_indicators,), number and weight of the pillar. floor : least pillar score. lo, hi, transform, sign : goalposts.
    """

    codes: tuple[str, ...]
    indicators: tuple[str, ...]
    score: np.ndarray
    reach: np.ndarray
    index: np.ndarray
    above: np.ndarray
    better_band: np.ndarray
    pillar: np.ndarray
    inside: np.ndarray
    place: np.ndarray
    weight: np.ndarray
    floor: float
    lo: np.ndarray
    hi: np.ndarray
    transform: np.ndarray
    sign: np.ndarray

    def index_at(self, score: np.ndarray) -> np.ndarray:
        """The index where one indicator alone comes to `score`."""
        after = np.maximum(self.pillar + self.inside * (score - self.score), self.floor)
        return self.index[:, None] * (after / np.maximum(self.pillar, self.floor)) ** self.weight

    def score_for(self, target: np.ndarray) -> np.ndarray:
        """The score of one indicator alone that brings the index to `target` (n_ranked,); NaN beyond reach."""
        needed = np.maximum(self.pillar, self.floor) * (target / self.index)[:, None] ** (1 / self.weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            score = self.score + (needed - self.pillar) / self.inside
        return np.where(score <= self.reach, score, np.nan)

    def value_at(self, score: np.ndarray, row=slice(None), column=slice(None)) -> np.ndarray:
        """The value, as it enters the index, that has a score; of all cells or of one."""
        lo, hi, transform = self.lo[row, column], self.hi[row, column], self.transform[column]
        scaled = lo + np.where(self.sign[column] > 0, score, 100 - score) / 100 * (hi - lo)
        with np.errstate(invalid="ignore", over="ignore"):
            return np.select([transform == "log", transform == "log1p"], [np.exp(scaled), np.expm1(scaled)], scaled)


def ways_of(
    normalised: pd.DataFrame,
    scores: pd.DataFrame,
    shares: Shares,
    bands: "pd.Series[int]",
    groups: Mapping[str, Group | None],
    divisions: Mapping[str, str],
    method: Method,
) -> Ways:
    """normalised, scores, shares : of the ranked clusters at least. bands : by ranked cluster. groups : cluster → its
    peers, None = all ranked clusters stand in. divisions : cluster → ISIC division, for the goalposts."""
    codes = tuple(sorted(bands.index))
    definitions = method.definitions
    chosen = [one for one in definitions.indicators if one.pillar != REGION]
    indicators = tuple(one.code for one in chosen)
    z = normalised.loc[list(codes), list(indicators)].to_numpy(dtype=float)
    index = scores.loc[list(codes), TOP].to_numpy(dtype=float)
    names = [node.code for node in definitions.pillars]
    place = np.array([names.index(one.pillar) for one in chosen])
    # Share of the indicator in its pillar, as the weights were shared out for this cluster.
    inside = shares.indicators.loc[list(codes), list(indicators)].to_numpy(dtype=float)
    inside = inside * shares.dimensions.loc[list(codes), [one.dimension for one in chosen]].to_numpy(dtype=float)
    reach = _reach(z, codes, groups, method.content["explanations"]["reach"])
    above, better_band = _targets(index, bands.loc[list(codes)].to_numpy())
    return Ways(
        codes,
        indicators,
        z,
        np.where((inside > 0) & (reach > z), np.minimum(reach, 100), np.nan),
        index,
        above,
        better_band,
        scores.loc[list(codes), names].to_numpy(dtype=float)[:, place],
        inside,
        place,
        method.pillar_weights[place],
        method.floor,
        *_goalposts(codes, indicators, divisions, method),
    )


@dataclass(frozen=True)
class Improvements:
    """One indicator alone: arrays (n_ranked, n_indicators), NaN where that lies beyond reach or there is nothing above.

    next_score, next_value, next_places : what gains a place. band_score, band_value : what leaves the band upwards.
    reach_value, reach_places : value at reach, and places gained there. effort : the share of the way to the best
    quarter of the peers that gains a place. Values are as they enter the index: capped and smoothed, in the
    indicator's unit.
    """

    next_score: np.ndarray
    next_value: np.ndarray
    next_places: np.ndarray
    band_score: np.ndarray
    band_value: np.ndarray
    reach_value: np.ndarray
    reach_places: np.ndarray
    effort: np.ndarray


def improvements_of(ways: Ways) -> Improvements:
    """What one indicator alone would have to become."""
    following, band = ways.score_for(ways.above * (1 + MARGIN)), ways.score_for(ways.better_band * (1 + MARGIN))
    return Improvements(
        following,
        ways.value_at(following),
        _places(ways.index, ways.index_at(following)),
        band,
        ways.value_at(band),
        ways.value_at(ways.reach),
        _places(ways.index, ways.index_at(ways.reach)),
        (following - ways.score) / (ways.reach - ways.score),
    )


@dataclass(frozen=True)
class Pairs:
    """Two indicators together, each going the same share of its way to the best quarter of the peers.

    Arrays (n_ranked, n_pairs), the least effort first, NaN and -1 after the last. first, second : columns of the
    indicators. effort : the least share of both ways that gains a place. places : gained then.
    """

    first: np.ndarray
    second: np.ndarray
    effort: np.ndarray
    places: np.ndarray


def pairs_of(ways: Ways, most: int) -> Pairs:
    """The `most` pairs of least effort for each cluster, among the indicators that would move its index most."""
    full = ways.inside * (ways.reach - ways.score)  # points of the pillar, all the way
    gain = np.nan_to_num(np.log(ways.index_at(ways.reach) / ways.index[:, None]), nan=-1.0)
    candidates = np.argsort(-gain, axis=1, kind="stable")[:, :CANDIDATES]
    left, right = (candidates[:, side] for side in np.triu_indices(candidates.shape[1], 1))

    def of(table: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return np.take_along_axis(np.broadcast_to(table, ways.score.shape), columns, axis=1)

    together = ways.place[left] == ways.place[right]
    one, two = of(full, left), of(full, right)
    first, second = one + np.where(together, two, 0), np.where(together, 0, two)
    pillars, weights = (of(ways.pillar, left), of(ways.pillar, right)), (ways.weight[left], ways.weight[right])

    def grows(share: np.ndarray) -> np.ndarray:
        """Logarithm of what the index is multiplied by."""
        found = np.zeros(share.shape)
        for points, pillar, weight in zip((first, second), pillars, weights, strict=True):
            before, after = np.maximum(pillar, ways.floor), np.maximum(pillar + share * points, ways.floor)
            found += weight * np.log(after / before)
        return found

    needed = np.log(ways.above * (1 + MARGIN) / ways.index)[:, None]
    with np.errstate(invalid="ignore"):
        within = grows(np.ones(left.shape)) >= needed
        low, high = np.zeros(left.shape), np.ones(left.shape)
        for _ in range(HALVINGS):  # what a share brings only grows with it
            middle = (low + high) / 2
            enough = grows(middle) >= needed
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    effort = np.where(within, high, np.nan)
    order = np.argsort(effort, axis=1, kind="stable")[:, :most]
    best = np.take_along_axis(effort, order, axis=1)
    after = ways.index[:, None] * np.exp(np.take_along_axis(grows(high), order, axis=1))
    sides = [np.where(np.isnan(best), -1, np.take_along_axis(side, order, axis=1)) for side in (left, right)]
    places = _places(ways.index, np.where(np.isnan(best), np.nan, after))
    return Pairs(sides[0], sides[1], best, places)


def _reach(z: np.ndarray, codes: Sequence[str], groups: Mapping[str, Group | None], share: float) -> np.ndarray:
    """What the best quarter of each cluster's peers reach, (n_ranked, n_indicators); NaN where nobody has a value."""
    row = {code: place for place, code in enumerate(codes)}
    found: dict[Group | None, np.ndarray] = {}
    for group in {groups.get(code) for code in codes}:
        members = z if group is None else z[[row[code] for code in group.members]]
        there = ~np.isnan(members).all(axis=0)
        found[group] = np.full(z.shape[1], np.nan)
        found[group][there] = np.nanquantile(members[:, there], share, axis=0)
    return np.array([found[groups.get(code)] for code in codes]).reshape(z.shape)


def _targets(index: np.ndarray, bands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least score that is above a cluster's own, and the least one of a better band; NaN for none."""
    ordered = np.sort(index)
    after = np.searchsorted(ordered, index * (1 + TIE), side="right")
    above = (
        np.where(after < len(ordered), ordered[np.minimum(after, len(ordered) - 1)], np.nan) if len(index) else index
    )
    least = {band: index[bands < band].min() for band in set(bands.tolist()) if (bands < band).any()}
    return above, np.array([least.get(band, np.nan) for band in bands.tolist()])


def _places(index: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Places gained where the index becomes `after` and nothing else moves."""
    ordered = np.sort(index)

    def ahead(scores: np.ndarray) -> np.ndarray:
        return len(ordered) - np.searchsorted(ordered, scores * (1 + TIE), side="right")

    with np.errstate(invalid="ignore"):
        gained = ahead(index)[:, None] - ahead(np.where(np.isnan(after), 0, after))
    return np.where(np.isnan(after), np.nan, gained)


def _goalposts(
    codes: Sequence[str], indicators: Sequence[str], divisions: Mapping[str, str], method: Method
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """lo, hi (n_ranked, n_indicators), transforms and directions (n_indicators,)."""
    own = set(method.peer_goalposts["group"])
    keys = [division if (division := divisions.get(code, "")) in own else "" for code in codes]
    by_key = {key: method.goalposts_for(key).set_index("iCode").loc[list(indicators)] for key in {*keys, ""}}
    ends = {key: posts[["lo", "hi"]].to_numpy(dtype=float).T for key, posts in by_key.items()}
    both = np.array([ends[key] for key in keys]).reshape(len(codes), 2, len(indicators))
    of_all = by_key[""]
    transforms, signs = of_all["transform"].to_numpy(dtype=str), of_all["direction"].to_numpy(dtype=float)
    return both[:, 0], both[:, 1], transforms, signs

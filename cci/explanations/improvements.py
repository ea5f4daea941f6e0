"""The smallest realistic improvement of one indicator that gains a ranked cluster a place, or a better band. Pure.

All in closed form, for every cluster and indicator at once. One indicator's score moves its pillar by its weight in
it, and the index by exp(w · Δ ln pillar). So the pillar that the index needs, and the score that the pillar needs,
follow by going back the same way; the goalposts turn the score into a value. Realistic is what the best quarter of the
peers reach. Everything else of the cluster, and every other cluster, stays as it is.
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
REGION = "R"  # rule N8: the pillar describes the region, no cluster alone can move it


@dataclass(frozen=True)
class Improvements:
    """Arrays (n_ranked, n_indicators), NaN where nothing can be said: the indicator or its dimension is missing, or the
    cluster is among the best quarter already.

    codes, indicators : of rows and columns. score : now, 0–100. reach : score of the best quarter of the peers.
    next_score, next_value : what gains a place. band_score, band_value : what leaves the band upwards. NaN where that
    lies beyond reach or there is nothing above. reach_value : value at reach. …_places : places gained there.
    Values are as they enter the index: capped and smoothed, in the indicator's unit.
    """

    codes: tuple[str, ...]
    indicators: tuple[str, ...]
    score: np.ndarray
    reach: np.ndarray
    reach_value: np.ndarray
    reach_places: np.ndarray
    next_score: np.ndarray
    next_value: np.ndarray
    next_places: np.ndarray
    band_score: np.ndarray
    band_value: np.ndarray

    def effort(self) -> np.ndarray:
        """The share of the way to the best quarter of the peers that gains a place."""
        return (self.next_score - self.score) / (self.reach - self.score)


def improvements_of(
    normalised: pd.DataFrame,
    scores: pd.DataFrame,
    shares: Shares,
    bands: "pd.Series[int]",
    groups: Mapping[str, Group | None],
    divisions: Mapping[str, str],
    method: Method,
) -> Improvements:
    """normalised, scores, shares : of the ranked clusters at least. bands : by ranked cluster. groups : cluster → its
    peers, None = all ranked clusters stand in. divisions : cluster → ISIC division, for the goalposts."""
    codes = tuple(sorted(bands.index))
    definitions = method.definitions
    chosen = [one for one in definitions.indicators if one.pillar != REGION]
    indicators = tuple(one.code for one in chosen)
    z = normalised.loc[list(codes), list(indicators)].to_numpy(dtype=float)
    index = scores.loc[list(codes), TOP].to_numpy(dtype=float)
    names = [node.code for node in definitions.pillars]
    place = [names.index(one.pillar) for one in chosen]
    pillar = scores.loc[list(codes), names].to_numpy(dtype=float)[:, place]
    weight = method.pillar_weights[place]
    # Share of the indicator in its pillar, as the weights were shared out for this cluster.
    inside = shares.indicators.loc[list(codes), list(indicators)].to_numpy(dtype=float)
    inside = inside * shares.dimensions.loc[list(codes), [one.dimension for one in chosen]].to_numpy(dtype=float)
    moves = inside > 0
    reach = _reach(z, codes, groups, method.content["explanations"]["reach"])
    reach = np.where(moves & (reach > z), np.minimum(reach, 100), np.nan)

    def index_at(score: np.ndarray) -> np.ndarray:
        after = np.maximum(pillar + inside * (score - z), method.floor)
        return index[:, None] * (after / np.maximum(pillar, method.floor)) ** weight

    def score_for(target: np.ndarray) -> np.ndarray:
        needed = np.maximum(pillar, method.floor) * (target / index)[:, None] ** (1 / weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            score = z + (needed - pillar) / inside
        return np.where(score <= reach, score, np.nan)

    above, better_band = _targets(index, bands.loc[list(codes)].to_numpy())
    next_score, band_score = score_for(above * (1 + MARGIN)), score_for(better_band * (1 + MARGIN))
    lo, hi, transform, sign = _goalposts(codes, indicators, divisions, method)

    def value_at(score: np.ndarray) -> np.ndarray:
        scaled = lo + np.where(sign > 0, score, 100 - score) / 100 * (hi - lo)
        with np.errstate(invalid="ignore", over="ignore"):
            return np.select([transform == "log", transform == "log1p"], [np.exp(scaled), np.expm1(scaled)], scaled)

    return Improvements(
        codes,
        indicators,
        z,
        reach,
        value_at(reach),
        _places(index, index_at(reach)),
        next_score,
        value_at(next_score),
        _places(index, index_at(next_score)),
        band_score,
        value_at(band_score),
    )


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

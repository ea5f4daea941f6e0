"""One plain record a cluster: everything an edition says of why it stands where it does. Pure.

A record holds, rounded to six significant digits (what the edition's digest covers):

index : score, rank, n, low, high, band, bands (how many there are); no rank where the cluster is not ranked.
peers : kind (division or type), key, n, and rank, low, high, band counted among them; None where fewer than five.
scores, contributions : by node and by indicator. medians : of the peers, by node (of all ranked where there are none).
strengths, weaknesses : indicator, rank, n, rules (gii: among all; peers: among the peers).
moved : since the last edition by the same methodology, see `movement_of`; None where there is none.
holds_back : dimensions more than 15 points below the median of the peers, with gap, area of work (§12.6), and points,
    what the index would gain were the dimension at that median.
improvements : one a line, the least effort first: indicator, score, next_score, next_value, places, reach_value,
    reach_places, band_value, effort (share of the way to the best quarter of the peers).
pairs : of two indicators, likewise: indicators, next_scores, next_values, places, effort (the same share of both ways).
sure : ahead_of_next and behind_before (code, share of joint draws), band_changes (share of variants, §12.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.profiles import strengths_and_weaknesses
from cci.methodology import Method
from cci.partial import CAPACITY, PERFORM
from cci.peers import Group
from cci.precision import Precision

from .improvements import Improvements, Ways, improvements_of, pairs_of, ways_of
from .movement import Previous, movement_of
from .shares import TOP, Shares, contributions_of, shares_of

MOST = 12  # improvements kept of a cluster
MOST_PAIRS = 8


@dataclass(frozen=True)
class Figures:
    """What an edition's explanations rest on. Frames labelled by cluster; bands, ranks of the ranked ones."""

    normalised: pd.DataFrame
    scores: pd.DataFrame
    ranks: "pd.Series[int]"
    bands: "pd.Series[int]"
    precision: Precision
    groups: Mapping[str, Group | None]
    divisions: Mapping[str, str]
    estimated: pd.DataFrame  # bool, cluster × indicator: no strength or weakness rests on an estimate
    robustness: Mapping[str, Any]
    previous: Previous | None = None


def explain(figures: Figures, method: Method) -> tuple[dict[str, dict[str, Any]], pd.DataFrame]:
    """The record of every cluster, and the contribution of every node (cluster × node)."""
    scores, normalised = figures.scores, figures.normalised
    shares = shares_of(normalised, scores, method)
    nodes, indicators = contributions_of(normalised, scores, shares, method)
    ranked = list(figures.ranks.index)
    indices, medians = _indices(figures), _medians(figures, ranked)
    among = _among_peers(figures)
    marked = _stands_out(figures, ranked, method.content["peers"]["least"])
    moved: dict[str, dict[str, Any]] = {}
    if figures.previous is not None:
        moved = movement_of(figures.previous, scores, figures.ranks, figures.precision.intervals, method)
    ways = ways_of(normalised, scores, shares, figures.bands, figures.groups, figures.divisions, method)
    better, two = _improvements(ways, improvements_of(ways)), _pairs(ways)
    sure = _sure(figures)
    plain_scores, plain_values = _by_row(scores), _by_row(normalised)
    plain_nodes, plain_indicators = _by_row(nodes), _by_row(indicators)
    records = {}
    for code in scores.index:
        group = figures.groups.get(code)
        records[code] = {
            "index": indices[code],
            "peers": {"kind": group.kind, "key": group.key, "n": len(group.members)} | among.get(code, {})
            if group
            else None,
            "scores": plain_scores[code] | plain_values[code],
            "contributions": plain_nodes[code] | plain_indicators[code],
            "medians": medians[group],
            "strengths": marked["strength"].get(code, []),
            "weaknesses": marked["weakness"].get(code, []),
            "moved": _plain(moved.get(code)),
            "holds_back": _gaps(code, plain_scores[code], medians[group], shares, method),
            "improvements": better.get(code, []),
            "pairs": two.get(code, []),
            "sure": sure.get(code, {}),
        }
    return records, nodes


def without(record: dict[str, Any], nodes: frozenset[str]) -> dict[str, Any]:
    """A record that says nothing of some composites, and of no partial index where any is hidden."""
    if not nodes:
        return record
    hidden = nodes | {PERFORM, CAPACITY}
    found = record | {
        part: {node: None if node in hidden else value for node, value in record[part].items()}
        for part in ("scores", "contributions")
    }
    found["holds_back"] = [gap for gap in record["holds_back"] if gap["node"] not in hidden]
    if record["moved"]:
        score = record["moved"]["score"]
        left = {node: points for node, points in score["nodes"].items() if node not in hidden}
        found["moved"] = record["moved"] | {"score": score | {"nodes": left}}
    return found


def _indices(figures: Figures) -> dict[str, dict[str, Any]]:
    """Score of every cluster; rank, interval and band of the ranked ones."""
    found: dict[str, dict[str, Any]] = {
        code: {"score": _six(value)} for code, value in _numbers(figures.scores[TOP]).items()
    }
    spans = figures.precision.intervals
    bands, low, high = _numbers(figures.bands), _numbers(spans["low"]), _numbers(spans["high"])
    last = int(max(bands.values(), default=0))
    for code, place in _numbers(figures.ranks).items():
        places = {"rank": place, "n": len(figures.ranks), "low": low[code], "high": high[code], "band": bands[code]}
        found[code] |= {name: int(value) for name, value in places.items()} | {"bands": last}
    return found


def _medians(figures: Figures, ranked: list[str]) -> dict[Group | None, dict[str, float | None]]:
    """Median of each node over the members of each group; under None over all ranked clusters."""
    found = {}
    for group in {*figures.groups.values(), None}:
        members = figures.scores.loc[list(group.members) if group else ranked]
        found[group] = {node: _six(value) for node, value in _numbers(members.median()).items()}
    return found


def _among_peers(figures: Figures) -> dict[str, dict[str, int]]:
    """Rank, interval and band of each ranked cluster among its peers."""
    found: dict[str, dict[str, int]] = {}
    for group in {one for one in figures.groups.values() if one is not None}:
        inside = figures.precision.among(group.members, figures.ranks)
        columns = {str(name): _numbers(inside[name]) for name in inside}
        for code in group.members:
            if figures.groups[code] == group:
                found[code] = {name: int(column[code]) for name, column in columns.items()}
    return found


def _stands_out(figures: Figures, ranked: list[str], least: int) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Strengths and weaknesses of the ranked clusters, by the rule of the Global Innovation Index and among peers."""
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {"strength": {}, "weakness": {}}
    values = figures.normalised.loc[ranked]
    signs = pd.Series(1.0, index=values.columns)

    def note(members: list[str], rule: str, theirs: set[str]) -> None:
        table = strengths_and_weaknesses(
            values.loc[members], directions=signs, rule=rule, imputed=figures.estimated, min_peers=least
        )
        for row in table[["kind", "uCode", "indicator", "rank", "n"]].values.tolist():
            kind, code, indicator, place, n = row
            if kind in found and code in theirs:
                entry: dict[str, Any] = {"indicator": indicator, "rank": int(place), "n": int(n), "rules": []}
                found[kind].setdefault(code, {}).setdefault(indicator, entry)["rules"].append(rule)

    note(ranked, "gii", set(ranked))
    for group in sorted({one for one in figures.groups.values() if one}, key=lambda one: (one.kind, one.key)):
        note(list(group.members), "peers", {code for code in group.members if figures.groups[code] == group})
    return {
        kind: {code: sorted(marks.values(), key=_place(kind)) for code, marks in by_code.items()}
        for kind, by_code in found.items()
    }


def _place(kind: str):
    def key(mark: dict[str, Any]) -> tuple[float, str]:
        share = mark["rank"] / max(mark["n"], 1)
        return (share if kind == "strength" else -share, mark["indicator"])

    return key


def _gaps(
    code: str, scores: Mapping[str, Any], medians: Mapping[str, Any], shares: Shares, method: Method
) -> list[dict[str, Any]]:
    settings, gaps = method.content["explanations"], []
    weights = {node.code: node.weight for node in method.definitions.pillars}
    for node in method.definitions.dimensions:
        own, middle = scores.get(node.code), medians.get(node.code)
        if own is None or middle is None or middle - own <= settings["gap"]:
            continue
        points, pillar = None, scores[node.parent]
        if scores[TOP] is not None and pillar is not None:
            after = max(pillar + shares.dimensions.at[code, node.code] * (middle - own), method.floor)
            points = scores[TOP] * ((after / max(pillar, method.floor)) ** weights[node.parent] - 1)
        area = settings["areas"].get(node.code, "")
        gap = {"node": node.code, "score": own, "median": middle, "gap": _six(middle - own), "area": area}
        gaps.append(gap | {"points": None if points is None else _six(points)})
    return sorted(gaps, key=lambda gap: (-gap["gap"], gap["node"]))


def _improvements(ways: Ways, found: Improvements) -> dict[str, list[dict[str, Any]]]:
    """Those within reach that gain a place, the least effort first."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for row, code in enumerate(ways.codes):
        order = np.argsort(found.effort[row], kind="stable")[:MOST]
        lists[code] = [
            {
                "indicator": ways.indicators[column],
                "score": _six(ways.score[row, column]),
                "next_score": _six(found.next_score[row, column]),
                "next_value": _six(found.next_value[row, column]),
                "places": int(found.next_places[row, column]),
                "reach_value": _six(found.reach_value[row, column]),
                "reach_places": int(found.reach_places[row, column]),
                "band_value": _six(found.band_value[row, column]),
                "effort": _six(found.effort[row, column]),
            }
            for column in order
            if not np.isnan(found.effort[row, column])
        ]
    return lists


def _pairs(ways: Ways) -> dict[str, list[dict[str, Any]]]:
    found, lists = pairs_of(ways, MOST_PAIRS), {}
    for row, code in enumerate(ways.codes):
        pairs: list[dict[str, Any]] = []
        for place in np.flatnonzero(found.first[row] >= 0):
            columns = [int(found.first[row, place]), int(found.second[row, place])]
            now, effort = ways.score[row, columns], found.effort[row, place]
            after = now + effort * (ways.reach[row, columns] - now)
            values = [float(ways.value_at(one, row, column)) for one, column in zip(after, columns, strict=True)]
            pairs.append(
                {
                    "indicators": [ways.indicators[column] for column in columns],
                    "next_scores": [_six(one) for one in after.tolist()],
                    "next_values": [_six(value) for value in values],
                    "places": int(found.places[row, place]),
                    "effort": _six(effort),
                }
            )
        lists[code] = pairs
    return lists


def _sure(figures: Figures) -> dict[str, dict[str, Any]]:
    ranks = _numbers(figures.ranks)
    order = sorted(ranks, key=lambda code: (ranks[code], code))
    ahead = _numbers(figures.precision.ahead_of_next(order))
    found = {}
    for place, code in enumerate(order):
        following = order[place + 1] if place + 1 < len(order) else None
        before = order[place - 1] if place else None
        found[code] = {
            "ahead_of_next": {"cluster": following, "share": _six(ahead[code])} if following else None,
            "behind_before": {"cluster": before, "share": _six(ahead[before])} if before else None,
            "band_changes": figures.robustness["clusters"].get(code, {}),
        }
    return found


def _numbers(column: pd.Series) -> dict[str, float]:
    """A column as plain numbers by label."""
    return dict(zip(map(str, column.index), column.astype(float).tolist(), strict=True))


def _by_row(frame: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    names = [str(name) for name in frame.columns]
    rows = frame.to_numpy(dtype=float).tolist()
    return {
        str(code): dict(zip(names, map(_six, row), strict=True)) for code, row in zip(frame.index, rows, strict=True)
    }


def _plain(value: Any) -> Any:
    """Floats of a nested record to six significant digits."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return _six(value) if isinstance(value, float) else value


def _six(value: float) -> float | None:
    return None if value != value else float(f"{value:.6g}")  # NaN alone differs from itself

"""What moved a cluster since the last edition by the same methodology: its score, by node; its rank, by cause. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cci.bands import Place, among, move_of
from cci.engine.aggregation import LevelRule
from cci.engine.comparison import Edition, attribute_score_change, decompose_ranks
from cci.engine.meta import read_meta
from cci.engine.ranking import rank
from cci.methodology import Method

TOP = "CCI"


@dataclass(frozen=True)
class Previous:
    """The edition before, by the same methodology, as it was published or computed.

    scores : cluster × node. ranks : of its ranked clusters. intervals : their low and high.
    """

    label: str
    digest: str
    scores: pd.DataFrame
    ranks: "pd.Series[int]"
    intervals: pd.DataFrame


def movement_of(
    previous: Previous, scores: pd.DataFrame, ranks: "pd.Series[int]", intervals: pd.DataFrame, method: Method
) -> dict[str, dict[str, Any]]:
    """For each cluster ranked in both editions: what its score and its rank changed by, and why.

    score : points since then; `nodes`: by dimension; `weights`: by weights shared out anew where a part came or went
    missing; these add up to the change. rank : places won since then, by `data`, `framework` (0: the methodology is
    the same) and `sample` (clusters that left or came), which add up too; `is_move`: like for like, and beyond both
    intervals.
    """
    both = sorted(set(previous.ranks.index) & set(ranks.index))
    if not both:
        return {}
    tree, rules = _above_dimensions(method)
    old, new = (_edition(frame.loc[both], tree, rules) for frame in (previous.scores, scores))
    found = attribute_score_change(old, new, target=TOP)
    inside = rank(-ranks.loc[both].astype(float).to_frame(TOP), tolerance=0)[TOP]
    chain = (one.astype(float) for one in (previous.ranks, inside, inside, ranks))
    parts = decompose_ranks(*chain).set_index("uCode").loc[both].to_dict("index")
    before, after = _places(previous.ranks, previous.intervals), _places(ranks, intervals)
    kept = {key for key, place in before.items() if key in after}
    first, last = among(list(before.values()), kept), among(list(after.values()), kept)
    indices, changes = old.scores[TOP].tolist(), found.change[both].tolist()
    by_dimension, weights = found.values.to_numpy(), found.weights.sum(axis=1).to_numpy()
    moved = {}
    for row, code in enumerate(both):
        part = parts[code]
        move = move_of(first[code], last[code], len(both))
        moved[code] = {
            "since": previous.label,
            "score": {
                "before": indices[row],
                "change": changes[row],
                "nodes": dict(zip(found.values.columns, by_dimension[row].tolist(), strict=True)),
                "weights": float(weights[row]),
            },
            "rank": {
                "before": int(previous.ranks[code]),
                "after": int(ranks[code]),
                "places": int(part["rank_change"]),
                "data": int(part["performance"]),
                "framework": int(part["framework"]),
                "sample": int(part["leavers"] + part["entrants"]),
                "common": len(both),
                "like_for_like": move.gained,
                "is_move": move.is_move,
            },
        }
    return moved


def _above_dimensions(method: Method) -> tuple[Any, list[LevelRule]]:
    """The hierarchy from the dimensions up, its rules, as the engine takes them."""
    meta = method.meta
    meta = meta[meta["Level"] > 1].assign(Level=meta["Level"] - 1)
    joined = method.engine_config["aggregate"]
    rules = [LevelRule(method=joined["method"][level], floor=float(joined["floor"][level])) for level in (1, 2)]
    return read_meta(meta), rules


def _edition(scores: pd.DataFrame, tree: Any, rules: list[LevelRule]) -> Edition:
    return Edition(scores[list(tree.indicators)], scores[list(tree.aggregates)], tree, rules)


def _places(ranks: "pd.Series[int]", intervals: pd.DataFrame) -> dict[Any, Place]:
    table = pd.DataFrame({"rank": ranks, "low": intervals["low"], "high": intervals["high"]}).loc[ranks.index]
    rows = sorted(zip(table.index, table.astype(int).values.tolist(), strict=True), key=lambda row: (row[1][0], row[0]))
    return {code: Place(code, np.nan, *numbers) for code, numbers in rows}

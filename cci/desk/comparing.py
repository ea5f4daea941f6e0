"""A computed edition beside the one that readers have: who moved, by how much and why, who came, who left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from cci.models import Edition, Explanation
from cci.revisions import Change, Changes, change_list

KINDS = {
    "moved": "Moved beyond the noise",
    "band": "In another band",
    "in": "Ranked now, not before",
    "out": "Ranked before, not now",
    "ranked": "Ranked",
    "unranked": "Not ranked",
}
ORDERS = {"move": "Largest moves first", "score": "Largest change of score first", "rank": "By rank", "name": "By name"}


def published_before(edition: Edition) -> Edition | None:
    """The edition readers have now in its place: of the same round, else of the round before."""
    published = Edition.objects.filter(state=Edition.State.PUBLISHED).exclude(pk=edition.pk)
    same = Q(round=edition.round_id) if edition.state != Edition.State.PUBLISHED else Q(pk=None)
    earlier = Q(round__year__lt=edition.round.year)
    return published.filter(same | earlier).select_related("round", "methodology").order_by("-round__year").first()


@dataclass(frozen=True)
class Comparison:
    """before : None where nothing is published yet; then no row has moved. rows : every cluster of either edition."""

    edition: Edition
    before: Edition | None
    changes: Changes

    @property
    def rows(self) -> tuple[Change, ...]:
        return self.changes.rows

    def count(self, kind: str) -> int:
        return sum(self.is_of(kind, row) for row in self.rows)

    def is_of(self, kind: str, row: Change) -> bool:
        was, now = bool(row.before and row.before.is_ranked), bool(row.after and row.after.is_ranked)
        return {
            "moved": bool(row.move and row.move.is_move),
            "band": was and now and row.before.band != row.after.band,  # type: ignore[union-attr]
            "in": now and not was,
            "out": was and not now,
            "ranked": now,
            "unranked": not now,
        }[kind]

    def chosen(self, kind: str = "", country: str = "", words: str = "", order: str = "move") -> list[Change]:
        """The rows that pass a filter, in an order of `ORDERS`; ties by rank, then by name."""
        rows = [row for row in self.rows if not kind or self.is_of(kind, row)]
        rows = [row for row in rows if not country or row.cluster.country_id == country]
        if words:
            rows = [row for row in rows if words.casefold() in f"{row.cluster.name} {row.cluster.code}".casefold()]
        if order == "move":
            rows.sort(key=_by_move)
        elif order == "score":
            rows.sort(key=lambda row: -abs(row.score_change or 0.0))
        elif order == "name":
            rows.sort(key=lambda row: row.cluster.name)
        return rows


def _by_move(row: Change) -> tuple:
    """Who came or left first, then moves beyond the noise, the largest first, then the rest."""
    was, now = bool(row.before and row.before.is_ranked), bool(row.after and row.after.is_ranked)
    move = row.move
    return (was == now, not (move and move.is_move), -abs(move.gained) if move else 1, -abs(row.score_change or 0.0))


def compare(edition: Edition) -> Comparison:
    """Set an edition beside the published one; alone where there is none. Four queries."""
    before = published_before(edition)
    return Comparison(edition, before, change_list(edition, before or edition, everyone=True))


def causes_of(comparison: Comparison, rows: Sequence[Change]) -> dict[int, dict[str, Any]]:
    """Why the rank of some clusters changed, as their explanations have it; by cluster. One query.

    Only where the explanation looks back to the very edition compared with: places by data, framework and sample, and
    the two nodes that moved the score most.
    """
    if comparison.before is None:
        return {}
    found = {}
    stored = Explanation.objects.filter(edition=comparison.edition, cluster__in=[row.cluster.pk for row in rows])
    for cluster, moved in stored.values_list("cluster", "content__moved"):
        if not moved or moved["since"] != comparison.before.label:
            continue
        nodes = sorted(moved["score"]["nodes"].items(), key=lambda item: (-abs(item[1] or 0.0), item[0]))
        found[cluster] = moved["rank"] | {"nodes": [{"code": code, "points": points} for code, points in nodes[:2]]}
    return found

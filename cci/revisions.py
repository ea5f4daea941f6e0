"""What changed between two editions of one round, cluster by cluster: a revision and what it replaced, or a trial and
the edition it is tried on. Reads, and writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from django.db.models import F

from clusters.models import Cluster

from .bands import Move, Place, bands_of, moves_between
from .models import Edition, Methodology, Score, Standing
from .serializers import whole_points

INDEX = "CCI"
SAME = 1e-9  # scores closer than this are the same figure
CAUSES = {
    "new": "ranked now, not before",
    "out": "no longer ranked",
    "reason": "another reason for not being ranked",
    "own": "its own figures",
    "method": "the methodology",
    "others": "figures of other clusters",
}


@dataclass(frozen=True)
class Seen:
    """How one edition shows a cluster. score : unrounded, for staff; `points` is what readers see."""

    is_ranked: bool
    reason: str
    score: float | None = None
    rank: int | None = None
    low: int | None = None
    high: int | None = None
    band: str = ""

    @property
    def points(self) -> int | None:
        return whole_points(self.score)

    @property
    def published(self) -> tuple:
        """What readers see of it."""
        return (self.is_ranked, self.reason, self.points, self.rank, self.low, self.high, self.band)


@dataclass(frozen=True)
class Change:
    """One cluster in two editions; None where an edition does not speak of it.

    is_other_method : the editions are made by different methodologies, so that figures alone explain no score.
    """

    cluster: Cluster
    before: Seen | None
    after: Seen | None
    move: Move | None
    is_other_method: bool = False

    @property
    def is_changed(self) -> bool:
        """Whether anything that readers see is different."""
        return (self.before and self.before.published) != (self.after and self.after.published)

    @property
    def score_change(self) -> float | None:
        if not (self.before and self.after) or self.before.score is None or self.after.score is None:
            return None
        return self.after.score - self.before.score

    @property
    def cause(self) -> str:
        """A key of `CAUSES`; empty where nothing changed."""
        if not self.is_changed:
            return ""
        was, now = bool(self.before and self.before.is_ranked), bool(self.after and self.after.is_ranked)
        if was != now:
            return "new" if now else "out"
        if not now:
            return "reason"
        if abs(self.score_change or 0) <= SAME:
            return "others"
        return "method" if self.is_other_method else "own"

    @property
    def words(self) -> str:
        return CAUSES.get(self.cause, "")


@dataclass(frozen=True)
class Summary:
    """Two rankings in short, over the clusters ranked in both.

    moved : clusters whose intervals do not touch. spearman : of the scores, None below three clusters. mean_change : of
    the score, in points: how large the break of the series is.
    """

    n_common: int
    moved: int
    spearman: float | None
    mean_change: float | None


def summary_of(before: Sequence[Place], after: Sequence[Place]) -> Summary:
    """Compare two rankings in short; both in the order of their ranks."""
    moves = moves_between(before, after)
    was, now = ({place.cluster_id: place.score for place in places} for places in (before, after))
    pairs = np.array([(was[key], now[key]) for key in sorted(moves)], dtype=float).reshape(-1, 2)
    return Summary(
        n_common=len(pairs),
        moved=sum(move.is_move for move in moves.values()),
        spearman=spearman(pairs),
        mean_change=float(np.mean(pairs[:, 1] - pairs[:, 0])) if len(pairs) else None,
    )


def spearman(pairs: np.ndarray) -> float | None:
    """Spearman's rank correlation of two columns, ties at their mean rank; None below three rows or without spread.

    >>> round(spearman(np.array([[1.0, 10.0], [2.0, 30.0], [3.0, 20.0]])), 3)
    0.5
    """
    if len(pairs) < 3 or (pairs == pairs[0]).all(axis=0).any():
        return None
    return float(np.corrcoef(pd.DataFrame(pairs).rank().to_numpy(), rowvar=False)[0, 1])


@dataclass(frozen=True)
class Changes:
    """Every cluster of two editions, in the later one's order."""

    before: Edition
    after: Edition
    rows: tuple[Change, ...]
    summary: Summary

    @property
    def changed(self) -> list[Change]:
        return [row for row in self.rows if row.is_changed]

    @property
    def n_unchanged(self) -> int:
        return len(self.rows) - len(self.changed)


def change_list(after: Edition, before: Edition, *, everyone: bool = False) -> Changes:
    """Compare two editions. Three queries.

    everyone : for staff, clusters that are not public too.
    """
    seen = _seen([before, after], everyone=everyone)
    places = {pk: [_place(key, one) for key, one in _ranked(found)] for pk, found in seen.items()}
    moves = moves_between(places[before.pk], places[after.pk])
    keys = {key for found in seen.values() for key in found}
    clusters = Cluster.objects.select_related("country", "region").in_bulk(keys)
    other = after.methodology_id != before.methodology_id
    was, now = seen[before.pk], seen[after.pk]
    rows = [Change(clusters[key], was.get(key), now.get(key), moves.get(key), other) for key in clusters]
    rows.sort(key=_in_order)
    return Changes(before, after, tuple(rows), summary_of(places[before.pk], places[after.pk]))


def _in_order(change: Change) -> tuple:
    rank = (change.after and change.after.rank) or (change.before and change.before.rank)
    return (change.after is None or not change.after.is_ranked, rank or 0, change.cluster.name, change.cluster.pk)


def _ranked(found: dict[int, Seen]) -> list[tuple[int, Seen]]:
    """Ranked clusters in the order of their ranks; a rank never comes without its interval."""
    ranked = [(key, one) for key, one in found.items() if one.is_ranked and one.rank and one.low and one.high]
    return sorted(ranked, key=lambda item: (item[1].rank or 0, item[0]))


def _place(key: int, one: Seen, band: int | None = None) -> Place:
    return Place(key, one.score or 0.0, one.rank or 0, one.low or 0, one.high or 0, band)


def _seen(editions: Sequence[Edition], *, everyone: bool) -> dict[int, dict[int, Seen]]:
    """By edition and cluster. Two queries."""
    public = {} if everyone else {"cluster__is_published": True}
    ids = [edition.pk for edition in editions]
    scores = {
        (row.pop("edition_id"), row.pop("cluster_id")): row
        for row in Score.objects.filter(edition__in=ids, node=INDEX, **public).values(
            "edition_id", "cluster_id", "rank", score=F("value"), low=F("rank_low"), high=F("rank_high")
        )
    }
    found: dict[int, dict[int, Seen]] = {pk: {} for pk in ids}
    stored: dict[tuple[int, int], int | None] = {}
    for standing in Standing.objects.filter(edition__in=ids, **public):
        key = (standing.edition_id, standing.cluster_id)
        shown = scores.get(key, {}) if standing.is_ranked or everyone else {}
        reason = "" if standing.is_ranked else standing.get_reason_display()
        found[key[0]][key[1]] = Seen(standing.is_ranked, reason, **shown)
        stored[key] = standing.band
    for pk, clusters in found.items():
        bands = bands_of([_place(key, one, stored[pk, key]) for key, one in _ranked(clusters)])
        for band in bands:
            for place in band.places:
                one = clusters[place.cluster_id]
                clusters[place.cluster_id] = Seen(**{**vars(one), "band": band.letter})
    return found


# --- A methodology over all rounds ---------------------------------------------------------


@dataclass(frozen=True)
class Tried:
    """A round: its published edition, and what the methodology makes of it (the same where it made it), or None."""

    published: Edition
    under: Edition | None

    @property
    def is_trial(self) -> bool:
        return self.under is not None and self.under.is_trial

    @property
    def is_ready(self) -> bool:
        return self.under is not None and self.under.state in ("candidate", "published")


def tried_rounds(methodology: Methodology) -> list[Tried]:
    """Every round with a published edition, the oldest first, with its trial under the methodology. Two queries."""
    published = Edition.objects.filter(state=Edition.State.PUBLISHED).select_related("round", "methodology")
    trials = Edition.objects.filter(methodology=methodology, is_trial=True).select_related("round", "job")
    by_round = {one.round_id: one for one in trials}
    return [
        Tried(one, one if one.methodology_id == methodology.pk else by_round.get(one.round_id))
        for one in published.order_by("round__year")
    ]


def summaries(tried: Sequence[Tried]) -> dict[int, Summary]:
    """By published edition: what the trial of its round changes, in short. One query."""
    both = [(one.published.pk, one.under.pk) for one in tried if one.is_trial and one.is_ready and one.under]
    places: dict[int, list[Place]] = {pk: [] for pair in both for pk in pair}
    rows = Score.objects.filter(edition__in=list(places), node=INDEX, rank__isnull=False, rank_low__isnull=False)
    fields = ("edition_id", "cluster_id", "value", "rank", "rank_low", "rank_high")
    for key, *row in rows.order_by("edition", "rank", "cluster").values_list(*fields):
        places[key].append(Place(*row))
    return {published: summary_of(places[published], places[trial]) for published, trial in both}


def series_of(tried: Sequence[Tried], clusters: Sequence[int]) -> list[dict]:
    """Scores of some clusters year by year under one methodology, and as published in the last common year. One query.

    The common year is the last round that was computed both ways: the difference there is the break of the series.
    """
    ready = [one.under for one in tried if one.is_ready and one.under]
    both = [(one.published.pk, one.under.pk) for one in tried if one.is_trial and one.is_ready and one.under]
    published, trial = both[-1] if both else (0, 0)
    scores: dict[int, dict[int, float]] = {key: {} for key in clusters}
    rows = Score.objects.filter(
        edition__in=[published, *(one.pk for one in ready)], cluster__in=scores, node=INDEX, rank__isnull=False
    )
    for cluster, edition, value in rows.values_list("cluster_id", "edition_id", "value"):
        scores[cluster][edition] = value
    return [
        {
            "cluster": cluster,
            "years": [found.get(one.pk) for one in ready],
            "published": found.get(published),
            "break": found[trial] - found[published] if {trial, published} <= found.keys() else None,
        }
        for cluster, found in scores.items()
    ]

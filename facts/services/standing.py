"""Reliability and eligibility as stored: written once with an edition's snapshot, read by those entitled."""

from collections.abc import Mapping

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from clusters.models import Cluster
from facts.models import Flag, Reliability, Return, Round, Snapshot
from facts.reliability import ReliabilityResult, load_rules
from facts.services.values import SETTLED


def store_reliability(snapshot: Snapshot, results: Mapping[str, ReliabilityResult]) -> None:
    """Store the scores of a snapshot's round; those that a published edition ranked by stay as they are."""
    if snapshot.editions.filter(state__in=SETTLED).exists():
        return
    snapshot.reliability.all().delete()
    Reliability.objects.bulk_create(reliability_rows(snapshot, results), batch_size=500)


def reliability_rows(snapshot: Snapshot, results: Mapping[str, ReliabilityResult]) -> list[Reliability]:
    """The rows that `store_reliability` writes; nothing is written."""
    clusters = dict(Cluster.objects.filter(code__in=results).values_list("code", "pk"))
    return [
        Reliability(
            snapshot=snapshot,
            cluster_id=clusters[code],
            score=result.score,
            grade=result.grade,
            status=result.status,
            parts=[part.as_dict() for part in result.parts],
            stops=[stop.as_dict() for stop in result.stops],
            gates=[gate.as_dict() for gate in result.association.gates],
            steps=[step.as_dict() for step in result.steps],
            association=result.association.subject,
            was_reliable=result.was_reliable,
        )
        for code, result in results.items()
    ]


def reliability_now(round_: Round, cluster: Cluster) -> Reliability | None:
    """The newest score of a cluster in a round; in an open round that of the last provisional computation.

    `snapshot.taken_at` says as of when. None before the first computation.
    """
    found = Reliability.objects.filter(snapshot__round=round_, cluster=cluster).select_related("snapshot__round")
    return found.order_by("-snapshot__taken_at", "-snapshot__pk").first()


def reliability_history(cluster: Cluster, *, until: int, rounds: int = 5) -> list[Reliability]:
    """The newest score of each of the last rounds, oldest first. One query."""
    rows = (
        Reliability.objects.filter(cluster=cluster, snapshot__round__year__lte=until)
        .select_related("snapshot__round")
        .only("score", "grade", "status", "cluster_id", "snapshot__taken_at", "snapshot__round__year")
        .order_by("-snapshot__round__year", "-snapshot__taken_at", "-snapshot__pk")
    )
    newest: dict[int, Reliability] = {}
    for row in rows:
        newest.setdefault(row.snapshot.round.year, row)
    return list(newest.values())[:rounds][::-1]


def standings_now(clusters: list[Cluster]) -> dict[int, Reliability]:
    """The newest score of each cluster, by cluster. One query."""
    newest = Reliability.objects.filter(cluster=OuterRef("cluster")).order_by(
        "-snapshot__round__year", "-snapshot__taken_at", "-snapshot__pk"
    )
    rows = Reliability.objects.filter(cluster__in=clusters, pk=Subquery(newest.values("pk")[:1]))
    rows = rows.select_related("snapshot__round").only(
        "score", "grade", "status", "steps", "cluster_id", "snapshot__taken_at", "snapshot__round__year"
    )
    return {row.cluster_id: row for row in rows}


def latest_round(cluster: Cluster) -> Round | None:
    """The newest round with a score for the cluster; where there is none, the newest round of all."""
    scored = Round.objects.filter(snapshots__reliability__cluster=cluster).order_by("-year").first()
    return scored or Round.objects.order_by("-year").first()


def accepted_since(row: Reliability) -> QuerySet[Return]:
    """The returns of a cluster and its round that were accepted after its score was computed."""
    found = Return.objects.counted().filter(round=row.snapshot.round_id, cluster=row.cluster_id)
    return found.filter(decided_at__gt=row.snapshot.taken_at)


def returns_behind(round_: Round, cluster: Cluster, part: str, *, with_signals: bool) -> QuerySet[Return]:
    """The accepted unit returns of a cluster that part D1, D2, D3, D5 or D7 of the score rests on, as they are now.

    with_signals : whether flags that are for the data team alone (X05) may lead to a return; D3 never counts them.
    """
    rules = load_rules()
    found = Return.objects.counted().filter(round=round_, cluster=cluster, schedule="UNIT")
    if part == "D1":
        return found
    if part == "D2":
        return found.filter(core_share__lt=1)
    flags = Flag.objects.filter(ret=OuterRef("pk"), version=OuterRef("version"))
    if part == "D3" or not with_signals:
        flags = flags.exclude(rule__in=[code for code in rules.checks.checks if rules.checks.for_data_team(code)])
    if part == "D3":
        flags = flags.filter(
            severity__in=rules.parts["D3"]["severities"], resolution__in=rules.parts["D3"]["resolutions"]
        )
    else:
        flags = flags.filter(rule__in={"D5": ["X02", "X03"], "D7": ["X05"]}[part])
    return found.filter(Exists(flags))

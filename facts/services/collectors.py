"""Who collects the unit returns of which cluster in a round: the association, or the organisation appointed."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef

from clusters.models import Cluster, ClusterRole, Organisation
from core import policy
from core.audit.models import record, record_many
from core.base import DomainError
from facts.models import Collector, Return, Round, Schedule, UnitLink

from .bulk import chunks
from .findings import EXPLANATION_MIN

COLLECTING = (policy.Role.ENTRY, policy.Role.HEAD, policy.Role.CLIENT)


def collectors_of(round_: Round, clusters: Iterable[int] | None = None) -> dict[int, Organisation]:
    """Who collects, by cluster: the organisation appointed for the round, else the association. Two queries.

    A cluster without either is left out.
    """
    roles = ClusterRole.objects.filter(role=ClusterRole.Role.ASSOCIATION)
    rows = Collector.objects.filter(round=round_)
    if clusters is not None:
        clusters = list(clusters)
        roles, rows = roles.filter(cluster__in=clusters), rows.filter(cluster__in=clusters)
    found = {role.cluster_id: role.organisation for role in roles.select_related("organisation").order_by("-pk")}
    return found | {row.cluster_id: row.organisation for row in rows.select_related("organisation")}


def clusters_to_collect(by, round_: Round) -> dict[int, int]:
    """For which clusters a person may collect unit returns in a round, and in whose name. Two queries."""
    own = {grant.organisation_id for grant in policy.grants_of(by) if grant.role in COLLECTING}
    if not own:
        return {}
    appointed = dict(Collector.objects.filter(round=round_).values_list("cluster_id", "organisation_id"))
    roles = ClusterRole.objects.filter(organisation__in=own, role=ClusterRole.Role.ASSOCIATION).order_by("-pk")
    found = {
        cluster: organisation
        for cluster, organisation in roles.values_list("cluster_id", "organisation_id")
        if cluster not in appointed
    }
    return found | {cluster: organisation for cluster, organisation in appointed.items() if organisation in own}


def field_clusters(by, round_: Round) -> set[int]:
    """Clusters for which the person's organisation was appointed in a round: its people visit firms."""
    own = {grant.organisation_id for grant in policy.grants_of(by) if grant.organisation_id}
    return set(Collector.objects.filter(round=round_, organisation__in=own).values_list("cluster_id", flat=True))


@transaction.atomic
def appoint(round_: Round, cluster: Cluster, organisation: Organisation, *, by, reason: str) -> int:
    """Let an organisation collect the unit returns of a cluster in a round, in the place of who did.

    Drafts that were never handed in pass on with the work, so that nothing typed is lost and nothing is asked twice;
    what was handed in stays with who certified it, and a return sealed by its unit stays the unit's. Returns how many
    drafts passed on.
    """
    reason = _reason(reason)
    _require_not_closed(round_)
    before = collectors_of(round_, [cluster.pk]).get(cluster.pk)
    row, _ = Collector.objects.update_or_create(
        round=round_,
        cluster=cluster,
        defaults={"organisation": organisation, "reason": reason, "appointed_by": by},
    )
    ClusterRole.objects.get_or_create(cluster=cluster, organisation=organisation, role=ClusterRole.Role.COLLECTOR)
    passed = _pass_on(round_, cluster, organisation, by)
    _end_unused_role(cluster, before, organisation)
    record(
        "collector.appoint",
        row,
        by=by,
        round=round_.year,
        cluster=cluster.code,
        organisation=organisation.slug,
        was=before.slug if before else "",
        drafts=passed,
    )
    return passed


@transaction.atomic
def withdraw(round_: Round, cluster: Cluster, *, by, reason: str) -> int:
    """End an appointment: the association collects again, and drafts never handed in pass back to it."""
    reason = _reason(reason)
    _require_not_closed(round_)
    row = Collector.objects.filter(round=round_, cluster=cluster).select_related("organisation").first()
    if row is None:
        raise DomainError(f"Nobody is appointed for {cluster.name} in round {round_.year}; its association collects.")
    record("collector.withdraw", row, by=by, round=round_.year, cluster=cluster.code, was=row.organisation.slug)
    was = row.organisation
    row.delete()
    association = collectors_of(round_, [cluster.pk]).get(cluster.pk)
    _end_unused_role(cluster, was, association)
    return _pass_on(round_, cluster, association, by) if association else 0


def _reason(text: str) -> str:
    if len(text.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Say why (at least {EXPLANATION_MIN} characters); it stands beside the appointment.")
    return text.strip()[:300]


def _require_not_closed(round_: Round) -> None:
    if Round.objects.select_for_update().get(pk=round_.pk).state == Round.State.CLOSED:
        raise DomainError(f"Round {round_.year} is closed; nobody collects in it any more.")


def _pass_on(round_: Round, cluster: Cluster, organisation: Organisation, by) -> int:
    begun = Return.objects.filter(round=round_, cluster=cluster, schedule=Schedule.UNIT, version=0)
    begun = begun.filter(state=Return.State.DRAFT, collector__isnull=False).exclude(collector=organisation)
    # What a unit opened over its own link is no longer somebody's to pass on.
    opened = UnitLink.objects.filter(round=round_, unit=OuterRef("unit"), used_at__isnull=False)
    returns = list(begun.exclude(Exists(opened)).select_for_update(of=("self",)))
    for part in chunks(ret.pk for ret in returns):
        Return.objects.filter(pk__in=part).update(collector=organisation)
    record_many([("return.passed_on", ret, {"to": organisation.slug}) for ret in returns], by=by)
    return len(returns)


def _end_unused_role(cluster: Cluster, was: Organisation | None, now: Organisation | None) -> None:
    """Take the role on the ground away from who collects here in no round any more."""
    if was is None or was == now or Collector.objects.filter(cluster=cluster, organisation=was).exists():
        return
    ClusterRole.objects.filter(cluster=cluster, organisation=was, role=ClusterRole.Role.COLLECTOR).delete()


# --- A unit's own link ----------------------------------------------------------------------------


def is_link_holder(user) -> bool:
    """Whether somebody came in by the personal link of a unit."""
    return any(grant.role == policy.Role.LINK for grant in policy.grants_of(user))


def seal_on_save(ret: Return, *, by) -> list[str]:
    """Take a return out of its collector's sight when its unit saves it over the personal link.

    Called in the transaction of a save. Returns the fields of `ret` that changed; the caller stores them. Whom the
    unit lets read what it hands in (`shared_with`) is not touched.
    """
    if ret.collector_id is None or not is_link_holder(by):
        return []
    ret.collector = None
    record("return.sealed", ret, by=by)
    return ["collector"]

"""Files to fill in: one row a respondent, one column a question, for the page and the command alike."""

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from clusters.models import Cluster, ClusterRole
from core import policy
from core.audit.models import record_many
from core.base import DomainError
from facts.models import FrameEntry, Return, Round, Schedule
from facts.vault import store

from . import template_writers
from .bulk import chunks
from .collectors import clusters_to_collect
from .deadlines import windows
from .imports import KEYS
from .instruments import definition, lookups

ENDINGS = {
    ".csv": "text/csv; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
WRITERS = {".csv": template_writers.csv_file, ".xlsx": template_writers.xlsx_file}
COLLECTING = (policy.Role.ENTRY, policy.Role.HEAD, policy.Role.CLIENT)
LOOKING_AFTER = (policy.Role.STAFF, policy.Role.SUPERVISOR)
HAS_ANSWERS = "has answers already; to replace them all, delete the mark # and this remark"
HANDED_IN = "was handed in already"


@dataclass(frozen=True)
class Line:
    """One respondent of a template: a remark where there is work already, and last round's accepted answers."""

    subject: str
    remark: str = ""
    last: dict[str, Any] = field(default_factory=dict)


def own_clusters(by, round_: Round) -> QuerySet[Cluster]:
    """Clusters for which a person fills any schedule in a round."""
    roles = _roles(by)
    return Cluster.objects.filter(Q(pk__in=clusters_to_collect(by, round_)) | Q(pk__in=roles.values("cluster")))


def templates_for(by, round_: Round) -> list[dict]:
    """Which templates a person may have in a round: schedule and cluster, by name of the cluster."""
    wanted: dict[int, set[Schedule]] = {pk: {Schedule.UNIT} for pk in clusters_to_collect(by, round_)}
    for role in _roles(by):
        schedules = (
            {Schedule.ASSOCIATION} if role.role == ClusterRole.Role.ASSOCIATION else {Schedule.CLUSTER, Schedule.REGION}
        )
        wanted.setdefault(role.cluster_id, set()).update(schedules)
    clusters = Cluster.objects.filter(pk__in=wanted, kind=Cluster.Kind.CLUSTER).order_by("name", "pk")
    return [
        {"schedule": schedule, "cluster": cluster}
        for cluster in clusters
        for schedule in Schedule
        if schedule in wanted[cluster.pk] and (schedule != Schedule.REGION or cluster.region_id)
    ]


def _roles(by) -> QuerySet[ClusterRole]:
    """The roles on clusters that let a person fill association, cluster and region schedules."""
    grants = policy.grants_of(by)
    associations = {grant.organisation_id for grant in grants if grant.role in COLLECTING}
    agencies = {grant.organisation_id for grant in grants if grant.role in LOOKING_AFTER}
    return ClusterRole.objects.filter(
        Q(organisation__in=associations, role=ClusterRole.Role.ASSOCIATION)
        | Q(organisation__in=agencies, role=ClusterRole.Role.LEAD_AGENCY)
    )


@transaction.atomic
def template_file(schedule_code: str, *, round_: Round, cluster: Cluster, ending: str, by=None) -> bytes:
    """Write the template of a schedule for a cluster: codes, a remark with the questions, one row a respondent.

    In an open round, respondents who handed in already, or have a draft with answers, stand as remarks: the file can
    be sent as it is, and overwrites nobody's work unless somebody takes the mark away. Under each respondent stand
    last round's accepted answers, where `by` may read them; that opening enters the audit chain.
    """
    if ending not in ENDINGS:
        raise DomainError(f"A template is written as .xlsx or .csv, not {ending or 'without an ending'!r}.")
    if schedule_code not in KEYS:
        raise DomainError(f"There is no schedule {schedule_code.lower()!r}; there are {', '.join(KEYS).lower()}.")
    instrument = definition(round_.instrument.version)
    # What is still to do stands first.
    subjects = sorted(_subjects(schedule_code, round_, cluster), key=lambda one: bool(_remark(one[1])))
    to_do = [subject for subject, ret in subjects if _remark(ret) != HANDED_IN]
    last = _last_year(schedule_code, round_, to_do, by) if by else {}
    made = template_writers.Template(
        part=instrument.schedule(schedule_code),
        key=KEYS[schedule_code],
        lines=[Line(subject, _remark(ret), last.get(subject, {})) for subject, ret in subjects],
        round_year=round_.year,
        ref_year=round_.ref_year,
        cluster_code=cluster.code,
        cluster_name=cluster.name,
        currency=cluster.country.currency,
        due=windows(round_, [cluster.pk])[cluster.pk].ends,
        promise=instrument.promise,
        is_synthetic=round_.is_synthetic,
        listings=lookups(),
    )
    return WRITERS[ending](made)


def _subjects(schedule_code: str, round_: Round, cluster: Cluster) -> list[tuple[str, Return | None]]:
    """Who answers the schedule in a cluster, with the return there is already; none is told of a closed round."""
    if schedule_code == "UNIT":
        frame = FrameEntry.objects.filter(round=round_, cluster=cluster, in_scope=True, drawn=True)
        subjects = list(frame.order_by("unit__frame_id").values_list("unit__frame_id", flat=True))
    elif schedule_code == "ASSOCIATION":
        roles = ClusterRole.objects.filter(cluster=cluster, role="association").order_by("organisation__slug")
        subjects = [f"{cluster.code}/{slug}" for slug in roles.values_list("organisation__slug", flat=True)]
    elif schedule_code == "REGION":
        subjects = [cluster.region_id] if cluster.region_id else []
    else:
        subjects = [cluster.code]
    if round_.state != Round.State.OPEN:
        return [(subject, None) for subject in subjects]
    of_cluster = {"region": cluster.region_id} if schedule_code == "REGION" else {"cluster": cluster}
    there = Return.objects.filter(round=round_, schedule=schedule_code, **of_cluster)
    found = {ret.subject: ret for ret in there}
    return [(subject, found.get(subject)) for subject in subjects]


def _remark(ret: Return | None) -> str:
    if ret is None or (ret.is_editable and not ret.answered):
        return ""
    return HAS_ANSWERS if ret.is_editable else HANDED_IN


def _last_year(schedule_code: str, round_: Round, subjects: list[str], by) -> dict[str, dict]:
    """Last round's accepted answers by subject, of the returns that the person may read."""
    found: dict[int, Return] = {}
    for part in chunks(subjects):
        rows = Return.objects.counted().filter(round__year=round_.year - 1, schedule=schedule_code, subject__in=part)
        found |= {ret.pk: ret for ret in policy.scope(by, "return.read_submitted", rows)}
    payloads = store.open_answers((ret.pk, ret.version) for ret in found.values())
    entries = [
        ("return.open", found[pk], {"purpose": "a template with last year’s answers", "version": found[pk].version})
        for pk in payloads
    ]
    record_many(entries, by=by)
    return {found[pk].subject: payload["answers"] for pk, payload in payloads.items()}

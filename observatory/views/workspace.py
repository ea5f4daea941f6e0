"""The workspace: what waits for this person, why and by when, and nothing else."""

from dataclasses import dataclass
from datetime import date

from django.db.models import Count, F, Min, Q
from django.urls import reverse
from django.views.generic import TemplateView

from cci.models import Edition
from clusters.models import ProfileFact
from core import policy
from core.jobs.models import Job
from core.policy import Role
from core.policy.views import PolicyMixin
from facts.models import Return, Round, Schedule
from facts.services import reading
from facts.views.returns import place_label, schedules_to_begin, units_to_begin

SINGLE_MAX = 5  # more of a kind than this are told as one line
JOBS_SHOWN = 5


@dataclass(frozen=True)
class Task:
    """One thing to do: what, where, why, by when."""

    title: str
    href: str
    why: str
    due: date | None = None
    state: str = ""
    act: str = "Open"
    quote: str = ""


@dataclass(frozen=True)
class Group:
    title: str
    tasks: list[Task]


class Workspace(PolicyMixin, TemplateView):
    """Everything one click deep; a role with nothing to do is told what comes next."""

    action = "site.workspace"
    template_name = "workspace.html"

    def get_context_data(self, **kwargs):
        user = self.request.user
        roles = {grant.role for grant in policy.grants_of(user)} - {Role.ANONYMOUS}
        round_ = Round.objects.open().order_by("-year").first()
        groups = [
            *returns_to_file(user, round_),
            reviews(user),
            profile_facts(user),
            editions(user, round_),
            failed_jobs(user),
        ]
        groups = [group for group in groups if group.tasks]
        return super().get_context_data(**kwargs) | {
            "groups": groups,
            "count": sum(len(group.tasks) for group in groups),
            "round": round_,
            "places": places(user),
            "organisations": organisations(user),
            "roles": sorted(role.value for role in roles),
        }


def organisations(user) -> list[str]:
    """In whose name the person works here."""
    held = user.memberships.filter(organisation__isnull=False).select_related("organisation")
    return sorted({membership.organisation.name for membership in held})


def places(user) -> list[dict]:
    """The lists behind the tasks, for those who look for something else."""
    every = [
        ("return.read", "facts:returns", "Returns"),
        ("return.create", "facts:import", "Import a file"),
        ("return.review", "facts:review", "Review"),
        ("profile.write", "clusters:profiles", "Profiles"),
        ("edition.manage", "cci:editions", "Editions"),
    ]
    return [{"label": label, "href": reverse(name)} for action, name, label in every if policy.allowed(user, action)]


def _listed(round_: Round, **query) -> str:
    asked = "&".join(f"{name}={value}" for name, value in {"round": round_.year, **query}.items())
    return f"{reverse('facts:returns')}?{asked}"


def returns_to_file(user, round_: Round | None) -> list[Group]:
    """Returns sent back, ready to certify, begun, and not yet begun, in the open round."""
    if round_ is None or not policy.allowed(user, "return.read_draft"):
        return []
    if not policy.allowed(user, "return.create"):
        return []
    own = policy.scope(user, "return.write", Return.objects.filter(round=round_))
    own = policy.scope(user, "return.read_draft", own)
    due, may_submit = round_.closes_on, policy.allowed(user, "return.submit")
    back = own.filter(state=Return.State.SENT_BACK).with_subjects().order_by("decided_at", "pk")
    drafts = own.filter(state=Return.State.DRAFT)
    whole = Q(asked__gt=1, answered__gte=F("asked"))
    ready = drafts.filter(whole).with_subjects().order_by("schedule", "subject")
    begun = drafts.exclude(whole).with_subjects().order_by("schedule", "-answered", "subject")
    return [
        Group("Sent back to you", _sent_back(back, round_, due)),
        Group("Ready to certify" if may_submit else "Complete, for the head to certify", _ready(ready, round_, due)),
        Group("To continue", _begun(begun, round_, due)),
        Group("To begin", _to_begin(user, round_, due)),
    ]


def _sent_back(found, round_, due) -> list[Task]:
    n = found.count()
    tasks = []
    for ret in found[:SINGLE_MAX]:
        notes = reading.notes_of(ret)
        tasks.append(
            Task(
                f"{ret.get_schedule_display()} return: {place_label(ret)}",
                ret.get_absolute_url(),
                "The reviewer asks for a correction.",
                due,
                "sent_back",
                "Mend",
                notes[-1]["text"] if notes else "",
            )
        )
    if n > SINGLE_MAX:
        more = f"{n - SINGLE_MAX} more returns were sent back"
        tasks.append(Task(more, _listed(round_, state="sent_back"), "Each says why.", due, "sent_back", "See all"))
    return tasks


def _ready(found, round_, due) -> list[Task]:
    own = list(found.exclude(schedule=Schedule.UNIT)[:SINGLE_MAX])
    tasks = [
        Task(
            f"{ret.get_schedule_display()} return: {place_label(ret)}",
            reverse("facts:submit", args=[ret.pk]),
            f"All {ret.asked} questions are answered.",
            due,
            "done",
            "Look over and certify",
        )
        for ret in own
    ]
    units = found.filter(schedule=Schedule.UNIT).count()
    if units:
        what = f"{units} unit returns are complete" if units > 1 else "1 unit return is complete"
        tasks.append(
            Task(what, _listed(round_, schedule="UNIT", state="draft"), "All questions are answered.", due, "done")
        )
    return tasks


def _begun(found, round_, due) -> list[Task]:
    tasks = [
        Task(
            f"{ret.get_schedule_display()} return: {place_label(ret)}",
            ret.get_absolute_url(),
            f"{ret.answered} of {ret.asked} questions answered.",
            due,
            "in_progress",
            "Continue",
        )
        for ret in found.exclude(schedule=Schedule.UNIT)[:SINGLE_MAX]
    ]
    units = found.filter(schedule=Schedule.UNIT)
    n = units.count()
    for ret in units[: SINGLE_MAX if n <= SINGLE_MAX else 0]:
        why = f"{ret.answered} of {ret.asked} questions answered."
        tasks.append(Task(f"Unit return {ret.subject}", ret.get_absolute_url(), why, due, "in_progress", "Continue"))
    if n > SINGLE_MAX:
        href = _listed(round_, schedule="UNIT", state="draft")
        tasks.append(Task(f"{n} unit returns begun", href, "Answers are missing.", due, "in_progress", "Continue"))
    return tasks


def _to_begin(user, round_, due) -> list[Task]:
    words = {"ASSOCIATION": "Association return", "CLUSTER": "Cluster schedule", "REGION": "Region schedule"}
    missing = schedules_to_begin(user, round_)
    href = _listed(round_, show="begin")
    tasks = []
    for schedule, title in words.items():
        found = [one for one in missing if one["schedule"] == schedule]
        if len(found) > SINGLE_MAX:
            tasks.append(Task(f"{title}s: {len(found)} to fill", href, "Not begun yet.", due, "todo", "See all"))
        else:
            tasks += [Task(f"{title}: {one['label']}", href, "Not begun yet.", due, "todo", "Begin") for one in found]
    units = units_to_begin(user, round_).count()
    if units:
        what = f"{units} units without a return" if units > 1 else "1 unit without a return"
        tasks.append(Task(what, href, "Begin in the form, or send one file for all.", due, "todo", "Choose"))
    return tasks


def reviews(user) -> Group:
    """Submitted returns by cluster."""
    if not policy.allowed(user, "return.review"):
        return Group("To review", [])
    waiting = policy.scope(user, "return.review", Return.objects.waiting_for_review())
    rows = (
        waiting.order_by()
        .values("cluster__code", "cluster__name", "round__closes_on")
        .annotate(n=Count("pk"), since=Min("submitted_at"))
        .order_by("since")
    )
    tasks = []
    for row in rows:
        query = f"?cluster={row['cluster__code']}" if row["cluster__code"] else "?schedule=REGION"
        days = f"the oldest since {row['since']:%-d %B}" if row["since"] else ""
        tasks.append(
            Task(
                row["cluster__name"] or "Region schedules",
                reverse("facts:review") + query,
                f"{row['n']} submitted return{'s' if row['n'] != 1 else ''}, {days}.",
                row["round__closes_on"],
                "submitted",
                "Review",
            )
        )
    return Group("To review", tasks)


def profile_facts(user) -> Group:
    """Facts that wait for a second person, by cluster."""
    title = "Profile facts that wait for a second person"
    if not policy.allowed(user, "fact.publish"):
        return Group(title, [])
    proposed = ProfileFact.objects.filter(state=ProfileFact.State.PROPOSED).exclude(entered_by=user)
    rows = policy.scope(user, "fact.publish", proposed).order_by()
    rows = rows.values("cluster__code", "cluster__name").annotate(n=Count("pk")).order_by("cluster__name")
    return Group(
        title,
        [
            Task(
                row["cluster__name"],
                reverse("clusters:profile", args=[row["cluster__code"]]),
                f"{row['n']} proposed by a colleague.",
                state="waiting",
                act="Check",
            )
            for row in rows
        ],
    )


def editions(user, round_: Round | None) -> Group:
    """Editions on their way, and whose turn it is."""
    if not policy.allowed(user, "edition.recompute"):
        return Group("Editions", [])
    tasks = []
    found = policy.scope(user, "edition.manage", Edition.objects.select_related("job", "round"))
    for edition in found.filter(state__in=["computing", "candidate", "proposed", "failed"]).order_by("-pk"):
        href = reverse("cci:edition", args=[edition.pk])
        is_own = edition.proposed_by_id == user.pk
        if edition.state == "computing":
            percent = edition.job.percent if edition.job else 0
            why, act = f"A worker computes it: {percent} %.", "Watch"
        elif edition.state == "failed":
            why, act = "The computation failed.", "See why"
        elif edition.state == "proposed":
            why = "Proposed by you; a colleague publishes it." if is_own else "Proposed by a colleague: publish."
            act = "Open" if is_own else "Look over and publish"
        elif edition.is_provisional:
            why, act = "Provisional, of the open round; for staff only.", "Open"
        else:
            why, act = "Computed. Look it over, then propose it.", "Look over"
        tasks.append(Task(str(edition), href, why, edition.round.releases_on, edition.state, act))
    return Group("Editions", tasks)


def failed_jobs(user) -> Group:
    """Work in the background that did not end well, the editions' own apart."""
    if not policy.allowed(user, "job.read"):
        return Group("Work that failed", [])
    told = Edition.objects.filter(state="failed").exclude(job=None).values("job")
    jobs = policy.scope(user, "job.read", Job.objects.filter(state__in=["failed", "dead"])).exclude(pk__in=told)
    jobs = list(jobs.order_by("-pk")[:JOBS_SHOWN])
    mended = set(
        Job.objects.filter(state="done", key__in=[job.key for job in jobs]).values_list("kind", "key").distinct()
    )
    href = reverse("cci:editions") if policy.allowed(user, "edition.manage") else ""
    return Group(
        "Work that failed",
        [
            Task(job.kind.replace("_", " "), href, job.error[:200], state="failed", act="See editions")
            for job in jobs
            if (job.kind, job.key) not in mended
        ],
    )

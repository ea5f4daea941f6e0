"""The workspace: what waits for this person, why and by when, and nothing else."""

from dataclasses import dataclass
from datetime import date

from django.db.models import Count, F, Min, Q
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.generic import TemplateView

from cci.models import Edition, Methodology
from clusters.models import Cluster, ProfileFact
from core import policy
from core.jobs.models import Job
from core.policy import Role
from core.policy.views import PolicyMixin
from facts.models import Flag, Query, Reopening, Return, Round, Schedule, Upload
from facts.services import reading
from facts.services.deadlines import granted, last_days, today_there
from facts.services.findings import schedule_of
from facts.services.invitations import standings
from facts.services.links import own_return
from facts.services.queries import last_words
from facts.services.standing import standings_now
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
    start: dict | None = None  # the return that the button begins: round, schedule, subject, label


@dataclass(frozen=True)
class Days:
    """Until when returns are due: each cluster's own last day."""

    round: Round
    more: dict[int, date]

    def of(self, cluster: int | None) -> date:
        return self.more.get(cluster, self.round.closes_on) if cluster else self.round.closes_on

    def mend(self, cluster: int | None) -> date:
        """The last day for what was sent back."""
        return max(day for day in (self.of(cluster), self.round.editing_until) if day)

    def first(self, found) -> date:
        """The day that comes first, of several returns or units (a queryset)."""
        if not self.more:
            return self.round.closes_on
        clusters = found.order_by().values_list("cluster", flat=True).distinct()
        return min((self.of(one) for one in clusters), default=self.round.closes_on)


@dataclass(frozen=True)
class Group:
    title: str
    tasks: list[Task]
    waits: bool = True  # what is only told waits for nobody, and is not counted


class Workspace(PolicyMixin, TemplateView):
    """Everything one click deep; a role with nothing to do is told what comes next."""

    action = "site.workspace"
    template_name = "workspace.html"

    def get(self, request, *args, **kwargs):
        own = own_return(request.user)  # who came in by a personal link has one return, and no workspace
        return redirect(own) if own else super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs):
        user = self.request.user
        roles = {grant.role for grant in policy.grants_of(user)} - {Role.ANONYMOUS}
        round_ = Round.objects.open().order_by("-year").first()
        groups = [
            questions_to_answer(user),
            files_to_keep(user),
            *returns_to_file(user, round_),
            reviews(user),
            questions_asked(user),
            reopenings(user),
            profile_facts(user),
            editions(user, round_),
            methodologies(user),
            rounds_to_move(user),
            late_clusters(user),
            ways_to_rank(user),
            failed_jobs(user),
        ]
        groups = [group for group in groups if group.tasks]
        return super().get_context_data(**kwargs) | {
            "groups": groups,
            "count": sum(len(group.tasks) for group in groups if group.waits),
            "round": round_,
            "until": last_days(round_, own_clusters(user, round_)) if round_ else "",
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
        ("query.read", "facts:queries", "Questions"),
        ("round.board", "facts:rounds", "Rounds"),
        ("standing.read", "facts:standings", "Standing"),
        ("profile.read", "clusters:profiles", "Profiles"),
        ("edition.manage", "cci:editions", "Editions"),
        ("methodology.manage", "cci:methodologies", "Methodologies"),
        ("release.manage", "cci:release-list", "Releases"),
        ("opening.read", "facts:openings", "Who opened our data"),
        ("break_glass.ask", "facts:break-glasses", "Break-glass"),
        ("people.manage", "people:list", "People"),
        ("api_client.manage", "people:clients", "Keys"),
        ("account.self", "accounts:account", "Account"),
    ]
    return [{"label": label, "href": reverse(name)} for action, name, label in every if policy.allowed(user, action)]


def own_clusters(user, round_: Round):
    """The clusters of the returns that a person writes; of those that may be read, for who writes none."""
    action = "return.write" if policy.allowed(user, "return.write") else "return.read"
    found = Return.objects.filter(round=round_)
    found = policy.scope(user, action, found) if policy.allowed(user, action) else found.none()
    return found.order_by().values_list("cluster", flat=True).distinct()


def _listed(round_: Round, **query) -> str:
    asked = "&".join(f"{name}={value}" for name, value in {"round": round_.year, **query}.items())
    return f"{reverse('facts:returns')}?{asked}"


def files_to_keep(user) -> Group:
    """Files of one's own that were read, and wait for a yes or a no."""
    mine = Upload.objects.filter(by=user, state=Upload.State.READY).exclude(job__state__in=["queued", "running"])
    why = "It was read; nothing of it is kept yet."
    tasks = [
        Task(upload.name, reverse("facts:upload", args=[upload.pk]), why, act="Look") for upload in mine[:SINGLE_MAX]
    ]
    return Group("Files that wait for your yes", tasks)


def returns_to_file(user, round_: Round | None) -> list[Group]:
    """Returns sent back, ready to certify, begun, and not yet begun, in the open round."""
    if round_ is None or not policy.allowed(user, "return.read_draft"):
        return []
    if not policy.allowed(user, "return.create"):
        return []
    own = policy.scope(user, "return.write", Return.objects.filter(round=round_))
    own = policy.scope(user, "return.read_draft", own)
    due, may_submit = Days(round_, granted(round_)), policy.allowed(user, "return.submit")
    back = own.filter(state=Return.State.SENT_BACK).with_subjects().order_by("decided_at", "pk")
    drafts = own.filter(state=Return.State.DRAFT)
    whole = Q(asked__gt=1, answered__gte=F("asked"))
    ready = drafts.filter(whole).with_subjects().order_by("schedule", "subject")
    begun = drafts.exclude(whole).with_subjects().order_by("schedule", "-answered", "subject")
    return [
        Group("Sent back to you", _sent_back(back, round_, due)),
        Group(
            "Ready to certify" if may_submit else "Complete, for the head to certify",
            _ready(ready, round_, due, may_submit),
        ),
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
                f"{ret.kind_words}: {place_label(ret)}",
                ret.get_absolute_url(),
                "The reviewer asks for a correction.",
                due.mend(ret.cluster_id),
                "sent_back",
                "Mend",
                notes[-1]["text"] if notes else "",
            )
        )
    if n > SINGLE_MAX:
        more = f"{n - SINGLE_MAX} more return{'s were' if n - SINGLE_MAX > 1 else ' was'} sent back"
        tasks.append(Task(more, _listed(round_, state="sent_back"), "Each says why.", None, "sent_back", "See all"))
    return tasks


def _ready(found, round_, due, may_submit) -> list[Task]:
    own = list(found.exclude(schedule=Schedule.UNIT)[:SINGLE_MAX])
    tasks = [
        Task(
            f"{ret.kind_words}: {place_label(ret)}",
            reverse("facts:submit" if may_submit else "facts:check", args=[ret.pk]),
            f"All {ret.asked} questions are answered.",
            due.of(ret.cluster_id),
            "done",
            "Look over and certify" if may_submit else "Look over; tell the head",
        )
        for ret in own
    ]
    complete = found.filter(schedule=Schedule.UNIT)
    units = complete.count()
    if units:
        what = f"{units} unit returns are complete" if units > 1 else "1 unit return is complete"
        href = _listed(round_, schedule="UNIT", state="draft", show="complete")
        tasks.append(Task(what, href, "All questions are answered.", due.first(complete), "done"))
    return tasks


def _begun(found, round_, due) -> list[Task]:
    tasks = [
        Task(
            f"{ret.kind_words}: {place_label(ret)}",
            ret.get_absolute_url(),
            f"{ret.answered} of {ret.asked} questions answered.",
            due.of(ret.cluster_id),
            "in_progress",
            "Continue",
        )
        for ret in found.exclude(schedule=Schedule.UNIT)[:SINGLE_MAX]
    ]
    units = found.filter(schedule=Schedule.UNIT)
    n = units.count()
    for ret in units[: SINGLE_MAX if n <= SINGLE_MAX else 0]:
        why = f"{ret.answered} of {ret.asked} questions answered."
        title, day = f"Unit return {ret.subject}", due.of(ret.cluster_id)
        tasks.append(Task(title, ret.get_absolute_url(), why, day, "in_progress", "Continue"))
    if n > SINGLE_MAX:
        href = _listed(round_, schedule="UNIT", state="draft")
        what, day = f"{n} unit returns begun", due.first(units)
        tasks.append(Task(what, href, "Answers are missing.", day, "in_progress", "Continue"))
    return tasks


def _to_begin(user, round_, due) -> list[Task]:
    words = {"ASSOCIATION": "Association return", "CLUSTER": "Cluster schedule", "REGION": "Region schedule"}
    missing = schedules_to_begin(user, round_)
    href = _listed(round_, show="begin")
    tasks = []
    for schedule, title in words.items():
        found = [one for one in missing if one["schedule"] == schedule]
        if len(found) > SINGLE_MAX:
            day = min(due.of(one["cluster"]) for one in found)
            tasks.append(Task(f"{title}s: {len(found)} to fill", href, "Not begun yet.", day, "todo", "See all"))
        else:
            tasks += [
                Task(
                    f"{title}: {one['label']}",
                    href,
                    "Not begun yet.",
                    due.of(one["cluster"]),
                    "todo",
                    "Begin",
                    start=one | {"round": round_},
                )
                for one in found
            ]
    waiting = units_to_begin(user, round_)
    units = waiting.count()
    if units:
        what = f"{units} units without a return" if units > 1 else "1 unit without a return"
        why = "Begin in the form, or send one file for all."
        tasks.append(Task(what, href, why, due.first(waiting), "todo", "Choose"))
    return tasks


def _critical(flagged: dict, row: dict) -> str:
    n = flagged.get(row["cluster__code"], 0)
    return f" {n} with a critical flag." if n else ""


def reviews(user) -> Group:
    """Submitted returns by cluster."""
    if not policy.allowed(user, "return.review"):
        return Group("To review", [])
    waiting = policy.scope(user, "return.review", Return.objects.waiting_for_review())
    rows = (
        waiting.order_by()
        .values("cluster__code", "cluster__name")
        .annotate(n=Count("pk"), since=Min("submitted_at"))
        .order_by("since")
    )
    critical = Flag.objects.filter(
        ret__in=waiting.order_by().values("pk"),
        version=F("ret__version"),
        severity=Flag.Severity.CRITICAL,
        resolution__in=[Flag.Resolution.OPEN, Flag.Resolution.REJECTED],
    )
    by_cluster = critical.order_by().values_list("ret__cluster__code")
    flagged = dict(by_cluster.annotate(n=Count("ret", distinct=True)))
    tasks = []
    for row in rows:
        query = f"?cluster={row['cluster__code']}" if row["cluster__code"] else "?schedule=REGION"
        days = f"the oldest since {row['since']:%-d %B}" if row["since"] else ""
        tasks.append(
            Task(
                row["cluster__name"] or "Region schedules",
                reverse("facts:review") + query,
                f"{row['n']} submitted return{'s' if row['n'] != 1 else ''}, {days}.{_critical(flagged, row)}",
                state="submitted",
                act="Review",
            )
        )
    return Group("To review", tasks)


def questions_to_answer(user) -> Group:
    """Questions on the person's own answers, the earliest due first."""
    group = Group("Questions to answer", [])
    if not policy.allowed(user, "query.answer"):
        return group
    own = policy.scope(user, "query.answer", Return.objects.filter(round__state=Round.State.OPEN))
    waiting = Query.objects.filter(state=Query.State.OPEN, ret__in=own.order_by().values("pk"))
    related = ("ret__round__instrument", "ret__cluster", "ret__organisation", "ret__region")
    found = list(waiting.select_related(*related).order_by("due_on", "pk")[: SINGLE_MAX + 1])
    words = last_words(found[:SINGLE_MAX])
    for query in found[:SINGLE_MAX]:
        question = schedule_of(query.ret).questions.get(query.question)
        title = f"{question.short if question else query.question}: {place_label(query.ret)}"
        late = query.due_on < today_there(query.ret.round_id)
        why = "The reviewer asks about this answer."
        href = reverse("facts:query", args=[query.pk])
        state = "overdue" if late else "todo"
        group.tasks.append(Task(title, href, why, query.due_on, state, "Answer", words.get(query.pk, "")))
    if len(found) > SINGLE_MAX:
        left = waiting.count() - SINGLE_MAX
        more = f"{left} more question{'s' if left > 1 else ''}"
        href = reverse("facts:queries")
        group.tasks.append(Task(more, href, "Each is about one answer.", state="todo", act="See all"))
    return group


def questions_asked(user) -> Group:
    """For who asks: what was answered and what is overdue, one line each."""
    group = Group("Questions asked", [])
    if not policy.allowed(user, "query.ask"):
        return group
    asked = policy.scope(user, "query.ask", Return.objects.filter(round__state=Round.State.OPEN))
    found = Query.objects.filter(ret__in=asked.order_by().values("pk"))
    counts = found.aggregate(
        answered=Count("pk", filter=Q(state=Query.State.ANSWERED)),
        overdue=Count("pk", filter=Q(state=Query.State.OPEN, due_on__lt=timezone.localdate())),
    )
    href = reverse("facts:queries")
    if n := counts["answered"]:
        what = f"{n} question{'s' if n != 1 else ''} answered"
        why = "Read them; close or ask again."
        group.tasks.append(Task(what, f"{href}?show=answered", why, state="done", act="Read"))
    if n := counts["overdue"]:
        what = f"{n} question{'s' if n != 1 else ''} overdue"
        why = "No answer by its day."
        group.tasks.append(Task(what, f"{href}?show=overdue", why, state="overdue", act="See which"))
    return group


def reopenings(user) -> Group:
    """Wishes to open accepted returns again that wait for this person."""
    group = Group("To open again", [])
    if not policy.allowed(user, "return.reopen"):
        return group
    returns = policy.scope(user, "return.reopen", Return.objects.filter(state=Return.State.ACCEPTED))
    waiting = Reopening.objects.filter(state=Reopening.State.ASKED, ret__in=returns.order_by().values("pk"))
    waiting = waiting.exclude(asked_by=user)
    if Role.ANALYST not in {grant.role for grant in policy.grants_of(user)}:
        waiting = waiting.filter(asked_by__memberships__role=Role.ANALYST).distinct()  # see services.reopening
    related = ("ret__round", "ret__cluster", "ret__unit", "ret__organisation", "ret__region")
    for wish in waiting.select_related(*related).order_by("asked_at", "pk")[:SINGLE_MAX]:
        title = f"{wish.ret.kind_words}: {place_label(wish.ret)}"
        href = reverse("facts:reopen", args=[wish.ret_id])
        why = "A colleague asks to open it again; you decide."
        group.tasks.append(Task(title, href, why, state="waiting", act="Decide"))
    more = waiting.count() - SINGLE_MAX if len(group.tasks) == SINGLE_MAX else 0
    if more > 0:
        href = reverse("facts:reopenings")
        group.tasks.append(Task(f"{more} more", href, "Each says why.", state="waiting", act="See all"))
    return group


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
    found = policy.scope(user, "edition.manage", Edition.objects.filter(is_trial=False).select_related("job", "round"))
    on_their_way = ["computing", "candidate", "proposed", "scheduled", "failed"]
    for edition in found.filter(state__in=on_their_way).order_by("-pk"):
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
        elif edition.state == "scheduled":
            why, act = f"Approved; comes out {timezone.localtime(edition.release_at):%-d %B %Y, %H:%M}.", "Open"
        elif edition.is_provisional:
            why, act = "Provisional, of the open round; for staff only.", "Open"
        else:
            why, act = "Computed. Look it over, then propose it.", "Look over"
        tasks.append(Task(str(edition), href, why, edition.round.releases_on, edition.state, act))
    return Group("Editions", tasks)


def methodologies(user) -> Group:
    """Methodologies that wait for another person's check, or for their adoption."""
    if not policy.allowed(user, "methodology.decide"):
        return Group("Methodologies", [])
    tasks = []
    for one in Methodology.objects.exclude(state=Methodology.State.ADOPTED).order_by("pk"):
        is_draft = one.state == Methodology.State.DRAFT
        is_own = user.pk == (one.registered_by_id if is_draft else one.checked_by_id)
        turn = f"{'checks' if is_draft else 'adopts'} it"
        why = f"A colleague {turn}." if is_own else f"{'To be checked' if is_draft else 'To be adopted'}: look it over."
        href = reverse("cci:methodology-of", args=[one.version])
        tasks.append(Task(str(one), href, why, state=one.state, act="Open" if is_own else "Look over"))
    return Group("Methodologies", tasks)


def rounds_to_move(user) -> Group:
    """Rounds whose next step is an analyst's: a proposal to confirm, a day that has come."""
    if not policy.allowed(user, "round.edit"):
        return Group("Rounds", [])
    tasks = []
    for round_ in Round.objects.exclude(state=Round.State.CLOSED).select_related("proposed_by").order_by("year"):
        href = reverse("facts:round-steps", args=[round_.year])
        if round_.proposed_act:
            is_own = round_.proposed_by_id == user.pk
            why = f"{'You' if is_own else round_.proposed_by} proposed to {round_.get_proposed_act_display()}."
            act = "Open" if is_own else "Look over and confirm"
            tasks.append(Task(str(round_), href, why, state="proposed", act=act))
        elif round_.state == Round.State.PLANNED:
            has_frame = round_.frame.exists()
            why, due = (
                ("Its frame is frozen; open it when its day comes.", round_.opens_on)
                if has_frame
                else ("Its frame is to be frozen.", round_.frame_frozen_on)
            )
            tasks.append(Task(str(round_), href, why, due, "planned", "Open"))
        elif (round_.locks_on or round_.closes_on) < today_there(round_.pk):
            tasks.append(Task(str(round_), href, "Its days are over; close it.", state="overdue", act="Open"))
    return Group("Rounds", tasks)


def late_clusters(user) -> Group:
    """Clusters past their last day with returns missing, for those who give more time. One line a round."""
    title = "Late"
    if not policy.allowed(user, "round.extend"):
        return Group(title, [])
    tasks = []
    for round_ in Round.objects.open().order_by("year"):
        own = policy.scope(user, "round.extend", Cluster.objects.all()).values_list("pk", flat=True)
        late = [one for one in standings(round_, own).values() if one.is_late]
        if late:
            missing = sum(one.missing for one in late)
            what = f"{len(late)} cluster{'s' if len(late) != 1 else ''} past the last day of {round_}"
            href = reverse("facts:round-late", args=[round_.year])
            why = f"{missing:,} {'returns are' if missing != 1 else 'return is'} missing."
            tasks.append(Task(what, href, why, state="overdue", act="See the list"))
    return Group(title, tasks)


def ways_to_rank(user) -> Group:
    """Own clusters that are not ranked yet, each with the first step of its shortest way. Two queries."""
    group = Group("Towards a rank", [], waits=False)
    roles = {grant.role for grant in policy.grants_of(user)}
    if roles & {Role.ANALYST, Role.AUDITOR} or not policy.allowed(user, "standing.read"):
        return group  # the office has the whole list
    clusters = {one.pk: one for one in policy.scope(user, "standing.read", Cluster.objects.filter(kind="cluster"))}
    rows = [row for row in standings_now(list(clusters.values())).values() if row.steps]
    rows.sort(key=lambda row: (len(row.steps), clusters[row.cluster_id].name))
    for row in rows[:SINGLE_MAX]:
        cluster, n = clusters[row.cluster_id], len(row.steps)
        why = f"{row.steps[0]['text']}." + (f" Then {n - 1} more step{'s' if n > 2 else ''}." if n > 1 else "")
        href = f"{reverse('facts:standing', args=[cluster.code])}?round={row.snapshot.round.year}"
        title = f"{cluster.name}, round {row.snapshot.round.year}: not ranked yet"
        group.tasks.append(Task(title, href, why, state="", act="See the way"))
    if len(rows) > SINGLE_MAX:
        left = len(rows) - SINGLE_MAX
        more = f"{left} more cluster{'s that are' if left > 1 else ' that is'} not ranked yet"
        group.tasks.append(Task(more, reverse("facts:standings"), "Each has its shortest way.", act="See all"))
    return group


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

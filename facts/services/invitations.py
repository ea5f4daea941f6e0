"""Messages of a round: asked to file, reminded, told that it is late. One message a person, cluster and occasion.

The row is the guard: a second run on the same day finds it and sends nothing. Row and job are one transaction; the
job sends the mail and then marks the row. A worker that dies between the two sends once more rather than never.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from clusters.models import Cluster, Membership
from core.audit.models import record
from core.base import DomainError
from core.jobs import ledger
from core.policy import Role
from facts.models import Extension, Invitation, Return, Round, Schedule

from . import instruments, links, minutes
from .collectors import collectors_of
from .deadlines import Window, day, windows
from .findings import EXPLANATION_MIN
from .frames import drawn_counts

JOB = "facts.send_invitation"
Kind = Invitation.Kind


@dataclass(frozen=True)
class Standing:
    """How far a cluster's collection is: units asked, how many handed in, until when."""

    cluster_id: int
    asked: int
    handed_in: int
    window: Window

    @property
    def missing(self) -> int:
        return max(0, self.asked - self.handed_in)

    @property
    def is_late(self) -> bool:
        return self.window.is_over and self.missing > 0


def standings(round_: Round, clusters: Iterable[int] | None = None) -> dict[int, Standing]:
    """How far each cluster of a round's frame is, or some of them. Four queries."""
    asked = drawn_counts(round_, clusters)
    rows = Return.objects.filter(round=round_, schedule=Schedule.UNIT, version__gt=0).order_by()
    if clusters is not None:
        rows = rows.filter(cluster__in=asked)
    handed = dict(rows.values_list("cluster_id").annotate(n=Count("pk")))
    ends = windows(round_, asked)
    return {pk: Standing(pk, n, handed.get(pk, 0), ends[pk]) for pk, n in asked.items()}


def people_of(organisations: Iterable[int]) -> dict[int, list]:
    """Who types in or heads, with an address, by organisation. One query."""
    held = Membership.objects.filter(
        Q(ends_on=None) | Q(ends_on__gte=timezone.localdate()),
        organisation__in=set(organisations),
        role__in=[Role.ENTRY, Role.HEAD],
        user__is_active=True,
    ).exclude(user__email="")
    found: dict[int, list] = {}
    for one in held.select_related("user").order_by("pk"):
        people = found.setdefault(one.organisation_id, [])
        if one.user not in people:
            people.append(one.user)
    return found


def invite(round_: Round, *, by) -> int:
    """Ask everybody who collects in an open round. Returns how many messages go out; asked again, only newcomers."""
    if round_.state != Round.State.OPEN:
        raise DomainError(
            f"Round {round_.year} is {round_.get_state_display().lower()}; people are invited to an open one."
        )
    standing = standings(round_)
    sent = _send_to(round_, standing.values(), lambda one: (Kind.INVITED.value, round_.opens_on))
    with transaction.atomic():
        record("round.invite", round_, by=by, year=round_.year, messages=sent)
    return sent


def send_due() -> int:
    """Send what is due in every open round: reminders before the end, word of lateness after it.

    Any number of times a day; a day on which nobody ran is made up for on the next. Returns how many messages go out.
    """
    sent = 0
    for round_ in Round.objects.open().order_by("year"):
        sent += _send_to(round_, standings(round_).values(), _due)
        for invitation in Invitation.objects.filter(round=round_, sent_at=None):
            ledger.enqueue(JOB, key=f"invitation:{invitation.pk}", invitation=invitation.pk)
    return sent


def _due(one: Standing) -> tuple[str, date] | None:
    """What is due for a cluster now, and the day on which it became due; None where nothing is."""
    if not one.missing:
        return None
    if one.window.is_over:
        return Kind.LATE.value, one.window.ends + timedelta(days=1)
    passed = [before for before in settings.REMIND_DAYS_BEFORE if one.window.days_left <= before]
    return (Kind.REMINDED.value, one.window.ends - timedelta(days=min(passed))) if passed else None


def _send_to(round_: Round, standing: Iterable[Standing], occasion) -> int:
    """Write the rows that are not there yet, each with its job. Few queries where everything was sent before."""
    wanted = {one.cluster_id: due for one in standing if (due := occasion(one))}
    if not wanted:
        return 0
    collecting = collectors_of(round_, wanted)
    people = people_of(organisation.pk for organisation in collecting.values())
    rows = Invitation.objects.filter(round=round_).values_list("cluster_id", "user_id", "kind", "on")
    there, sent = set(rows), 0
    for cluster, (kind, on) in wanted.items():
        for user in people.get(collecting[cluster].pk, []) if cluster in collecting else []:
            if (cluster, user.pk, kind, on) in there:
                continue
            with transaction.atomic():
                row, made = Invitation.objects.get_or_create(
                    round=round_, cluster_id=cluster, user=user, kind=kind, on=on
                )
                if made:
                    ledger.enqueue(JOB, key=f"invitation:{row.pk}", invitation=row.pk)
                    sent += 1
    return sent


def send_invitation(run: ledger.Run, *, invitation: int) -> None:
    """The job of one message: compose, send, mark as sent."""
    row = Invitation.objects.select_related("round__instrument", "cluster", "user").filter(pk=invitation).first()
    if row is None or row.sent_at is not None:
        return
    if settings.EMAIL_BACKEND.endswith("dummy.EmailBackend"):
        raise DomainError("No mail server is set: give EMAIL_URL. The message waits and goes out with the next run.")
    if not _is_asked_still(row):
        with run.finishing():
            row.delete()  # the person left since, or somebody else collects now: nothing was sent
        return
    run.progress("Sending", 0, 1)
    subject, body = message_of(row)
    send_mail(subject, body, settings.DEFAULT_FROM_EMAIL, [row.user.email])
    with run.finishing():
        Invitation.objects.filter(pk=row.pk, sent_at=None).update(sent_at=Now())


def _is_asked_still(row: Invitation) -> bool:
    """Whether the person still files for the organisation that collects the cluster in this round."""
    organisation = collectors_of(row.round, [row.cluster_id]).get(row.cluster_id)
    return organisation is not None and row.user in people_of([organisation.pk]).get(organisation.pk, [])


def message_of(row: Invitation) -> tuple[str, str]:
    """Subject and text of a message. It names the cluster, never a unit or a figure of one."""
    round_, cluster = row.round, row.cluster
    standing = standings(round_, [cluster.pk]).get(cluster.pk) or Standing(
        cluster.pk, 0, 0, windows(round_, [None])[None]
    )
    known = minutes.last_known(round_.year)
    instrument = instruments.definition(round_.instrument.version)
    text = render_to_string(
        f"mail/{row.kind}.txt",
        {
            "person": row.user,
            "round": round_,
            "cluster": cluster,
            "window": standing.window,
            "standing": standing,
            "unit_minutes": known.get(Schedule.UNIT.value),
            "association_minutes": known.get(Schedule.ASSOCIATION.value),
            "n_questions": len(instrument.schedules[Schedule.UNIT.value].questions),
            "promise": instrument.promise,
            "until": day(standing.window.ends),
            "workspace": settings.SITE_URL + reverse("workspace"),
            "paper": settings.SITE_URL + reverse("facts:instrument"),
            "contact": settings.CONTACT_EMAIL,
        },
    )
    subject, _, body = text.strip().partition("\n")
    return subject.strip(), body.strip() + "\n"


# --- The late list --------------------------------------------------------------------------------


@transaction.atomic
def extend(round_: Round, cluster: Cluster, *, until: date, reason: str, by) -> Extension:
    """Give a cluster more time, with a reason. Its personal links live on as long."""
    held = Round.objects.select_for_update().get(pk=round_.pk)
    if held.state != Round.State.OPEN:
        raise DomainError(f"Round {held.year} is {held.get_state_display().lower()}; only an open one is extended.")
    if len(reason.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Say why more time is given (at least {EXPLANATION_MIN} characters).")
    now = windows(held, [cluster.pk])[cluster.pk]
    if until <= now.ends or until < now.today:
        after = max(now.ends, now.today - timedelta(days=1))
        raise DomainError(f"{cluster.name} has time until {day(now.ends)} already. Give a day after {day(after)}.")
    if held.locks_on and until > held.locks_on:
        raise DomainError(f"Returns are locked on {day(held.locks_on)}. Give a day no later than that.")
    extension = Extension.objects.create(
        round=held, cluster=cluster, until=until, reason=reason.strip()[:300], granted_by=by
    )
    prolonged = links.prolong(held, cluster)
    record(
        "round.extend",
        extension,
        by=by,
        year=held.year,
        cluster=cluster.code,
        until=until.isoformat(),
        links=prolonged,
    )
    return extension


def messages_of(round_: Round) -> dict[int, list[dict]]:
    """Messages by cluster, newest first: kind, day, to how many, how many of them are sent. One query."""
    rows = Invitation.objects.filter(round=round_).order_by("-on", "kind")
    counted = rows.values("cluster_id", "kind", "on").annotate(n=Count("pk"), sent=Count("sent_at"))
    found: dict[int, list[dict]] = {}
    for row in counted:
        found.setdefault(row["cluster_id"], []).append({**row, "words": Kind(row["kind"]).label})
    return found


def unreached(round_: Round, collecting: dict) -> set[int]:
    """Clusters of which nobody who collects has an address: no message will ever reach them. One query."""
    people = people_of(organisation.pk for organisation in collecting.values())
    return {cluster for cluster, organisation in collecting.items() if organisation.pk not in people}

"""The release calendar, and who may see an approved edition before the others."""

import datetime as dt

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from cci.models import Edition, PreRelease, Release
from core.audit.models import record
from core.base import Conflict, DomainError
from facts.models import Round

from .words import reason_given

# UK Statistics Authority, Code of Practice for Statistics (2.0), T3: provisional dates twelve months ahead where that
# can be, the exact date at least four weeks ahead, and the same time of a working day for everybody, 9.30.
NOTICE = dt.timedelta(weeks=4)
RELEASE_TIME = dt.time(9, 30)


def when(moment: dt.datetime) -> str:
    """An instant as readers read it."""
    return f"{timezone.localtime(moment):%-d %B %Y, %H:%M} UTC"


def planned_words(release: Release) -> str:
    """When an entry of the calendar is planned: exact, or the month."""
    return when(release.planned_at) if release.is_exact else f"{timezone.localtime(release.planned_at):%B %Y}"


def short_notice(planned_at: dt.datetime, now: dt.datetime | None = None) -> str:
    """A warning where an exact time is told later than four weeks ahead; empty where there is time enough."""
    ahead = planned_at - (now or timezone.now())
    if ahead >= NOTICE:
        return ""
    days = max(0, ahead.days)
    ahead_words = f"{days} day{'' if days == 1 else 's'} ahead"
    return f"That is {ahead_words}. Readers should know the hour of a release four weeks before."


# --- The calendar -------------------------------------------------------------------------


def next_entry(round_: Round) -> Release | None:
    """The round's entry that stands open: not cancelled, and nothing came out for it yet."""
    waiting = Release.objects.filter(round=round_, cancelled_at=None, edition=None)
    return waiting.order_by("planned_at", "pk").first()


@transaction.atomic
def announce(round_: Round, *, title: str, planned_at: dt.datetime, is_exact: bool = False, by) -> Release:
    """Enter a release into the public calendar."""
    if not title.strip():
        raise DomainError("Give the release a title, as readers will see it.")
    _refuse_past(planned_at)
    there = next_entry(round_)
    if there:
        raise DomainError(f"“{there}” is announced for {planned_words(there)} already. Move it, or cancel it first.")
    _refuse_approved(round_.pk)
    release = Release(round=round_, title=title.strip(), planned_at=planned_at, is_exact=is_exact, announced_by=by)
    try:
        release.clean_fields(exclude=["edition"])
    except ValidationError as exc:
        raise DomainError(" ".join(exc.messages)) from None
    release.save()
    record("release.announce", release, by=by, title=release.title, planned_at=planned_at.isoformat(), exact=is_exact)
    return release


@transaction.atomic
def fix_hour(release: Release, *, planned_at: dt.datetime, by) -> None:
    """Say the exact day and hour of a release whose month stands in the calendar."""
    release = _open_entry(release)
    if release.is_exact:
        raise DomainError(f"The hour is fixed already: {when(release.planned_at)}. Move it, with a reason.")
    _refuse_past(planned_at)
    if _month(planned_at) != _month(release.planned_at):
        raise DomainError(f"Readers were told {planned_words(release)}. Another month is a move, and needs a reason.")
    _changed(release, "release.fix", by=by, planned_at=planned_at, is_exact=True)


@transaction.atomic
def move(release: Release, *, planned_at: dt.datetime, reason: str, is_exact: bool = True, by) -> None:
    """Move a release; readers see where it stood and why it moved."""
    reason = reason_given(reason, "Say for readers why the release is moved")
    release = _open_entry(release)
    _refuse_past(planned_at)
    if planned_at == release.planned_at and is_exact == release.is_exact:
        raise DomainError("That is the time in the calendar already.")
    _refuse_approved(release.round_id)
    changes = {"planned_at": planned_at, "is_exact": is_exact, "moved_reason": reason}
    _changed(release, "release.move", by=by, moved_from=release.planned_at, **changes)


@transaction.atomic
def cancel(release: Release, *, reason: str, by) -> None:
    """Cancel a release; it stays in the calendar, with the reason."""
    reason = reason_given(reason, "Say for readers why the release is cancelled")
    release = _open_entry(release)
    _refuse_approved(release.round_id)
    _changed(release, "release.cancel", by=by, cancelled_at=timezone.now(), cancelled_reason=reason)


def refuse_unannounced(round_: Round, release_at: dt.datetime | None) -> None:
    """Keep to the calendar: what it announces is neither brought forward nor put off without a word to readers."""
    entry = next_entry(round_)
    if entry is None:
        return
    told, now = entry.planned_at, timezone.now()
    if entry.is_exact:
        is_kept = release_at == told or (release_at is None and told <= now)
    else:
        is_kept = _month(release_at or now) >= _month(told)
    if not is_kept:
        raise DomainError(
            f"The release calendar announces “{entry}” for {planned_words(entry)}. "
            "Approve the edition for that time, or move the entry first, with a reason."
        )


def came_out(edition: Edition) -> None:
    """Tie a published edition to the entry that announced it; runs inside its publication."""
    entry = next_entry(edition.round)
    if entry:
        Release.objects.filter(pk=entry.pk).update(edition=edition)
        record("release.out", entry, by=None, label=edition.label)


def _month(moment: dt.datetime) -> tuple[int, int]:
    local = timezone.localtime(moment)
    return local.year, local.month


def _refuse_past(planned_at: dt.datetime) -> None:
    if planned_at <= timezone.now():
        raise DomainError(f"{when(planned_at)} is past. The calendar tells what is to come.")


def _refuse_approved(round_id: int) -> None:
    """What is approved comes out at its hour: the calendar does not say otherwise meanwhile."""
    waiting = Edition.objects.filter(round=round_id, state=Edition.State.SCHEDULED).first()
    if waiting:
        raise DomainError(
            f"{waiting} is approved for {when(waiting.release_at)}. "
            "Withdraw that approval first, then change the calendar."
        )


def _open_entry(release: Release) -> Release:
    found = Release.objects.select_for_update().get(pk=release.pk)
    if found.cancelled_at:
        raise DomainError(f"“{found}” is cancelled. Announce a new release instead.")
    if found.edition_id:
        raise DomainError(f"“{found}” has come out. The calendar keeps it as it was.")
    return found


def _changed(release: Release, action: str, *, by, **changes) -> None:
    Release.objects.filter(pk=release.pk).update(**changes)
    told = {name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in changes.items()}
    record(action, release, by=by, **told)


# --- Before the others --------------------------------------------------------------------


@transaction.atomic
def grant_pre_release(edition: Edition, username: str, *, office: str, reason: str, by) -> PreRelease:
    """Let a named person see an approved edition before its release. The list comes out with the edition."""
    reason = reason_given(reason, "Say for readers why this person sees it before the others")
    if not office.strip():
        raise DomainError("Name the post and the organisation, as readers will see them.")
    edition = _under_embargo(edition)
    user = get_user_model().objects.filter(username=username.strip(), is_active=True).first()
    if user is None:
        raise DomainError(f"Nobody signs in here as “{username.strip()}”. Ask for the name of their account.")
    if user.pk == by.pk:
        raise DomainError("You see it already, as who publishes it. Name the person who is to see it.")
    found, made = PreRelease.objects.get_or_create(
        edition=edition, user=user, defaults={"office": office.strip(), "reason": reason, "granted_by": by}
    )
    if not made:
        if found.withdrawn_at is None:
            raise DomainError(f"{user} is on the list already, as {found.office}.")
        changes = {"office": office.strip(), "reason": reason, "granted_by": by, "withdrawn_at": None}
        PreRelease.objects.filter(pk=found.pk).update(granted_at=timezone.now(), **changes)
        found.refresh_from_db()
    record("pre_release.grant", found, by=by, label=edition.label, user=user.pk, office=found.office)
    return found


@transaction.atomic
def withdraw_pre_release(access: PreRelease, *, by) -> None:
    """Take a person off the list before the release. Who has opened the edition stays on record."""
    if not PreRelease.objects.filter(pk=access.pk, withdrawn_at=None).update(withdrawn_at=timezone.now()):
        raise Conflict("This access is withdrawn already.")
    record("pre_release.withdraw", access, by=by, label=access.edition.label, user=access.user_id)


@transaction.atomic
def opened(access: PreRelease) -> None:
    """Keep the first time that a person on the list opened the edition."""
    if PreRelease.objects.filter(pk=access.pk, first_opened_at=None).update(first_opened_at=timezone.now()):
        record("pre_release.open", access, by=access.user, label=access.edition.label, digest=access.edition.digest)


def _under_embargo(edition: Edition) -> Edition:
    found = Edition.objects.select_for_update().get(pk=edition.pk)
    if found.state != Edition.State.SCHEDULED:
        raise DomainError(
            f"{found} is {found.get_state_display().lower()}. "
            "A list of who sees it before the others belongs to an approved edition that waits for its release."
        )
    return found

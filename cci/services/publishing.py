"""Proposed by one person, published by another: at once, or at a set time and under embargo until then."""

import datetime as dt
import logging

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from cci.models import Edition
from core.audit.models import record
from core.base import Conflict, DomainError
from facts.models import Round

from .releases import came_out, refuse_unannounced, when
from .words import reason_given

logger = logging.getLogger(__name__)


def _moved(edition: Edition, was: str, **changes) -> None:
    if not Edition.objects.filter(pk=edition.pk, state=was, digest=edition.digest).update(**changes):
        raise Conflict("Somebody else decided on this edition in the meantime. Look at it again.")
    for name, value in changes.items():
        setattr(edition, name, value)


def revised(edition: Edition) -> Edition | None:
    """The public edition of the same round that this one replaces, or None where it is the round's first."""
    if not edition.is_official:
        return None
    earlier = Edition.objects.public().filter(round_id=edition.round_id, revision__lt=edition.revision)
    return earlier.select_related("round", "methodology").order_by("-revision").first()


@transaction.atomic
def propose(edition: Edition, *, by, digest: str, kind: str = "", note: str = "") -> None:
    """Put a computed edition forward for publication, by its digest.

    kind, note : of a revision, what was revised (`Edition.Revision`) and why, for readers; a first edition has none.
    """
    if edition.is_provisional:
        raise DomainError("The round is still open. Close it, then compute the edition to publish.")
    if edition.is_trial:
        raise DomainError(
            "A trial shows what another methodology makes of a round, and is never published. "
            "Adopt the methodology, then compute a new revision."
        )
    Round.objects.select_for_update().get(pk=edition.round_id)
    if edition.state != Edition.State.CANDIDATE or digest != edition.digest:
        raise Conflict("This is not the edition as computed last. Look at it again before you propose it.")
    if not edition.methodology.is_adopted:
        raise DomainError(
            f"Methodology {edition.methodology.version} is {edition.methodology.get_state_display().lower()}, "
            "not adopted yet. Have it checked and adopted first, under Methodologies."
        )
    same = Edition.objects.filter(state=Edition.State.PUBLISHED, digest=digest).first()
    if same:
        raise DomainError(f"These are the very figures of {same}, which is published. There is nothing new to publish.")
    kind, note = _revision(edition, revised(edition), kind, note)
    _moved(
        edition,
        "candidate",
        state=Edition.State.PROPOSED,
        proposed_by=by,
        proposed_at=timezone.now(),
        revision_kind=kind,
        revision_note=note,
    )
    record("edition.propose", edition, by=by, label=edition.label, digest=digest, revision_kind=kind)


def _revision(edition: Edition, before: Edition | None, kind: str, note: str) -> tuple[str, str]:
    """The kind and the note of a revision, refused where the editions themselves say otherwise."""
    if before is None:
        return "", ""
    kinds = [choice.value for choice in Edition.Revision if choice.value]
    if kind not in kinds:
        raise DomainError(f"This edition replaces {before}. Say what kind of revision it is: data, method or error.")
    has_other_method = edition.methodology_id != before.methodology_id
    if has_other_method and kind != Edition.Revision.METHOD:
        raise DomainError(
            f"It is made by methodology {edition.methodology.version}, {before} by {before.methodology.version}: "
            "readers must be told. Choose “Another methodology”; the note may say what else changed."
        )
    if not has_other_method and kind == Edition.Revision.METHOD:
        raise DomainError(
            f"It is made by the same methodology as {before}, {before.methodology.version}. "
            "Choose late or corrected returns, or an error of ours."
        )
    has_same_returns = edition.snapshot_id is not None and edition.snapshot_id == before.snapshot_id
    if kind == Edition.Revision.DATA and has_same_returns:
        raise DomainError(f"It rests on the same returns as {before}. What changed is ours: choose an error of ours.")
    return kind, reason_given(note, "Say for readers what was revised and why")


@transaction.atomic
def decline(edition: Edition, *, by, digest: str, reason: str) -> None:
    """Take a proposal back to the computed state, with the reason; the proposer or a colleague may."""
    reason = reason_given(reason, "Say why the proposal is taken back")
    if edition.state != Edition.State.PROPOSED or digest != edition.digest:
        raise Conflict("This is not the edition as proposed. Look at it again.")
    _moved(edition, "proposed", state=Edition.State.CANDIDATE, proposed_by=None, proposed_at=None)
    record("edition.decline", edition, by=by, label=edition.label, digest=digest, reason=reason[:300])


@transaction.atomic
def publish(edition: Edition, *, by, digest: str, release_at: dt.datetime | None = None) -> None:
    """Approve a proposed edition: published at once, or scheduled and under embargo until `release_at`.

    Needs a second person. Publishing supersedes the edition before it, in the same step.
    """
    if edition.state != Edition.State.PROPOSED or digest != edition.digest:
        raise Conflict("This is not the edition as proposed. Look at it again before you publish it.")
    if edition.proposed_by_id == by.pk:
        raise DomainError("Who proposes an edition does not publish it. Ask a colleague.")
    if release_at is not None and release_at <= timezone.now():
        raise DomainError(f"{when(release_at)} is past. Give a later time, or none to publish at once.")
    Round.objects.select_for_update().get(pk=edition.round_id)
    _refuse_newer(edition)
    waiting = Edition.objects.filter(round_id=edition.round_id, state=Edition.State.SCHEDULED).first()
    if waiting:
        raise DomainError(
            f"{waiting} is approved and waits for {when(waiting.release_at)}. Withdraw that approval first."
        )
    refuse_unannounced(edition.round, release_at)
    if release_at is not None:
        _moved(edition, "proposed", state=Edition.State.SCHEDULED, published_by=by, release_at=release_at)
        record(
            *("edition.approve", edition),
            **{"by": by, "label": edition.label, "digest": digest, "release_at": release_at.isoformat()},
        )
        return
    _come_out(edition, "proposed", by=by, published_by=by)


def _refuse_newer(edition: Edition) -> None:
    newer = Edition.objects.filter(
        round_id=edition.round_id, state=Edition.State.PUBLISHED, revision__gt=edition.revision
    ).first()
    if newer:
        raise DomainError(f"{newer} is published already and is newer than this one.")


def _come_out(edition: Edition, was: str, *, by, **changes) -> None:
    """Supersede the edition before and publish this one; the caller holds the round's lock."""
    for earlier in Edition.objects.filter(round_id=edition.round_id, state=Edition.State.PUBLISHED):
        _moved(earlier, "published", state=Edition.State.SUPERSEDED)
        record("edition.superseded", earlier, by=by, label=earlier.label)
    _moved(edition, was, state=Edition.State.PUBLISHED, published_at=timezone.now(), **changes)
    record("edition.publish", edition, by=by, label=edition.label, digest=edition.digest)
    came_out(edition)


@transaction.atomic
def withdraw_approval(edition: Edition, *, by, digest: str, reason: str) -> None:
    """Take an approved edition back to the computed state before its release, with the reason."""
    reason = reason_given(reason, "Say why the approval is withdrawn")
    if edition.state != Edition.State.SCHEDULED or digest != edition.digest:
        raise Conflict("This edition does not wait for a release. Look at it again.")
    nobody = {"proposed_by": None, "proposed_at": None, "published_by": None, "release_at": None}
    _moved(edition, "scheduled", state=Edition.State.CANDIDATE, **nobody)
    # Who was let in was let in to these figures: the next ones need a new grant.
    edition.pre_releases.filter(withdrawn_at=None).update(withdrawn_at=timezone.now())
    record("edition.withdraw_approval", edition, by=by, label=edition.label, digest=digest, reason=reason[:300])


def release_due() -> int:
    """Publish every approved edition whose time has come, each in a transaction of its own. Returns how many.

    Safe to call at any time and from several processes at once. One that cannot come out does not hold up the others.
    """
    # The database's clock decides: every process asks the same one.
    due = Edition.objects.filter(state=Edition.State.SCHEDULED, release_at__lte=Now())
    n = 0
    for pk, label in list(due.order_by("release_at", "pk").values_list("pk", "label")):
        try:
            n += _release(pk)
        except Exception as exc:
            logger.error("edition %s was not released: %s", label, type(exc).__name__)
    return n


@transaction.atomic
def _release(pk: int) -> bool:
    edition = Edition.objects.select_related("round").get(pk=pk)
    Round.objects.select_for_update().get(pk=edition.round_id)
    # What is true is read under the lock: another process may have been here, or the approval be withdrawn.
    due = Edition.objects.filter(pk=pk, state=Edition.State.SCHEDULED, release_at__lte=Now()).first()
    if due is None:
        return False
    _refuse_newer(due)
    _come_out(due, "scheduled", by=None)
    return True

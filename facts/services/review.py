"""Review: taken up, accepted or sent back, by somebody who did not type it in."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core.audit.models import record, record_many
from core.base import Conflict, DomainError
from facts.models import Flag, Return
from facts.vault import store

from .bulk import chunks, locked_states
from .deadlines import require_round_open
from .findings import EXPLANATION_MIN, schedule_of


def _may_decide(ret: Return, by) -> None:
    if ret.state not in (Return.State.SUBMITTED, Return.State.IN_REVIEW):
        raise DomainError(f"This return is {ret.get_state_display().lower()}; there is nothing to decide.")
    if by.pk == ret.submitted_by_id or by.pk in ret.typed_by:
        raise DomainError("Who typed in a return or submitted it does not decide on it. Ask a colleague.")


@transaction.atomic
def start_review(ret: Return, *, by) -> None:
    """Take a submitted return into review."""
    require_round_open(ret.round_id)
    _may_decide(ret, by)
    if ret.state == Return.State.SUBMITTED:
        _step(ret, Return.State.IN_REVIEW, by)


def _step(ret: Return, state: str, by, *, decided: bool = False, **detail) -> None:
    """Move one return on, only from the state and version that were seen."""
    changes = {"state": state}
    if decided:
        changes |= {"decided_at": timezone.now(), "decided_by": by}
    moved = Return.objects.filter(pk=ret.pk, state=ret.state, version=ret.version).update(**changes)
    if not moved:
        raise Conflict("Somebody else decided on this return in the meantime.")
    was, ret.state = ret.state, state
    record(f"return.{state}", ret, by=by, was=was, version=ret.version, **detail)


@transaction.atomic
def accept(returns: Iterable[Return], *, by, override_reason: str = "") -> None:
    """Accept returns; all of them or none.

    A return whose core questions are answered "don't know" or "refused" needs a reason in words.
    """
    returns = list(returns)
    for round_id in sorted({ret.round_id for ret in returns}):
        require_round_open(round_id)
    now_there = locked_states(ret.pk for ret in returns)
    for ret in returns:
        _may_decide(ret, by)
        if now_there.get(ret.pk, (0, 0, ""))[1] != ret.version:
            raise Conflict("A newer version was handed in meanwhile. Look at it before you decide.")
    opened = store.open_answers((ret.pk, ret.version) for ret in returns)
    overridden = []
    for ret in returns:
        core = schedule_of(ret).core
        if any(code in core for code in opened[ret.pk]["markers"]):
            overridden.append(ret.pk)
    if overridden and len(override_reason.strip()) < EXPLANATION_MIN:
        raise DomainError(
            "Core questions are answered “don't know” or “refused”. To accept all the same, write why "
            f"(at least {EXPLANATION_MIN} characters)."
        )
    store.put_notes([(ret.pk, ret.version) for ret in returns if ret.pk in overridden], override_reason.strip(), by=by)
    now = timezone.now()
    moved = 0
    for part in chunks(ret.pk for ret in returns):
        moved += (
            Return.objects.waiting_for_review()
            .filter(pk__in=part)
            .update(state=Return.State.ACCEPTED, decided_at=now, decided_by=by)
        )
        Flag.objects.filter(ret__in=part, version=F("ret__version"), resolution=Flag.Resolution.EXPLAINED).update(
            resolution=Flag.Resolution.ACCEPTED
        )
    if moved != len(returns):
        raise Conflict("Somebody else decided on one of these returns in the meantime.")
    record_many(
        [
            (
                "return.accepted",
                ret,
                {"was": ret.state, "version": ret.version, "core_override": ret.pk in overridden},
            )
            for ret in returns
        ],
        by=by,
    )
    for ret in returns:
        ret.state = Return.State.ACCEPTED


@transaction.atomic
def send_back(ret: Return, *, by, reason: str) -> None:
    """Give a return back as a draft, with the reason; the submitted version stays as it was."""
    if len(reason.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Say what is to be mended (at least {EXPLANATION_MIN} characters).")
    require_round_open(ret.round_id)
    _may_decide(ret, by)
    store.put_notes([(ret.pk, ret.version)], reason.strip()[:2000], by=by)
    _step(ret, Return.State.SENT_BACK, by, decided=True)

"""Rounds: opened and closed."""

from django.db import transaction

from core.audit.models import record
from core.base import DomainError
from facts.models import Return, Round


@transaction.atomic
def close_round(round_: Round, *, by) -> int:
    """Close a round: accepted returns are locked, drafts stay as they are. Returns how many were locked."""
    if not Round.objects.filter(pk=round_.pk, state=Round.State.OPEN).update(state=Round.State.CLOSED):
        raise DomainError(
            f"Round {round_.year} is {round_.get_state_display().lower()}; only an open round can be closed."
        )
    round_.state = Round.State.CLOSED
    locked = Return.objects.filter(round=round_, state=Return.State.ACCEPTED).update(state=Return.State.LOCKED)
    record("round.close", round_, by=by, year=round_.year, locked=locked)
    return locked

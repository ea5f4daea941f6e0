"""Until when a return can be changed, and in which words a locked one says why."""

from collections.abc import Iterable

from core.base import DomainError
from facts.models import Return, Round


def lock_reason(ret: Return) -> str:
    """Say why a return cannot be changed now; empty where it can."""
    if not ret.is_editable:
        return f"This return is {ret.get_state_display().lower()}; it can no longer be changed here."
    if ret.round.state != Round.State.OPEN:
        return _closed(ret.round)
    return ""


def require_open(returns: Iterable[Return]) -> None:
    """Hold the rounds of returns until the transaction ends, so that none is closed meanwhile; refuse closed ones."""
    for pk in sorted({ret.round_id for ret in returns}):
        require_round_open(pk)


def require_round_open(round_id: int) -> None:
    """Hold one round until the transaction ends; refuse a closed one. Review goes on until the round is closed."""
    round_ = Round.objects.select_for_update().get(pk=round_id)
    if round_.state != Round.State.OPEN:
        raise DomainError(_closed(round_))


def _closed(round_: Round) -> str:
    return f"Round {round_.year} is {round_.get_state_display().lower()}. Only an open round takes returns."

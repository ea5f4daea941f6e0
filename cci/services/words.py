"""What every act that needs a reason asks of it."""

from core.base import DomainError

LEAST = 10  # characters: enough for a reason, too many for a full stop


def reason_given(text: str | None, ask: str) -> str:
    """The reason without spaces around it, or a refusal that asks for it."""
    text = (text or "").strip()
    if len(text) < LEAST:
        raise DomainError(f"{ask} (at least {LEAST} characters).")
    return text

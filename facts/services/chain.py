"""The chain of a return's versions: what was handed in when, by whom, why again, and which one counts."""

from core.audit.models import Event
from facts.models import Return
from facts.vault.models import SealedAnswers

from .reading import offices

WHY = {"return.sent_back": "sent back", "return.reopened": "opened again", "return.withdraw": "withdrawn"}
ACTIONS = ("return.submit", *WHY)


def chain_of(ret: Return) -> list[dict]:
    """Every submitted version, oldest first, as plain data for page and API.

    number, digest, submitted_at (None where the audit chain does not tell), by_role (role and organisation, never a
    name), why ("" for the first version, else what opened the return again), supersedes, superseded_by (numbers or
    None), is_last. No answer and no reviewer's word is in it. Three queries.
    """
    if not ret.version:
        return []
    events = list(
        Event.objects.filter(object_type="facts.return", object_id=str(ret.pk), action__in=ACTIONS).order_by("seq")
    )
    handed = {event.detail.get("version"): event for event in events if event.action == "return.submit"}
    names = offices({event.actor_id for event in handed.values() if event.actor_id}, ret)
    why: dict[int, str] = {}
    for event in events:
        if event.action in WHY and event.detail.get("version"):
            why[event.detail["version"] + 1] = WHY[event.action]
    versions = list(
        SealedAnswers.objects.filter(ret=ret, number__gt=0).order_by("number").values_list("number", "digest")
    )
    numbers = [number for number, _ in versions]
    chain = []
    for at, (number, digest) in enumerate(versions):
        event = handed.get(number)
        chain.append(
            {
                "number": number,
                "digest": digest,
                "submitted_at": event.at if event else None,
                "by_role": names.get(event.actor_id, "") if event else "",
                "why": why.get(number, ""),
                "supersedes": numbers[at - 1] if at else None,
                "superseded_by": numbers[at + 1] if at + 1 < len(numbers) else None,
                "is_last": at + 1 == len(numbers),
            }
        )
    return chain

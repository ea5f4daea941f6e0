"""Profile facts: proposed by one person, decided on by another; conflicting facts stand side by side."""

from django.db import transaction
from django.utils import timezone

from core.audit.models import record
from core.base import Conflict, DomainError

from .models import Cluster, ProfileFact

NOTE_MAX = ProfileFact._meta.get_field("note").max_length


@transaction.atomic
def propose_fact(cluster: Cluster, *, by, **stated) -> ProfileFact:
    """Enter a fact that waits for a second person. The model judges what is stated (ValidationError)."""
    fact = ProfileFact(cluster=cluster, entered_by=by, state=ProfileFact.State.PROPOSED, **stated)
    fact.full_clean()
    fact.save()
    record("fact.propose", fact, by=by, cluster=cluster.code, section=fact.section)
    return fact


@transaction.atomic
def decide_fact(fact: ProfileFact, *, by, publish: bool, reason: str = "") -> ProfileFact:
    """Publish or decline a proposed fact. Who entered it does not decide on it."""
    if fact.entered_by_id == by.pk:
        raise DomainError("Who entered a fact does not publish it. Ask a colleague.")
    state = ProfileFact.State.PUBLISHED if publish else ProfileFact.State.DECLINED
    note = fact.note if publish or not reason.strip() else _with_reason(fact.note, reason)
    changes = {"state": state, "verified_by": by, "verified_at": timezone.now(), "note": note}
    decided = ProfileFact.objects.filter(pk=fact.pk, state=ProfileFact.State.PROPOSED).update(**changes)
    if not decided:
        raise Conflict("Somebody else decided on this fact in the meantime.")
    for name, value in changes.items():
        setattr(fact, name, value)
    record(f"fact.{'publish' if publish else 'decline'}", fact, by=by, cluster=fact.cluster.code, section=fact.section)
    return fact


@transaction.atomic
def withdraw_fact(fact: ProfileFact, *, by) -> ProfileFact:
    """Take a published fact back; it stays on record."""
    withdrawn = ProfileFact.objects.filter(pk=fact.pk, state=ProfileFact.State.PUBLISHED).update(
        state=ProfileFact.State.WITHDRAWN
    )
    if not withdrawn:
        raise Conflict("Only a published fact can be withdrawn, and this one is not published any more.")
    fact.state = ProfileFact.State.WITHDRAWN
    record("fact.withdraw", fact, by=by, cluster=fact.cluster.code, section=fact.section)
    return fact


def _with_reason(note: str, reason: str) -> str:
    words = f"Declined: {' '.join(reason.split())}"
    return (f"{note} · {words}" if note else words)[:NOTE_MAX]

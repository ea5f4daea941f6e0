"""The audit chain: who did what to which record, append-only, each event sealed to the one before it."""

import hashlib
import json
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone

from core.bulk import insert_many

CHAIN_LOCK = 0x0B5E  # any constant: names the chain in PostgreSQL's advisory locks
GENESIS = "0" * 64


class Event(models.Model):
    """One change or act. `detail` names fields, states, counts and digests; it never holds an answer."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=60)
    detail = models.JSONField(default=dict)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    class Meta:
        indexes = [models.Index(fields=["object_type", "object_id", "seq"], name="audit_event_of_object")]
        ordering = ["seq"]

    def content_digest(self) -> str:
        """SHA-256 over the event and the digest before it."""
        content = [
            self.seq,
            self.at.isoformat(),
            self.actor_id,
            self.action,
            self.object_type,
            self.object_id,
            self.detail,
            self.previous,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def record(action: str, obj: models.Model, *, by, **detail) -> None:
    """Append one event; belongs in the same transaction as the change it tells of."""
    record_many([(action, obj, detail)], by=by)


def record_many(entries, *, by) -> None:
    """Append events `(action, object, detail)` in the order given, in the caller's transaction."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An audit event needs the transaction of the change it records.")
    if not entries:
        return
    if connection.vendor == "postgresql":
        # SQLite needs no lock: its IMMEDIATE transactions already queue.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])
    seq, previous = head()
    at = timezone.now()
    events = []
    for action, obj, detail in entries:
        seq += 1
        event = Event(
            seq=seq,
            at=at,
            actor=by,
            action=action,
            object_type=obj._meta.label_lower,
            object_id=str(obj.pk),
            detail=detail,
            previous=previous,
        )
        previous = event.digest = event.content_digest()
        events.append(event)
    insert_many(events)


@dataclass(frozen=True)
class Break:
    """Where the chain does not hold, and what was found there, in a sentence."""

    seq: int
    why: str


def head() -> tuple[int, str]:
    """Number and digest of the last event: printed daily and kept outside, it proves everything before it."""
    return Event.objects.order_by("-seq").values_list("seq", "digest").first() or (0, GENESIS)


def verify(*, printed: tuple[int, str] | None = None) -> Break | None:
    """Read the whole chain, a part at a time, and return where it breaks first; None where it holds.

    printed : number and digest of a head that was kept outside. Without one, a chain that was made anew from some event
    on, or cut off at its end, cannot be told from a true one: its digests fit.
    """
    previous, expected = GENESIS, 1
    for event in Event.objects.order_by("seq").iterator(chunk_size=2000):
        if event.seq != expected:
            return Break(expected, f"the next row has number {event.seq}; rows were taken out, added or renumbered.")
        if event.previous != previous:
            return Break(expected, "it does not follow the event before it; that one was changed or replaced.")
        if event.digest != event.content_digest():
            return Break(expected, "its content does not fit its digest; a field was changed.")
        if printed and event.seq == printed[0] and event.digest != printed[1]:
            return Break(expected, "it is not the event whose digest was printed; the chain was made anew before it.")
        previous, expected = event.digest, expected + 1
    if printed and expected <= printed[0]:
        return Break(expected, f"event {printed[0]} was printed and is gone; the chain was cut off.")
    return None


def first_broken() -> int | None:
    """Return the sequence number of the first event that does not fit the chain, or None. Reads the whole chain."""
    found = verify()
    return found.seq if found else None

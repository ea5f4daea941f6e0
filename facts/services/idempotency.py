"""A request with a key is done once: the same key and body are given the first answer again, byte for byte.

The unique constraint decides, inside the transaction of the work itself: of equal requests at the same moment one
inserts the key and works, the others wait for its commit at that very row, and then find the answer. A process that
dies takes the key with it, so nothing stays locked.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from core.base import DomainError
from facts.models import IdempotencyKey
from facts.vault import store

KEPT_FOR = timedelta(days=7)
NOT_NOW = (401, 403, 408, 409, 412, 425, 428, 429)  # and all of 5xx: "not now", so the key stays free


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)
    replayed: bool = False


class OtherBody(DomainError):
    """The key was used with another body."""


class _NotKept(Exception):
    """Leaves the transaction: the answer is no result of the work."""


def once(client, route: str, key: str, body: object, work: Callable[[], Answer]) -> Answer:
    """Do the work unless this client did it under this key; return its answer, first or again.

    body : the parsed request; equal content is the same request, however it is laid out. Raises OtherBody where the
    key stands for another one. Answers that say "not now" are not kept.
    """
    digest = store.keyed_digest(store.canonical([route, body]))
    answer = None
    try:
        with transaction.atomic():
            try:
                with transaction.atomic():
                    row = IdempotencyKey.objects.create(client=client, route=route, key=key, request_digest=digest)
            except IntegrityError:
                return _again(client, route, key, digest)
            answer = work()
            if answer.status >= 500 or answer.status in NOT_NOW:
                raise _NotKept
            store.put_texts([(_place(row.pk), _packed(answer))])
            row.status = answer.status
            row.save(update_fields=["status"])
    except _NotKept:
        assert answer is not None
    return answer


def _again(client, route: str, key: str, digest: str) -> Answer:
    row = IdempotencyKey.objects.get(client=client, route=route, key=key)
    if row.request_digest != digest:
        raise OtherBody(
            "This Idempotency-Key was used with another body. Send the same body again, or give the new one a new key."
        )
    texts = store.texts_of([_place(row.pk)])[_place(row.pk)]
    return _unpacked(texts[-1]["text"])


def wipe_expired() -> int:
    """Take away keys and answers older than a week."""
    old = list(IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).values_list("pk", flat=True))
    for start in range(0, len(old), 500):
        part = old[start : start + 500]
        with transaction.atomic():
            store.drop_texts(_place(pk) for pk in part)
            IdempotencyKey.objects.filter(pk__in=part).delete()
    return len(old)


def _place(pk: int) -> str:
    return f"idempotency:{pk}"


def _packed(answer: Answer) -> str:
    content = base64.b64encode(answer.content).decode()
    return json.dumps({"status": answer.status, "content": content, "headers": answer.headers})


def _unpacked(text: str) -> Answer:
    found = json.loads(text)
    return Answer(found["status"], base64.b64decode(found["content"]), found["headers"], replayed=True)

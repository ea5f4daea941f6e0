"""Seal and open. Only the services, the intake and the snapshot call this (held by an import contract).

Every opening for a person is written to the audit chain with its purpose and count: by the service that shows what was
opened, and for all the rest when the request or job ends (`facts.services.opening`).
"""

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from dataclasses import field as each
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F, Q, QuerySet

from core.base import DomainError
from core.bulk import insert_many

from .models import SealedAnswers, SealedNote, SealedText, UnitIdentity

NONCE_BYTES = 12


@dataclass
class Opened:
    """What one request or one job opened: returns by kind of payload, and units whose identity was opened."""

    drafts: set[int] = each(default_factory=set)
    versions: set[int] = each(default_factory=set)
    units: set[int] = each(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.drafts or self.versions or self.units)


_noted: ContextVar[Opened | None] = ContextVar("opened", default=None)


@contextmanager
def openings_noted() -> Iterator[Opened]:
    """Note every opening until the block ends, however deep below it happens. A block inside another notes its own."""
    noted = Opened()
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


@cache
def _keys() -> dict[str, AESGCM]:
    keys = {}
    for part in settings.VAULT_KEYS.split(";"):
        key_id, _, text = part.strip().partition(":")
        try:
            raw = base64.urlsafe_b64decode(text)
        except ValueError:
            raw = b""
        if not key_id or len(raw) != 32:
            raise ImproperlyConfigured("VAULT_KEYS must be 'id:key' pairs, each key 32 bytes in URL-safe base64.")
        keys[key_id] = AESGCM(raw)
    return keys


def canonical(content: object) -> bytes:
    """The one byte form of a payload: sorted keys, no spaces, UTF-8."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def keyed_digest(content: bytes) -> str:
    """HMAC-SHA-256: a plain hash of a return would let a rival test guesses."""
    return hmac.new(settings.DIGEST_KEY.encode(), content, hashlib.sha256).hexdigest()


def keyed_digest_of(parts: Iterable[bytes]) -> str:
    """HMAC-SHA-256 over parts, each with its length, so that no two contents run together."""
    found = hmac.new(settings.DIGEST_KEY.encode(), digestmod=hashlib.sha256)
    for part in parts:
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()


def seal(content: bytes, bound_to: str) -> tuple[str, bytes]:
    """Encrypt with the first key; the result opens only under the same `bound_to`."""
    key_id = next(iter(_keys()))
    nonce = os.urandom(NONCE_BYTES)
    return key_id, nonce + _keys()[key_id].encrypt(nonce, content, bound_to.encode())


def unseal(key_id: str, sealed: bytes, bound_to: str) -> bytes:
    """Decrypt; a changed, moved or foreign payload is refused."""
    sealed = bytes(sealed)
    try:
        return _keys()[key_id].decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
    except KeyError:
        raise DomainError(f"The key {key_id} is not among VAULT_KEYS; the answers stay sealed.") from None
    except InvalidTag:
        raise DomainError("A sealed record does not fit its place: it was changed or moved.") from None


def sealed_answers(ret_id: int, number: int, payload: dict) -> SealedAnswers:
    """Return an unsaved row for one payload."""
    content = canonical(payload)
    key_id, sealed = seal(content, f"answers:{ret_id}:{number}")
    return SealedAnswers(ret_id=ret_id, number=number, key_id=key_id, payload=sealed, digest=keyed_digest(content))


def put_drafts(payloads: dict[int, dict], *, fresh: Collection[int] = ()) -> None:
    """Store working drafts by return id, over the earlier ones; `fresh` returns are known to have none."""
    rows = [sealed_answers(ret_id, 0, payload) for ret_id, payload in payloads.items()]
    insert_many([row for row in rows if row.ret_id in fresh])
    SealedAnswers.objects.bulk_create(
        [row for row in rows if row.ret_id not in fresh],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["ret", "number"],
        update_fields=["key_id", "payload", "digest"],
    )


def put_versions(payloads: dict[tuple[int, int], dict]) -> dict[int, str]:
    """Store submitted versions by (return id, number), once and for all. Returns their digests by return id."""
    rows = [sealed_answers(ret_id, number, payload) for (ret_id, number), payload in payloads.items()]
    insert_many(rows)
    return {row.ret_id: row.digest for row in rows}


def open_answers(keys: Iterable[tuple[int, int]]) -> dict[int, dict]:
    """Open payloads by (return id, number); absent ones are left out.

    Who opens for a person logs it with a purpose; what a request or job opened besides is logged when it ends.
    """
    numbers: dict[int, list[int]] = {}
    for ret_id, number in keys:
        numbers.setdefault(number, []).append(ret_id)
    opened = {}
    for number, ids in numbers.items():
        for start in range(0, len(ids), 900):  # below SQLite's limit of variables
            rows = SealedAnswers.objects.filter(Q(number=number), ret_id__in=ids[start : start + 900])
            for row in rows.iterator(chunk_size=900):
                content = unseal(row.key_id, row.payload, f"answers:{row.ret_id}:{row.number}")
                opened[row.ret_id] = json.loads(content)
                _note(row.ret_id, row.number)
    return opened


def _note(ret_id: int, number: int) -> None:
    if (noted := _noted.get()) is not None:
        (noted.versions if number else noted.drafts).add(ret_id)


def each_payload(returns: QuerySet, *fields: str) -> Iterator[tuple]:
    """Open the last submitted version of every return, one at a time, in the order of `returns`.

    Yields the payload, then the return's `fields`. Logged as `open_answers` is.
    """
    order = [f"-ret__{name[1:]}" if name.startswith("-") else f"ret__{name}" for name in returns.query.order_by]
    rows = SealedAnswers.objects.filter(ret__in=returns.order_by(), number=F("ret__version")).order_by(*order)
    heads = rows.values_list("ret_id", "number", "key_id", "payload", *[f"ret__{name}" for name in fields])
    for ret_id, number, key_id, payload, *rest in heads.iterator(chunk_size=2000):
        _note(ret_id, number)
        yield json.loads(unseal(key_id, payload, f"answers:{ret_id}:{number}")), *rest


def digest_of(ret_id: int, number: int) -> str:
    """Return the digest of one submitted version."""
    return SealedAnswers.objects.values_list("digest", flat=True).get(ret_id=ret_id, number=number)


def versions_of(ret_id: int) -> list[SealedAnswers]:
    """Return the sealed submitted versions of a return, oldest first."""
    return list(SealedAnswers.objects.filter(ret_id=ret_id, number__gt=0).order_by("number"))


def put_notes(places: list[tuple[int, int]], text: str, *, by) -> None:
    """Store a reviewer's words beside each (return id, version)."""
    rows = []
    for ret_id, version in places:
        key_id, sealed = seal(text.encode(), f"note:{ret_id}:{version}")
        rows.append(SealedNote(ret_id=ret_id, version=version, by=by, key_id=key_id, payload=sealed))
    SealedNote.objects.bulk_create(rows, batch_size=500)


def notes_of(ret_id: int) -> list[dict]:
    """Return reviewers' words on a return, oldest first."""
    rows = SealedNote.objects.filter(ret_id=ret_id).select_related("by")
    return [
        {
            "version": row.version,
            "by": row.by,
            "at": row.at,
            "text": unseal(row.key_id, row.payload, f"note:{ret_id}:{row.version}").decode(),
        }
        for row in rows
    ]


def put_texts(texts: Iterable[tuple[str, str]], *, by=None) -> None:
    """Store words or numbers by place (`query:12`); a place may hold several, in order."""
    rows = []
    for place, text in texts:
        key_id, sealed = seal(text.encode(), f"text:{place}")
        rows.append(SealedText(place=place, by=by, key_id=key_id, payload=sealed))
    SealedText.objects.bulk_create(rows, batch_size=500)


def texts_of(places: Iterable[str]) -> dict[str, list[dict]]:
    """Open the texts of each place, oldest first: by, at, text. A place without text is left out."""
    places = list(places)
    found: dict[str, list[dict]] = {}
    for start in range(0, len(places), 900):
        rows = SealedText.objects.filter(place__in=places[start : start + 900]).select_related("by")
        for row in rows:
            text = unseal(row.key_id, row.payload, f"text:{row.place}").decode()
            found.setdefault(row.place, []).append({"by": row.by, "at": row.at, "text": text})
    return found


def drop_texts(places: Iterable[str]) -> None:
    """Take out the texts of places whose record is gone."""
    places = list(places)
    for start in range(0, len(places), 900):
        SealedText.objects.filter(place__in=places[start : start + 900]).delete()


def put_identities(identities: dict[int, dict]) -> None:
    """Store unit identities by unit id: name, address, telephone, registration_number."""
    rows = []
    for unit_id, identity in identities.items():
        key_id, sealed = seal(canonical(identity), f"identity:{unit_id}")
        row = UnitIdentity(unit_id=unit_id, key_id=key_id, payload=sealed)
        for field, part in (
            ("registration_digest", "registration_number"),
            ("telephone_digest", "telephone"),
        ):
            if identity.get(part):
                setattr(row, field, keyed_digest(f"{part}:{identity[part]}".encode()))
        rows.append(row)
    UnitIdentity.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["unit"],
        update_fields=["key_id", "payload", "registration_digest", "telephone_digest"],
    )


def open_identities(unit_ids: list[int]) -> dict[int, dict]:
    """Open identities by unit id."""
    rows = UnitIdentity.objects.filter(unit_id__in=unit_ids)
    if (noted := _noted.get()) is not None:
        noted.units.update(unit_ids)
    return {row.unit_id: json.loads(unseal(row.key_id, row.payload, f"identity:{row.unit_id}")) for row in rows}

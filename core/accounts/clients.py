"""Keys of partner systems: 256 random bits, shown once, kept as a digest, for a year at most, ended at once."""

import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from core.audit.models import record
from core.base import DomainError

from .links import digest_of
from .models import ApiClient, User

SCOPES = {
    "read": "Read what is public",
    "returns:submit": "Send drafts of returns",
    "returns:status": "Read states and receipts of own returns",
    "interventions:write": "Enter interventions",
}
LONGEST_DAYS = 365
OVERLAP = timedelta(hours=24)  # how long a key lives on after it was replaced
NOTED_EVERY = timedelta(minutes=5)
MARK = "obs_"  # begins every key, so that a key that leaked is recognised as one


def _new_key() -> tuple[str, str]:
    """A key and its prefix."""
    prefix = MARK + secrets.token_hex(4)
    return f"{prefix}_{secrets.token_urlsafe(32)}", prefix


def check_terms(scopes: list[str], days: int) -> None:
    """Raise DomainError for scopes or a life that a key may not have."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise DomainError(f"Scopes {unknown or 'none'}: choose at least one of {', '.join(SCOPES)}.")
    if not 1 <= days <= LONGEST_DAYS:
        raise DomainError(f"A key lives {days} days; it may live 1 to {LONGEST_DAYS}.")


@transaction.atomic
def create_client(user: User, *, organisation_id: int, name: str, scopes: list[str], days: int, by) -> tuple:
    """Make a client around an account of its own. Returns it and its key, this once."""
    check_terms(scopes, days)
    key, prefix = _new_key()
    client = ApiClient.objects.create(
        user=user,
        organisation_id=organisation_id,
        name=name,
        scopes=sorted(set(scopes)),
        prefix=prefix,
        digest=digest_of(key),
        made_by=by,
        expires_at=timezone.now() + timedelta(days=days),
    )
    record("api_client.create", client, by=by, scopes=client.scopes, days=days)
    return client, key


@transaction.atomic
def rotate(client: ApiClient, *, by) -> str:
    """Replace the key; the old one works for 24 hours more, one older than that no longer. Returns the new one."""
    held = ApiClient.objects.select_for_update().get(pk=client.pk)
    if held.revoked_at is not None:
        raise DomainError(f"{held.name} was ended. Make a new client.")
    if held.expires_at <= timezone.now():
        raise DomainError(f"The key of {held.name} ran out. Make a new client.")
    held.old_prefix, held.old_digest, held.old_until = held.prefix, held.digest, timezone.now() + OVERLAP
    key, held.prefix = _new_key()
    held.digest = digest_of(key)
    held.save(update_fields=["prefix", "digest", "old_prefix", "old_digest", "old_until"])
    record("api_client.rotate", held, by=by)
    return key


@transaction.atomic
def revoke(client: ApiClient, *, by) -> None:
    """End a client at once, with both its keys."""
    if ApiClient.objects.filter(pk=client.pk, revoked_at=None).update(revoked_at=Now(), old_until=None):
        User.objects.filter(pk=client.user_id).update(is_active=False)
        record("api_client.revoke", client, by=by)


def find_client(key: str) -> ApiClient | None:
    """The client that a key opens now, by the database's clock; notes that it was used. One query, two at times."""
    prefix = "_".join(key.split("_")[:2])  # the rest may hold the sign as well
    found = (
        ApiClient.objects.select_related("user")
        .filter(Q(prefix=prefix) | Q(old_prefix=prefix, old_until__gt=Now()))
        .filter(revoked_at=None, expires_at__gt=Now(), user__is_active=True)
        .first()
    )
    if found is None:
        return None
    kept = found.digest if found.prefix == prefix else found.old_digest
    if not constant_time_compare(kept, digest_of(key)):
        return None
    now = timezone.now()
    if found.last_used_at is None or now - found.last_used_at > NOTED_EVERY:
        ApiClient.objects.filter(pk=found.pk).update(last_used_at=Now())
    return found

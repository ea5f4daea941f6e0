"""Finding somebody by what was typed, and giving a new password."""

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from core.audit.models import record
from core.base import DomainError
from core.jobs import ledger

from .links import digest_of
from .models import Reset, User

SHARED = "Demonstration accounts are everybody's: how they sign in stays as it is."


def find(name: str) -> User | None:
    """The account with this user name, or the only one with this e-mail address. Always one query."""
    found = list(User.objects.filter(Q(username=name) | Q(email__iexact=name) & ~Q(email=""))[:3])
    named = [user for user in found if user.username == name]
    if named:
        return named[0]
    return found[0] if len(found) == 1 else None


def is_shared(user) -> bool:
    """Whether an account belongs to every visitor of a demonstration stand: nobody changes how it signs in."""
    return settings.DEMO and user.username.startswith("demo-")


@transaction.atomic
def ask_reset(name: str) -> None:
    """Queue the message with the link for a new password. The same work whether or not there is such a person."""
    row = Reset.objects.create(asked_for=name[:254])
    ledger.enqueue("accounts.send_reset", key=str(row.pk), reset=row.pk)


def open_reset(token: str) -> Reset | None:
    """The wish behind a link, while the link lives by the database's clock."""
    return (
        Reset.objects.select_related("user")
        .filter(digest=digest_of(token), used_at=None, expires_at__gt=Now(), user__is_active=True)
        .first()
    )


@transaction.atomic
def use_reset(reset: Reset, password: str) -> User:
    """Give the new password, once; the person's sessions and other links for a new password end."""
    if not Reset.objects.filter(pk=reset.pk, used_at=None, expires_at__gt=Now()).update(used_at=Now()):
        raise DomainError("This link was used already, or is too old. Ask for a new one.")
    user = reset.user
    set_password(user, password, how="reset")
    return user


@transaction.atomic
def set_password(user: User, password: str, *, how: str) -> None:
    """Give a new password. Every session ends but the one that renews its hash; so does every link for a new one."""
    from .mail import tell

    if is_shared(user):
        raise DomainError(SHARED)
    user.set_password(password)
    user.save(update_fields=["password"])
    Reset.objects.filter(user=user, used_at=None).update(used_at=Now())
    record("account.password_set", user, by=user, how=how)
    tell(user, "The password")

"""Devices on which an account signed in before. A signed cookie says so; it opens nothing and spares a limit."""

from django.conf import settings
from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac

COOKIE = "device" if settings.DEMO else "__Host-device"
LONGEST = 180 * 24 * 3600  # seconds
ACCOUNTS_MAX = 5  # people who share a device
SALT = "accounts.device"


def _mark(user) -> str:
    # Over the password's hash: a new password makes every device a strange one again.
    return salted_hmac(SALT, f"{user.pk}:{user.password}", algorithm="sha256").hexdigest()[:32]


def _marks(request) -> list[str]:
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=LONGEST)
    except signing.BadSignature:
        return []
    return found if isinstance(found, list) else []


def is_known(request, user) -> bool:
    """Whether this account signed in on this device before. No query."""
    if user is None:
        return False
    own = _mark(user)
    return any(constant_time_compare(own, mark) for mark in _marks(request))


def remember(request, response, user) -> None:
    """Tell the device that this account signed in on it."""
    own = _mark(user)
    marks = [own, *(mark for mark in _marks(request) if mark != own)][:ACCOUNTS_MAX]
    response.set_cookie(
        COOKIE,
        signing.dumps(marks, salt=SALT),
        max_age=LONGEST,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )

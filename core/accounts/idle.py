"""How long a sign-in lasts: 12 hours at most, and until nothing was done for a while.

The while depends on the role: half an hour for those who see or decide much, three hours for those who fill in forms.
The session notes at sign-in how long that is. It is written again at most every five minutes, not with every request.
"""

import time

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.utils.module_loading import import_string

from core.policy import Role

LONGEST = 12 * 3600  # seconds
IDLE = 3 * 3600
IDLE_STRICT = 30 * 60
STRICT = frozenset({Role.ANALYST, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN})
NOTED_EVERY = 5 * 60


@receiver(user_logged_in)
def note_sign_in(sender, request, user, **kwargs) -> None:
    """Start the clocks of a session."""
    if request is None:
        return
    roles = {grant.role for grant in import_string(settings.POLICY_GRANTS)(user)}
    now = int(time.time())
    request.session["idle"] = {"began": now, "seen": now, "most": IDLE_STRICT if roles & STRICT else IDLE}


def seconds_left(request) -> int:
    """Seconds until this session ends if nothing more is done; 0 where it is over, LONGEST where no clock runs."""
    clock = request.session.get("idle") if hasattr(request, "session") else None
    if clock is None:
        return LONGEST
    now = time.time()
    return max(0, int(min(clock["began"] + LONGEST, clock["seen"] + clock["most"]) - now))


def idle_sign_out(get_response):
    """Middleware after authentication: end a session that is over, note that one is in use."""

    def middleware(request):
        # Without a cookie the session is left alone, so that public answers stay the same for everybody.
        clock = request.session.get("idle") if settings.SESSION_COOKIE_NAME in request.COOKIES else None
        if clock is not None:
            if seconds_left(request) == 0:
                logout(request)
            elif time.time() - clock["seen"] > NOTED_EVERY:
                request.session["idle"] = {**clock, "seen": int(time.time())}
        return get_response(request)

    return middleware

"""Ending sessions, and how sure we are that the person is still there."""

import time
from urllib.parse import urlencode

from django.contrib.auth.signals import user_logged_in
from django.db.models import F
from django.dispatch import receiver
from django.shortcuts import redirect
from django.urls import reverse

from core import policy

from .models import User

RECENT = 15 * 60  # seconds that a password counts for acts of weight


def end_sessions(user) -> None:
    """End every session of somebody, wherever it runs, with its next request."""
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)


@receiver(user_logged_in)
def note_password(sender, request, user, **kwargs) -> None:
    if request is not None:
        request.session["sure_at"] = int(time.time())


def make_sure(request) -> None:
    """Note that the password was given once more."""
    request.session["sure_at"] = request.session["confirmed_at"] = int(time.time())


def is_sure(request) -> bool:
    """Whether the password was given in this session in the last 15 minutes.

    A personal link has no password: its session is for one return, lasts three hours, and certifying judges its age
    by itself. Requests of an API key have no session and are judged by their scopes.
    """
    return time.time() - request.session.get("sure_at", 0) <= RECENT


def ask_again(request):
    """Lead to the page that asks for the password. A form sent too late is not acted on; its page opens again after."""
    return redirect(reverse("accounts:again") + "?" + urlencode({"next": request.get_full_path()}))


class Reauthenticated:
    """Mixin of views whose acts carry weight: asks for the password again where it was given long ago.

    It stands left of `PolicyMixin`: a stranger still meets the sign-in page, and who may not do it is told so.
    """

    def dispatch(self, request, *args, **kwargs):
        may = request.user.is_authenticated and policy.allowed(request.user, self.current_action)
        if may and not is_sure(request):
            return ask_again(request)
        return super().dispatch(request, *args, **kwargs)

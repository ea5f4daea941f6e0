"""Messages of accounts, each sent by a job: whoever asks waits the same time whether or not there is such a person."""

from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse

from core.base import DomainError
from core.jobs import ledger

from .links import digest_of, new_token
from .models import Invitation, Reset, User
from .people import find

RESET_HOURS, INVITATION_DAYS = 1, 7
SAME_WISH = timedelta(minutes=5)  # a second wish within it is answered by the first message


def _in(delta: timedelta):
    return ExpressionWrapper(Now() + delta, output_field=DateTimeField())


def _compose(template: str, **context) -> tuple[str, str]:
    text = render_to_string(f"accounts/mail_{template}.txt", context | {"contact": settings.CONTACT_EMAIL})
    subject, _, body = text.strip().partition("\n")
    return subject.strip(), body.strip() + "\n"


def _send(address: str, template: str, **context) -> None:
    if settings.EMAIL_BACKEND.endswith("dummy.EmailBackend"):
        raise DomainError("No mail server is set: give EMAIL_URL, then ask again.")
    send_mail(*_compose(template, **context), settings.DEFAULT_FROM_EMAIL, [address])


def send_reset(run: ledger.Run, *, reset: int) -> None:
    """Send the link for a new password, where there is somebody with an address to send it to."""
    row = Reset.objects.filter(pk=reset, used_at=None).first()
    if row is None:
        return
    user = find(row.asked_for)
    just_sent = Reset.objects.filter(user=user, used_at=None, asked_at__gt=row.asked_at - SAME_WISH).exclude(pk=row.pk)
    if user is None or not user.is_active or not user.email or not user.has_usable_password() or just_sent.exists():
        with run.finishing():
            row.delete()
        return
    token = new_token()
    run.progress("Sending", 0, 1)
    with run.fenced():  # before the message goes out: its link works as soon as it can be read
        Reset.objects.filter(pk=row.pk).update(
            user=user, digest=digest_of(token), expires_at=_in(timedelta(hours=RESET_HOURS))
        )
    link = settings.SITE_URL + reverse("accounts:reset-link", args=[token])
    _send(user.email, "reset", person=user, link=link, hours=RESET_HOURS)


def send_invitation(run: ledger.Run, *, invitation: int) -> None:
    """Send the link of an invitation. A worker that dies in between sends once more; the newest link counts."""
    row = Invitation.objects.select_related("organisation", "made_by").filter(pk=invitation).first()
    if row is None or row.state != Invitation.State.OPEN or row.sent_at is not None:
        return
    token = new_token()
    run.progress("Sending", 0, 1)
    with run.fenced():
        Invitation.objects.filter(pk=row.pk, state=Invitation.State.OPEN).update(
            digest=digest_of(token), expires_at=_in(timedelta(days=INVITATION_DAYS))
        )
    link = settings.SITE_URL + reverse("people:accept", args=[token])
    _send(row.email, "invited", invitation=row, link=link, days=INVITATION_DAYS)
    with run.finishing():
        Invitation.objects.filter(pk=row.pk).update(sent_at=Now())


def tell(user: User, what: str) -> None:
    """Say that an account was changed: `what` completes "… of your account". Nothing goes out without an address."""
    if user.email:
        ledger.enqueue("accounts.send_notice", key=f"{user.pk}:{what}", user=user.pk, what=what)


def send_notice(run: ledger.Run, *, user: int, what: str) -> None:
    person = User.objects.filter(pk=user, is_active=True).exclude(email="").first()
    if person is not None:
        _send(person.email, "notice", person=person, what=what, reset=settings.SITE_URL + reverse("accounts:reset"))

"""What is tidied away now and then."""

from datetime import timedelta

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from . import guesses
from .models import Reset


@shared_task
def tidy() -> None:
    """Drop sessions that are over, allowances that are whole, wishes for a password of yesterday."""
    call_command("clearsessions")
    guesses.forget_old()
    Reset.objects.filter(asked_at__lt=timezone.now() - timedelta(days=1)).delete()

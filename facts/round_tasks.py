"""Schedules of rounds."""

from celery import shared_task

from .services import invitations


@shared_task
def send_due_messages() -> None:
    """Every few hours: reminders and words of lateness that are due and were not sent yet."""
    invitations.send_due()

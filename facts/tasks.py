"""Schedules of the returns."""

from celery import shared_task

from .services import checking, idempotency, uploads


@shared_task
def check_open_rounds() -> None:
    """Every night: the checks X01–X30 of each open round."""
    checking.check_open_rounds()


@shared_task
def wipe_expired() -> None:
    """Every hour: files in quarantine and remembered requests that were kept long enough."""
    uploads.wipe_expired()
    idempotency.wipe_expired()

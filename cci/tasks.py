"""Schedules of the index."""

from celery import shared_task

from . import services


@shared_task
def recompute_open_rounds() -> None:
    """Every night: the provisional edition of each open round, for staff."""
    services.recompute_open_rounds()

"""Schedules of the index."""

import logging
import threading

from celery import shared_task
from celery.signals import worker_ready
from django.db import connection

from . import services

RELEASE_SECONDS = 60
logger = logging.getLogger(__name__)


@shared_task
def recompute_open_rounds() -> None:
    """Every night: the provisional edition of each open round, for staff."""
    services.recompute_open_rounds()


@shared_task(expires=RELEASE_SECONDS)
def release_due() -> None:
    """Every minute: approved editions whose release time has come."""
    services.release_due()


@worker_ready.connect
def release_beside_the_worker(**kwargs) -> None:
    """Each worker looks too, so that a dead beat holds back no release."""

    def loop() -> None:
        clock = threading.Event()
        while True:
            try:
                services.release_due()
            except Exception:
                logger.warning("the look for due releases failed", exc_info=True)
            finally:
                connection.close()
            clock.wait(RELEASE_SECONDS)

    threading.Thread(target=loop, daemon=True).start()

"""The door of background work: one id in, one call."""

import threading

from celery import shared_task
from celery.signals import worker_ready
from django.db import connection

from . import ledger

SWEEP_SECONDS = 10


@shared_task(time_limit=3600)
def run_job(job_id: int) -> None:
    """Work one job; a second delivery finds it taken."""
    ledger.run(job_id)


@shared_task(expires=30)
def sweep() -> None:
    """Send forgotten jobs again."""
    ledger.sweep()


@worker_ready.connect
def sweep_beside_the_worker(**kwargs) -> None:
    """Each worker sweeps too, so that a dead beat delays nothing for long."""

    def loop() -> None:
        clock = threading.Event()
        while True:
            try:
                ledger.sweep()
            except Exception:
                ledger.logger.warning("sweep failed", exc_info=True)
            finally:
                connection.close()
            clock.wait(SWEEP_SECONDS)

    threading.Thread(target=loop, daemon=True).start()

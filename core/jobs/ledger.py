"""Queue, claim, renew and finish jobs. Two workers, two deliveries, two clicks: one result.

A worker holds a job by a lease, renewed while it lives. It commits only through `Run.fenced()` or
`Run.finishing()`, which check in the same transaction that its attempt still holds the job.
"""

import contextlib
import logging
import threading
import time
import traceback
from contextlib import contextmanager
from datetime import timedelta
from typing import NoReturn

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from core.base import DomainError

from .models import Job

LEASE = timedelta(seconds=settings.JOB_LEASE_SECONDS)
HEARTBEAT_SECONDS = settings.JOB_LEASE_SECONDS / 4
WAKE_AGAIN = timedelta(seconds=30)
LONGEST_REST = timedelta(minutes=15)
MAX_ATTEMPTS = 5
STALLED_SECONDS = 540  # without a word of progress the heart stops beating and the lease runs out
logger = logging.getLogger(__name__)


_RESTED = Q(state=Job.State.QUEUED) & (Q(not_before=None) | Q(not_before__lte=Now()))


class LostLease(Exception):
    """Another worker has the job now, or it was cancelled; nothing of this attempt may be kept."""


def _from_now(delta: timedelta):
    return ExpressionWrapper(Now() + delta, output_field=DateTimeField())


def wake(job_id: int) -> None:
    """Send the message that wakes a worker. A broker that is away delays the job to the next sweep, no more."""
    from .tasks import run_job

    try:
        run_job.delay(job_id)
    except Exception as exc:  # any broker fault: the sweep sends it again
        logger.warning("job %s not announced: %s", job_id, type(exc).__name__)


def enqueue(kind: str, *, key: str, by=None, after: timedelta | None = None, **args) -> Job:
    """Queue a job, or return the open one of the same kind and key.

    after : let it rest that long first, so that many wishes in a row become one job. A further wish with `after` pushes
    a resting job on, but never beyond `LONGEST_REST` from the first; a wish without it ends the rest.
    """
    if kind not in settings.JOB_KINDS:
        raise ValueError(f"Unknown kind of job: {kind}")
    until = _from_now(after) if after else None
    try:
        with transaction.atomic():
            job = Job.objects.create(kind=kind, key=key, args=args, requested_by=by, not_before=until)
    except IntegrityError:
        job = Job.objects.filter(kind=kind, key=key, state__in=["queued", "running"]).first()
        if job is None:  # it finished between the two statements
            return enqueue(kind, key=key, by=by, after=after, **args)
        resting = Job.objects.filter(pk=job.pk, state=Job.State.QUEUED, not_before__isnull=False)
        if until is not None:
            resting = resting.filter(created_at__gt=Now() - LONGEST_REST)
        resting.update(not_before=until)
    if not after:
        transaction.on_commit(lambda: wake(job.pk))
    return job


def cancel(job: Job, *, by) -> bool:
    """Stop an open job: nothing of its work is kept. False where it ended before.

    A worker at it finds out at its next word of progress or before it commits, whichever is first.
    """
    stopped = Job.objects.filter(pk=job.pk, state__in=[Job.State.QUEUED, Job.State.RUNNING]).update(
        state=Job.State.CANCELLED, finished_at=Now(), lease_until=None, error=f"Cancelled by {by}."
    )
    return bool(stopped)


def claim(job_id: int) -> Job | None:
    """Take a job that is queued or whose worker died. One conditional update decides; the loser gets None."""
    free = _RESTED | Q(state=Job.State.RUNNING, lease_until__lt=Now())
    Job.objects.filter(free, pk=job_id, attempt__gte=MAX_ATTEMPTS).update(
        state=Job.State.DEAD, finished_at=Now(), error="Given up: the worker died every time."
    )
    taken = Job.objects.filter(free, pk=job_id).update(
        state=Job.State.RUNNING,
        attempt=F("attempt") + 1,
        lease_until=_from_now(LEASE),
        started_at=Now(),
        stage="",
        done=0,
        total=0,
    )
    return Job.objects.get(pk=job_id) if taken else None


class Run:
    """What a job's function holds while it works: progress, and the fence before every commit."""

    def __init__(self, job: Job):
        self.job = job
        self.pk, self.attempt = job.pk, job.attempt
        self.last_sign = time.monotonic()

    def _mine(self):
        return Job.objects.filter(pk=self.pk, attempt=self.attempt, state=Job.State.RUNNING)

    def progress(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Say how far the work is; renews the lease. Never inside a transaction of the work itself."""
        self.last_sign = time.monotonic()
        if not self._mine().update(stage=stage[:120], done=done, total=total, lease_until=_from_now(LEASE)):
            raise LostLease(self.pk)

    def give_back(self, after: timedelta) -> NoReturn:
        """Put the job back into the queue, not to be taken before `after` has passed, and stop this attempt."""
        self._mine().update(
            state=Job.State.QUEUED,
            attempt=F("attempt") - 1,
            not_before=_from_now(after),
            lease_until=None,
            woken_at=None,
            stage="Waiting for its turn",
        )
        raise LostLease(self.pk)

    @contextmanager
    def fenced(self):
        """A transaction that commits only while this attempt holds the job."""
        with transaction.atomic():
            # The update takes the row's lock first, so a rival's claim waits for the outcome.
            if not self._mine().update(lease_until=_from_now(LEASE)):
                raise LostLease(self.pk)
            yield

    @contextmanager
    def finishing(self, result: dict | None = None):
        """The last transaction: the work's result and the job's end, together or not at all."""
        with self.fenced():
            yield
            self._mine().update(state=Job.State.DONE, result=result, lease_until=None, finished_at=Now())


def run(job_id: int, *, heartbeat: bool = True) -> bool:
    """Claim and work a job. Returns False where another worker has it. Safe to deliver any number of times."""
    job = claim(job_id)
    if job is None:
        return False
    held = Run(job)
    stop = threading.Event()
    if heartbeat:
        threading.Thread(target=_beat, args=(held, stop), daemon=True).start()
    try:
        with import_string(settings.AROUND_JOBS)(job):
            import_string(settings.JOB_KINDS[job.kind])(held, **job.args)
        # A function that had nothing to commit ends here; one that used `finishing` is already done.
        held._mine().update(state=Job.State.DONE, lease_until=None, finished_at=Now())
    except LostLease:
        logger.warning("job %s: lease lost in attempt %s", job.pk, job.attempt)
    except OperationalError as exc:
        # A locked or absent database passes: give the job back, to be claimed again by the next sweep.
        logger.warning("job %s: %s, to be tried again", job.pk, type(exc).__name__)
        with contextlib.suppress(OperationalError):
            held._mine().update(lease_until=Now())
    except Exception as exc:
        # Database errors may carry whole rows in their text; only our own refusals are shown.
        shown = str(exc) if isinstance(exc, DomainError) else f"{type(exc).__name__}; see the worker's log."
        where = traceback.extract_tb(exc.__traceback__)[-1]
        logger.error(
            "job %s (%s) failed: %s at %s:%s", job.pk, job.kind, type(exc).__name__, where.filename, where.lineno
        )
        held._mine().update(state=Job.State.FAILED, error=shown, lease_until=None, finished_at=Now())
    finally:
        stop.set()
    return True


def _beat(held: Run, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        if time.monotonic() - held.last_sign > STALLED_SECONDS:
            logger.warning("job %s: no progress, heartbeat stopped", held.pk)
            break
        try:
            if not held._mine().update(lease_until=_from_now(LEASE)):
                return
        except Exception as exc:  # a locked database must not stop the heart
            logger.warning("heartbeat of job %s missed: %s", held.pk, type(exc).__name__)
    connection.close()


def sweep() -> int:
    """Wake a worker for every job that waits unannounced or whose lease ran out. Returns how many."""
    waiting = _RESTED & (Q(woken_at=None) | Q(woken_at__lt=_from_now(-WAKE_AGAIN)))
    dead = Q(state=Job.State.RUNNING, lease_until__lt=Now())
    ids = list(Job.objects.filter(waiting | dead).order_by("pk").values_list("pk", flat=True))
    Job.objects.filter(pk__in=ids).update(woken_at=Now())
    for job_id in ids:
        wake(job_id)
    return len(ids)

"""The job ledger: what is to be done once. The row is the truth; a Celery message only wakes a worker."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q


class Job(models.Model):
    """One piece of background work, from the wish to its result."""

    class State(models.TextChoices):
        QUEUED = "queued", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        DEAD = "dead", "given up after too many tries"
        CANCELLED = "cancelled", "cancelled"

    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=120, help_text="Unique while the job is open: a second wish finds the first.")
    args = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="Waits until then; a new wish in the meantime pushes it on, up to a limit."
    )
    woken_at = models.DateTimeField(null=True, blank=True)
    stage = models.CharField(max_length=120, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key"],
                condition=Q(state__in=["queued", "running"]),
                name="jobs_job_open_once",
            )
        ]
        indexes = [models.Index(fields=["state", "lease_until"], name="jobs_job_state_lease")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def percent(self) -> int:
        return round(100 * self.done / self.total) if self.total else 0

    def seconds_left(self, now: datetime) -> int | None:
        """How long it still takes at the pace so far; None before a twentieth is done."""
        if self.state != self.State.RUNNING or self.started_at is None or self.percent < 5:
            return None
        return round((now - self.started_at).total_seconds() * (self.total - self.done) / self.done)

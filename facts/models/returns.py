"""Returns: what one respondent says in one round on one schedule. The answers lie sealed in the vault."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from clusters.models import Cluster, Organisation, Region, Unit
from core.base import TimeStamped
from facts.querysets import ReturnQuerySet

from .instrument import Schedule
from .rounds import Round


class Return(TimeStamped):
    """What one respondent says in one round on one schedule. Its answers lie sealed in the vault, by version."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        SUBMITTED = "submitted", "Submitted"
        IN_REVIEW = "in_review", "In review"
        SENT_BACK = "sent_back", "Sent back"
        ACCEPTED = "accepted", "Accepted"
        REOPENED = "reopened", "Reopened"
        LOCKED = "locked", "Locked"

    class Channel(models.TextChoices):
        WEB = "web", "Form"
        FILE = "file", "File"
        API = "api", "API"
        HELP_DESK = "help_desk", "Association help desk"
        LINK = "link", "Personal link"
        FIELD = "field", "Collected in the field"

    EDITABLE = (State.DRAFT, State.SENT_BACK, State.REOPENED)
    COUNTED = (State.ACCEPTED, State.LOCKED)

    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="returns")
    schedule = models.CharField(max_length=12, choices=Schedule)
    subject = models.CharField(max_length=120, help_text="Frame id, cluster code, association or region code.")
    unit = models.ForeignKey(Unit, null=True, on_delete=models.PROTECT, related_name="+")
    cluster = models.ForeignKey(Cluster, null=True, on_delete=models.PROTECT, related_name="+")
    organisation = models.ForeignKey(Organisation, null=True, on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey(Region, null=True, on_delete=models.PROTECT, related_name="+")
    collector = models.ForeignKey(
        Organisation,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who typed it in for the unit; the only organisation that may read it.",
    )
    shared_with = models.ForeignKey(
        Organisation,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whom the unit lets read what it handed in over its own link; reading only, and nothing of a draft.",
    )
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    revision = models.PositiveIntegerField(default=0, help_text="Counts saves; a save on an older one is a conflict.")
    version = models.PositiveSmallIntegerField(default=0, help_text="Last submitted version; 0 = never submitted.")
    scale = models.PositiveIntegerField(default=1, help_text="In what unit money is typed: 1, 1000, 100000 or 1000000.")
    currency = models.CharField(max_length=3, blank=True)
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.WEB)
    typed_by = models.JSONField(default=list, help_text="Ids of the people who typed in it; none of them accepts it.")
    answered = models.PositiveSmallIntegerField(default=0)
    asked = models.PositiveSmallIntegerField(default=0)
    core_share = models.FloatField(null=True, help_text="Answered core questions as a share of those asked.")
    submitted_at = models.DateTimeField(null=True)
    first_submitted_at = models.DateTimeField(null=True)
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    submitted_revision = models.PositiveIntegerField(
        null=True, help_text="The draft's revision that was handed in: the same again finds the same receipt."
    )
    minutes = models.PositiveSmallIntegerField(
        null=True, help_text="Minutes of work between saves up to the last submission; pauses are left out."
    )
    suspicion = models.FloatField(
        default=0, help_text="How loudly the checks spoke of the version handed in, 0 and up."
    )
    effect = models.FloatField(default=0, help_text="Places in the ranking that it may move, expected.")
    checked_version = models.PositiveSmallIntegerField(default=0, help_text="Last version that the round's checks saw.")
    certified_name = models.CharField(max_length=120, blank=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    is_synthetic = models.BooleanField(default=False)
    source = models.CharField(max_length=40, blank=True)

    objects = ReturnQuerySet.as_manager()

    class Meta:
        ordering = ["round", "schedule", "subject"]
        constraints = [
            models.UniqueConstraint(fields=["round", "schedule", "subject"], name="facts_return_once"),
            models.CheckConstraint(
                condition=Q(submitted_at__isnull=True, version=0) | Q(submitted_at__isnull=False, version__gt=0),
                name="facts_return_submitted_has_version",
            ),
            models.CheckConstraint(
                condition=Q(scale__in=[1, 1000, 100_000, 1_000_000]), name="facts_return_scale_known"
            ),
        ]
        indexes = [
            models.Index(fields=["round", "state", "schedule"], name="facts_return_round_state"),
            models.Index(fields=["cluster", "round", "schedule"], name="facts_return_cluster_round"),
        ]

    def __str__(self) -> str:
        return f"{self.get_schedule_display()} return {self.subject}, round {self.round.year}"

    def get_absolute_url(self) -> str:
        return reverse("facts:return", args=[self.pk])

    @property
    def kind_words(self) -> str:
        """What it is called, on every page: "Unit return", "Cluster schedule"."""
        noun = "schedule" if self.schedule in (Schedule.CLUSTER, Schedule.REGION) else "return"
        return f"{self.get_schedule_display()} {noun}"

    @property
    def is_editable(self) -> bool:
        return self.state in self.EDITABLE


class Reopening(models.Model):
    """A wish to open an accepted return again. One person asks, another one decides; the reason lies sealed."""

    class State(models.TextChoices):
        ASKED = "asked", "waits for a second person"
        GRANTED = "granted", "granted"
        DECLINED = "declined", "declined"

    ret = models.ForeignKey(Return, on_delete=models.PROTECT, related_name="reopenings")
    version = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.ASKED)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["ret"], condition=Q(state="asked"), name="facts_one_open_reopening"),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=models.F("asked_by")),
                name="facts_reopening_two_people",
                violation_error_message="Who asks to reopen a return does not decide on it.",
            ),
        ]


class Query(models.Model):
    """A question on one value, as a thread with a due date. Its words lie sealed."""

    class State(models.TextChoices):
        OPEN = "open", "waits for an answer"
        ANSWERED = "answered", "answered"
        CLOSED = "closed", "closed"

    ret = models.ForeignKey(Return, on_delete=models.PROTECT, related_name="queries")
    version = models.PositiveSmallIntegerField()
    question = models.CharField(max_length=8)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    due_on = models.DateField()
    raised_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    raised_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["due_on", "pk"]


class Upload(models.Model):
    """A file of returns, sealed in quarantine from its arrival to the confirmed import. All of it or nothing."""

    class State(models.TextChoices):
        QUARANTINED = "quarantined", "being read"
        REFUSED = "refused", "refused"
        READY = "ready", "read; waits for confirmation"
        IMPORTED = "imported", "imported"
        EXPIRED = "expired", "no longer at hand"

    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="uploads")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    organisation = models.ForeignKey(Organisation, null=True, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=120)
    size = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, help_text="Keyed digest of the bytes.")
    scale = models.PositiveIntegerField(default=1)
    schedule = models.CharField(max_length=12, choices=Schedule, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.QUARANTINED)
    counts = models.JSONField(default=dict, help_text="Rows, drafts made and changed; never a value.")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["round", "by", "digest"],
                condition=Q(state__in=["quarantined", "ready"]),
                name="facts_upload_open_once",
            )
        ]


class RequestCount(models.Model):
    """How many writing requests an account sent in one window of time: a limit that holds over all processes."""

    client = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    route = models.CharField(max_length=60)
    window = models.PositiveIntegerField(help_text="Hours since 1970.")
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "route", "window"], name="facts_request_count_once")]


class IdempotencyKey(models.Model):
    """What a client's key was answered, so that the same request is answered the same and done once."""

    client = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    route = models.CharField(max_length=60)
    key = models.CharField(max_length=80)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "route", "key"], name="facts_idempotency_key_once")]

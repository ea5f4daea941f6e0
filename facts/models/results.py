"""What checks found, and what becomes of accepted returns: flags, snapshots, values, reliability."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from clusters.models import Cluster
from core.jobs.models import Job
from facts.querysets import IndicatorValueQuerySet

from .instrument import Indicator
from .returns import Return
from .rounds import Round


class Flag(models.Model):
    """A check that spoke on a submitted version: a soft check of the form, or one of X01–X10 over the round.

    Words and numbers are not here: those of the form are rebuilt from the sealed answers, those of X01–X10 lie
    sealed beside the answers.
    """

    class Severity(models.TextChoices):
        SOFT = "soft", "in the form"
        INFO = "info", "information"
        WARN = "warn", "warning"
        CRITICAL = "critical", "critical"

    class Resolution(models.TextChoices):
        OPEN = "open", "open"
        EXPLAINED = "explained", "explained by the respondent"
        ACCEPTED = "accepted", "explanation accepted"
        REJECTED = "rejected", "explanation rejected"

    ret = models.ForeignKey(Return, on_delete=models.CASCADE, related_name="flags")
    version = models.PositiveSmallIntegerField()
    question = models.CharField(max_length=8)
    rule = models.CharField(max_length=16)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.SOFT)
    score = models.FloatField(null=True, help_text="How far beyond the rule's limit, 1 = at it.")
    resolution = models.CharField(max_length=10, choices=Resolution, default=Resolution.OPEN)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["ret", "version", "rule"]
        constraints = [models.UniqueConstraint(fields=["ret", "version", "rule"], name="facts_flag_once")]


class Snapshot(models.Model):
    """The accepted returns of a round and the three before it, frozen and sealed; what an edition rests on."""

    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="snapshots")
    digest = models.CharField(max_length=64, unique=True, help_text="Keyed digest over the content in a fixed order.")
    taken_at = models.DateTimeField()
    counts = models.JSONField(default=dict)
    is_synthetic = models.BooleanField(default=False)

    class Meta:
        ordering = ["-taken_at", "-pk"]

    def __str__(self) -> str:
        return f"Snapshot {self.digest[:12]} of round {self.round.year}"


class IndicatorValue(models.Model):
    """One indicator of one cluster, computed from one snapshot."""

    class Status(models.TextChoices):
        """Codes of the SDMX list CL_OBS_STATUS."""

        NORMAL = "A", "normal"
        ESTIMATED = "E", "estimated"
        MISSING = "O", "not reported"
        SUPPRESSED = "Q", "withheld"

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="values")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    indicator = models.ForeignKey(Indicator, on_delete=models.PROTECT, related_name="values")
    value = models.FloatField(null=True, help_text="As it enters the index. Not for publication.")
    shown = models.FloatField(null=True, help_text="As published: rounded, empty where withheld.")
    status = models.CharField(max_length=1, choices=Status)
    reason = models.CharField(max_length=60, blank=True)
    se = models.FloatField(null=True, help_text="Standard error over resampled firms. Not for publication.")
    n_units = models.PositiveIntegerField(null=True, help_text="Responding units behind it; published as a band.")
    coverage = models.FloatField(null=True, help_text="Share of accepted operating returns that answer it.")

    objects = IndicatorValueQuerySet.as_manager()

    class Meta:
        ordering = ["cluster", "indicator"]
        constraints = [
            models.UniqueConstraint(fields=["snapshot", "cluster", "indicator"], name="facts_value_once"),
            models.CheckConstraint(
                condition=Q(shown__isnull=True) | Q(value__isnull=False, status__in=["A", "E"]),
                name="facts_value_shown_only_when_free",
            ),
        ]


class RoundFlag(models.Model):
    """A check over a cluster or a field worker that spoke. Its numbers are shares and counts, never a firm's figure."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="flags")
    cluster = models.ForeignKey(Cluster, null=True, on_delete=models.PROTECT, related_name="+")
    worker = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    rule = models.CharField(max_length=16)
    severity = models.CharField(max_length=8, choices=Flag.Severity)
    numbers = models.JSONField(default=dict)
    resolution = models.CharField(max_length=10, choices=Flag.Resolution, default=Flag.Resolution.OPEN)
    note = models.CharField(max_length=600, blank=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["round", "cluster", "rule"]
        constraints = [
            models.UniqueConstraint(
                fields=["round", "cluster", "rule"],
                condition=Q(cluster__isnull=False),
                name="facts_round_flag_once",
            ),
            models.UniqueConstraint(
                fields=["round", "worker", "rule"],
                condition=Q(worker__isnull=False),
                name="facts_worker_flag_once",
            ),
        ]


class CheckRun(models.Model):
    """One run of the round's checks: when, with which parameters, over how many returns, what spoke how often."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="check_runs")
    cluster = models.ForeignKey(Cluster, null=True, on_delete=models.PROTECT, related_name="+")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    rules_digest = models.CharField(max_length=64)
    counts = models.JSONField(default=dict)
    finished_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]


class Reliability(models.Model):
    """How far a cluster's data and its association carry the index in a round, point by point."""

    class Status(models.TextChoices):
        ELIGIBLE = "eligible", "eligible"
        PROVISIONAL = "provisional", "provisional"
        NOT_ELIGIBLE = "not", "not eligible"

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="reliability")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    score = models.FloatField(help_text="Data reliability score, 0–100, after caps.")
    grade = models.CharField(max_length=1)
    status = models.CharField(max_length=12, choices=Status)
    parts = models.JSONField(default=list, help_text="D1–D8: points, factor, and the shares behind them.")
    stops = models.JSONField(default=list, help_text="Hard stops and caps that hold.")
    gates = models.JSONField(default=list, help_text="OG1–OG8 of the association that passes most.")
    steps = models.JSONField(default=list, help_text="The shortest way to become ranked, in order.")
    association = models.CharField(
        max_length=120, blank=True, help_text="Subject of the association return that the gates are about."
    )
    was_reliable = models.BooleanField(default=False, help_text="Reliable a round before: stays so down to 70 points.")

    class Meta:
        ordering = ["snapshot", "cluster"]
        constraints = [models.UniqueConstraint(fields=["snapshot", "cluster"], name="facts_reliability_once")]

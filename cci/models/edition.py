"""Editions and what they hold: scores, standings and explanations of each cluster."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from cci.querysets import EditionQuerySet
from clusters.models import Cluster
from core.jobs.models import Job
from facts.models import Reliability, Round, Snapshot

from .methodology import Methodology


class Edition(models.Model):
    """One computed index: round × methodology × snapshot × revision. Published, its bytes never change.

    A provisional edition is of a round still open; a trial one shows what another methodology would make of a round.
    Both are for staff and never published.
    """

    class State(models.TextChoices):
        COMPUTING = "computing", "Computing"
        CANDIDATE = "candidate", "Computed"
        PROPOSED = "proposed", "Proposed for publication"
        SCHEDULED = "scheduled", "Approved, waits for its release time"
        PUBLISHED = "published", "Published"
        SUPERSEDED = "superseded", "Superseded"
        WITHDRAWN = "withdrawn", "Withdrawn"
        FAILED = "failed", "Failed"

    class Revision(models.TextChoices):
        FIRST = "", "First edition"
        DATA = "data", "Late or corrected returns"
        METHOD = "method", "Another methodology"
        ERROR = "error", "Error of ours mended"

    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="editions")
    methodology = models.ForeignKey(Methodology, on_delete=models.PROTECT, related_name="editions")
    snapshot = models.ForeignKey(Snapshot, null=True, on_delete=models.PROTECT, related_name="editions")
    revision = models.PositiveSmallIntegerField(
        null=True, help_text="0 for the first computation of a round, then 1, 2 …; none for a provisional one"
    )
    label = models.CharField(max_length=32, unique=True)
    revision_kind = models.CharField(max_length=6, choices=Revision, blank=True)
    revision_note = models.TextField(blank=True, help_text="What was revised and why, for readers.")
    state = models.CharField(max_length=10, choices=State, default=State.COMPUTING)
    is_provisional = models.BooleanField(default=False, help_text="Of a round still open: for staff, never published.")
    is_trial = models.BooleanField(default=False, help_text="Under another methodology, to see its effect.")
    digest = models.CharField(max_length=64, blank=True)
    engine_version = models.CharField(max_length=20, blank=True)
    report = models.JSONField(default=dict)
    summary = models.JSONField(default=dict)
    is_synthetic = models.BooleanField(default=False)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    computed_at = models.DateTimeField(null=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(null=True)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField(null=True)
    release_at = models.DateTimeField(null=True, help_text="Until then the approved edition is under embargo.")

    objects = EditionQuerySet.as_manager()

    class Meta:
        ordering = ["-round__year", "-revision"]
        constraints = [
            models.UniqueConstraint(fields=["round", "revision"], name="cci_edition_revision_once"),
            models.UniqueConstraint(fields=["round"], condition=Q(state="published"), name="cci_one_published_a_round"),
            models.CheckConstraint(
                condition=~Q(state__in=["scheduled", "published"])
                | ~Q(published_by=F("proposed_by"))
                | Q(published_by__isnull=True),
                name="cci_edition_two_people",
                violation_error_message="Who proposes an edition does not publish it.",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["scheduled", "published"]) | Q(is_provisional=False, is_trial=False),
                name="cci_provisional_never_published",
                violation_error_message="A provisional or trial edition is never published.",
            ),
            models.CheckConstraint(
                condition=~Q(state="scheduled") | Q(release_at__isnull=False),
                name="cci_scheduled_has_a_time",
                violation_error_message="An edition that waits for its release needs a release time.",
            ),
        ]

    def __str__(self) -> str:
        return f"Edition {self.label}"

    def get_absolute_url(self) -> str:
        return reverse("cci:ranking", args=[self.label])

    @property
    def is_official(self) -> bool:
        return not (self.is_provisional or self.is_trial)

    @property
    def is_public(self) -> bool:
        return self.state in (self.State.PUBLISHED, self.State.SUPERSEDED)


class Score(models.Model):
    """The score of one cluster on one node of the hierarchy (dimension, pillar or the index) in one edition."""

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="scores")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    node = models.CharField(max_length=8)
    value = models.FloatField(null=True)
    rank = models.PositiveSmallIntegerField(null=True)
    n_ranked = models.PositiveSmallIntegerField(default=0)
    rank_low = models.PositiveSmallIntegerField(
        null=True, help_text="5 % quantile of its rank over resampled firms and drawn weights."
    )
    rank_high = models.PositiveSmallIntegerField(null=True, help_text="95 % quantile, likewise.")
    se = models.FloatField(null=True, help_text="Standard error of the score over resampled firms.")
    coverage = models.FloatField(null=True, help_text="Share of the node's effective weight that was observed.")
    contribution = models.FloatField(
        null=True, help_text="Points of the index that the node stands for; those of one level add up to the index."
    )

    class Meta:
        ordering = ["edition", "node", "rank", "cluster"]
        constraints = [models.UniqueConstraint(fields=["edition", "cluster", "node"], name="cci_score_once")]


class Standing(models.Model):
    """Whether a cluster is ranked in an edition and, if not, the category of the reason."""

    class Reason(models.TextChoices):
        NONE = "", "ranked"
        RESPONSE = "response", "too few of its firms answered"
        COPIED = "copied", "too many of its figures repeat the year before"
        FEW_UNITS = "few_units", "fewer than 15 operating firms answered"
        RELIABILITY = "reliability", "the data are not reliable enough yet"
        ASSOCIATION = "association", "the association is not yet organised as the index asks"
        SCHEDULES = "schedules", "the cluster, association or region schedule is not accepted"
        INCOMPLETE = "incomplete", "too little of the index could be computed"

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="standings")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    is_ranked = models.BooleanField()
    reason = models.CharField(max_length=12, choices=Reason, blank=True)
    status = models.CharField(max_length=12, choices=Reliability.Status, default=Reliability.Status.NOT_ELIGIBLE)
    response_share = models.FloatField(null=True)
    employment_share = models.FloatField(null=True)
    n_units = models.PositiveIntegerField(default=0)
    band = models.PositiveSmallIntegerField(
        null=True, help_text="Clusters of one band cannot be told apart: their rank intervals overlap. 1 is the first."
    )

    class Meta:
        ordering = ["edition", "cluster"]
        constraints = [models.UniqueConstraint(fields=["edition", "cluster"], name="cci_standing_once")]


class Explanation(models.Model):
    """Why a cluster stands where it does in an edition: computed with it, covered by its digest, never changed after.

    `content` holds what `cci.explanations` describes: contributions, what moved, what holds back, smallest realistic
    improvements, how sure.
    """

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="explanations")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    content = models.JSONField(default=dict)

    class Meta:
        ordering = ["edition", "cluster"]
        constraints = [models.UniqueConstraint(fields=["edition", "cluster"], name="cci_explanation_once")]

"""When editions come out, who saw them before, and what was found wrong after."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from clusters.models import Cluster
from facts.models import Round

from .edition import Edition


class Release(models.Model):
    """An entry of the release calendar: announced ahead, moved only with a reason that readers see."""

    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="releases")
    title = models.CharField(max_length=120)
    planned_at = models.DateTimeField()
    is_exact = models.BooleanField(default=False, help_text="Day and hour are fixed; before that only the month.")
    moved_from = models.DateTimeField(null=True, blank=True)
    moved_reason = models.TextField(blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancelled_reason = models.TextField(blank=True)
    edition = models.ForeignKey(Edition, null=True, on_delete=models.PROTECT, related_name="releases")
    announced_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    announced_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["planned_at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(moved_from__isnull=True) | ~Q(moved_reason=""),
                name="cci_release_moved_with_reason",
                violation_error_message="Say why the release is moved.",
            ),
            models.CheckConstraint(
                condition=Q(cancelled_at__isnull=True) | ~Q(cancelled_reason=""),
                name="cci_release_cancelled_with_reason",
                violation_error_message="Say why the release is cancelled.",
            ),
            models.UniqueConstraint(
                fields=["edition"], condition=Q(edition__isnull=False), name="cci_release_of_one_edition"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class PreRelease(models.Model):
    """A named person who may see an approved edition before its release; the list is published with it."""

    edition = models.ForeignKey(Edition, on_delete=models.PROTECT, related_name="pre_releases")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    office = models.CharField(max_length=160, help_text="Post and organisation, as readers will see it.")
    reason = models.TextField()
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    granted_at = models.DateTimeField(auto_now_add=True)
    first_opened_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["edition", "pk"]
        constraints = [models.UniqueConstraint(fields=["edition", "user"], name="cci_pre_release_once")]


class Erratum(models.Model):
    """An error found in a published edition, told to readers; the edition itself stays as it was."""

    class Kind(models.TextChoices):
        DATA = "data", "In the data"
        COMPUTATION = "computation", "In the computation"
        METHOD = "method", "In the method's description"
        TEXT = "text", "In words or presentation"

    edition = models.ForeignKey(Edition, on_delete=models.PROTECT, related_name="errata")
    kind = models.CharField(max_length=12, choices=Kind)
    text = models.TextField(help_text="What was wrong, and what is right.")
    effect = models.TextField(help_text="What it changes for readers: which clusters, figures, ranks.")
    clusters = models.ManyToManyField(Cluster, blank=True, related_name="+")
    corrected_in = models.ForeignKey(Edition, null=True, blank=True, on_delete=models.PROTECT, related_name="corrects")
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-published_at", "-pk"]
        verbose_name_plural = "errata"

"""Methodologies: reviewed, versioned ways to make the index."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from cci.querysets import MethodologyQuerySet


class Methodology(models.Model):
    """A reviewed way to make the index. Its content is the files whose digest stands here; it never changes.

    Draft, checked by a second person, adopted by a third or by who registered it: an edition is published only with an
    adopted one.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        CHECKED = "checked", "Checked"
        ADOPTED = "adopted", "Adopted"

    version = models.CharField(max_length=20, unique=True)
    title = models.CharField(max_length=120)
    digest = models.CharField(max_length=64)
    definition = models.JSONField()
    author = models.CharField(max_length=120)
    checker = models.CharField(max_length=120, blank=True)
    review_on = models.DateField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.DRAFT)
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    registered_at = models.DateTimeField(auto_now_add=True, null=True)
    checked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    checked_at = models.DateTimeField(null=True)
    check_note = models.TextField(blank=True, help_text="What the checker looked at and found.")
    adopted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    adopted_at = models.DateTimeField(null=True)
    adoption_note = models.TextField(blank=True, help_text="Why it is adopted, for readers.")

    objects = MethodologyQuerySet.as_manager()

    class Meta:
        ordering = ["version"]
        verbose_name_plural = "methodologies"
        constraints = [
            models.CheckConstraint(
                condition=~Q(checked_by=F("registered_by")) | Q(checked_by__isnull=True),
                name="cci_methodology_checked_by_another",
                violation_error_message="Who registers a methodology does not check it.",
            ),
            models.CheckConstraint(
                condition=~Q(adopted_by=F("checked_by")) | Q(adopted_by__isnull=True),
                name="cci_methodology_adopted_by_another",
                violation_error_message="Who checks a methodology does not adopt it.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} {self.version}"

    @property
    def is_adopted(self) -> bool:
        return self.state == self.State.ADOPTED

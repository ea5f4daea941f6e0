"""The instrument as register rows, and the indicators made of it."""

from django.db import models
from django.urls import reverse


class Schedule(models.TextChoices):
    """The four schedules of the instrument: who or what a return is about."""

    UNIT = "UNIT", "Unit"
    CLUSTER = "CLUSTER", "Cluster"
    ASSOCIATION = "ASSOCIATION", "Association"
    REGION = "REGION", "Region"


class Instrument(models.Model):
    """A version of the FACTS instrument. Its content is the reviewed files whose digest stands here."""

    version = models.CharField(max_length=12, unique=True)
    title = models.CharField(max_length=120)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ["version"]

    def __str__(self) -> str:
        return f"FACTS {self.version}"


class Question(models.Model):
    """One field of the instrument, as a register row for pages, filters and the API. Its code never changes meaning."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="questions")
    schedule = models.CharField(max_length=12, choices=Schedule)
    section = models.CharField(max_length=4)
    section_title = models.CharField(max_length=120)
    code = models.CharField(max_length=8)
    label = models.CharField(max_length=300)
    type = models.CharField(max_length=24)
    unit = models.CharField(max_length=40, blank=True)
    required = models.BooleanField()
    core = models.BooleanField()
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["instrument", "position"]
        constraints = [models.UniqueConstraint(fields=["instrument", "code"], name="facts_question_once")]

    def __str__(self) -> str:
        return f"{self.code} {self.label}"


class Indicator(models.Model):
    """One of the 65 measures: what it means and how it is computed. Content comes from the reviewed file."""

    code = models.CharField(max_length=8, unique=True)
    name = models.CharField(max_length=120)
    pillar = models.CharField(max_length=4)
    dimension = models.CharField(max_length=4)
    formula = models.CharField(max_length=300)
    aggregation = models.CharField(max_length=60)
    unit = models.CharField(max_length=40)
    direction = models.SmallIntegerField()
    weight = models.FloatField(help_text="Weight inside its dimension.")
    index_weight = models.FloatField(help_text="Share in the whole index.")
    n_min = models.PositiveSmallIntegerField(null=True, help_text="Fewer responding units than this: not computed.")
    transform = models.CharField(max_length=8)
    guard = models.CharField(max_length=300, blank=True, help_text="How it could be gamed, and what guards it.")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"

    def get_absolute_url(self) -> str:
        return reverse("facts:indicator", args=[self.code])

"""What is done about it: schemes, interventions and their money."""

from django.db import models
from django.urls import reverse

from clusters.models import AreaOfWork, Cluster, Organisation, Source
from core.base import TimeStamped


class InterventionType(models.Model):
    """A kind of help, soft or hard, with the areas of work it belongs to."""

    code = models.CharField(max_length=4, primary_key=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8)
    areas = models.ManyToManyField(AreaOfWork, related_name="+")

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class Scheme(TimeStamped):
    """A programme under which interventions are financed."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=160)
    owner = models.ForeignKey(Organisation, null=True, blank=True, on_delete=models.PROTECT, related_name="schemes")
    note = models.TextField(blank=True)
    sources = models.ManyToManyField(Source, blank=True, related_name="+")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Intervention(TimeStamped):
    """One thing done for one or more clusters, as the source tells it."""

    class Kind(models.TextChoices):
        SOFT = "soft", "Soft"
        HARD = "hard", "Hard"
        BOTH = "soft+hard", "Soft and hard"
        IN_KIND = "in-kind", "In kind"
        POLICY = "policy", "Policy"
        PROGRAMME = "programme", "Programme"
        TRANCHE = "tranche", "Tranche of a programme"

    code = models.CharField(max_length=20, unique=True)
    title = models.CharField(max_length=200)
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="parts",
        help_text="Never sum both.",
    )
    clusters = models.ManyToManyField(Cluster, blank=True, related_name="interventions")
    lead = models.ForeignKey(Organisation, null=True, blank=True, on_delete=models.PROTECT, related_name="leads")
    lead_text = models.CharField(
        max_length=200, blank=True, help_text="The lead as printed, where it is no single body."
    )
    partners_text = models.CharField(max_length=300, blank=True)
    partners = models.ManyToManyField(Organisation, blank=True, related_name="partner_in")
    starts_on = models.DateField(null=True, blank=True, help_text="Earliest day that the printed date allows.")
    start_precision = models.CharField(max_length=16, blank=True)
    start_text = models.CharField("start, as printed", max_length=60, blank=True)
    ends_on = models.DateField(null=True, blank=True, help_text="Latest day that the printed date allows.")
    end_precision = models.CharField(max_length=16, blank=True)
    end_text = models.CharField("end, as printed", max_length=60, blank=True)
    kind = models.CharField(max_length=10, choices=Kind, blank=True)
    types = models.ManyToManyField(InterventionType, blank=True, related_name="interventions")
    areas = models.ManyToManyField(AreaOfWork, blank=True, related_name="interventions")
    status_then = models.CharField("status at the time of the source", max_length=60, blank=True)
    note = models.TextField(blank=True)
    scheme = models.ForeignKey(Scheme, null=True, blank=True, on_delete=models.PROTECT, related_name="interventions")
    sources = models.ManyToManyField(Source, blank=True, related_name="interventions")
    is_published = models.BooleanField(default=True)
    is_synthetic = models.BooleanField(default=False)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("interventions:detail", args=[self.pk])


class BudgetLine(models.Model):
    """Money or kind behind an intervention, as the source prints it. A suspect amount is never summed."""

    intervention = models.ForeignKey(Intervention, on_delete=models.CASCADE, related_name="budget_lines")
    amount = models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    per = models.CharField(max_length=60, blank=True, help_text="What one amount is for, where there are several.")
    as_printed = models.CharField(max_length=200, blank=True)
    is_suspect = models.BooleanField(default=False)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_suspect=False) | models.Q(amount__isnull=True),
                name="interventions_suspect_amount_is_text",
                violation_error_message="A suspect amount is kept as printed, never as a number.",
            )
        ]

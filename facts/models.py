"""What was observed: rounds, frames, returns and their history, snapshots, indicator values.

Answers are not here: they lie sealed in `facts.vault`, apart from unit identity.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from clusters.models import Cluster, Country, Organisation, Region, Unit
from core.base import TimeStamped

from .querysets import IndicatorValueQuerySet, ReturnQuerySet, RoundQuerySet


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


class CountryYear(models.Model):
    """Prices, purchasing-power parity and exchange rate of a country in a year: the context of money indicators."""

    country = models.ForeignKey(Country, on_delete=models.PROTECT, related_name="+")
    year = models.PositiveSmallIntegerField()
    inflation_pct = models.FloatField(help_text="Consumer prices, change on the year before, per cent.")
    ppp_lcu_per_usd = models.FloatField(help_text="Local currency per international dollar.")
    fx_lcu_per_usd = models.FloatField(help_text="Local currency per US dollar, mean of the year.")
    source = models.CharField(max_length=120)
    is_assumed = models.BooleanField(default=False)

    class Meta:
        ordering = ["country", "year"]
        constraints = [models.UniqueConstraint(fields=["country", "year"], name="facts_country_year_once")]

    def __str__(self) -> str:
        return f"{self.country_id} {self.year}"


class Round(models.Model):
    """One year's collection. Round R asks about the fiscal year that ended between July R−1 and June R."""

    class State(models.TextChoices):
        PLANNED = "planned", "Planned"
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    year = models.PositiveSmallIntegerField(unique=True)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="rounds")
    state = models.CharField(max_length=8, choices=State, default=State.PLANNED)
    opens_on = models.DateField()
    closes_on = models.DateField()
    releases_on = models.DateField(null=True, blank=True)
    is_synthetic = models.BooleanField(default=False)

    objects = RoundQuerySet.as_manager()

    class Meta:
        ordering = ["-year"]

    def __str__(self) -> str:
        return f"Round {self.year}"

    @property
    def ref_year(self) -> int:
        return self.year - 1


class FrameEntry(models.Model):
    """A unit in the frozen frame of a round: what was known of it before it answered."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="frame")
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    size = models.PositiveSmallIntegerField(
        help_text="1 micro (1–9 persons), 2 small (10–49), 3 medium (50–249), 4 large"
    )
    prior_employment = models.PositiveIntegerField()
    in_scope = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["round", "unit"], name="facts_frame_once")]
        indexes = [models.Index(fields=["round", "cluster"], name="facts_frame_round_cluster")]


class Return(TimeStamped):
    """What one respondent says in one round on one schedule. Its answers lie sealed in the vault, by version."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        SUBMITTED = "submitted", "Submitted"
        IN_REVIEW = "in_review", "In review"
        SENT_BACK = "sent_back", "Sent back"
        ACCEPTED = "accepted", "Accepted"
        LOCKED = "locked", "Locked"

    class Channel(models.TextChoices):
        WEB = "web", "Form"
        FILE = "file", "File"
        API = "api", "API"
        HELP_DESK = "help_desk", "Association help desk"

    EDITABLE = (State.DRAFT, State.SENT_BACK)
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
        indexes = [models.Index(fields=["round", "state", "schedule"], name="facts_return_round_state")]

    def __str__(self) -> str:
        return f"{self.get_schedule_display()} return {self.subject}, round {self.round.year}"

    def get_absolute_url(self) -> str:
        return reverse("facts:return", args=[self.pk])

    @property
    def is_editable(self) -> bool:
        return self.state in self.EDITABLE


class Flag(models.Model):
    """A soft check that spoke on a submitted version. The words and numbers are rebuilt from the sealed answers."""

    class Resolution(models.TextChoices):
        OPEN = "open", "open"
        EXPLAINED = "explained", "explained by the respondent"
        ACCEPTED = "accepted", "explanation accepted"
        REJECTED = "rejected", "explanation rejected"

    ret = models.ForeignKey(Return, on_delete=models.CASCADE, related_name="flags")
    version = models.PositiveSmallIntegerField()
    question = models.CharField(max_length=8)
    rule = models.CharField(max_length=16)
    severity = models.CharField(max_length=8, default="soft")
    resolution = models.CharField(max_length=10, choices=Resolution, default=Resolution.OPEN)

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


class FiscalYear(models.Model):
    """In which month a country's fiscal year ends, valid from a round on."""

    country = models.ForeignKey(Country, on_delete=models.PROTECT, related_name="+")
    valid_from = models.PositiveSmallIntegerField("valid from round")
    end_month = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["country", "-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["country", "valid_from"], name="facts_fiscal_year_once"),
            models.CheckConstraint(condition=Q(end_month__range=(1, 12)), name="facts_fiscal_year_month"),
        ]

"""Rounds: their calendar, their frame, who collects where, and who was asked to answer."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from clusters.models import Cluster, Country, Organisation, Unit
from facts.querysets import RoundQuerySet

from .instrument import Instrument


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


class Round(models.Model):
    """One year's collection. Round R asks about the fiscal year that ended between July R−1 and June R."""

    class State(models.TextChoices):
        PLANNED = "planned", "Planned"
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    class Act(models.TextChoices):
        FREEZE = "freeze", "freeze the frame"
        CLOSE = "close", "close the round"

    year = models.PositiveSmallIntegerField(unique=True)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="rounds")
    state = models.CharField(max_length=8, choices=State, default=State.PLANNED)
    frame_frozen_on = models.DateField(null=True, blank=True, help_text="Frame frozen, sample drawn.")
    opens_on = models.DateField()
    closes_on = models.DateField()
    editing_until = models.DateField(null=True, blank=True, help_text="Editing, call-backs, back-checks.")
    locks_on = models.DateField(null=True, blank=True, help_text="Returns locked, weights and scores made.")
    panel_on = models.DateField(null=True, blank=True, help_text="Index panel, disclosure check.")
    releases_on = models.DateField(null=True, blank=True)
    proposed_act = models.CharField(max_length=8, choices=Act, blank=True, help_text="Waits for a second person.")
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    is_synthetic = models.BooleanField(default=False)

    objects = RoundQuerySet.as_manager()

    class Meta:
        ordering = ["-year"]
        constraints = [
            models.CheckConstraint(
                condition=Q(proposed_act="", proposed_by__isnull=True)
                | (~Q(proposed_act="") & Q(proposed_by__isnull=False)),
                name="facts_round_proposal_has_a_person",
            )
        ]

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
    member = models.BooleanField(default=False, help_text="On the association's list when the frame was frozen.")
    drawn = models.BooleanField(default=True, help_text="In the sample; in a census everybody is.")
    design_weight = models.FloatField(
        default=1.0, help_text="Units that this one stands for by design: N/n of its class."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["round", "unit"], name="facts_frame_once")]
        indexes = [models.Index(fields=["round", "cluster"], name="facts_frame_round_cluster")]


class Collector(models.Model):
    """Which organisation gathers the unit returns of a cluster in a round. Without a row it is the association."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="collectors")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300, blank=True)
    appointed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    appointed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["round", "cluster"]
        constraints = [models.UniqueConstraint(fields=["round", "cluster"], name="facts_collector_once")]

    def __str__(self) -> str:
        return f"{self.organisation_id} for {self.cluster_id}"


class Extension(models.Model):
    """More time for a cluster's returns, with a reason and an end. The latest end counts."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="extensions")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    until = models.DateField()
    reason = models.CharField(max_length=300)
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    granted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-until", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(reason=""),
                name="facts_extension_has_reason",
                violation_error_message="Say why more time is given.",
            )
        ]


class UnitLink(models.Model):
    """A personal link: one unit, one round, no account of one's own. Only a digest of the link is kept."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="links")
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Stands for whoever holds the link: without password, with the rights of this one return.",
    )
    token_digest = models.CharField(max_length=64, unique=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["round", "unit"], condition=Q(revoked_at__isnull=True), name="facts_one_link_a_unit"
            )
        ]


class Invitation(models.Model):
    """A message that asks a person to file, reminds them, or says that the return is late."""

    class Kind(models.TextChoices):
        INVITED = "invited", "invited"
        REMINDED = "reminded", "reminded"
        LATE = "late", "told that it is late"

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="invitations")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind)
    on = models.DateField(help_text="The day it was due; a second run of that day sends nothing.")
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-on", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["round", "cluster", "user", "kind", "on"], name="facts_invitation_once")
        ]

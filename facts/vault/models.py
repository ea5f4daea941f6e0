"""The vault: unit identity and answers, in separate tables, each sealed with AES-256-GCM."""

import datetime as dt

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class SealedAnswers(models.Model):
    """The payload of one return: number 0 is the working draft, n ≥ 1 a submitted version, which never changes."""

    ret = models.ForeignKey("facts.Return", on_delete=models.PROTECT, related_name="+")
    number = models.PositiveSmallIntegerField()
    key_id = models.CharField(max_length=12)
    payload = models.BinaryField()
    digest = models.CharField(
        max_length=64, help_text="Keyed digest of the answers, named by audit, receipt and snapshot."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ret", "number"], name="vault_answers_once")]


class SealedNote(models.Model):
    """A reviewer's words on a version; they may repeat figures, so they are sealed too."""

    ret = models.ForeignKey("facts.Return", on_delete=models.PROTECT, related_name="+")
    version = models.PositiveSmallIntegerField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    key_id = models.CharField(max_length=12)
    payload = models.BinaryField()

    class Meta:
        ordering = ["pk"]


class UnitIdentity(models.Model):
    """Who a unit is: name, address, contact, registration number. Never beside its answers."""

    unit = models.OneToOneField("clusters.Unit", on_delete=models.PROTECT, related_name="+")
    key_id = models.CharField(max_length=12)
    payload = models.BinaryField()
    registration_digest = models.CharField(max_length=64, blank=True, db_index=True)
    telephone_digest = models.CharField(max_length=64, blank=True, db_index=True)


class SealedText(models.Model):
    """Words or numbers about a firm that belong to a record elsewhere: `query:12`, `flag:7`, `reopening:3`."""

    place = models.CharField(max_length=60, db_index=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    key_id = models.CharField(max_length=12)
    payload = models.BinaryField()

    class Meta:
        ordering = ["pk"]


class BreakGlass(models.Model):
    """One hour in which one person opens what the role keeps shut, in one cluster and round. Two people; never longer.

    It ends by itself, by the database's clock; nothing has to run for that. The reason lies sealed.
    """

    class Kind(models.TextChoices):
        NAMES = "names", "names and numbers of units"
        VALUES = "values", "submitted values"
        EXPORT = "export", "values of a cluster as a file, without names"

    class State(models.TextChoices):
        ASKED = "asked", "waits for a second person"
        GRANTED = "granted", "granted"
        DECLINED = "declined", "declined"

    kind = models.CharField(max_length=6, choices=Kind)
    round = models.ForeignKey("facts.Round", on_delete=models.PROTECT, related_name="break_glasses")
    cluster = models.ForeignKey("clusters.Cluster", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.ASKED)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    granted_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True, help_text="When the messages to the heads of the associations went out.")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(granted_by__isnull=True) | ~Q(granted_by=F("asked_by")),
                name="vault_break_glass_two_people",
                violation_error_message="Who asks to break the glass does not grant it.",
            ),
            models.CheckConstraint(
                condition=Q(state="granted", granted_by__isnull=False, granted_at__isnull=False, ends_at__isnull=False)
                | Q(state="asked", granted_by__isnull=True, granted_at__isnull=True, ends_at__isnull=True)
                | Q(state="declined", granted_by__isnull=False, granted_at__isnull=False, ends_at__isnull=True),
                name="vault_break_glass_whole",
            ),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__lte=F("granted_at") + dt.timedelta(minutes=60)),
                name="vault_break_glass_an_hour",
                violation_error_message="The glass stays broken for 60 minutes at most.",
            ),
            models.UniqueConstraint(
                fields=["kind", "round", "cluster", "asked_by"],
                condition=Q(state="asked"),
                name="vault_break_glass_asked_once",
            ),
        ]

    def __str__(self) -> str:
        return f"Break-glass {self.pk}: {self.get_kind_display()}"

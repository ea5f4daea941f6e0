"""The vault: unit identity and answers, in separate tables, each sealed with AES-256-GCM."""

from django.conf import settings
from django.db import models


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

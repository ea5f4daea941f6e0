"""Forms filled in the field, on phones, that were brought in."""

from django.conf import settings
from django.db import models

from .returns import Return


class FieldSubmission(models.Model):
    """A submission whose answers lie in a return's draft. The same one again changes nothing, whatever was typed since.

    Only its id on the server of forms and a keyed digest of what it held are kept here.
    """

    ret = models.ForeignKey(Return, on_delete=models.CASCADE, related_name="submissions")
    instance = models.CharField(max_length=80)
    digest = models.CharField(max_length=64)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["ret", "instance"], name="facts_field_submission_once")]

"""The few shared bases. No domain word here."""

from django.db import models


class DomainError(Exception):
    """An expected refusal: says what was wrong and what would do. Doors show its text to the person."""


class Conflict(DomainError):
    """Somebody else was there first; `current` holds what is stored now."""

    def __init__(self, message: str, current: object = None):
        super().__init__(message)
        self.current = current


class TimeStamped(models.Model):
    """When a row was made and last saved; drives no logic."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

"""Rows of the permission matrix about interventions."""

from django.db.models import Q

from core.policy import ALL, Grant, Role


def published(grant: Grant) -> Q:
    return Q(is_published=True)


MATRIX = {
    "intervention.read": {Role.ANONYMOUS: published, Role.ANALYST: ALL, Role.AUDITOR: ALL},
    "scheme.read": {Role.ANONYMOUS: ALL},
}

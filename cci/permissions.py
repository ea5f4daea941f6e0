"""Rows of the permission matrix about the index."""

from django.db.models import Q

from clusters.permissions import own_cluster
from core.policy import ALL, Grant, Role


def public_edition(grant: Grant) -> Q:
    return Q(state__in=["published", "superseded"])


def of_public_edition(grant: Grant) -> Q:
    return Q(edition__state__in=["published", "superseded"])


def of_ranked_in_public_edition(grant: Grant) -> Q:
    """Scores of clusters that are not ranked are for staff."""
    return Q(edition__state__in=["published", "superseded"], rank__isnull=False)


_staff = {Role.ANALYST: ALL, Role.AUDITOR: ALL}
MATRIX = {
    "edition.read": {Role.ANONYMOUS: public_edition, **_staff},
    # Staff read candidates on the editions pages; lists and API hold what is published, for everybody alike.
    "score.read": {Role.ANONYMOUS: of_ranked_in_public_edition},
    "ranking.read": {Role.ANONYMOUS: of_public_edition},
    "methodology.read": {Role.ANONYMOUS: ALL},
    "cluster_benchmark.read": {
        **dict.fromkeys((Role.ENTRY, Role.HEAD, Role.STAFF, Role.SUPERVISOR), own_cluster),
        Role.ANALYST: ALL,
    },
    "edition.manage": _staff,
    "edition.recompute": {Role.ANALYST: ALL},
    "edition.propose": {Role.ANALYST: ALL},
    "edition.publish": {Role.ANALYST: ALL},
}

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


def under_embargo(grant: Grant) -> Q:
    """Entries of pre-release lists that hold now. Whose they are the page itself asks: a grant names no person."""
    return Q(edition__state="scheduled", withdrawn_at__isnull=True)


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
    "edition.publish": {Role.ANALYST: ALL},  # and approve for a later hour, and withdraw that approval
    # methodologies: checked by another than who registered, adopted by another than who checked; tried on past rounds
    "methodology.manage": _staff,
    "methodology.decide": {Role.ANALYST: ALL},
    # releases
    "release.read": {Role.ANONYMOUS: ALL},
    "release.manage": _staff,
    "release.edit": {Role.ANALYST: ALL},
    "erratum.read": {Role.ANONYMOUS: of_public_edition},
    "erratum.write": {Role.ANALYST: ALL},
    "revision.read": {Role.ANONYMOUS: of_public_edition},
    "pre_release.manage": _staff,
    "pre_release.grant": {Role.ANALYST: ALL},
    "pre_release.read": dict.fromkeys((role for role in Role.signed_in() if role != Role.LINK), under_embargo),
}

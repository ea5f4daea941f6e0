"""Rows of the permission matrix about returns and what they become."""

from django.db.models import Q

from clusters.permissions import NOTHING, own_cluster
from core.policy import ALL, Grant, Role

COLLECTIVE = ("CLUSTER", "REGION")


def own_return(grant: Grant) -> Q:
    """The association's own return, and the unit returns that the grant's organisation itself typed or imported."""
    if grant.organisation_id is None:
        return NOTHING
    return Q(schedule="ASSOCIATION", organisation=grant.organisation_id) | Q(
        schedule="UNIT", collector=grant.organisation_id
    )


def own_or_about(grant: Grant) -> Q:
    """Own returns, and what the agency says of the own clusters and their regions."""
    return own_return(grant) | Q(schedule__in=COLLECTIVE) & (
        own_cluster(grant, "cluster__") | own_cluster(grant, "region__clusters__")
    )


def agency_return(grant: Grant) -> Q:
    """Returns of the clusters that the grant's agency looks after, and of their regions."""
    return own_cluster(grant, "cluster__") | Q(schedule="REGION") & own_cluster(grant, "region__clusters__")


def agency_collective(grant: Grant) -> Q:
    """Cluster and region schedules, which the agency itself fills."""
    return Q(schedule__in=COLLECTIVE) & agency_return(grant)


def all_collective(grant: Grant) -> Q:
    return Q(schedule__in=COLLECTIVE)


def agency_unit_and_association(grant: Grant) -> Q:
    return Q(schedule__in=["UNIT", "ASSOCIATION"]) & agency_return(grant)


def agency_in_review(grant: Grant) -> Q:
    """Values of submitted returns, without names, while they wait for this agency's decision."""
    return agency_unit_and_association(grant) & Q(state__in=["submitted", "in_review"])


def published_value(grant: Grant) -> Q:
    return Q(snapshot__editions__state__in=["published", "superseded"])


_own = dict.fromkeys((Role.ENTRY, Role.HEAD), own_return)
_readers = dict.fromkeys((Role.ENTRY, Role.HEAD), own_or_about)
_agency = dict.fromkeys((Role.STAFF, Role.SUPERVISOR), agency_return)
_clerks = dict.fromkeys((Role.STAFF, Role.SUPERVISOR), agency_collective)

MATRIX = {
    "instrument.read": {Role.ANONYMOUS: ALL},
    "indicator.read": {Role.ANONYMOUS: ALL},
    "indicator_value.read": {Role.ANONYMOUS: published_value},
    "round.read": {Role.ANONYMOUS: ALL},
    "round.close": {Role.ANALYST: ALL},
    "return.read": {**_readers, **_agency, Role.ANALYST: ALL, Role.AUDITOR: ALL, Role.CLIENT: own_return},
    "return.read_draft": {**_own, **_clerks, Role.ANALYST: all_collective},
    "return.write": {**_own, **_clerks, Role.ANALYST: all_collective, Role.CLIENT: own_return},
    "return.create": {**_own, **_clerks, Role.ANALYST: all_collective, Role.CLIENT: own_return},
    "return.submit": {Role.HEAD: own_return, **_clerks, Role.ANALYST: all_collective},
    "return.read_submitted": {
        **_readers,
        Role.STAFF: agency_collective,
        Role.SUPERVISOR: lambda grant: agency_in_review(grant) | agency_collective(grant),
        Role.ANALYST: ALL,
        Role.AUDITOR: all_collective,
    },
    "return.review": {Role.SUPERVISOR: agency_return, Role.ANALYST: all_collective},
    "unit_identity.read": _own,
}

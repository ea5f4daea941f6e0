"""Rows of the permission matrix about the ground, and who holds which role."""

from django.db.models import Q
from django.utils import timezone

from core.policy import ALL, Grant, Role

from .models import Membership


def grants_of(user) -> list[Grant]:
    """Return the roles a person holds today. One query."""
    held = Membership.objects.filter(Q(ends_on=None) | Q(ends_on__gte=timezone.localdate()), user=user)
    return [
        Grant(Role(role), organisation, unit, user.pk)
        for role, organisation, unit in held.values_list("role", "organisation_id", "unit_id")
    ]


NOTHING = Q(pk__in=[])


def published(grant: Grant) -> Q:
    return Q(is_published=True)


def own_cluster(grant: Grant, path: str = "") -> Q:
    """Clusters the grant's organisation looks after, represents or collects for."""
    if grant.organisation_id is None:
        return NOTHING
    return Q(**{f"{path}roles__organisation": grant.organisation_id, f"{path}roles__role__in": _ROLES[grant.role]})


_ROLES = {
    Role.ENTRY: ["association", "collector"],
    Role.HEAD: ["association", "collector"],
    Role.CLIENT: ["association", "collector"],
    Role.STAFF: ["lead_agency"],
    Role.SUPERVISOR: ["lead_agency"],
}


def published_fact(grant: Grant) -> Q:
    return Q(state="published", cluster__is_published=True)


def own_cluster_fact(grant: Grant) -> Q:
    return own_cluster(grant, "cluster__")


MATRIX = {
    "cluster.read": {
        Role.ANONYMOUS: published,
        **dict.fromkeys((Role.ENTRY, Role.HEAD, Role.STAFF, Role.SUPERVISOR), own_cluster),
        Role.ANALYST: ALL,
        Role.AUDITOR: ALL,
    },
    "register.read": {Role.ANONYMOUS: ALL},  # regions, sectors, agencies, zones: public registers
    "profile.read": {  # as it is being filled in, with what is proposed
        **dict.fromkeys((Role.ENTRY, Role.HEAD, Role.STAFF, Role.SUPERVISOR), own_cluster),
        Role.ANALYST: ALL,
        Role.AUDITOR: ALL,
    },
    "profile.write": {
        Role.ENTRY: own_cluster,
        Role.HEAD: own_cluster,
        Role.STAFF: own_cluster,
        Role.SUPERVISOR: own_cluster,
    },
    "fact.read": {
        Role.ANONYMOUS: published_fact,
        **dict.fromkeys((Role.ENTRY, Role.HEAD, Role.STAFF, Role.SUPERVISOR), own_cluster_fact),
        Role.ANALYST: ALL,
        Role.AUDITOR: ALL,
    },
    "fact.publish": {Role.SUPERVISOR: own_cluster_fact},
    # A partner client learns the frame numbers for which it may file, and nothing else of a unit.
    "unit.read": dict.fromkeys((Role.ENTRY, Role.HEAD, Role.CLIENT), own_cluster_fact) | {Role.ANALYST: ALL},
    "unit.read_register": dict.fromkeys((Role.ENTRY, Role.HEAD), own_cluster_fact) | {Role.ANALYST: ALL},
}

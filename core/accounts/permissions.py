"""Rows of the permission matrix about one's own account, people and API clients of an organisation."""

from django.db.models import Q

from core.policy import ALL, Grant, Role


def of_own_organisation(*roles: Role):
    """People of the grant's own organisation who hold one of `roles` there, or are invited to it."""

    def scope(grant: Grant) -> Q:
        if grant.organisation_id is None:
            return Q(pk__in=[])
        return Q(organisation=grant.organisation_id, role__in=roles)

    return scope


def own_organisation(grant: Grant) -> Q:
    return Q(pk__in=[]) if grant.organisation_id is None else Q(organisation=grant.organisation_id)


def people(grant: Grant) -> Q:
    return ~Q(role__in=[Role.LINK, Role.CLIENT])


# Who invites whom. A head could otherwise make heads, and a supervisor supervisors.
INVITES = {Role.HEAD: (Role.ENTRY,), Role.SUPERVISOR: (Role.STAFF,)}
_people = {role: of_own_organisation(*invited) for role, invited in INVITES.items()} | {Role.ADMIN: people}

MATRIX = {
    "account.self": {role: ALL for role in Role.signed_in() if role not in (Role.LINK, Role.CLIENT)},
    "people.manage": _people,
    "second_factor.forget": {Role.ADMIN: people},
    "api_client.manage": {Role.HEAD: own_organisation, Role.SUPERVISOR: own_organisation, Role.ADMIN: ALL},
}

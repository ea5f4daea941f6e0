"""Who may what: the permission matrix as data, one question for view, API, template and task. Deny by default.

Each app's `permissions.py` holds its rows, `MATRIX = {action: {role: scope}}`. A scope is a function from a grant
(role × organisation) to a `Q` over the action's model; `ALL` grants every object. What no row names is refused.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.utils.module_loading import import_string


class Role(StrEnum):
    """The ten roles of the permission matrix, and the holder of a personal link, who has no account."""

    ANONYMOUS = "anonymous"
    VIEWER = "viewer"
    ENTRY = "entry"
    HEAD = "head"
    STAFF = "staff"
    SUPERVISOR = "supervisor"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    CLIENT = "client"
    ADMIN = "admin"
    LINK = "link"

    @classmethod
    def signed_in(cls) -> list["Role"]:
        return [role for role in cls if role is not cls.ANONYMOUS]


@dataclass(frozen=True)
class Grant:
    """One role that a person holds, for one organisation, for one unit (a personal link), or for the office itself.

    user_id : who holds it; None for what everybody holds. A personal link and an hour of broken glass hang on it.
    """

    role: Role
    organisation_id: int | None = None
    unit_id: int | None = None
    user_id: int | None = None


Scope = Callable[[Grant], Q]


def ALL(grant: Grant) -> Q:
    """Every object."""
    return Q()


@cache
def matrix() -> dict[str, dict[Role, Scope]]:
    """Return the whole matrix, gathered from the apps; an action named twice is an error."""
    rows: dict[str, dict[Role, Scope]] = {}
    for module in settings.POLICY_MODULES:
        for action, row in import_string(f"{module}.MATRIX").items():
            if action in rows:
                raise ValueError(f"Action {action} has two rows in the permission matrix.")
            rows[action] = row
    return rows


def grants_of(user) -> tuple[Grant, ...]:
    """Return what a person holds; anonymous rights are everybody's. Cached on the user for the request."""
    cached = getattr(user, "_policy_grants", None)
    if cached is None:
        own: Iterable[Grant] = ()
        if user is not None and user.is_authenticated and user.is_active:
            own = import_string(settings.POLICY_GRANTS)(user)
        cached = (Grant(Role.ANONYMOUS), *own)
        if user is not None:
            user._policy_grants = cached
    return cached


def _scopes(user, action: str) -> list[Q]:
    row = matrix().get(action)
    if row is None:
        return []
    return [row[grant.role](grant) for grant in grants_of(user) if grant.role in row]


def scope(user, action: str, queryset: QuerySet) -> QuerySet:
    """Return the part of `queryset` on which `user` may do `action`; nothing where no row says so."""
    scopes = _scopes(user, action)
    if not scopes:
        return queryset.none()
    if any(not q for q in scopes):  # an empty Q is everything
        return queryset
    allowed_rows = scopes[0]
    for q in scopes[1:]:
        allowed_rows |= q
    # A subquery keeps joins made by the scope from doubling rows. It carries the queryset's own conditions too, so
    # that a database need not go through the whole table to judge a few rows of it.
    inside = queryset.model._default_manager.all()
    if not queryset.query.annotations and not queryset.query.is_sliced:
        inside = queryset.order_by()
        inside.query.select_related, inside.query.select_for_update = False, False
    return queryset.filter(pk__in=inside.filter(allowed_rows).values("pk"))


def allowed(user, action: str, obj: Model | None = None) -> bool:
    """Say whether `user` may do `action`, to `obj` where one is given. One query at most."""
    scopes = _scopes(user, action)
    if not scopes:
        return False
    if obj is None or any(not q for q in scopes):
        return True
    return scope(user, action, type(obj)._default_manager.filter(pk=obj.pk)).exists()


def require(user, action: str, obj: Model | None = None) -> None:
    """Raise PermissionDenied unless `allowed`."""
    if not allowed(user, action, obj):
        raise PermissionDenied("This account may not do that.")

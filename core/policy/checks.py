"""Start-up checks: what the permission matrix does not name is not there. Each error names the place and the mend.

* every route, and every verb of an API view, names an action that the matrix knows (E001–E003);
* every filter, ordering and search field of an API list stands on a list of its own, none is guessed (E004);
* every serializer names its fields one by one, and takes nothing that the house alone writes (E005, E006);
* no confidential model stands in the admin site (E007).
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator

from django.conf import settings
from django.core.checks import Error, register
from django.urls import URLPattern, URLResolver, get_resolver

from core import policy

# What no client ever writes: ids, scope keys, state, versions, digests, moments, people, totals.
NEVER_WRITTEN = {
    *("id", "pk", "state", "version", "revision", "digest", "organisation", "collector", "shared_with", "typed_by"),
    *("is_synthetic", "is_staff", "is_superuser", "groups", "user_permissions", "role", "created_at", "updated_at"),
    *("count", "total", "rank", "value"),
}
VERBS = {"get", "post", "put", "patch", "delete"}
BY_VERB = {"post": "create", "put": "update", "patch": "partial_update", "delete": "destroy"}


def routes(resolver=None, prefix=""):
    """Yield `(path, callback)` of every route."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


def class_of(callback):
    """The class behind a route's callback, or None for a plain function."""
    return getattr(callback, "view_class", None) or getattr(callback, "cls", None)


def actions_of(callback) -> list[str]:
    """Return the actions a route may ask for; empty where it names none."""
    cls = class_of(callback)
    if cls is not None and hasattr(cls, "policy_actions"):
        return list(cls.policy_actions.values())
    named = [
        getattr(cls, "action", None),
        getattr(cls, "post_action", None),
        getattr(callback, "action", None),
    ]
    return [name for name in named if isinstance(name, str)]


def unnamed_verbs(callback) -> list[str]:
    """The verbs of an API route whose method has no action of its own, as DRF names it."""
    cls, methods = class_of(callback), getattr(callback, "actions", None)
    if cls is None or not hasattr(cls, "policy_actions"):
        return []
    if methods is None:  # a plain APIView: its methods are its verbs
        methods = {verb: verb for verb in VERBS if hasattr(cls, verb)}
    allowed = set(getattr(cls, "http_method_names", VERBS))
    return sorted(
        f"{verb.upper()} ({name})"
        for verb, name in methods.items()
        if verb in VERBS & allowed and name not in cls.policy_actions
    )


@register()
def every_route_names_its_action(app_configs, **kwargs):
    errors = []
    for path, callback in routes():
        actions = actions_of(callback)
        if not actions:
            errors.append(
                Error(
                    f"Route /{path} names no action of the permission matrix.",
                    hint="Give the view `action`, or an API view `policy_actions`; mark a page for everybody `public`.",
                    id="policy.E001",
                )
            )
        errors += [
            Error(
                f"Route /{path} names {action}, which has no row in the permission matrix.",
                hint="Write its row in the `permissions.py` of the app.",
                id="policy.E002",
            )
            for action in actions
            if action not in policy.matrix()
        ]
        errors += [
            Error(
                f"Route /{path} answers {verb} without an action of its own.",
                hint="Add the verb to `policy_actions`, or take it out of `http_method_names`.",
                id="policy.E003",
            )
            for verb in unnamed_verbs(callback)
        ]
    return errors


# --- lists that are open only where they say so -----------------------------------------------------


def api_views() -> Iterator[tuple[str, type]]:
    """Each API viewset once, with the first path under which it stands."""
    seen: set[type] = set()
    for path, callback in routes():
        cls = getattr(callback, "cls", None)
        if cls is not None and cls not in seen:
            seen.add(cls)
            yield path, cls


def guessed_fields(cls) -> list[str]:
    """What of a view's filters, ordering and search is not on a list of its own."""
    found = []
    if getattr(cls, "filterset_fields", None):
        found.append("`filterset_fields`, which makes filters by itself: write a FilterSet")
    filterset = getattr(cls, "filterset_class", None)
    meta = getattr(filterset, "_meta", None)
    if meta is not None and meta.model is not None and (meta.fields is None or meta.fields == "__all__"):
        found.append(f"{filterset.__name__} of all fields of its model: name them in `Meta.fields`")
    for backend in getattr(cls, "filter_backends", ()):
        for kind, attribute in (("OrderingFilter", "ordering_fields"), ("SearchFilter", "search_fields")):
            if kind in {base.__name__ for base in backend.__mro__}:
                names = getattr(cls, attribute, None)
                if not names or names == "__all__":
                    found.append(f"{backend.__name__} without `{attribute}`: name the fields")
    return found


@register()
def every_filter_stands_on_a_list(app_configs, **kwargs):
    return [
        Error(f"{cls.__name__} at /{path} has {what}.", id="policy.E004")
        for path, cls in api_views()
        for what in guessed_fields(cls)
    ]


def _every_subclass(cls) -> set[type]:
    return {one for sub in cls.__subclasses__() for one in {sub, *_every_subclass(sub)}}


def own_serializers() -> list[type]:
    """The serializers of our apps, by module and name."""
    from rest_framework.serializers import BaseSerializer

    homes = {module.split(".")[0] for module in settings.POLICY_MODULES} | {"observatory"}
    found = [one for one in _every_subclass(BaseSerializer) if one.__module__.split(".")[0] in homes]
    return sorted(found, key=lambda one: (one.__module__, one.__qualname__))


def taken_by(cls) -> dict[str, object]:
    """The names that a serializer takes from a client, with their fields."""
    if not hasattr(cls, "get_fields"):
        return {}
    return {name: one for name, one in cls().fields.items() if not one.read_only}


@register()
def every_serializer_names_its_fields(app_configs, **kwargs):
    writers = {
        serializer
        for _, cls in api_views()
        for name, serializer in getattr(cls, "serializer_classes", {}).items()
        if name in set(BY_VERB.values())
    }
    errors = []
    for cls in own_serializers():
        place = f"{cls.__module__}.{cls.__qualname__}"
        meta = getattr(cls, "Meta", None)
        if getattr(meta, "fields", None) == "__all__" or getattr(meta, "exclude", None):
            errors.append(
                Error(
                    f"{place} takes the fields of its model as they come.",
                    hint="Name them one by one in `Meta.fields`.",
                    id="policy.E005",
                )
            )
            continue
        if cls in writers:
            errors += [
                Error(
                    f"{place} takes {name} from a client, which the house alone writes.",
                    hint="Make the field read-only, or take it out.",
                    id="policy.E006",
                )
                for name in sorted(NEVER_WRITTEN.intersection(taken_by(cls)))
            ]
    return errors


# --- what changes something is behind a view with an action ------------------------------------------


def writing_methods(cls) -> list[str]:
    """The methods of a page class that answer a changing verb and are its own: what may call a service that writes."""
    return [verb for verb in ("post", "put", "patch", "delete") if callable(getattr(cls, verb, None))]


def asks_the_matrix(cls) -> bool:
    """Whether a page asks the matrix before any of its methods runs: `PolicyMixin` at the front of the class."""
    from core.policy.views import PolicyMixin

    if not issubclass(cls, PolicyMixin):
        return False
    for base in cls.__mro__:
        if base is PolicyMixin:
            return True
        if "dispatch" in base.__dict__ and not _goes_on(base.__dict__["dispatch"]):
            return False
    return False


def _goes_on(method) -> bool:
    """Whether a method that stands before the matrix hands on to it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "dispatch")
    return any(isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "super" for node in calls)


@register()
def every_act_asks_the_matrix(app_configs, **kwargs):
    """A page of ours that changes something must ask before it acts; API views ask by their permission class."""
    from core.policy.api import PolicyPermission

    errors = []
    homes = {module.split(".")[0] for module in settings.POLICY_MODULES} | {"observatory"}
    for path, callback in routes():
        cls = class_of(callback)
        if cls is None or cls.__module__.split(".")[0] not in homes:
            continue
        if hasattr(cls, "policy_actions"):
            asks = any(issubclass(one, PolicyPermission) for one in getattr(cls, "permission_classes", ()))
            acts = set(getattr(callback, "actions", {}) or {}) & (VERBS - {"get"})
            is_open = acts and not asks
        else:
            is_open = (
                writing_methods(cls) and not asks_the_matrix(cls) and getattr(callback, "action", "") != "site.read"
            )
        if is_open:
            errors.append(
                Error(
                    f"Route /{path} changes something and does not ask the matrix first.",
                    hint="Put PolicyMixin first among the bases, or leave PolicyPermission in `permission_classes`.",
                    id="policy.E008",
                )
            )
    return errors


@register()
def the_admin_site_shows_nothing_confidential(app_configs, **kwargs):
    """Answers, identities, returns and what is said about them are in no admin site, where no matrix is asked."""
    from django.apps import apps

    if not apps.is_installed("django.contrib.admin"):
        return []
    from django.contrib import admin

    confidential = {"facts", "vault", "cci", "audit", "jobs"}
    return [
        Error(
            f"{model._meta.label} stands in the admin site, where the permission matrix is not asked.",
            hint="Take it out of the app's `admin.py`.",
            id="policy.E007",
        )
        for model in admin.site._registry
        if model._meta.app_label in confidential
    ]

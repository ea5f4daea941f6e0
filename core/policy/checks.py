"""Start-up check: every route names an action that the matrix knows."""

from django.core.checks import Error, register
from django.urls import URLPattern, URLResolver, get_resolver

from core import policy

FOREIGN = ("drf_spectacular.", "whitenoise.", "django.views.static")


def routes(resolver=None, prefix=""):
    """Yield `(path, callback)` of every route."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


def actions_of(callback) -> list[str]:
    """Return the actions a route may ask for; empty where it names none."""
    cls = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    if cls is not None and hasattr(cls, "policy_actions"):
        return list(cls.policy_actions.values())
    named = [
        getattr(cls, "action", None),
        getattr(cls, "post_action", None),
        getattr(callback, "action", None),
    ]
    return [name for name in named if isinstance(name, str)]


@register()
def every_route_names_its_action(app_configs, **kwargs):
    errors = []
    for path, callback in routes():
        actions = actions_of(callback)
        if not actions:
            errors.append(Error(f"Route /{path} names no action of the permission matrix.", id="policy.E001"))
        errors += [
            Error(f"Route /{path} names {action}, which has no row in the permission matrix.", id="policy.E002")
            for action in actions
            if action not in policy.matrix()
        ]
    return errors

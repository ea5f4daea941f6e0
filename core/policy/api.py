"""How an API view names its actions: `policy_actions = {"list": "cluster.read", …}`."""

from rest_framework.permissions import BasePermission

from core import policy


def api_action(view) -> str | None:
    actions = getattr(view, "policy_actions", {})
    return actions.get(getattr(view, "action", None) or view.request.method.lower())


class PolicyPermission(BasePermission):
    """Allow what the matrix allows; a view or verb without a row is refused."""

    def has_permission(self, request, view):
        action = api_action(view)
        if action is None:
            # DRF answers 405 for a verb the view does not have before it asks for rows of the others.
            return getattr(view, "action", "") is None or request.method == "OPTIONS"
        return policy.allowed(request.user, action)


class ScopedQuerysetMixin:
    """Narrow an API queryset to the scope of the verb's action."""

    def get_queryset(self):
        return policy.scope(self.request.user, api_action(self) or "", super().get_queryset())

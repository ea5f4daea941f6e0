"""How an API key signs in, and what it is for. `Authorization: Token <key>`, as for every token of the API."""

from django.conf import settings
from rest_framework.authentication import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied

from core.policy.api import PolicyPermission, api_action

from . import clients
from .models import ApiClient


class KeyAuthentication(TokenAuthentication):
    """Keys of API clients; on the demonstration stand the plain tokens of its accounts as well."""

    def authenticate_credentials(self, key):
        if key.startswith(clients.MARK):
            client = clients.find_client(key)
            if client is None:
                raise AuthenticationFailed("This key does not work: it is unknown, was ended or ran out.")
            return client.user, client
        if not settings.DEMO:  # a plain token has neither scopes nor an end
            raise AuthenticationFailed("This key does not work: it is unknown, was ended or ran out.")
        return super().authenticate_credentials(key)


class ScopedPermission(PolicyPermission):
    """What the matrix allows the account and, for a key, what its scopes allow besides. Deny by default."""

    def has_permission(self, request, view):
        if not super().has_permission(request, view):
            return False
        action = api_action(view)
        if isinstance(request.auth, ApiClient) and action is not None:
            wanted = settings.API_SCOPES.get(action, ())
            if not set(wanted) & set(request.auth.scopes):
                needs = f"the scope {' or '.join(wanted)}" if wanted else "a person, not a key"
                raise PermissionDenied(f"The key of {request.auth.name} may not do {action}: it needs {needs}.")
        return True

"""How a page names its action. A page that names none fails the start-up check."""

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404

from core import policy

# What a page answers. Django's form views would take PUT for POST.
METHODS = ("GET", "HEAD", "POST", "OPTIONS")


def public(view):
    """Mark a view that everybody may call and that shows nothing of anybody (sign-in, health)."""
    view.action = "site.read"
    return view


class PolicyMixin:
    """Refuse a page before it runs unless its action is allowed; narrow its queryset to the action's scope.

    action : the row of the matrix for reading the page; `post_action` for sending its form (same row where absent).
    Out of scope is 404, as if the record did not exist; a missing right is 403; no sign-in leads to the sign-in page.
    """

    action: str
    post_action: str | None = None

    @property
    def current_action(self) -> str:
        reads = self.request.method in ("GET", "HEAD", "OPTIONS")
        return self.post_action if self.post_action and not reads else self.action

    def dispatch(self, request, *args, **kwargs):
        if not policy.allowed(request.user, self.current_action):
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            raise PermissionDenied("This account may not do that.")
        if request.method not in METHODS:
            return self.http_method_not_allowed(request, *args, **kwargs)
        return super().dispatch(request, *args, **kwargs)

    def in_scope(self, queryset):
        return policy.scope(self.request.user, self.current_action, queryset)

    def get_queryset(self):
        return self.in_scope(super().get_queryset())

    def fetch(self, queryset, **lookup):
        """Return one record in scope, or answer 404."""
        found = self.in_scope(queryset.filter(**lookup)).first()
        if found is None:
            raise Http404
        return found

"""What the pages of one edition share."""

from django.urls import reverse
from django.views.generic import TemplateView

from cci.models import Edition
from core.policy.views import PolicyMixin

REFRESH_SECONDS = "3"
TABS = {
    "edition": "Run and decision",
    "edition-results": "Beside what is published",
    "edition-robustness": "Robustness",
    "edition-coherence": "Coherence",
    "edition-record": "Who did what",
}


def whole(text) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 8 else None


def refreshing(response, is_working: bool):
    """While a worker is at it, the page asks again by itself, with or without scripts."""
    if is_working:
        response["Refresh"] = REFRESH_SECONDS
    return response


class OfEdition(PolicyMixin, TemplateView):
    """A page of one edition for the staff."""

    action = "edition.manage"
    tab = "edition"

    def get_edition(self) -> Edition:
        editions = Edition.objects.select_related(
            "round__instrument", "methodology", "snapshot", "job", "requested_by", "proposed_by", "published_by"
        )
        return self.fetch(editions, pk=self.kwargs["pk"])

    def get_context_data(self, **kwargs):
        edition = kwargs.pop("edition", None) or self.get_edition()
        is_computing = edition.state == Edition.State.COMPUTING
        has_figures = bool(edition.computed_at) and edition.state not in (Edition.State.COMPUTING, Edition.State.FAILED)
        return super().get_context_data(**kwargs) | {
            "edition": edition,
            "is_computing": is_computing,
            "has_figures": has_figures,
            "tabs": [
                {"label": label, "href": reverse(f"cci:{name}", args=[edition.pk]), "current": name == self.tab}
                for name, label in TABS.items()
                if has_figures or name in ("edition", "edition-record")
            ],
        }

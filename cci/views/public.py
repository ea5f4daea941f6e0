"""The public pages of an edition: what they share, and the way to the latest one."""

import re
from functools import cached_property

from django.http import Http404
from django.shortcuts import redirect
from django.views.generic import TemplateView, View

from cci.bands import Band, Move, Place, bands_of, letters, moves_between
from cci.methodology import load_method
from cci.models import Edition
from core.policy.views import PolicyMixin

from .reading import about, citation, edition_before, places_by_edition, places_of

# Names that other apps' pages take from here.
__all__ = [
    "Band",
    "EditionPage",
    "Latest",
    "Move",
    "NoEdition",
    "Place",
    "about",
    "bands_of",
    "citation",
    "edition_before",
    "letters",
    "moves_between",
    "places_by_edition",
    "places_of",
]


class Latest(PolicyMixin, View):
    """Lead to the latest published edition, or say that there is none yet."""

    action = "edition.read"

    def get(self, request):
        latest = Edition.objects.latest_published()
        if latest:
            return redirect(latest)
        return NoEdition.as_view()(request)


class NoEdition(PolicyMixin, TemplateView):
    """What stands at /cci/ before the first edition."""

    action = "edition.read"
    template_name = "cci/no_edition.html"


class EditionPage(PolicyMixin):
    """A page of one public edition, found by its exact label; a bare year finds the edition published for it."""

    action = "edition.read"

    @cached_property
    def edition(self) -> Edition:
        label = self.kwargs["label"]
        public = Edition.objects.public().select_related("round__instrument", "methodology", "snapshot")
        found = public.filter(label=label).first()
        if found is None and re.fullmatch(r"[0-9]{4}", label):
            found = public.filter(state=Edition.State.PUBLISHED, round__year=int(label)).first()
        if found is None:
            raise Http404
        return found

    @cached_property
    def method(self):
        return load_method(self.edition.methodology.version)

    def get_context_data(self, **kwargs):
        edition = self.edition
        current = None
        if edition.state == Edition.State.SUPERSEDED:
            current = Edition.objects.filter(round=edition.round, state=Edition.State.PUBLISHED).first()
        return super().get_context_data(edition=edition, current=current, citation=citation(edition), **kwargs)

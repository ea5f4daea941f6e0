"""The release calendar, errata, how an edition came out, what a revision changed, what is under embargo."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.generic import TemplateView

from cci.filtersets import public_edition
from cci.forms import CorrectedForm, ErratumForm, FixForm, MoveForm, NoteForm, ReleaseForm, usual_moment
from cci.models import Edition, Erratum, PreRelease, Release
from cci.revisions import change_list
from cci.services import releases as calendar
from cci.services import revised, say_corrected, write_erratum
from clusters.models import Cluster
from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Round

PAGE = 100
COMING = 12  # entries of the calendar still to come, on one page


def _public(label: str) -> Edition:
    edition = public_edition(label)
    if edition is None:
        raise Http404
    return edition


# --- For readers ----------------------------------------------------------------------------


class Calendar(PolicyMixin, TemplateView):
    """What comes out when; what came out, was moved or cancelled."""

    action = "release.read"
    template_name = "cci/release_calendar.html"

    def get_context_data(self, **kwargs):
        found = self.in_scope(Release.objects.select_related("round", "edition"))
        coming = found.filter(cancelled_at=None, edition=None).order_by("planned_at", "pk")
        past = found.exclude(pk__in=coming.values("pk")).order_by("-planned_at", "-pk")
        return super().get_context_data(**kwargs) | {
            "coming": list(coming),
            "page": Paginator(past, PAGE).get_page(self.request.GET.get("page")),
            "now": timezone.now(),
        }


class Errata(PolicyMixin, TemplateView):
    """Errors found in published editions."""

    action = "erratum.read"
    template_name = "cci/erratum_list.html"

    def get_context_data(self, **kwargs):
        found = self.in_scope(Erratum.objects.select_related("edition__round", "corrected_in"))
        return super().get_context_data(**kwargs) | {
            "page": Paginator(found.prefetch_related("clusters"), PAGE).get_page(self.request.GET.get("page"))
        }


class EditionRecord(PolicyMixin, TemplateView):
    """How an edition came out: announced, revised, who saw it before, what was found wrong since."""

    action = "edition.read"
    template_name = "cci/release_record.html"

    def get_context_data(self, **kwargs):
        edition = _public(self.kwargs["label"])
        revisions = Edition.objects.public().filter(round=edition.round_id).order_by("-revision")
        # Who was taken off the list before opening anything never saw it.
        seen = [one for one in edition.pre_releases.all() if one.first_opened_at or not one.withdrawn_at]
        return super().get_context_data(**kwargs) | {
            "edition": edition,
            "release": Release.objects.filter(edition=edition).first(),
            "revisions": list(revisions),
            "replaces": revised(edition),
            "pre_releases": seen,
            "errata": list(edition.errata.select_related("corrected_in").prefetch_related("clusters")),
        }


class RevisionChanges(PolicyMixin, TemplateView):
    """What a revision changed, cluster by cluster, on the edition it replaced."""

    action = "revision.read"
    template_name = "cci/revision_changes.html"

    def get_context_data(self, **kwargs):
        edition = _public(self.kwargs["label"])
        before = revised(edition)
        changes = change_list(edition, before) if before else None
        page = Paginator(changes.changed, PAGE).get_page(self.request.GET.get("page")) if changes else None
        return super().get_context_data(**kwargs) | {
            "edition": edition,
            "before": before,
            "changes": changes,
            "page": page,
        }


class PreReleasePage(PolicyMixin, TemplateView):
    """An edition under embargo, for a person on its list. The first opening is kept, and published with the edition."""

    action = "pre_release.read"
    template_name = "cci/pre_release_page.html"

    def get_context_data(self, **kwargs):
        user, label = self.request.user, self.kwargs["label"]
        own = PreRelease.objects.filter(user=user).select_related("edition__round", "edition__methodology", "user")
        access = self.fetch(own, edition__label=label)
        calendar.opened(access)
        edition = access.edition
        standings = edition.standings.filter(cluster__is_published=True, is_ranked=True)
        scores = edition.scores.filter(node="CCI", rank__isnull=False, cluster__in=standings.values("cluster"))
        return super().get_context_data(**kwargs) | {
            "edition": edition,
            "access": access,
            "page": Paginator(scores.select_related("cluster").order_by("rank", "cluster__name"), PAGE).get_page(
                self.request.GET.get("page")
            ),
            "n_ranked": scores.count(),
        }

    def render_to_response(self, context, **kwargs):
        response = super().render_to_response(context, **kwargs)
        response["Cache-Control"] = "no-store"
        return response


# --- In the workspace -----------------------------------------------------------------------


class ReleaseList(PolicyMixin, TemplateView):
    """The calendar as the office keeps it; an analyst announces the next release."""

    action, post_action = "release.manage", "release.edit"
    template_name = "cci/release_list.html"

    def get_context_data(self, **kwargs):
        found = self.in_scope(Release.objects.select_related("round", "edition")).order_by("-planned_at", "-pk")
        may_edit = policy.allowed(self.request.user, "release.edit")
        round_ = Round.objects.order_by("-year").first()
        usual = {"round": round_.year, "title": f"Cluster Competitiveness Index {round_.year}"} if round_ else {}
        if round_:
            usual["planned_at"] = usual_moment(round_.releases_on)
        return super().get_context_data(**kwargs) | {
            "page": Paginator(found, PAGE).get_page(self.request.GET.get("page")),
            "form": (kwargs.get("form") or ReleaseForm(initial=usual)) if may_edit and round_ else None,
        }

    def post(self, request):
        form = ReleaseForm(request.POST)
        if form.is_valid():
            data = dict(form.cleaned_data)
            try:
                made = calendar.announce(data.pop("round"), **data, by=request.user)
            except DomainError as refusal:
                form.add_error(None, str(refusal))
            else:
                return _told(request, made, f"“{made}” is announced for {calendar.planned_words(made)}.")
        return self.render_to_response(self.get_context_data(form=form))


def _told(request, release: Release, words: str):
    messages.success(request, words)
    if release.is_exact and (warning := calendar.short_notice(release.planned_at)):
        messages.warning(request, warning)
    return redirect("cci:release", pk=release.pk)


class ReleasePage(PolicyMixin, TemplateView):
    """One entry of the calendar: fix its hour, move it, cancel it."""

    action, post_action = "release.manage", "release.edit"
    template_name = "cci/release_page.html"

    @property
    def release(self) -> Release:
        return self.fetch(Release.objects.select_related("round", "edition", "announced_by"), pk=self.kwargs["pk"])

    def get_context_data(self, **kwargs):
        release, bound = kwargs.pop("release", None) or self.release, kwargs.pop("bound", {})
        is_open = not (release.cancelled_at or release.edition_id)
        may_edit = policy.allowed(self.request.user, "release.edit") and is_open
        planned = {"planned_at": release.planned_at}
        context = super().get_context_data(**kwargs) | {
            "release": release,
            "words": calendar.planned_words(release),
            "warning": calendar.short_notice(release.planned_at) if is_open and not release.is_exact else "",
            "refused": next(iter(bound), ""),
            "bound": next(iter(bound.values()), None),
        }
        if not may_edit:
            return context
        return context | {
            "fix": None if release.is_exact else bound.get("fix") or FixForm(initial=planned, auto_id="id_fix_%s"),
            "move": bound.get("move") or MoveForm(initial=planned | {"is_exact": True}, auto_id="id_move_%s"),
            "cancel": bound.get("cancel") or NoteForm(label="Why it is cancelled", auto_id="id_cancel_%s"),
        }

    def post(self, request, pk):
        release, act = self.release, request.POST.get("act", "")
        makers = {
            "fix": lambda: FixForm(request.POST, auto_id="id_fix_%s"),
            "move": lambda: MoveForm(request.POST, auto_id="id_move_%s"),
            "cancel": lambda: NoteForm(request.POST, label="Why it is cancelled", auto_id="id_cancel_%s"),
        }
        if act not in makers:
            raise Http404
        form = makers[act]()
        if form.is_valid():
            try:
                if act == "fix":
                    calendar.fix_hour(release, **form.cleaned_data, by=request.user)
                elif act == "move":
                    calendar.move(release, **form.cleaned_data, by=request.user)
                else:
                    calendar.cancel(release, reason=form.cleaned_data["note"], by=request.user)
            except DomainError as refusal:
                form.add_error(None, str(refusal))
            else:
                release.refresh_from_db()
                if act == "cancel":
                    messages.success(request, f"“{release}” is cancelled; readers see why.")
                    return redirect("cci:release", pk=pk)
                return _told(request, release, f"“{release}” comes out on {calendar.planned_words(release)}.")
        return self.render_to_response(self.get_context_data(release=release, bound={act: form}))


class WriteErratum(PolicyMixin, TemplateView):
    """An erratum of a published edition; it is public at once and stays."""

    action = post_action = "erratum.write"
    template_name = "cci/erratum_form.html"

    @property
    def edition(self) -> Edition:
        return get_object_or_404(Edition.objects.public().select_related("round"), label=self.kwargs["label"])

    def get_context_data(self, **kwargs):
        edition = kwargs.pop("edition", None) or self.edition
        later = Edition.objects.public().filter(round=edition.round_id, revision__gt=edition.revision or 0)
        return super().get_context_data(**kwargs) | {
            "edition": edition,
            "form": kwargs.get("form") or ErratumForm(edition=edition),
            "errata": [
                {"erratum": one, "form": CorrectedForm(edition=edition, auto_id=f"id_{one.pk}_%s")}
                for one in edition.errata.select_related("corrected_in")
            ],
            "has_later": later.exists(),
        }

    def post(self, request, label):
        edition = self.edition
        if request.POST.get("erratum", "").isdecimal():
            return self.corrected(edition)
        form = ErratumForm(request.POST, edition=edition)
        if form.is_valid():
            data = form.cleaned_data
            codes = data["clusters"].replace(",", " ").upper().split()
            clusters = list(Cluster.objects.filter(code__in=codes))
            if unknown := sorted(set(codes) - {one.code for one in clusters}):
                form.add_error("clusters", f"There is no cluster of the code {', '.join(unknown)}.")
            else:
                try:
                    write_erratum(edition, **{**data, "clusters": clusters}, by=request.user)
                except DomainError as refusal:
                    form.add_error(None, str(refusal))
                else:
                    messages.success(request, f"The erratum of {edition} is published.")
                    return redirect("cci:errata")
        return self.render_to_response(self.get_context_data(edition=edition, form=form))

    def corrected(self, edition: Edition):
        erratum = get_object_or_404(Erratum, pk=self.request.POST["erratum"], edition=edition)
        form = CorrectedForm(self.request.POST, edition=edition)
        try:
            if not form.is_valid():
                raise DomainError("Choose a published later revision of the same round.")
            say_corrected(erratum, form.cleaned_data["corrected_in"], by=self.request.user)
        except DomainError as refusal:
            messages.error(self.request, str(refusal))
        else:
            messages.success(self.request, "The erratum names its correction.")
        return redirect("cci:erratum-new", label=edition.label)

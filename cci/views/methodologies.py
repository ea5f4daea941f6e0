"""Methodologies: registered, checked, adopted, compared with another, tried on past rounds; what is public."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.views.generic import TemplateView

from cci.filtersets import public_edition
from cci.forms import NoteForm
from cci.methodology import Method, load_method
from cci.methodology_diff import differences, grouped
from cci.models import Edition, Methodology
from cci.revisions import change_list, series_of, summaries, tried_rounds
from cci.services import adopt_methodology, back_cast, check_methodology, register_methodology, request_trial
from cci.services.methodologies import has_registered_files, unregistered_versions
from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Round

PAGE = 100
REFRESH_SECONDS = "3"
PEOPLE = ("registered_by", "checked_by", "adopted_by")
NOTES = {
    "check": ("What you looked at and what you found", "Kept with the methodology."),
    "adopt": ("Why it is adopted", "For readers; it is published with the methodology."),
}


def _methodology(version: str) -> Methodology:
    return get_object_or_404(Methodology.objects.select_related(*PEOPLE), version=version)


def method_or_none(methodology: Methodology) -> Method | None:
    """The files of a methodology, where this server has the registered ones."""
    return load_method(methodology.version) if has_registered_files(methodology) else None


def adopted_before(methodology: Methodology) -> Methodology | None:
    """What was in use before it: the one adopted last before its own adoption, or the one in use now."""
    found = Methodology.objects.filter(state=Methodology.State.ADOPTED).exclude(pk=methodology.pk)
    if methodology.adopted_at:
        found = found.filter(adopted_at__lt=methodology.adopted_at)
    return found.order_by("-adopted_at", "-pk").first()


class MethodologyList(PolicyMixin, TemplateView):
    """Every methodology with its state and people; files that nobody has registered yet."""

    action, post_action = "methodology.manage", "methodology.decide"
    template_name = "cci/methodology_list.html"

    def get_context_data(self, **kwargs):
        found = list(Methodology.objects.defer("definition").select_related(*PEOPLE).order_by("-pk"))
        current = Methodology.objects.current()
        return super().get_context_data(**kwargs) | {
            "methodologies": found,
            "current": current,
            "may_decide": policy.allowed(self.request.user, "methodology.decide"),
            "unregistered": unregistered_versions(),
        }

    def post(self, request):
        version = request.POST.get("version", "")
        if version not in unregistered_versions():
            raise Http404
        try:
            made = register_methodology(version, by=request.user)
        except (DomainError, ValueError, KeyError) as refusal:
            messages.error(request, f"Methodology {version} cannot be registered: {refusal}")
            return redirect("cci:methodologies")
        messages.success(request, f"{made} is registered as a draft. A colleague checks it.")
        return redirect("cci:methodology-of", version=version)


class MethodologyPage(PolicyMixin, TemplateView):
    """One methodology: what it says, where it stands, what is next and who may do it."""

    action, post_action = "methodology.manage", "methodology.decide"
    template_name = "cci/methodology_page.html"

    def get_context_data(self, **kwargs):
        one, user = kwargs.pop("methodology", None) or _methodology(self.kwargs["version"]), self.request.user
        method = method_or_none(one)
        others = Methodology.objects.defer("definition").exclude(pk=one.pk).order_by("-pk")
        act = {"draft": "check", "checked": "adopt"}.get(one.state, "")
        barred = {"check": one.registered_by_id, "adopt": one.checked_by_id}.get(act)
        may = policy.allowed(user, "methodology.decide") and barred != user.pk and method is not None
        label, hint = NOTES.get(act, ("", ""))
        return super().get_context_data(**kwargs) | {
            "methodology": one,
            "method": method,
            "nodes": _nodes(method) if method else [],
            "goalposts": _goalposts(method) if method else [],
            "others": list(others),
            "act": act,
            "is_barred": bool(act) and barred == user.pk,
            "may_decide": policy.allowed(user, "methodology.decide"),
            "form": kwargs.get("form") or (NoteForm(label=label, hint=hint) if act and may else None),
            "n_editions": Edition.objects.filter(methodology=one, is_trial=False).count(),
        }

    def post(self, request, version):
        one, act = _methodology(version), request.POST.get("act", "")
        if act not in NOTES:
            raise Http404
        form = NoteForm(request.POST, label=NOTES[act][0], hint=NOTES[act][1])
        if form.is_valid():
            service = check_methodology if act == "check" else adopt_methodology
            try:
                service(one, by=request.user, note=form.cleaned_data["note"])
            except DomainError as refusal:
                form.add_error(None, str(refusal))
            else:
                said = {"check": "is checked. A colleague adopts it.", "adopt": "is adopted: new editions use it."}
                messages.success(request, f"{one} {said[act]}")
                return redirect("cci:methodology-of", version=version)
        return self.render_to_response(self.get_context_data(methodology=one, form=form))


def _nodes(method: Method) -> list[dict]:
    """Pillars and their dimensions with the weights inside their parent and in the index."""
    definitions, found = method.definitions, []
    for pillar in definitions.pillars:
        found.append({"node": pillar, "level": 1, "share": pillar.weight})
        for dimension in definitions.dimensions:
            if dimension.parent == pillar.code:
                n = sum(indicator.dimension == dimension.code for indicator in definitions.indicators)
                share = pillar.weight * dimension.weight
                found.append({"node": dimension, "level": 2, "share": share, "n": n})
    return found


def _goalposts(method: Method) -> list[dict]:
    """Every goalpost as the files have it, those of peer groups beside those of all."""
    names = {one.code: one for one in method.definitions.indicators}
    rows = [*method.goalposts.to_dict("records"), *method.peer_goalposts.to_dict("records")]
    return sorted(({**row, "node": names.get(row["iCode"])} for row in rows), key=lambda row: row["iCode"])


class Difference(PolicyMixin, TemplateView):
    """What one methodology changes on another."""

    action = "methodology.manage"
    template_name = "cci/methodology_difference.html"

    def get_context_data(self, **kwargs):
        one = _methodology(self.kwargs["version"])
        asked = self.request.GET.get("from", "")
        other = _methodology(asked) if asked else adopted_before(one)
        others = Methodology.objects.defer("definition").exclude(pk=one.pk).order_by("-pk")
        return super().get_context_data(**kwargs) | {
            "methodology": one,
            "other": other,
            "others": list(others),
            **_difference(other, one),
        }


def _difference(before: Methodology | None, after: Methodology) -> dict:
    methods = (method_or_none(before) if before else None, method_or_none(after))
    found = differences(*methods) if methods[0] and methods[1] else []
    return {"is_readable": None not in methods, "groups": grouped(found), "count": len(found)}


class Effect(PolicyMixin, TemplateView):
    """What a methodology would do to past rounds: trials, one compared in full, all of them as a series."""

    action, post_action = "methodology.manage", "methodology.decide"
    template_name = "cci/methodology_effect.html"

    def get_context_data(self, **kwargs):
        one = _methodology(self.kwargs["version"])
        tried = tried_rounds(one)
        ready = [row for row in tried if row.is_trial and row.is_ready]
        asked = self.request.GET.get("round", "")
        chosen = next((row for row in ready if str(row.published.round.year) == asked), ready[-1] if ready else None)
        short = summaries(tried)
        changes = change_list(chosen.under, chosen.published, everyone=True) if chosen and chosen.under else None
        page = Paginator(changes.rows, PAGE).get_page(self.request.GET.get("page")) if changes else None
        shown = [row.cluster for row in page] if page else []
        series = series_of(tried, [cluster.pk for cluster in shown]) if len(ready) > 1 else []
        return super().get_context_data(**kwargs) | {
            "methodology": one,
            "rounds": [{"tried": row, "summary": short.get(row.published.pk)} for row in tried],
            "others_made": sum(row.published.methodology_id != one.pk for row in tried),
            "chosen": chosen,
            "changes": changes,
            "page": page,
            "series_years": [row.published.round.year for row in tried if row.is_ready],
            "series": list(zip(shown, series, strict=True)) if series else [],
            "common": ready[-1] if ready else None,
            "may_decide": policy.allowed(self.request.user, "methodology.decide"),
            "is_computing": any(row.under and row.under.state == "computing" for row in tried),
        }

    def render_to_response(self, context, **kwargs):
        response = super().render_to_response(context, **kwargs)
        if context["is_computing"]:
            response["Refresh"] = REFRESH_SECONDS
        return response

    def post(self, request, version):
        one, year = _methodology(version), request.POST.get("round", "")
        try:
            if year == "all":
                n = len(back_cast(one, by=request.user))
                words = f"{n} trial edition{'s are' if n != 1 else ' is'} queued."
            else:
                round_ = Round.objects.filter(year=int(year)).first() if year.isdecimal() else None
                if round_ is None:
                    raise Http404
                words = f"{request_trial(one, round_, by=request.user)} is queued."
        except DomainError as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, words)
        return redirect("cci:methodology-effect", version=version)


class PublicDifference(PolicyMixin, TemplateView):
    """For readers: what changed in the method since the methodology before."""

    action = "methodology.read"
    template_name = "cci/methodology_changes.html"

    def get_context_data(self, **kwargs):
        edition = public_edition(self.kwargs["label"])
        if edition is None:
            raise Http404
        one = edition.methodology
        before = adopted_before(one)
        return super().get_context_data(**kwargs) | {
            "edition": edition,
            "methodology": one,
            "other": before,
            **_difference(before, one),
        }

"""Break-glass: ask, grant as a second person, and what is open for the hour."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.generic import TemplateView, View

from clusters.models import Cluster
from core.accounts.sessions import Reauthenticated
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Return, Round
from facts.services import break_glass, opening
from facts.services.findings import EXPLANATION_MIN, schedule_of
from facts.wording import in_words, typed, unit_words

from .openings import attachment
from .parts import place_label

PAGE = 50


class BreakGlassList(Reauthenticated, PolicyMixin, TemplateView):
    """Wishes and hours, newest first, and the form to ask."""

    action = post_action = "break_glass.ask"
    template_name = "facts/break_glass_list.html"

    def get_context_data(self, **kwargs):
        user, post = self.request.user, self.request.POST
        page = Paginator(break_glass.shown_to(user), PAGE).get_page(self.request.GET.get("page"))
        running = set(break_glass.live().values_list("pk", flat=True))
        offices = opening.offices_of({one.asked_by_id for one in page} | {one.granted_by_id or 0 for one in page})
        for one in page:
            one.is_running, one.is_own = one.pk in running, one.asked_by_id == user.pk
            one.asked_office = offices.get(one.asked_by_id, "")
            one.granted_office = offices.get(one.granted_by_id, "")
        kinds = [(kind.value, kind.label) for kind in map(break_glass.Kind, break_glass.kinds_for(user))]
        return (
            super().get_context_data(**kwargs)
            | {
                "page": page,
                "kinds": kinds,
                "rounds": Round.objects.order_by("-year"),
                "clusters": Cluster.objects.filter(kind=Cluster.Kind.CLUSTER).order_by("name", "pk"),
                "minimum": EXPLANATION_MIN,
                "typed": {name: post.get(name, "") for name in ("kind", "round", "cluster", "reason")},
            }
            | kwargs
        )

    def post(self, request):
        round_ = Round.objects.filter(year=_whole(request.POST.get("round"))).first()
        cluster = Cluster.objects.filter(code=request.POST.get("cluster", "")[:20]).first()
        try:
            if round_ is None or cluster is None:
                raise DomainError("Choose one cluster and one round; a wider hour is not granted.")
            glass = break_glass.ask(
                kind=request.POST.get("kind", ""),
                round_=round_,
                cluster=cluster,
                by=request.user,
                reason=request.POST.get("reason", ""),
            )
        except DomainError as refusal:
            return self.render_to_response(self.get_context_data(error=str(refusal)), status=409)
        messages.success(request, "Asked. A second person decides; until then nothing is open.")
        return redirect("facts:break-glass", pk=glass.pk)


class OneGlass(PolicyMixin):
    """A page about one wish or hour."""

    action = post_action = "break_glass.ask"

    def get_glass(self):
        found = break_glass.shown_to(self.request.user).filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise Http404
        return found

    def get_own(self):
        """The person's own running hour; anything else does not exist."""
        found = break_glass.live_of(self.kwargs["pk"], self.request.user)
        if found is None:
            raise Http404
        return found


class BreakGlassPage(Reauthenticated, OneGlass, TemplateView):
    """One wish: why, who decides; while the own hour runs, what it opens."""

    template_name = "facts/break_glass.html"

    def get_context_data(self, **kwargs):
        glass, user = self.get_glass(), self.request.user
        live = break_glass.live_of(glass.pk, user)
        offices = opening.offices_of({glass.asked_by_id, glass.granted_by_id or 0})
        context = super().get_context_data(**kwargs) | {
            "glass": glass,
            "reason": break_glass.reasons_of([glass]).get(glass.pk, ""),
            "asked_office": offices.get(glass.asked_by_id, ""),
            "granted_office": offices.get(glass.granted_by_id, ""),
            "is_own": glass.asked_by_id == user.pk,
            "may_decide": glass.state == "asked" and glass.asked_by_id != user.pk,
            "live": live,
        }
        if live is not None and live.kind == break_glass.Kind.NAMES:
            number = max(1, _whole(self.request.GET.get("page")))
            rows, total = break_glass.open_names(live, by=user, start=(number - 1) * PAGE, count=PAGE)
            context |= {"names": rows, "page": Paginator(range(total), PAGE).get_page(number)}
        elif live is not None:
            found = break_glass.returns_of(live, by=user).select_related("round", "cluster", "organisation", "region")
            page = Paginator(found, PAGE).get_page(self.request.GET.get("page"))
            for ret in page:
                ret.label = place_label(ret)
            context |= {"returns": page, "page": page}
        return context | kwargs

    def post(self, request, pk):
        glass = self.get_glass()
        if "grant" not in request.POST and "decline" not in request.POST:
            raise Http404
        grant = "grant" in request.POST
        try:
            break_glass.decide(glass, by=request.user, grant=grant)
        except DomainError as refusal:
            return self.render_to_response(self.get_context_data(error=str(refusal)), status=409)
        done = "Granted for 60 minutes. The heads of the associations are told." if grant else "Declined."
        messages.success(request, done)
        return redirect("facts:break-glass", pk=pk)


class ReturnInTheHour(OneGlass, TemplateView):
    """One return's submitted answers, in the own hour. Opinions that nobody reads of one firm stay shut."""

    template_name = "facts/break_glass_return.html"

    def get_context_data(self, **kwargs):
        glass, user = self.get_own(), self.request.user
        if glass.kind != break_glass.Kind.VALUES:
            raise Http404
        rows = Return.objects.with_subjects().select_related("round__instrument", "cluster__country")
        mine = break_glass.returns_of(glass, by=user).filter(pk=self.kwargs["ret"]).values("pk")
        ret = rows.filter(pk__in=mine).first()
        if ret is None:
            raise Http404
        payload = break_glass.open_values(glass, ret, by=user)
        return super().get_context_data(**kwargs) | {
            "glass": glass,
            "ret": ret,
            "label": place_label(ret),
            "columns": [{"label": "Question"}, {"label": "Answer"}, {"label": "Unit"}],
            "rows": _rows(ret, payload),
        }


def _rows(ret: Return, payload: dict) -> list[list[str | None]]:
    rows: list[list[str | None]] = []
    for code, question in schedule_of(ret).questions.items():
        answer = payload["markers"].get(code) or typed(question, payload["answers"].get(code), 1, ret.currency)
        if question.shown_at_unit_level and answer:
            unit = unit_words(question, 1, ret.currency)
            rows.append([f"{question.short} ({code})", in_words(question, answer), unit])
    return rows


class ValuesFile(OneGlass, View):
    """The file of values that an hour of this kind is for."""

    def get(self, request, pk) -> HttpResponse:
        glass = self.get_own()
        if glass.kind != break_glass.Kind.EXPORT:
            raise Http404
        content = break_glass.values_file(glass, by=request.user)
        return attachment(content, "text/csv; charset=utf-8", f"values-{glass.cluster.code}-{glass.round.year}.csv")


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 9 else 0

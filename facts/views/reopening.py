"""Opening an accepted return again: asked by one person, decided by another, on one page."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import redirect
from django.views.generic import TemplateView

from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Reopening, Return, Round
from facts.services.chain import chain_of
from facts.services.findings import EXPLANATION_MIN
from facts.services.reopening import ask_reopening, decide_reopening, may_decide, words_of

from .parts import place_label, steps_of

PAGE = 50


class ReopeningList(PolicyMixin, TemplateView):
    """Wishes to open accepted returns again that wait for a second person."""

    action = "return.reopen"
    template_name = "facts/reopening_list.html"

    def get_context_data(self, **kwargs):
        returns = self.in_scope(Return.objects.all()).order_by().values("pk")
        found = Reopening.objects.filter(state=Reopening.State.ASKED, ret__in=returns).order_by("asked_at", "pk")
        related = ("ret__round", "ret__cluster", "ret__unit", "ret__organisation", "ret__region", "asked_by")
        page = Paginator(found.select_related(*related), PAGE).get_page(self.request.GET.get("page"))
        for wish in page:
            wish.label, wish.is_own = place_label(wish.ret), wish.asked_by_id == self.request.user.pk
        return super().get_context_data(**kwargs) | {"page": page}


class ReopenPage(PolicyMixin, TemplateView):
    """Ask for an accepted return to be opened again, or decide on that wish."""

    action = post_action = "return.reopen"
    template_name = "facts/reopening.html"

    def get_return(self) -> Return:
        return self.fetch(Return.objects.with_subjects().select_related("round__instrument"), pk=self.kwargs["pk"])

    def get_wish(self, ret: Return) -> Reopening | None:
        wish = ret.reopenings.filter(state=Reopening.State.ASKED).select_related("asked_by").first()
        if wish:
            wish.ret = ret
        return wish

    def get(self, request, *args, **kwargs):
        return self.show(self.get_return())

    def show(self, ret: Return, *, error="", status=200):
        wish = self.get_wish(ret)
        past = list(ret.reopenings.exclude(state=Reopening.State.ASKED))
        words = words_of([*past, *([wish] if wish else [])])
        for one in past:
            one.words = words[one.pk]
        return self.render_to_response(
            self.get_context_data(
                ret=ret,
                label=place_label(ret),
                steps=steps_of(ret),
                chain=chain_of(ret),
                wish=wish,
                wish_words=words[wish.pk] if wish else [],
                past=past,
                is_closed=ret.round.state != Round.State.OPEN,
                may_ask=wish is None and ret.state == Return.State.ACCEPTED,
                why_not=may_decide(wish, self.request.user) if wish else "",
                error=error,
                reason=self.request.POST.get("reason", ""),
                minimum=EXPLANATION_MIN,
            ),
            status=status,
        )

    def post(self, request, *args, **kwargs):
        ret, reason = self.get_return(), request.POST.get("reason", "")
        try:
            if "ask" in request.POST:
                ask_reopening(ret, by=request.user, reason=reason)
                messages.success(request, "Asked. A second person decides; until then nothing changes.")
            elif "grant" in request.POST or "decline" in request.POST:
                wish = self.get_wish(ret)
                if wish is None or str(wish.pk) != request.POST.get("wish", ""):
                    raise DomainError("A colleague decided on this in the meantime, or it was asked anew.")
                grant = "grant" in request.POST
                decide_reopening(wish, by=request.user, grant=grant, words=reason)
                done = "Opened again: the respondent finds it as a draft." if grant else "Declined, with your words."
                messages.success(request, done)
            else:
                raise Http404
        except DomainError as refusal:
            ret.refresh_from_db(fields=["state", "version"])
            return self.show(ret, error=str(refusal), status=409)
        return redirect("facts:reopen", pk=ret.pk)

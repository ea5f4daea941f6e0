"""Every round with its coverage, its forecast and its editions; computing and closing begin here."""

from django.contrib import messages
from django.db.models import Count
from django.http import Http404
from django.shortcuts import redirect
from django.views.generic import TemplateView, View

from cci.desk import cycle
from cci.models import Edition, Release
from cci.services import request_recompute
from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Return, Round, Schedule
from facts.services.rounds import confirm_act, propose_act

from .pages import refreshing, whole


def _round_or_404(text) -> Round:
    round_ = Round.objects.select_related("instrument").filter(year=whole(text)).first()
    if round_ is None:
        raise Http404
    return round_


class EditionList(PolicyMixin, TemplateView):
    """The cycle board."""

    action = "edition.manage"
    template_name = "cci/edition_list.html"

    def get_context_data(self, **kwargs):
        user = self.request.user
        editions = cycle.editions_by_round(self.in_scope(Edition.objects.all()))
        every = [one for found in editions.values() for one in found]
        rounds, coverage = list(Round.objects.order_by("-year")), cycle.coverage_of_rounds()
        are_open = {one.pk for one in rounds if one.state == Round.State.OPEN}
        forecasts = cycle.forecasts(
            [one for one in every if one.is_provisional and one.round_id in are_open and one.computed_at]
        )
        resting = cycle.resting() if are_open else {}
        waiting = Release.objects.filter(cancelled_at=None, edition=None).order_by("-planned_at", "-pk")
        releases = {one.round_id: one for one in waiting}
        return super().get_context_data(**kwargs) | {
            "rounds": [
                {
                    "round": one,
                    "coverage": coverage[one.pk],
                    "editions": editions[one.pk],
                    "forecast": forecasts.get(one.pk),
                    "resting": resting.get(one.pk),
                    "release": releases.get(one.pk),
                    "is_out": any(edition.is_public for edition in editions[one.pk]),
                }
                for one in rounds
            ],
            "next_night": cycle.next_night() if are_open else None,
            "may_recompute": policy.allowed(user, "edition.recompute"),
            "may_close": policy.allowed(user, "round.close"),
            "is_computing": any(one.state == Edition.State.COMPUTING for one in every),
        }

    def render_to_response(self, context, **kwargs):
        return refreshing(super().render_to_response(context, **kwargs), context["is_computing"])


class Recompute(PolicyMixin, View):
    """Ask for an edition; a second click finds the first, and says so."""

    action = "edition.recompute"
    http_method_names = ["post"]

    def post(self, request):
        round_ = _round_or_404(request.POST.get("round"))
        before = Edition.objects.filter(round=round_, state=Edition.State.COMPUTING).values_list("pk", "job_id")
        under_way = set(before)
        try:
            edition = request_recompute(round_, by=request.user, revision=whole(request.POST.get("revision")))
        except DomainError as refusal:
            messages.error(request, str(refusal))
            return redirect("cci:editions")
        if (edition.pk, edition.job_id) in under_way:
            messages.info(request, f"{edition} is being computed already: this is that run, no second one was begun.")
        return redirect("cci:edition", pk=edition.pk)


class CloseRound(PolicyMixin, TemplateView):
    """What closing a round does, in figures; then the act."""

    action = post_action = "round.close"
    template_name = "cci/edition_close_round.html"

    def get_context_data(self, **kwargs):
        round_ = _round_or_404(self.request.GET.get("round"))
        by_state = Return.objects.filter(round=round_).order_by().values_list("schedule", "state")
        counts = {(schedule, state): n for schedule, state, n in by_state.annotate(n=Count("pk"))}
        states = [state for state in Return.State if any(key[1] == state for key in counts)]
        return super().get_context_data(**kwargs) | {
            "round": round_,
            "is_proposed": round_.proposed_act == Round.Act.CLOSE,
            "is_own": round_.proposed_by_id == self.request.user.pk,
            "states": [state.label for state in states],
            "rows": [
                {"label": label, "counts": [counts.get((code, state), 0) for state in states]}
                for code, label in Schedule.choices
            ],
            "locks": sum(n for (_, state), n in counts.items() if state == "accepted"),
            "waiting": sum(n for (_, state), n in counts.items() if state in ("submitted", "in_review")),
            "drafts": sum(n for (_, state), n in counts.items() if state in ("draft", "sent_back")),
        }

    def post(self, request):
        round_ = _round_or_404(request.POST.get("round"))
        try:
            if round_.proposed_act == Round.Act.CLOSE:
                locked = confirm_act(round_, Round.Act.CLOSE, by=request.user)
                words = f"Round {round_.year} is closed; {locked:,} accepted returns are locked."
            else:
                propose_act(round_, Round.Act.CLOSE, by=request.user)
                words = f"Closing round {round_.year} is proposed. A second analyst confirms it."
        except DomainError as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, words)
        return redirect("cci:editions")

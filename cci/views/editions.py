"""Editions: coverage so far, computing with its progress, proposing by one person, publishing by another."""

from collections import defaultdict

from django.contrib import messages
from django.db.models import Count, F, Q
from django.http import Http404
from django.shortcuts import redirect
from django.views.generic import TemplateView, View

from cci.models import Edition, Score
from cci.services import decline, propose, publish, request_recompute
from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import FrameEntry, Return, Round, Schedule
from facts.services.rounds import confirm_act, propose_act

REFRESH_SECONDS = "3"


def _whole(text) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 8 else None


def _round_or_404(text) -> Round:
    round_ = Round.objects.select_related("instrument").filter(year=_whole(text)).first()
    if round_ is None:
        raise Http404
    return round_


def coverage_of_rounds() -> dict[int, dict]:
    """Counts of a round's frame and returns by schedule and state. Two queries for all rounds."""
    found: dict[int, dict] = defaultdict(lambda: {"frame": 0, "by": defaultdict(dict)})
    frame = FrameEntry.objects.filter(in_scope=True).order_by()
    for pk, n in frame.values_list("round").annotate(n=Count("pk")):
        found[pk]["frame"] = n
    returns = Return.objects.order_by().values_list("round", "schedule", "state").annotate(n=Count("pk"))
    for pk, schedule, state, n in returns:
        found[pk]["by"][schedule][state] = n
    return found


def _coverage(counts: dict) -> dict:
    """The counts of one round as the page shows them."""
    units = counts["by"].get("UNIT", {})
    accepted = units.get("accepted", 0) + units.get("locked", 0)
    waiting = units.get("submitted", 0) + units.get("in_review", 0)
    frame = counts["frame"]
    return {
        "frame": frame,
        "accepted": accepted,
        "waiting": waiting,
        "drafts": units.get("draft", 0) + units.get("sent_back", 0),
        "share": accepted / frame if frame else None,
        "schedules": [
            {
                "label": label,
                "accepted": states.get("accepted", 0) + states.get("locked", 0),
                "total": sum(states.values()),
            }
            for code, label in Schedule.choices
            if code != "UNIT" and (states := counts["by"].get(code, {}))
        ],
    }


class EditionList(PolicyMixin, TemplateView):
    """Every round with its coverage and its editions."""

    action = "edition.manage"
    template_name = "cci/edition_list.html"

    def get_context_data(self, **kwargs):
        user = self.request.user
        counts = coverage_of_rounds()
        editions: dict[int, list[Edition]] = defaultdict(list)
        found = self.in_scope(Edition.objects.select_related("job", "methodology", "proposed_by"))
        for edition in found.order_by(F("revision").desc(nulls_first=True)):
            editions[edition.round_id].append(edition)
        rounds = list(Round.objects.order_by("-year"))
        return super().get_context_data(**kwargs) | {
            "rounds": [
                {"round": one, "coverage": _coverage(counts[one.pk]), "editions": editions[one.pk]} for one in rounds
            ],
            "may_recompute": policy.allowed(user, "edition.recompute"),
            "may_close": policy.allowed(user, "round.close"),
            "is_computing": any(one.state == "computing" for found in editions.values() for one in found),
        }

    def render_to_response(self, context, **kwargs):
        return _refreshing(super().render_to_response(context, **kwargs), context["is_computing"])


def _refreshing(response, is_computing: bool):
    """While a worker computes, the page asks again by itself, with or without scripts."""
    if is_computing:
        response["Refresh"] = REFRESH_SECONDS
    return response


class Recompute(PolicyMixin, View):
    """Ask for an edition; a second click finds the first."""

    action = "edition.recompute"
    http_method_names = ["post"]

    def post(self, request):
        round_ = _round_or_404(request.POST.get("round"))
        try:
            edition = request_recompute(round_, by=request.user, revision=_whole(request.POST.get("revision")))
        except DomainError as refusal:
            messages.error(request, str(refusal))
            return redirect("cci:editions")
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


class EditionPage(PolicyMixin, TemplateView):
    """One edition: progress while it is computed, then its results beside those published before, and decisions."""

    action = "edition.manage"
    post_action = "edition.propose"
    template_name = "cci/edition_page.html"

    def get_edition(self) -> Edition:
        editions = Edition.objects.select_related(
            "round", "methodology", "snapshot", "job", "requested_by", "proposed_by", "published_by"
        )
        return self.fetch(editions, pk=self.kwargs["pk"])

    def get_context_data(self, **kwargs):
        edition, user = kwargs.get("edition") or self.get_edition(), self.request.user
        context = super().get_context_data(**kwargs) | {
            "edition": edition,
            "is_computing": edition.state == Edition.State.COMPUTING,
            "may_recompute": policy.allowed(user, "edition.recompute") and edition.state in ("candidate", "failed"),
            "may_propose": policy.allowed(user, "edition.propose", edition),
            "may_publish": policy.allowed(user, "edition.publish", edition),
            "is_own": edition.proposed_by_id == user.pk,
        }
        if not edition.computed_at:
            return context
        before = published_before(edition)
        return context | {
            "before": before,
            "warnings": edition.report.get("warnings") or [],
            **results_of(edition, before),
        }

    def render_to_response(self, context, **kwargs):
        return _refreshing(super().render_to_response(context, **kwargs), context["is_computing"])

    def post(self, request, pk):
        edition, digest = self.get_edition(), request.POST.get("digest", "")
        try:
            if request.POST.get("decision") == "publish":
                policy.require(request.user, "edition.publish", edition)
                publish(edition, by=request.user, digest=digest)
                messages.success(request, f"{edition} is published.")
            elif request.POST.get("decision") == "decline":
                decline(edition, by=request.user, digest=digest, reason=request.POST.get("reason", ""))
                messages.success(request, f"The proposal of {edition.label} is taken back; the reason is on record.")
            else:
                propose(edition, by=request.user, digest=digest)
                messages.success(request, f"{edition} is proposed. A second analyst publishes it.")
        except DomainError as refusal:
            messages.error(request, str(refusal))
        return redirect("cci:edition", pk=edition.pk)


def published_before(edition: Edition) -> Edition | None:
    """The edition readers have now in its place: of the same round, else of the round before."""
    published = Edition.objects.filter(state=Edition.State.PUBLISHED).exclude(pk=edition.pk)
    same = Q(round=edition.round_id) if edition.state != Edition.State.PUBLISHED else Q(pk=None)
    earlier = Q(round__year__lt=edition.round.year)
    return published.filter(same | earlier).select_related("round").order_by("-round__year").first()


def results_of(edition: Edition, before: Edition | None) -> dict:
    """Every cluster's standing, with the change of score and rank on the edition before. Three queries."""
    earlier = {}
    if before:
        rows = Score.objects.filter(edition=before, node="CCI").values_list("cluster", "value", "rank")
        earlier = {cluster: (value, rank) for cluster, value, rank in rows}
    scores = {score.cluster_id: score for score in edition.scores.filter(node="CCI")}
    standings = edition.standings.select_related("cluster").order_by("cluster__name")
    ranked, unranked = [], []
    for standing in standings:
        score = scores.get(standing.cluster_id)
        was_value, was_rank = earlier.get(standing.cluster_id, (None, None))
        row = {"standing": standing, "cluster": standing.cluster, "score": score, "was_rank": was_rank}
        if not standing.is_ranked:
            unranked.append(row)
            continue
        row["score_change"] = None if was_value is None or score.value is None else score.value - was_value
        # A smaller rank is a better one, so a rise is the earlier rank less the new.
        row["rank_change"] = None if was_rank is None or score.rank is None else was_rank - score.rank
        ranked.append(row)
    ranked.sort(key=lambda row: (row["score"].rank or 0, row["cluster"].name))
    moved = [row for row in ranked if row["rank_change"]]
    return {"ranked": ranked, "unranked": unranked, "moved": len(moved), "n_ranked": len(ranked)}

"""Rounds in the workspace: the list, the cycle board, calendar and steps, the late list."""

import datetime as dt

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import TemplateView

from clusters.models import Cluster
from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Extension, Round
from facts.reliability import load_rules
from facts.sampling import CENSUS_MAX
from facts.services import frames, invitations, rounds
from facts.services.board import STAGES, board, together
from facts.services.deadlines import day, today_there

from .collecting import calendar_of, round_or_404

PAGE = 100


def _whole(text) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else None


class RoundList(PolicyMixin, TemplateView):
    """Every round with how far it is; an analyst plans the next one."""

    action = "round.board"
    post_action = "round.edit"
    template_name = "facts/round_list.html"

    def get_context_data(self, **kwargs):
        found = list(Round.objects.order_by("-year"))
        return super().get_context_data(**kwargs) | {
            "rounds": found,
            "may_edit": policy.allowed(self.request.user, "round.edit"),
            "next_year": found[0].year + 1 if found else dt.date.today().year,
        }

    def post(self, request):
        try:
            round_ = rounds.plan_round(_whole(request.POST.get("year")) or 0, by=request.user)
        except DomainError as refusal:
            messages.error(request, str(refusal))
            return redirect("facts:rounds")
        messages.success(request, f"{round_} is planned with the usual calendar. Change its days below, if need be.")
        return redirect("facts:round-steps", year=round_.year)


class RoundBoard(PolicyMixin, TemplateView):
    """The cycle board: how far each cluster is."""

    action = "round.board"
    template_name = "facts/round_board.html"

    def get_context_data(self, **kwargs):
        round_, asked = round_or_404(self.kwargs["year"]), self.request.GET
        every = board(round_, self.in_scope(Cluster.objects.all()))
        stage = asked.get("stage") if asked.get("stage") in STAGES else ""
        country, words = asked.get("country", "")[:2], asked.get("q", "").strip()[:60]
        order = asked.get("order") if asked.get("order") in ("name", "response", "missing") else "name"
        lines = [line for line in every if not stage or line.stage == stage]
        lines = [line for line in lines if not country or line.cluster.country_id == country]
        if words:
            lines = [line for line in lines if words.casefold() in f"{line.cluster.name} {line.collector}".casefold()]
        if order == "response":
            lines.sort(key=lambda line: (line.response or 0, line.cluster.name))
        elif order == "missing":
            lines.sort(key=lambda line: (-line.missing, line.cluster.name))
        counts = {name: sum(line.stage == name for line in every) for name in STAGES}
        countries = sorted({(line.cluster.country_id, line.cluster.country.name) for line in every}, key=lambda c: c[1])
        return super().get_context_data(**kwargs) | {
            "round": round_,
            "page": Paginator(lines, PAGE).get_page(asked.get("page")),
            "total": together(every),
            "shown": together(lines) if len(lines) != len(every) else None,
            "n_clusters": len(every),
            "n_late": counts["late"],
            "response_needed": load_rules().stops["response_share"],
            "tabs": tabs_of(round_, "board", self.request.user),
            "filters": [
                {
                    "name": "stage",
                    "label": "Where it stands",
                    "value": stage,
                    "options": [(name, f"{label} ({counts[name]})") for name, label in STAGES.items() if counts[name]],
                },
                {"name": "country", "label": "Country", "value": country, "options": countries},
                {
                    "name": "order",
                    "label": "Order",
                    "value": order,
                    "options": [
                        ("name", "By name"),
                        ("response", "Lowest response first"),
                        ("missing", "Most missing first"),
                    ],
                },
                {"name": "q", "label": "Cluster or collector", "value": words, "wide": True},
            ],
        }


def tabs_of(round_: Round, here: str, user) -> list[dict]:
    """The pages of a round that a person may open."""
    every = [
        ("board", "Board", "facts:round", "round.board"),
        ("late", "Late list", "facts:round-late", "round.board"),
        ("collectors", "Who collects", "facts:collectors", "round.read"),
        ("checks", "Checks", "facts:round-checks", "round.checks"),
        ("links", "Personal links", "facts:round-links", "unit_link.make"),
        ("link", "Replace a link", "facts:round-link", "unit_link.replace"),
        ("steps", "Calendar and steps", "facts:round-steps", "round.board"),
    ]
    return [
        {"label": label, "href": reverse(name, args=[round_.year]), "current": key == here}
        for key, label, name, action in every
        if policy.allowed(user, action)
    ]


class DatesForm(forms.Form):
    """The days of a planned round, with the reason for moving them."""

    reason = forms.CharField(label="Why the days are moved", max_length=300, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args, round_: Round, **kwargs):
        super().__init__(*args, **kwargs)
        for field, label, _ in rounds.CALENDAR:
            self.fields[field] = forms.DateField(
                label=label,
                initial=getattr(round_, field),
                required=field in ("opens_on", "closes_on"),
                widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            )
        self.order_fields([*(field for field, _, _ in rounds.CALENDAR), "reason"])


class RoundSteps(PolicyMixin, TemplateView):
    """The calendar of a round, what must be so before it goes on, and the acts that move it on."""

    action = "round.board"
    post_action = "round.edit"
    template_name = "facts/round_steps.html"

    def get_context_data(self, **kwargs):
        round_, user = kwargs.get("round") or round_or_404(self.kwargs["year"]), self.request.user
        counts = frames.frame_counts(round_)
        asked = frames.drawn_counts(round_)
        clusters = self.in_scope(Cluster.objects.filter(pk__in=counts)).order_by("name")
        conditions = rounds.conditions(round_)
        may_edit = policy.allowed(user, "round.edit")
        return super().get_context_data(**kwargs) | {
            "round": round_,
            "tabs": tabs_of(round_, "steps", user),
            "calendar": calendar_of(round_, today_there(round_.pk)),
            "conditions": conditions,
            "ready": all(one["met"] for one in conditions),
            "may_edit": may_edit,
            "may_close": policy.allowed(user, "round.close"),
            "is_own": round_.proposed_by_id == user.pk,
            "form": kwargs.get("form")
            or (DatesForm(round_=round_) if may_edit and round_.state == Round.State.PLANNED else None),
            "units": sum(sum(sizes.values()) for sizes in counts.values()),
            "asked": sum(asked.values()),
            "large": sum(sum(sizes.values()) > CENSUS_MAX for sizes in counts.values()),
            "frame": [
                {
                    "cluster": one,
                    "sizes": [counts[one.pk].get(size, 0) for size in (1, 2, 3, 4)],
                    "units": sum(counts[one.pk].values()),
                    "asked": asked.get(one.pk, 0),
                }
                for one in clusters
            ],
            "census_max": CENSUS_MAX,
        }

    def post(self, request, year):
        round_, act = round_or_404(year), request.POST.get("act", "")
        if act == "dates":
            form = DatesForm(request.POST, round_=round_)
            if not form.is_valid():
                return self.render_to_response(self.get_context_data(round=round_, form=form))
            dates = dict(form.cleaned_data)
            reason = dates.pop("reason")
            return self.done(lambda: rounds.change_dates(round_, dates, by=request.user, reason=reason), "Days moved.")
        acts = {
            "open": (lambda: rounds.open_round(round_, by=request.user), f"{round_} is open."),
            "propose_freeze": (
                lambda: rounds.propose_act(round_, Round.Act.FREEZE, by=request.user),
                "Freezing is proposed. A second analyst confirms it.",
            ),
            "propose_close": (
                lambda: rounds.propose_act(round_, Round.Act.CLOSE, by=request.user),
                "Closing is proposed. A second analyst confirms it.",
            ),
            "take_back": (lambda: rounds.take_back(round_, by=request.user), "The proposal is taken back."),
            "confirm_freeze": (
                lambda: rounds.confirm_act(round_, Round.Act.FREEZE, by=request.user),
                "The frame is frozen with {0:,} units.",
            ),
            "confirm_close": (
                lambda: rounds.confirm_act(round_, Round.Act.CLOSE, by=request.user),
                f"{round_} is closed; {{0:,}} accepted returns are locked.",
            ),
            "draw": (
                lambda: frames.draw_samples(round_, by=request.user),
                "Samples are drawn in {0:,} clusters; the others are asked whole.",
            ),
            "invite": (lambda: invitations.invite(round_, by=request.user), "{0:,} messages go out."),
        }
        if act not in acts:
            raise Http404
        if act in ("propose_close", "confirm_close"):
            policy.require(request.user, "round.close")
        return self.done(*acts[act])

    def done(self, act, words: str):
        try:
            outcome = act()
        except DomainError as refusal:
            messages.error(self.request, str(refusal))
        else:
            messages.success(self.request, words.format(outcome) if isinstance(outcome, int) else words)
        return redirect("facts:round-steps", year=self.kwargs["year"])


class LateList(PolicyMixin, TemplateView):
    """Clusters whose returns are missing: until when they had time, and who was reminded when."""

    action = "round.board"
    template_name = "facts/round_late.html"

    def get_context_data(self, **kwargs):
        round_, user = round_or_404(self.kwargs["year"]), self.request.user
        lines = [line for line in board(round_, self.in_scope(Cluster.objects.all())) if line.missing]
        show_all = self.request.GET.get("show") == "all"
        late = [line for line in lines if line.is_late]
        soon = [line for line in lines if not line.is_late]
        granted: dict[int, list[Extension]] = {}
        for one in Extension.objects.filter(round=round_).select_related("granted_by"):
            granted.setdefault(one.cluster_id, []).append(one)
        extendable = policy.scope(
            user, "round.extend", Cluster.objects.filter(pk__in=[one.cluster.pk for one in lines])
        )
        may = set(extendable.values_list("pk", flat=True)) if round_.state == Round.State.OPEN else set()
        no_address = invitations.unreached(round_, {one.cluster.pk: one.collector for one in lines if one.collector})
        shown = lines if show_all else late
        shown.sort(key=lambda line: (line.window.ends, -line.missing, line.cluster.name))
        page = Paginator(shown, PAGE).get_page(self.request.GET.get("page"))
        for line in page:
            line.granted = granted.get(line.cluster.pk, [])
            line.may_extend = line.cluster.pk in may
            line.no_address = line.collector is None or line.cluster.pk in no_address
        return super().get_context_data(**kwargs) | {
            "round": round_,
            "tabs": tabs_of(round_, "late", user),
            "page": page,
            "show_all": show_all,
            "n_late": len(late),
            "n_soon": len(soon),
            "missing": sum(line.missing for line in late),
        }


class ExtendForm(forms.Form):
    until = forms.DateField(label="More time until", widget=forms.DateInput(attrs={"type": "date"}))
    reason = forms.CharField(label="Why", max_length=300, widget=forms.Textarea(attrs={"rows": 3}))


class MoreTime(PolicyMixin, TemplateView):
    """Give one cluster more time."""

    action = post_action = "round.extend"
    template_name = "facts/round_more_time.html"

    def get_context_data(self, **kwargs):
        round_ = round_or_404(self.kwargs["year"])
        cluster = self.fetch(Cluster.objects.all(), code=self.kwargs["code"])
        window = invitations.windows(round_, [cluster.pk])[cluster.pk]
        suggested = max(window.ends, window.today) + dt.timedelta(days=14)
        return super().get_context_data(**kwargs) | {
            "round": round_,
            "cluster": cluster,
            "window": window,
            "granted": Extension.objects.filter(round=round_, cluster=cluster).select_related("granted_by"),
            "form": kwargs.get("form") or ExtendForm(initial={"until": suggested.isoformat()}),
        }

    def post(self, request, year, code):
        form, context = ExtendForm(request.POST), self.get_context_data()
        if form.is_valid():
            until, reason = form.cleaned_data["until"], form.cleaned_data["reason"]
            try:
                invitations.extend(context["round"], context["cluster"], until=until, reason=reason, by=request.user)
            except DomainError as refusal:
                form.add_error(None, str(refusal))
            else:
                messages.success(request, f"{context['cluster'].name} has time until {day(until)}.")
                return redirect("facts:round-late", year=year)
        return self.render_to_response(context | {"form": form})

"""The public calendar of rounds, and who collects where: seen by everybody, appointed by analyst or supervisor."""

import datetime as dt

from django import forms
from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect
from django.views.generic import TemplateView

from clusters.models import Cluster, Organisation
from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Collector, Return, Round, Schedule
from facts.services import collectors, frames, minutes, rounds
from facts.services.deadlines import today_there


def round_or_404(year: int) -> Round:
    round_ = Round.objects.select_related("instrument", "proposed_by").filter(year=year).first()
    if round_ is None:
        raise Http404
    return round_


def calendar_of(round_: Round, today: dt.date) -> list[dict]:
    """The days of a round in order, as components/history.html takes them."""
    return [
        {"when": when, "title": label, "ahead": when > today}
        for field, label, _ in rounds.CALENDAR
        if (when := getattr(round_, field))
    ]


class RoundCalendar(PolicyMixin, TemplateView):
    """What happens when, in every round."""

    action = "round.read"
    template_name = "facts/round_calendar.html"

    def get_context_data(self, **kwargs):
        found = list(self.in_scope(Round.objects.select_related("instrument").order_by("-year")))
        today = today_there(found[0].pk) if found else dt.date.today()
        return super().get_context_data(**kwargs) | {
            "rounds": [{"round": one, "days": calendar_of(one, today)} for one in found],
            "minutes": minutes.last_known(found[0].year + 1) if found else {},
            "schedules": Schedule.choices,
        }


class CollectorMap(PolicyMixin, TemplateView):
    """Who collects where in a round: a map and an equal table."""

    action = "round.read"
    template_name = "facts/round_collectors.html"

    def get_context_data(self, **kwargs):
        round_ = round_or_404(self.kwargs["year"])
        asked = frames.drawn_counts(round_)
        clusters = policy.scope(self.request.user, "cluster.read", Cluster.objects.filter(pk__in=asked))
        clusters = list(clusters.select_related("country", "region").order_by("country__name", "name"))
        collecting = collectors.collectors_of(round_)
        rows = Collector.objects.filter(round=round_)
        appointed = {row.cluster_id: row for row in rows}
        mine = policy.scope(self.request.user, "collector.appoint", Cluster.objects.filter(pk__in=asked))
        may = set(mine.values_list("pk", flat=True)) if round_.state != Round.State.CLOSED else set()
        lines = [
            {
                "cluster": one,
                "organisation": collecting.get(one.pk),
                "row": appointed.get(one.pk),
                "kind": "appointed" if one.pk in appointed else "association" if one.pk in collecting else "nobody",
                "may_appoint": one.pk in may,
            }
            for one in clusters
        ]
        return super().get_context_data(**kwargs) | {
            "round": round_,
            "clusters": clusters,
            "lines": lines,
            "may_appoint": bool(may),
            "n_appointed": sum(line["kind"] == "appointed" for line in lines),
            "n_nobody": sum(line["kind"] == "nobody" for line in lines),
            "kinds": {one["cluster"].pk: one["kind"] for one in lines},
            "notes": {
                one["cluster"].pk: one["organisation"].name if one["organisation"] else "nobody yet" for one in lines
            },
        }


class AppointForm(forms.Form):
    organisation = forms.ModelChoiceField(
        Organisation.objects.none(), label="Who collects", empty_label="Choose an organisation"
    )
    reason = forms.CharField(
        label="Why", max_length=300, widget=forms.Textarea(attrs={"rows": 3}), help_text="It stands beside the cluster."
    )

    def __init__(self, *args, cluster, **kwargs):
        super().__init__(*args, **kwargs)
        members = Organisation.objects.filter(memberships__role__in=["entry", "head"])
        own = Organisation.objects.filter(cluster_roles__cluster=cluster)
        found = Organisation.objects.filter(
            pk__in=[*members.values_list("pk", flat=True), *own.values_list("pk", flat=True)]
        )
        self.fields["organisation"].queryset = found.distinct().order_by("name")


class Appoint(PolicyMixin, TemplateView):
    """Appoint who collects the unit returns of a cluster in a round, or end that."""

    action = post_action = "collector.appoint"
    template_name = "facts/round_appoint.html"

    def setup(self, request, *args, **kwargs):
        super().setup(request, *args, **kwargs)
        self.round = round_or_404(kwargs["year"])

    def get_cluster(self) -> Cluster:
        return self.fetch(Cluster.objects.select_related("country"), code=self.kwargs["code"])

    def get_context_data(self, **kwargs):
        cluster = kwargs.get("cluster") or self.get_cluster()
        begun = Return.objects.filter(round=self.round, cluster=cluster, schedule=Schedule.UNIT)
        return super().get_context_data(**kwargs) | {
            "round": self.round,
            "cluster": cluster,
            "form": kwargs.get("form") or AppointForm(cluster=cluster),
            "now": collectors.collectors_of(self.round, [cluster.pk]).get(cluster.pk),
            "row": Collector.objects.filter(round=self.round, cluster=cluster).select_related("appointed_by").first(),
            "drafts": begun.filter(version=0, collector__isnull=False).count(),
            "handed_in": begun.filter(version__gt=0).count(),
        }

    def post(self, request, year, code):
        cluster = self.get_cluster()
        try:
            if "end" in request.POST:
                passed = collectors.withdraw(
                    self.round, cluster, by=request.user, reason=request.POST.get("reason", "")
                )
                messages.success(
                    request, f"The association of {cluster.name} collects again. Drafts passed on: {passed}."
                )
                return redirect("facts:collectors", year=year)
            form = AppointForm(request.POST, cluster=cluster)
            if not form.is_valid():
                return self.render_to_response(self.get_context_data(form=form, cluster=cluster))
            chosen, reason = form.cleaned_data["organisation"], form.cleaned_data["reason"]
            passed = collectors.appoint(self.round, cluster, chosen, by=request.user, reason=reason)
        except DomainError as refusal:
            messages.error(request, str(refusal))
            return redirect(request.path)
        messages.success(request, f"{chosen.name} collects {cluster.name} in {self.round}. Drafts passed on: {passed}.")
        return redirect("facts:collectors", year=year)

"""Ranked or not, and how a cluster becomes ranked: the rules in plain words, and the category of each reason."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.db.models import Count
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.generic import ListView

from cci.models import Standing
from facts.models import Reliability

from .public import EditionPage

Reason = Standing.Reason

# What would change it, by the category of the reason; {…} are limits of the reliability rules.
REMEDIES = {
    Reason.RESPONSE: "Accepted returns from at least {response} of its firms, which hold at least {employment} of its "
    "employment.",
    Reason.COPIED: "Fresh answers: at most {copied} of its returns may repeat the year before.",
    Reason.FEW_UNITS: "Accepted returns from at least {units} operating firms; of frames below {small_frame}, from "
    "{small_response} of them.",
    Reason.SCHEDULES: "Accepted returns of the cluster, of its association and of its region.",
    Reason.RELIABILITY: "More returns, warnings settled, figures from the books: {enter} of 100 points are needed.",
    Reason.ASSOCIATION: "An association with statute, elected board, general meeting, paying members, checked accounts "
    "and a service to show.",
    Reason.INCOMPLETE: "Answers to the questions behind the pillars that are missing.",
}


def remedy_of(reason: str, reliability: Mapping[str, Any]) -> str:
    """What would change it, in one sentence. reliability : the rules, as the methodology holds them."""
    if reason not in REMEDIES:
        return "A frame of its firms for the next round, and accepted returns from half of them."
    stops = reliability["stops"]
    return REMEDIES[Reason(reason)].format(
        response=in_percent(stops["response_share"]),
        employment=in_percent(stops["employment_share"]),
        copied=in_percent(stops["copied_share"]),
        units=stops["units"],
        small_frame=stops["small_frame"],
        small_response=in_percent(stops["small_frame_response"]),
        enter=reliability["thresholds"]["enter"],
    )


def in_percent(share: float) -> str:
    return f"{round(100 * share)}\u202f%"


@method_decorator(gzip_page, name="dispatch")
class Eligibility(EditionPage, ListView):
    """Who is ranked, who is not and by which category of reason; never a number of a cluster, never a flag."""

    template_name = "cci/eligibility.html"
    paginate_by = 100

    @cached_property
    def reason(self) -> str:
        """The one category looked at, or empty for all."""
        asked = self.request.GET.get("reason", "")
        return asked if asked in Reason.values else ""

    @cached_property
    def standings(self):
        return Standing.objects.filter(edition=self.edition, cluster__is_published=True)

    def get_queryset(self):
        found = self.standings.filter(is_ranked=False)
        if self.reason:
            found = found.filter(reason=self.reason)
        return found.select_related("cluster__country", "cluster__region").order_by("cluster__name", "cluster_id")

    def get_context_data(self, **kwargs):
        rules = self.method.content["reliability"]
        by_reason = self.standings.order_by().values_list("is_ranked", "reason", "status").annotate(n=Count("pk"))
        ranked, near, counts = 0, 0, dict.fromkeys(Reason.values, 0)
        for is_ranked, reason, status, n in by_reason:
            ranked += n if is_ranked else 0
            near += n if not is_ranked and status == Reliability.Status.PROVISIONAL else 0
            counts[reason] += 0 if is_ranked else n
        unranked = sum(counts.values())
        return super().get_context_data(
            n_ranked=ranked,
            n_near=near if near < unranked else 0,  # where all are close, each single one would be named
            n_unranked=unranked,
            total=ranked + unranked,
            reason=self.reason,
            reasons=[
                {"code": code, "label": Reason(code).label, "n": n, "remedy": remedy_of(code, rules)}
                for code, n in counts.items()
                if n
            ],
            thresholds=rules["thresholds"],
            stops=rules["stops"],
            parts=rules["part"],
            gates=rules["gate"],
            caps=rules["cap"],
            rules=rules,
            **kwargs,
        )

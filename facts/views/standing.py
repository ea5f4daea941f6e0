"""Why a cluster is or is not ranked, point by point, and the shortest way there: for the cluster and its agency."""

import math
from functools import cached_property

from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode
from django.views.generic import TemplateView

from clusters.models import Cluster
from core import policy
from core.policy.views import PolicyMixin
from facts.models import Reliability, Return, Round
from facts.reliability import load_rules
from facts.services.deadlines import last_days
from facts.services.standing import (
    accepted_since,
    latest_round,
    reliability_history,
    reliability_now,
    returns_behind,
    standings_now,
)

from .parts import place_label

PAGE = 50
NAMES = {part["code"]: part["name"] for part in load_rules().content["part"]}
# What can be followed to single returns, and what the list is called. The rest rests on sealed answers or on totals.
TRACES = {
    "D1": "Accepted returns of units",
    "D2": "Accepted returns with a blank core question",
    "D3": "Accepted returns with a warning that is open or was rejected",
    "D5": "Accepted returns that repeat the year before",
    "D7": "Accepted returns whose sales look low beside people and electricity",
}
RETURN_GATE = "OG8"  # asks for the association's return itself; the others ask what stands in it
SIGNALS = ("D7", "D8")  # their exact figures are for the data team


class OfCluster(PolicyMixin):
    """A page about one cluster's standing in one round."""

    action = "standing.read"

    @cached_property
    def cluster(self) -> Cluster:
        return self.fetch(Cluster.objects.with_places(), code=self.kwargs["code"])

    @cached_property
    def round(self) -> Round:
        """The round asked for, else the newest one that has a score for the cluster, else the newest of all."""
        asked = self.request.GET.get("round", "")
        if not asked:
            found = latest_round(self.cluster)
        else:
            year = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) == 4 else None
            found = Round.objects.filter(year=year).first()
        if found is None:
            raise Http404
        return found

    @cached_property
    def sees_signals(self) -> bool:
        return policy.allowed(self.request.user, "standing.read_signals", self.cluster)

    def address(self, **query) -> str:
        return f"{reverse('facts:standing-returns', args=[self.cluster.code])}?{urlencode(query)}"


class StandingPage(OfCluster, TemplateView):
    """Score with grade, D1 to D8 with what is behind each, gates, the shortest way, the rounds before."""

    template_name = "facts/standing.html"

    def get_context_data(self, **kwargs):
        cluster, round_ = self.cluster, self.round
        row = reliability_now(round_, cluster)
        history = reliability_history(cluster, until=round_.year + 10)
        shared = super().get_context_data(
            cluster=cluster,
            round=round_,
            is_open=round_.state == Round.State.OPEN,
            rules=load_rules().content,
            rounds=[{"year": one.snapshot.round.year, "row": one, "score": whole(one.score)} for one in history],
            **kwargs,
        )
        if row is None:
            return shared
        limits, since = load_rules().thresholds, self.since
        stops = [stop for stop in row.stops if not stop["is_cap"]]
        return shared | {
            "row": row,
            "as_of": row.snapshot.taken_at,
            "until": last_days(round_, [cluster.pk]),
            "n_since": sum(since.values()),
            "is_association_new": self.is_association_new(row),
            "score": whole(row.score),
            "needed": limits["stay"] if row.was_reliable else limits["enter"],
            "is_reliable": not stops and row.score >= limits["stay" if row.was_reliable else "enter"],
            "parts": self.parts(row),
            "stops": stops,
            "caps": [stop for stop in row.stops if stop["is_cap"]],
            "gates": self.gates(row),
            "n_gates": sum(gate["is_passed"] for gate in row.gates),
            "steps": self.steps(row),
            "sees_signals": self.sees_signals,
            # Asked for by the template only where the index may be shown: provisional, in a published edition.
            "is_provisional": row.status == Reliability.Status.PROVISIONAL,
        }

    def parts(self, row: Reliability) -> list[dict]:
        """D1 to D8 as shown: exact to whoever may see the signals, else D7 and D8 in whole points without figures."""
        out = []
        for part in row.parts:
            exact = self.sees_signals or part["code"] not in SIGNALS
            out.append(
                {
                    **part,
                    "digits": 1 if exact else 0,
                    "bar": 100 * part["given"] / part["points"] if part["points"] else None,
                    "bar_exact": exact,
                    "behind": self.figures(part),
                    "href": self.trace(part["code"]),
                    "trace": TRACES.get(part["code"], ""),
                }
            )
            if not exact and part["points"]:
                out[-1]["bar"] = 100 * round(part["given"]) / part["points"]
        return out

    def figures(self, part: dict) -> list[dict]:
        """The shares and counts behind a part, for those who may see them."""
        if part["code"] in SIGNALS and not self.sees_signals:
            return []
        return [
            {"name": FIGURES[name], "value": value, "is_share": name in SHARES}
            for name, value in part["behind"].items()
            if value is not None and name in FIGURES
        ]

    def trace(self, code: str) -> str:
        if code not in TRACES or (code in SIGNALS and not self.sees_signals):
            return ""
        return self.address(round=self.round.year, part=code)

    @cached_property
    def since(self) -> dict[str, int]:
        """What was accepted after the score was computed, and counts the next night: returns by schedule."""
        row = reliability_now(self.round, self.cluster)
        if row is None or self.round.state != Round.State.OPEN:
            return {}
        return dict(accepted_since(row).order_by().values_list("schedule").annotate(n=Count("pk")))

    def is_association_new(self, row: Reliability) -> bool:
        """Whether the first association return was accepted since: nobody is asked to certify it again."""
        return not row.association and bool(self.since.get("ASSOCIATION"))

    def gates(self, row: Reliability) -> list[dict]:
        """The gates; what an association answered is told to itself, its agency and the office only."""
        own = self.is_told_answers(row)
        unknown = not row.association  # without a return nothing but the return itself is known to be missing
        gates = [
            {**gate, "is_unknown": unknown and (gate["code"] != RETURN_GATE or self.is_association_new(row))}
            for gate in row.gates
        ]
        return [gate if own else {**gate, "found": ""} for gate in gates]

    def is_told_answers(self, row: Reliability) -> bool:
        filed = Return.objects.filter(round=self.round, schedule="ASSOCIATION", subject=row.association)
        return bool(row.association) and policy.scope(self.request.user, "return.read", filed).exists()

    def steps(self, row: Reliability) -> list[dict]:
        own = SimpleLazyObject(lambda: self.is_told_answers(row))
        steps = []
        for step in row.steps:
            if step["key"] == RETURN_GATE and self.is_association_new(row):
                continue
            hides = step["key"].startswith("OG") and row.association and not own
            steps.append({**step, "detail": "" if hides else step["detail"], "after": whole(step["after"])})
        return steps


def whole(score: float) -> int:
    """A score in whole points, cut and not rounded: 74.9 is not yet 75."""
    return math.floor(score + 1e-9)


# What stands behind the parts, in words.
FIGURES = {
    "response": "response",
    "employment": "employment covered",
    "answered": "core questions answered",
    "share": "returns with an open or rejected warning",
    "by_return": "mean worth of the sources, by return",
    "by_persons": "mean worth of the sources, by persons engaged",
    "copied": "returns that repeat the year before",
    "matched": "returns with a predecessor",
    "round_figures": "round money figures",
    "doubtful": "returns with the signal X05",
    "compared": "returns compared",
    "electricity": "electricity declared, of what was sold",
    "exports": "exports declared, of what customs cleared",
}
SHARES = set(FIGURES) - {"matched", "compared"}


class StandingReturns(OfCluster, TemplateView):
    """The returns behind one part of the score, as they are now: numbers and states, never a figure."""

    template_name = "facts/standing_returns.html"

    def get_context_data(self, **kwargs):
        code = self.request.GET.get("part", "")
        if code not in TRACES or (code in SIGNALS and not self.sees_signals):
            raise Http404
        found = returns_behind(self.round, self.cluster, code, with_signals=self.sees_signals)
        found = policy.scope(self.request.user, "return.read", found).with_subjects().order_by("subject", "pk")
        page = Paginator(found, PAGE).get_page(self.request.GET.get("page"))
        for ret in page:
            ret.label = place_label(ret)
        return super().get_context_data(**kwargs) | {
            "cluster": self.cluster,
            "round": self.round,
            "code": code,
            "name": NAMES[code],
            "what": TRACES[code],
            "page": page,
            "back": f"{reverse('facts:standing', args=[self.cluster.code])}?round={self.round.year}",
            "reviews": policy.allowed(self.request.user, "return.review"),
        }


class StandingList(PolicyMixin, TemplateView):
    """Every cluster in scope with its newest status: the way to the pages of single clusters."""

    action = "standing.read"
    template_name = "facts/standing_list.html"

    def get_context_data(self, **kwargs):
        clusters = self.in_scope(Cluster.objects.filter(kind="cluster")).order_by("name", "pk")
        page = Paginator(clusters, PAGE).get_page(self.request.GET.get("page"))
        rows = standings_now(list(page))
        return super().get_context_data(**kwargs) | {
            "page": page,
            "rows": [
                {
                    "cluster": one,
                    "row": rows.get(one.pk),
                    "score": whole(rows[one.pk].score) if one.pk in rows else None,
                }
                for one in page
            ],
        }

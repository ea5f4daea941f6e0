"""Why a cluster stands where it does in an edition: plain words first, then the figures behind them."""

import math
from functools import cached_property
from typing import Any

from django.http import Http404
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.generic import TemplateView

from cci.bands import letters
from cci.models import Explanation, Standing
from cci.partial import CAPACITY, NAMES, PERFORM
from clusters.models import AreaOfWork, Cluster
from core import policy
from facts.models import IndicatorValue
from facts.release import significant

from .eligibility import remedy_of
from .public import EditionPage
from .reading import group_names

PAIRS = 3  # improvements of two indicators together
NAMED = 5  # strengths, weaknesses and improvements in one list
MOVES = 8  # dimensions listed that moved a score most
CLEAR = 0.05  # points of the index: what moved a score less is not listed


@method_decorator(gzip_page, name="dispatch")
class WhyItStandsHere(EditionPage, TemplateView):
    """The stored explanation of one cluster, read out.

    Everybody sees a ranked cluster's page, where an indicator speaks only if its value is released. A cluster that is
    not ranked shows its figures to its association, its agency and the cell, as its benchmark sheet does.
    """

    template_name = "cci/explanation.html"

    @cached_property
    def cluster(self) -> Cluster:
        found = Cluster.objects.published().with_places().filter(code=self.kwargs["code"]).first()
        if found is None:
            raise Http404
        return found

    @cached_property
    def standing(self) -> Standing:
        found = Standing.objects.filter(edition=self.edition, cluster=self.cluster).first()
        if found is None:
            raise Http404
        return found

    @cached_property
    def is_insider(self) -> bool:
        """Whether the reader may see what the cluster's benchmark sheet shows."""
        action = "cluster_benchmark.read"
        if not policy.allowed(self.request.user, action):
            return False
        own = Cluster.objects.filter(pk=self.cluster.pk)
        return policy.scope(self.request.user, action, own).exists()

    @cached_property
    def record(self) -> dict[str, Any]:
        """The stored explanation, or nothing where the reader may not see it or the edition has none."""
        if not (self.standing.is_ranked or self.is_insider):
            return {}
        found = Explanation.objects.filter(edition=self.edition, cluster=self.cluster).first()
        return found.content if found else {}

    @cached_property
    def released(self) -> dict[str, IndicatorValue]:
        """The values that are shown to everybody, by indicator."""
        values = IndicatorValue.objects.filter(
            snapshot=self.edition.snapshot_id, cluster=self.cluster, shown__isnull=False
        )
        return {value.indicator.code: value for value in values.select_related("indicator")}

    def get_context_data(self, **kwargs):
        context = super().get_context_data(cluster=self.cluster, standing=self.standing, **kwargs)
        context |= {"is_insider": self.is_insider, "record": self.record}
        if not self.standing.is_ranked:
            context["remedy"] = remedy_of(self.standing.reason, self.method.content["reliability"])
        if not self.record:
            return context
        record, indicators = self.record, {one.code: one for one in self.method.definitions.indicators}
        areas = {area.code: area for area in AreaOfWork.objects.all()}
        lines = self.lines()
        improvements = [self.improvement(one, indicators) for one in record["improvements"]]
        return context | {
            "index": self.index(),
            "peers": self.peers(),
            "parts": self.parts(),
            "pillars": [line for line in lines if line["is_pillar"]],
            "lines": lines,
            "moved": self.moved(),
            "gaps": [
                {**gap, "name": self.names[gap["node"]], "area": areas.get(gap["area"])} for gap in record["holds_back"]
            ],
            "improvements": [one for one in improvements if one][:NAMED],
            "pairs": [two for two in map(self.pair, record.get("pairs", [])) if two][:PAIRS],
            "strengths": self.marks(record["strengths"], indicators),
            "weaknesses": self.marks(record["weaknesses"], indicators),
            "sure": self.sure(),
            "gap_limit": self.method.content["explanations"]["gap"],
        }

    @cached_property
    def names(self) -> dict[str, str]:
        nodes = (*self.method.definitions.pillars, *self.method.definitions.dimensions)
        return {node.code: node.name for node in nodes} | NAMES

    def index(self) -> dict[str, Any]:
        index = self.record["index"]
        if "band" in index:
            alone = Standing.objects.filter(edition=self.edition, band=index["band"]).count() == 1
            index = {**index, "letter": letters(index["band"] - 1), "is_alone": alone}
        return index

    def peers(self) -> dict[str, Any] | None:
        peers = self.record["peers"]
        if not peers:
            return None
        name = group_names(self.edition, [(peers["kind"], peers["key"])])[peers["kind"], peers["key"]]
        return {**peers, "name": name, "letter": letters(peers["band"] - 1) if "band" in peers else ""}

    def parts(self) -> list[dict[str, Any]]:
        """The two partial indices."""
        return [{"name": NAMES[code], "score": self.record["scores"].get(code)} for code in (PERFORM, CAPACITY)]

    def lines(self) -> list[dict[str, Any]]:
        """Pillars, each followed by its dimensions: score, median of the peers, contribution."""
        record, lines = self.record, []
        for pillar in self.method.definitions.pillars:
            inside = [node for node in self.method.definitions.dimensions if node.parent == pillar.code]
            for node in (pillar, *inside):
                lines.append(
                    {
                        "node": node,
                        "is_pillar": node is pillar,
                        "score": record["scores"].get(node.code),
                        "median": record["medians"].get(node.code),
                        "contribution": record["contributions"].get(node.code),
                    }
                )
        return lines

    def moved(self) -> dict[str, Any] | None:
        moved = self.record["moved"]
        if not moved:
            return None
        score, rank = moved["score"], moved["rank"]
        nodes = [
            {"name": self.names[code], "points": points}
            for code, points in score["nodes"].items()
            if abs(points) >= CLEAR
        ]
        nodes = sorted(nodes, key=lambda node: -abs(node["points"]))[:MOVES]
        listed = sum(node["points"] for node in nodes)
        return {
            "since": moved["since"],
            "score": score,
            "rank": rank,
            "nodes": nodes,
            "others": score["change"] - listed,
        }

    def marks(self, marks: list[dict[str, Any]], indicators: dict) -> list[dict[str, Any]]:
        """Strengths or weaknesses whose values are released; all of them for who may see the benchmark sheet."""
        shown = [mark for mark in marks if self.is_insider or mark["indicator"] in self.released]
        return [
            {**mark, "definition": indicators[mark["indicator"]], "is_among_peers": "peers" in mark["rules"]}
            for mark in shown[:NAMED]
        ]

    def improvement(self, found: dict[str, Any], indicators: dict) -> dict[str, Any] | None:
        """One improvement with its released value; None where the value is not shown."""
        value = self.released.get(found["indicator"])
        if value is None:
            return None
        one = indicators[found["indicator"]]
        needed = {name: _beyond(found[name], one.direction) for name in ("next_value", "band_value")}
        return {**found, **needed, "definition": one, "shown": value.shown, "is_mean": one.smooth_rounds > 1}

    def pair(self, found: dict[str, Any]) -> dict[str, Any] | None:
        """Two improvements together; None unless both values are shown to everybody."""
        if not all(code in self.released for code in found["indicators"]):
            return None
        indicators = {one.code: one for one in self.method.definitions.indicators}
        both = [
            {
                "definition": indicators[code],
                "shown": self.released[code].shown,
                "next_value": _beyond(value, indicators[code].direction),
                "is_mean": indicators[code].smooth_rounds > 1,
            }
            for code, value in zip(found["indicators"], found["next_values"], strict=True)
        ]
        return {"both": both, "places": found["places"]}

    def sure(self) -> dict[str, Any]:
        """How sure: neighbours by name where they are published, shares, and what each source does alone."""
        sure = self.record["sure"]
        pairs = {name: sure.get(name) for name in ("ahead_of_next", "behind_before")}
        codes = [pair["cluster"] for pair in pairs.values() if pair]
        names = {one.code: one for one in Cluster.objects.published().filter(code__in=codes)}
        neighbours = {
            name: {"cluster": names[pair["cluster"]], "share": pair["share"]}
            for name, pair in pairs.items()
            if pair and pair["cluster"] in names
        }
        sources = self.edition.report.get("precision", {}).get("rank_intervals", {}).get(self.cluster.code, {})
        changes = sure.get("band_changes", {})
        return {**neighbours, "sources": sources, "changes": changes, "families": self.families(changes)}

    def families(self, changes: dict[str, Any]) -> list[dict[str, Any]]:
        words = self.edition.report.get("robustness", {}).get("families", {})
        return [{"name": words[code], "share": changes[code]} for code in words if changes.get(code) is not None]


def _beyond(value: float | None, direction: int) -> float | None:
    """To three significant digits, rounded towards better: less would not do."""
    if not value:
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return significant((math.ceil if direction > 0 else math.floor)(value / step) * step, 6)

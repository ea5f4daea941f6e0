"""What an association gets back before publication: its cluster's dimensions beside those of peer clusters."""

from dataclasses import dataclass
from statistics import quantiles

from django.http import Http404
from django.views.generic import TemplateView

from cci.methodology import load_method
from cci.models import Edition, Score
from cci.yardstick import editions_in_order
from clusters.models import AreaOfWork, Cluster
from core.policy.views import PolicyMixin
from facts.models import Round
from facts.release import band

LEAST_PEERS = 10
GAPS = 3
PLACES = ("in the weakest quarter", "in the weaker half", "in the better half", "in the best quarter")


@dataclass(frozen=True)
class Line:
    """One dimension: own score and the quartiles of the peers, in whole points; None where there is none."""

    code: str
    name: str
    own: float | None
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    n_peers: int = 0

    @property
    def place(self) -> str:
        """The place among peers as a quarter, read off the rounded figures."""
        if self.own is None or self.low is None or self.middle is None or self.high is None:
            return ""
        if round(self.own) == self.middle:
            return "in the middle"
        return PLACES[(self.own >= self.low) + (self.own > self.middle) + (self.own > self.high)]

    @property
    def behind(self) -> float:
        """Points below the peers' middle; 0 where it is not below."""
        return 0.0 if self.own is None or self.middle is None else max(0.0, self.middle - round(self.own))


def lines_of(names: dict[str, str], own: dict[str, float], others: dict[str, list[float]]) -> list[Line]:
    """Every dimension. own : node → score. others : node → scores of the peer clusters, the own one left out."""
    lines = []
    for code, name in names.items():
        scores = others.get(code, [])
        if len(scores) < LEAST_PEERS:
            lines.append(Line(code, name, own.get(code), n_peers=len(scores)))
        else:
            low, middle, high = (float(round(value)) for value in quantiles(scores, n=4, method="inclusive"))
            lines.append(Line(code, name, own.get(code), low, middle, high, len(scores)))
    return lines


class ClusterSheet(PolicyMixin, TemplateView):
    """Dimension scores of one cluster in the newest computation of a round, published or not."""

    action = "cluster_benchmark.read"
    template_name = "cci/benchmark.html"

    def get_context_data(self, **kwargs):
        cluster = self.fetch(Cluster.objects.select_related("sector", "country"), code=self.kwargs["code"])
        newest = Round.objects.order_by("-year").first()
        editions = editions_in_order(newest, provisional=True) if newest else []
        years = list(dict.fromkeys(one.round.year for one in editions))
        if asked := self.request.GET.get("round", ""):
            editions = [one for one in editions if str(one.round.year) == asked]
            if not editions:
                raise Http404
        context = super().get_context_data(**kwargs) | {"cluster": cluster, "round": newest, "rounds": years}
        # The newest one in which there are ten peers; of an open round few clusters may be computed yet.
        sheets = (_sheet(edition, cluster) for edition in editions)
        first = next(sheets, None)
        sheet = first if first is None or first["is_compared"] else next((s for s in sheets if s["is_compared"]), first)
        return context | (sheet or {"edition": None})


def _sheet(edition: Edition, cluster: Cluster) -> dict:
    """What the page shows of one edition. One query."""
    method = load_method(edition.methodology.version)
    compass = method.content["explanations"]["areas"]  # O1 and O2 are results: no one area of work moves them
    names = {node.code: node.name for node in method.definitions.dimensions}
    own, others, group = _scores(edition, cluster, list(names))
    lines = lines_of(names, own, others)
    behind = sorted((line for line in lines if line.behind > 0), key=lambda line: -line.behind)[:GAPS]
    areas = {area.code: area.name for area in AreaOfWork.objects.all()} if behind else {}
    return {
        "edition": edition,
        "lines": lines,
        "has_own": bool(own),
        "is_compared": any(line.own is not None and line.middle is not None for line in lines),
        "group": group,
        "band": band(max((line.n_peers for line in lines), default=0)),
        "gaps": [
            {
                "line": line,
                "area": compass.get(line.code, ""),
                "area_name": areas.get(compass.get(line.code, ""), ""),
                "is_wide": line.behind > method.content["explanations"]["gap"],
            }
            for line in behind
        ],
        "is_public": edition.is_public,
    }


def _scores(edition: Edition, cluster: Cluster, nodes: list[str]):
    """The cluster's scores, those of its peers, and who the peers are: the same division where ten have a score."""
    rows = list(
        Score.objects.filter(edition=edition, node__in=nodes, value__isnull=False).values_list(
            "cluster_id", "cluster__sector_id", "node", "value"
        )
    )
    division = (cluster.sector_id or "")[:2]
    same = {pk for pk, sector, _, _ in rows if division and (sector or "")[:2] == division} - {cluster.pk}
    every = {pk for pk, *_ in rows} - {cluster.pk}
    is_near = len(same) >= LEAST_PEERS
    peers = same if is_near else every
    own: dict[str, float] = {}
    others: dict[str, list[float]] = {}
    for pk, _, node, value in rows:
        if pk == cluster.pk:
            own[node] = value
        elif pk in peers:
            others.setdefault(node, []).append(value)
    group = f"clusters of the same trade (ISIC division {division})" if is_near else "all clusters with a score"
    return own, others, group

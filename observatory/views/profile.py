"""A cluster's profile: what is known of it, where it stands, what was tried there."""

from collections import defaultdict
from functools import cached_property
from statistics import median

from django.db.models import Prefetch
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.generic import DetailView

from cci.methodology import load_method
from cci.models import Edition, Score, Standing
from cci.views.eligibility import remedy_of
from cci.views.public import Band, Move, Place, bands_of, citation, moves_between, places_by_edition
from clusters.models import Cluster, ClusterRole, Membership, ProfileFact
from core.policy.views import PolicyMixin
from facts.models import Indicator, IndicatorValue
from facts.views.public import middle_of, row_of
from interventions.models import Intervention
from observatory import figures, pages

LEAST_PEERS = 5
NAMED = 3  # strengths and weaknesses
NEIGHBOURS = 60  # other clusters drawn grey on the small map


@method_decorator(gzip_page, name="dispatch")
class ClusterProfile(PolicyMixin, DetailView):
    """Hero, six sections, index panel, history: each figure with who says so and for when."""

    action = "cluster.read"
    model = Cluster
    slug_field = slug_url_kwarg = "code"
    template_name = "clusters/cluster_profile.html"

    def get_queryset(self):
        return super().get_queryset().with_places().prefetch_related("products", "other_sectors", "aliases", "sources")

    def get_context_data(self, **kwargs):
        cluster = self.object
        edition = Edition.objects.latest_published()
        panel = IndexPanel(cluster, edition).context() if edition else {}
        return super().get_context_data(
            edition=edition,
            map=self.map(),
            sections=sections_of(cluster),
            interventions=interventions_of(cluster),
            profile_citation=profile_citation(cluster, edition) if edition else "",
            **panel,
            **kwargs,
        )

    def map(self):
        near = self.model.objects.published().placed().exclude(pk=self.object.pk).order_by("pk")
        if self.object.latitude is None:
            return ""
        near = near.filter(
            latitude__range=(self.object.latitude - 8, self.object.latitude + 8),
            longitude__range=(self.object.longitude - 12, self.object.longitude + 12),
        )
        return pages.cluster_map(
            [self.object, *near[:NEIGHBOURS]],
            subject=self.object,
            title=f"Where {self.object.name} lies",
            width=420,
        )


def profile_citation(cluster: Cluster, edition: Edition) -> str:
    return citation(edition).replace("Cluster Observatory: ", f"Cluster Observatory: {cluster.name} ({cluster.code}). ")


# --- The six sections -----------------------------------------------------------------------


def sections_of(cluster: Cluster) -> list[dict]:
    """The six sections with their published facts side by side, who entered them and when. Four queries."""
    memberships = Prefetch(
        "entered_by__memberships", Membership.objects.select_related("organisation").order_by("pk"), to_attr="held"
    )
    facts = list(
        ProfileFact.objects.filter(cluster=cluster, state=ProfileFact.State.PUBLISHED)
        .select_related("entered_by")
        .prefetch_related(memberships)
        .order_by("section", "label", "-year", "pk")
    )
    roles = list(
        ClusterRole.objects.filter(cluster=cluster)
        .exclude(role=ClusterRole.Role.COLLECTOR)
        .select_related("organisation")
        .order_by("role", "organisation__name", "pk")
    )
    caring = {role.organisation_id for role in roles}
    by_section: dict[str, list[dict]] = defaultdict(list)
    for fact in facts:
        by_section[fact.section].append({"fact": fact, "by": entered_by(fact, caring)})
    sections = []
    for code, title in ProfileFact.Section.choices:
        entries = by_section[code]
        newest = max((entry["fact"].entered_at for entry in entries), default=None)
        sections.append(
            {
                "code": code,
                "title": title,
                "entries": entries,
                "conflicts": conflicting(entries),
                "updated": newest,
                "by": next((entry["by"] for entry in entries if entry["fact"].entered_at == newest), ""),
                "roles": roles_of(code, roles),
            }
        )
    return sections


def roles_of(section: str, roles: list[ClusterRole]) -> list[ClusterRole]:
    """Associations stand in their own section, every other organisation among the organisations."""
    if section == ProfileFact.Section.ASSOCIATION:
        return [role for role in roles if role.role == ClusterRole.Role.ASSOCIATION]
    if section == ProfileFact.Section.ORGANISATIONS:
        return [role for role in roles if role.role != ClusterRole.Role.ASSOCIATION]
    return []


def entered_by(fact: ProfileFact, caring: set[int]) -> str:
    """The organisation that entered a fact, never the person."""
    held = [one.organisation for one in getattr(fact.entered_by, "held", ()) if one.organisation]
    ours = next((one for one in held if one.pk in caring), held[0] if held else None)
    return str(ours) if ours else "the coordinating office"


def conflicting(entries: list[dict]) -> set[str]:
    """What is stated twice for one year with different values."""
    values = defaultdict(set)
    for entry in entries:
        fact = entry["fact"]
        values[fact.label, fact.year].add((fact.value, fact.unit))
    return {label for (label, _), stated in values.items() if len(stated) > 1}


def interventions_of(cluster: Cluster) -> list[Intervention]:
    return list(
        Intervention.objects.filter(clusters=cluster, is_published=True)
        .select_related("lead")
        .prefetch_related("areas", "budget_lines")
        .order_by("starts_on", "code", "pk")
    )


# --- The index panel ------------------------------------------------------------------------


class IndexPanel:
    """What an edition says of one cluster. Reads released figures only."""

    def __init__(self, cluster: Cluster, edition: Edition):
        self.cluster, self.edition = cluster, edition
        self.method = load_method(edition.methodology.version)
        self.editions = comparable(edition)
        self.ranked = places_by_edition(self.editions)
        self.places = self.ranked[edition.pk]
        self.place = next((one for one in self.places if one.cluster_id == cluster.pk), None)

    def context(self) -> dict:
        standing = Standing.objects.filter(edition=self.edition, cluster=self.cluster).first()
        shared = {
            "standing": standing,
            "place": self.place,
            "n": len(self.places),
            "year": str(self.edition.round.year),
            "values": self.values,
            "n_shown": sum(entry["row"]["value"].shown is not None for entry in self.values),
            "history": history_of(self.cluster, self.editions, self.ranked),
        }
        if self.place is None:
            return shared | {"remedy": self.remedy(standing)}
        return shared | {
            "band": self.band,
            "move": self.move,
            "earlier": self.earlier,
            "pillars": self.nodes(self.method.definitions.pillars),
            "dimensions": self.nodes(self.method.definitions.dimensions),
            "coverage": self.scores.get("CCI", {}).get("coverage"),
            "sure": self.edition.report.get("precision", {}).get("rank_intervals", {}).get(self.cluster.code, {}),
            **self.strengths(),
        }

    def remedy(self, standing: Standing | None) -> str:
        return remedy_of(standing.reason if standing else "", self.method.content["reliability"])

    @cached_property
    def band(self) -> Band:
        return next(band for band in bands_of(self.places) if self.place in band.places)

    @cached_property
    def earlier(self) -> Edition | None:
        before = [edition for edition in self.editions if edition.round.year < self.edition.round.year]
        return before[-1] if before else None

    @cached_property
    def move(self) -> Move | None:
        if self.earlier is None:
            return None
        return moves_between(self.ranked[self.earlier.pk], self.places).get(self.cluster.pk)

    @cached_property
    def scores(self) -> dict[str, dict]:
        """By node: the cluster's score and coverage."""
        rows = Score.objects.filter(edition=self.edition, cluster=self.cluster).order_by("node", "pk")
        return {one.node: {"value": one.value, "coverage": one.coverage} for one in rows}

    @cached_property
    def medians(self) -> dict[str, float]:
        """By node: the median of the ranked clusters."""
        nodes = [node.code for node in (*self.method.definitions.pillars, *self.method.definitions.dimensions)]
        found = defaultdict(list)
        rows = Score.objects.filter(
            edition=self.edition, node__in=nodes, rank__isnull=False, value__isnull=False, cluster__is_published=True
        )
        for node, value in rows.order_by("node", "pk").values_list("node", "value"):
            found[node].append(value)
        return {node: median(values) for node, values in found.items()}

    def nodes(self, nodes) -> list[dict]:
        empty = {"value": None, "coverage": None}
        return [
            {"node": node, "median": self.medians.get(node.code), **self.scores.get(node.code, empty)} for node in nodes
        ]

    @cached_property
    def shown(self) -> dict[int, list[float]]:
        """By indicator: the values that other clusters show."""
        found = defaultdict(list)
        rows = (
            IndicatorValue.objects.filter(
                snapshot=self.edition.snapshot_id, shown__isnull=False, cluster__is_published=True
            )
            .exclude(cluster=self.cluster)
            .order_by("indicator_id", "pk")
            .values_list("indicator_id", "shown")
        )
        for key, value in rows:
            found[key].append(value)
        return found

    @cached_property
    def values(self) -> list[dict]:
        """Every indicator with the cluster's published value, its median and place among the others."""
        own = {
            value.indicator_id: value
            for value in IndicatorValue.objects.filter(snapshot=self.edition.snapshot_id, cluster=self.cluster)
            .select_related("indicator", "cluster")
            .defer("value")
            .order_by("pk")
        }
        entries = []
        for indicator in Indicator.objects.order_by("position"):
            if (value := own.get(indicator.pk)) is None:
                continue
            others = self.shown.get(indicator.pk, [])
            entries.append(
                {
                    "indicator": indicator,
                    "row": row_of(value),
                    "n_peers": len(others),
                    "median": middle_of(others),
                    "beaten": percentile(value.shown, others, indicator.direction),
                    "outdone": outdone(value.shown, others, indicator.direction),
                }
            )
        return entries

    def strengths(self) -> dict:
        """The three indicators where it stands best among its peers, and the three where it stands worst."""
        compared = [entry for entry in self.values if entry["beaten"] is not None]
        best = sorted(compared, key=lambda e: (-e["beaten"], -e["indicator"].index_weight, e["indicator"].position))
        worst = sorted(compared, key=lambda e: (e["beaten"], -e["indicator"].index_weight, e["indicator"].position))
        return {
            "strengths": [entry for entry in best[:NAMED] if entry["beaten"] > 0.5],
            "weaknesses": [entry for entry in worst[:NAMED] if entry["beaten"] < 0.5],
        }


def percentile(value: float | None, others: list[float], direction: int) -> float | None:
    """Share of the others that it outdoes, ties counted half; None where fewer than five show a value."""
    if value is None or len(others) < LEAST_PEERS:
        return None
    equal = sum(value == other for other in others)
    return (outdone(value, others, direction) + equal / 2) / len(others)


def outdone(value: float | None, others: list[float], direction: int) -> int:
    """How many of the others it clearly outdoes."""
    return sum((value - other) * direction > 0 for other in others) if value is not None else 0


# --- History --------------------------------------------------------------------------------


def comparable(latest: Edition) -> list[Edition]:
    """The published editions made by the same methodology, oldest first."""
    return list(
        Edition.objects.filter(state=Edition.State.PUBLISHED, methodology=latest.methodology_id)
        .select_related("round")
        .order_by("round__year", "pk")
    )


def history_of(cluster: Cluster, editions: list[Edition], ranked: dict[int, list[Place]]) -> dict:
    """The cluster in edition after edition, each compared like for like with the one before."""
    entries, before = [], None
    for edition in editions:
        places = ranked[edition.pk]
        place = next((one for one in places if one.cluster_id == cluster.pk), None)
        move = moves_between(ranked[before.pk], places).get(cluster.pk) if before else None
        entries.append(
            {
                "edition": edition,
                "year": edition.round.year,
                "place": place,
                "n": len(places),
                "move": move,
                "is_first": before is None,
            }
        )
        before = edition
    entries_ranked = [entry for entry in entries if entry["place"]]
    if len(entries_ranked) < 2:
        return {"entries": entries, "figure": "", "common": 0, "is_ranked": bool(entries_ranked)}
    always = set.intersection(*({one.cluster_id for one in places} for places in ranked.values() if places))
    always.discard(cluster.pk)
    series = [("This cluster", [(e["year"], e["place"].score if e["place"] else None) for e in entries])]
    if len(always) >= LEAST_PEERS:
        series.append(
            (
                "Median",
                [
                    (e["year"], median(one.score for one in ranked[e["edition"].pk] if one.cluster_id in always))
                    for e in entries
                    if ranked[e["edition"].pk]
                ],
            )
        )
    return {
        "entries": entries,
        "figure": figures.line(
            series, title=f"Scores of {cluster.name} by edition", unit="points", subject="This cluster", decimals=0
        ),
        "common": len(always),
        "is_ranked": True,
    }

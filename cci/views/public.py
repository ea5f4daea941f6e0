"""The public pages of the index: the latest edition, its ranking, how it is made."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from django.db.models import F
from django.http import Http404
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.generic import ListView, TemplateView, View

from cci.methodology import load_method
from cci.models import Edition, Score, Standing
from clusters.filtersets import ClusterFilterSet
from clusters.models import Cluster, Sector
from core.policy.views import PolicyMixin
from facts.release import band as count_band
from facts.release import significant

INDEX = "CCI"


# --- Reading an edition ---------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A ranked cluster's place in an edition; a rank never comes without its interval."""

    cluster_id: int
    score: float
    rank: int
    low: int
    high: int


@dataclass(frozen=True)
class Band:
    """A run of clusters whose rank intervals overlap; inside it the order is not settled."""

    letter: str
    position: int
    places: tuple[Place, ...]

    @property
    def first(self) -> int:
        return min(place.low for place in self.places)

    @property
    def last(self) -> int:
        return max(place.high for place in self.places)


@dataclass(frozen=True)
class Move:
    """Ranks of one cluster in two editions, counted among the clusters ranked in both.

    is_move : the two intervals do not touch. Anything less is inside the noise and is said so.
    """

    before: int
    after: int
    n: int
    is_move: bool

    @property
    def gained(self) -> int:
        """Places won (+) or lost (−)."""
        return self.before - self.after

    @property
    def words(self) -> str:
        if not self.is_move:
            return "no move beyond the noise"
        places = f"{abs(self.gained)} place{'s' if abs(self.gained) != 1 else ''}"
        return f"{'up' if self.gained > 0 else 'down'} {places}"


def places_by_edition(editions: Iterable[Edition]) -> dict[int, list[Place]]:
    """The ranked and published clusters of each edition, in the order of their ranks. One query."""
    found: dict[int, list[Place]] = {edition.pk: [] for edition in editions}
    rows = Score.objects.filter(
        edition__in=list(found), node=INDEX, rank__isnull=False, rank_low__isnull=False, cluster__is_published=True
    ).order_by("edition", "rank", "cluster__name", "cluster_id")
    for key, *row in rows.values_list("edition_id", "cluster_id", "value", "rank", "rank_low", "rank_high"):
        found[key].append(Place(*row))
    return found


def places_of(edition: Edition) -> list[Place]:
    return places_by_edition([edition])[edition.pk]


def bands_of(places: Sequence[Place]) -> list[Band]:
    """Cut a ranking where no interval reaches across: nine draws of ten keep the order between two bands."""
    runs: list[list[Place]] = []
    reach = 0
    for place in places:
        if not runs or place.low > reach:
            runs.append([])
        runs[-1].append(place)
        reach = max(reach, place.high)
    return [Band(letters(i), i, tuple(run)) for i, run in enumerate(runs)]


def letters(position: int) -> str:
    """0 → A, 25 → Z, 26 → AA."""
    text = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        text = chr(65 + rest) + text
    return text


def moves_between(earlier: Sequence[Place], later: Sequence[Place]) -> dict[int, Move]:
    """Like for like: how far each cluster ranked in both editions moved among those clusters.

    Intervals are shifted by as many places as clusters outside the comparison stood ahead.
    """
    both = {place.cluster_id for place in earlier} & {place.cluster_id for place in later}
    before, after = among(earlier, both), among(later, both)
    return {
        key: Move(
            before[key].rank,
            after[key].rank,
            len(both),
            before[key].rank != after[key].rank
            and (before[key].high < after[key].low or after[key].high < before[key].low),
        )
        for key in both
    }


def among(places: Sequence[Place], kept: set[int]) -> dict[int, Place]:
    """Ranks counted among some of the clusters only; ties stay ties."""
    found, shared, last = {}, 0, None
    chosen = [place for place in places if place.cluster_id in kept]
    for position, place in enumerate(chosen, start=1):
        if place.rank != last:
            shared, last = position, place.rank
        ahead = place.rank - shared
        found[place.cluster_id] = Place(
            place.cluster_id, place.score, shared, max(1, place.low - ahead), max(1, place.high - ahead)
        )
    return found


def edition_before(edition: Edition) -> Edition | None:
    """The published edition of the round before, where it was made by the same methodology."""
    earlier = (
        Edition.objects.filter(state=Edition.State.PUBLISHED, round__year__lt=edition.round.year)
        .select_related("round")
        .order_by("-round__year")
        .first()
    )
    return earlier if earlier and earlier.methodology_id == edition.methodology_id else None


def pillar_scores(edition: Edition, pillars: Sequence[str], cluster_ids) -> dict[int, dict[str, float | None]]:
    """Scores of the pillars by cluster. One query."""
    found: dict[int, dict[str, float | None]] = {key: dict.fromkeys(pillars) for key in cluster_ids}
    rows = Score.objects.filter(edition=edition, node__in=pillars, cluster_id__in=list(found))
    for key, node, value in rows.values_list("cluster_id", "node", "value"):
        found[key][node] = value
    return found


def about(count: int) -> str:
    """A large count in words that give no single cluster away: two digits that count."""
    return f"about {significant(count, 2):,.0f}" if count >= 100 else count_band(count)


def citation(edition: Edition) -> str:
    made = edition.published_at or edition.computed_at
    text = (
        f"Cluster Observatory: Cluster Competitiveness Index, edition {edition.label}"
        f"{f', published {made:%-d %B %Y}' if made else ''}. Methodology {edition.methodology.version}, "
        f"digest {edition.digest[:16]}."
    )
    return f"{text} Demonstration figures, invented." if edition.is_synthetic else text


# --- Pages ----------------------------------------------------------------------------------


class Latest(PolicyMixin, View):
    """Lead to the latest published edition, or say that there is none yet."""

    action = "edition.read"

    def get(self, request):
        latest = Edition.objects.latest_published()
        if latest:
            return redirect(latest)
        return NoEdition.as_view()(request)


class NoEdition(PolicyMixin, TemplateView):
    """What stands at /cci/ before the first edition."""

    action = "edition.read"
    template_name = "cci/no_edition.html"


class EditionPage(PolicyMixin):
    """A page of one public edition, found by its exact label; a bare year finds the edition published for it."""

    action = "edition.read"

    @cached_property
    def edition(self) -> Edition:
        label = self.kwargs["label"]
        public = Edition.objects.public().select_related("round", "methodology", "snapshot")
        found = public.filter(label=label).first()
        if found is None and re.fullmatch(r"[0-9]{4}", label):
            found = public.filter(state=Edition.State.PUBLISHED, round__year=int(label)).first()
        if found is None:
            raise Http404
        return found

    @cached_property
    def method(self):
        return load_method(self.edition.methodology.version)

    def get_context_data(self, **kwargs):
        edition = self.edition
        current = None
        if edition.state == Edition.State.SUPERSEDED:
            current = Edition.objects.filter(round=edition.round, state=Edition.State.PUBLISHED).first()
        return super().get_context_data(edition=edition, current=current, citation=citation(edition), **kwargs)


@method_decorator(gzip_page, name="dispatch")
class Ranking(EditionPage, ListView):
    """The ranking of an edition: bands first, ranks with their intervals, and who is not ranked and why."""

    template_name = "cci/ranking.html"
    paginate_by = 100
    SORTS = {"rank": "Rank", "name": "Name", "move": "Move"}

    @cached_property
    def places(self) -> list[Place]:
        return places_of(self.edition)

    @cached_property
    def earlier(self) -> Edition | None:
        return edition_before(self.edition)

    @cached_property
    def moves(self) -> dict[int, Move]:
        return moves_between(places_of(self.earlier), self.places) if self.earlier else {}

    @cached_property
    def pillars(self):
        return self.method.definitions.pillars

    @cached_property
    def pillar(self):
        """The one pillar looked at, or None for all five."""
        asked = self.request.GET.get("pillar", "")
        return next((node for node in self.pillars if node.code == asked), None)

    @cached_property
    def sort(self) -> str:
        asked = self.request.GET.get("sort", "")
        return asked if asked in self.SORTS else "pillar" if self.pillar and not asked else "rank"

    @cached_property
    def members(self):
        """Published clusters that the edition speaks of, ranked or not."""
        ids = Standing.objects.filter(edition=self.edition).values("cluster_id")
        return Cluster.objects.published().filter(pk__in=ids)

    @cached_property
    def filterset(self) -> ClusterFilterSet:
        return ClusterFilterSet(self.request.GET, queryset=self.members)

    @cached_property
    def is_filtered(self) -> bool:
        return any(self.request.GET.get(name) for name in ClusterFilterSet.base_filters)

    @cached_property
    def chosen(self) -> set[int]:
        """Clusters that pass the filters."""
        return set(self.filterset.qs.values_list("pk", flat=True))

    @cached_property
    def one_pillar(self) -> dict[int, float | None]:
        """Scores of the pillar looked at, of all ranked clusters."""
        ids = [place.cluster_id for place in self.places]
        scores = pillar_scores(self.edition, [self.pillar.code], ids)
        return {key: nodes[self.pillar.code] for key, nodes in scores.items()}

    def get_queryset(self) -> list[Place]:
        found = [place for place in self.places if place.cluster_id in self.chosen]
        if self.sort == "name":
            names = dict(self.members.values_list("pk", "name"))
            found.sort(key=lambda place: (names[place.cluster_id], place.cluster_id))
        elif self.sort == "move":
            found.sort(key=self.by_move)
        elif self.sort == "pillar":
            found.sort(key=lambda place: (-(self.one_pillar[place.cluster_id] or -1), place.rank))
        return found

    def by_move(self, place: Place) -> tuple:
        move = self.moves.get(place.cluster_id)
        if move is None:
            return (2, 0, place.rank)
        return (0 if move.is_move else 1, -move.gained if move.is_move else 0, place.rank)

    def rows(self, places: Sequence[Place]) -> list[dict]:
        """What a line of the table shows. Two queries."""
        ids = [place.cluster_id for place in places]
        clusters = Cluster.objects.with_places().in_bulk(ids)
        scores = pillar_scores(self.edition, [node.code for node in self.pillars], ids)
        band_of = {place.cluster_id: band for band in self.bands for place in band.places}
        return [
            {
                "cluster": clusters[place.cluster_id],
                "place": place,
                "band": band_of[place.cluster_id],
                "move": self.moves.get(place.cluster_id),
                "pillars": [(node.name, scores[place.cluster_id][node.code]) for node in self.pillars],
                "pillar": scores[place.cluster_id].get(self.pillar.code) if self.pillar else None,
            }
            for place in places
        ]

    @cached_property
    def bands(self) -> list[Band]:
        return bands_of(self.places)

    def groups(self, rows: list[dict]) -> list[dict]:
        """Rows under the line of text of their band; neighbouring bands of one cluster share a line."""
        if self.sort != "rank":
            return [{"title": "", "rows": rows}]
        groups: list[dict] = []
        for row in rows:
            band = row["band"]
            if not groups or not joined(groups[-1]["bands"][-1], band):
                groups.append({"bands": [], "rows": []})
            bands = groups[-1]["bands"]
            row["starts"] = bool(bands) and bands[-1] is not band
            if not bands or row["starts"]:
                bands.append(band)
            groups[-1]["rows"].append(row)
        for group in groups:
            group["title"], group["words"] = words_of(group["bands"])
        return groups

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        rows = self.rows(context["page_obj"].object_list)
        out = (
            Standing.objects.filter(edition=self.edition, is_ranked=False, cluster__in=self.chosen)
            .select_related("cluster__country", "cluster__region", "cluster__sector")
            .order_by("cluster__name", "cluster_id")
        )
        widest = max((place.high - place.low + 1 for place in self.places), default=0)
        pillar_median = None
        if self.pillar:
            known = [value for value in self.one_pillar.values() if value is not None]
            pillar_median = median(known) if known else None
        return context | {
            "groups": self.groups(rows),
            "rows": rows,
            "n": len(self.places),
            "total": len(self.places)
            + Standing.objects.filter(edition=self.edition, is_ranked=False, cluster__is_published=True).count(),
            "unranked": list(out),
            "leader": self.leader(),
            "settled": sum(place.low == place.high for place in self.places),
            "widest": widest,
            "earlier": self.earlier,
            "common": next(iter(self.moves.values())).n if self.moves else 0,
            "moved": sum(move.is_move for move in self.moves.values()),
            "sort": self.sort,
            "pillar": self.pillar,
            "pillar_median": pillar_median,
            "pillar_names": [node.name for node in self.pillars],
            "filters": self.filters(),
            "is_filtered": self.is_filtered,
            "filter_words": self.filter_words(),
            "editions": list(
                Edition.objects.filter(state=Edition.State.PUBLISHED)
                .order_by("-round__year")
                .values("label", year=F("round__year"))[:12]
            ),
        }

    def leader(self) -> dict | None:
        if not self.places:
            return None
        first = self.places[0]
        return {"cluster": Cluster.objects.get(pk=first.cluster_id), "place": first}

    @cached_property
    def choices(self) -> tuple[list, list]:
        """Countries and sectors (divisions) to choose from: those of the edition's clusters."""
        rows = self.members.order_by().values_list("country_id", "country__name", "sector_id").distinct()
        countries = sorted({(code, name) for code, name, _ in rows}, key=lambda pair: pair[1])
        divisions = {code[:2] for *_, code in rows if code}
        sectors = list(Sector.objects.filter(code__in=divisions).order_by("code").values_list("code", "title"))
        return countries, sectors

    def filters(self) -> list[dict]:
        countries, sectors = self.choices
        given = self.request.GET
        return [
            {"name": "country", "label": "Country", "options": countries, "value": given.get("country", "").upper()},
            {
                "name": "sector",
                "label": "Sector",
                "options": [(code, f"{code} {title}") for code, title in sectors],
                "value": given.get("sector", ""),
            },
            {
                "name": "pillar",
                "label": "Pillar",
                "options": [(node.code, node.name) for node in self.pillars],
                "value": self.pillar.code if self.pillar else "",
            },
        ]

    def filter_words(self) -> str:
        countries, sectors = (dict(pairs) for pairs in self.choices)
        given, words = self.request.GET, []
        if country := given.get("country"):
            words.append(f"in {countries.get(country.upper(), country)}")
        if sector := given.get("sector"):
            title = sectors.get(sector)
            words.append(f"sector {sector}{f' ({title})' if title else ''}")
        if text := given.get("q"):
            words.append(f"matching “{text}”")
        return ", ".join(words)


def joined(before: Band, band: Band) -> bool:
    """Whether two bands stand under one line of text: the same one, or neighbours of one cluster each."""
    if before is band:
        return True
    return len(before.places) == len(band.places) == 1 and before.position == band.position - 1


def words_of(bands: Sequence[Band]) -> tuple[str, str]:
    """The line of text above a band, or above neighbouring bands of one cluster each."""
    first, last = bands[0], bands[-1]
    if len(first.places) > 1:
        return (
            f"Band {first.letter}",
            f"{len(first.places)} clusters between ranks {first.first} and {first.last}; their order is not settled",
        )
    if first is last:
        return f"Band {first.letter}", "one cluster, its place holds in nine of ten draws"
    return f"Bands {first.letter}–{last.letter}", "one cluster each, their places hold in nine of ten draws"


@method_decorator(gzip_page, name="dispatch")
class MethodologyPage(EditionPage, TemplateView):
    """How an edition is made, written from the methodology's own data."""

    action = "methodology.read"
    template_name = "cci/methodology.html"

    def get_context_data(self, **kwargs):
        method, edition = self.method, self.edition
        content = method.content
        return super().get_context_data(
            method=method,
            same_files=method.digest == edition.methodology.digest,
            rules=content["rule"],
            coverage=content["reliability"]["stops"],
            thresholds=content["reliability"]["thresholds"],
            publication=content["publication"],
            uncertainty=content["uncertainty"],
            base_rounds=f"{min(content['base_rounds'])}–{max(content['base_rounds'])}",
            comparable_since=str(content["comparable_since"]),
            hierarchy=hierarchy_of(method),
            goalposts=goalposts_of(method),
            counts={
                "indicators": len(method.definitions.indicators),
                "dimensions": len(method.definitions.dimensions),
                "pillars": len(method.definitions.pillars),
                "clusters": edition.summary.get("clusters"),
                "ranked": edition.summary.get("ranked"),
                "units": about(edition.summary.get("units", 0)),
            },
            proxies=[f"{one.code} {one.name}" for one in method.definitions.indicators if one.estimated],
            proxy_rounds=", ".join(str(year) for year in content["proxy_rounds"]),
            **kwargs,
        )


def hierarchy_of(method) -> list[dict]:
    """Pillars with their dimensions with their indicators, each with its weight inside its parent and in the index."""
    parts = method.definitions
    return [
        {
            "node": pillar,
            "dimensions": [
                {
                    "node": dimension,
                    "share": dimension.weight * pillar.weight,
                    "indicators": [
                        {"node": one, "share": one.weight * dimension.weight * pillar.weight}
                        for one in parts.indicators
                        if one.dimension == dimension.code
                    ],
                }
                for dimension in parts.dimensions
                if dimension.parent == pillar.code
            ],
        }
        for pillar in parts.pillars
    ]


BACK = {"lin": lambda x: x, "log": math.exp, "log1p": math.expm1}
SCALES = {"lin": "as it is", "log": "logarithm", "log1p": "logarithm of one plus it"}


def goalposts_of(method) -> list[dict]:
    """The values that earn 0 and 100 points, in the indicator's own unit."""
    by_code = {one.code: one for one in method.definitions.indicators}
    rows = []
    for post in method.goalposts.itertuples(index=False):
        low, high = (BACK[post.transform](end) for end in (post.lo, post.hi))
        worst, best = (low, high) if post.direction > 0 else (high, low)
        rows.append({"node": by_code[post.iCode], "scale": SCALES[post.transform], "worst": worst, "best": best})
    return rows

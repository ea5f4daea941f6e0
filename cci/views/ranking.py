"""The ranking of an edition."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from django.db.models import F
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.generic import ListView

from cci.bands import Band, Move, Place, bands_of, letters, moves_between
from cci.models import Edition, Explanation, Standing
from cci.partial import NAMES
from clusters.filtersets import ClusterFilterSet
from clusters.models import Cluster, Sector

from .public import EditionPage
from .reading import edition_before, group_names, node_scores, places_of


@dataclass(frozen=True)
class Part:
    """A pillar or a partial index that the ranking may show alone."""

    code: str
    name: str


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
    def parts(self) -> list[Part]:
        """What may be looked at alone: a pillar, or one of the two partial indices."""
        pillars = [Part(node.code, node.name) for node in self.pillars]
        return pillars + [Part(code, name) for code, name in NAMES.items()]

    @cached_property
    def pillar(self) -> Part | None:
        """The one part looked at, or None for all five pillars."""
        asked = self.request.GET.get("pillar", "")
        return next((part for part in self.parts if part.code == asked), None)

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
        scores = node_scores(self.edition, [self.pillar.code], ids)
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
        """What a line of the table shows. Four queries."""
        ids = [place.cluster_id for place in places]
        clusters = Cluster.objects.with_places().in_bulk(ids)
        codes = [part.code for part in self.parts] if self.pillar else [node.code for node in self.pillars]
        scores = node_scores(self.edition, codes, ids)
        peers = self.peers(ids)
        band_of = {place.cluster_id: band for band in self.bands for place in band.places}
        return [
            {
                "cluster": clusters[place.cluster_id],
                "place": place,
                "band": band_of[place.cluster_id],
                "move": self.moves.get(place.cluster_id),
                "is_explained": place.cluster_id in peers,
                "peers": peers.get(place.cluster_id),
                "pillars": [(node.name, scores[place.cluster_id][node.code]) for node in self.pillars],
                "pillar": scores[place.cluster_id].get(self.pillar.code) if self.pillar else None,
            }
            for place in places
        ]

    def peers(self, ids: Sequence[int]) -> dict[int, dict | None]:
        """Place and band among peers of the clusters that the edition explains; None where it has no peers."""
        found = dict(
            Explanation.objects.filter(edition=self.edition, cluster__in=ids).values_list("cluster", "content__peers")
        )
        names = group_names(self.edition, {(one["kind"], one["key"]) for one in found.values() if one})
        return {
            key: {**one, "letter": letters(one["band"] - 1), "name": names[one["kind"], one["key"]]}
            if one and "band" in one
            else None
            for key, one in found.items()
        }

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
                "label": "Pillar or part",
                "options": [(part.code, part.name) for part in self.parts],
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
        return f"Band {first.letter}", "one cluster, its place holds in nine of ten recalculations"
    return f"Bands {first.letter}–{last.letter}", "one cluster each, their places hold in nine of ten recalculations"

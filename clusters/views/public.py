"""The public pages of the ground: the explorer of clusters, the matrix of agencies, one organisation."""

from functools import cached_property
from urllib.parse import urlencode

from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.generic import DetailView, ListView, TemplateView

from clusters.filtersets import ClusterFilterSet
from clusters.models import AreaOfWork, Cluster, ClusterRole, Organisation, Sector
from core.policy.views import PolicyMixin

MOST_ON_MAP = 250  # more dots cannot be told apart, and cost time to push apart
VIEWS = {"list": "List", "map": "Map", "table": "Table"}


@method_decorator(gzip_page, name="dispatch")
class ClusterList(PolicyMixin, ListView):
    """The explorer: filters in the address, the same clusters as list, map or table."""

    action = "cluster.read"
    model = Cluster
    template_name = "clusters/cluster_list.html"
    paginate_by = 60

    @cached_property
    def view_name(self) -> str:
        asked = self.request.GET.get("view", "")
        return asked if asked in VIEWS else "list"

    @cached_property
    def readable(self):
        """Every cluster that this visitor may read."""
        return super().get_queryset()

    @cached_property
    def filterset(self) -> ClusterFilterSet:
        return ClusterFilterSet(self.request.GET, queryset=self.readable)

    def found(self, kind: str):
        return self.filterset.qs.filter(kind=kind).with_places().order_by("country__name", "name", "pk")

    def get_queryset(self):
        return self.found(Cluster.Kind.CLUSTER)

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        page = context["page_obj"]
        return context | {
            "clusters": list(context["object_list"]),
            "groups": list(self.found(Cluster.Kind.GROUP)) if not page.has_next() else [],
            "count": page.paginator.count,
            **(self.on_map() if self.view_name == "map" else {}),
            "view_name": self.view_name,
            "tabs": self.tabs(),
            "filters": self.filters(),
            "keep": [("view", self.view_name)] if self.view_name != "list" else [],
            "filter_words": self.filter_words(),
            "is_filtered": any(self.request.GET.get(name) for name in ClusterFilterSet.base_filters),
            "refused": [text for texts in self.filterset.form.errors.values() for text in texts],
            "api_query": self.api_query(),
        }

    def query(self, **changes) -> str:
        """The query string with some parameters changed; None takes one out."""
        given = self.request.GET.copy()
        for name, value in changes.items():
            given.pop(name, None)
            if value is not None:
                given[name] = value
        return given.urlencode()

    def on_map(self) -> dict:
        """The clusters that the map draws, and how many it leaves out. Two queries."""
        placed = list(self.get_queryset().filter(latitude__isnull=False)[: MOST_ON_MAP + 1])
        return {
            "drawn": placed[:MOST_ON_MAP],
            "too_many": len(placed) > MOST_ON_MAP,
            "unplaced": self.get_queryset().filter(latitude__isnull=True).count(),
        }

    def api_query(self) -> str:
        """The same filters for the API, which refuses parameters that it does not know."""
        given = self.request.GET
        return urlencode([(name, given[name]) for name in ClusterFilterSet.base_filters if given.get(name)])

    def tabs(self) -> list[dict]:
        return [
            {
                "label": label,
                "href": f"?{self.query(view=None if name == 'list' else name, page=None)}",
                "current": name == self.view_name,
            }
            for name, label in VIEWS.items()
        ]

    @cached_property
    def choices(self) -> dict[str, list]:
        """What there is to choose from: only what some readable cluster has. Two queries."""
        rows = list(
            self.readable.order_by()
            .values_list("country_id", "country__name", "sector_id", "region_id", "region__name", "type", "stage")
            .distinct()
        )
        divisions = {row[2][:2] for row in rows if row[2]}
        titles = Sector.objects.filter(code__in=divisions).order_by("code").values_list("code", "title")
        types, stages = {row[5] for row in rows}, {row[6] for row in rows}
        return {
            "country": sorted({row[:2] for row in rows}, key=lambda pair: pair[1]),
            "sector": [(code, f"{code} {title}") for code, title in titles],
            "region": sorted({row[3:5] for row in rows if row[3]}, key=lambda pair: pair[1]),
            "type": [pair for pair in Cluster.Type.choices if pair[0] in types],
            "stage": [pair for pair in Cluster.Stage.choices if pair[0] in stages],
        }

    def filters(self) -> list[dict]:
        given = self.request.GET
        fields = [{"name": "q", "label": "Name, place or trade", "wide": True, "value": given.get("q", "")}]
        for name, label in (("country", "Country"), ("sector", "Sector"), ("type", "Type"), ("stage", "Stage")):
            options, value = self.choices[name], given.get(name, "")
            if name == "country":
                value = value.upper()
            elif name == "sector" and value and value not in dict(options):
                options = [*options, (value, value)]  # a class or group typed into the address stays chosen
            if options:
                fields.append({"name": name, "label": label, "options": options, "value": value})
        return fields

    def filter_words(self) -> str:
        """The filters in words: "in Pakistan, sector 32"."""
        given, words = self.request.GET, []
        if region := given.get("region"):
            words.append(f"in {dict(self.choices['region']).get(region.upper(), region)}")
        if country := given.get("country"):
            words.append(f"in {dict(self.choices['country']).get(country.upper(), country)}")
        if sector := given.get("sector"):
            words.append(f"sector {dict(self.choices['sector']).get(sector, sector)}")
        for name, choices in (("type", Cluster.Type), ("stage", Cluster.Stage), ("kind", Cluster.Kind)):
            if given.get(name) in choices.values:
                words.append(f"{name} {choices(given[name]).label.lower()}")
        if text := given.get("q"):
            words.append(f"matching “{text}”")
        return ", ".join(words)


@method_decorator(gzip_page, name="dispatch")
class AgencyMatrix(PolicyMixin, TemplateView):
    """Who does what: the agencies by area of work, then every other organisation by kind."""

    action = "register.read"
    template_name = "clusters/agency_matrix.html"

    def get_context_data(self, **kwargs):
        areas = list(AreaOfWork.objects.order_by("position"))
        agencies = list(
            Organisation.objects.in_matrix()
            .select_related("country", "merged_into")
            .prefetch_related("areas")
            .order_by("group", "position", "pk")
        )
        rows = []
        for agency in agencies:
            works = {area.pk for area in agency.areas.all()}
            rows.append({"agency": agency, "cells": [area.pk in works for area in areas], "n": len(works)})
        others = Organisation.objects.filter(position=0).select_related("country").order_by("name", "pk")
        kinds: dict[str, list[Organisation]] = {}
        for one in others:
            kinds.setdefault(one.kind.strip().capitalize() or "Other", []).append(one)
        totals = [sum(row["cells"][i] for row in rows) for i in range(len(areas))]
        return super().get_context_data(
            areas=areas,
            groups=grouped(rows),
            totals=totals,
            n_agencies=len(rows),
            everywhere=sum(row["n"] == len(areas) for row in rows) if areas else 0,
            thinnest=thinnest(areas, totals) if rows else None,
            kinds=sorted(kinds.items()),
            n_others=sum(map(len, kinds.values())),
            **kwargs,
        )


def grouped(rows: list[dict]) -> list[dict]:
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["agency"].group or "Other", []).append(row)
    return [{"title": title, "rows": members} for title, members in groups.items()]


def thinnest(areas: list[AreaOfWork], totals: list[int]) -> dict | None:
    """The areas of work with the fewest agencies; None where most areas have as few."""
    least = min(totals, default=0)
    names = [area.name.lower() for area, total in zip(areas, totals, strict=True) if total == least]
    return {"names": names, "n": least} if 0 < len(names) <= len(areas) / 2 else None


@method_decorator(gzip_page, name="dispatch")
class OrganisationPage(PolicyMixin, DetailView):
    """One organisation: what it is, where and in what it works, and who says so."""

    action = "register.read"
    model = Organisation
    template_name = "clusters/organisation.html"

    def get_queryset(self):
        return (
            super()
            .get_queryset()
            .select_related("country", "merged_into")
            .prefetch_related("aliases", "areas", "sources", "merged_from")
        )

    def get_context_data(self, **kwargs):
        roles = (
            ClusterRole.objects.filter(organisation=self.object, cluster__is_published=True)
            .exclude(role=ClusterRole.Role.COLLECTOR)
            .select_related("cluster__country")
            .order_by("role", "cluster__name", "pk")
        )
        names = [self.object.short_name, *(alias.name for alias in self.object.aliases.all())]
        names = dict.fromkeys(name for name in names if name and name != self.object.name)
        return super().get_context_data(roles=list(roles), other_names=list(names), **kwargs)

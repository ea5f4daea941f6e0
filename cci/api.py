"""What it amounts to, over the API: public editions only, but for those who compute them."""

import django_filters as filters
from django.db.models import Case, Exists, F, OuterRef, Subquery, When
from rest_framework import viewsets

from core.policy.api import ScopedQuerysetMixin
from facts.filtersets import YearFilter
from facts.models import IndicatorValue

from .filtersets import LATEST, IndicatorValueFilterSet, RankingFilterSet, ScoreFilterSet
from .models import Edition, Score, Standing
from .partial import CAPACITY, PERFORM
from .serializers import (
    INDEX,
    EditionSerializer,
    IndicatorValueSerializer,
    RankingSerializer,
    ScoreSerializer,
    pillar_codes,
)


class EditionFilterSet(filters.FilterSet):
    year = YearFilter(field_name="round__year", label="Year of the round")
    state = filters.ChoiceFilter(choices=Edition.State.choices, label="State")


class EditionViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Editions of the index: round, methodology, digests, state. The key latest names the latest published one."""

    queryset = (
        Edition.objects.select_related("round", "methodology", "snapshot")
        .defer("report", "methodology__definition", "snapshot__counts")
        .order_by("-round__year", F("revision").desc(nulls_last=True), "pk")
    )
    serializer_class, filterset_class, lookup_field = EditionSerializer, EditionFilterSet, "label"
    policy_actions = {"list": "edition.read", "retrieve": "edition.read"}

    def get_object(self):
        if self.kwargs["label"] == LATEST:
            edition = Edition.objects.latest_published()
            self.kwargs["label"] = edition.label if edition else ""
        return super().get_object()


class IndicatorValueViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Indicator values of published editions, as published: rounded, or withheld with the reason."""

    # Of a snapshot that several editions rest on, the published one gives the label, else the newest.
    queryset = (
        IndicatorValue.objects.filter(cluster__is_published=True)
        .select_related("cluster", "indicator", "snapshot__round")
        .only(
            *("shown", "status", "reason", "n_units", "cluster__code", "indicator__code", "indicator__unit"),
            *("snapshot__is_synthetic", "snapshot__round__year"),
        )
        .annotate(
            edition=Subquery(
                Edition.objects.public()
                .filter(snapshot=OuterRef("snapshot"))
                .order_by(Case(When(state="published", then=0), default=1), "-revision", "pk")
                .values("label")[:1]
            )
        )
    )
    serializer_class, filterset_class = IndicatorValueSerializer, IndicatorValueFilterSet
    policy_actions = {"list": "indicator_value.read", "retrieve": "indicator_value.read"}


RANKED = Standing.objects.filter(edition=OuterRef("edition"), cluster=OuterRef("cluster"), is_ranked=True)


class ScoreViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Scores of ranked clusters on the index, its two partial indices, its pillars and their dimensions."""

    queryset = (
        Score.objects.filter(Exists(RANKED), cluster__is_published=True)
        .select_related("edition", "cluster")
        .only(
            *("node", "value", "rank", "n_ranked", "rank_low", "rank_high", "coverage", "contribution"),
            *("edition__label", "edition__is_synthetic", "cluster__code"),
        )
    )
    serializer_class, filterset_class = ScoreSerializer, ScoreFilterSet
    policy_actions = {"list": "score.read", "retrieve": "score.read"}


class RankingViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """The ranking of one edition, a row for each cluster: rank with its interval, score, pillars, or why not ranked."""

    queryset = (
        Standing.objects.filter(cluster__is_published=True)
        .select_related("edition__round", "cluster")
        .defer("edition__report")
        .annotate(
            place=Subquery(
                Score.objects.filter(edition=OuterRef("edition"), cluster=OuterRef("cluster"), node=INDEX).values(
                    "rank"
                )[:1]
            )
        )
        .order_by("-is_ranked", F("place").asc(nulls_last=True), "cluster__name", "pk")
    )
    serializer_class, filterset_class = RankingSerializer, RankingFilterSet
    lookup_field, lookup_url_kwarg = "cluster__code", "cluster"
    policy_actions = {"list": "ranking.read", "retrieve": "ranking.read"}
    detail_parameters = ("edition",)

    def paginate_queryset(self, queryset):
        page = super().paginate_queryset(queryset)
        return self._with_nodes(page)

    def get_object(self):
        return self._with_nodes([super().get_object()])[0]

    def _with_nodes(self, standings: list[Standing]) -> list[Standing]:
        """Hang the scores on the index and its pillars on each standing. One query."""
        nodes: dict[tuple[int, int], dict[str, Score]] = {}
        for score in Score.objects.filter(
            edition__in={standing.edition_id for standing in standings},
            cluster__in=[standing.cluster_id for standing in standings],
            node__in=[INDEX, PERFORM, CAPACITY, *pillar_codes()],
        ):
            nodes.setdefault((score.edition_id, score.cluster_id), {})[score.node] = score
        for standing in standings:
            standing.nodes = nodes.get((standing.edition_id, standing.cluster_id), {})
        return standings

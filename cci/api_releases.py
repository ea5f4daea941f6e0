"""How editions come out, over the API: the release calendar, errata, what revisions changed."""

import django_filters as filters
from django.db.models import Q
from rest_framework import serializers, viewsets

from core.policy.api import ScopedQuerysetMixin
from facts.filtersets import YearFilter

from .filtersets import EditionFilter, OfCluster
from .models import Erratum, Release, Standing
from .revisions import Change, change_list
from .services import revised

OF_REVISIONS = ~Q(edition__revision_kind="")


# --- The calendar and errata -----------------------------------------------------------------


class ReleaseSerializer(serializers.ModelSerializer):
    year = serializers.IntegerField(source="round.year", read_only=True, help_text="Year of the round.")
    state = serializers.SerializerMethodField(help_text="planned, out or cancelled.")
    edition = serializers.CharField(
        source="edition.label", default=None, read_only=True, help_text="Label of the edition, once it is out."
    )

    class Meta:
        model = Release
        fields = [
            "id",
            "title",
            "year",
            "state",
            "planned_at",
            "is_exact",
            "moved_from",
            "moved_reason",
            "cancelled_at",
            "cancelled_reason",
            "edition",
            "announced_at",
        ]

    def get_state(self, release) -> str:
        return "out" if release.edition_id else "cancelled" if release.cancelled_at else "planned"


class ReleaseFilterSet(filters.FilterSet):
    year = YearFilter(field_name="round__year", label="Year of the round")

    class Meta:
        model = Release
        fields = ["year"]


class ReleaseViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """The release calendar: what comes out when, what was moved or cancelled and why."""

    queryset = Release.objects.select_related("round", "edition").order_by("-planned_at", "pk")
    serializer_class, filterset_class = ReleaseSerializer, ReleaseFilterSet
    policy_actions = {"list": "release.read", "retrieve": "release.read"}


class ErratumSerializer(serializers.ModelSerializer):
    edition = serializers.CharField(source="edition.label", read_only=True)
    kind_name = serializers.CharField(source="get_kind_display", read_only=True)
    clusters = serializers.SerializerMethodField(help_text="Codes of the clusters it names.")
    corrected_in = serializers.CharField(
        source="corrected_in.label", default=None, read_only=True, help_text="Label of the edition that mends it."
    )
    is_synthetic = serializers.BooleanField(source="edition.is_synthetic", read_only=True)

    class Meta:
        model = Erratum
        fields = [
            "id",
            "edition",
            "kind",
            "kind_name",
            "text",
            "effect",
            "clusters",
            "corrected_in",
            "published_at",
            "is_synthetic",
        ]

    def get_clusters(self, erratum) -> list[str]:
        return sorted(cluster.code for cluster in erratum.clusters.all() if cluster.is_published)


class ErratumFilterSet(filters.FilterSet):
    edition = EditionFilter(label="Label of the edition, or latest")
    kind = filters.ChoiceFilter(choices=Erratum.Kind.choices, label="Where the error lies")

    class Meta:
        model = Erratum
        fields = ["edition", "kind"]


class ErratumViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Errors found in published editions: what was wrong, what it changes, where it is corrected."""

    queryset = Erratum.objects.select_related("edition", "corrected_in").prefetch_related("clusters")
    serializer_class, filterset_class = ErratumSerializer, ErratumFilterSet
    policy_actions = {"list": "erratum.read", "retrieve": "erratum.read"}


# --- What revisions changed ------------------------------------------------------------------


class RevisionChangeSerializer(serializers.ModelSerializer):
    """One cluster in a revision and in the edition it replaced; figures as published."""

    edition = serializers.CharField(source="edition.label", read_only=True)
    replaced = serializers.SerializerMethodField(help_text="Label of the edition it replaced.")
    kind = serializers.CharField(source="edition.revision_kind", read_only=True, help_text="data, method or error.")
    cluster = serializers.CharField(source="cluster.code", read_only=True)
    is_changed = serializers.SerializerMethodField(help_text="Whether any published figure of it changed.")
    cause = serializers.SerializerMethodField(
        help_text="own, method, others, new, out, reason; empty where nothing changed."
    )
    score_before = serializers.SerializerMethodField(help_text="Whole points of 100.")
    score_after = serializers.SerializerMethodField(help_text="Whole points of 100.")
    rank_before = serializers.SerializerMethodField()
    rank_after = serializers.SerializerMethodField()
    rank_low_before = serializers.SerializerMethodField()
    rank_high_before = serializers.SerializerMethodField()
    rank_low_after = serializers.SerializerMethodField()
    rank_high_after = serializers.SerializerMethodField()
    band_before = serializers.SerializerMethodField(help_text="Clusters of one band cannot be told apart; A is first.")
    band_after = serializers.SerializerMethodField()
    reason_before = serializers.SerializerMethodField(help_text="Why it was not ranked.")
    reason_after = serializers.SerializerMethodField(help_text="Why it is not ranked.")
    is_synthetic = serializers.BooleanField(source="edition.is_synthetic", read_only=True)

    class Meta:
        model = Standing
        fields = [
            "id",
            "edition",
            "replaced",
            "kind",
            "cluster",
            "is_changed",
            "cause",
            "score_before",
            "score_after",
            "rank_before",
            "rank_after",
            "rank_low_before",
            "rank_high_before",
            "rank_low_after",
            "rank_high_after",
            "band_before",
            "band_after",
            "reason_before",
            "reason_after",
            "is_synthetic",
        ]

    def _seen(self, standing, when: str, field: str):
        change: Change | None = standing.change
        one = getattr(change, when) if change else None
        return getattr(one, field) if one else None

    def get_replaced(self, standing) -> str | None:
        return standing.replaced

    def get_is_changed(self, standing) -> bool:
        return bool(standing.change and standing.change.is_changed)

    def get_cause(self, standing) -> str:
        return standing.change.cause if standing.change else ""

    def get_score_before(self, standing) -> int | None:
        return self._seen(standing, "before", "points")

    def get_score_after(self, standing) -> int | None:
        return self._seen(standing, "after", "points")

    def get_rank_before(self, standing) -> int | None:
        return self._seen(standing, "before", "rank")

    def get_rank_after(self, standing) -> int | None:
        return self._seen(standing, "after", "rank")

    def get_rank_low_before(self, standing) -> int | None:
        return self._seen(standing, "before", "low")

    def get_rank_high_before(self, standing) -> int | None:
        return self._seen(standing, "before", "high")

    def get_rank_low_after(self, standing) -> int | None:
        return self._seen(standing, "after", "low")

    def get_rank_high_after(self, standing) -> int | None:
        return self._seen(standing, "after", "high")

    def get_band_before(self, standing) -> str:
        return self._seen(standing, "before", "band") or ""

    def get_band_after(self, standing) -> str:
        return self._seen(standing, "after", "band") or ""

    def get_reason_before(self, standing) -> str:
        return self._seen(standing, "before", "reason") or ""

    def get_reason_after(self, standing) -> str:
        return self._seen(standing, "after", "reason") or ""


class RevisionChangeFilterSet(OfCluster):
    edition = EditionFilter(label="Label of the revision; every public revision unless told")

    class Meta:
        model = Standing
        fields = ["edition", "cluster", "country", "region", "sector"]


class RevisionChangeViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """What each public revision changed on the edition it replaced, a row for each cluster."""

    queryset = (
        Standing.objects.filter(OF_REVISIONS, cluster__is_published=True)
        .select_related("edition__round", "cluster")
        .defer("edition__report")
        .order_by("-edition__round__year", "-edition__revision", "cluster__name", "pk")
    )
    serializer_class, filterset_class = RevisionChangeSerializer, RevisionChangeFilterSet
    policy_actions = {"list": "revision.read", "retrieve": "revision.read"}

    def paginate_queryset(self, queryset):
        return self._with_changes(super().paginate_queryset(queryset))

    def get_object(self):
        return self._with_changes([super().get_object()])[0]

    def _with_changes(self, standings: list[Standing]) -> list[Standing]:
        """Hang what changed on each standing: four queries for each revision on the page."""
        for edition in {standing.edition for standing in standings}:
            before = revised(edition)
            found: dict[int, Change] = {}
            if before:
                found = {change.cluster.pk: change for change in change_list(edition, before).rows}
            for standing in standings:
                if standing.edition_id == edition.pk:
                    standing.replaced = before.label if before else None
                    standing.change = found.get(standing.cluster_id)
        return standings

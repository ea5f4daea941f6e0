"""What the API shows of editions: whole points, bands instead of counts, and no rank without its interval."""

from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from rest_framework import serializers

from clusters.serializers import PageField
from facts.models import IndicatorValue
from facts.release import band
from facts.services.values import definitions

from .bands import letters
from .models import Edition, Score, Standing
from .partial import CAPACITY, NAMES, PERFORM

INDEX = "CCI"


def whole_points(value: float | None) -> int | None:
    """A score as published: more digits would claim more than is known. Halves are rounded up, as on the pages."""
    return None if value is None else int(Decimal(str(value)).quantize(Decimal(1), ROUND_HALF_UP))


@cache
def pillar_codes() -> tuple[str, ...]:
    return tuple(node.code for node in definitions().pillars)


@cache
def node_names() -> dict[str, str]:
    """Names of the nodes of the hierarchy by code."""
    loaded = definitions()
    nodes = {node.code: node.name for node in (*loaded.pillars, *loaded.dimensions)}
    return {INDEX: "Cluster Competitiveness Index"} | NAMES | nodes


class EditionSerializer(serializers.ModelSerializer):
    year = serializers.IntegerField(source="round.year", read_only=True, help_text="Year of the round.")
    methodology = serializers.CharField(source="methodology.version", read_only=True)
    methodology_digest = serializers.CharField(source="methodology.digest", read_only=True)
    snapshot_digest = serializers.CharField(source="snapshot.digest", default="", read_only=True)
    n_clusters = serializers.IntegerField(source="summary.clusters", default=None, read_only=True)
    n_ranked = serializers.IntegerField(source="summary.ranked", default=None, read_only=True)
    page = PageField(help_text="The rankings on this site.")

    class Meta:
        model = Edition
        fields = [
            "label",
            "year",
            "revision",
            "revision_kind",
            "revision_note",
            "state",
            "is_provisional",
            "methodology",
            "methodology_digest",
            "snapshot_digest",
            "digest",
            "engine_version",
            "n_clusters",
            "n_ranked",
            "computed_at",
            "published_at",
            "is_synthetic",
            "page",
        ]


class IndicatorValueSerializer(serializers.ModelSerializer):
    edition = serializers.CharField(read_only=True, help_text="Label of the newest edition that shows the value.")
    year = serializers.IntegerField(source="snapshot.round.year", read_only=True, help_text="Year of the round.")
    cluster = serializers.CharField(source="cluster.code", read_only=True)
    indicator = serializers.CharField(source="indicator.code", read_only=True)
    value = serializers.FloatField(source="shown", read_only=True, help_text="As published; empty with a reason.")
    unit = serializers.CharField(source="indicator.unit", read_only=True)
    status_name = serializers.CharField(source="get_status_display", read_only=True)
    n_units_band = serializers.SerializerMethodField(help_text="How many firms answered, as a band.")
    is_synthetic = serializers.BooleanField(source="snapshot.is_synthetic", read_only=True)

    class Meta:
        model = IndicatorValue
        fields = [
            "id",
            "edition",
            "year",
            "cluster",
            "indicator",
            "value",
            "unit",
            "status",
            "status_name",
            "reason",
            "n_units_band",
            "is_synthetic",
        ]

    def get_n_units_band(self, value) -> str:
        return band(value.n_units)


class ScoreSerializer(serializers.ModelSerializer):
    edition = serializers.CharField(source="edition.label", read_only=True)
    cluster = serializers.CharField(source="cluster.code", read_only=True)
    node_name = serializers.SerializerMethodField()
    value = serializers.SerializerMethodField(help_text="Whole points of 100.")
    rank = serializers.SerializerMethodField(help_text="Only where its interval is known.")
    rank_low = serializers.IntegerField(read_only=True, allow_null=True, help_text="5 % quantile of the rank.")
    rank_high = serializers.IntegerField(read_only=True, allow_null=True, help_text="95 % quantile of the rank.")
    coverage = serializers.SerializerMethodField(
        help_text="Share of the node's effective weight that was observed, to two decimals."
    )
    contribution = serializers.SerializerMethodField(
        help_text="Points of the index that the node stands for, to one decimal; those of the pillars add up to it."
    )
    is_synthetic = serializers.BooleanField(source="edition.is_synthetic", read_only=True)

    class Meta:
        model = Score
        fields = [
            "id",
            "edition",
            "cluster",
            "node",
            "node_name",
            "value",
            "rank",
            "n_ranked",
            "rank_low",
            "rank_high",
            "coverage",
            "contribution",
            "is_synthetic",
        ]

    def get_node_name(self, score) -> str:
        return node_names().get(score.node, score.node)

    def get_value(self, score) -> int | None:
        return whole_points(score.value)

    def get_rank(self, score) -> int | None:
        return score.rank if score.rank_low is not None else None

    def get_coverage(self, score) -> float | None:
        return None if score.coverage is None else round(score.coverage, 2)

    def get_contribution(self, score) -> float | None:
        return None if score.contribution is None else round(score.contribution, 1)


class RankingSerializer(serializers.ModelSerializer):
    """One cluster of an edition: ranked, with its interval and pillars, or not ranked, with the reason."""

    edition = serializers.CharField(source="edition.label", read_only=True)
    year = serializers.IntegerField(source="edition.round.year", read_only=True)
    cluster = serializers.CharField(source="cluster.code", read_only=True)
    cluster_name = serializers.CharField(source="cluster.name", read_only=True)
    country = serializers.CharField(source="cluster.country_id", read_only=True)
    region = serializers.CharField(source="cluster.region_id", read_only=True, allow_null=True)
    sector = serializers.CharField(source="cluster.sector_id", read_only=True, allow_null=True)
    rank = serializers.SerializerMethodField()
    n_ranked = serializers.IntegerField(source="edition.summary.ranked", default=None, read_only=True)
    rank_low = serializers.SerializerMethodField(help_text="5 % quantile of the rank over draws of firms and weights.")
    rank_high = serializers.SerializerMethodField(help_text="95 % quantile, likewise.")
    band = serializers.SerializerMethodField(help_text="Letter of the band; inside a band the order is not settled.")
    score = serializers.SerializerMethodField(help_text="Whole points of 100; empty where not ranked.")
    performance = serializers.SerializerMethodField(help_text="Partial index of outcomes, whole points.")
    capacity = serializers.SerializerMethodField(help_text="Partial index of what stands behind them, whole points.")
    pillars = serializers.SerializerMethodField(help_text="Whole points by pillar; empty where not ranked.")
    reason_text = serializers.SerializerMethodField(help_text="Why it is not ranked.")
    n_units_band = serializers.SerializerMethodField(help_text="How many operating firms answered, as a band.")
    is_synthetic = serializers.BooleanField(source="edition.is_synthetic", read_only=True)

    class Meta:
        model = Standing
        fields = [
            "edition",
            "year",
            "cluster",
            "cluster_name",
            "country",
            "region",
            "sector",
            "is_ranked",
            "rank",
            "n_ranked",
            "rank_low",
            "rank_high",
            "band",
            "score",
            "performance",
            "capacity",
            "pillars",
            "reason",
            "reason_text",
            "n_units_band",
            "is_synthetic",
        ]

    def _node(self, standing, node: str) -> Score | None:
        return standing.nodes.get(node) if standing.is_ranked else None

    def get_rank(self, standing) -> int | None:
        index = self._node(standing, INDEX)
        return index.rank if index and index.rank_low is not None else None

    def get_rank_low(self, standing) -> int | None:
        index = self._node(standing, INDEX)
        return index.rank_low if index else None

    def get_rank_high(self, standing) -> int | None:
        index = self._node(standing, INDEX)
        return index.rank_high if index else None

    def get_band(self, standing) -> str:
        return letters(standing.band - 1) if standing.is_ranked and standing.band else ""

    def get_score(self, standing) -> int | None:
        return self._points(standing, INDEX)

    def get_performance(self, standing) -> int | None:
        return self._points(standing, PERFORM)

    def get_capacity(self, standing) -> int | None:
        return self._points(standing, CAPACITY)

    def _points(self, standing, node: str) -> int | None:
        score = self._node(standing, node)
        return whole_points(score.value) if score else None

    def get_pillars(self, standing) -> dict[str, int | None]:
        return {code: self._points(standing, code) for code in pillar_codes()}

    def get_reason_text(self, standing) -> str:
        return "" if standing.is_ranked else standing.get_reason_display()

    def get_n_units_band(self, standing) -> str:
        return band(standing.n_units)

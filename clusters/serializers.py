"""What the API shows of the ground. Names and addresses of units are not here."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from .models import Cluster, ClusterRole, Organisation, ProfileFact, Region, Sector, Unit


@extend_schema_field(OpenApiTypes.URI)
class PageField(serializers.Field):
    """The address of a record's page on this site, for people."""

    def __init__(self, **kwargs):
        super().__init__(source="*", read_only=True, **kwargs)

    def to_representation(self, record) -> str | None:
        return self.context["request"].build_absolute_uri(record.get_absolute_url()) if record.pk else None


class RegionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Region
        fields = ["code", "country", "name", "type", "level", "is_disputed", "latitude", "longitude", "note"]


class SectorSerializer(serializers.ModelSerializer):
    class Meta:
        model = Sector
        fields = ["code", "level", "parent", "title"]


class ClusterSerializer(serializers.ModelSerializer):
    kind = serializers.CharField(read_only=True, help_text="cluster, or group of clusters")
    type_name = serializers.CharField(source="get_type_display", read_only=True)
    stage_name = serializers.CharField(source="get_stage_display", read_only=True)
    sector_title = serializers.CharField(source="sector.title", default="", read_only=True)
    aliases = serializers.SlugRelatedField("name", many=True, read_only=True)
    page = PageField(help_text="The cluster on this site.")

    class Meta:
        model = Cluster
        fields = [
            "code",
            "name",
            "aliases",
            "kind",
            "country",
            "region",
            "place",
            "place_in_source",
            "place_basis",
            "latitude",
            "longitude",
            "type",
            "type_name",
            "stage",
            "stage_name",
            "sector",
            "sector_title",
            "other_sectors",
            "products",
            "summary",
            "sources",
            "verified_on",
            "page",
        ]


class ProfileFactSerializer(serializers.ModelSerializer):
    class Meta:
        model = ProfileFact
        fields = ["section", "label", "value", "unit", "year", "source", "licence", "verified_at"]


class ClusterOrganisationSerializer(serializers.ModelSerializer):
    slug = serializers.CharField(source="organisation.slug", read_only=True)
    name = serializers.CharField(source="organisation.name", read_only=True)
    is_synthetic = serializers.BooleanField(source="organisation.is_synthetic", read_only=True)

    class Meta:
        model = ClusterRole
        fields = ["slug", "name", "role", "is_synthetic"]


class ClusterDetailSerializer(ClusterSerializer):
    """One cluster, with its published facts and the organisations that work for it."""

    facts = ProfileFactSerializer(many=True, read_only=True)
    organisations = ClusterOrganisationSerializer(source="roles", many=True, read_only=True)

    class Meta(ClusterSerializer.Meta):
        fields = [*ClusterSerializer.Meta.fields, "facts", "organisations"]


class UnitSerializer(serializers.ModelSerializer):
    cluster = serializers.CharField(source="cluster.code", read_only=True)

    class Meta:
        model = Unit
        fields = ["frame_id", "cluster", "sector", "registered", "member", "start_year", "is_synthetic"]


class FrameNumberSerializer(serializers.ModelSerializer):
    """A unit as a partner client knows it."""

    cluster = serializers.CharField(source="cluster.code", read_only=True)

    class Meta:
        model = Unit
        fields = ["frame_id", "cluster", "is_synthetic"]


class AgencySerializer(serializers.ModelSerializer):
    aliases = serializers.SlugRelatedField("name", many=True, read_only=True)
    merged_into = serializers.SlugRelatedField("slug", read_only=True)
    page = PageField(help_text="The organisation on this site.")

    class Meta:
        model = Organisation
        fields = [
            "slug",
            "name",
            "short_name",
            "aliases",
            "kind",
            "group",
            "country",
            "areas",
            "role",
            "merged_into",
            "sources",
            "is_synthetic",
            "page",
        ]


class AssociationSerializer(AgencySerializer):
    clusters = serializers.SerializerMethodField(help_text="Codes of the clusters that it represents.")

    class Meta(AgencySerializer.Meta):
        fields = [
            "slug",
            "name",
            "short_name",
            "aliases",
            "kind",
            "country",
            "clusters",
            "role",
            "sources",
            "is_synthetic",
            "page",
        ]

    def get_clusters(self, association) -> list[str]:
        return [role.cluster.code for role in association.represents]

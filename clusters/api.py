"""The ground over the API."""

import django_filters as filters
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Prefetch, Q
from rest_framework import viewsets

from core import policy
from core.policy.api import ScopedQuerysetMixin

from .filtersets import ClusterFilterSet, OrganisationFilterSet
from .models import Cluster, ClusterRole, Organisation, ProfileFact, Region, Sector, Unit
from .serializers import (
    AgencySerializer,
    AssociationSerializer,
    ClusterDetailSerializer,
    ClusterSerializer,
    FrameNumberSerializer,
    RegionSerializer,
    SectorSerializer,
    UnitSerializer,
)

LEVELS = [(str(level), str(level)) for level in range(1, 5)]
YES_NO = [("true", "true"), ("false", "false")]


class YesNoFilter(filters.TypedChoiceFilter):
    """`true` or `false`; anything else is refused, where a BooleanFilter would overlook it."""

    def __init__(self, **kwargs):
        super().__init__(choices=YES_NO, coerce=lambda text: text == "true", **kwargs)


class RegionFilterSet(filters.FilterSet):
    q = filters.CharFilter(field_name="name", lookup_expr="icontains", label="Words in the name")
    country = filters.CharFilter(field_name="country__code", lookup_expr="iexact", label="Country (ISO 3166-1)")
    level = filters.ChoiceFilter(choices=LEVELS[:2], label="Level: 2 lies inside 1")


class SectorFilterSet(filters.FilterSet):
    q = filters.CharFilter(field_name="title", lookup_expr="icontains", label="Words in the title")
    level = filters.ChoiceFilter(choices=LEVELS, label="1 section, 2 division, 3 group, 4 class")
    parent = filters.CharFilter(field_name="parent_id", label="Code of the activity above")


class UnitFilterSet(filters.FilterSet):
    cluster = filters.CharFilter(field_name="cluster__code", lookup_expr="iexact", label="Cluster code")
    sector = filters.CharFilter(field_name="sector_id", lookup_expr="startswith", label="Sector (ISIC Rev.4)")
    registered = YesNoFilter(label="Registered")
    member = YesNoFilter(label="On the association's list of members")


class AssociationFilterSet(filters.FilterSet):
    q = filters.CharFilter(field_name="name", lookup_expr="icontains", label="Words in the name")
    country = filters.CharFilter(field_name="country__code", lookup_expr="iexact", label="Country (ISO 3166-1)")
    cluster = filters.CharFilter(method="filter_cluster", label="Cluster code")

    def filter_cluster(self, queryset, name, value):
        return queryset.filter(
            Exists(REPRESENTS.filter(organisation=OuterRef("pk"), cluster__code__iexact=value)),
        )


class RegionViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """First-level divisions of countries (ISO 3166-2)."""

    queryset = Region.objects.order_by("country_id", "name", "pk")
    serializer_class, filterset_class, lookup_field = RegionSerializer, RegionFilterSet, "code"
    policy_actions = {"list": "register.read", "retrieve": "register.read"}


class SectorViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Economic activities (ISIC Rev.4): sections, divisions, groups and classes."""

    queryset = Sector.objects.order_by("code")
    serializer_class, filterset_class, lookup_field = SectorSerializer, SectorFilterSet, "code"
    policy_actions = {"list": "register.read", "retrieve": "register.read"}


class ClusterViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Industrial clusters: place, trade, type and stage; one cluster also with its published facts."""

    queryset = (
        Cluster.objects.select_related("sector")
        .prefetch_related("aliases", "other_sectors", "products", "sources")
        .order_by("name", "pk")
    )
    filterset_class, lookup_field = ClusterFilterSet, "code"
    policy_actions = {"list": "cluster.read", "retrieve": "cluster.read"}

    def get_serializer_class(self):
        return ClusterDetailSerializer if self.action == "retrieve" else ClusterSerializer

    def get_queryset(self):
        found = super().get_queryset()
        if self.action != "retrieve":
            return found
        facts = ProfileFact.objects.filter(state=ProfileFact.State.PUBLISHED)
        return found.prefetch_related(
            Prefetch("facts", queryset=facts),
            Prefetch("roles", queryset=ClusterRole.objects.select_related("organisation")),
        )


class UnitViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Firms and workshops under their frame number, for those who collect from them. No names.

    A partner client gets frame number and cluster only: whom it may file for.
    """

    queryset = Unit.objects.select_related("cluster")
    serializer_class, filterset_class, lookup_field = UnitSerializer, UnitFilterSet, "frame_id"
    policy_actions = {"list": "unit.read", "retrieve": "unit.read"}

    @property
    def sees_register(self) -> bool:
        is_drawn = getattr(self, "swagger_fake_view", False)  # the schema names every field there is
        return is_drawn or policy.allowed(self.request.user, "unit.read_register")

    def get_serializer_class(self):
        return UnitSerializer if self.sees_register else FrameNumberSerializer

    def filter_queryset(self, queryset):
        # What a client may not read it may not find out by asking for it either.
        asked = sorted({"sector", "registered", "member"} & set(self.request.query_params))
        if asked and not self.sees_register:
            raise PermissionDenied(f"This account may not ask for units by {asked[0]}.")
        return super().filter_queryset(queryset)


REPRESENTS = ClusterRole.objects.filter(role=ClusterRole.Role.ASSOCIATION, cluster__is_published=True)
IS_ASSOCIATION = Q(kind__istartswith="association") | Exists(
    ClusterRole.objects.filter(organisation=OuterRef("pk"), role=ClusterRole.Role.ASSOCIATION)
)
ORGANISATIONS = Organisation.objects.select_related("merged_into").prefetch_related("aliases", "sources")


class AssociationViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Associations of firms, and the clusters that they represent."""

    queryset = (
        ORGANISATIONS.filter(IS_ASSOCIATION)
        .prefetch_related(
            Prefetch(
                "cluster_roles",
                queryset=REPRESENTS.select_related("cluster").order_by("cluster__code"),
                to_attr="represents",
            )
        )
        .order_by("name", "pk")
    )
    serializer_class, filterset_class, lookup_field = AssociationSerializer, AssociationFilterSet, "slug"
    policy_actions = {"list": "register.read", "retrieve": "register.read"}


class AgencyViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Agencies, institutes, banks and other bodies that work for clusters, with their areas of work."""

    queryset = ORGANISATIONS.exclude(IS_ASSOCIATION).prefetch_related("areas").order_by("name", "pk")
    serializer_class, filterset_class, lookup_field = AgencySerializer, OrganisationFilterSet, "slug"
    policy_actions = {"list": "register.read", "retrieve": "register.read"}

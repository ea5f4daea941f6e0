"""What is done about it, over the API."""

import django_filters as filters
from django.db.models import Prefetch
from rest_framework import viewsets

from clusters.models import Cluster
from core.policy.api import ScopedQuerysetMixin

from .filtersets import InterventionFilterSet
from .models import Intervention, Scheme
from .serializers import InterventionSerializer, SchemeSerializer


class SchemeFilterSet(filters.FilterSet):
    q = filters.CharFilter(field_name="name", lookup_expr="icontains", label="Words in the name")
    owner = filters.CharFilter(field_name="owner__slug", label="Organisation that runs it")


class InterventionViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """What was done for clusters, by whom, when and with what money, as the sources tell it."""

    queryset = (
        Intervention.objects.select_related("parent", "lead", "scheme")
        .prefetch_related(
            Prefetch(
                "clusters",
                queryset=Cluster.objects.published().order_by("code"),
                to_attr="public_clusters",
            ),
            "partners",
            "types",
            "areas",
            "sources",
            "budget_lines",
        )
        .order_by("code")
    )
    serializer_class, filterset_class, lookup_field = InterventionSerializer, InterventionFilterSet, "code"
    policy_actions = {"list": "intervention.read", "retrieve": "intervention.read"}


class SchemeViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Programmes under which interventions are financed."""

    queryset = Scheme.objects.select_related("owner").prefetch_related("sources").order_by("name", "pk")
    serializer_class, filterset_class, lookup_field = SchemeSerializer, SchemeFilterSet, "slug"
    policy_actions = {"list": "scheme.read", "retrieve": "scheme.read"}

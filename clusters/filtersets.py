"""One set of filters for the explorer and the API, so that they never disagree."""

import django_filters as filters

from .models import Cluster, Organisation


class ClusterFilterSet(filters.FilterSet):
    """Find clusters by words, country, region, sector (a code and everything below it), type and stage."""

    q = filters.CharFilter(method="filter_words", label="Words in name, place, sector or product")
    country = filters.CharFilter(field_name="country__code", lookup_expr="iexact", label="Country (ISO 3166-1)")
    region = filters.CharFilter(field_name="region__code", lookup_expr="iexact", label="Region (ISO 3166-2)")
    sector = filters.CharFilter(method="filter_sector", label="Sector (ISIC Rev.4)")
    type = filters.ChoiceFilter(choices=Cluster.Type.choices, label="Type")
    stage = filters.ChoiceFilter(choices=Cluster.Stage.choices, label="Stage")
    kind = filters.ChoiceFilter(choices=Cluster.Kind.choices, label="Cluster or group of clusters")

    class Meta:
        model = Cluster
        fields = ["q", "country", "region", "sector", "type", "stage", "kind"]

    def filter_words(self, queryset, name, value):
        return queryset.matching(value)

    def filter_sector(self, queryset, name, value):
        """A division finds its classes; a section letter finds its divisions."""
        return queryset.in_sector(value)


class OrganisationFilterSet(filters.FilterSet):
    """Find organisations by words, country, kind and area of work."""

    q = filters.CharFilter(field_name="name", lookup_expr="icontains", label="Words in the name")
    country = filters.CharFilter(field_name="country__code", lookup_expr="iexact", label="Country (ISO 3166-1)")
    kind = filters.CharFilter(field_name="kind", lookup_expr="iexact", label="Kind")
    area = filters.CharFilter(field_name="areas__code", label="Area of work")

    class Meta:
        model = Organisation
        fields = ["q", "country", "kind", "area"]

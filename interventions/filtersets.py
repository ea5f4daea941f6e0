"""One set of filters for the register and the API."""

import django_filters as filters

from .models import Intervention


class InterventionFilterSet(filters.FilterSet):
    """Find interventions by words, cluster, country, area of work, kind and agency."""

    q = filters.CharFilter(field_name="title", lookup_expr="icontains", label="Words in the title")
    cluster = filters.CharFilter(method="filter_cluster", label="Cluster code")
    country = filters.CharFilter(
        field_name="clusters__country__code", lookup_expr="iexact", label="Country", distinct=True
    )
    area = filters.CharFilter(field_name="areas__code", label="Area of work")
    kind = filters.ChoiceFilter(choices=Intervention.Kind.choices, label="Soft or hard")
    agency = filters.CharFilter(field_name="lead__slug", label="Lead agency")

    class Meta:
        model = Intervention
        fields = ["q", "cluster", "country", "area", "kind", "agency"]

    def filter_cluster(self, queryset, name, value):
        """Only a published cluster's code finds anything: the others are not told apart from none."""
        return queryset.filter(clusters__code__iexact=value, clusters__is_published=True)

"""Filters of everything that belongs to an edition: by edition, and by the cluster's code, place and sector."""

import django_filters as filters
from django import forms
from django.db.models import Value
from drf_spectacular.utils import extend_schema_field

from clusters.api import YesNoFilter
from clusters.models import Cluster
from facts.filtersets import YearFilter
from facts.models import IndicatorValue

from .models import Edition, Score, Standing

LATEST = "latest"


def public_edition(label: str) -> Edition | None:
    """The public edition of a label, or the latest published one."""
    if label == LATEST:
        return Edition.objects.latest_published()
    return Edition.objects.public().filter(label=label).first()


class EditionField(forms.CharField):
    """The label of a public edition, or `latest`. One not published is answered like one that never was."""

    def clean(self, value):
        label = super().clean(value)
        if not label:
            return None
        edition = public_edition(label)
        if edition is None:
            raise forms.ValidationError(
                "There is no published edition of this label; /api/v1/editions/ lists them.", code="no_such_edition"
            )
        return edition


@extend_schema_field({"type": "string", "description": "Label of a published edition, or latest"})
class EditionFilter(filters.Filter):
    field_class = EditionField


class OfCluster(filters.FilterSet):
    """Cluster, country, region and sector of a row."""

    cluster = filters.CharFilter(field_name="cluster__code", lookup_expr="iexact", label="Cluster code")
    country = filters.CharFilter(
        field_name="cluster__country__code", lookup_expr="iexact", label="Country (ISO 3166-1)"
    )
    region = filters.CharFilter(field_name="cluster__region__code", lookup_expr="iexact", label="Region (ISO 3166-2)")
    sector = filters.CharFilter(method="filter_sector", label="Sector (ISIC Rev.4), with all below it")

    def filter_sector(self, queryset, name, value):
        return queryset.filter(cluster__in=Cluster.objects.in_sector(value))


class ScoreFilterSet(OfCluster):
    edition = EditionFilter(label="Label of the edition, or latest")
    node = filters.CharFilter(lookup_expr="iexact", label="Node: CCI, a pillar or a dimension")

    class Meta:
        model = Score
        fields = ["edition", "cluster", "node", "country", "region", "sector"]


class RankingFilterSet(OfCluster):
    """One edition at a time: the latest published unless told."""

    edition = EditionFilter(label="Label of the edition; the latest published unless told")
    is_ranked = YesNoFilter(label="Ranked, or not ranked with the reason")
    reason = filters.ChoiceFilter(
        choices=[choice for choice in Standing.Reason.choices if choice[0]], label="Category of why it is not ranked"
    )

    class Meta:
        model = Standing
        fields = ["edition", "cluster", "country", "region", "sector", "is_ranked", "reason"]

    def filter_queryset(self, queryset):
        if self.form.cleaned_data.get("edition") is None:
            latest = Edition.objects.latest_published()
            queryset = queryset.filter(edition=latest) if latest else queryset.none()
        return super().filter_queryset(queryset)


class IndicatorValueFilterSet(OfCluster):
    edition = EditionFilter(method="filter_edition", label="Label of the edition, or latest")
    year = YearFilter(field_name="snapshot__round__year", label="Year of the round")
    indicator = filters.CharFilter(field_name="indicator__code", lookup_expr="iexact", label="Indicator code")
    status = filters.ChoiceFilter(choices=IndicatorValue.Status.choices, label="Status (SDMX CL_OBS_STATUS)")

    class Meta:
        model = IndicatorValue
        fields = ["edition", "year", "cluster", "indicator", "status", "country", "region", "sector"]

    def filter_edition(self, queryset, name, edition):
        return queryset.filter(snapshot=edition.snapshot_id).annotate(edition=Value(edition.label))

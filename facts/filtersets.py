"""Filters of rounds, questions, returns and indicators."""

import django_filters as filters
from django import forms
from drf_spectacular.utils import extend_schema_field

from clusters.api import YesNoFilter

from .models import Return, Round, Schedule


class YearField(forms.IntegerField):
    def __init__(self, **kwargs):
        super().__init__(**{"min_value": 1900, "max_value": 9999} | kwargs)


@extend_schema_field(int)
class YearFilter(filters.Filter):
    """A whole year; 2025.5 and 20_25 are refused."""

    field_class = YearField


class RoundFilterSet(filters.FilterSet):
    state = filters.ChoiceFilter(choices=Round.State.choices, label="State")
    instrument = filters.CharFilter(field_name="instrument__version", label="Version of the instrument")


class QuestionFilterSet(filters.FilterSet):
    q = filters.CharFilter(field_name="label", lookup_expr="icontains", label="Words in the question")
    instrument = filters.CharFilter(field_name="instrument__version", label="Version of the instrument")
    schedule = filters.ChoiceFilter(choices=Schedule.choices, label="Schedule")
    section = filters.CharFilter(lookup_expr="iexact", label="Section")
    type = filters.CharFilter(lookup_expr="iexact", label="Type of answer")
    required = YesNoFilter(label="An answer is needed")
    core = YesNoFilter(label="Core question")


class ReturnFilterSet(filters.FilterSet):
    round = YearFilter(field_name="round__year", label="Year of the round")
    schedule = filters.ChoiceFilter(choices=Schedule.choices, label="Schedule")
    state = filters.ChoiceFilter(choices=Return.State.choices, label="State")
    cluster = filters.CharFilter(field_name="cluster__code", lookup_expr="iexact", label="Cluster code")
    subject = filters.CharFilter(label="Respondent: frame id, cluster code, association or region code")


class IndicatorFilterSet(filters.FilterSet):
    q = filters.CharFilter(field_name="name", lookup_expr="icontains", label="Words in the name")
    pillar = filters.CharFilter(lookup_expr="iexact", label="Pillar")
    dimension = filters.CharFilter(lookup_expr="iexact", label="Dimension")

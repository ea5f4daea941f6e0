"""Registers of what is observed, over the API: rounds, instruments, questions, indicators."""

from django.db.models import Count
from django.http import Http404
from rest_framework import viewsets

from core.policy.api import ScopedQuerysetMixin
from facts.filtersets import IndicatorFilterSet, QuestionFilterSet, RoundFilterSet
from facts.models import Indicator, Instrument, Question, Round
from facts.serializers import IndicatorSerializer, InstrumentSerializer, QuestionSerializer, RoundSerializer


class RoundViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Rounds of collection: year, instrument, window and state."""

    queryset = Round.objects.select_related("instrument").order_by("-year")
    serializer_class, filterset_class, lookup_field = RoundSerializer, RoundFilterSet, "year"
    policy_actions = {"list": "round.read", "retrieve": "round.read"}


class InstrumentViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Versions of the FACTS instrument."""

    queryset = Instrument.objects.annotate(n_questions=Count("questions")).order_by("version")
    serializer_class, lookup_field = InstrumentSerializer, "version"
    policy_actions = {"list": "instrument.read", "retrieve": "instrument.read"}


class QuestionViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """What is asked, of whom, why, and which answers are offered."""

    queryset = Question.objects.select_related("instrument").order_by("-instrument__version", "position", "pk")
    serializer_class, filterset_class, lookup_field = QuestionSerializer, QuestionFilterSet, "code"
    policy_actions = {"list": "instrument.read", "retrieve": "instrument.read"}
    detail_parameters = ("instrument",)

    def get_object(self):
        """A code never changes meaning; its newest wording is shown unless an instrument is named."""
        found = self.filter_queryset(self.get_queryset())
        try:
            question = found.filter(code=self.kwargs["code"]).first()
        except ValueError:  # a NUL, on PostgreSQL
            question = None
        if question is None:
            raise Http404
        return question


class IndicatorViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """The measures: what each means, its formula, unit, direction and weight."""

    queryset = Indicator.objects.order_by("position", "pk")
    serializer_class, filterset_class, lookup_field = IndicatorSerializer, IndicatorFilterSet, "code"
    policy_actions = {"list": "indicator.read", "retrieve": "indicator.read"}

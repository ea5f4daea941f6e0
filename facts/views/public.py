"""The public pages of what is observed: the instrument, the codebook of indicators, one indicator."""

import re
from functools import cached_property
from statistics import median

from django.db.models import F
from django.http import Http404
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.views.decorators.gzip import gzip_page
from django.views.generic import ListView, TemplateView

from core.policy.views import PolicyMixin
from facts.models import Indicator, IndicatorValue, Instrument, Round, Schedule, Snapshot
from facts.release import band, significant
from facts.services import instruments, minutes
from facts.services.values import definitions

LATEST = 9999  # a year after every round: the newest minutes that are known
CURRENT = "1.0"  # the instrument that pages show where none is registered yet
LEAST_FOR_LEADERS = 10
LEAST_FOR_MEDIAN = 5
BOUNDS = ("less than", "more than")  # a withheld share near 0 or 100 is published as a bound

FUNCTIONS = {
    "SUM": "sum over units",
    "MEAN": "mean of units",
    "WMEAN": "mean of units, weighted by what stands after “by”",
    "MED": "weighted median of units",
    "SHARE": "per cent of units for which it holds, of those in “base”",
    "MATCHED_GROWTH": "growth over units that reported in both rounds",
    "COUNT": "how many options are ticked",
    "COUNT_EXCL_NONE": "how many options are ticked, “none” not counted",
    "REAL": "in prices of the base year",
    "PPP": "in international dollars",
    "USD": "in US dollars, mean rate of the year",
    "FRAME": "units in scope",
    "RCE": "persons engaged in the region's clusters",
    "INFL": "inflation of the year",
    "IF": "the second where the first holds, else the third",
    "MAX": "the larger one",
    "has": "the option is ticked",
    "coalesce": "the first that is known",
    "MISSING": "no value",
}
LABELS = {"LABEL_G": "governance points of the quality label", "LABEL_S": "strategy points of the quality label"}


def published_snapshots():
    """Snapshots of published editions with the edition's label and round, newest first."""
    return (
        Snapshot.objects.filter(editions__state="published")
        .annotate(edition=F("editions__label"), edition_year=F("editions__round__year"))
        .order_by("-edition_year", "pk")
    )


@method_decorator(gzip_page, name="dispatch")
class InstrumentPage(PolicyMixin, TemplateView):
    """What FACTS asks, of whom, why, and who sees it; every question under its own anchor."""

    action = "instrument.read"
    template_name = "facts/instrument.html"

    def get_context_data(self, **kwargs):
        registered = Instrument.objects.order_by("-pk").first()
        instrument = instruments.definition(registered.version if registered else CURRENT)
        schedules = list(instrument.schedules.values())
        return super().get_context_data(
            instrument=instrument,
            schedules=schedules,
            n_questions=sum(len(schedule.questions) for schedule in schedules),
            n_checks=sum(len(schedule.checks) for schedule in schedules),
            indicators=set(Indicator.objects.values_list("code", flat=True)),
            minutes=minutes.last_known(LATEST),
            schedule_names=Schedule.choices,
            round=Round.objects.order_by("-year").first(),  # of which the blank forms are
            **kwargs,
        )


@method_decorator(gzip_page, name="dispatch")
class IndicatorList(PolicyMixin, ListView):
    """The codebook: every indicator under its pillar and dimension, with its weight."""

    action = "indicator.read"
    model = Indicator
    template_name = "facts/indicator_list.html"

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        indicators, book = list(context["object_list"]), definitions()
        pillars = [
            {
                "node": pillar,
                "number": number,
                "dimensions": [
                    {
                        "node": dimension,
                        "share": dimension.weight * pillar.weight,
                        "indicators": [one for one in indicators if one.dimension == dimension.code],
                    }
                    for dimension in book.dimensions
                    if dimension.parent == pillar.code
                ],
            }
            for number, pillar in enumerate(book.pillars, start=1)
        ]
        return context | {"indicators": indicators, "pillars": pillars, "book": book}


@method_decorator(gzip_page, name="dispatch")
class IndicatorPage(PolicyMixin, TemplateView):
    """One indicator: what it is, how it is computed, how clusters lie on it, who leads."""

    action = "indicator.read"
    template_name = "facts/indicator.html"

    @cached_property
    def indicator(self) -> Indicator:
        return self.fetch(Indicator.objects.all(), code=self.kwargs["code"].upper())

    def get_context_data(self, **kwargs):
        one, book = self.indicator, definitions()
        reviewed = next((d for d in book.indicators if d.code == one.code), None)
        if reviewed is None:
            raise Http404
        snapshot = published_snapshots().first()
        values = self.values(snapshot) if snapshot else []
        shown = [value for value in values if value.shown is not None]
        dimension = next(node for node in book.dimensions if node.code == one.dimension)
        return super().get_context_data(
            indicator=one,
            reviewed=reviewed,
            dimension=dimension,
            pillar=next(node for node in book.pillars if node.code == dimension.parent),
            formula=formula_parts(one.formula),
            snapshot=snapshot,
            rows=[row_of(value) for value in values],
            shown=shown,
            points=[(value.cluster.name, value.shown) for value in values],
            middle=middle_of([value.shown for value in shown]),
            better="high" if one.direction > 0 else "low",
            leaders=shown[:3] if len(shown) >= LEAST_FOR_LEADERS else [],
            trailers=shown[-3:] if len(shown) >= LEAST_FOR_LEADERS else [],
            least_for_leaders=LEAST_FOR_LEADERS,
            years=self.years(),
            neighbours=self.neighbours(),
            **kwargs,
        )

    def values(self, snapshot: Snapshot) -> list[IndicatorValue]:
        """Published values, the best first, those without a value last. One query."""
        found = list(
            IndicatorValue.objects.of(snapshot)
            .filter(indicator=self.indicator, cluster__is_published=True)
            .select_related("cluster__country")
            .defer("value")
            .order_by("cluster__name", "pk")
        )
        sign = -self.indicator.direction
        return sorted(found, key=lambda v: (v.shown is None, sign * (v.shown or 0)))

    def years(self) -> list[dict]:
        """How many clusters show a value in each published edition, and their median. Two queries."""
        snapshots = list(published_snapshots())
        found: dict[int, list[float]] = {}
        rows = IndicatorValue.objects.filter(
            snapshot__in=snapshots, indicator=self.indicator, shown__isnull=False, cluster__is_published=True
        ).values_list("snapshot_id", "shown")
        for key, value in rows.order_by("snapshot_id", "pk"):
            found.setdefault(key, []).append(value)
        return [
            {
                "edition": one.edition,
                "year": one.edition_year,
                "n": len(found.get(one.pk, ())),
                "median": middle_of(found.get(one.pk, [])),
            }
            for one in snapshots
        ]

    def neighbours(self) -> dict:
        near = Indicator.objects.filter(position__in=[self.indicator.position - 1, self.indicator.position + 1])
        by_position = {one.position: one for one in near}
        return {
            "previous": by_position.get(self.indicator.position - 1),
            "next": by_position.get(self.indicator.position + 1),
        }


def middle_of(values: list[float]) -> float | None:
    """The median of published values, to as many digits as they have; None of fewer than five."""
    return significant(median(values)) if len(values) >= LEAST_FOR_MEDIAN else None


def row_of(value: IndicatorValue) -> dict:
    """What a table shows of one published value."""
    return {"value": value, "n": band(value.n_units), "words": words_of(value)}


def words_of(value: IndicatorValue) -> str:
    """What is said where no figure is shown: the status in words, empty where the figure stands."""
    if value.shown is not None:
        return "estimated" if value.status == IndicatorValue.Status.ESTIMATED else ""
    if value.status == IndicatorValue.Status.SUPPRESSED:
        if value.reason.startswith(BOUNDS):
            return value.reason
        return f"withheld: {value.reason or 'too few firms'}"
    reason = value.reason if value.reason != "not reported" else ""
    return f"not reported: {reason}" if reason else "not reported"


def questions_of(version: str = CURRENT) -> dict:
    """Every question of the instrument by its code."""
    return {
        code: question
        for schedule in instruments.definition(version).schedules.values()
        for code, question in schedule.questions.items()
    }


TOKEN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*|[^A-Za-z_]+")


def formula_parts(formula: str) -> dict:
    """A formula as text with each question linked, and what every name in it stands for."""
    questions, book = questions_of(), definitions()
    used: dict[str, list] = {"questions": [], "derived": [], "functions": []}

    def note(names, kind) -> None:
        used[kind] += [name for name in dict.fromkeys(names) if name not in used[kind]]

    def read(text: str) -> None:
        tokens = TOKEN.findall(text)
        note([token for token in tokens if token in questions], "questions")
        note([token for token in tokens if token in FUNCTIONS], "functions")
        for name in [token for token in tokens if token in book.derived and token not in used["derived"]]:
            note([name], "derived")
            read(book.derived[name].text)

    read(formula)
    return {
        "html": linked(formula, questions),
        "questions": [questions[code] for code in used["questions"]],
        "derived": [
            {
                "name": name,
                "meaning": book.meanings[name],
                "html": linked(book.derived[name].text, questions),
            }
            for name in used["derived"]
        ],
        "functions": [(name, FUNCTIONS[name]) for name in used["functions"]],
        "labels": [(name, words) for name, words in LABELS.items() if name in formula],
    }


def linked(text: str, questions: dict):
    """The formula, each question's code a link to the question."""
    page = reverse("facts:instrument")
    return format_html_join(
        mark_safe(""),
        "{}",
        (
            (
                format_html('<a href="{}#{}" title="{}">{}</a>', page, token, questions[token].label, token)
                if token in questions
                else token,
            )
            for token in TOKEN.findall(text)
        ),
    )

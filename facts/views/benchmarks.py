"""The benchmark sheet that a firm gets back after its return was accepted."""

from django.http import Http404
from django.views.generic import TemplateView

from clusters.models import AreaOfWork
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.benchmarks import GAPS, Line
from facts.models import Return
from facts.services.benchmarks import sheet_of
from facts.wording import grouped

from .parts import place_label

DIRECTIONS = {1: "more is better", -1: "less is better", 0: "neither more nor less is better in itself"}


class BenchmarkSheet(PolicyMixin, TemplateView):
    """Own figures beside those of peers; for the firm, and for the organisation that typed its return."""

    action = "benchmark.read"
    template_name = "facts/benchmark_sheet.html"

    def get_context_data(self, **kwargs):
        returns = Return.objects.with_subjects().select_related("round__instrument", "cluster__country", "unit__sector")
        ret = self.fetch(returns, pk=self.kwargs["pk"])
        try:
            sheet = sheet_of(ret, by=self.request.user)
        except DomainError:
            raise Http404 from None  # no sheet yet: nothing stands at this address
        areas = {area.code: area.name for area in AreaOfWork.objects.all()}
        return super().get_context_data(**kwargs) | {
            "ret": ret,
            "label": place_label(ret),
            "sheet": sheet,
            "rows": [_row(line, ret.currency) for line in sheet.lines],
            "gaps": [_gap(line, ret.currency, areas) for line in sheet.gaps],
            "gaps_max": GAPS,
            "directions": DIRECTIONS,
        }


def shown(value: float | None, unit: str, currency: str) -> str:
    """A figure of the sheet with its unit: money in the currency's own grouping, the rest to three digits."""
    if value is None:
        return ""
    if unit == "money":
        return f"{currency} {grouped(round(value), currency)}".strip()
    text = grouped(float(f"{value:.3g}"), currency)
    return f"{text} %" if unit == "%" else f"{text} {unit}"


def _row(line: Line, currency: str) -> dict:
    figure = line.figure
    return {
        "line": line,
        "label": figure.label,
        "meaning": figure.meaning,
        "direction": DIRECTIONS[figure.direction],
        "own": shown(line.own, figure.unit, currency),
        "low": shown(line.low, figure.unit, currency),
        "middle": shown(line.middle, figure.unit, currency),
        "high": shown(line.high, figure.unit, currency),
    }


def _gap(line: Line, currency: str, areas: dict[str, str]) -> dict:
    figure = line.figure
    own, middle = (shown(value, figure.unit, currency) for value in (line.own, line.middle))
    side = "more" if figure.direction > 0 else "less"
    return {
        "label": figure.label,
        "sentence": f"You report {own}; half of your peers report {side} than {middle}.",
        "area": figure.area,
        "area_name": areas.get(figure.area, ""),
    }

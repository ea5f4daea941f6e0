"""The public register of interventions, and one of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from django.db.models import Prefetch
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.generic import DetailView, ListView

from clusters.models import AreaOfWork, Cluster, Country
from core.policy.views import PolicyMixin
from interventions.filtersets import InterventionFilterSet
from interventions.models import Intervention


@dataclass
class Total:
    """Amounts of one currency that may be added: each tree of parts counted once."""

    currency: str
    amount: Decimal = Decimal(0)
    n: int = 0


@dataclass
class Money:
    """What can be added up of some interventions, and what cannot."""

    totals: dict[str, Total] = field(default_factory=dict)
    left_out: int = 0  # suspect, per something, or words only
    inside: int = 0  # already contained in the amount of a whole

    @property
    def by_size(self) -> list[Total]:
        return sorted(self.totals.values(), key=lambda total: (-total.n, total.currency))


def money_of(interventions: Iterable[Intervention], parents: dict[int, int | None]) -> Money:
    """Add amounts by currency, never a whole and its part, never a suspect amount, never one "per" something.

    interventions : with `budget_lines` loaded. parents : key → key of its whole, for every intervention there is.
    """
    interventions = list(interventions)
    countable = {one.pk: [line for line in one.budget_lines.all() if is_countable(line)] for one in interventions}
    money = Money()
    for one in interventions:
        lines = list(one.budget_lines.all())
        money.left_out += len(lines) - len(countable[one.pk])
        if any(countable.get(whole) for whole in wholes_of(one.pk, parents)):
            money.inside += len(countable[one.pk])
            continue
        for line in countable[one.pk]:
            total = money.totals.setdefault(line.currency, Total(line.currency))
            total.amount += line.amount
            total.n += 1
    return money


def is_countable(line) -> bool:
    return line.amount is not None and not line.is_suspect and not line.per and bool(line.currency)


def wholes_of(key: int, parents: dict[int, int | None]) -> Iterable[int]:
    """What an intervention is a part of, and what that is a part of."""
    seen = {key}
    while (key := parents.get(key)) and key not in seen:
        seen.add(key)
        yield key


@method_decorator(gzip_page, name="dispatch")
class InterventionList(PolicyMixin, ListView):
    """The register: filters in the address, amounts and dates as the sources print them."""

    action = "intervention.read"
    model = Intervention
    template_name = "interventions/intervention_list.html"
    paginate_by = 60

    @cached_property
    def readable(self):
        return super().get_queryset()

    @cached_property
    def filterset(self) -> InterventionFilterSet:
        return InterventionFilterSet(self.request.GET, queryset=self.readable)

    @cached_property
    def found(self):
        return self.filterset.qs.distinct()

    def get_queryset(self):
        return (
            self.found.select_related("lead", "parent")
            .prefetch_related(Prefetch("clusters", Cluster.objects.published()), "areas", "budget_lines")
            .order_by("code", "pk")
        )

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        parents = dict(self.readable.order_by().values_list("pk", "parent_id"))
        return context | {
            "money": money_of(self.found.prefetch_related("budget_lines"), parents),
            "filters": self.filters(),
            "filter_words": self.filter_words(),
            "is_filtered": any(self.request.GET.get(name) for name in InterventionFilterSet.base_filters),
            "everything": len(parents),
        }

    @cached_property
    def choices(self) -> dict[str, list]:
        readable = self.readable.order_by()
        kinds = set(readable.values_list("kind", flat=True))
        return {
            "country": list(
                Country.objects.filter(clusters__in=Cluster.objects.published().filter(interventions__in=readable))
                .order_by("name")
                .values_list("code", "name")
                .distinct()
            ),
            "area": list(AreaOfWork.objects.order_by("position").values_list("code", "name")),
            "kind": [pair for pair in Intervention.Kind.choices if pair[0] in kinds],
            "agency": list(
                readable.filter(lead__isnull=False)
                .order_by("lead__name")
                .values_list("lead__slug", "lead__name")
                .distinct()
            ),
        }

    def filters(self) -> list[dict]:
        given = self.request.GET
        fields = [{"name": "q", "label": "Words in the title", "wide": True, "value": given.get("q", "")}]
        labels = {"country": "Country", "area": "Area of work", "kind": "Kind", "agency": "Lead"}
        for name, label in labels.items():
            if self.choices[name]:
                value = given.get(name, "").upper() if name == "country" else given.get(name, "")
                fields.append({"name": name, "label": label, "options": self.choices[name], "value": value})
        return fields

    def filter_words(self) -> str:
        given, words = self.request.GET, []
        phrases = {
            "country": "in {}",
            "area": "in the area “{}”",
            "kind": "of the kind “{}”",
            "agency": "led by {}",
        }
        for name, phrase in phrases.items():
            if value := given.get(name):
                known = dict(self.choices[name])
                words.append(phrase.format(known.get(value, known.get(value.upper(), value))))
        if code := given.get("cluster"):
            words.append(f"for the cluster {code.upper()}")
        if text := given.get("q"):
            words.append(f"matching “{text}”")
        return ", ".join(words)


@method_decorator(gzip_page, name="dispatch")
class InterventionPage(PolicyMixin, DetailView):
    """One intervention, as its sources tell it."""

    action = "intervention.read"
    model = Intervention
    template_name = "interventions/intervention_detail.html"

    def get_queryset(self):
        return (
            super()
            .get_queryset()
            .select_related("lead", "parent", "scheme")
            .prefetch_related("areas", "types", "partners", "sources", "budget_lines")
        )

    def get_context_data(self, **kwargs):
        one = self.object
        parts = self.in_scope(one.parts.all()).prefetch_related("budget_lines").order_by("code", "pk")
        clusters = one.clusters.published().with_places().order_by("country__name", "name", "pk")
        return super().get_context_data(
            clusters=list(clusters),
            parts=list(parts),
            whole=one.parent if one.parent and one.parent.is_published else None,
            **kwargs,
        )

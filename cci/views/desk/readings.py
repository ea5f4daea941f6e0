"""What an analyst reads of an edition: who moves, how it holds, whether it hangs together, who did what."""

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.urls import reverse

from cci.desk import comparing, judging, record
from cci.desk.judging import names_of
from cci.methodology import load_method

from .pages import OfEdition

PAGE = 100


class Reading(OfEdition):
    """A page that needs figures."""

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        if not context["has_figures"]:
            raise Http404
        return context


class Results(Reading):
    """Every cluster beside the published edition."""

    tab = "edition-results"
    template_name = "cci/edition_results.html"

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        edition, asked = context["edition"], self.request.GET
        found = comparing.compare(edition)
        kinds = comparing.KINDS if found.before else {k: comparing.KINDS[k] for k in ("ranked", "unranked")}
        orders = comparing.ORDERS if found.before else {k: comparing.ORDERS[k] for k in ("rank", "name")}
        kind = asked.get("show", "") if asked.get("show") in kinds else ""
        order = asked["order"] if asked.get("order") in orders else next(iter(orders))
        country, text = asked.get("country", "")[:2], asked.get("q", "").strip()[:60]
        chosen = found.chosen(kind, country, text, order)
        page = Paginator(chosen, PAGE).get_page(asked.get("page"))
        causes = comparing.causes_of(found, page.object_list)
        countries = sorted(
            {(row.cluster.country_id, row.cluster.country.name) for row in found.rows}, key=lambda one: one[1]
        )
        return context | {
            "before": found.before,
            "summary": found.changes.summary,
            "counts": {name: found.count(name) for name in kinds},
            "page": page,
            "rows": [{"change": row, "cause": causes.get(row.cluster.pk)} for row in page.object_list],
            "names": names_of(load_method(edition.methodology.version)),
            "n_ranked": found.count("ranked"),
            "filters": [
                {
                    "name": "show",
                    "label": "Which clusters",
                    "value": kind,
                    "options": [(name, f"{words} ({found.count(name)})") for name, words in kinds.items()],
                },
                {"name": "country", "label": "Country", "value": country, "options": countries},
                {"name": "order", "label": "Order", "value": order, "options": list(orders.items())},
                {"name": "q", "label": "Cluster", "value": text, "wide": True},
            ],
            "here": reverse("cci:edition-results", args=[edition.pk]),
        }


class Coherence(Reading):
    """The statistical audit of the edition's indicators."""

    tab = "edition-coherence"
    template_name = "cci/edition_coherence.html"

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        edition = context["edition"]
        return context | judging.coherence(edition, load_method(edition.methodology.version))


class Robustness(Reading):
    """How far the ranking hangs on choices of the method and on which firms answered."""

    tab = "edition-robustness"
    template_name = "cci/edition_robustness.html"

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        edition = context["edition"]
        found = judging.robustness(edition, load_method(edition.methodology.version))
        page = Paginator(found.pop("rows"), PAGE).get_page(self.request.GET.get("page"))
        return context | found | {"page": page}


class Record(OfEdition):
    """Who did what, and what changed after collection ended; as a page and as a file."""

    tab = "edition-record"
    template_name = "cci/edition_record.html"

    def get(self, request, pk):
        if request.GET.get("as") != "csv":
            return super().get(request, pk)
        edition = self.get_edition()
        response = HttpResponse(record.as_csv(record.events_of(edition)), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="record-{edition.label}.csv"'
        return response

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        edition = context["edition"]
        return context | {
            "events": [
                {"event": one, "words": record.words_of(one), "details": record.details_of(one, edition.label)}
                for one in record.events_of(edition)
            ],
            "late": record.changed_late(edition),
            "pre_releases": list(edition.pre_releases.select_related("user", "granted_by")),
        }

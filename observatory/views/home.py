"""The first page: what the observatory knows today."""

from collections import Counter

from django.db.models import Count
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.generic import TemplateView

from cci.models import Edition, Standing
from cci.views.public import Place, about, bands_of, citation, edition_before, moves_between, places_of
from clusters.models import Cluster
from core.jobs.models import Job
from core.policy.views import PolicyMixin
from facts.models import Round
from observatory import pages

TOP = 5
REFRESH_SECONDS = 5


@method_decorator(gzip_page, name="dispatch")
class Home(PolicyMixin, TemplateView):
    """Figures, map, latest edition, what moved, next releases, search; works with nothing loaded at all."""

    action = "site.read"
    template_name = "home.html"

    def get(self, request, *args, **kwargs):
        response = super().get(request, *args, **kwargs)
        if response.context_data["loading"]:
            response["Refresh"] = str(REFRESH_SECONDS)
        return response

    def get_context_data(self, **kwargs):
        clusters = list(
            Cluster.objects.published().filter(kind=Cluster.Kind.CLUSTER).with_places().order_by("name", "pk")
        )
        edition = Edition.objects.latest_published()
        context = super().get_context_data(
            loading=Job.objects.filter(kind="load_demo", state__in=["queued", "running"]).first(),
            stopped=last_load_failed(),
            n_clusters=len(clusters),
            n_countries=len({one.country_id for one in clusters}),
            countries_note=most_in(clusters),
            groups_note=groups_note(),
            edition=edition,
            releases=next_releases(),
            **kwargs,
        )
        notes: dict[int, str] = {}
        if edition:
            context |= latest(edition, {one.pk: one for one in clusters})
            notes = {
                place.cluster_id: f"score {place.score:.0f}, ranks {place.low} to {place.high} of {context['n']}"
                for place in context["places"]
            }
            order = {place.cluster_id: i for i, place in enumerate(context["places"])}
            clusters.sort(key=lambda one: order.get(one.pk, len(order)))
        return context | {
            "map": pages.cluster_map(clusters, notes=notes),
            "drawn": pages.MOST_DOTS if len(clusters) > pages.MOST_DOTS else 0,
        }


def groups_note() -> str:
    n = Cluster.objects.published().filter(kind=Cluster.Kind.GROUP).count()
    return f"and {n} group{'s' if n != 1 else ''} of clusters" if n else "each in one place"


def most_in(clusters: list[Cluster]) -> str:
    """Where most of them are."""
    if not clusters:
        return ""
    [(country, n)] = Counter(one.country.name for one in clusters).most_common(1)
    return f"most clusters in {country}: {n}"


def last_load_failed() -> bool:
    """Whether the demonstration data were to be loaded, and were not."""
    last = Job.objects.filter(kind="load_demo").order_by("-pk").values_list("state", flat=True).first()
    return last in (Job.State.FAILED, Job.State.DEAD)


def latest(edition: Edition, clusters: dict[int, Cluster]) -> dict:
    """What the latest edition says, in its first lines."""
    places = places_of(edition)
    band_of = {place.cluster_id: band for band in bands_of(places) for place in band.places}
    earlier = edition_before(edition)
    moves = moves_between(places_of(earlier), places) if earlier else {}
    moved = sorted(
        ((key, move) for key, move in moves.items() if move.is_move and key in clusters),
        key=lambda pair: (-abs(pair[1].gained), pair[1].after),
    )
    standings = Standing.objects.filter(edition=edition, cluster__is_published=True).aggregate(n=Count("pk"))
    return {
        "places": places,
        "n": len(places),
        "of": standings["n"],
        "top": [
            {"cluster": clusters[place.cluster_id], "place": place, "band": band_of[place.cluster_id]}
            for place in places[:TOP]
            if place.cluster_id in clusters
        ],
        "sure": how_sure(places),
        "earlier": earlier,
        "common": len(moves),
        "moved": [{"cluster": clusters[key], "move": move} for key, move in moved[:8]],
        "n_moved": len(moved),
        "units": about(edition.summary.get("units", 0)),
        "citation": citation(edition),
        "year": str(edition.round.year),
        "ranked_note": f"of {standings['n']} in {edition.round.year}",
        "returns_note": f"accepted in {edition.round.year}",
    }


def how_sure(places: list[Place]) -> dict:
    widths = [place.high - place.low + 1 for place in places]
    return {"settled": widths.count(1), "widest": max(widths, default=0)}


def next_releases() -> list[dict]:
    """What comes next, soonest first: rounds that are open or planned, results that are due."""
    today = timezone.localdate()
    coming = []
    for one in Round.objects.exclude(releases_on__lt=today).order_by("year", "pk"):
        if one.state == Round.State.PLANNED and one.opens_on > today:
            coming.append({"when": one.opens_on, "title": f"Round {one.year} opens", "ahead": True})
        if one.state == Round.State.OPEN:
            word = "closes" if one.closes_on >= today else "was to close"
            coming.append({"when": one.closes_on, "title": f"Round {one.year} {word}", "ahead": True})
        if one.releases_on:
            coming.append({"when": one.releases_on, "title": f"Edition {one.year} of the index", "ahead": True})
    return sorted(coming, key=lambda item: item["when"])[:4]

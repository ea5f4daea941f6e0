"""What pages of the lower apps show of the apps above them: figures, standings, interventions."""

from django import template
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from interventions.models import Intervention
from observatory import figures, pages

register = template.Library()

register.simple_tag(figures.dot_strip, name="dot_strip")
register.simple_tag(figures.bar_list, name="bar_list")
register.simple_tag(figures.line, name="line_figure")
register.simple_tag(pages.cluster_map, name="cluster_map")


@register.simple_tag(takes_context=True)
def load_standings(context, clusters):
    """`{% load_standings clusters %}`: what the latest edition says of them, as `standings`, for every block after."""
    context.dicts[0]["standings"] = pages.standings(clusters)
    return ""


@register.simple_tag
def interventions_of(organisation):
    """Published interventions that an organisation leads or takes part in. One query."""
    return list(
        Intervention.objects.filter(
            Q(lead=organisation) | Q(pk__in=organisation.partner_in.values("pk")), is_published=True
        ).order_by("code", "pk")
    )


@register.simple_tag
def provisional_scores(cluster, round_):
    """Index and pillars of a provisional cluster in the round's published edition; None where there is none."""
    return pages.provisional_scores(cluster, round_)


@register.filter
def get(mapping, key):
    """A value of a mapping by its key; None where it has none."""
    return mapping.get(key) if mapping else None


@register.inclusion_tag("components/breadcrumb.html")
def breadcrumb(here, *steps):
    """`{% breadcrumb "Sialkot" "Clusters" "clusters:list" %}`: this page's name, then label and route of each step."""
    trail = [{"label": "Home", "href": reverse("home")}]
    for label, route in zip(steps[::2], steps[1::2], strict=True):
        trail.append({"label": label, "href": route if route.startswith("/") else reverse(route)})
    return {"trail": trail, "here": here}


@register.inclusion_tag("components/page_end.html", takes_context=True)
def page_foot(context, title, api, method_href="", method_label="", citation=""):
    """How a page ends: cite, download, API, how it is made, report an error.

    title : what is cited, where no `citation` is given. api : the address that answers the same figures.
    """
    joint = "&" if "?" in api else "?"
    return {
        "citation": citation or f"Cluster Observatory: {title}. Read on {timezone.localdate():%-d %B %Y}.",
        "downloads": [
            {"label": "CSV", "href": f"{api}{joint}format=csv"},
            {"label": "XLSX", "href": f"{api}{joint}format=xlsx"},
        ],
        "api_href": api,
        "method_href": method_href,
        "method_label": method_label,
        "contact_email": context.get("contact_email"),
    }

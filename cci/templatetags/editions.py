"""What pages of editions say of their release: where the methodology stands, what was revised, what was found wrong."""

from django import template

from cci.models import Erratum
from cci.offices import offices_of
from cci.services import revised
from cci.views.methodologies import adopted_before

register = template.Library()


@register.inclusion_tag("cci/_methodology_state.html")
def methodology_state(edition):
    """Where the methodology of an edition stands, by whose office, and a way to what it changed. Three queries."""
    one = edition.methodology
    offices = offices_of([one.registered_by_id, one.checked_by_id, one.adopted_by_id])
    return {
        "edition": edition,
        "methodology": one,
        "registered": offices.get(one.registered_by_id, ""),
        "checked": offices.get(one.checked_by_id, ""),
        "adopted": offices.get(one.adopted_by_id, ""),
        "before": adopted_before(one),
    }


@register.inclusion_tag("cci/_edition_notices.html")
def edition_notices(edition):
    """What readers of an edition must know first: its revision, its errata. Two queries."""
    before = revised(edition) if edition.revision else None
    return {"edition": edition, "before": before, "n_errata": Erratum.objects.filter(edition=edition).count()}

"""People as readers see them: by the office they hold, never by name."""

from collections.abc import Iterable

from clusters.models import Membership

WORDS = {"analyst": "an analyst", "auditor": "an auditor", "admin": "an administrator", "supervisor": "a supervisor"}
CELL = "the coordinating cell"


def offices_of(user_ids: Iterable[int | None]) -> dict[int, str]:
    """The office of each person: role and organisation, of the first role held. One query."""
    found: dict[int, str] = {}
    held = Membership.objects.filter(user__in=[pk for pk in user_ids if pk]).select_related("organisation")
    for one in held.order_by("pk"):
        where = one.organisation.name if one.organisation else CELL
        found.setdefault(one.user_id, f"{WORDS.get(one.role, f'a {one.role} account')} of {where}")
    return found

"""`manage.py verify_editions [--edition LABEL]`."""

from django.core.management.base import BaseCommand, CommandError

from cci.engine import VERSION
from cci.models import Edition
from cci.services import verify
from core.base import DomainError

COVERS = (
    "A digest covers the snapshot of the returns, the methodology's files, the engine's version, and every score, "
    "rank, interval, standard error and standing."
)


class Command(BaseCommand):
    help = "Compute every published edition again from its snapshot; compare digests and every stored row."

    def add_arguments(self, parser):
        parser.add_argument("--edition", help="Label of one, published or not; without it, every published one.")

    def handle(self, *, edition: str | None = None, **options):
        found = Edition.objects.select_related("round", "methodology", "snapshot").order_by("round__year", "revision")
        found = found.filter(label=edition).exclude(digest="") if edition else found.public()
        if edition and not found:
            raise CommandError(f"There is no computed edition {edition}.")
        wrong = 0
        for one in found:
            fault = _fault(one)
            wrong += bool(fault)
            said = f"DIFFERS: {fault}" if fault else "same digest, same rows"
            self.stdout.write(
                f"{one.label}: {said} ({one.digest[:16]}…; methodology {one.methodology.version}, "
                f"engine {one.engine_version or 'not noted'})"
            )
        self.stdout.write(f"{len(found)} editions computed again. {COVERS}")
        if wrong:
            raise CommandError(f"{wrong} of {len(found)} editions could not be reproduced.")


def _fault(edition: Edition) -> str:
    """Why an edition cannot be reproduced; empty where it comes out the same."""
    if edition.snapshot is None:
        return "it names no snapshot, so it cannot be computed again"
    try:
        found = verify(edition)
    except DomainError as refusal:
        return str(refusal)
    except (OSError, KeyError, ValueError) as exc:
        return f"methodology {edition.methodology.version} cannot be read: {exc}"
    if found.digest == edition.digest and not found.altered:
        return ""
    if found.digest == edition.digest:
        return f"the digest is the same, but what is stored is not what was computed: {', '.join(found.altered)}"
    if edition.engine_version != VERSION:
        made_by = edition.engine_version
        return f"{found.digest[:16]}…: engine {made_by} made it, this is {VERSION}; use the release it names"
    return f"{found.digest[:16]}…"

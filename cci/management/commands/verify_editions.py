"""`manage.py verify_editions`."""

from django.core.management.base import BaseCommand, CommandError

from cci.models import Edition
from cci.services import recompute_digest
from core.base import DomainError


class Command(BaseCommand):
    help = "Compute every published edition again from its snapshot and compare digests."

    def handle(self, **options):
        wrong = 0
        for edition in Edition.objects.public().select_related("round", "methodology", "snapshot"):
            try:
                found = recompute_digest(edition)
            except DomainError as exc:
                found = str(exc)
            same = found == edition.digest
            wrong += not same
            self.stdout.write(
                f"{edition.label}: {'same digest' if same else f'DIFFERS: {found}'} ({edition.digest[:16]}…)"
            )
        if wrong:
            raise CommandError(f"{wrong} editions could not be reproduced.")

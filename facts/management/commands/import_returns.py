"""`manage.py import_returns FILE --round 2026 --as USER [--dry-run]`."""

from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from facts.models import Round
from facts.services.files import import_file


class Command(BaseCommand):
    help = "Make drafts from a CSV or XLSX file of returns: all of them or none. A named person certifies them later."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)
        parser.add_argument("--round", type=int, required=True, help="The round's year, for instance 2026.")
        parser.add_argument("--as", dest="username", required=True, help="Whose rights and name the import has.")
        parser.add_argument("--scale", type=int, default=1, choices=[1, 1000, 100_000, 1_000_000])
        parser.add_argument("--keep-failing", action="store_true", help="Store rows that fail a hard check as drafts.")
        parser.add_argument("--dry-run", action="store_true", help="Check everything, keep nothing.")

    def handle(self, *, file: Path, username: str, dry_run: bool, keep_failing: bool, scale: int, **options):
        by = get_user_model().objects.filter(username=username, is_active=True).first()
        if by is None:
            raise CommandError(f"There is no active account {username!r}.")
        round_ = Round.objects.select_related("instrument").filter(year=options["round"]).first()
        if round_ is None:
            raise CommandError(f"There is no round {options['round']}.")
        try:
            content = file.read_bytes()
        except OSError as exc:
            raise CommandError(f"{file} cannot be read: {exc.strerror}.") from None
        outcome = import_file(
            content, file.name, round_=round_, by=by, dry_run=dry_run, scale=scale, keep_failing=keep_failing
        )
        if outcome.refused:
            lines = "\n".join(str(problem) for problem in outcome.refused)
            raise CommandError(f"Nothing was kept.\n{lines}")
        for problem in outcome.open_points:
            self.stdout.write(f"open point: {problem}")
        kept = "would be made" if dry_run else "made"
        self.stdout.write(
            f"{outcome.created} drafts {kept}, {outcome.updated} updated, {outcome.unchanged} unchanged, "
            f"{len(outcome.open_points)} open points."
        )

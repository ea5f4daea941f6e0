"""`manage.py import_submissions FILE --round 2026 --as USER [--dry-run]`."""

from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from core.base import DomainError
from facts.models import Round
from facts.services.field import import_submissions


class Command(BaseCommand):
    help = "Make drafts of submissions that ODK Central or KoboToolbox exported (CSV, XLSX, JSON, XML): all or none."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)
        parser.add_argument("--round", type=int, required=True, help="The round's year, for instance 2026.")
        parser.add_argument("--as", dest="username", required=True, help="Whose rights and name the import has.")
        parser.add_argument("--dry-run", action="store_true", help="Check everything, keep nothing.")

    def handle(self, *, file: Path, username: str, dry_run: bool, **options):
        by = get_user_model().objects.filter(username=username, is_active=True).first()
        if by is None:
            raise CommandError(f"There is no active account {username!r}.")
        round_ = Round.objects.select_related("instrument").filter(year=options["round"]).first()
        if round_ is None:
            raise CommandError(f"There is no round {options['round']}.")
        try:
            brought = import_submissions(file.read_bytes(), file.name, round_=round_, by=by, dry_run=dry_run)
        except OSError as exc:
            raise CommandError(f"{file} cannot be read: {exc.strerror}.") from None
        except DomainError as refusal:
            raise CommandError(f"Nothing was kept.\n{refusal}") from None
        outcome = brought.outcome
        if outcome.refused:
            lines = "\n".join(str(problem) for problem in outcome.refused)
            more = outcome.n_refused - len(outcome.refused)
            raise CommandError(f"Nothing was kept.\n{lines}" + (f"\nAnd {more:,} more." if more else ""))
        for problem in outcome.open_points:
            self.stdout.write(f"open point: {problem}")
        kept = "would be made" if dry_run else "made"
        self.stdout.write(
            f"{outcome.created} drafts {kept}, {outcome.updated} changed, {outcome.unchanged + brought.known} already "
            f"here, {brought.rejected} rejected on their server, {outcome.n_open_points} open points."
        )

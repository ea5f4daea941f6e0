"""`manage.py import_returns FILE --round 2026 --as USER [--dry-run]`."""

import sys
from pathlib import Path
from typing import BinaryIO

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from core.base import DomainError
from facts.models import Round
from facts.services.files import import_file

MAX_BYTES = 20_000_000_000  # a CSV file of a whole country; an XLSX file stays within the limit of uploads
MAX_ROWS = 10_000_000
EVERY = 2_000  # rows between two words of progress


class Command(BaseCommand):
    help = "Make drafts from a CSV or XLSX file of returns: all of them or none. A named person certifies them later."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path, help="The file; - reads standard input. CSV may be of any length.")
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
            with sys.stdin.buffer if str(file) == "-" else file.open("rb") as source:
                outcome = import_file(
                    _readable(source),
                    file.name,
                    round_=round_,
                    by=by,
                    dry_run=dry_run,
                    scale=scale,
                    keep_failing=keep_failing,
                    max_bytes=MAX_BYTES,
                    max_rows=MAX_ROWS,
                    progress=self.tell if options["verbosity"] else lambda done: None,
                )
        except OSError as exc:
            raise CommandError(f"{file} cannot be read: {exc.strerror}.") from None
        except DomainError as refusal:
            raise CommandError(f"Nothing was kept.\n{refusal}") from None
        if outcome.refused:
            lines = "\n".join(str(problem) for problem in outcome.refused)
            more = outcome.n_refused - len(outcome.refused)
            raise CommandError(f"Nothing was kept.\n{lines}" + (f"\nAnd {more:,} more." if more else ""))
        for problem in outcome.open_points:
            self.stdout.write(f"open point: {problem}")
        kept = "would be made" if dry_run else "made"
        self.stdout.write(
            f"{outcome.created} drafts {kept}, {outcome.updated} updated, {outcome.unchanged} unchanged, "
            f"{outcome.n_open_points} open points."
        )

    def tell(self, done: int) -> None:
        if done >= EVERY:
            self.stderr.write(f"{done:,} rows checked")


def _readable(source: BinaryIO) -> bytes | BinaryIO:
    """A file that the child process can read by itself; what has no descriptor is read here."""
    try:
        source.fileno()
    except (OSError, ValueError):
        return source.read()
    return source

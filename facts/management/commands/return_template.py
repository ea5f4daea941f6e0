"""`manage.py return_template SCHEDULE --round 2025 --cluster CODE --out FILE`."""

from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from clusters.models import Cluster
from core.base import DomainError
from facts.models import Round, Schedule
from facts.services.templates import template_file


class Command(BaseCommand):
    help = "Write an XLSX or CSV file to fill in, by the file's ending: one row a respondent, one column a question."

    def add_arguments(self, parser):
        parser.add_argument("schedule", type=str.lower, choices=[code.lower() for code in Schedule.values])
        parser.add_argument("--round", type=int, required=True, help="The round's year, for instance 2025.")
        parser.add_argument("--cluster", required=True, help="The cluster's code, for instance PK-SUR-SKT.")
        parser.add_argument("--out", type=Path, required=True, help="The file to write; .xlsx or .csv.")

        parser.add_argument(
            "--as", dest="username", help="With last year's answers, as far as this account may read them."
        )

    def handle(self, *, schedule: str, cluster: str, out: Path, username: str | None = None, **options):
        by = get_user_model().objects.filter(username=username, is_active=True).first() if username else None
        if username and by is None:
            raise CommandError(f"There is no active account {username!r}.")
        round_ = Round.objects.select_related("instrument").filter(year=options["round"]).first()
        if round_ is None:
            raise CommandError(f"There is no round {options['round']}.")
        found = Cluster.objects.filter(code=cluster).select_related("country").first()
        if found is None:
            raise CommandError(f"There is no cluster {cluster!r}.")
        try:
            content = template_file(schedule.upper(), round_=round_, cluster=found, ending=out.suffix.lower(), by=by)
            out.write_bytes(content)
        except DomainError as refusal:
            raise CommandError(str(refusal)) from None
        except OSError as exc:
            raise CommandError(f"{out} cannot be written: {exc.strerror}.") from None
        self.stdout.write(f"{out} written.")

"""`manage.py xlsform unit --round 2026 [--cluster PK-SUR-SKT] --out unit.xlsx [--checks]`."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from clusters.models import Cluster
from facts.models import Round, Schedule
from facts.services.field import form_of
from facts.xlsform.export import workbook


class Command(BaseCommand):
    help = "Write a schedule as an XLSForm for ODK or Kobo. With --cluster its respondents can be chosen by code."

    def add_arguments(self, parser):
        parser.add_argument("schedule", choices=[code.lower() for code in Schedule.values])
        parser.add_argument("--round", type=int, required=True, help="The round's year, for instance 2026.")
        parser.add_argument("--cluster", help="Code of a cluster, for instance PK-SUR-SKT.")
        parser.add_argument("--out", type=Path, required=True, help="The file to write.")
        parser.add_argument("--checks", action="store_true", help="Also say which checks wait for the observatory.")

    def handle(self, *, schedule: str, out: Path, **options):
        round_ = Round.objects.select_related("instrument").filter(year=options["round"]).first()
        if round_ is None:
            raise CommandError(f"There is no round {options['round']}.")
        cluster = None
        if options["cluster"]:
            cluster = Cluster.objects.filter(code=options["cluster"]).first()
            if cluster is None:
                raise CommandError(f"There is no cluster {options['cluster']}.")
        form = form_of(schedule.upper(), round_, cluster=cluster)
        try:
            out.write_bytes(workbook(form))
        except OSError as exc:
            raise CommandError(f"{out} cannot be written: {exc.strerror}.") from None
        waiting = [placed for placed in form.placements if placed.where == "server"]
        judged = len(form.placements) - len(waiting)
        self.stdout.write(f"{out}: form {form.id}, version {form.version}; {judged} checks in the form.")
        for placed in waiting if options["checks"] else []:
            self.stdout.write(f"{placed.check.code} waits for the observatory: it {placed.reason}.")

"""`manage.py recompute_cci --round 2025 [--edition N] [--now]`."""

from django.core.management.base import BaseCommand, CommandError

from cci.services import request_recompute
from core.base import DomainError
from core.jobs import ledger
from facts.models import Round


class Command(BaseCommand):
    help = "Queue the recompute of a round's edition; with --now, compute it in this process."

    def add_arguments(self, parser):
        parser.add_argument("--round", type=int, required=True)
        parser.add_argument("--edition", type=int, help="Revision to compute again; without it, a new one is made.")
        parser.add_argument("--now", action="store_true", help="Compute here instead of waking a worker.")

    def handle(self, *, edition: int | None, now: bool, **options):
        round_ = Round.objects.filter(year=options["round"]).first()
        if round_ is None:
            raise CommandError(f"There is no round {options['round']}.")
        try:
            made = request_recompute(round_, by=None, revision=edition)
        except DomainError as exc:
            raise CommandError(str(exc)) from None
        if not now:
            self.stdout.write(f"{made} is queued as job {made.job_id}.")
            return
        if not ledger.run(made.job_id):
            self.stdout.write(f"{made} is being computed by a worker already (job {made.job_id}).")
            return
        made.refresh_from_db()
        made.job.refresh_from_db()
        if made.state != "candidate":
            raise CommandError(f"{made} was not computed: {made.job.error}")
        self.stdout.write(f"{made} computed: {made.summary['ranked']} clusters ranked, digest {made.digest}.")

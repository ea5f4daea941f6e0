"""`manage.py load_demo`."""

import sys

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from observatory.demo import load_world


class Command(BaseCommand):
    help = "Load the demonstration world: real clusters, invented and marked figures. Safe to run again."

    def add_arguments(self, parser):
        parser.add_argument("--size", type=float, default=1.0, help="Share of the firms to invent (tests use 0.15).")
        parser.add_argument("--rounds", type=int, default=5, help="How many finished rounds.")

    def handle(self, *, size: float, rounds: int, **options):
        if not settings.DEMO:
            raise CommandError("A production stand refuses the demonstration data: its figures are invented.")

        def progress(stage: str, done: int, total: int) -> None:
            sys.stdout.write(f"{done:3d} %  {stage}\n")
            sys.stdout.flush()

        load_world(progress, size=size, rounds=rounds)

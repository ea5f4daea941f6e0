"""`manage.py derive_goalposts --out FILE`."""

from pathlib import Path

import pandas as pd
from django.core.management.base import BaseCommand, CommandError

from cci.methodology import derive_goalposts, load_method
from cci.peers import trades_of
from cci.services import CURRENT
from facts.indicators.compute import compute_round, index_inputs
from facts.models import Round
from facts.services.snapshots import read_snapshot, take_snapshot


class Command(BaseCommand):
    help = "Propose goalposts by rule N1 from the base rounds. A person reviews the file before it is used."

    def add_arguments(self, parser):
        parser.add_argument("--methodology", default=CURRENT)
        parser.add_argument("--out", type=Path, required=True)

    def handle(self, *, methodology: str, out: Path, **options):
        method = load_method(methodology)
        years = method.content["base_rounds"]
        last = Round.objects.select_related("instrument").filter(year=max(years)).first()
        if last is None:
            raise CommandError(f"There is no round {max(years)}.")
        tables = read_snapshot(take_snapshot(last, by=None))
        by_round = {year: compute_round(tables, year, method.definitions, method.imputation) for year in years}
        parts = [
            index_inputs({y: f for y, f in by_round.items() if y <= year}, year, method.definitions) for year in years
        ]
        divisions = {code: trade.division for code, trade in trades_of(tables, max(years)).items()}
        proposed = derive_goalposts(pd.concat(parts), method.definitions, divisions, method.content["peers"])
        proposed.to_csv(out, index=False)
        self.stdout.write(
            f"{out}: goalposts of {len(method.definitions.indicators)} indicators from {min(years)}–{max(years)}."
        )

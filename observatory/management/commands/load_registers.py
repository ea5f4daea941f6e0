"""`manage.py load_registers`."""

from django.core.management.base import BaseCommand

from cci import services as cci
from clusters.seed import load_reference, load_seed
from facts.services.instruments import register_instrument
from facts.services.values import register_indicators
from interventions.seed import load_interventions


class Command(BaseCommand):
    help = "Enter the registers, the real facts of the founding documents, the instrument, indicators and methodology."

    def handle(self, **options):
        load_reference()
        load_seed()
        load_interventions()
        instrument = register_instrument("1.0")
        register_indicators()
        methodology = cci.register_methodology(cci.CURRENT)
        self.stdout.write(f"{instrument}, {methodology}: registered.")
        if not methodology.is_adopted:
            self.stdout.write(
                f"{methodology} is {methodology.get_state_display().lower()}: before an edition can be published, one "
                "analyst checks it and another adopts it, at /workspace/methodologies/."
            )

"""How much a gate tries: a seeded sample in `make test`, the full count where GATES=full (`make gates`)."""

import os
import sys

FULL = os.environ.get("GATES") == "full"


def count(sample: int, full: int) -> int:
    """Return the number of trials of this run."""
    return full if FULL else sample


def say(text: str) -> None:
    """Print a gate's figure where somebody asked for the full count."""
    if FULL:
        sys.stdout.write(f"\n{text}\n")

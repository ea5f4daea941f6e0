"""How much a gate tries: a seeded sample in `make test`, the full count where GATES=full (`make gates`)."""

import os
import sys
from pathlib import Path

FULL = os.environ.get("GATES") == "full"


def count(sample: int, full: int) -> int:
    """Return the number of trials of this run."""
    return full if FULL else sample


def say(text: str) -> None:
    """Hand a gate's figure to the table of `make gates`; print it where somebody asked for the full count."""
    if path := os.environ.get("GATE_FIGURES"):
        with Path(path).open("a") as figures:
            figures.write(f"{text}\n")
    elif FULL:
        sys.stdout.write(f"\n{text}\n")

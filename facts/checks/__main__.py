"""`python -m facts.checks`: the checks with their parameters; `--panel`: what they find on the invented panel.

Both as Markdown, as docs/checks.md holds them.
"""

import argparse
import sys

from .calibration import Measured, checks_table, markdown
from .rules import load_rules


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m facts.checks", description=__doc__)
    parser.add_argument("--panel", action="store_true", help="measure on the invented panel (some seconds)")
    asked = parser.parse_args()
    sys.stdout.write((markdown(Measured()) if asked.panel else checks_table(load_rules())) + "\n")


if __name__ == "__main__":
    main()

"""The commands: read the files, make one call, write the tables and the report.

Exit 0: the tables are in the folder. Exit 2: one line on stderr says what is wrong, and nothing is written.
"""

import argparse
import sys
from typing import NoReturn

from cci.engine.commands import audit, compare, run, uncertainty
from cci.engine.errors import EngineError

COMMANDS = (run, uncertainty, audit, compare)


class Parser(argparse.ArgumentParser):
    """An argument parser that answers in one line, as every other refusal does."""

    def error(self, message: str) -> NoReturn:
        raise EngineError(" ".join(f"{message}; see {self.prog} --help.".split()))


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser(prog="python -m cci.engine", description="Compute a composite index.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for command in COMMANDS:
        command.add(commands)
    try:
        options = parser.parse_args(arguments)
        options.do(options)
    except EngineError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    return 0

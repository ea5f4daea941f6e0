"""`run`: the tables that a configuration asks for."""

import argparse

from cci.engine.commands.files import add_inputs, files_of, read_inputs, write
from cci.engine.errors import ConfigError
from cci.engine.pipeline import compute


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("run", help="compute the tables a configuration asks for")
    add_inputs(parser)
    parser.set_defaults(do=run)


def run(options: argparse.Namespace) -> None:
    """Compute one index from files and write it to the folder."""
    inputs = read_inputs(options.data, options.meta, options.config)
    try:
        result = compute(inputs.data, inputs.meta, inputs.config, files=inputs.files, names=inputs.names)
    except ConfigError as exc:
        raise inputs.placed(exc) from None
    result.report["inputs"] = inputs.digests()
    write(files_of(result.tables, result.report), options.out, inputs=inputs.paths)

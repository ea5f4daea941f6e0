"""The command line: read the files, make one call, write the tables and the report.

    python -m cci.engine run --data iData.csv --meta iMeta.csv --config config.toml --out DIR

Exit 0: the tables are in DIR. Exit 2: one line on stderr says what is wrong, and nothing is written.
"""

import argparse
import hashlib
import json
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from cci.engine.errors import ConfigError, DataError, EngineError, GoalpostsError, MetaError
from cci.engine.pipeline import Result, compute
from cci.engine.tables import parse_csv, to_csv

TABLES = ("screened", "imputed", "treated", "normalised", "scores", "coverage", "ranks")


class Parser(argparse.ArgumentParser):
    """An argument parser that answers in one line, as every other refusal does."""

    def error(self, message: str) -> NoReturn:
        raise EngineError(" ".join(f"{message}; see {self.prog} --help.".split()))


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser(prog="python -m cci.engine", description="Compute a composite index.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    run = commands.add_parser("run", help="compute the tables a configuration asks for")
    run.add_argument("--data", type=Path, required=True, help="units by indicators: CSV, or CSV.GZ")
    run.add_argument("--meta", type=Path, required=True, help="the hierarchy: CSV")
    run.add_argument("--config", type=Path, required=True, help="the steps and their parameters: TOML")
    run.add_argument("--out", type=Path, required=True, help="folder for tables and report.json")
    run.set_defaults(do=run_index)
    try:
        options = parser.parse_args(arguments)
        options.do(options)
    except EngineError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    return 0


def run_index(options: argparse.Namespace) -> None:
    """Compute one index from files and write it to the folder: all of it or nothing."""
    contents = {
        "data": _read(options.data, DataError),
        "meta": _read(options.meta, MetaError),
        "config": _read(options.config, EngineError),
    }
    names = {"data": options.data.name, "meta": options.meta.name, "config": options.config.name}
    paths = [options.data, options.meta, options.config]
    config = _toml(contents["config"], names["config"])
    data = parse_csv(contents["data"], name=names["data"], error=DataError)
    meta = parse_csv(contents["meta"], name=names["meta"], error=MetaError)
    posts = None
    try:
        if (path := _goalposts_path(config, options.config)) is not None:
            names["goalposts"] = path.name
            contents["goalposts"] = _read(path, GoalpostsError)
            paths.append(path)
            posts = parse_csv(contents["goalposts"], name=path.name, error=GoalpostsError)
        result = compute(data, meta, config, goalposts=posts, names=names)
    except ConfigError as exc:
        exc.row = _row_of(exc, contents["config"].decode("utf-8-sig"))
        raise
    result.report["inputs"] = {
        role: {"file": names[role], "sha256": hashlib.sha256(content).hexdigest()} for role, content in contents.items()
    }
    _write(_files(result), options.out, inputs=paths)


def _read(path: Path, error: type[EngineError]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        reason = exc.strerror or "unreadable"
        raise error(f"the file cannot be read ({reason}); check its path.", file=path.name or str(path)) from None


def _toml(content: bytes, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        row = content.count(b"\n", 0, exc.start) + 1
        raise EngineError("the text is not UTF-8; save the file as UTF-8.", file=name, row=row) from None
    except (ValueError, RecursionError) as exc:  # TOMLDecodeError, and numbers or nesting beyond Python
        found = re.search(r"line (\d+)", str(exc))
        row = int(found[1]) if found else content.count(b"\n") + 1
        raise EngineError(f"the row is not TOML ({exc}); mend it.", file=name, row=row) from None


def _goalposts_path(config: dict[str, Any], config_path: Path) -> Path | None:
    """Where the goalposts are; None where the configuration names none (`compute` judges that)."""
    table = config.get("normalise")
    file = table.get("file") if isinstance(table, dict) and table.get("method") == "goalposts" else None
    return config_path.parent / file if isinstance(file, str) and file else None


def _row_of(error: ConfigError, text: str) -> int | None:
    """The row of a key or table in the configuration, where it is written plainly."""
    table = ""
    for row, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([\w-]+)\s*\]", line)
        if header:
            table = header[1]
            if not error.table and table == error.key:
                return row
        elif table == error.table and re.match(rf"\s*[\"']?{re.escape(error.key)}[\"']?\s*[=.]", line):
            return row
    return None


def _files(result: Result) -> dict[str, bytes]:
    files = {f"{name}.csv": to_csv(table) for name, table in result.tables.items()}
    for name, content in files.items():
        result.report["tables"][name.removesuffix(".csv")] |= {
            "file": name,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    report = json.dumps(result.report, indent=2, ensure_ascii=False, allow_nan=False, sort_keys=True)
    return files | {"report.json": f"{report}\n".encode()}


def _write(files: dict[str, bytes], folder: Path, *, inputs: list[Path]) -> None:
    """Write beside the folder first, then move the files in one by one, the report last.

    Tables an earlier run left there and this one does not make are taken away, so that the folder never
    shows two runs at once; other files stay. An input is never overwritten.
    """
    folder, read = folder.resolve(), {path.resolve() for path in inputs}
    for name in files:
        if (folder / name).resolve() in read:
            raise EngineError("the result would overwrite this input; choose another --out.", file=name)
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(20, "it is a file")
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        folder.mkdir(exist_ok=True)
        for name in [f"{table}.csv" for table in TABLES]:
            if name not in files and (folder / name).resolve() not in read:
                (folder / name).unlink(missing_ok=True)
        for name in files:
            (temporary / name).replace(folder / name)
    except OSError as exc:
        reason = exc.strerror or "unwritable"
        raise EngineError(
            f"the folder cannot be written ({reason}); choose another --out.", file=folder.name or str(folder)
        ) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

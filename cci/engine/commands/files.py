"""Read what a command is given, and write what it makes: all of it or nothing."""

import argparse
import gzip
import hashlib
import json
import math
import re
import shutil
import tempfile
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cci.engine.config import read_config
from cci.engine.errors import ConfigError, DataError, EngineError, GoalpostsError, MetaError
from cci.engine.tables import parse_csv, to_csv

# Whom a fault in a named file is laid to; the others hold data.
ERRORS: dict[str, type[EngineError]] = {"normalise.file": GoalpostsError, "weights.file": MetaError}


@dataclass
class Inputs:
    """The inputs of one index as read: frames, settings, and the bytes they came from, for their digests."""

    data: pd.DataFrame
    meta: pd.DataFrame
    config: dict[str, Any]
    files: dict[str, Any]
    names: dict[str, str]
    contents: dict[str, bytes]
    paths: list[Path] = field(default_factory=list)

    def digests(self) -> dict[str, Any]:
        return {role: {"file": self.names[role], "sha256": digest(content)} for role, content in self.contents.items()}

    def placed(self, error: ConfigError) -> ConfigError:
        """The error with the row of its key in the configuration."""
        error.row = _row_of(error, self.contents["config"].decode("utf-8-sig"))
        return error


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The three files of an index, and the folder for the result."""
    parser.add_argument("--data", type=Path, required=True, help="units by indicators: CSV, or CSV.GZ")
    parser.add_argument("--meta", type=Path, required=True, help="the hierarchy: CSV")
    parser.add_argument("--config", type=Path, required=True, help="the steps and their parameters: TOML")
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and report.json")


def read_inputs(data: Path, meta: Path, config: Path) -> Inputs:
    """Read the files of one index and those that its configuration names, relative to it."""
    contents = {"data": read(data, DataError), "meta": read(meta, MetaError), "config": read(config, EngineError)}
    names = {"data": data.name, "meta": meta.name, "config": config.name}
    settings = _toml(contents["config"], config.name)
    inputs = Inputs(
        parse_csv(contents["data"], name=data.name, error=DataError),
        parse_csv(contents["meta"], name=meta.name, error=MetaError),
        settings,
        {},
        names,
        contents,
        [data, meta, config],
    )
    try:
        named = read_config(settings, file=config.name).files()
    except ConfigError as exc:
        raise inputs.placed(exc) from None
    for key, name in named.items():
        add_file(inputs, key, config.parent / name)
    return inputs


def add_file(inputs: Inputs, key: str, path: Path, error: type[EngineError] | None = None) -> None:
    """Read one more file: a table, or the report of another run."""
    error = error or ERRORS.get(key, DataError)
    content = read(path, error)
    inputs.names[key], inputs.contents[key] = path.name, content
    inputs.paths.append(path)
    if key.endswith("treat.base_file"):
        inputs.files[key] = read_json(content, path.name)
    else:
        inputs.files[key] = parse_csv(content, name=path.name, error=error)


def read(path: Path, error: type[EngineError]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        reason = exc.strerror or "unreadable"
        raise error(f"the file cannot be read ({reason}); check its path.", file=path.name or str(path)) from None


def read_json(content: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EngineError("the file is no report of the engine; give a report.json.", file=name)
    return found


def _toml(content: bytes, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"), parse_float=_toml_number)
    except UnicodeDecodeError as exc:
        row = content.count(b"\n", 0, exc.start) + 1
        raise EngineError("the text is not UTF-8; save the file as UTF-8.", file=name, row=row) from None
    except (ValueError, RecursionError) as exc:  # TOMLDecodeError, and numbers or nesting beyond Python
        found = re.search(r"line (\d+)", str(exc))
        row = int(found[1]) if found else content.count(b"\n") + 1
        raise EngineError(f"the row is not TOML ({exc}); mend it.", file=name, row=row) from None


class Lost(float):
    """A number that no float holds; it is not finite, and refused as it was written."""

    text = ""

    def __repr__(self) -> str:
        return self.text


def _toml_number(text: str) -> float:
    """Read a number of TOML; one that would silently become 0 or infinite is kept as what cannot be used."""
    value = float(text)
    digits = text.lower().partition("e")[0]
    if text.lstrip("+-") in ("inf", "nan") or math.isfinite(value) and (value or not digits.strip("+-0._")):
        return value
    lost = Lost("nan")
    lost.text = text
    return lost


def _row_of(error: ConfigError, text: str) -> int | None:
    """The row of a key, or where it is left out of its table, in the configuration, if written plainly."""
    table, of_table = "", None
    for row, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([\w.-]+)\s*\]", line)
        if header:
            table = header[1]
            if (not error.table and table == error.key) or table == f"{error.table}.{error.key}":
                return row
            if table == error.table:
                of_table = row
        elif table == error.table and re.match(rf"\s*[\"']?{re.escape(error.key)}[\"']?\s*[=.]", line):
            return row
    return of_table


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_of(
    tables: Mapping[str, pd.DataFrame], report: dict[str, Any], *, packed: Collection[str] = ()
) -> dict[str, bytes]:
    """The bytes of the tables and of the report, which names each table's size and digest."""
    files, entries = {}, {}
    for name, table in tables.items():
        content, file = to_csv(table), f"{name}.csv"
        if name in packed:
            # No clock and no name in the file, so that the same table gives the same bytes.
            content, file = gzip.compress(content, compresslevel=6, mtime=0), f"{name}.csv.gz"
        files[file] = content
        entries[name] = {"file": file, "rows": len(table), "columns": len(table.columns), "sha256": digest(content)}
    report["tables"] = entries
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False, sort_keys=True)
    return files | {"report.json": f"{text}\n".encode()}


def write(files: Mapping[str, bytes], folder: Path, *, inputs: list[Path]) -> None:
    """Write beside the folder first, then move the files in one by one, the report last.

    Tables that an earlier command left there and this one does not make are taken away, so that the folder
    never shows two runs at once; other files stay. An input is never overwritten.
    """
    folder, given = folder.resolve(), {path.resolve() for path in inputs}
    for name in files:
        if (folder / name).resolve() in given:
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
        for name in _left_by_the_last(folder):
            if name not in files and (folder / name).resolve() not in given:
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


def _left_by_the_last(folder: Path) -> list[str]:
    """The tables that the report of an earlier command in this folder names."""
    try:
        report = json.loads((folder / "report.json").read_bytes())
        if report["engine"]["name"] != "cci.engine":
            return []
        names = [entry["file"] for entry in report["tables"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [name for name in names if isinstance(name, str) and re.fullmatch(r"[^/\\\0]+\.csv(\.gz)?", name)]

"""Doors to the engine for its tests: the command line in a folder of its own, and the reference files."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cci.engine.commands import main

SHARED = Path(__file__).parents[3] / ".." / "shared"


@dataclass
class Answer:
    """What one command left: exit code, stderr, the tables (labelled by uCode) and the report."""

    code: int
    err: str
    out: Path

    def table(self, name: str) -> pd.DataFrame:
        table = pd.read_csv(self.out / f"{name}.csv", dtype={"uCode": str})
        return table.set_index("uCode")

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        return report


def reference(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"reference file {'/'.join(parts)} is not beside this checkout (expected in ../shared)")
    return path


@pytest.fixture
def asem() -> Callable[[str], Path]:
    """The path of a file of the ASEM conformance table."""
    return lambda name: reference("reference", "asem", *name.split("/"))


@pytest.fixture
def design() -> Callable[[str], Path]:
    """The path of a file of the design folder."""
    return lambda name: reference("design", *name.split("/"))


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run the command line on paths, frames, text or bytes; what is no path is written to a file first."""

    def placed(content: Any, name: str) -> Path:
        if isinstance(content, Path):
            return content
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(index=False)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def command(
        data: Any, meta: Any, config: Any, *, out: str = "out", do: str = "run", options: Any = (), **extra: Any
    ) -> Answer:
        for name, content in extra.items():
            placed(content, f"{name}.csv")
        folder = tmp_path / out
        code = main(
            [
                do,
                *("--data", str(placed(data, "iData.csv"))),
                *("--meta", str(placed(meta, "iMeta.csv"))),
                *("--config", str(placed(config, "config.toml"))),
                *("--out", str(folder)),
                *options,
            ]
        )
        return Answer(code, capsys.readouterr().err, folder)

    return command


META = """\
Level,iCode,iName,Direction,Weight,Parent,Type
1,a,Alpha,1,1,P,Indicator
1,b,Beta,-1,3,P,Indicator
1,c,Gamma,1,1,Q,Indicator
1,d,Delta,1,1,Q,Indicator
2,P,First,1,1,T,Aggregate
2,Q,Second,1,2,T,Aggregate
3,T,Top,1,1,,Aggregate
,size,Size,,,,Group
"""
DATA = """\
uName,uCode,a,b,c,d
Xenia,X,1,30,5,1
Ypsil,Y,2,10,,4
Zora,Z,3.5,20,9,2
"""
CONFIG = '[normalise]\nmethod = "min_max"\n[aggregate]\nmin_available = 0.5\n[rank]\n'


@pytest.fixture
def small() -> dict[str, str]:
    """A small whole case: two groups, one reversed indicator, one gap."""
    return {"data": DATA, "meta": META, "config": CONFIG}

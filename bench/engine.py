"""The engine's run beside its floors, measured in the same process: `python -m bench engine`.

The floor of `compute` is the same index in bare NumPy, without labels, records or checks; that of the command is pandas
reading the same input and writing the same tables.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from cci.engine import compute, parse_csv
from cci.engine.commands import main

CONFIG = {
    "screen": {"min_available": 0.655},
    "treat": {},
    "normalise": {"lower": 1},
    "aggregate": {"min_available": 0.5},
    "rank": {},
}
TOML = "[screen]\nmin_available = 0.655\n[treat]\n[normalise]\nlower = 1\n[aggregate]\nmin_available = 0.5\n[rank]\n"


def case(units: int, indicators: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Invented data with 5 % gaps, half of the columns skewed, and a hierarchy of three steps in fives and fours."""
    rng = np.random.default_rng(1)
    cells = rng.normal(50, 10, size=(units, indicators))
    cells[:, ::2] = rng.lognormal(sigma=1, size=cells[:, ::2].shape)
    cells[rng.random(cells.shape) < 0.05] = np.nan
    data = pd.DataFrame(cells, columns=[f"i{n:03d}" for n in range(indicators)])
    groups, pillars = indicators // 5, indicators // 20
    rows = [(1, code, f"d{n // 5:02d}", 1 - 2 * (n % 3 == 0), 1.0) for n, code in enumerate(data.columns)]
    rows += [(2, f"d{n:02d}", f"p{n // 4}", 1, 1.0) for n in range(groups)]
    rows += [(3, f"p{n}", "Index", 1, 1.0) for n in range(pillars)] + [(4, "Index", "", 1, 1.0)]
    data.insert(0, "uCode", [f"u{n:05d}" for n in range(units)])
    return data, pd.DataFrame(rows, columns=["Level", "iCode", "Parent", "Direction", "Weight"])


def bare_treat(cells: np.ndarray) -> np.ndarray:
    """Winsorise at most five points of a column that fails, or take its logarithm (method note, section 4)."""

    def fails(values: np.ndarray) -> tuple[bool, float]:
        n, deviation = values.size, values - values.mean()
        square = deviation * deviation
        m2, m3, m4 = square.mean(), (square * deviation).mean(), (square * square).mean()
        skew = np.sqrt(n * (n - 1)) / (n - 2) * m3 / m2**1.5
        kurtosis = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6)
        return bool(abs(skew) >= 2 and kurtosis >= 3.5), float(skew)

    out = cells.copy()
    for column in out.T:
        there = ~np.isnan(column)
        values = column[there]
        bad, skew = fails(values)
        if not bad:
            continue
        order, cut, low, high = np.sort(values), values, 0, 0
        while bad and low + high < 5:
            low, high = (low, high + 1) if skew >= 0 else (low + 1, high)
            cut = np.clip(values, order[low], order[-1 - high])
            bad, skew = fails(cut)
        column[there] = np.log(values - order[0] + 0.01 * (order[-1] - order[0])) if bad else cut
    return out


def bare(data: pd.DataFrame, meta: pd.DataFrame) -> Callable[[], object]:
    """The same index in bare NumPy: no labels, no records, no checks."""
    cells = data.drop(columns="uCode").to_numpy()
    signs = meta.loc[meta["Level"] == 1, "Direction"].to_numpy(dtype=float)

    def joined(values: np.ndarray, by: int) -> np.ndarray:
        parts = values.reshape(len(values), -1, by)
        there = ~np.isnan(parts)
        count = there.sum(axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(there, parts, 0).sum(axis=2) / count
        means[count < 0.5 * by] = np.nan
        return means

    def work() -> object:
        kept = cells[(~np.isnan(cells)).sum(axis=1) >= 0.655 * cells.shape[1]]
        values = bare_treat(kept) * signs
        low = np.fmin.reduce(values, axis=0)
        scaled = (values - low) / (np.fmax.reduce(values, axis=0) - low) * 99 + 1
        dimensions = joined(scaled, 5)
        pillars = joined(dimensions, 4)
        top = joined(pillars, pillars.shape[1])
        return [np.argsort(-column, kind="stable") for level in (dimensions, pillars, top) for column in level.T]

    return work


def median(work: Callable[[], object], times: int = 7) -> float:
    """Seconds of the middle run, after one that warms up."""
    work()
    took = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def run() -> None:
    from bench.__main__ import table

    rows = []
    for units, indicators in ((6000, 100), (300, 40)):
        data, meta = case(units, indicators)
        rows.append(
            (
                f"{units:,} x {indicators} end to end with records",
                median(partial(compute, data, meta, CONFIG)),
                median(bare(data, meta)),
            )
        )
    table("Index engine; floor: bare NumPy, no labels or records", rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, meta = case(6000, 100)
        data.to_csv(folder / "iData.csv", index=False)
        meta.to_csv(folder / "iMeta.csv", index=False)
        (folder / "config.toml").write_text(TOML)
        options = [
            word for part in ("iData.csv", "iMeta.csv") for word in (f"--{part[1:5].lower()}", str(folder / part))
        ]
        command = ["run", *options, "--config", str(folder / "config.toml"), "--out", str(folder / "out")]
        whole = median(lambda: main(command), times=3)
        written = [pd.read_csv(path) for path in sorted((folder / "out").glob("*.csv"))]

        def pandas_alone() -> None:
            for path in (folder / "iData.csv", folder / "iMeta.csv"):
                pd.read_csv(path)
            for number, frame in enumerate(written):
                frame.to_csv(folder / f"{number}.csv", index=False)

        content = (folder / "iData.csv").read_bytes()
        reading = median(lambda: parse_csv(content, name="iData.csv"))
        table(
            "The command `run`, 6,000 x 100",
            [
                ("files in, files out; floor: pandas, same files", whole, median(pandas_alone, times=3)),
                (
                    "reading the data, checked; floor: pandas",
                    reading,
                    median(lambda: pd.read_csv(folder / "iData.csv")),
                ),
            ],
        )

"""Monte Carlo of the index: 1,000 replicates with intervals of ranks, beside floors measured in the same run.

`python -m bench montecarlo`. Floors do in bare NumPy only what cannot be left out, on the same sizes: `product + sort`
is one matrix product per block of replicates and one argsort per replicate, as if nothing were missing and all levels
were one; `+ draws` adds, per replicate, drawing the same normal numbers and one min-max of the whole table. BLAS keeps
to one thread in each. Medians of a few runs; the peak of memory is that of a process of its own.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

REPLICATES = 1000
NOISY = 100  # where nothing can be shared between replicates, a tenth of them tells as much
CASES = {
    "ASEM size 51 × 49, four choices": ("small", "four"),
    "6,000 × 100, weights at every level": ("large", "weights"),
    "6,000 × 100, limit 1–5, two scales, weights": ("large", "mixed"),
    "6,000 × 100, noise in all cells, two scales; 100 only": ("large", "noise"),
    "6,000 × 100, gaps drawn anew (20 draws), weights": ("large", "imputed"),
}


def table_of(size: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Invented log-normal columns with 5 % gaps, and a hierarchy of four levels."""
    units, indicators = (6000, 100) if size == "large" else (51, 49)
    rng = np.random.default_rng(1)
    codes = [f"i{n:03d}" for n in range(indicators)]
    values = pd.DataFrame(rng.lognormal(size=(units, indicators)), columns=codes)
    data = values.mask(rng.random(values.shape) < 0.05)
    data.insert(0, "uCode", [f"u{n:05d}" for n in range(units)])
    groups = -(-indicators // 5)
    pillars = -(-groups // 4)
    rows = [(1, code, f"d{n // 5:02d}", 1, 1.0) for n, code in enumerate(codes)]
    rows += [(2, f"d{n:02d}", f"p{n // 4}", 1, 1.0) for n in range(groups)]
    rows += [(3, f"p{n}", "Index", 1, 1.0) for n in range(pillars)] + [(4, "Index", "", 1, 1.0)]
    return data, pd.DataFrame(rows, columns=["Level", "iCode", "Parent", "Direction", "Weight"])


def analysis_of(size: str, kind: str) -> Callable[[int], object]:
    """One analysis, ready to run with a number of workers."""
    from cci.engine.config import read_config
    from cci.engine.pipeline import run_index
    from cci.engine.uncertainty import read_choices, uncertainty

    data, meta = table_of(size)
    scales = {"options": [{"method": "min_max", "lower": 1}, {"method": "z_score", "mean": 10, "sd": 2}]}
    limits, weights = {"winsorise_max": [1, 2, 3, 4, 5]}, {"kind": "noise", "factor": 0.25}
    means = {"options": [{"method": "arithmetic_mean"}, {"method": "geometric_mean"}]}
    varied = {
        "four": {"treat": limits, "normalise": scales, "aggregate": means, "weights": weights},
        "weights": {"weights": weights},
        "mixed": {"treat": limits, "normalise": scales, "weights": weights},
        "noise": {"normalise": scales, "weights": weights},
        "imputed": {"impute": {"draws": 20, "method": "group_normal"}, "weights": weights},
    }[kind]
    config = {
        "impute": {},
        "treat": {},
        "normalise": {"lower": 1},
        "aggregate": {"min_available": 0.5},
        "rank": {},
        "uncertainty": {"seed": 1, "replicates": NOISY if kind == "noise" else REPLICATES, **varied},
    }
    if kind == "noise":
        del config["treat"]
    run, choices = run_index(data, meta, config), read_choices(config, read_config)
    errors = None
    if kind == "noise":
        values = data.set_index("uCode")
        errors = values * 0 + values.std() * 0.1
    return lambda workers: uncertainty(run, choices, errors=errors, workers=workers)


def floor_of(size: str, kind: str) -> Callable[[], object]:
    """What bare NumPy takes for the same sizes: see above."""
    data, _ = table_of(size)
    table = np.nan_to_num(data.drop(columns="uCode").to_numpy().T.copy())
    rng = np.random.default_rng(1)
    weights = rng.random((REPLICATES, len(table)))
    ranks = np.empty((REPLICATES, table.shape[1]), dtype=np.int16)

    def product_and_sort() -> None:
        for start in range(0, REPLICATES, 50):
            ranks[start : start + 50] = (weights[start : start + 50] @ table).argsort(axis=1)
        np.partition(ranks.T.copy(), [50, 500, 950], axis=1)

    def with_draws() -> None:
        for replicate in range(NOISY):
            cells = table + rng.standard_normal(table.shape)
            low, high = cells.min(axis=1, keepdims=True), cells.max(axis=1, keepdims=True)
            ranks[replicate] = (weights[replicate] @ ((cells - low) / (high - low))).argsort()
        np.partition(ranks[:NOISY].T.copy(), [5, 50, 95], axis=1)

    return with_draws if kind == "noise" else product_and_sort


def middle(work: Callable[[], object], times: int) -> float:
    """Seconds of the median of a few runs."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def peak(size: str, kind: str) -> float:
    """Megabytes of a process that makes one analysis on one worker, the interpreter and libraries among them."""
    command = [sys.executable, "-c", f"from bench.montecarlo import peak_here; peak_here({size!r}, {kind!r})"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak_here(size: str, kind: str) -> None:
    analysis_of(size, kind)(1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def run(times: int = 3) -> list[tuple]:
    """Measure and print; returns (case, seconds on one worker, on two, floor, ratio, peak MB)."""
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        # The library reads this once, when it is loaded.
        command = [sys.executable, "-c", f"from bench.montecarlo import run; run({times})"]
        subprocess.run(command, check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
        return []
    print(
        f"\nMonte Carlo of the index, {REPLICATES:,} replicates; medians of {times}; floor: bare NumPy, see the module"
    )
    print(f"{'':62}{'1 worker':>10}{'2 workers':>11}{'floor':>9}{'ratio':>7}{'peak MB':>9}")
    rows = []
    for name, (size, kind) in CASES.items():
        analyse, floor = analysis_of(size, kind), floor_of(size, kind)
        analyse(1)
        one, two = (middle(partial(analyse, workers), times) for workers in (1, 2))
        least = middle(floor, times)
        row = (name, one, two, least, one / least, peak(size, kind))
        rows.append(row)
        print(f"{name:62}{one:10.3f}{two:11.3f}{least:9.3f}{row[4]:7.1f}{row[5]:9.0f}", flush=True)
    return rows

"""`python -m tests.cci.engine.conformance` prints docs/conformance.md; with --write it writes it.

Every file of the ASEM conformance table, and how near the engine comes to it.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.cci.engine.conformance_analyses import analyses
from tests.cci.engine.conformance_base import Asem, Case
from tests.cci.engine.conformance_cases import stages

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / ".." / "shared" / "reference" / "asem"
DOCUMENT = ROOT / "docs" / "conformance.md"
# What holds no result: it goes into the cases.
INPUTS = {
    "inputs/iData": "data of the example",
    "inputs/iMeta": "its hierarchy",
    "inputs/lineage": "the chain of parents, which the hierarchy gives",
    "inputs/iData_panel": "data of the panel",
    "aggregation/weights_unequal": "weights of the cases `…_unequal_w`",
    "imputation/panel_input_with_holes": "data of the cases `imputation/panel_…`",
    "normalisation/raw_goalposts_parameters": "goalposts of `normalisation/raw_goalposts_…`",
    "uncertainty/noisy_weight_sets": "weights of the replicates",
    "uncertainty/ua_replicates": "settings of the replicates",
    "uncertainty/sa_replicates": "settings of the replicates",
}
# What is a fault of COINr's and not to be repeated.
REFUSED = {
    "weights/opt_level2_equal_tol1e-8": "COINr's optimiser returns a weight of -0.20; ours are never negative "
    "(`test_engine_weighting.py` compares the losses)",
}
LIMIT = 1e-9


def difference(case: Case) -> tuple[int, float]:
    """How many values were compared, and the largest difference, relative to the value or to 0.001 at least.

    Infinite where the shape, a gap, a text or an infinity differs.
    """
    if not isinstance(case.expected, pd.DataFrame):
        return len(case.expected), 0.0 if case.actual == case.expected else np.inf
    if case.actual.shape != case.expected.shape:
        return case.expected.size, np.inf
    largest = 0.0
    for position in range(case.expected.shape[1]):
        ours, theirs = case.actual.iloc[:, position], case.expected.iloc[:, position]
        if pd.api.types.is_numeric_dtype(theirs):
            found = _distance(ours.to_numpy(dtype=float, na_value=np.nan), theirs.to_numpy(dtype=float))
        else:
            found = 0.0 if ours.tolist() == theirs.tolist() else np.inf
        largest = max(largest, found)
    return case.expected.size, largest


def _distance(ours: Any, theirs: Any) -> float:
    if (np.isnan(ours) != np.isnan(theirs)).any() or (np.isinf(ours) != np.isinf(theirs)).any():
        return np.inf
    if not (ours[np.isinf(ours)] == theirs[np.isinf(theirs)]).all():
        return np.inf
    there = np.isfinite(theirs)
    gaps = np.abs(ours[there] - theirs[there]) / np.maximum(1e-3, np.abs(theirs[there]))
    return float(gaps.max()) if gaps.size else 0.0


def band(largest: float) -> str:
    """A bound of the difference that does not change with the processor's last digits."""
    for text, limit in (("0", 0.0), ("≤ 1e-12", 1e-12), ("≤ 1e-9", 1e-9)):
        if largest <= limit:
            return text
    return f"{largest:.1e}"


def results() -> list[tuple[str, str, int, float]]:
    """File, mode, number of values, largest difference; the modes of a file in one row where they agree."""
    asem = Asem(FOLDER)
    rows: dict[str, list[tuple[str, int, float]]] = {}
    for make in (stages, analyses):
        for case in make(asem):
            rows.setdefault(case.file, []).append((case.mode, *difference(case)))
    found = []
    for file in sorted(rows):
        modes = " and ".join(mode or "either" for mode, _, _ in rows[file])
        found.append((file, modes, rows[file][0][1], max(largest for _, _, largest in rows[file])))
    return found


def files() -> list[str]:
    """Every file of the table, without its ending."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.csv"))


def document(rows: Iterable[tuple[str, str, int, float]]) -> str:
    rows = list(rows)
    near = sum(largest <= LIMIT for _, _, _, largest in rows)
    lines = [
        "# Conformance with COINr",
        "",
        "The engine beside the results of the R package COINr 1.1.14 on the ASEM Sustainable Connectivity data",
        "(51 countries, 49 indicators; European Commission, Joint Research Centre). Written by",
        "`.venv/bin/python -m tests.cci.engine.conformance --write`;",
        "`tests/cci/engine/test_engine_conformance.py` makes it again and compares.",
        "",
        f"{len(rows)} files with results, {sum(n for _, _, n, _ in rows):,} values; {near} files agree to 1e-9.",
        "",
        "*Difference* is the largest one, relative to the value, or to 0.001 where that is smaller. Gaps, texts and",
        "ranks must be the same.",
        '*Mode*: `default` and `coinr` (`compat = "coinr"`, which repeats COINr\'s faults) are runs by these settings;',
        "`either` is a calculation that has no modes.",
        "",
        "| file | mode | values | difference |",
        "|---|---|---:|---|",
        *(f"| {file} | {mode} | {n:,} | {band(largest)} |" for file, mode, n, largest in rows),
        "",
        "## Files without a result to compare",
        "",
        *(f"- `{file}`: {words}." for file, words in (INPUTS | REFUSED).items()),
        "",
        "## What cannot be compared",
        "",
        "The bootstrap bounds in `uncertainty/sa_sensitivity_indices` depend on R's random numbers. COINr's optimised",
        "weights of level 3 stop near the optimum: four decimals of their shares are compared. Signs of principal",
        "components are arbitrary: sizes are compared.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    text = document(results())
    if "--write" in sys.argv[1:]:
        DOCUMENT.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()

"""What a check says: where it spoke, how loudly, and the numbers it saw."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .table import CheckTable

INFO, WARN, CRITICAL = "info", "warn", "critical"
UNIT_COLUMNS = ["frame_id", "cluster", "rule", "question", "severity", "score", "numbers"]
CLUSTER_COLUMNS = ["cluster", "rule", "severity", "numbers"]
WORKER_COLUMNS = ["worker", "rule", "severity", "numbers"]
LOUDNESS = {"soft": 0.5, INFO: 0.25, WARN: 1.0, CRITICAL: 3.0}
LOUDEST = 10.0  # beyond ten times its limit a check says nothing more


def of_units(
    table: CheckTable,
    rows: np.ndarray,
    rule: str,
    *,
    severity: str | np.ndarray,
    score: np.ndarray | float,
    numbers: Iterable[Mapping[str, Any]],
    question: str | list[str] = "",
) -> pd.DataFrame:
    """One finding for each of these rows. score: 1 = at the rule's limit. numbers: plain figures and texts."""
    return pd.DataFrame(
        {
            "frame_id": table.frame_id[rows],
            "cluster": np.array(table.codes, dtype=object)[table.cluster_of[rows]],
            "rule": rule,
            "question": question,
            "severity": severity,
            "score": np.asarray(score, dtype=float) * np.ones(len(rows)),
            "numbers": [{name: plain(value) for name, value in one.items()} for one in numbers],
        },
        columns=UNIT_COLUMNS,
    )


def joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """All findings in one table; empty ones are left out."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)


def plain(value: Any) -> Any:
    """A figure as JSON has it: whole numbers without a point, at most six significant digits of a fraction."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if not np.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.6g}")
    return value


def loudness(severity: str, score: float | None) -> float:
    """What one finding adds to a return's suspicion; grows with severity and with the score, up to ten limits."""
    return LOUDNESS[severity] * min(1.0 if score is None else max(score, 0.0), LOUDEST)

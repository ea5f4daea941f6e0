"""X09: two units that filed the same return, or that are one firm under two frame ids."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .findings import CRITICAL, of_units
from .table import CheckTable

MOST_ALIKE = 200  # of returns that are all alike, each is named beside so many others at most


def x09(table: CheckTable) -> list[pd.DataFrame]:
    """Pairs inside a cluster. Each unit of a pair gets one finding that names the others."""
    p = table.parameters("X09")
    if p is None or not len(table):
        return []
    money = table.items(table.now)
    others: dict[int, dict[int, int]] = {}
    seen: set[tuple[int, int]] = set()
    for one, two in _candidates(table, money):
        if (one, two) in seen:
            continue
        seen.add((one, two))
        equal = int(((money[:, one] == money[:, two]) & (money[:, one] > 0)).sum())
        sources = table.now["UJ02"][one], table.now["UJ02"][two]
        if equal >= p["least"] and sources != (p["memory"], p["memory"]):
            others.setdefault(one, {})[two] = equal
            others.setdefault(two, {})[one] = equal
    same_firm: dict[int, set[int]] = {}
    for digests in (table.registration, table.telephone):
        for one, two in _same(pd.Series(digests), table.cluster_of):
            same_firm.setdefault(one, set()).add(two)
            same_firm.setdefault(two, set()).add(one)
    rows = np.array(sorted({*others, *same_firm}), dtype=int)
    numbers, scores = [], []
    for row in rows.tolist():
        equal, same_register = max(others.get(row, {}).values(), default=0), row in same_firm
        twins = sorted({*others.get(row, {}), *same_firm.get(row, ())})[:MOST_ALIKE]
        named = [table.frame_id[twin] for twin in twins]
        numbers.append({"others": named, "equal": equal, "items": len(money), "same_register": same_register})
        scores.append(max(equal, len(money) if same_register else 0) / p["least"])
    return [of_units(table, rows, "X09", severity=CRITICAL, score=np.array(scores), numbers=numbers)]


def _candidates(table: CheckTable, money: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of units that agree in two neighbouring items.

    Where at most two of the six items differ, at least one of the three neighbouring pairs of items is free of a
    difference: three groupings find all that the fifteen choices of four items would.
    """
    for first in range(0, len(money) - 1, 2):
        a, b = money[first], money[first + 1]
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero((a > 0) & (b > 0))
        frame = pd.DataFrame({"cluster": table.cluster_of[rows], "a": a[rows], "b": b[rows]})
        yield from _pairs(frame, rows)


def _same(digests: pd.Series, cluster_of: np.ndarray) -> Iterator[tuple[int, int]]:
    rows = np.flatnonzero(digests.notna() & (digests != ""))
    yield from _pairs(pd.DataFrame({"cluster": cluster_of[rows], "a": digests.to_numpy()[rows]}), rows)


def _pairs(frame: pd.DataFrame, rows: np.ndarray) -> Iterator[tuple[int, int]]:
    twice = frame.duplicated(keep=False).to_numpy()
    if not twice.any():
        return
    kept = rows[twice]
    group = frame[twice].groupby(list(frame.columns), sort=False).ngroup().to_numpy()
    order = np.argsort(group, kind="stable")
    for part in np.split(kept[order], np.flatnonzero(np.diff(group[order])) + 1):
        for place, one in enumerate(part):
            for two in part[place + 1 : place + 1 + MOST_ALIKE]:
                yield (int(min(one, two)), int(max(one, two)))

"""The pipeline against a second computation: plain Python loops written from the method note alone."""

import math
import random

import pandas as pd
import pytest

from cci.engine import compute

N_UNITS, LIMIT = 40, 2 / 3
TREE = {
    "P": {"a": 1.0, "b": 2.0, "c": 0.5},
    "Q": {"d": 1.0, "e": 1.0, "f": 3.0},
    "R": {"g": 1.0, "h": 0.0},
    "S": {"P": 0.4, "Q": 0.6},
    "V": {"R": 1.0},
    "T": {"S": 2.0, "V": 1.0},
}
LEVELS = {**dict.fromkeys("abcdefgh", 1), "P": 2, "Q": 2, "R": 2, "S": 3, "V": 3, "T": 4}
DIRECTIONS = dict(zip("abcdefgh", [1, -1, 1, 1, -1, 1, 1, -1], strict=True))
METHODS = ["arithmetic_mean", "harmonic_mean", "geometric_mean"]


def invented(seed: int) -> dict[str, dict[str, float | None]]:
    chance = random.Random(seed)
    table: dict[str, dict[str, float | None]] = {}
    for n in range(N_UNITS):
        row: dict[str, float | None] = {}
        for code in "abcdefgh":
            value = chance.lognormvariate(0, 2.2 if code in "be" else 0.4)
            row[code] = None if chance.random() < 0.12 + 0.5 * (n % 13 == 0) else round(value, 3)
        table[f"U{n:02d}"] = row
    return table


def moments(x: list[float]) -> tuple[float, float]:
    n, mean = len(x), sum(x) / len(x)
    m2, m3, m4 = (sum((v - mean) ** r for v in x) / n for r in (2, 3, 4))
    skew = math.sqrt(n * (n - 1)) / (n - 2) * m3 / m2**1.5
    return skew, (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6)


def fine(x: list[float]) -> bool:
    skew, kurtosis = moments(x)
    return abs(skew) < 2 or kurtosis < 3.5


def treated(x: list[float], most: int = 3) -> list[float]:
    y, high, low = list(x), 0, 0
    while not fine(y) and high + low < most:
        if moments(y)[0] >= 0:
            top = max(y)
            high = sum(v == top for v in y)
            y = [max(v for v in y if v < top) if v == top else v for v in y]
        else:
            bottom = min(y)
            low = sum(v == bottom for v in y)
            y = [min(v for v in y if v > bottom) if v == bottom else v for v in y]
    if fine(y):
        return y
    return [math.log(v - min(x) + 0.01 * (max(x) - min(x))) for v in x]


def mean(parts: list[tuple[float, float]], method: str) -> float | None:
    parts = [(w, z) for w, z in parts if w > 0]
    total = sum(w for w, _ in parts)
    if total == 0:
        return None
    if method == "arithmetic_mean":
        return sum(w * z for w, z in parts) / total
    if method == "geometric_mean":
        return math.prod(z ** (w / total) for w, z in parts)
    return total / sum(w / z for w, z in parts)


def by_hand(
    table: dict[str, dict[str, float | None]],
) -> tuple[dict[str, dict[str, float | None]], list[str]]:
    kept = {u: dict(row) for u, row in table.items() if sum(v is not None for v in row.values()) >= 5}
    for code in "abcdefgh":
        holders = [u for u in kept if kept[u][code] is not None]
        values = treated([kept[u][code] for u in holders])
        oriented = [DIRECTIONS[code] * v for v in values]
        for unit, v in zip(holders, oriented, strict=True):
            kept[unit][code] = (v - min(oriented)) / (max(oriented) - min(oriented)) * 99 + 1
    for row in kept.values():
        for group, components in TREE.items():
            parts = [(w, row[c]) for c, w in components.items() if row[c] is not None]
            whole = len(parts) >= math.ceil(LIMIT * len(components) - 1e-9)
            row[group] = mean(parts, METHODS[LEVELS[group] - 2]) if whole else None
    return kept, sorted(kept)


@pytest.mark.parametrize("seed", range(6))
def test_loops_agree_with_the_pipeline(seed):
    table = invented(seed)
    data = pd.DataFrame.from_dict(table, orient="index").rename_axis("uCode").reset_index()
    weights = {c: w for components in TREE.values() for c, w in components.items()} | {"T": 1.0}
    parents = {c: group for group, components in TREE.items() for c in components}
    meta = pd.DataFrame(
        {
            "Level": list(LEVELS.values()),
            "iCode": list(LEVELS),
            "Parent": [parents.get(code, "") for code in LEVELS],
            "Direction": [DIRECTIONS.get(code, 1) for code in LEVELS],
            "Weight": [weights[code] for code in LEVELS],
        }
    )
    config = {
        "screen": {"min_available": 0.6},
        "treat": {"winsorise_max": 3},
        "normalise": {"lower": 1},
        "aggregate": {"method": METHODS},
        "rank": {},
    }

    result = compute(data, meta, config)

    expected, units = by_hand(table)
    assert result.tables["scores"]["uCode"].tolist() == units
    assert len(units) < N_UNITS, "the case should screen someone out"
    actions = {entry["action"] for entry in result.report["treatment"]}
    assert actions, "the case should treat an indicator"
    scores = result.tables["scores"].set_index("uCode")
    ranks = result.tables["ranks"].set_index("uCode")
    for group in TREE:
        held = {u: expected[u][group] for u in units if expected[u][group] is not None}
        for unit in units:
            if unit not in held:
                assert math.isnan(scores.loc[unit, group])
                assert ranks.loc[unit, group] is pd.NA
                continue
            assert scores.loc[unit, group] == pytest.approx(held[unit], rel=1e-9)
            better = sum(v > held[unit] * (1 + 1e-9) for v in held.values())
            assert ranks.loc[unit, group] == 1 + better

"""Hand-made rounds: a firm is what differs from an ordinary one."""

import json

import numpy as np
import pandas as pd

from facts.checks.rules import load_rules
from facts.checks.table import check_table
from facts.indicators.tables import Tables

FIRM = {
    "UA01": 1,
    "UA02": 12,
    "UA05": "1410",
    "UB01": 20,
    "UB05": 14,
    "UB06": 4,
    "UB09": 2_431_117,
    "UC01": 9_017_443,
    "UC02": 1_000_303,
    "UC06": 100_019,
    "UD01": 3_617_821,
    "UD03": 30_211,
    "UD04": 303_117,
    "UD06": 811_209,
    "UE01": 5_023_711,
    "UH01": 1,
    "UJ02": 2,
}
FLOWS = ("UB09", "UC01", "UC02", "UC06", "UD01", "UD03", "UD04", "UD06")
MONEY = ("UC01", "UD01", "UB09", "UD04", "UD06", "UE01")
COUNTRY_PRICES = 1.10


def firm(frame_id: str = "A-001", *, cluster: str = "PK-TST-001", **answers) -> dict:
    """An ordinary firm of 20 persons, with these answers instead; None leaves a question out."""
    given = {**FIRM, **answers}
    return {"cluster": cluster, "frame_id": frame_id, **{k: v for k, v in given.items() if v is not None}}


def last_year(frame_id: str = "A-001", **answers) -> dict:
    """The ordinary firm a year earlier: every figure a little lower, none by the same rate."""
    lower = {code: int(FIRM[code] / (1.05 + 0.01 * place)) for place, code in enumerate((*FLOWS, "UE01"))}
    return firm(frame_id, **{**lower, **answers})


def crowd(n: int, *, seed: int = 7, cluster: str = "PK-TST-001", spread: float = 0.25, **answers) -> list[dict]:
    """Ordinary firms of one cluster whose levels differ, each with costs of its own."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        level = np.exp(rng.normal(0, spread))
        own = {code: int(FIRM[code] * level * np.exp(rng.normal(0, 0.1))) for code in (*FLOWS, "UE01")}
        rows.append(firm(f"{cluster}-{number:04d}", cluster=cluster, **{**own, **answers}))
    return rows


def a_year_later(rows: list[dict], *, seed: int = 8, growth: float = 1.08) -> list[dict]:
    """The same firms one year on: everything moved, each item by a noise of its own."""
    rng = np.random.default_rng(seed)
    return [
        {**row, **{code: int(row[code] * growth * np.exp(rng.normal(0, 0.06))) for code in (*FLOWS, "UE01")}}
        for row in rows
    ]


def tables_of(
    now: list[dict], before: list[dict] = (), earlier: list[dict] = (), *, claims: dict | None = None, **context
) -> Tables:
    """Tables of round 2026 and the two before it; every firm that answers in 2026 is in its frame.

    claims: answers about the cluster PK-TST-001: {"CLUSTER": {...}, "ASSOCIATION": {...}, "REGION": {...}}.
    """
    units = [{"round": 2026 - back, **row} for back, rows in enumerate((now, before, earlier)) for row in rows]
    clusters = sorted({row["cluster"] for row in units} | {"PK-TST-001"})
    frame = [(2026, row["cluster"], row["frame_id"], 2, 20, True) for row in now]
    said = [
        (2026, schedule, "", "" if schedule == "REGION" else "PK-TST-001", "PK-PB", json.dumps(answers))
        for schedule, answers in (claims or {}).items()
    ]
    prices = [("PK", year, 100 * (COUNTRY_PRICES - 1), 40.0, 200.0) for year in range(2018, 2027)]
    return Tables(
        units=pd.DataFrame(units) if units else pd.DataFrame(columns=["round", "cluster", "frame_id", "UA01"]),
        frame=pd.DataFrame(frame, columns=["round", "cluster", "frame_id", "size", "prior_employment", "in_scope"]),
        collective=pd.DataFrame(said, columns=["round", "schedule", "subject", "cluster", "region", "answers"]),
        context=pd.DataFrame(prices, columns=["country", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]),
        clusters=pd.DataFrame(
            [(code, context.get("country", "PK"), "PK-PB") for code in clusters], columns=["code", "country", "region"]
        ),
    )


def table_of(now, before=(), earlier=(), **rest):
    return check_table(tables_of(now, before, earlier, **rest), 2026, load_rules())

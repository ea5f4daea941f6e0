"""The invented panel as the tables of a snapshot, without a database. Made once a process."""

import json
from functools import cache

import pandas as pd

from facts.demo.panel import Panel, generate
from facts.indicators.tables import Tables

ROUNDS = range(2021, 2026)


@cache
def whole_panel() -> Panel:
    return generate()


def panel_tables(clusters: tuple[str, ...] = (), rounds=ROUNDS) -> Tables:
    """Fresh tables of some clusters (default: all), as a snapshot has them: no markers, several answers joined."""
    units, frame, collective, clusters_of = _parts()
    wanted = set(clusters) or set(clusters_of["code"])
    regions = set(clusters_of.loc[clusters_of["code"].isin(wanted), "region"])
    here = collective["cluster"].isin(wanted) | collective["region"].isin(regions)
    context = whole_panel().context.reset_index()
    context = context.rename(columns={"ref_year": "year", "ppp_base": "ppp_lcu_per_usd", "fx": "fx_lcu_per_usd"})
    return Tables(
        units=_of(units, wanted, rounds),
        frame=_of(frame, wanted, rounds),
        collective=collective[here & collective["round"].isin(rounds)].reset_index(drop=True),
        context=context[["country", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]],
        clusters=clusters_of[clusters_of["code"].isin(wanted)].reset_index(drop=True),
    )


def _of(table: pd.DataFrame, clusters: set[str], rounds) -> pd.DataFrame:
    return table[table["cluster"].isin(clusters) & table["round"].isin(rounds)].reset_index(drop=True)


@cache
def _parts() -> tuple[pd.DataFrame, ...]:
    panel = whole_panel()
    units = [
        {"round": year, "cluster": entry["cluster"], "frame_id": entry["frame_id"], **_flat(entry["answers"])}
        for year in ROUNDS
        for entry in panel.returns[year]
        if entry["outcome"] == "accepted"
    ]
    frame = pd.concat([panel.frame[year].assign(round=year) for year in ROUNDS], ignore_index=True)
    collective, regions = [], {}
    for year in ROUNDS:
        regions |= {code: answers["CA05"] for code, answers in panel.cluster_answers[year].items()}
        for schedule, by_code in (("CLUSTER", panel.cluster_answers), ("ASSOCIATION", panel.association_answers)):
            collective += [(year, schedule, code, code, "", json.dumps(a)) for code, a in by_code[year].items()]
        collective += [
            (year, "REGION", code, "", code, json.dumps(a)) for code, a in panel.region_answers[year].items()
        ]
    ends = {row.country: row.fy_end.month for row in panel.context.reset_index().itertuples()}
    clusters = [(code, code[:2], region, "", ends[code[:2]]) for code, region in sorted(regions.items())]
    return (
        pd.DataFrame(units),
        frame,
        pd.DataFrame(collective, columns=["round", "schedule", "subject", "cluster", "region", "answers"]),
        pd.DataFrame(clusters, columns=["code", "country", "region", "sector", "fiscal_year_end_month"]),
    )


def _flat(answers: dict) -> dict:
    return {k: ";".join(v) if isinstance(v, list) else v for k, v in answers.items() if v not in ("DK", "REF")}

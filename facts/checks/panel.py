"""The invented panel as tables, so that the checks can be measured on it without a database."""

import json

import pandas as pd

from facts.demo.panel import Panel
from facts.indicators.tables import Tables


def panel_tables(panel: Panel) -> Tables:
    """Everything accepted of all rounds, in the shape of a snapshot; "don't know" and "refused" are missing."""
    units = [
        {"round": number, "cluster": entry["cluster"], "frame_id": entry["frame_id"]} | _said(entry["answers"])
        for number, entries in panel.returns.items()
        for entry in entries
        if entry["outcome"] == "accepted"
    ]
    frame = pd.concat([part.assign(round=number) for number, part in panel.frame.items()], ignore_index=True)
    regions: dict[str, str] = {}
    rows = []
    for number, answers in panel.cluster_answers.items():
        for code, said in answers.items():
            regions[code] = said["CA05"]
            rows.append((number, "CLUSTER", code, code, "", json.dumps(_said(said))))
        for code, said in panel.association_answers[number].items():
            rows.append((number, "ASSOCIATION", code, code, "", json.dumps(_said(said))))
        for region, said in panel.region_answers[number].items():
            rows.append((number, "REGION", region, "", region, json.dumps(_said(said))))
    context = panel.context.reset_index().rename(
        columns={"ref_year": "year", "ppp_base": "ppp_lcu_per_usd", "fx": "fx_lcu_per_usd"}
    )
    codes = sorted(set(panel.units["cluster"]))
    return Tables(
        units=pd.DataFrame(units),
        frame=frame,
        collective=pd.DataFrame(rows, columns=["round", "schedule", "subject", "cluster", "region", "answers"]),
        context=context[["country", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]],
        clusters=pd.DataFrame(
            [(code, code[:2], regions.get(code, ""), "", 6) for code in codes],
            columns=["code", "country", "region", "sector", "fiscal_year_end_month"],
        ),
    )


def _said(answers: dict) -> dict:
    return {
        code: ";".join(value) if isinstance(value, list) else value
        for code, value in answers.items()
        if value not in ("DK", "REF")
    }

"""Which clusters an edition ranks, and why the others are not."""

import pandas as pd

from facts.indicators.compute import Tables

from .methodology import Method
from .models import Standing


def standings_of(
    tables: Tables, round_year: int, coverage: pd.DataFrame, scores: pd.DataFrame, method: Method
) -> dict[str, str]:
    """The reason that keeps each cluster from being ranked; '' where it is ranked."""
    rules, out = method.content["coverage"], {}
    for code, row in coverage.iterrows():
        small = row["in_scope"] < rules["small_frame"]
        enough = row["response_share"] >= rules["small_frame_response"] if small else row["operating"] >= rules["units"]
        if row["in_scope"] == 0 or not (
            row["response_share"] >= rules["response_share"] and row["employment_share"] >= rules["employment_share"]
        ):
            out[code] = Standing.Reason.RESPONSE.value
        elif row["copied_share"] > rules["copied_share"]:
            out[code] = Standing.Reason.COPIED.value
        elif not enough:
            out[code] = Standing.Reason.FEW_UNITS.value
        elif not (row["cluster"] and row["association"] and row["region"]):
            out[code] = Standing.Reason.SCHEDULES.value
        elif pd.isna(scores["CCI"].get(code)):
            out[code] = Standing.Reason.INCOMPLETE.value
        else:
            out[code] = ""
    return out

"""A village of equal, honest firms as the tables of a snapshot; a test names only what is wrong with it."""

import json

import numpy as np
import pandas as pd

from facts.indicators.tables import Tables

ORGANISED = {
    "AA01": 1,
    "AA03": 1,
    "AA04": "2023-05-01",
    "AA08": "2024-06-01",
    "AB01": 30,
    "AC01": 1.5,
    "AC02": 0,
    "AD06": 1,
    "AF01": ["info", "train"],
}


def village(
    accepted: int, *, rounds=(2024, 2025), frame=60, source=2, warned=0, blank=0, better=0, **answers
) -> Tables:
    """A cluster of equal firms with honest figures: `accepted` of them answer, some of those with faults.

    warned, blank : how many of the accepted carry an open warning, lack a core answer. source : UJ02 of all of them,
    but for `better`, who use registers (3).
    """
    ids = [f"V-{n:03d}" for n in range(frame)]
    units, flags = [], []
    for year in rounds:
        for n in range(accepted):
            # Every figure moves by its own amount from year to year, none is round, all firms are alike in size.
            draw = np.random.default_rng([year, n])
            size = 100_003.0 * (1 + 0.02 * draw.standard_normal())
            grows = {item: 1 + 0.03 * float(draw.standard_normal()) for item in "abcdefg"}
            row = {
                **{"round": year, "cluster": "V", "frame_id": ids[n], "UA01": 1, "UA02": 12},
                **{"UB01": 5, "UB02": 3, "UB03": 2, "UB05": 4, "UB06": 1},
                **{"UC01": round(size * grows["a"]), "UC02": 0, "UC03": 0, "UC06": 0},
                **{"UB09": round(0.2 * size * grows["b"]), "UD01": round(0.5 * size * grows["c"])},
                **{"UD03": round(0.03 * size * grows["d"]), "UD04": round(0.05 * size * grows["e"]), "UD05": 11},
                **{"UD06": round(0.07 * size * grows["f"]), "UD07": round(0.62 * size)},
                **{"UE01": round(0.4 * size * grows["g"]), "UJ02": 3 if n < better else source},
            }
            if n < blank:
                row["UB09"] = np.nan
            if n < warned:
                flags.append((year, ids[n], "UC01-S1", "soft", "open"))
            units.append(row)
    columns = ["round", "schedule", "subject", "cluster", "region", "answers"]
    filed = [
        row
        for year in rounds
        for row in [
            (year, "CLUSTER", "V", "V", "", "{}"),
            (year, "REGION", "XX-1", "", "XX-1", "{}"),
            (year, "ASSOCIATION", "V/a", "V", "", json.dumps(ORGANISED | answers)),
        ]
    ]
    return Tables(
        units=pd.DataFrame(units, columns=[*units[0]] if units else ["round", "cluster", "frame_id", "UA01"]),
        frame=pd.DataFrame(
            [
                {"round": year, "cluster": "V", "frame_id": one, "size": 1, "prior_employment": 5, "in_scope": True}
                for year in rounds
                for one in ids
            ]
        ).assign(member=None, drawn=True, design_weight=1.0),
        collective=pd.DataFrame(filed, columns=columns),
        context=pd.DataFrame(
            [("XX", year, 5.0, 2.0, 10.0) for year in range(2019, 2026)],
            columns=["country", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"],
        ),
        clusters=pd.DataFrame(
            [("V", "XX", "XX-1", "1520", 12)],
            columns=["code", "country", "region", "sector", "fiscal_year_end_month"],
        ),
        flags=pd.DataFrame(flags, columns=["round", "frame_id", "rule", "severity", "resolution"]),
    )

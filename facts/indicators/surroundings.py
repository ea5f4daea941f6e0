"""Figures of clusters that no unit answers: the other schedules, the frame's counts, prices and parities."""

import json
from calendar import monthrange
from datetime import date

import numpy as np
import pandas as pd

from facts.validation import Context

from .definitions import Definitions
from .formulas import Answers
from .label import label_score
from .tables import Tables

BASE_YEAR = 2020


def cluster_columns(tables: Tables, round_year: int, definitions: Definitions) -> dict[str, np.ndarray | Answers]:
    """Name → (n_clusters,) of everything a formula may read beside units, for the clusters of `tables.codes`.

    Answers of the cluster, association and region schedules; FRAME units in scope; RCE prior employment of the
    region's clusters; LABEL_G and LABEL_S; REAL, PPP, USD and INFL of the round's reference year.
    """
    codes, many = tables.codes, definitions.multiple
    filed = tables.collective[tables.collective["round"] == round_year]
    clusters = tables.clusters.drop_duplicates("code").set_index("code")
    regions = {str(code): str(region) for code, region in clusters["region"].items()}
    of_region = {region: json.loads(text) for region, text in _filed(filed, "REGION", "region")}
    of_cluster = {code: json.loads(text) for code, text in _filed(filed, "CLUSTER", "cluster")}
    associations: dict[str, list[dict]] = {}
    for code, text in _filed(filed, "ASSOCIATION", "cluster"):
        associations.setdefault(code, []).append(json.loads(text))
    answers_of = [
        {
            **of_cluster.get(code, {}),
            **of_region.get(regions.get(code, ""), {}),
            **_joined(associations.get(code, [])),
        }
        for code in codes
    ]
    columns: dict[str, np.ndarray | Answers] = {}
    read = frozenset().union(*definitions.questions.values())
    for name in sorted(read & {name for answers in answers_of for name in answers}):
        if name in many:
            columns[name] = Answers.of(answers.get(name) for answers in answers_of)
        else:
            columns[name] = np.array([_number(answers.get(name)) for answers in answers_of])
    columns |= _of_the_frame(tables, round_year, [regions.get(code, "") for code in codes])
    columns |= money_factors(tables, round_year)
    year_end = {str(code): month for code, month in clusters["fiscal_year_end_month"].items()}
    contexts = {code: _context(year_end.get(code, np.nan), round_year) for code in associations}
    for part, name in (("G", "LABEL_G"), ("S", "LABEL_S")):
        columns[name] = np.array(
            [
                max(label_score(definitions.label[part], answers, contexts[code]) for answers in found)
                if (found := associations.get(code))
                else np.nan
                for code in codes
            ]
        )
    return columns


def _filed(filed: pd.DataFrame, schedule: str, subject: str) -> list[tuple[str, str]]:
    rows = filed.loc[filed["schedule"] == schedule, [subject, "answers"]]
    return list(zip(rows[subject], rows["answers"], strict=True))


def _of_the_frame(tables: Tables, round_year: int, regions: list) -> dict[str, np.ndarray]:
    """FRAME and RCE; NaN where a cluster has no unit in the round's frame."""
    frame, n = tables.arrays.frame, len(tables.codes)
    rows = np.flatnonzero((frame["round"] == round_year) & frame["in_scope"])
    units = np.bincount(frame["cluster"][rows], minlength=n).astype(float)
    employment = np.bincount(frame["cluster"][rows], frame["employment"][rows], n)
    seen = units > 0
    of_region: dict = {}
    for index in np.flatnonzero(seen):
        of_region[regions[index]] = of_region.get(regions[index], 0.0) + employment[index]
    return {
        "FRAME": np.where(seen, units, np.nan),
        "RCE": np.array([of_region.get(region, np.nan) for region in regions], dtype=float),
    }


def money_factors(tables: Tables, round_year: int) -> dict[str, np.ndarray]:
    """REAL, PPP, USD as factors on local money of the round's reference year, and INFL; by cluster.

    REAL = P_base / P_t from chained consumer prices; PPP = 1 / base-year conversion factor; USD = 1 / mean rate.
    """
    year = round_year - 1
    country_of = dict(zip(tables.clusters["code"], tables.clusters["country"], strict=True))
    of_country: dict[str, dict[int, tuple[float, float, float]]] = {}
    for country, *row in tables.context[CONTEXT].itertuples(index=False):
        of_country.setdefault(country, {})[row[0]] = tuple(row[1:])
    factors = {country: _factors(years, year) for country, years in of_country.items()}
    nowhere = (np.nan,) * 4
    rows = [factors.get(country_of.get(code, ""), nowhere) for code in tables.codes]
    columns = np.array(rows, dtype=float).reshape(-1, 4).T
    return dict(zip(("REAL", "PPP", "USD", "INFL"), columns, strict=True))


CONTEXT = ["country", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]


def _factors(years: dict[int, tuple[float, float, float]], year: int) -> tuple[float, float, float, float]:
    """REAL, PPP, USD and INFL of one country. years : year → (inflation, parity, exchange rate)."""
    if year not in years or BASE_YEAR not in years:
        return (np.nan,) * 4
    inflation, _, rate = years[year]
    between = [y for y in sorted(years) if min(year, BASE_YEAR) < y <= max(year, BASE_YEAR)]
    change = float(np.prod([1 + years[y][0] / 100 for y in between]))
    return 1 / change if year >= BASE_YEAR else change, 1 / years[BASE_YEAR][1], 1 / rate, inflation


def _number(value) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _joined(associations: list[dict]) -> dict:
    """One set of answers for a cluster with several associations: counts and money add up, the rest follows the
    association with most members."""
    if len(associations) <= 1:
        return associations[0] if associations else {}
    largest = max(associations, key=lambda answers: answers.get("AB01") or 0)
    joined = dict(largest)
    for name in largest:
        if name[:2] in ("AB", "AD", "AF", "AG") or name == "AC01":
            values = [answers.get(name) for answers in associations]
            numbers = [value for value in values if isinstance(value, int | float)]
            if numbers and not isinstance(largest[name], list):
                joined[name] = sum(numbers)
    return joined


def fiscal_year_end(month: float, round_year: int) -> date:
    """The last day of the fiscal year that a round asks about: it ended between July R−1 and June R."""
    year = round_year - 1 if month >= 7 else round_year
    return date(year, int(month), monthrange(year, int(month))[1])


def _context(month: float, round_year: int) -> Context:
    end = fiscal_year_end(month, round_year) if month == month else None
    return Context(ref_year=round_year - 1, today=date(round_year, 12, 31), fy_end=end)

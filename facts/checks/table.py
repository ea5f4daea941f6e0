"""One round in columns, as the checks X01–X30 read it: units beside their two earlier years, clusters beside claims."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from facts.indicators.tables import OPERATING, Tables
from facts.indicators.units import units_of

from .rules import Rules

Column = np.ndarray
BASE_YEAR = 2020
SIZE_LIMITS = (10, 50, 250)  # persons from which a unit is small, medium, large (framework §8)
NUMBERS = (
    *("UA01", "UA02", "UB01", "UB05", "UB06", "UB09", "UC01", "UC02", "UC06"),
    *("UD01", "UD03", "UD04", "UD06", "UE01", "UH01", "UJ02"),
)
CLAIMS = ("CV01", "CV02", "CV03")


@dataclass(frozen=True)
class CheckTable:
    """Everything the checks of one round see. Rows are units that worked in the year (UA01 1 or 2).

    codes, countries : (n_clusters,) text, in order of code.
    frame_id, worker, registration, telephone : (n,) text or None; the last three where they are known.
    confirmed : (n,) tuples of questions whose unchanged figure the respondent confirmed.
    cluster_of : (n,) place in `codes`. division_of, division_before : (n,) ISIC division as a number, −1 unknown.
    now, before, earlier : question → (n,) floats of this round and of the same unit one and two rounds ago; NaN is
        missing, refused, or a unit that did not work then. Money in local currency.
    weight : (n,) survey weight (framework §11.5).
    clusters : name → (n_clusters,): CV01–CV03, AB01, RC03, FRAME (units in scope), PRICES (change of consumer prices
        on the year before, 1 = none), PPP (local money to base-year international dollars), USD; NaN missing.
    """

    round_year: int
    rules: Rules
    codes: list[str]
    countries: list[str]
    frame_id: Column
    cluster_of: Column
    division_of: Column
    division_before: Column
    now: Mapping[str, Column]
    before: Mapping[str, Column]
    earlier: Mapping[str, Column]
    weight: Column
    confirmed: Column
    worker: Column
    registration: Column
    telephone: Column
    clusters: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.frame_id)

    @property
    def n_clusters(self) -> int:
        return len(self.codes)

    @cached_property
    def matched(self) -> Column:
        """(n,) whether the unit worked, and its return counted, one round ago too."""
        return np.isfinite(self.before["UA01"])

    @cached_property
    def size(self) -> Column:
        """(n,) SIZE 1–4 by the persons of this return; −1 where they are missing."""
        return sizes(self.now["UB01"])

    @cached_property
    def persons(self) -> Column:
        """(n,) PE: persons engaged, full-year equivalents."""
        return self.now["UB01"] * self.now["UA02"] / 12

    def items(self, year: Mapping[str, Column]) -> Column:
        """The money items M of a year, (n_items, n)."""
        return np.vstack([year[item] for item in self.rules.money_items])

    def parameters(self, check: str) -> dict | None:
        return self.rules.of(check, self.round_year)


def sizes(persons: Column) -> Column:
    """SIZE of so many persons: 1 micro to 4 large; −1 where missing."""
    known = np.isfinite(persons)
    return np.where(known, np.digitize(np.where(known, persons, 0), SIZE_LIMITS) + 1, -1)


def check_table(tables: Tables, round_year: int, rules: Rules) -> CheckTable:
    """Line up one round from the tables of a snapshot, or the same tables built from returns handed in.

    `tables.units` may also hold: confirmed (questions joined by ';'), worker, registration, telephone.
    """
    codes = sorted({*tables.frame["cluster"], *tables.units["cluster"]})
    place = {code: index for index, code in enumerate(codes)}
    rows = _with_status(tables.units, round_year, OPERATING)
    before = _aligned(tables.units, round_year - 1, rows["frame_id"])
    earlier = _aligned(tables.units, round_year - 2, rows["frame_id"])
    clusters = tables.clusters.drop_duplicates("code").set_index("code")
    return CheckTable(
        round_year=round_year,
        rules=rules,
        codes=codes,
        countries=[clusters["country"].get(code, "") for code in codes],
        frame_id=rows["frame_id"].to_numpy(dtype=object),
        cluster_of=rows["cluster"].map(place).to_numpy(dtype=np.int64),
        division_of=_divisions(rows),
        division_before=_divisions(before),
        now=_floats(rows),
        before=_floats(before),
        earlier=_floats(earlier),
        weight=_weights(tables, round_year, rows),
        confirmed=_split(rows),
        worker=_texts(rows, "worker"),
        registration=_texts(rows, "registration"),
        telephone=_texts(rows, "telephone"),
        clusters=_claims(tables, round_year, codes, clusters) | _prices(tables, round_year, codes, clusters),
    )


def _numbers(rows: pd.DataFrame, name: str, among: tuple[int, ...]) -> Column:
    if name not in rows:
        return np.zeros(len(rows), dtype=bool)
    return pd.to_numeric(rows[name], errors="coerce").isin(among).to_numpy()


def _with_status(units: pd.DataFrame, round_year: int, status: tuple[int, ...]) -> pd.DataFrame:
    rows = units[(units["round"] == round_year).to_numpy()]
    return rows[_numbers(rows, "UA01", status)].sort_values("frame_id")


def _aligned(units: pd.DataFrame, round_year: int, frame_ids: pd.Series) -> pd.DataFrame:
    """The rows of another round for the same units, in the same order; all missing where there is none."""
    rows = _with_status(units, round_year, OPERATING).drop_duplicates("frame_id").set_index("frame_id")
    return rows.reindex(frame_ids)


def _floats(rows: pd.DataFrame) -> dict[str, Column]:
    blank = np.full(len(rows), np.nan)
    return {
        name: pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=float) if name in rows else blank
        for name in NUMBERS
    }


def _divisions(rows: pd.DataFrame) -> Column:
    if "UA05" not in rows:
        return np.full(len(rows), -1)
    codes = pd.to_numeric(rows["UA05"].str[:2], errors="coerce") if len(rows) else pd.Series(dtype=float)
    return codes.fillna(-1).to_numpy(dtype=np.int64)


def _texts(rows: pd.DataFrame, name: str) -> Column:
    if name not in rows:
        return np.full(len(rows), None, dtype=object)
    return rows[name].astype(object).where(rows[name].notna(), None).to_numpy(dtype=object)


def _split(rows: pd.DataFrame) -> Column:
    out = np.empty(len(rows), dtype=object)
    out[:] = [tuple(text.split(";")) if text else () for text in _texts(rows, "confirmed")]
    return out


def _weights(tables: Tables, round_year: int, rows: pd.DataFrame) -> Column:
    """The survey weights of the index (framework §11.5); 1 for units of clusters that are there without their frame."""
    framed = tables.units["cluster"].isin(set(tables.frame["cluster"]))
    here = tables if framed.all() else replace(tables, units=tables.units[framed])
    lined = units_of(here, round_year)
    weight = pd.Series(lined.weights.weight, index=here.units["frame_id"].iloc[lined.row])
    return weight.reindex(rows["frame_id"]).fillna(1.0).to_numpy(dtype=float)


def _claims(tables: Tables, round_year: int, codes: list[str], clusters: pd.DataFrame) -> dict[str, Column]:
    """What cluster, association and region said: by cluster, NaN where not answered."""
    filed = tables.collective[(tables.collective["round"] == round_year).to_numpy()]
    found: dict[str, dict[str, float]] = {name: {} for name in (*CLAIMS, "AB01")}
    wage: dict[str, float] = {}
    for schedule, cluster, region, text in filed[["schedule", "cluster", "region", "answers"]].itertuples(index=False):
        answers = json.loads(text)
        if schedule == "REGION" and _is_number(answers.get("RC03")):
            wage[region] = answers["RC03"]
        if schedule == "CLUSTER":
            for name in CLAIMS:
                if _is_number(answers.get(name)):
                    found[name][cluster] = answers[name]
        if schedule == "ASSOCIATION" and _is_number(answers.get("AB01")):
            # Several associations: their members add up.
            found["AB01"][cluster] = found["AB01"].get(cluster, 0) + answers["AB01"]
    frame = tables.frame[(tables.frame["round"] == round_year).to_numpy()]
    scope = frame[frame["in_scope"].astype(bool).to_numpy()].groupby("cluster").size()
    columns = {name: np.array([values.get(code, np.nan) for code in codes]) for name, values in found.items()}
    columns["RC03"] = np.array([wage.get(clusters["region"].get(code, ""), np.nan) for code in codes])
    columns["FRAME"] = scope.reindex(codes).to_numpy(dtype=float)
    return columns


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _prices(tables: Tables, round_year: int, codes: list[str], clusters: pd.DataFrame) -> dict[str, Column]:
    """Consumer prices against the year before, and factors to international dollars and to US dollars (§2.7)."""
    year = round_year - 1
    known: dict[str, dict[int, tuple[float, float, float]]] = {}
    columns = ["country", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]
    for country, at, inflation, ppp, fx in tables.context[columns].itertuples(index=False):
        known.setdefault(str(country), {})[int(at)] = (1 + float(inflation) / 100, float(ppp), float(fx))
    of_country: dict[str, dict[str, float]] = {}
    for country, by_year in known.items():
        if year not in by_year:
            continue
        found = of_country[country] = {"PRICES": by_year[year][0], "USD": 1 / by_year[year][2]}
        if BASE_YEAR in by_year:
            span = [y for y in by_year if min(year, BASE_YEAR) < y <= max(year, BASE_YEAR)]
            change = math.prod(by_year[y][0] for y in span)
            level = change if year >= BASE_YEAR else 1 / change
            found["PPP"] = 1 / (level * by_year[BASE_YEAR][1])
    countries = [clusters["country"].get(code, "") for code in codes]
    return {
        name: np.array([of_country.get(country, {}).get(name, np.nan) for country in countries], dtype=float)
        for name in ("PRICES", "PPP", "USD")
    }

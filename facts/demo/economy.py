"""Prices, exchange rates and fiscal years of the demonstration countries, by reference year."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd

DEFLATORS = Path(__file__).resolve().parents[2] / "fixtures" / "reference" / "demo_deflators.csv"


def read_context(spec: dict, path: Path = DEFLATORS) -> pd.DataFrame:
    """Return the economic context of the panel, indexed by (country, ref_year).

    Columns: iso3, currency, round, inflation_pct, price_index (2020 = 1), ppp_base (LCU per international
    dollar of 2020, the same in every year), fx (LCU per US dollar, yearly mean), fy_end (date). The open
    year repeats the last year's inflation and exchange rate, which nobody has published yet. No value is
    missing.
    """
    table = pd.read_csv(path, keep_default_na=False)
    last = table[table["year"] == spec["open_year"] - 1]
    table = pd.concat([table, last.assign(year=spec["open_year"])], ignore_index=True)
    table = table.sort_values(["country_iso2", "year"], ignore_index=True)
    years = [*spec["reference_years"], spec["open_year"]]
    missing = {(c, y) for c in spec["countries"] for y in years} - set(
        zip(table["country_iso2"], table["year"], strict=True)
    )
    if missing:
        raise ValueError(f"{path.name} lacks the rows {sorted(missing)}.")
    rates = 1 + table["inflation_pct"] / 100
    # The base year's own inflation happened before the base: its index is 1.
    rates = rates.where(table["year"] > years[0], 1.0)
    base = table[table["year"] == years[0]].set_index("country_iso2")["ppp_lcu_per_intl_dollar"]
    context = pd.DataFrame(
        {
            "country": table["country_iso2"],
            "ref_year": table["year"],
            "iso3": table["country_iso3"],
            "currency": table["currency"],
            "round": table["year"] + 1,
            "inflation_pct": table["inflation_pct"].astype(float),
            "price_index": rates.groupby(table["country_iso2"]).cumprod(),
            "ppp_base": table["country_iso2"].map(base).astype(float),
            "fx": table["fx_lcu_per_usd"].astype(float),
        }
    )
    context["fy_end"] = [
        fiscal_year_end(spec["countries"][country]["fiscal_year_ends"], year)
        for country, year in zip(context["country"], context["ref_year"], strict=True)
    ]
    return context.set_index(["country", "ref_year"]).sort_index()


def fiscal_year_end(rows: list[dict], ref_year: int) -> dt.date:
    """Return the last day of the fiscal year that a reference year stands for.

    It is the year that ended between 1 July of the reference year and 30 June of the next.
    """
    end = [row["end"] for row in rows if row["from"] <= ref_year][-1]
    month, day = (int(part) for part in end.split("-"))
    return dt.date(ref_year if month >= 7 else ref_year + 1, month, day)

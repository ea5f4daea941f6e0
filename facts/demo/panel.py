"""The invented demonstration panel: 24 clusters, 7,100 units, five closed rounds and an open one.

Every figure is drawn from seeded random numbers; nothing here was observed. The same specification gives the
same panel, to the digit, with the same numpy.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facts.demo.collective import association_answers
from facts.demo.economy import read_context
from facts.demo.planting import Run, plant
from facts.demo.records import returns_of
from facts.demo.surroundings import (
    cluster_answers,
    division_employment,
    neat,
    region_answers,
    specialisation,
)
from facts.demo.units import draw_units
from facts.demo.year import When, Year, draw_year, start_state

SPECIFICATION = Path(__file__).resolve().parents[2] / "fixtures" / "demo" / "panel.toml"


@dataclass(frozen=True)
class Panel:
    """What an observatory would have been told. Rounds are keyed by round (reference year + 1).

    units: one row per frame unit. frame[round]: the frozen frame. returns[round]: dicts of the API door's
    shape. *_answers[round][code]: answers by question code. context: prices and fiscal years by (country,
    ref_year). planted[case][ref_year]: frame ids spoilt on purpose (P15: pairs, one after the other).
    """

    units: pd.DataFrame
    frame: dict[int, pd.DataFrame]
    returns: dict[int, list[dict]]
    cluster_answers: dict[int, dict[str, dict]]
    association_answers: dict[int, dict[str, dict]]
    region_answers: dict[int, dict[str, dict]]
    context: pd.DataFrame
    planted: dict[str, dict[int, list[str]]]


def read_spec(path: Path = SPECIFICATION) -> dict:
    """Return the specification of the panel, clusters in alphabetical order of code."""
    spec = tomllib.loads(path.read_text(encoding="utf-8"))
    spec["clusters"].sort(key=lambda cluster: cluster["code"])
    return spec


def generate(spec: dict | None = None) -> Panel:
    """Return the panel of a specification (default: the one in fixtures)."""
    spec = read_spec() if spec is None else spec
    context = read_context(spec)
    clusters = sorted(spec["clusters"], key=lambda cluster: cluster["code"])
    children = np.random.SeedSequence(spec["seed"]).spawn(len(clusters))
    runs, agencies, coming = {}, {}, {}
    for cluster, child in zip(clusters, children, strict=True):
        # Streams of their own: nothing in the open year, or in what agencies answer, moves a closed return.
        open_year, around, around_open, coming_in = (np.random.default_rng(s) for s in child.spawn(4))
        runs[cluster["code"]] = _run(np.random.default_rng(child), open_year, cluster, spec, context)
        agencies[cluster["code"]] = (around, around_open)
        coming[cluster["code"]] = coming_in
    touched = plant(np.random.default_rng(spec["planting_seed"]), spec["planted"], runs)
    ids = {code: _frame_ids(code, run) for code, run in runs.items()}
    years = [*spec["reference_years"], spec["open_year"]]
    frame = {year + 1: _frame(runs, ids, i) for i, year in enumerate(years)}
    returns = {year + 1: list(_returns(spec, runs, ids, year, coming)) for year in years}
    answers = _surroundings(spec, runs, frame, context, agencies)
    planted = {
        case: {y: ids[spec["planted"][case]["cluster"]][rows.ravel()].tolist() for y, rows in by_year.items()}
        for case, by_year in touched.items()
    }
    return Panel(_units(runs, ids), frame, returns, *answers, context=context, planted=planted)


def _run(
    rng: np.random.Generator, rng_open: np.random.Generator, cluster: dict, spec: dict, context: pd.DataFrame
) -> Run:
    units = draw_units(rng, cluster, spec)
    state = start_state(cluster["units"])
    years = []
    for when in _whens(cluster, spec, context):
        years.append(draw_year(rng_open if when.ref_year == spec["open_year"] else rng, cluster, units, state, when))
    return Run(cluster, units, years)


def _whens(cluster: dict, spec: dict, context: pd.DataFrame) -> Iterator[When]:
    planted, country = spec["planted"], spec["countries"][cluster["country"]]
    code = cluster["code"]
    years = [*spec["reference_years"], spec["open_year"]]
    for year, growth in zip(years, spec["common_growth"], strict=True):
        row = context.loc[(cluster["country"], year)]
        lifted = code == planted["P12"]["cluster"] and year >= planted["P12"]["from"]
        collapsed = code == planted["P10"]["cluster"] and year == planted["P10"]["year"]
        yield When(
            ref_year=year,
            growth=growth,
            lift=planted["P12"]["lift"] if lifted else 0.0,
            price=float(row["ppp_base"] * row["price_index"]),
            inflation=float(row["inflation_pct"]) / 100,
            tariff=country["tariff_ppp"],
            lending_rate=country["lending_rate"],
            response=planted["P10"]["response"] if collapsed else None,
            kwh_declared=planted["P14"]["declared"] if code == planted["P14"]["cluster"] else 1.0,
        )


def _frame_ids(code: str, run: Run) -> np.ndarray:
    return np.array([f"{code}-{number:04d}" for number in range(1, run.cluster["units"] + 1)], dtype=object)


def _units(runs: dict[str, Run], ids: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return the register: one row per unit; identity fields are plainly invented and unique."""
    parts: list[pd.DataFrame] = []
    for code, run in runs.items():
        units, n = run.units, run.cluster["units"]
        numbers = range(1, n + 1)
        parts.append(
            pd.DataFrame(
                {
                    "frame_id": ids[code],
                    "cluster": code,
                    "isic4": units["isic4"],
                    "legal_form": units["legal"],
                    "start_year": units["start_year"],
                    "registered": units["registered"],
                    "member": units["member"],
                    "name": [f"Unit {number:04d} (invented)" for number in numbers],
                    "phone": [f"000-{len(parts) + 1:02d}-{number:04d}" for number in numbers],
                    "address": [f"Plot {number}, Invented Street, {run.cluster['place']}" for number in numbers],
                    "registration_number": [f"DEMO-{frame_id}" for frame_id in ids[code]],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def size_class(persons: np.ndarray) -> np.ndarray:
    """Return SIZE: 1 below 10 persons, 2 below 50, 3 below 250, else 4."""
    return np.digitize(persons, (10, 50, 250)) + 1


def _prior_employment(run: Run, i: int) -> np.ndarray:
    """Return persons of the year before; for a unit's first year in the frame, its persons at the start."""
    start = np.maximum(np.rint(run.units["persons"]), 1).astype(int)
    if i == 0:
        return start
    return np.where(run.units["entry"] == run.years[i].ref_year, start, run.years[i - 1].persons)


def _frame(runs: dict[str, Run], ids: dict[str, np.ndarray], i: int) -> pd.DataFrame:
    parts = []
    for code, run in runs.items():
        alive = run.years[i].alive
        prior = _prior_employment(run, i)[alive]
        table = {
            "frame_id": ids[code][alive],
            "cluster": code,
            "size": size_class(prior),
            "prior_employment": prior,
        }
        parts.append(pd.DataFrame(table))
    return pd.concat(parts, ignore_index=True).assign(in_scope=True)


def _returns(
    spec: dict, runs: dict[str, Run], ids: dict[str, np.ndarray], ref_year: int, coming_in: dict
) -> Iterator[dict]:
    """Yield the returns of a year, in order of frame id; in the open year a part of a few clusters only."""
    for code, run in runs.items():
        year = run.year(ref_year)
        came = year.responds
        if ref_year == spec["open_year"]:
            if code not in spec["open_clusters"]:
                continue
            came = came & (coming_in[code].random(len(came)) < spec["open_share"])
        yield from returns_of(run, year, ids[code], np.flatnonzero(came))


def _surroundings(
    spec: dict, runs: dict[str, Run], frame: dict[int, pd.DataFrame], context: pd.DataFrame, streams: dict
) -> tuple[dict, dict, dict]:
    """Return the answers about clusters, associations and regions, by round and code."""
    shares = specialisation(spec)
    base = division_employment(spec, {code: float(run.units["persons"].sum()) for code, run in runs.items()})
    wages = minimum_wages(runs, context)
    regions = sorted({run.cluster["region"] for run in runs.values()})
    closed, still_open = np.random.SeedSequence([spec["seed"], 1]).spawn(2)
    region_streams = [[np.random.default_rng(s) for s in seed.spawn(len(regions))] for seed in (closed, still_open)]
    by_cluster: dict[int, dict] = {}
    by_association: dict[int, dict] = {}
    by_region: dict[int, dict] = {}
    for i, ref_year in enumerate([*spec["reference_years"], spec["open_year"]]):
        is_open = ref_year == spec["open_year"]
        asked = [code for code in runs if not is_open or code in spec["open_clusters"]]
        by_cluster[ref_year + 1], by_association[ref_year + 1], by_region[ref_year + 1] = {}, {}, {}
        for code in asked:
            run, rng = runs[code], streams[code][is_open]
            facts = _cluster_facts(spec, run, i, context)
            grown = base[code] * 1.01**i
            facts["cb08"] = round(grown)
            facts["cb07"] = min(facts["cb08"], round(grown * shares[code][0] * float(np.exp(rng.normal(0, 0.008)))))
            by_cluster[ref_year + 1][code] = cluster_answers(rng, run.cluster, facts)
            case = spec["planted"]["P11"]
            election = case["last_election"] if case["cluster"] == code else None
            by_association[ref_year + 1][code] = association_answers(rng, run.cluster, facts, election)
        employment = frame[ref_year + 1].groupby("cluster")["prior_employment"].sum()
        for region, rng in zip(regions, region_streams[is_open], strict=True):
            members = [run.cluster for run in runs.values() if run.cluster["region"] == region]
            if not {cluster["code"] for cluster in members} & set(asked):
                continue
            weight = [cluster["units"] for cluster in members]
            row = context.loc[(region[:2], ref_year)]
            facts = {
                "ref_year": ref_year,
                "kappa": np.average([cluster["kappa"] for cluster in members], weights=weight),
                "hard": np.average([cluster["hard"] for cluster in members], weights=weight),
                "persons": int(employment[[cluster["code"] for cluster in members]].sum()),
                "price": float(row["ppp_base"] * row["price_index"]),
                "minimum_wage": wages[region[:2], ref_year],
            }
            by_region[ref_year + 1][region] = region_answers(rng, spec, region, facts)
    return by_cluster, by_association, by_region


def _cluster_facts(spec: dict, run: Run, i: int, context: pd.DataFrame) -> dict:
    """Return the true figures of a cluster-year that agencies and associations would know."""
    cluster, year = run.cluster, run.years[i]
    row = context.loc[(cluster["country"], year.ref_year)]
    works = year.alive & np.isin(year.answers["UA01"], (1, 2))
    stays = year.alive_at_end
    by_size = np.bincount(size_class(year.persons[stays]), minlength=5)[1:]
    price = float(row["ppp_base"] * row["price_index"])
    return {
        "ref_year": year.ref_year,
        "years": i,
        "fy_end": row["fy_end"],
        "by_size": by_size,
        "opened": int((run.units["entry"] == year.ref_year).sum()),
        "closed": int((year.alive & ~stays).sum()),
        "frame": int(year.alive.sum()),
        "small_share": by_size[:2].sum() / by_size.sum(),
        "persons": int(year.persons[works].sum()),
        "registered": int((run.units["registered"] & stays).sum()),
        "value_added": float(year.true["value_added"][works].sum()),
        "sales": float(year.true["sales"][works].sum()),
        "direct_exports_usd": float(year.true["direct_exports"][works].sum() / row["fx"]),
        "kwh": float(year.true["kwh"][works].sum()),
        "tariff": spec["countries"][cluster["country"]]["tariff_ppp"] * price,
        "staff_cost": 0.3 * cluster["sales_per_person_ppp"] * price,
    }


def minimum_wages(runs: dict[str, Run], context: pd.DataFrame) -> dict[tuple[str, int], float]:
    """Return the monthly minimum wage (LCU): 0.8 of a country's first median pay, then by CPI."""
    pay: dict[str, list[np.ndarray]] = {}
    for run in runs.values():
        first: Year = run.years[0]
        paid = np.isin(first.answers["UA01"], (1, 2)) & (first.true["paid_months"] > 0)
        pay.setdefault(run.cluster["country"], []).append(first.true["pay"][paid] / first.true["paid_months"][paid])
    base = {country: 0.8 * float(np.median(np.concatenate(parts))) for country, parts in pay.items()}
    return {
        (country, year): neat(base[country] * index, 2)
        for country, year, index in context["price_index"].reset_index().itertuples(index=False)
        if country in base
    }

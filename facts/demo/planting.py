"""Spoil chosen returns on purpose, so that every check has something to find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facts.demo.year import MONEY, PERSONS, Year

ITEMS = ("UC01", "UD01", "UB09", "UD04", "UD06", "UE01")  # the money items that the panel checks compare


@dataclass
class Run:
    """One cluster with its units and its years in order (five closed ones, then the open one)."""

    cluster: dict
    units: dict[str, np.ndarray]
    years: list[Year]

    def year(self, ref_year: int) -> Year:
        return next(year for year in self.years if year.ref_year == ref_year)


def plant(rng: np.random.Generator, planted: dict, runs: dict[str, Run]) -> dict[str, dict]:
    """Change answers in place; return what was touched: {case: {ref_year: unit positions}}.

    The cases that change how a cluster lives (P4, P5, P9-P14) are drawn with it and are not repeated here.
    """
    return {
        "P1": _copy_forward(rng, planted["P1"], runs[planted["P1"]["cluster"]]),
        "P2": _bunch(rng, planted["P2"], runs[planted["P2"]["cluster"]]),
        "P6": _thousands(rng, planted["P6"], runs[planted["P6"]["cluster"]]),
        "P7": _extra_digit(rng, planted["P7"], runs[planted["P7"]["cluster"]]),
        "P8": _stopped(rng, planted["P8"], runs[planted["P8"]["cluster"]]),
        "P15": _duplicates(rng, planted["P15"], runs[planted["P15"]["cluster"]]),
    }


def _copy_forward(rng: np.random.Generator, case: dict, run: Run) -> dict[int, np.ndarray]:
    first = run.year(case["years"][0] - 1)
    able = np.isin(first.answers["UA01"], (1, 2)) & first.alive
    copies = able & (rng.random(len(able)) < case["share"])
    touched = {}
    for ref_year in case["years"]:
        before, now = run.year(ref_year - 1), run.year(ref_year)
        rows = copies & now.alive_at_end
        for code in ("UA01", "UA02", *PERSONS):
            now.answers[code] = np.where(rows, before.answers[code], now.answers[code])
        for code in (*MONEY, "UD07"):
            grown = np.round(before.answers[code] * case["factor"], 2)
            now.answers[code] = np.where(rows, grown, now.answers[code])
        # Whoever sells everything abroad would break "exports <= sales" by the last rounding.
        over = rows & (now.answers["UC02"] + now.answers["UC03"] > now.answers["UC01"])
        now.answers["UC03"] = np.where(over, np.floor(now.answers["UC03"]), now.answers["UC03"])
        over &= now.answers["UC02"] + now.answers["UC03"] > now.answers["UC01"]
        now.answers["UC02"] = np.where(over, np.floor(now.answers["UC02"]), now.answers["UC02"])
        now.persons = np.where(rows, before.persons, now.persons)
        touched[ref_year] = np.flatnonzero(rows)
    return touched


def _bunch(rng: np.random.Generator, case: dict, run: Run) -> dict[int, np.ndarray]:
    limit = case["limit"]
    tempted = rng.random(run.cluster["units"]) < case["share"]
    touched = {}
    for year in run.years:
        machinery = year.answers["UE01"]
        rows = tempted & (machinery >= limit) & (machinery <= case["reach"] * limit)
        below = np.rint(limit * rng.uniform(case["reported"][0], case["reported"][1], len(rows)) / 1000) * 1000
        year.answers["UE01"] = np.where(rows, below, machinery)
        touched[year.ref_year] = np.flatnonzero(rows)
    return touched


def _matched(run: Run, ref_year: int) -> np.ndarray:
    """Positions of units that filed a whole year here and the year before, from books and not from memory.

    Only of the main division: the others are too few for the checks to have a reference group.
    """
    now, before = run.year(ref_year), run.year(ref_year - 1)
    division = run.cluster["isic_main"][:2]
    good = (run.units["source"] != 4) & np.char.startswith(run.units["isic4"], division)
    for year in (now, before):
        good &= year.responds & (year.answers["UA01"] == 1) & (year.answers["UB09"] > 0)
    return np.flatnonzero(good)


def _answered(year: Year, rows: np.ndarray) -> None:
    """Give the planted returns every figure: a planted error must not hide behind "does not know"."""
    for code in (*ITEMS, "UB01", "UB02", "UB03", "UC02", "UC03", "UD05", "UD07", "UJ02"):
        year.marks[code][rows] = 0


def _thousands(rng: np.random.Generator, case: dict, run: Run) -> dict[int, np.ndarray]:
    year = run.year(case["year"])
    rows = np.sort(rng.choice(_matched(run, case["year"]), case["returns"], replace=False))
    _answered(year, rows)
    _answered(run.year(case["year"] - 1), rows)
    for code in MONEY:
        year.answers[code][rows] = np.rint(year.answers[code][rows] / case["divisor"])
    parts = sum(year.answers[code][rows] for code in ("UD01", "UD04", "UD05", "UD06", "UB09"))
    year.answers["UD07"][rows] = parts
    return {case["year"]: rows}


def _extra_digit(rng: np.random.Generator, case: dict, run: Run) -> dict[int, np.ndarray]:
    year = run.year(case["year"])
    rows = np.sort(rng.choice(_matched(run, case["year"]), case["returns"], replace=False))
    _answered(year, rows)
    _answered(run.year(case["year"] - 1), rows)
    year.answers["UC01"][rows] *= case["factor"]
    return {case["year"]: rows}


def _stopped(rng: np.random.Generator, case: dict, run: Run) -> dict[int, np.ndarray]:
    year, each = run.year(case["year"]), case["each"]
    pool = _matched(run, case["year"])
    # Micro and small units: twelve drafts must not also take the cluster's largest firms out of the round.
    pool = pool[run.units["size"][pool] <= 1]
    rows = rng.choice(pool, 3 * each, replace=False)
    _answered(year, rows)
    people, wages, exports = rows[:each], rows[each : 2 * each], rows[2 * each :]
    year.answers["UB02"][people] += 2
    year.answers["UB09"][wages] = np.rint(1.25 * year.answers["UD07"][wages])
    year.answers["UC02"][exports] = np.rint(1.10 * year.answers["UC01"][exports])
    year.draft[rows] = True
    return {case["year"]: np.sort(rows)}


def _duplicates(rng: np.random.Generator, case: dict, run: Run) -> dict[int, np.ndarray]:
    """Copy one unit's return onto another of the same size, prefilled register items apart."""
    year = run.year(case["year"])
    pool = rng.permutation(_matched(run, case["year"]))
    pairs: list[tuple[int, int]] = []
    for one in pool:
        used = {row for pair in pairs for row in pair}
        peers = [
            row for row in pool if row != one and row not in used and run.units["size"][row] == run.units["size"][one]
        ]
        if one not in used and peers and len(pairs) < case["pairs"]:
            pairs.append((int(one), int(peers[0])))
    rows = np.array(pairs)
    _answered(year, rows.ravel())
    for code, values in year.answers.items():
        if code not in ("UA03", "UA04", "UA05"):
            values[rows[:, 1]] = values[rows[:, 0]]
    for marks in year.marks.values():
        marks[rows[:, 1]] = marks[rows[:, 0]]
    for code, (codes, chosen) in year.options.items():
        copy = chosen.copy()  # certificates and tools are shared with the other years
        copy[rows[:, 1]] = copy[rows[:, 0]]
        year.options[code] = (codes, copy)
    return {case["year"]: rows}

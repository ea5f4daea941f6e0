"""X01–X10: one unit against its own earlier years and against its peers.

The order matters (framework §9): copied-forward returns are found first and left out of the groups that the others are
compared with; they would shrink the quartile distances to nothing and drown honest firms in warnings.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .copying import Copies, find_copies
from .findings import CRITICAL, UNIT_COLUMNS, WARN, joined, of_units
from .grouping import codes_of, counts, quantile, spread_back
from .pairs import x09
from .peers import peer_groups, robust_score
from .slips import x08
from .table import CheckTable, sizes


def unit_findings(table: CheckTable) -> pd.DataFrame:
    """Run X01–X10 over a round. One row per finding: see `findings.UNIT_COLUMNS`; nothing is ever said of a blank."""
    copies = copies_of(table)
    parts = [*x02_x03(table, copies), *x01(table, copies), x05(table)[0]]
    for check in (x04, x06, x07, x08, x09, x10):
        parts += check(table)
    return joined(parts, UNIT_COLUMNS)


def copies_of(table: CheckTable) -> Copies:
    """Which returns repeat last year's money figures."""
    factor, same = table.parameters("X02"), table.parameters("X03")
    now, before = table.items(table.now), table.items(table.before)
    return find_copies(
        now,
        before,
        least=factor["least"] if factor else len(now),
        unchanged_least=same["least"] if same else len(now) + 1,
        tolerance=factor["tolerance"] if factor else -1.0,
    )


def x02_x03(table: CheckTable, copies: Copies) -> list[pd.DataFrame]:
    """Copy-forward. Unchanged figures that the respondent confirmed are named so; the check speaks all the same."""
    items = np.array(table.rules.money_items, dtype=object)
    compared = np.isfinite(copies.growth)
    found = []
    for rule, spoke in (("X02", copies.one_factor), ("X03", copies.unchanged)):
        p = table.parameters(rule)
        rows = np.flatnonzero(spoke)
        if p is None or not len(rows):
            continue
        numbers = []
        for row in rows:
            same = items[copies.same[:, row]].tolist()
            seen = {"items": same, "same": len(same), "compared": int(compared[:, row].sum())}
            if rule == "X02":
                numbers.append({**seen, "growth": copies.factor[row]})
            else:
                confirmed = [item for item in same if item in table.confirmed[row]]
                numbers.append({**seen, "confirmed": confirmed})
        score = copies.same[:, rows].sum(axis=0) / p["least"]
        found.append(of_units(table, rows, rule, severity=CRITICAL, score=score, numbers=numbers))
    return found


def x01(table: CheckTable, copies: Copies) -> list[pd.DataFrame]:
    """Hidiroglou–Berthelot over each variable. Zeros, blanks and unmatched units are left out."""
    p = table.parameters("X01")
    if p is None:
        return []
    found = []
    countries = np.unique(np.array(table.countries, dtype=object), return_inverse=True)[1]
    near, n_near = codes_of(table.cluster_of, table.division_of)
    wide, n_wide = codes_of(countries[table.cluster_of], table.division_of)
    for question in p["variables"]:
        now, before = table.now[question], table.before[question]
        if question in p["per_month"]:
            with np.errstate(divide="ignore", invalid="ignore"):
                now, before = now / table.now["UA02"], before / table.before["UA02"]
        with np.errstate(invalid="ignore"):
            compared = np.isfinite(now) & np.isfinite(before) & (now > 0) & (before > 0)
        reference = compared & ~copies.either
        close = _hidiroglou_berthelot(now, before, compared, reference, near, n_near, p)
        far = _hidiroglou_berthelot(now, before, compared, reference, wide, n_wide, p)
        own = np.isfinite(close["score"])
        seen = {name: np.where(own, close[name], far[name]) for name in close}
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero(seen["score"] > p["warn"])
        if not len(rows):
            continue
        score = seen["score"][rows]
        numbers = [
            {
                "question": question,
                "now": now[row],
                "before": before[row],
                "per_month": question in p["per_month"],
                "ratio": now[row] / before[row],
                "median": seen["median"][row],
                "score": seen["score"][row],
                "limit": p["warn"],
                "units": int(seen["units"][row]),
                "group": "cluster" if own[row] else "country",
            }
            for row in rows
        ]
        severity = np.where(score > p["critical"], CRITICAL, WARN).astype(object)
        found.append(
            of_units(
                table,
                rows,
                f"X01-{question}",
                question=question,
                severity=severity,
                score=score / p["warn"],
                numbers=numbers,
            )
        )
    return found


def _hidiroglou_berthelot(now, before, compared, reference, group, n_groups, p) -> dict[str, np.ndarray]:
    """score, group median and size for each row; NaN where the group is too small."""
    ratio = np.where(compared, np.divide(now, before, out=np.ones_like(now), where=compared), np.nan)
    of_reference = np.where(reference, ratio, np.nan)
    units = counts(group, n_groups, reference)
    median = np.where(units >= p["least"], quantile(of_reference, group, n_groups), np.nan)
    middle = spread_back(median, group)
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.where(ratio < middle, 1 - middle / ratio, ratio / middle - 1)
        weight = np.where(compared, np.maximum(now, before), np.nan) ** p["exponent"]
        e = s * weight
    inside = np.where(reference, e, np.nan)
    q1, q2, q3 = (quantile(inside, group, n_groups, share) for share in (0.25, 0.5, 0.75))
    floor = np.maximum(
        p["least_spread"] * np.abs(q2),
        p["size_spread"] * quantile(np.where(reference, weight, np.nan), group, n_groups),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        down = spread_back(np.fmax(q2 - q1, floor), group)
        up = spread_back(np.fmax(q3 - q2, floor), group)
        centre = spread_back(q2, group)
        score = np.maximum((centre - e) / down, (e - centre) / up)
    return {
        "score": np.where(np.isfinite(middle), score, np.nan),
        "median": middle,
        "units": spread_back(units.astype(float), group),
    }


def x04(table: CheckTable) -> list[pd.DataFrame]:
    """Round growth of sales in two years running."""
    p = table.parameters("X04")
    if p is None:
        return []
    steps = np.array([sign * step for step in p["round_growth"] for sign in (1, -1)])

    def round_growth(now: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.where((now > 0) & (before > 0), now / before - 1, np.nan)
            return growth, (np.abs(growth[:, None] - steps) <= p["tolerance"]).any(axis=1)

    this, is_round = round_growth(table.now["UC01"], table.before["UC01"])
    last, was_round = round_growth(table.before["UC01"], table.earlier["UC01"])
    rows = np.flatnonzero(is_round & was_round)
    numbers = [{"growth": this[row], "growth_before": last[row]} for row in rows]
    return [of_units(table, rows, "X04", question="UC01", severity=WARN, score=1.0, numbers=numbers)]


def x05(table: CheckTable) -> tuple[pd.DataFrame, np.ndarray]:
    """The under-reporting signal, and which returns could be judged, (n,). A signal, not proof."""
    p = table.parameters("X05")
    empty = joined([], UNIT_COLUMNS)
    if p is None or not len(table):
        return empty, np.zeros(len(table), dtype=bool)
    groups = peer_groups(table)
    with np.errstate(divide="ignore", invalid="ignore"):
        sales = np.where(table.now["UC01"] > 0, np.log(table.now["UC01"] / table.persons), np.nan)
        energy = np.where(table.now["UD03"] > 0, np.log(table.now["UC01"] / table.now["UD03"]), np.nan)
        material = np.where(table.now["UD01"] > 0, np.log(table.now["UD01"] / table.persons), np.nan)
    sales, energy, material = (np.where(np.isfinite(x), x, np.nan) for x in (sales, energy, material))
    by_hand = _hand_made(table, p["hand_made"])
    z = robust_score(sales, groups, p)
    z_energy, z_material = robust_score(energy, groups, p), robust_score(material, groups, p)
    instead = by_hand | (table.now["UD03"] == 0)
    other = np.where(instead, z_material, z_energy)
    checked = np.isfinite(z) & np.isfinite(other)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((z < p["each"]) & (other < p["each"]) & (z + other < p["together"]))
    if not len(rows):
        return empty, checked
    numbers = [
        {
            "z_sales_per_person": z[row],
            "z_other": other[row],
            "other": "materials per person" if instead[row] else "sales per kWh",
            "together": p["together"],
            "each": p["each"],
        }
        for row in rows
    ]
    score = (z[rows] + other[rows]) / p["together"]
    return of_units(table, rows, "X05", question="UC01", severity=WARN, score=score, numbers=numbers), checked


def _hand_made(table: CheckTable, limit: float) -> np.ndarray:
    """(n,) whether the unit's division in its cluster works by hand: little electricity for its sales."""
    with np.errstate(divide="ignore", invalid="ignore"):
        used = table.now["UD03"] / (table.now["UC01"] * table.clusters["PPP"][table.cluster_of] / 1000)
    used = np.where(np.isfinite(used), used, np.nan)
    group, n_groups = codes_of(table.cluster_of, table.division_of)
    with np.errstate(invalid="ignore"):
        return spread_back(quantile(used, group, n_groups), group) < limit


def x06(table: CheckTable) -> list[pd.DataFrame]:
    """Pay per paid person and month below the floor."""
    p = table.parameters("X06")
    if p is None:
        return []
    wage = table.clusters["RC03"][table.cluster_of]
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = table.now["UB05"] + table.now["UB06"]
        pay = np.where(paid > 0, table.now["UB09"] / (paid * table.now["UA02"]), np.nan)
        rows = np.flatnonzero(pay < p["floor"] * wage)
        score = p["floor"] * wage[rows] / np.maximum(pay[rows], 1e-9)
    numbers = [{"pay": pay[row], "wage": wage[row], "floor": p["floor"]} for row in rows]
    return [of_units(table, rows, "X06", question="UB09", severity=WARN, score=score, numbers=numbers)]


def x07(table: CheckTable) -> list[pd.DataFrame]:
    """Electricity up and real output down, or the other way round."""
    p = table.parameters("X07")
    if p is None:
        return []

    def output(year: Mapping[str, np.ndarray]) -> np.ndarray:
        return year["UC01"] + np.nan_to_num(year["UC06"])

    with np.errstate(divide="ignore", invalid="ignore"):
        now, before = output(table.now), output(table.before)
        prices = table.clusters["PRICES"][table.cluster_of]
        made = np.where((now > 0) & (before > 0), now / before / prices - 1, np.nan)
        used = np.where(table.before["UD03"] > 0, table.now["UD03"] / table.before["UD03"] - 1, np.nan)
        up = (used > p["energy_up"]) & (made < -p["output_down"])
        down = (used < -p["energy_down"]) & (made > p["output_up"])
        rows = np.flatnonzero(up | down)
    limits = np.where(up[rows], p["energy_up"], p["energy_down"]), np.where(up[rows], p["output_down"], p["output_up"])
    score = np.minimum(np.abs(used[rows]) / limits[0], np.abs(made[rows]) / limits[1])
    numbers = [{"energy": used[row], "output": made[row]} for row in rows]
    return [of_units(table, rows, "X07", question="UD03", severity=WARN, score=score, numbers=numbers)]


def x10(table: CheckTable) -> list[pd.DataFrame]:
    """Another division, or two size classes up or down."""
    p = table.parameters("X10")
    if p is None:
        return []
    was = sizes(table.before["UB01"])
    moved = (table.size > 0) & (was > 0) & (np.abs(table.size - was) >= p["classes"])
    division = (table.division_of >= 0) & (table.division_before >= 0) & (table.division_of != table.division_before)
    rows = np.flatnonzero(moved | division)
    numbers = [
        {
            "division": f"{table.division_of[row]:02d}" if division[row] else None,
            "division_before": f"{table.division_before[row]:02d}" if division[row] else None,
            "size": int(table.size[row]) if moved[row] else None,
            "size_before": int(was[row]) if moved[row] else None,
        }
        for row in rows
    ]
    question = ["UB01" if moved[row] else "UA05" for row in rows]
    return [of_units(table, rows, "X10", question=question, severity=WARN, score=1.0, numbers=numbers)]

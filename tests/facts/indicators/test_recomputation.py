"""All formulas over units computed a second way: one cluster, one firm at a time, plain numbers and loops."""

import ast
import math

import pytest

from cci.methodology import load_method
from facts.indicators.compute import compute_round
from tests.panel import panel_tables

YEAR = 2025
CLUSTERS = ("LA-FUR-VTE", "MM-MNG-MDY", "PK-RMG-LHE", "VN-TEA-TNG")
ITEMS = ("UC01", "UD01", "UB09", "UD04", "UD06", "UE01")
DEFINITIONS = load_method("1.0").definitions


def known(value) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def divide(a, b):
    return None if not known(a) or not known(b) or b == 0 else a / b


class Plain:
    """Evaluates a formula for one cluster. units : dicts of answers; None = missing."""

    def __init__(self, units, weights, before, figures):
        self.units, self.weights, self.before, self.figures = units, weights, before, figures

    def of_unit(self, node, unit):
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            if node.id in unit:
                return unit[node.id] if known(unit[node.id]) else None
            if node.id in DEFINITIONS.derived:
                return self.of_unit(DEFINITIONS.derived[node.id].tree.body, unit)
            return self.figures.get(node.id)
        if isinstance(node, ast.BinOp):
            a, b = self.of_unit(node.left, unit), self.of_unit(node.right, unit)
            return self.arithmetic(node.op, a, b)
        if isinstance(node, ast.BoolOp):
            parts = [self.of_unit(part, unit) for part in node.values]
            if None in parts:
                return None
            return float(all(parts) if isinstance(node.op, ast.And) else any(parts))
        if isinstance(node, ast.Compare):
            return self.compared(node, self.of_unit(node.left, unit), lambda right: self.of_unit(right, unit))
        name = node.func.id
        if name in ("has", "COUNT", "COUNT_EXCL_NONE"):
            text = unit.get(node.args[0].id)
            if not isinstance(text, str):
                return None
            chosen = set(text.split(";"))
            if name == "has":
                return float(node.args[1].value in chosen)
            return float(len(chosen - ({"none"} if name == "COUNT_EXCL_NONE" else set())))
        first = self.of_unit(node.args[0], unit)
        if name == "coalesce":
            return self.of_unit(node.args[1], unit) if first is None else first
        if name == "IF":
            return None if first is None else self.of_unit(node.args[1 if first else 2], unit)
        assert name in ("REAL", "PPP", "USD")
        return None if first is None else first * (unit.get("_" + name) or self.figures[name])

    def arithmetic(self, op, a, b):
        if isinstance(op, ast.Div):
            return divide(a, b)
        if a is None or b is None:
            return None
        return a + b if isinstance(op, ast.Add) else a - b if isinstance(op, ast.Sub) else a * b

    def compared(self, node, value, other_of):
        (op,), (right,) = node.ops, node.comparators
        if value is None:
            return None
        if isinstance(right, ast.Tuple):
            return float(value in [item.value for item in right.elts])
        other = other_of(right)
        if other is None:
            return None
        return float(
            {
                ast.Eq: value == other,
                ast.NotEq: value != other,
                ast.Lt: value < other,
                ast.LtE: value <= other,
                ast.Gt: value > other,
                ast.GtE: value >= other,
            }[type(op)]
        )

    def result(self, formula):
        self.support = []
        aggregates = [node for node in ast.walk(formula.tree) if self.is_aggregate(node)]
        for place, unit in enumerate(self.units):
            usable = True
            for node in aggregates:
                usable &= known(self.of_unit(node.args[0], unit))
                for keyword in node.keywords:
                    extra = self.of_unit(keyword.value, unit)
                    usable &= known(extra) and (keyword.arg != "base" or extra != 0)
                if node.func.id == "MATCHED_GROWTH":
                    earlier = self.before[place]
                    usable &= earlier is not None and known(self.of_unit(node.args[0], earlier))
                    usable &= earlier is not None and not copied(unit, earlier)
            if usable:
                self.support.append(place)
        return self.of_cluster(formula.tree.body), len(self.support) if aggregates else None

    @staticmethod
    def is_aggregate(node):
        names = ("SUM", "MEAN", "WMEAN", "MED", "SHARE", "MATCHED_GROWTH")
        return isinstance(node, ast.Call) and node.func.id in names

    def total(self, value_of):
        if not self.support:
            return None
        return math.fsum(self.weights[place] * value_of(place) for place in self.support)

    def of_cluster(self, node):
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return None if node.id == "MISSING" else self.figures.get(node.id)
        if isinstance(node, ast.BinOp):
            return self.arithmetic(node.op, self.of_cluster(node.left), self.of_cluster(node.right))
        name = node.func.id
        if name == "MAX":
            a, b = (self.of_cluster(part) for part in node.args)
            return None if a is None or b is None else max(a, b)
        if name in ("REAL", "PPP", "USD"):
            value = self.of_cluster(node.args[0])
            return None if value is None else value * self.figures[name]
        if name in ("FRAME", "RCE", "INFL"):
            return self.figures[name]
        x = [self.of_unit(node.args[0], self.units[place]) for place in range(len(self.units))]
        if name == "SUM":
            return self.total(lambda place: x[place])
        if name == "MEAN":
            return divide(self.total(lambda place: x[place]), self.total(lambda place: 1))
        if name == "SHARE":
            return 100 * self.total(lambda place: x[place] != 0) / self.total(lambda place: 1)
        if name == "WMEAN":
            y = [self.of_unit(node.keywords[0].value, unit) for unit in self.units]
            return divide(self.total(lambda place: x[place] * y[place]), self.total(lambda place: y[place]))
        if name == "MATCHED_GROWTH":
            then = [None if one is None else self.of_unit(node.args[0], one) for one in self.before]
            return divide(self.total(lambda place: x[place]), self.total(lambda place: then[place])) - 1
        half, reached = self.total(lambda place: 1) / 2, 0.0
        for place in sorted(self.support, key=lambda place: x[place]):
            reached += self.weights[place]
            if reached >= half * (1 - 1e-12):
                return x[place]
        return None


def copied(now, before) -> bool:
    """Three of the six money items grew by one factor, within ±0.0005 of it (less where figures fell)."""
    growth = []
    for item in ITEMS:
        a, b = now.get(item), before.get(item)
        if known(a) and known(b) and a > 0 and b > 0:
            growth.append(a / b - 1)
    growth.sort()
    for k in range(len(growth) - 2):
        allowed = 0.001 * min(1.0, 1.0 + (growth[k] + growth[k + 2]) / 2)
        if growth[k + 2] - growth[k] <= allowed:
            return True
    return False


def weights_of(present, sizes, in_frame, earlier_sales, total):
    """Framework §11.5 in words: N/n by class, thin classes joined downwards, dominant firms alone, trimmed."""
    alone = {u for u in present if sizes[u] == 4 and earlier_sales.get(u, 0) > 0 and earlier_sales[u] >= 0.05 * total}
    others = [u for u in present if u not in alone]
    cell = {1: 1, 2: 2, 3: 3, 4: 4}
    for size in (4, 3, 2):
        if sum(cell[sizes[u]] == size for u in others) < 5:
            cell = {s: size - 1 if c == size else c for s, c in cell.items()}
    if sum(cell[sizes[u]] == 1 for u in others) < 5:
        larger = sorted(set(cell.values()) - {1})
        cell = {s: larger[0] if c == 1 and larger else c for s, c in cell.items()}
    n, frame = {}, {}
    for u in others:
        n[cell[sizes[u]]] = n.get(cell[sizes[u]], 0) + 1
    for size, count in in_frame.items():
        left = max(0, count - sum(sizes[u] == size for u in alone))
        frame[cell[size]] = frame.get(cell[size], 0) + left
    weight = {u: frame[cell[sizes[u]]] / n[cell[sizes[u]]] for u in others}
    ordered = sorted(weight.values())
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    cut = {u: min(w, 5 * middle) for u, w in weight.items()}
    factor = sum(weight.values()) / sum(cut.values())
    return {u: w * factor for u, w in cut.items()} | dict.fromkeys(alone, 1.0)


def plain_run(tables, code) -> Plain:
    def rows(year, status):
        here = tables.units[(tables.units["cluster"] == code) & (tables.units["round"] == year)]
        return {row["frame_id"]: row for row in here.to_dict("records") if row["UA01"] in status}

    present, earlier = rows(YEAR, (1, 2, 3)), rows(YEAR - 1, (1, 2))
    frame = tables.frame[(tables.frame["cluster"] == code) & (tables.frame["round"] == YEAR)]
    sizes = dict(zip(frame["frame_id"], frame["size"], strict=True))
    in_frame = frame.loc[frame["in_scope"], "size"].value_counts().to_dict()
    sales = {u: row["UC01"] for u, row in earlier.items() if known(row["UC01"])}
    weight = weights_of(list(present), sizes, in_frame, sales, sum(sales.values()))
    working = [u for u, row in present.items() if row["UA01"] in (1, 2)]
    context = tables.context[tables.context["country"] == code[:2]].set_index("year")

    def money(year):
        prices = math.prod(1 + context.at[y, "inflation_pct"] / 100 for y in range(2021, year + 1))
        return {
            "REAL": 1 / prices,
            "PPP": 1 / context.at[2020, "ppp_lcu_per_usd"],
            "USD": 1 / context.at[year, "fx_lcu_per_usd"],
        }

    import json

    region = tables.clusters.set_index("code").at[code, "region"]
    filed = tables.collective[tables.collective["round"] == YEAR]
    figures = {"INFL": context.at[YEAR - 1, "inflation_pct"], "FRAME": int(frame["in_scope"].sum())}
    for row in filed[(filed["cluster"] == code) | (filed["region"] == region)].itertuples():
        figures |= {k: v for k, v in json.loads(row.answers).items() if isinstance(v, int | float)}
    figures |= money(YEAR - 1)
    before = [
        None if u not in earlier else earlier[u] | {f"_{k}": v for k, v in money(YEAR - 2).items()} for u in working
    ]
    return Plain([present[u] for u in working], [weight[u] for u in working], before, figures)


@pytest.fixture(scope="module")
def outcome():
    tables = panel_tables(CLUSTERS)
    values = compute_round(tables, YEAR, DEFINITIONS).set_index(["cluster", "indicator"])
    return tables, values


@pytest.mark.parametrize("code", CLUSTERS)
def test_every_figure_of_units_agrees_with_plain_loops(outcome, code):
    tables, values = outcome
    run = plain_run(tables, code)
    compared = 0
    for indicator in DEFINITIONS.indicators:
        if not indicator.formula.aggregates:
            continue
        expected, n = run.result(indicator.formula)
        found = values.loc[(code, indicator.code)]

        assert found["n_units"] == n, indicator.code
        if found["reason"] == "too few units":
            assert n < max(indicator.n_min, 8) or n < 0.4 * len(run.units), indicator.code
        elif expected is None:
            assert math.isnan(found["value"]), indicator.code
        else:
            assert found["value"] == pytest.approx(expected, rel=1e-11, abs=1e-11), indicator.code
            compared += 1
    assert compared >= 30

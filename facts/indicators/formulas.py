"""Formulas over columns: the same text that a reader sees is what is computed, for all clusters at once.

A formula is read with the grammar of `facts.expressions` and its own functions (`facts-framework` §12.1):

over units, with weight w    SUM(x) = Σ w·x · MEAN(x) = Σ w·x / Σ w · WMEAN(x, by=y) = Σ w·y·x / Σ w·y ·
                             MED(x): weighted median · SHARE(c, base=b) = 100·Σ w·1(c and b) / Σ w·1(b) ·
                             MATCHED_GROWTH(x) = Σ w·x / Σ w·x(t−1) − 1 over units free of copy-forward in both rounds
of multiple answers          has(m, "code") · COUNT(m) · COUNT_EXCL_NONE(m)
of money                     REAL(x) base-year prices · PPP(x) base-year international dollars · USD(x) mean rate
of the cluster               FRAME() units in scope · RCE() prior employment of the region's clusters · INFL()
other                        IF(c, a, b) · MAX(a, b) · coalesce(a, b) · MISSING

Missing spreads; a division by zero is missing. Common support: a ratio uses only units with every operand answered.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from facts.expressions import Function, tree
from facts.expressions.grammar import calls

FUNCTIONS: Mapping[str, Function] = {
    "SUM": Function(1, 1),
    "MEAN": Function(1, 1),
    "WMEAN": Function(1, 1, frozenset({"by"})),
    "MED": Function(1, 1),
    "SHARE": Function(1, 1, frozenset({"base"})),
    "MATCHED_GROWTH": Function(1, 1),
    "REAL": Function(1, 1),
    "PPP": Function(1, 1),
    "USD": Function(1, 1),
    "FRAME": Function(0, 0),
    "RCE": Function(0, 0),
    "INFL": Function(0, 0),
    "COUNT": Function(1, 1),
    "COUNT_EXCL_NONE": Function(1, 1),
    "has": Function(2, 2),
    "IF": Function(3, 3),
    "MAX": Function(2, 2),
    "coalesce": Function(2, 2),
}
AGGREGATES = ("SUM", "MEAN", "WMEAN", "MED", "SHARE", "MATCHED_GROWTH")


@dataclass(frozen=True)
class Formula:
    """A parsed formula; `names` are the questions and derived variables it reads."""

    text: str
    tree: ast.Expression = field(repr=False, compare=False)
    names: frozenset[str]

    @property
    def is_matched(self) -> bool:
        return any(True for _ in calls(self.tree, "MATCHED_GROWTH"))


@lru_cache(maxsize=500)
def parse_formula(text: str) -> Formula:
    """Read a formula; ExpressionError names text and place."""
    root = tree(text, FUNCTIONS)
    names = {node.id for node in ast.walk(root) if isinstance(node, ast.Name)} - set(FUNCTIONS) - {"MISSING"}
    return Formula(text, root, frozenset(names))


@dataclass(frozen=True)
class Columns:
    """One round's data, ready for formulas.

    units : name → array (n_units,) of floats, NaN = missing; multiple answers as an object array of tuples or None.
    cluster_of : (n_units,) index of each unit's cluster.
    weight : (n_units,) survey weight.
    clusters : name → array (n_clusters,) of cluster-, association- and region-level answers and context values.
    previous : the same units one round earlier (rows aligned with `units`), or None; NaN where not matched.
    matched_ok : (n_units,) True where the unit may enter growth: answered both rounds, not copied forward.
    """

    units: Mapping[str, np.ndarray]
    cluster_of: np.ndarray
    weight: np.ndarray
    clusters: Mapping[str, np.ndarray]
    n_clusters: int
    previous: "Columns | None" = None
    matched_ok: np.ndarray | None = None


@dataclass(frozen=True)
class Result:
    """values (n_clusters,), and the number of responding units behind each; NaN, or None where no units enter."""

    values: np.ndarray
    n_units: np.ndarray | None


def evaluate(formula: Formula, columns: Columns, derived: Mapping[str, Formula]) -> Result:
    """Compute a formula for every cluster. Shapes as in `Columns`."""
    run = _Run(columns, derived)
    aggregates = [node for node in ast.walk(formula.tree) if isinstance(node, ast.Call) and _is_aggregate(node)]
    if aggregates:
        run.support = run.common_support(aggregates)
    value = run.cluster(formula.tree.body)
    values = np.broadcast_to(np.asarray(value, dtype=float), (columns.n_clusters,)).copy()
    values[~np.isfinite(values)] = np.nan
    n_units = None
    if aggregates:
        n_units = np.bincount(columns.cluster_of[run.support], minlength=columns.n_clusters)
    return Result(values, n_units)


def _is_aggregate(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id in AGGREGATES


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


class _Run:
    """Walks a tree over columns; `unit` yields arrays over units, `cluster` arrays over clusters."""

    def __init__(self, columns: Columns, derived: Mapping[str, Formula]):
        self.columns = columns
        self.derived = derived
        self.support = np.ones(len(columns.weight), dtype=bool)
        self.money: dict[str, np.ndarray] = {}

    def common_support(self, aggregates: list[ast.Call]) -> np.ndarray:
        """Units with every operand of every aggregate answered (for SHARE: inside the base)."""
        support = np.ones(len(self.columns.weight), dtype=bool)
        for node in aggregates:
            assert isinstance(node.func, ast.Name)
            support &= np.isfinite(self.unit(node.args[0]))
            for keyword in node.keywords:
                extra = self.unit(keyword.value)
                support &= np.isfinite(extra)
                if keyword.arg == "base":
                    support &= extra != 0
            if node.func.id == "MATCHED_GROWTH":
                if self.columns.previous is None or self.columns.matched_ok is None:
                    return np.zeros_like(support)
                before = _Run(self.columns.previous, self.derived)
                support &= self.columns.matched_ok & np.isfinite(before.unit(node.args[0]))
        return support

    # --- over units

    def unit(self, node: ast.expr) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.asarray(self._value(node, self.unit, self._unit_name, self._unit_call), dtype=float)
        return np.broadcast_to(value, (len(self.columns.weight),))

    def _unit_name(self, name: str) -> np.ndarray:
        if name in self.columns.units:
            return self.columns.units[name]
        if name in self.derived:
            return self.unit(self.derived[name].tree.body)
        if name in self.columns.clusters:
            return self.columns.clusters[name][self.columns.cluster_of]
        return np.full(len(self.columns.weight), np.nan)

    def _unit_call(self, name: str, node: ast.Call):
        if name in ("has", "COUNT", "COUNT_EXCL_NONE"):
            assert isinstance(node.args[0], ast.Name)
            answers = self.columns.units.get(node.args[0].id)
            if answers is None:
                return np.full(len(self.columns.weight), np.nan)
            return _of_many(name, node, answers)
        if name in ("REAL", "PPP", "USD"):
            factor = self.columns.clusters[name][self.columns.cluster_of]
            return self.unit(node.args[0]) * factor
        if name == "INFL":
            return self.columns.clusters["INFL"][self.columns.cluster_of]
        raise ValueError(f"{name}() cannot stand inside a figure of units.")

    # --- over clusters

    def cluster(self, node: ast.expr):
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._value(node, self.cluster, self._cluster_name, self._cluster_call)

    def _cluster_name(self, name: str) -> np.ndarray:
        return self.columns.clusters.get(name, np.full(self.columns.n_clusters, np.nan))

    def _cluster_call(self, name: str, node: ast.Call):
        if name in AGGREGATES:
            return self._aggregate(name, node)
        if name in ("REAL", "PPP", "USD"):
            return self.cluster(node.args[0]) * self.columns.clusters[name]
        if name in ("FRAME", "RCE", "INFL"):
            return self.columns.clusters[name]
        assert isinstance(node.args[0], ast.Name)
        answers = self.columns.clusters.get(node.args[0].id)
        if answers is None:
            return np.full(self.columns.n_clusters, np.nan)
        return _of_many(name, node, answers)

    def _total(self, x: np.ndarray) -> np.ndarray:
        """Σ w·x by cluster over the support; NaN where the support is empty."""
        keep = self.support
        at, n = self.columns.cluster_of[keep], self.columns.n_clusters
        total = np.bincount(at, weights=(self.columns.weight * x)[keep], minlength=n).astype(float)
        total[np.bincount(at, minlength=n) == 0] = np.nan
        return total

    def _aggregate(self, name: str, node: ast.Call) -> np.ndarray:
        x = self.unit(node.args[0])
        if name == "SUM":
            return self._total(x)
        if name == "MEAN":
            return self._total(x) / self._total(np.ones_like(x))
        if name == "WMEAN":
            by = _keyword(node, "by")
            y = self.unit(by) if by is not None else np.ones_like(x)
            return self._total(x * y) / self._total(y)
        if name == "SHARE":
            return 100 * self._total((x != 0).astype(float)) / self._total(np.ones_like(x))
        if name == "MED":
            return self._median(x)
        if self.columns.previous is None:
            return np.full(self.columns.n_clusters, np.nan)
        before = _Run(self.columns.previous, self.derived).unit(node.args[0])
        return self._total(x) / self._total(before) - 1

    def _median(self, x: np.ndarray) -> np.ndarray:
        """Weighted median by cluster: the smallest x with cumulated weight of at least half."""
        keep = self.support
        at, x, w = self.columns.cluster_of[keep], x[keep], self.columns.weight[keep]
        out = np.full(self.columns.n_clusters, np.nan)
        order = np.lexsort((x, at))
        at, x, w = at[order], x[order], w[order]
        edges = np.flatnonzero(np.diff(at)) + 1
        for part in np.split(np.arange(len(at)), edges):
            if len(part):
                cumulated = np.cumsum(w[part])
                # The tolerance keeps a half that is exact on paper from being missed by rounding.
                out[at[part[0]]] = x[part[np.searchsorted(cumulated, cumulated[-1] / 2 * (1 - 1e-12))]]
        return out

    # --- both

    def _value(self, node: ast.expr, walk: Callable, name_of: Callable, call: Callable):
        match node:
            case ast.Constant(value=int() | float() as constant):
                return float(constant)
            case ast.Name(id="MISSING"):
                return np.nan
            case ast.Name(id=name):
                return name_of(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -walk(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = np.asarray(walk(operand))
                return np.where(np.isnan(value), np.nan, value == 0)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = walk(left), walk(right)
                if isinstance(op, ast.Add):
                    return a + b
                if isinstance(op, ast.Sub):
                    return a - b
                if isinstance(op, ast.Mult):
                    return a * b
                return np.where(np.asarray(b) == 0, np.nan, a / np.where(np.asarray(b) == 0, np.nan, b))
            case ast.BoolOp(op=op, values=values):
                parts = [np.asarray(walk(value), dtype=float) for value in values]
                known = ~np.any([np.isnan(np.broadcast_to(p, parts[0].shape)) for p in parts], axis=0)
                join = np.all if isinstance(op, ast.And) else np.any
                return np.where(known, join([p != 0 for p in parts], axis=0), np.nan)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._compare(walk, left, ops, comparators)
            case ast.Call(func=ast.Name(id=name), args=args):
                if name == "IF":
                    condition = np.asarray(walk(args[0]), dtype=float)
                    chosen = np.where(condition != 0, walk(args[1]), walk(args[2]))
                    return np.where(np.isnan(condition), np.nan, chosen)
                if name == "MAX":
                    return np.maximum(walk(args[0]), walk(args[1]))
                if name == "coalesce":
                    first = np.asarray(walk(args[0]), dtype=float)
                    return np.where(np.isnan(first), walk(args[1]), first)
                return call(name, node)
        raise ValueError(f"{type(node).__name__} has no meaning over columns.")

    def _compare(self, walk: Callable, left: ast.expr, ops, comparators) -> np.ndarray:
        value = np.asarray(walk(left), dtype=float)
        result: np.ndarray = np.ones(value.shape)
        for op, right in zip(ops, comparators, strict=True):
            if isinstance(right, ast.Tuple):
                choices = [
                    v.value for v in right.elts if isinstance(v, ast.Constant) and isinstance(v.value, int | float)
                ]
                holds = np.isin(value, choices) ^ isinstance(op, ast.NotIn)
                step, other = np.where(np.isnan(value), np.nan, holds), value
            else:
                other = np.asarray(walk(right), dtype=float)
                holds = _COMPARE[type(op)](value, other)
                step = np.where(np.isnan(value) | np.isnan(other), np.nan, holds)
            result = np.where(np.isnan(result) | np.isnan(step), np.nan, (result != 0) & (step != 0))
            value = other
        return result


_COMPARE: Mapping[type, Callable] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}


def _of_many(name: str, node: ast.Call, answers: np.ndarray) -> np.ndarray:
    """has, COUNT and COUNT_EXCL_NONE over an object array of tuples; None is missing.

    Few different answers stand in a long column, so each is judged once.
    """
    if name == "has":
        assert isinstance(node.args[1], ast.Constant)
        code = node.args[1].value

        def judge(several: tuple) -> float:
            return float(code in several)
    else:
        skip = {"none"} if name == "COUNT_EXCL_NONE" else set()

        def judge(several: tuple) -> float:
            return float(len(set(several) - skip))

    worth: dict[tuple | None, float] = {None: np.nan}
    out = np.empty(len(answers))
    for index, several in enumerate(answers):
        if several not in worth:
            worth[several] = judge(several)
        out[index] = worth[several]
    return out

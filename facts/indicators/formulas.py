"""Formulas over columns: the same text that a reader sees is what is computed, for all clusters at once.

A formula is read with the grammar of `facts.expressions` and its own functions (`facts-framework` §12.1):

over units, with weight w    SUM(x) = Σ w·x · MEAN(x) = Σ w·x / Σ w · WMEAN(x, by=y) = Σ w·y·x / Σ w·y ·
                             MED(x): weighted median · SHARE(c, base=b) = 100·Σ w·1(c and b) / Σ w·1(b) ·
                             MATCHED_GROWTH(x) = Σ w·x / Σ w·x(t−1) − 1 over units that may be compared with the
                             round before
of multiple answers          has(m, "code") · COUNT(m) · COUNT_EXCL_NONE(m)
of money                     REAL(x) base-year prices · PPP(x) base-year international dollars · USD(x) mean rate
of the cluster               FRAME() units in scope · RCE() prior employment of the region's clusters · INFL()
other                        IF(c, a, b) · MAX(a, b) · coalesce(a, b) · MISSING

Missing spreads; a division by zero is missing. Common support: a ratio uses only units with every operand answered.
"""

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from facts.expressions import Function, tree
from facts.expressions.grammar import calls

from .totals import Ordered, ReplicateWeights, figures
from .totals import order_in_groups as order_in_groups

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
    """A parsed formula; `names` are the questions and derived variables it reads, `aggregates` its figures of units."""

    text: str
    tree: ast.Expression = field(repr=False, compare=False)
    names: frozenset[str]
    aggregates: tuple[ast.Call, ...] = field(default=(), repr=False, compare=False)

    @property
    def is_matched(self) -> bool:
        return any(_called(node) == "MATCHED_GROWTH" for node in self.aggregates)


@lru_cache(maxsize=500)
def parse_formula(text: str) -> Formula:
    """Read a formula; ExpressionError names text and place."""
    root = tree(text, FUNCTIONS)
    names = {node.id for node in ast.walk(root) if isinstance(node, ast.Name)} - set(FUNCTIONS) - {"MISSING"}
    aggregates = [call for function in AGGREGATES for call in calls(root, function)]
    return Formula(text, root, frozenset(names), tuple(aggregates))


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


@dataclass(frozen=True)
class Answers:
    """Answers to a question with several options; each different set of options stands once.

    place : (n,) which of `sets` was answered; −1 = missing.
    """

    place: np.ndarray
    sets: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, answers: Iterable[Iterable[str] | None]) -> "Answers":
        """From one collection of options per unit; None = missing."""
        known: dict[frozenset[str], int] = {}
        place = [-1 if one is None else known.setdefault(frozenset(one), len(known)) for one in answers]
        return cls(np.array(place, dtype=np.int64), tuple(known))

    def judged(self, judge: Callable[[frozenset[str]], float]) -> np.ndarray:
        """A figure of each unit's set, (n,) floats; every different set is judged once."""
        return np.array([*map(judge, self.sets), np.nan], dtype=float)[self.place]


@dataclass(frozen=True)
class Columns:
    """One round's data, ready for formulas. Units stand cluster by cluster.

    units : name → array (n_units,) of floats, NaN = missing; `Answers` for questions with several options.
    cluster_of : (n_units,) index of each unit's cluster, never falling.
    weight : (n_units,) survey weight, or replicates of it, (n_replicates, n_units) or made one cluster at a time: then
        every result has that first axis too.
    clusters : name → array (n_clusters,) of cluster-, association- and region-level answers and context values.
    previous : the same units one round earlier (rows aligned with `units`), or None; NaN where not matched.
    matched_ok : (n_units,) True where the unit may enter growth: answered both rounds, and neither is in doubt.
    """

    units: Mapping[str, np.ndarray | Answers]
    cluster_of: np.ndarray
    weight: np.ndarray | ReplicateWeights
    clusters: Mapping[str, np.ndarray | Answers]
    n_clusters: int
    previous: "Columns | None" = None
    matched_ok: np.ndarray | None = None


@dataclass(frozen=True)
class Result:
    """values (n_clusters,) or (n_replicates, n_clusters), NaN = missing; which units are behind them, (n_units,) bool,
    or None where no units enter."""

    values: np.ndarray
    support: np.ndarray | None


def evaluate(formula: Formula, columns: Columns, derived: Mapping[str, Formula]) -> Result:
    """Compute one formula for every cluster. Shapes as in `Columns`."""
    return Evaluation(columns, derived).result(formula)


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


class Evaluation:
    """Walks trees over columns; `unit` yields arrays over units, `cluster` arrays over clusters.

    What one formula has worked out (a derived variable, the units that answered it) serves the next one.
    """

    def __init__(self, columns: Columns, derived: Mapping[str, Formula]):
        self.columns, self.derived = columns, derived
        self.n = len(columns.cluster_of)
        if (np.diff(columns.cluster_of) < 0).any():
            raise ValueError("Units have to stand cluster by cluster.")
        weight = columns.weight
        if isinstance(weight, np.ndarray) and weight.ndim == 2:
            weight = ReplicateWeights.given(weight)
        self.weight = weight
        self.drawn = (weight.replicates,) if isinstance(weight, ReplicateWeights) else ()
        self.before = Evaluation(columns.previous, derived) if columns.previous is not None else None
        self.everybody = np.ones(self.n, dtype=bool)
        self._values: dict[str | ast.AST, np.ndarray] = {}
        self._answered: dict[str | ast.AST, np.ndarray] = {}
        self._support: dict[Formula, np.ndarray] = {}
        self._figures: dict[ast.Call, np.ndarray] = {}

    def result(self, formula: Formula) -> Result:
        aggregates = formula.aggregates
        self.work_out([formula])
        with np.errstate(all="ignore"):
            value = np.asarray(self.cluster(formula.tree.body), dtype=float)
        shape = (*self.drawn, self.columns.n_clusters) if aggregates else (self.columns.n_clusters,)
        values = np.where(np.isfinite(value), value, np.nan)
        return Result(np.broadcast_to(values, shape), self._support[formula] if aggregates else None)

    def work_out(self, formulas: Iterable[Formula]) -> None:
        """Work out the figures of units that formulas read: all together, so that replicate weights are made once."""
        wanted: list[tuple[ast.Call, np.ndarray, list[np.ndarray | float]]] = []
        with np.errstate(all="ignore"):
            for formula in formulas:
                if formula not in self._support:
                    support = self._support[formula] = self._common_support(formula.aggregates)
                    wanted += [(node, support, self._operands(node)) for node in formula.aggregates]
            if not wanted:
                return
            of_medians = [one for one in wanted if _called(one[0]) == "MED"]
            of_sums = [one for one in wanted if _called(one[0]) != "MED"]
            at, n_clusters = self.columns.cluster_of, self.columns.n_clusters
            sums, medians = figures(
                [np.where(support, x, 0.0) for _, support, operands in of_sums for x in operands],
                [
                    Ordered.of(np.broadcast_to(x, self.n), at, support, n_clusters)
                    for _, support, operands in of_medians
                    for x in operands
                ],
                self.weight,
                at,
                n_clusters,
            )
            self._figures |= {node: median for (node, _, _), median in zip(of_medians, medians, strict=True)}
            totals = iter(sums)
            for node, support, operands in of_sums:
                # Nobody answered is no sum of 0.
                there = self.counted(support) > 0
                own = [np.where(there, next(totals), np.nan) for _ in operands]
                self._figures[node] = _joined_totals(_called(node), own) if own else np.full(n_clusters, np.nan)

    def counted(self, units: np.ndarray) -> np.ndarray:
        """How many of those units each cluster has. units : (n_units,) bool."""
        return np.bincount(self.columns.cluster_of[units], minlength=self.columns.n_clusters)

    def _operands(self, node: ast.Call) -> list[np.ndarray | float]:
        """What a figure of units adds up, (n_units,) each, in the order in which `_joined_totals` takes them."""
        name, x = _called(node), self.unit(node.args[0])
        if name in ("SUM", "MED"):
            return [x]
        if name == "MEAN":
            return [x, 1.0]
        if name == "SHARE":
            return [x != 0, 1.0]
        if name == "WMEAN":
            by = _keyword(node, "by")
            y = self.unit(by) if by is not None else np.float64(1.0)
            return [x * y, y]
        return [x, self.before.unit(node.args[0])] if self.before is not None else []

    def _common_support(self, aggregates: tuple[ast.Call, ...]) -> np.ndarray:
        """Units with every operand of every aggregate answered (for SHARE: inside the base)."""
        support = self.everybody
        for node in aggregates:
            support = support & self._is_answered(node.args[0])
            for keyword in node.keywords:
                support = support & self._is_answered(keyword.value)
                if keyword.arg == "base":
                    support = support & (self.unit(keyword.value) != 0)
            if _called(node) == "MATCHED_GROWTH":
                if self.before is None or self.columns.matched_ok is None:
                    return np.zeros(self.n, dtype=bool)
                support = support & self.columns.matched_ok & self.before._is_answered(node.args[0])
        return support

    def _is_answered(self, node: ast.expr) -> np.ndarray:
        key = node.id if isinstance(node, ast.Name) else node
        if key not in self._answered:
            self._answered[key] = np.isfinite(self.unit(node))
        return self._answered[key]

    # --- over units

    def unit(self, node: ast.expr) -> np.ndarray:
        """The value of an expression for every unit: (n_units,), or one number that holds for all."""
        if isinstance(node, ast.Constant):
            return np.asarray(node.value, dtype=float)
        key = node.id if isinstance(node, ast.Name) else node
        if key not in self._values:
            self._values[key] = np.asarray(self._value(node, self.unit, self._unit_name, self._unit_call), dtype=float)
        return self._values[key]

    def _unit_name(self, name: str):
        if name in self.columns.units:
            return self.columns.units[name]
        if name in self.derived:
            return self.unit(self.derived[name].tree.body)
        if name in self.columns.clusters:
            return self._of_cluster(name)
        return np.nan

    def _of_cluster(self, name: str) -> np.ndarray:
        """A figure of clusters, at each of their units."""
        figure = self.columns.clusters[name]
        assert isinstance(figure, np.ndarray)
        return figure[self.columns.cluster_of]

    def _unit_call(self, name: str, node: ast.Call):
        if name in ("has", "COUNT", "COUNT_EXCL_NONE"):
            assert isinstance(node.args[0], ast.Name)
            return _of_many(name, node, self.columns.units.get(node.args[0].id))
        if name in ("REAL", "PPP", "USD"):
            return self.unit(node.args[0]) * self._of_cluster(name)
        if name == "INFL":
            return self._of_cluster("INFL")
        raise ValueError(f"{name}() cannot stand inside a figure of units.")

    # --- over clusters

    def cluster(self, node: ast.expr):
        return self._value(node, self.cluster, self._cluster_name, self._cluster_call)

    def _cluster_name(self, name: str):
        return self.columns.clusters.get(name, np.nan)

    def _cluster_call(self, name: str, node: ast.Call):
        if name in AGGREGATES:
            return self._figures[node]
        if name in ("REAL", "PPP", "USD"):
            return self.cluster(node.args[0]) * self.columns.clusters[name]
        if name in ("FRAME", "RCE", "INFL"):
            return self.columns.clusters[name]
        assert isinstance(node.args[0], ast.Name)
        return _of_many(name, node, self.columns.clusters.get(node.args[0].id))

    # --- both

    def _value(self, node: ast.expr, walk: Callable, name_of: Callable, call: Callable):
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                a, b = walk(left), walk(right)
                if isinstance(op, ast.Add):
                    return a + b
                if isinstance(op, ast.Sub):
                    return a - b
                if isinstance(op, ast.Mult):
                    return a * b
                return np.where(np.equal(b, 0), np.nan, np.divide(a, b))
            case ast.Constant(value=int() | float() as constant):
                return float(constant)
            case ast.Name(id="MISSING"):
                return np.nan
            case ast.Name(id=name):
                return name_of(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -walk(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = walk(operand)
                return np.where(np.isnan(value), np.nan, np.equal(value, 0))
            case ast.BoolOp(op=op, values=values):
                return _joined([walk(value) for value in values], isinstance(op, ast.And))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._compare(walk, left, ops, comparators)
            case ast.Call(func=ast.Name(id=name), args=args):
                if name == "IF":
                    condition = walk(args[0])
                    chosen = np.where(np.not_equal(condition, 0), walk(args[1]), walk(args[2]))
                    return np.where(np.isnan(condition), np.nan, chosen)
                if name == "MAX":
                    return np.maximum(walk(args[0]), walk(args[1]))
                if name == "coalesce":
                    first = walk(args[0])
                    return np.where(np.isnan(first), walk(args[1]), first)
                return call(name, node)
        raise ValueError(f"{type(node).__name__} has no meaning over columns.")

    def _compare(self, walk: Callable, left: ast.expr, ops, comparators) -> np.ndarray:
        """One comparison or a chain of them: 1 or 0, NaN where an operand is missing."""
        value, steps = walk(left), []
        for op, right in zip(ops, comparators, strict=True):
            if isinstance(right, ast.Tuple):
                choices = [v.value for v in right.elts if isinstance(v, ast.Constant)]
                found = np.any([np.equal(value, c) for c in choices if isinstance(c, int | float)], axis=0)
                steps.append(np.where(np.isnan(value), np.nan, found ^ isinstance(op, ast.NotIn)))
                continue
            other = walk(right)
            holds = _COMPARE[type(op)](value, other)
            known = np.isnan(value) if isinstance(right, ast.Constant) else np.isnan(value) | np.isnan(other)
            steps.append(np.where(known, np.nan, holds))
            value = other
        return steps[0] if len(steps) == 1 else _joined(steps, True)


def _joined(parts: list[np.ndarray], wants_all: bool) -> np.ndarray:
    """`and` or `or` over truth values; missing where any part is."""
    missing, holds = np.isnan(parts[0]), np.not_equal(parts[0], 0)
    for part in parts[1:]:
        missing = missing | np.isnan(part)
        holds = holds & np.not_equal(part, 0) if wants_all else holds | np.not_equal(part, 0)
    return np.where(missing, np.nan, holds)


def _joined_totals(name: str, totals: list[np.ndarray]) -> np.ndarray:
    """A figure of units from its sums by cluster."""
    if name == "SUM":
        return totals[0]
    if name == "SHARE":
        return 100 * totals[0] / totals[1]
    ratio = totals[0] / totals[1]
    return ratio - 1 if name == "MATCHED_GROWTH" else ratio


_COMPARE: Mapping[type, Callable] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}


def _of_many(name: str, node: ast.Call, answers: np.ndarray | Answers | None) -> np.ndarray | float:
    """has, COUNT and COUNT_EXCL_NONE over answers with several options."""
    if not isinstance(answers, Answers):
        return np.nan
    if name == "has":
        assert isinstance(node.args[1], ast.Constant)
        code = node.args[1].value
        return answers.judged(lambda chosen: float(code in chosen))
    skip = {"none"} if name == "COUNT_EXCL_NONE" else set()
    return answers.judged(lambda chosen: float(len(chosen - skip)))

"""The reviewed definitions: 65 indicators, their hierarchy, derived variables, label criteria."""

import ast
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from facts.expressions import Expression, parse
from facts.expressions.grammar import calls

from .formulas import Formula, parse_formula


@dataclass(frozen=True)
class IndicatorDefinition:
    """One measure. `cap`: values above enter the index as the cap. `smooth_rounds`: mean of so many rounds."""

    code: str
    dimension: str
    name: str
    formula: Formula
    aggregation: str
    unit: str
    direction: int
    weight: float
    n_min: int
    transform: str
    guard: str = ""
    why: str = ""
    note: str = ""
    cap: float | None = None
    smooth_rounds: int = 1
    estimated: bool = False

    @property
    def pillar(self) -> str:
        return self.dimension[0]


@dataclass(frozen=True)
class Node:
    """A dimension or pillar: code, name, weight inside its parent."""

    code: str
    name: str
    weight: float
    parent: str


@dataclass(frozen=True)
class Criterion:
    """A criterion of the quality label: steps `(condition, points)`, of which the first that holds counts."""

    code: str
    steps: tuple[tuple[Expression, int], ...]


@dataclass(frozen=True)
class Definitions:
    """Everything the file holds, with the digest of its bytes."""

    version: str
    title: str
    author: str
    review_on: date
    digest: str
    derived: Mapping[str, Formula]
    meanings: Mapping[str, str]
    pillars: tuple[Node, ...]
    dimensions: tuple[Node, ...]
    indicators: tuple[IndicatorDefinition, ...]
    label: Mapping[str, tuple[Criterion, ...]]

    def index_weight(self, indicator: IndicatorDefinition) -> float:
        """Share of an indicator in the whole index."""
        dimension = next(node for node in self.dimensions if node.code == indicator.dimension)
        pillar = next(node for node in self.pillars if node.code == dimension.parent)
        return indicator.weight * dimension.weight * pillar.weight

    @cached_property
    def multiple(self) -> frozenset[str]:
        """Questions with several answers: those that has() and COUNT() look into."""
        formulas = [*(indicator.formula for indicator in self.indicators), *self.derived.values()]
        found = [
            call.args[0]
            for formula in formulas
            for function in ("has", "COUNT", "COUNT_EXCL_NONE")
            for call in calls(formula.tree, function)
        ]
        return frozenset(node.id for node in found if isinstance(node, ast.Name))

    @cached_property
    def questions(self) -> Mapping[str, frozenset[str]]:
        """By indicator: every question its formula reads, also through derived variables."""

        def behind(names: frozenset[str]) -> frozenset[str]:
            parts = [behind(self.derived[name].names) if name in self.derived else {name} for name in names]
            return frozenset().union(*parts)

        return {indicator.code: behind(indicator.formula.names) for indicator in self.indicators}


def load_definitions(path: Path) -> Definitions:
    """Read and check the file; ValueError names what does not fit."""
    content = path.read_bytes()
    data = tomllib.loads(content.decode())
    pillars = tuple(Node(p["code"], p["name"], p["weight"], "CCI") for p in data["pillar"])
    dimensions = tuple(Node(d["code"], d["name"], d["weight"], d["pillar"]) for d in data["dimension"])
    indicators = tuple(
        IndicatorDefinition(**{**entry, "formula": parse_formula(entry["formula"])}) for entry in data["indicator"]
    )
    _refuse_contradictions(pillars, dimensions, indicators)
    return Definitions(
        version=data["version"],
        title=data["title"],
        author=data["author"],
        review_on=data["review_on"],
        digest=hashlib.sha256(content).hexdigest(),
        derived={d["name"]: parse_formula(d["expression"]) for d in data["derived"]},
        meanings={d["name"]: d["meaning"] for d in data["derived"]},
        pillars=pillars,
        dimensions=dimensions,
        indicators=indicators,
        label={
            part["code"]: tuple(
                Criterion(c["code"], tuple((parse(s["when"]), s["points"]) for s in c["steps"]))
                for c in part["criterion"]
            )
            for part in data["label"]
        },
    )


def _refuse_contradictions(pillars, dimensions, indicators) -> None:
    for parent, nodes in [
        ("the index", pillars),
        *((p.code, [d for d in dimensions if d.parent == p.code]) for p in pillars),
        *((d.code, [i for i in indicators if i.dimension == d.code]) for d in dimensions),
    ]:
        total = sum(node.weight for node in nodes)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"The weights inside {parent} add up to {total}, not to 1.")
    codes = [indicator.code for indicator in indicators]
    if len(set(codes)) != len(codes):
        raise ValueError("An indicator stands twice in the file.")

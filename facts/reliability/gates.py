"""The gates of an organised association (framework §10.3), over the answers of one association."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pandas as pd

from facts.expressions import MISSING
from facts.indicators.surroundings import fiscal_year_end
from facts.indicators.tables import Tables
from facts.validation import Context

from .rules import Gate, Rules

WORDS = {
    "AA01": {0: "informal group", 1: "registered society", 2: "co-operative", 3: "company"},
    "AD06": {0: "not audited", 1: "checked by members", 2: "audited"},
}


@dataclass(frozen=True)
class GateResult:
    """Whether one gate is passed, what was found, and how many members are short where the gate counts them."""

    code: str
    name: str
    is_passed: bool
    asks: str
    found: str
    mend: str
    paper: str
    takes: str
    months: float
    is_near: bool
    short: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Association:
    """The gates of one association. `subject` is that of its return, empty where none is accepted."""

    subject: str
    gates: tuple[GateResult, ...]

    @property
    def failed(self) -> list[GateResult]:
        return [gate for gate in self.gates if not gate.is_passed]

    @property
    def is_organised(self) -> bool:
        return not self.failed

    @property
    def is_near(self) -> bool:
        """Exactly one gate is missing, and one of those that make a cluster provisional."""
        return len(self.failed) == 1 and self.failed[0].is_near


def best_associations(tables: Tables, rules: Rules, round_year: int) -> dict[str, Association]:
    """By cluster, the association that passes most gates; where none filed, one that passes nothing."""
    filed = tables.collective[
        (tables.collective["round"] == round_year) & (tables.collective["schedule"] == "ASSOCIATION")
    ]
    frame = tables.frame[(tables.frame["round"] == round_year) & tables.frame["in_scope"]]
    counts = frame.groupby("cluster").size()
    year_end = tables.clusters.set_index("code")["fiscal_year_end_month"]
    found: dict[str, list[Association]] = {code: [] for code in counts.index}
    for subject, code, answers in filed[["subject", "cluster", "answers"]].itertuples(index=False):
        if code in found:
            end = fiscal_year_end(month, round_year) if pd.notna(month := year_end.get(code)) else None
            found[code].append(association_of(subject, json.loads(answers), int(counts[code]), end, rules))
    nobody = association_of("", {}, 0, None, rules)
    return {code: min(several, key=_order, default=nobody) for code, several in found.items()}


def _order(one: Association) -> tuple:
    return (len(one.failed), not one.is_near, one.subject)


def association_of(
    subject: str, answers: Mapping[str, Any], frame: int, fy_end: date | None, rules: Rules
) -> Association:
    """Hold one association's answers against the gates; `subject` is empty where no return was accepted."""
    end = fy_end or date(1, 1, 1)
    context = Context(ref_year=end.year, today=end, fy_end=fy_end, values={"FRAME": frame})
    known = {**answers, "status": "accepted" if subject else "not accepted"}
    return Association(subject, tuple(_result(gate, known, context, bool(subject)) for gate in rules.gates))


def _result(gate: Gate, answers: Mapping[str, Any], context: Context, is_filed: bool) -> GateResult:
    is_passed = gate.rule.value(answers, context) is True
    short = 0
    if gate.needs and not is_passed and is_filed:
        needed = gate.needs.value(answers, context)
        short = 0 if needed is MISSING else max(1, -int(-needed // 1) - int(answers.get(gate.has) or 0))
    found = gate.found.format_map(_Words(answers)) if is_filed or "status" in gate.found else "not known: no return"
    return GateResult(
        gate.code,
        gate.name,
        is_passed,
        gate.asks,
        found,
        gate.mend,
        gate.paper,
        gate.takes,
        gate.months,
        gate.is_near,
        short,
    )


class _Words(dict):
    """Answers as words: dates in full, lists as counts, codes as what they stand for."""

    def __missing__(self, name: str) -> str:
        return "not answered"

    def __getitem__(self, name: str) -> str:
        value = super().__getitem__(name) if name in self else None
        if value is None:
            return self.__missing__(name)
        if isinstance(value, list):
            return str(len([one for one in value if one != "none"]))
        if name in WORDS and isinstance(value, int):
            return WORDS[name].get(value, str(value))
        if name == "AA03":
            return "yes" if value else "no"
        if isinstance(value, str) and len(value) == 10 and value[4] == "-":
            day = date.fromisoformat(value)
            return f"{day.day} {day:%B %Y}"
        return f"{value:g}" if isinstance(value, float) else str(value)

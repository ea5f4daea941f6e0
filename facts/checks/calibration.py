"""What the checks find on the invented panel: counts, shares, planted cases, beside the ranges of the framework."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from facts.demo.panel import Panel, generate
from facts.indicators.tables import Tables

from .panel import panel_tables
from .rounds import cluster_figures, cluster_findings
from .rules import UNIT_CHECKS, Rules, check_of, load_rules
from .table import CheckTable, check_table
from .units import unit_findings

ROUNDS = range(2021, 2026)
Row = tuple[str, str, str]


class Measured:
    """The panel, checked: tables, findings and figures of every closed round."""

    def __init__(self, panel: Panel | None = None, rules: Rules | None = None):
        self.rules = load_rules() if rules is None else rules
        self.panel = generate() if panel is None else panel
        tables: Tables = panel_tables(self.panel)
        self.rounds: dict[int, CheckTable] = {number: check_table(tables, number, self.rules) for number in ROUNDS}
        self.units = pd.concat([unit_findings(t).assign(round=n) for n, t in self.rounds.items()])
        self.clusters = pd.concat([cluster_findings(t).assign(round=n) for n, t in self.rounds.items()])
        self.figures = pd.concat({n: cluster_figures(t) for n, t in self.rounds.items()}, names=["round"])

    @property
    def returns(self) -> int:
        return sum(len(table) for table in self.rounds.values())

    @property
    def comparisons(self) -> int:
        """Pairs of unit and variable that X01 compares: both years above zero."""
        parameters = self.rules.of("X01", max(ROUNDS))
        assert parameters is not None
        variables = parameters["variables"]
        return sum(int(((t.now[v] > 0) & (t.before[v] > 0)).sum()) for t in self.rounds.values() for v in variables)

    def spoke(self, check: str) -> pd.DataFrame:
        return self.units[self.units["rule"].map(check_of) == check]

    def found(self, case: str, check: str, severity: str | None = None) -> tuple[int, int]:
        """How many of a planted case's returns a check found, and how many there are (matched ones for X02)."""
        rows = self.spoke(check)
        rows = rows if severity is None else rows[rows["severity"] == severity]
        hits = set(zip(rows["round"], rows["frame_id"], strict=True))
        there = [(year + 1, unit) for year, units in self.panel.planted[case].items() for unit in units]
        if check == "X02":
            matched = {(n, unit) for n, t in self.rounds.items() for unit in t.frame_id[t.matched]}
            there = [one for one in there if one in matched]
        return sum(one in hits for one in there), len(there)


def per_rule(measured: Measured) -> list[Row]:
    """Check, findings, share of returns with one."""
    rows = []
    for check in UNIT_CHECKS:
        spoke = measured.spoke(check)
        several = len(spoke.drop_duplicates(["round", "frame_id"]))
        rows.append(
            (f"{check} {measured.rules.checks[check].name}", f"{len(spoke):,}", _pct(several / measured.returns, 1))
        )
    return rows


def against_ranges(measured: Measured) -> Iterator[Row]:
    """What is measured, its figure, and the range of framework §9 and §17.6."""
    m = measured
    ratio, critical = m.spoke("X01"), m.spoke("X01").query("severity == 'critical'")
    yield "X01 warnings and critical, of comparisons", _pct(len(ratio) / m.comparisons, 2), "1–2.5 %"
    yield "X01 critical, of comparisons", _pct(len(critical) / m.comparisons, 2), "0.2–0.6 %"
    for case in ("P6", "P7"):
        yield f"{case} found by X01 at the critical level", _of(m.found(case, "X01", "critical")), "all"
        yield f"{case} found by X08", _of(m.found(case, "X08")), "5 of 6" if case == "P6" else "4 of 5"
    planted = {(y + 1, u) for case in ("P6", "P7") for y, ids in m.panel.planted[case].items() for u in ids}
    back = {(y + 1, u) for y, u in planted}
    slips = m.spoke("X08").query("round > 2021")
    honest = sum((y, u) not in planted | back for y, u in zip(slips["round"], slips["frame_id"], strict=True))
    yield "X08 beside planted slips and their return, rounds 2022–2025", str(honest), "few (7)"
    yield "P1 found by X02, of matched returns", _of(m.found("P1", "X02")), "all"
    lucknow = [_figure(m, n, "IN-TEX-LKO", "copied_share") for n in (2023, 2024, 2025)]
    yield "P1 share copied (X20), 2023–2025", ", ".join(_pct(one) for one in lucknow), "64–67 %, stop above 25 %"
    matched = m.figures["matched"].groupby("cluster").sum()
    copied = (m.figures["copied_share"] * m.figures["matched"]).groupby("cluster").sum() / matched
    others = copied.drop("IN-TEX-LKO")
    yield (
        "X02, X03 outside P1: clusters above 1 %, highest",
        f"{(others > 0.01).sum()}, {_pct(others.max(), 1)}",
        "≤ 4 %",
    )
    signal = m.spoke("X05")
    yield "X05, of returns", _pct(len(signal) / m.returns, 1), "3.7 %"
    checked = m.figures["checked"].groupby("cluster").sum()
    share = (m.figures["under_reporting"] * m.figures["checked"]).groupby("cluster").sum() / checked
    first, second = share.nlargest(2).items()
    yield "P9 share with X05, and the next cluster", f"{_pct(first[1], 1)} {first[0]}, {_pct(second[1], 1)}", "≥ 10 %"
    for rule, case in (("X24", "P2"), ("X25", "P14"), ("X20", "P1"), ("X21", "P1")):
        yield f"{case}: clusters that {rule} speaks of", ", ".join(sorted(set(_clusters(m, rule)))), "one"
    heaped = [f"{_pct(_figure(m, 2025, code, 'heaping'))} {code}" for code in ("MM-MNG-MDY", "KH-SLK-TAK")]
    yield "P3: heaped figures (X22), round 2025", ", ".join(heaped), "about 70 %, 60 %"
    yield "P15 found by X09", _of(m.found("P15", "X09")), "3 pairs"


def _figure(measured: Measured, round_year: int, code: str, name: str) -> float:
    return float(measured.figures[name].loc[(round_year, code)])  # type: ignore[arg-type]


def _clusters(measured: Measured, rule: str) -> list[str]:
    return measured.clusters.loc[measured.clusters["rule"] == rule, "cluster"].tolist()


def _pct(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %" if np.isfinite(share) else "–"


def _of(counts: tuple[int, int]) -> str:
    return f"{counts[0]} of {counts[1]}"


def markdown(measured: Measured) -> str:
    """Both tables as Markdown."""
    parts = [
        f"{measured.returns:,} operating returns of 24 clusters in five closed rounds; "
        f"{measured.comparisons:,} comparisons of X01.",
        _table(("Check", "Findings", "Returns with one"), per_rule(measured)),
        _table(("Measured on the panel", "Figure", "Framework"), list(against_ranges(measured))),
    ]
    return "\n\n".join(parts)


def checks_table(rules: Rules) -> str:
    """Every check: what it looks for, its parameters from their first round on, what follows."""
    rows = []
    for check in rules.checks.values():
        entries = [
            ", ".join(f"{name} {_plain(value)}" for name, value in given.items())
            + (f" (from round {start})" if len(check.entries) > 1 else "")
            for start, given in check.entries
        ]
        kept = " Kept inside the data team." if rules.for_data_team(check.id) else ""
        rows.append((f"**{check.id}** {check.name}", check.rule, "; ".join(entries), check.action + kept))
    return _table(("Check", "Speaks where", "Parameters", "What follows"), rows)


def _plain(value: object) -> str:
    return " ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    numeric = len(head) == 3
    lines = [head, ("---", *(["---:" if numeric else "---"] * (len(head) - 1))), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

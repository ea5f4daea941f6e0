"""Routing and checks as XPath, as the phone evaluates it: our expression tree in, the text of a condition out.

Missing operands keep their meaning. In the language of `facts.expressions` an operand without value leaves the whole
expression without value, whichever side of `and` and `or` it stands on; so the conditions under which all operands
are known are gathered beside the text, and each use says what then holds: a routing rule hides its question, a hard
check passes, a soft check is silent.

Only functions that JavaRosa (ODK Collect) and Enketo (Kobo) both have are written: if, selected, count-selected, abs,
round, number, decimal-date-time, today.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from facts.expressions import CONTEXT_NAMES, Expression
from facts.instrument import CODE_KINDS, NUMBER_KINDS, Question, Schedule
from facts.xlsform.names import SCALE

_SIGNS: Mapping[type[ast.AST], str] = {
    ast.Eq: "=",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "div",
    ast.And: "and",
    ast.Or: "or",
}
_ELSEWHERE = {
    "frame_count": "compares with the list of units",
    "uh01_share": "compares with what units report",
    "cluster_isic": "compares with the activities of the cluster",
    "fy_end": "needs the fiscal year of the country",
}
_ONLY_HERE = {
    "prev": "compares with last round",
    "coalesce": "chooses among answers",
    "unique": "compares with other records",
    "majority_same_division": "looks into the classification",
    "distance_km": "measures a distance",
    "admin1_point": "looks a place up",
}


class Untranslatable(ValueError):
    """An expression that a phone cannot evaluate; the message completes "is left to the observatory: it …"."""


@dataclass(frozen=True)
class Condition:
    """A truth value as XPath. `known`: what must hold for it to have a value; `text`: the value where it has one."""

    known: tuple[str, ...]
    text: str

    @property
    def when_true(self) -> str:
        """Known and true."""
        return " and ".join([*self.known, f"({self.text})"])

    @property
    def unless_false(self) -> str:
        """Without value, or true."""
        return f"not({' and '.join(self.known)}) or ({self.text})" if self.known else self.text


@dataclass(frozen=True)
class _Term:
    kind: str  # number, text, date, several or truth
    text: str
    known: tuple[str, ...] = ()
    is_bare: bool = False  # a question alone, whose text a comparison could take for letters


def condition(
    expression: Expression, schedule: Schedule, *, ref_year: int, scaled: bool, own: str = "", listed: frozenset[str]
) -> Condition:
    """Translate one expression, or raise Untranslatable.

    own : code of the question that carries the constraint; it is written as "." and is known when it is judged.
    scaled : whether the form asks for the scale of money.
    listed : codes of the questions that offer their classification as a list, and so cannot hold anything else.
    """
    term = _Translator(schedule, ref_year, scaled, own, listed).term(expression.tree.body)
    if term.kind != "truth":
        raise Untranslatable("is not a condition")
    return Condition(term.known, term.text)


def value_of(question: Question, reference: str, *, scaled: bool) -> str:
    """A number as checks see it: money at scale 1, to the cent as it is stored."""
    if question.takes_scale and scaled:
        return f"(round({reference} * ${{{SCALE}}} * 100) div 100)"
    return reference


class _Translator:
    def __init__(self, schedule: Schedule, ref_year: int, scaled: bool, own: str, listed: frozenset[str]):
        self.schedule, self.ref_year, self.scaled, self.own, self.listed = schedule, ref_year, scaled, own, listed

    def term(self, node: ast.expr) -> _Term:
        match node:
            case ast.Constant(value=str() as value):
                return _Term("text", f"'{value}'")
            case ast.Constant(value=value):
                return _Term("number", _plain(value))
            case ast.Name(id=name):
                return self.name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.number(operand)
                return _Term("number", f"(0 - {inner.text})", inner.known)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.truth(operand)
                return _Term("truth", f"not({inner.text})", inner.known)
            case ast.BoolOp(op=op, values=values):
                parts = [self.truth(value) for value in values]
                sign = f" {_SIGNS[type(op)]} "
                return _Term("truth", f"({sign.join(part.text for part in parts)})", _all(*parts))
            case ast.BinOp(left=left, op=op, right=right):
                one, other = self.number(left), self.number(right)
                known = _all(one, other)
                if isinstance(op, ast.Div):
                    known = (*known, f"({other.text} != 0)")
                return _Term("number", f"({one.text} {_SIGNS[type(op)]} {other.text})", known)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self.comparison(left, ops, comparators)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.call(name, args)
        raise Untranslatable("uses what a form cannot say")

    def truth(self, node: ast.expr) -> _Term:
        return self.of_kind(node, "truth")

    def number(self, node: ast.expr) -> _Term:
        return self.of_kind(node, "number")

    def of_kind(self, node: ast.expr, kind: str) -> _Term:
        term = self.term(node)
        if term.kind != kind:
            raise Untranslatable("joins texts" if term.kind == "text" else "uses what a form cannot say")
        return term

    def name(self, name: str) -> _Term:
        if name == "ref_year":
            return _Term("number", str(self.ref_year))
        if name == "today":
            return _Term("date", "decimal-date-time(today())")
        if name in CONTEXT_NAMES:
            raise Untranslatable(_ELSEWHERE[name])
        question = self.schedule.questions.get(name)
        if question is None:
            raise Untranslatable(f"compares with {name} of another schedule")
        reference = "." if name == self.own else f"${{{name}}}"
        known = () if name == self.own else (f"{reference} != ''",)
        if question.kind in ("multi", "multicode"):
            return _Term("several", reference, known)
        if question.kind == "date":
            return _Term("date", f"decimal-date-time({reference})", known)
        if question.kind == "text" or question.kind in CODE_KINDS:
            return _Term("text", reference, known)
        numbers = question.kind in NUMBER_KINDS or question.kind == "yesno"
        if numbers or all(isinstance(option.code, int) for option in question.options):
            text = value_of(question, reference, scaled=self.scaled)
            return _Term("number", text, known, is_bare=text == reference)
        return _Term("text", reference, known)

    def comparison(self, left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr]) -> _Term:
        steps, known, before = [], self.term(left).known, left
        for op, right in zip(ops, comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                text = self.membership(before, right)
                steps.append(f"not({text})" if isinstance(op, ast.NotIn) else text)
                continue
            one, other = self.term(before), self.term(right)
            known = _union(known, other.known)
            steps.append(_compared(one, _SIGNS[type(op)], other))
            before = right
        return _Term("truth", steps[0] if len(steps) == 1 else f"({' and '.join(steps)})", known)

    def membership(self, node: ast.expr, items: ast.expr) -> str:
        if not isinstance(items, ast.Tuple):
            self.term(items)  # names the reason: a list that only the observatory has
            raise Untranslatable("looks into a list")
        one = self.term(node)
        choices = [_compared(one, "=", self.term(item)) for item in items.elts]
        return f"({' or '.join(choices)})"

    def call(self, name: str, args: list[ast.expr]) -> _Term:
        match name:
            case "ans":
                inner = self.term(args[0])
                return _Term("truth", f"({' and '.join(inner.known)})" if inner.known else "true()")
            case "has":
                several, option = self.of_kind(args[0], "several"), self.term(args[1])
                return _Term("truth", f"selected({several.text}, {option.text})", several.known)
            case "count":
                several = self.of_kind(args[0], "several")
                return _Term("number", self.count(args[0], several.text), several.known)
            case "subset":
                return self.subset(args)
            case "near":
                one, other, tolerance = (self.number(arg) for arg in args)
                apart = f"abs({one.text} - {other.text})"
                # t · max(|a|, |b|, 1), written as three comparisons: not every phone has max() of numbers.
                within = [
                    f"{apart} <= {tolerance.text} * {size}" for size in (f"abs({one.text})", f"abs({other.text})")
                ]
                text = f"({' or '.join([*within, f'{apart} <= {tolerance.text}'])})"
                return _Term("truth", text, _all(one, other, tolerance))
            case "abs":
                inner = self.number(args[0])
                return _Term("number", f"abs({inner.text})", inner.known)
            case "max" | "min":
                return self.extreme(">" if name == "max" else "<", args)
            case "days":
                later, earlier = (self.of_kind(arg, "date") for arg in args)
                return _Term("number", f"round({later.text} - {earlier.text})", _all(later, earlier))
            case "exists_in":
                return self.existence(args[0])
        raise Untranslatable(_ONLY_HERE.get(name, "uses what a form cannot say"))

    def count(self, node: ast.expr, reference: str) -> str:
        """How many are ticked; the "none" that a form adds to a list without one does not count."""
        question = self.question(node)
        added = question.option_set is not None and not question.option_set.has_none
        none = f" - number(selected({reference}, 'none'))" if added else ""
        return f"(count-selected({reference}){none})"

    def subset(self, args: list[ast.expr]) -> _Term:
        part, whole = (self.of_kind(arg, "several") for arg in args)
        options = [option.code for option in self.question(args[0]).options]
        if not options:
            raise Untranslatable("compares two lists of codes")
        steps = [f"(not(selected({part.text}, '{code}')) or selected({whole.text}, '{code}'))" for code in options]
        return _Term("truth", f"({' and '.join(steps)})", _all(part, whole))

    def extreme(self, sign: str, args: list[ast.expr]) -> _Term:
        terms = [self.number(arg) for arg in args]
        text = terms[0].text
        for term in terms[1:]:
            text = f"if({text} {sign} {term.text}, {text}, {term.text})"
        return _Term("number", text, _all(*terms))

    def existence(self, node: ast.expr) -> _Term:
        question = self.question(node)
        if question.code not in self.listed:
            raise Untranslatable("looks into the classification")
        return _Term("truth", "true()", self.name(question.code).known)

    def question(self, node: ast.expr) -> Question:
        found = self.schedule.questions.get(node.id) if isinstance(node, ast.Name) else None
        return found or _refuse()


def _refuse() -> NoReturn:
    raise Untranslatable("uses what a form cannot say")


def _compared(one: _Term, sign: str, other: _Term) -> str:
    if one.kind != other.kind or one.kind not in ("number", "text", "date"):
        raise Untranslatable("compares what a form cannot compare")
    if one.kind == "text" and sign not in ("=", "!="):
        raise Untranslatable("orders texts")
    if one.kind == "date":
        # Midnights of one place; a change of summer time must not make a day longer than another.
        return f"round({one.text} - {other.text}) {sign} 0"
    if one.is_bare and other.is_bare:
        # Two questions side by side would be compared as letters.
        return f"number({one.text}) {sign} number({other.text})"
    return f"{one.text} {sign} {other.text}"


def _plain(value: Any) -> str:
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _union(*parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for part in parts for one in part))


def _all(*terms: _Term) -> tuple[str, ...]:
    return _union(*(term.known for term in terms))

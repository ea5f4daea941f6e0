"""From tree to closures: what an expression is worth, given answers and context."""

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, Protocol

from facts.expressions.functions import LOOK_UPS, NUMBERS, PLAIN, Lookups
from facts.expressions.grammar import FUNCTIONS, ExpressionError, calls, error_at, tree


class Missing:
    """The type of MISSING: no value. It is false, so `if value:` reads as "known and true"."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class Context(Protocol):
    """What an expression sees beside the answers."""

    @property
    def prev(self) -> Mapping[str, Any]: ...
    @property
    def values(self) -> Mapping[str, Any]: ...
    @property
    def ref_year(self) -> int: ...
    @property
    def fy_end(self) -> date | None: ...
    @property
    def today(self) -> date: ...
    @property
    def lookups(self) -> Lookups: ...


Run = Callable[[Mapping[str, Any], Any], Any]


def _known(value: Any) -> Any:
    return MISSING if value is None else value


CONTEXT_NAMES: Mapping[str, Run] = {
    "ref_year": lambda answers, context: context.ref_year,
    "fy_end": lambda answers, context: MISSING if context.fy_end is None else context.fy_end.isoformat(),
    "today": lambda answers, context: context.today.isoformat(),
    "frame_count": lambda answers, context: _known(context.values.get("frame_count")),
    "uh01_share": lambda answers, context: _known(context.values.get("uh01_share")),
    "cluster_isic": lambda answers, context: _known(context.values.get("cluster_isic")),
}


@dataclass(frozen=True)
class Expression:
    """A parsed expression. `names` are read from the return or its context, `prev_names` from last round."""

    text: str
    names: frozenset[str]
    prev_names: frozenset[str]
    tree: ast.Expression = field(repr=False, compare=False)
    run: Run = field(repr=False, compare=False)

    def value(self, answers: Mapping[str, Any], context: Context) -> Any:
        """The value, or MISSING. Raises ExpressionError where text meets number, and nothing else."""
        try:
            return self.run(answers, context)
        except ExpressionError as error:
            raise ExpressionError(self.text, None, error.reason) from None
        except (TypeError, OverflowError) as error:
            raise ExpressionError(self.text, None, "Operands that do not fit each other") from error


@lru_cache(maxsize=2000)
def parse(text: str) -> Expression:
    """Read a routing or check expression; equal texts give the same object.

    >>> parse("UB02 + UB03 == 5").run({"UB02": 2, "UB03": 3}, None)
    True
    """
    root = tree(text, FUNCTIONS)
    prev_nodes = {id(call.args[0]) for call in calls(root, "prev")}
    for call in calls(root, "prev"):
        if not isinstance(call.args[0], ast.Name):
            raise error_at(text, call, "prev() takes the code of one question")
    # Names stand in the tree as Name nodes, and so do the functions' own names.
    functions = {id(call.func) for call in ast.walk(root) if isinstance(call, ast.Call)}
    found = [node for node in ast.walk(root) if isinstance(node, ast.Name) and id(node) not in functions]
    return Expression(
        text=text,
        names=frozenset(node.id for node in found if id(node) not in prev_nodes),
        prev_names=frozenset(node.id for node in found if id(node) in prev_nodes),
        tree=root,
        run=_compile(text, root.body),
    )


def _compile(text: str, node: ast.expr) -> Run:
    match node:
        case ast.Constant(value=value):
            return lambda answers, context: value
        case ast.Name(id=name):
            return CONTEXT_NAMES.get(name) or _answer(name)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _negation(_compile(text, operand))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _arithmetic(ast.Sub(), lambda answers, context: 0, _compile(text, operand))
        case ast.BoolOp(op=op, values=values):
            return _all_or_any([_compile(text, value) for value in values], every=isinstance(op, ast.And))
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(op, _compile(text, left), _compile(text, right))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            if len(ops) == 1 and isinstance(comparators[0], ast.Constant | ast.Tuple):
                return _against_constant(_compile(text, left), ops[0], _right_side(text, comparators[0]))
            return _comparison(_compile(text, left), ops, [_right_side(text, item) for item in comparators])
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            return _call(text, node, name, args, {keyword.arg: keyword.value for keyword in keywords})
    raise error_at(text, node, "Not part of the language")  # pragma: no cover - _allow has refused it


def _answer(name: str) -> Run:
    # Codes of other schedules (RC03 in a UNIT return) are not among the answers but in the context.
    def run(answers: Mapping[str, Any], context: Any) -> Any:
        value = answers.get(name)
        if value is None and context is not None:
            value = context.values.get(name)
        return MISSING if value is None else value

    return run


def _negation(operand: Run) -> Run:
    def run(answers: Mapping[str, Any], context: Any) -> Any:
        value = operand(answers, context)
        return MISSING if value is MISSING else not value

    return run


def _all_or_any(operands: list[Run], *, every: bool) -> Run:
    def run(answers: Mapping[str, Any], context: Any) -> Any:
        result = every
        for operand in operands:
            value = operand(answers, context)
            # No short cut past a decided result: a later missing operand must still be seen.
            if value is MISSING:
                return MISSING
            result = (result and bool(value)) if every else (result or bool(value))
        return result

    return run


def _arithmetic(op: ast.operator, left: Run, right: Run) -> Run:
    combine = _ARITHMETIC[type(op)]

    def run(answers: Mapping[str, Any], context: Any) -> Any:
        one = left(answers, context)
        if one is MISSING:
            return MISSING
        other = right(answers, context)
        if other is MISSING:
            return MISSING
        if one.__class__ in NUMBERS and other.__class__ in NUMBERS:
            return combine(one, other)
        if combine is _plus and isinstance(one, str) and isinstance(other, str):
            return one + other
        raise ExpressionError("", None, "Arithmetic with something that is not a number")

    return run


def _plus(one: Any, other: Any) -> Any:
    return one + other


def _minus(one: Any, other: Any) -> Any:
    return one - other


def _times(one: Any, other: Any) -> Any:
    result = one * other
    return result if -1e300 < result < 1e300 else MISSING


def _divided(one: Any, other: Any) -> Any:
    if other == 0:
        return MISSING
    result = one / other
    return result if -1e300 < result < 1e300 else MISSING


_ARITHMETIC = {ast.Add: _plus, ast.Sub: _minus, ast.Mult: _times, ast.Div: _divided}


def _right_side(text: str, node: ast.expr) -> Run:
    if isinstance(node, ast.Tuple):
        items = frozenset(_literal(item) for item in node.elts)
        return lambda answers, context: items
    return _compile(text, node)


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.UnaryOp):
        return -_literal(node.operand)
    assert isinstance(node, ast.Constant)
    return node.value


def _against_constant(left: Run, op: ast.cmpop, right: Run) -> Run:
    """The commonest comparison, `UB02 >= 0` or `UA01 in (1,2)`, in one step."""
    compare, constant = _COMPARE[type(op)], right({}, None)

    def run(answers: Mapping[str, Any], context: Any) -> Any:
        value = left(answers, context)
        return MISSING if value is MISSING else compare(value, constant)

    return run


def _comparison(first: Run, ops: list[ast.cmpop], others: list[Run]) -> Run:
    steps = [(_COMPARE[type(op)], other) for op, other in zip(ops, others, strict=True)]
    if len(steps) == 1:
        compare_one, only = steps[0]

        def run_one(answers: Mapping[str, Any], context: Any) -> Any:
            left = first(answers, context)
            if left is MISSING:
                return MISSING
            right = only(answers, context)
            return MISSING if right is MISSING else compare_one(left, right)

        return run_one

    def run(answers: Mapping[str, Any], context: Any) -> Any:
        left = first(answers, context)
        if left is MISSING:
            return MISSING
        result = True
        for compare, other in steps:
            right = other(answers, context)
            if right is MISSING:
                return MISSING
            result = result and compare(left, right)
            left = right
        return result

    return run


def _is_in(item: Any, items: Any) -> bool:
    # Python would look for "14" inside the text "1410"; here only lists have members.
    if isinstance(items, str) or not isinstance(items, Collection):
        raise ExpressionError("", None, "'in' needs a list")
    return item in items


_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: lambda one, other: one == other,
    ast.NotEq: lambda one, other: one != other,
    ast.Lt: lambda one, other: one < other,
    ast.LtE: lambda one, other: one <= other,
    ast.Gt: lambda one, other: one > other,
    ast.GtE: lambda one, other: one >= other,
    ast.In: _is_in,
    ast.NotIn: lambda one, other: not _is_in(one, other),
}


def _call(text: str, node: ast.Call, name: str, args: list[ast.expr], keywords: dict[str | None, ast.expr]) -> Run:
    if name == "prev":
        code = args[0].id if isinstance(args[0], ast.Name) else ""
        return lambda answers, context: _known(context.prev.get(code))
    operands = [_compile(text, arg) for arg in args]
    if name == "ans":
        only = operands[0]
        return lambda answers, context: only(answers, context) is not MISSING
    if name == "coalesce":
        return _coalesce(operands)
    if name in LOOK_UPS:
        level = keywords.get("level")
        if level is not None and not (isinstance(level, ast.Constant) and isinstance(level.value, int)):
            raise error_at(text, node, "level must be a number")
        extra = [level.value] if isinstance(level, ast.Constant) else []
        return _look_up(LOOK_UPS[name], operands, extra)
    return _plain(PLAIN[name], operands)


def _coalesce(operands: list[Run]) -> Run:
    def run(answers: Mapping[str, Any], context: Any) -> Any:
        for operand in operands:
            value = operand(answers, context)
            if value is not MISSING:
                return value
        return MISSING

    return run


def _plain(function: Callable[..., Any], operands: list[Run]) -> Run:
    def run(answers: Mapping[str, Any], context: Any) -> Any:
        values = [operand(answers, context) for operand in operands]
        return MISSING if any(value is MISSING for value in values) else function(*values)

    return run


def _look_up(function: Callable[..., Any], operands: list[Run], extra: list[Any]) -> Run:
    def run(answers: Mapping[str, Any], context: Any) -> Any:
        values = [operand(answers, context) for operand in operands]
        if any(value is MISSING for value in values):
            return MISSING
        return _known(function(context.lookups, *values, *extra))

    return run

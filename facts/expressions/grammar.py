"""What the language allows: a text becomes a syntax tree that holds listed nodes and functions only."""

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_LENGTH = 1000  # characters; the longest check of the instrument has 104
MAX_DEPTH = 40
MAX_CONSTANT = 1e15

_CHARACTERS = re.compile(r"[A-Za-z0-9_ \n()\"',.+\-*/<>=!]*")
_NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*")
_TEXT = re.compile(r"[A-Za-z0-9_ .\-]{0,40}")


class ExpressionError(ValueError):
    """An expression that cannot be read, or whose operands do not fit: names the text and the place."""

    def __init__(self, text: str, place: int | None, reason: str):
        self.text, self.place, self.reason = text, place, reason
        where = "" if place is None else f" at character {place}"
        super().__init__(f"{reason} in {text[:200]!r}{where}.")


@dataclass(frozen=True)
class Function:
    """How a function may be called: how many arguments, which keywords."""

    least: int
    most: int
    keywords: frozenset[str] = frozenset()


FUNCTIONS: Mapping[str, Function] = {
    "prev": Function(1, 1),
    "ans": Function(1, 1),
    "coalesce": Function(1, 8),
    "has": Function(2, 2),
    "count": Function(1, 1),
    "subset": Function(2, 2),
    "near": Function(3, 3),
    "abs": Function(1, 1),
    "max": Function(2, 8),
    "min": Function(2, 8),
    "exists_in": Function(2, 2, frozenset({"level"})),
    "unique": Function(1, 1),
    "majority_same_division": Function(2, 2),
    "days": Function(2, 2),
    "distance_km": Function(3, 3),
    "admin1_point": Function(1, 1),
}

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)


def tree(text: str, functions: Mapping[str, Function] = FUNCTIONS) -> ast.Expression:
    """Read a text into a syntax tree that holds only allowed nodes and the functions given.

    For other evaluators of the same language: indicator formulas pass their own aggregate functions
    and walk the tree over columns.
    """
    text = text.strip()
    if len(text) > MAX_LENGTH:
        raise ExpressionError(text, MAX_LENGTH + 1, f"More than {MAX_LENGTH} characters")
    readable = _CHARACTERS.match(text)
    if readable is None or readable.end() < len(text):
        raise ExpressionError(text, readable.end() + 1 if readable else 1, "A character that has no meaning here")
    # Python's own parser recurses; what is nested too deep never reaches it.
    _refuse_deep_brackets(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            root = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ExpressionError(text, error.offset, "Not an expression") from None
    except (ValueError, MemoryError, RecursionError, Warning):
        raise ExpressionError(text, None, "Not an expression") from None
    _allow(text, root.body, functions, depth=0)
    return root


def _refuse_deep_brackets(text: str) -> None:
    depth = 0
    for place, character in enumerate(text, start=1):
        depth += (character == "(") - (character == ")")
        if depth > MAX_DEPTH:
            raise ExpressionError(text, place, f"Brackets nested deeper than {MAX_DEPTH}")


def error_at(text: str, node: ast.AST, reason: str) -> ExpressionError:
    column = node.col_offset + 1 if isinstance(node, ast.expr) and node.lineno == 1 else None
    return ExpressionError(text, column, reason)


def _allow(text: str, node: ast.expr, functions: Mapping[str, Function], depth: int) -> None:
    """Raise unless this node and all below it are of the language."""
    if depth > MAX_DEPTH:
        raise error_at(text, node, f"Nested deeper than {MAX_DEPTH}")
    below: Sequence[ast.expr]
    match node:
        case ast.BoolOp(values=values):
            below = values
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            below = [operand]
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _OPERATORS):
            below = [left, right]
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            if not all(isinstance(op, _COMPARISONS) for op in ops):
                raise error_at(text, node, "A comparison that is not part of the language")
            for comparison, right in zip(ops, comparators, strict=True):
                if isinstance(right, ast.Tuple):
                    if not isinstance(comparison, ast.In | ast.NotIn):
                        raise error_at(text, right, "A list that does not follow 'in'")
                    if not right.elts or not all(_is_constant(item) for item in right.elts):
                        raise error_at(text, right, "A list may hold numbers and quoted codes only")
            # Tuples are allowed here and nowhere else; their items are still looked at.
            below = [left]
            for right in comparators:
                below += right.elts if isinstance(right, ast.Tuple) else [right]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            _allow_call(text, node, name, functions)
            below = [*args, *(keyword.value for keyword in keywords)]
        case ast.Name(id=name):
            if name in functions or len(name) > 40 or not _NAME.fullmatch(name):
                raise error_at(text, node, f"The name {name[:40]!r} cannot stand here")
            below = []
        case ast.Constant(value=value):
            _allow_constant(text, node, value)
            below = []
        case _:
            raise error_at(text, node, f"{type(node).__name__} is not part of the language")
    for child in below:
        _allow(text, child, functions, depth + 1)


def _allow_call(text: str, node: ast.Call, name: str, functions: Mapping[str, Function]) -> None:
    function = functions.get(name)
    if function is None:
        raise error_at(text, node, f"There is no function {name[:40]!r}")
    if not function.least <= len(node.args) <= function.most:
        raise error_at(text, node, f"{name}() with {len(node.args)} arguments")
    given = [keyword.arg for keyword in node.keywords]
    if len(set(given)) < len(given) or not function.keywords.issuperset(given):
        raise error_at(text, node, f"{name}() with a keyword it does not have")


def _allow_constant(text: str, node: ast.expr, value: Any) -> None:
    if isinstance(value, str):
        if not _TEXT.fullmatch(value):
            raise error_at(text, node, "A quoted text that is too long or has unusual characters")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise error_at(text, node, f"{str(value)[:20]} is not part of the language")
    elif not abs(value) <= MAX_CONSTANT:
        raise error_at(text, node, "A number that is too large")


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)
    return isinstance(node, ast.Constant)


def calls(root: ast.AST, function: str) -> Iterator[ast.Call]:
    """Every call of one function in a tree, outermost first."""
    for node in ast.walk(root):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
            yield node

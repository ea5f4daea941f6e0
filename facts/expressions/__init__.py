"""The language of routing and checks: a short text in, a closure over answers out.

A text is read with Python's own grammar, held against a list of allowed nodes, functions and names,
and compiled to closures. It is never handed to Python: there is no eval, no attribute, no call of
anything that is not listed in FUNCTIONS. `tree` gives other evaluators (indicator formulas) the same
language with functions of their own.

Missing. A name without answer, a marker, a previous round that does not exist, or a division by zero
is MISSING, and MISSING spreads: an expression with a missing operand has no value, whichever side of
an operator the operand stands on. `and` and `or` are no exception: `False and MISSING` is MISSING.
So `UA01 in (1,2) and UC01 > 0` has no value while UC01 is blank, even for a closed unit, and a reader
need not know the order of evaluation. This costs nothing where expressions are used: a question whose
routing has no value is hidden, a hard check without value passes, a soft check without value is silent.
Two functions look at a missing operand and still answer: `ans(e)` says whether there is a value, and
`coalesce(a, b)` takes the first that has one.
"""

from facts.expressions.evaluation import CONTEXT_NAMES, MISSING, Context, Expression, Missing, parse
from facts.expressions.functions import Lookups
from facts.expressions.grammar import FUNCTIONS, ExpressionError, Function, calls, tree

__all__ = [
    "CONTEXT_NAMES",
    "FUNCTIONS",
    "MISSING",
    "Context",
    "Expression",
    "ExpressionError",
    "Function",
    "Lookups",
    "Missing",
    "calls",
    "parse",
    "tree",
]

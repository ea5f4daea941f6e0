"""Expressions cannot reach Python: whatever is written, it is refused, or it computes and touches nothing else."""

import ast
import random
import sys
from datetime import date

from facts.expressions import FUNCTIONS, ExpressionError, parse
from facts.validation import Context
from tests.facts.valid_returns import LOOKUPS

from .size import count, say

# What a program would do that got out: run code, open a file, start a process, speak to the network, look inside.
FORBIDDEN = ("exec", "import", "open", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "object.__getattr__")
WORDS = (
    *FUNCTIONS, "UA01", "UB01", "UC01", "ref_year", "fy_end", "cluster_isic", "A", "B", "__import__", "eval", "exec",
    "open", "globals", "getattr", "self", "__class__", "__builtins__", "print", "lambda", "yield", "await", "True",
    "None", "def", "if", "else", "for", "is", "in", "not", "and", "or",
)  # fmt: skip
PIECES = (
    "+", "-", "*", "/", "**", "//", "%", "@", "<<", "==", "!=", "<", "<=", ">", ">=", "(", ")", "[", "]", "{", "}",
    ",", ".", ":", ":=", "=", ";", "\\", "'", '"', "'a'", '"isic4"', "f'{A}'", "b'a'", "1", "0", "1e999", "9" * 30,
    "0x10", "1j", "...", "#", "\n", "\t", "\0", "₹", "\u202e", "~", "^", "|", "&", "->",
)  # fmt: skip
SEEDS = (
    "().__class__.__bases__[0].__subclasses__()", "A.__class__", "[x for x in (1,2)]", "(lambda: 1)()", "A if B else 1",
    "__import__('os').system('true')", "f'{A.__class__}'", "A[0]", "max(*A)", "exists_in(A,'isic4',level=open('x'))",
    "prev(prev(A))", "prev('A')", "(A := 1)", "abs(A)(B)", "has(A, has)", "1 in A", "A in 'abc'", "A == B == 1",
)  # fmt: skip


class Canary:
    """An answer that tells when somebody looks inside it."""

    touched: list[str] = []

    def __getattr__(self, name):
        self.touched.append(name)
        raise AttributeError(name)


class Watch:
    """Counts what Python reports of itself while an expression is read or computed."""

    on = False
    seen: list[str] = []

    @classmethod
    def hook(cls, event, args):
        if not cls.on or not event.startswith(FORBIDDEN):
            return
        if event == "import" or (event == "object.__getattr__" and args[1:] and not str(args[1]).startswith("__")):
            return  # the parser's own modules, loaded once
        cls.seen.append(f"{event} {args!r:.120}")


sys.addaudithook(Watch.hook)  # cannot be taken off again; sleeps while `on` is false


def written(rng: random.Random) -> str:
    """A text: a real check bent out of shape, a known way out, or words at random."""
    kind = rng.random()
    if kind < 0.25:
        return rng.choice(SEEDS)
    text = [rng.choice(WORDS if rng.random() < 0.5 else PIECES) for _ in range(rng.randrange(1, 14))]
    if kind < 0.4:
        return "".join(text)
    if kind < 0.7:
        return " ".join(text)
    deep = rng.randrange(1, 60)
    return "(" * deep + " ".join(text) + ")" * (deep if rng.random() < 0.8 else rng.randrange(60))


def grown(rng: random.Random, depth: int = 0) -> str:
    """A text of the language's own shape, so that many get as far as computing."""
    leaves = ("A", "B", "UA01", "prev(UB01)", "1", "0", "2.5", "'a'", '"isic4"', "cluster_isic", "today")
    if depth > 4 or rng.random() < 0.25:
        return rng.choice(leaves)
    one, other = grown(rng, depth + 1), grown(rng, depth + 1)
    name = rng.choice(list(FUNCTIONS))
    given = ", ".join([one, other, one][: rng.randrange(1, 4)])
    forms = (
        f"{one} + {other}", f"{one} * {other}", f"{one} / {other}", f"({one}) and ({other})", f"not ({one})",
        f"{one} in (1, 'a')", f"{one} <= {other} < 9", f"{name}({given})", f"-({one})", f"{one} != {other}",
    )  # fmt: skip
    return rng.choice(forms)


def test_no_expression_reaches_python():
    rng = random.Random(20121101)
    answers = {"A": 3, "B": ["x", "a"], "UA01": 1, "UB01": Canary(), "UC01": "text"}
    context = Context(ref_year=2024, today=date(2025, 6, 15), prev={"UB01": Canary()}, lookups=LOOKUPS)
    refused = computed = failed = 0
    trials = count(4_000, 100_000)
    for turn in range(trials):
        text = written(rng) if turn % 2 else grown(rng)
        Watch.on = True
        try:
            expression = parse(text)
        except ExpressionError:
            refused += 1
            continue
        finally:
            Watch.on = False
        allowed = {type(node) for node in ast.walk(expression.tree)}
        assert allowed.isdisjoint({ast.Attribute, ast.Subscript, ast.Lambda, ast.ListComp, ast.NamedExpr}), text
        Watch.on = True
        try:
            expression.value(answers, context)
            computed += 1
        except ExpressionError:
            failed += 1
        finally:
            Watch.on = False
    assert Watch.seen == []
    assert Canary.touched == [] or set(Canary.touched) <= {"__abs__"}, Canary.touched
    assert refused > trials / 4 and computed > trials / 10  # else it tried nothing
    say(f"expressions: {trials:,} texts; {refused:,} refused, {computed:,} computed, {failed:,} did not fit; 0 got out")

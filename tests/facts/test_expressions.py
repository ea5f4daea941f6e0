import ast
from datetime import date
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facts.expressions import FUNCTIONS, MISSING, ExpressionError, Function, parse, tree
from facts.validation import Context, Lookups
from tests.facts.valid_returns import INSTRUMENT, LOOKUPS, RETURNS, context

EMPTY = Context(ref_year=2024, today=date(2025, 6, 15), fy_end=date(2025, 3, 31), lookups=LOOKUPS)


def value(text, context=EMPTY, **answers):
    return parse(text).value(answers, context)


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        ("A + 2*B - 1", {"A": 1, "B": 3}, 6),
        ("-A / 4", {"A": 2}, -0.5),
        ("A + B", {"A": "Cutlery", "B": "PK-PB"}, "CutleryPK-PB"),
        ("1 <= A <= 12", {"A": 12}, True),
        ("1 <= A <= 12", {"A": 0}, False),
        ("not(A == 1) or B == 12", {"A": 1, "B": 11}, False),
        ("A in (1,2)", {"A": 2}, True),
        ("A not in (-1,2)", {"A": -1}, False),
        ('A in ("a","b")', {"A": "b"}, True),
        ('has(A,"prod")', {"A": ["proc", "prod"]}, True),
        ("count(A)", {"A": []}, 0),
        ("subset(A,B)", {"A": ["x"], "B": ["x", "y"]}, True),
        ("subset(A,B)", {"A": ["z"], "B": ["x", "y"]}, False),
        ("near(A,100,0.1)", {"A": 110}, True),
        ("near(A,100,0.1)", {"A": 112}, False),
        ("near(0,A,0.5)", {"A": 0.5}, True),
        ("abs(A) + max(1,A,3) + min(A,0)", {"A": -2}, 3),
        ("coalesce(A,B,7)", {}, 7),
        ("coalesce(A,B,7)", {"B": 0}, 0),
        ("ans(A)", {"A": 0}, True),
        ("ans(A/0)", {"A": 1}, False),
        ("days(A,B)", {"A": "2025-03-01", "B": "2024-02-29"}, 366),
        ("days(today,fy_end)", {}, 76),
        ("ref_year - A", {"A": 2000}, 24),
        ('exists_in(A,"isic4",level=4)', {"A": "1410"}, True),
        ('exists_in(A,"isic4",level=3)', {"A": "1410"}, False),
        ('exists_in(A,"hs",level=4)', {"A": ["6204", "6206"]}, True),
        ('exists_in(A,"hs",level=4)', {"A": ["6204", "9999"]}, False),
        ('exists_in(A,"admin1")', {"A": "IN-UP"}, True),
        ("majority_same_division(A,B)", {"A": "1410", "B": ["1420", "1430", "2593"]}, True),
        ("majority_same_division(A,B)", {"A": "1410", "B": ["1420", "2593"]}, False),
    ],
)
def test_values(text, answers, expected):
    assert value(text, **answers) == expected


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("A", {}),
        ("A", {"A": None}),
        ("A + 1", {}),
        ("A == 0", {}),
        ("not A", {}),
        ("A in (1,2)", {}),
        ("1 in A", {}),
        ("0 <= A <= B", {"A": -1}),
        ("A or B", {"A": True}),
        ("A and B", {"A": False}),
        ("B and A", {"A": False}),
        ("UA01 in (1,2) and UC01 > 0", {"UA01": 1}),
        ("UA01 in (1,2) and UC01 > 0", {"UA01": 4}),
        ("A/B", {"A": 1, "B": 0}),
        ("A/B > 2 or 1 == 1", {"A": 1, "B": 0}),
        ("max(0,A)", {}),
        ('has(A,"x")', {}),
        ("prev(A)", {"A": 1}),
        ("coalesce(A,B)", {}),
        ("frame_count", {}),
        ("cluster_isic", {}),
        ("days(today,A)", {}),
        ("admin1_point(A)", {"A": "XX-1"}),
        ("majority_same_division(A,B)", {"A": "0000", "B": ["1410"]}),
        (
            "1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*1e15*A",
            {"A": 1},
        ),
    ],
)
def test_a_missing_operand_leaves_no_value(text, answers):
    assert value(text, **answers) is MISSING


def test_what_is_not_at_hand_cannot_be_told():
    bare = Context(ref_year=2024, today=date(2025, 6, 15))

    for text in ('exists_in(A,"isic4",level=4)', "unique(A)", "admin1_point(A)", "fy_end"):
        assert value(text, bare, A="1410") is MISSING
    assert not MISSING


def test_last_round_and_other_schedules_are_seen_beside_the_answers():
    seen = Context(ref_year=2024, today=date(2025, 6, 15), prev={"A": 5}, values={"RC03": 7, "frame_count": 9})

    assert value("A - prev(A)", seen, A=8) == 3
    assert value("RC03 + frame_count", seen) == 16
    assert value("RC03", seen, RC03=1) == 1, "an answer comes before the context"
    assert value("prev(B)", seen, B=1) is MISSING


def test_names_are_told_apart_from_last_rounds():
    expression = parse('ans(prev(UA03)) and UA03 != prev(UA03) and has(prev(UG02),"prod") and ref_year > 1')

    assert expression.names == {"UA03", "ref_year"}
    assert expression.prev_names == {"UA03", "UG02"}


def test_distance_is_that_of_the_globe():
    lucknow_to_delhi = value("distance_km(A,B,admin1_point(C))", A=28.6139, B=77.2090, C="IN-UP")

    assert lucknow_to_delhi == pytest.approx(392, abs=5)
    assert value("distance_km(0,180,admin1_point(A))", A="O", context=at(0, 0)) == pytest.approx(20015, abs=1)


def at(latitude, longitude):
    return Context(ref_year=1, today=date(2025, 1, 1), lookups=Lookups(regions={"O": ("", latitude, longitude)}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A.b",
        "A.__class__",
        "().__class__.__bases__",
        '"".join(A)',
        "A[0]",
        "A ** 2",
        "A // 2",
        "A % 2",
        "A << 9",
        "A | B",
        "~A",
        "+A",
        "A if B else C",
        "lambda: 1",
        "lambda x: x",
        "[A for A in B]",
        "(A for A in B)",
        "{A}",
        "{}",
        "[1]",
        "(A := 1)",
        'f"{A}"',
        'b"x"',
        "A is B",
        "True",
        "None",
        "...",
        "1j",
        "A = 1",
        "A; B",
        "import os",
        "__import__('os')",
        "eval('1')",
        "open('x')",
        "print(1)",
        "getattr(A, 'b')",
        "__name__",
        "_A",
        "prev",
        "abs",
        "prev(1)",
        "prev(A + B)",
        "prev(prev(A))",
        "prev(A, B)",
        "has(A)",
        "max(A)",
        "max(*A)",
        "max(**A)",
        "abs(A, key=B)",
        'exists_in(A, "isic4", level=4, level=4)',
        'exists_in(A, "isic4", level=B)',
        "(1, 2)",
        "A == (1, 2)",
        "A in (1, B)",
        "A in ()",
        "A in (1, (2, 3))",
        "1e400",
        "1000000000000000000000000000000",
        '"' + "x" * 41 + '"',
        '"\\x41"',
        "A\x00",
        "A # comment",
        "Ａ + 1",
        "(" * 200 + "A" + ")" * 200,
        "not " * 100 + "A",
        "-" * 200 + "A",
        "A+" * 100 + "A",
        "A" * 2000,
        "1in A",
    ],
)
def test_what_is_not_of_the_language_is_refused(text):
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("A > 3", {"A": "x"}),
        ("A * 3", {"A": "x"}),
        ("A * 3", {"A": ["x"]}),
        ("A + 3", {"A": "x"}),
        ("A + B", {"A": ["x"], "B": ["y"]}),
        ("A in B", {"A": "14", "B": "1410"}),
        ("A in (1,2)", {"A": [1]}),
        ('has(A,"x")', {"A": "xyz"}),
        ("count(A)", {"A": "xyz"}),
        ("abs(A)", {"A": "x"}),
        ("near(A,1,1)", {"A": "x"}),
        ("days(A,today)", {"A": "yesterday"}),
        ("distance_km(1,2,A)", {"A": 3}),
    ],
)
def test_operands_that_do_not_fit_are_an_error_and_not_a_guess(text, answers):
    with pytest.raises(ExpressionError):
        value(text, **answers)


def test_an_error_names_the_text_and_the_place_but_no_answer():
    with pytest.raises(ExpressionError) as refused:
        parse("UB01 + UB02.total")
    assert (refused.value.text, refused.value.place) == ("UB01 + UB02.total", 8)

    with pytest.raises(ExpressionError) as failed:
        value("A > 3", A="a secret")
    assert "A > 3" in str(failed.value)
    assert "secret" not in str(failed.value)


def test_other_evaluators_bring_their_own_functions():
    aggregates = {"SUM": Function(1, 1), "WMEAN": Function(1, 1, frozenset({"by"})), "FRAME": Function(0, 0)}

    assert isinstance(tree("100*SUM(VA)/SUM(OUT)", aggregates), ast.Expression)
    assert isinstance(tree("WMEAN(UE04, by=UE01)/FRAME()", aggregates), ast.Expression)
    for text in ("SUM(A).x", "SUM(A)**2", "prev(A)", "WMEAN(A, by=(lambda: 1))", "SUM"):
        with pytest.raises(ExpressionError):
            tree(text, aggregates)


WORDS = [
    *FUNCTIONS,
    *["A", "UB01", "ref_year", "and", "or", "not", "in", "is", "if", "else", "lambda", "for", "import"],
    *["__class__", "__import__", "eval", "exec", "True", "None", "1", "0", "0.5", '"x"', '"isic4"', "level"],
    *[
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        ":",
        ":=",
        "+",
        "-",
        "*",
        "**",
        "/",
        "<",
        "<=",
        "==",
        "=",
        " ",
        "\n",
    ],
]
ANSWERS = st.dictionaries(
    st.sampled_from(["A", "UB01"]),
    st.one_of(
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.lists(st.text(max_size=3), max_size=3),
        st.booleans(),
    ),
)


@settings(max_examples=600, deadline=None)
@given(
    text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=25).map("".join)),
    answers=ANSWERS,
)
@example(text="abs(A)", answers={"A": float("nan")})
def test_any_text_gives_a_value_or_an_expression_error(text, answers):
    try:
        expression = parse(text)
    except ExpressionError:
        return
    try:
        found = expression.value(answers, EMPTY)
    except ExpressionError:
        return
    assert found is MISSING or isinstance(found, bool | int | float | str | list | tuple)


class Forbidding(SimpleNamespace):
    """A context whose every attribute is a fault to read."""

    def __getattribute__(self, name):
        raise AssertionError(f"{name} was read")


def test_reading_touches_nothing():
    parse('prev(A) + days(today,B) + exists_in(C,"hs")')
    assert parse("A + 1 > 2").value({"A": 2}, Forbidding()) is True


@pytest.mark.parametrize("code", RETURNS)
def test_a_blank_answer_makes_no_check_speak(code):
    schedule = INSTRUMENT.schedule(code)
    for left_out in schedule.questions:
        answers = {name: answer for name, answer in RETURNS[code].items() if name != left_out}
        for check in schedule.checks.values():
            found = check.expression.value(answers, context(code))
            assert found is MISSING or bool(found) is (check.kind == "hard"), check.code

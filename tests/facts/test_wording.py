"""Figures and words as pages show them: grouped as the country writes, read back to the same value, nothing foolish."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.validation import Problem
from facts.validation.numbers import number
from facts.wording import INDIAN, ON_PAPER, as_shown, change_words, grouped, plain, rescaled, screen_help, typed
from tests.facts.valid_returns import INSTRUMENT

UNIT = INSTRUMENT.schedule("UNIT")
AMOUNTS = st.decimals(min_value=-(10**14), max_value=10**14, places=2, allow_nan=False, allow_infinity=False)
CURRENCIES = st.sampled_from([*sorted(INDIAN), "KHR", "JPY", ""])


@given(AMOUNTS, CURRENCIES)
def test_what_is_shown_grouped_is_read_as_the_same_figure(amount, currency):
    assert number(grouped(amount, currency)) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1234567, "PKR", "12,34,567"),
        (1234567, "INR", "12,34,567"),
        (1234567, "KHR", "1,234,567"),
        (100000, "BDT", "1,00,000"),
        (999, "INR", "999"),
        (1000, "NPR", "1,000"),
        (-1234567.5, "LKR", "−12,34,567.5"),
        (0, "INR", "0"),
    ],
)
def test_thousands_stand_as_the_country_writes_them(amount, currency, text):
    assert grouped(amount, currency) == text


@given(st.integers(0, 10**12), st.sampled_from([1, 1_000, 100_000, 1_000_000]), CURRENCIES)
def test_money_survives_every_scale(amount, scale, currency):
    question = UNIT.questions["UC01"]
    text = typed(question, amount, scale, currency)

    assert number(text) * scale == amount
    assert number(rescaled(question, text, scale, 1)) == amount


def test_two_texts_are_compared_without_their_grouping():
    assert plain(UNIT.questions["UC01"], "12,34,567") == plain(UNIT.questions["UC01"], "1 234 567")
    assert plain(UNIT.questions["UJ01"], "a, b") != plain(UNIT.questions["UJ01"], "ab")


@pytest.mark.parametrize(
    ("code", "now", "before", "words"),
    [
        ("UC01", 110, 100, "+10 %"),
        ("UC01", 95, 100, "−5.0 %"),
        ("UC01", 100, 100, "same"),
        ("UC01", 100, 0, ""),
        ("UC01", 0, 0, "same"),
        ("UC01", 0, 100, "−100 %"),
        ("UC01", -5, 100, ""),
        ("UC01", 100, -5, ""),
        ("UC01", -50, -100, "+50 %"),
        ("UC01", 100_000, 100, "1,000 times"),
        ("UC01", 1_000_001, 1_000_000, "nearly the same"),
        ("UC01", None, 100, ""),
        ("UD02", 55, 40, "+15 points"),
        ("UD02", 40, 42.5, "−2.5 points"),
        ("UA03", 1999, 1998, ""),
        ("UA07", 1, 0, "changed"),
    ],
)
def test_a_change_is_told_without_nonsense(code, now, before, words):
    assert change_words(UNIT.questions[code], now, before) == words


def test_figures_in_messages_stand_as_in_the_fields():
    message = "UC02: too much. (UC01 = 9000000, UC02 = 12345678.5, UC01 last round = 100000, UA03 = 1998)"
    problem = Problem("UC02", "UC02-H1", "hard", message, "Correct UC02.")

    assert as_shown(problem, UNIT, 1, "PKR").message == (
        "UC02: too much. (UC01 = 90,00,000, UC02 = 1,23,45,678.5, UC01 last round = 1,00,000, UA03 = 1998)"
    )
    assert "UC01 = 9000 thousand, UC02 = 12,345.6785 thousand" in as_shown(problem, UNIT, 1000, "KHR").message
    assert Decimal("9000") * 1000 == 9_000_000


def test_instructions_for_paper_are_still_those_of_the_instrument():
    helps = {question.help for part in INSTRUMENT.schedules.values() for question in part.questions.values()}

    assert set(ON_PAPER) <= helps
    shown = {screen_help(question) for part in INSTRUMENT.schedules.values() for question in part.questions.values()}
    assert not [text for text in shown if "go to" in text or "Upload" in text or "Prefilled" in text]

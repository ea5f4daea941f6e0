import doctest
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.expressions import evaluation
from facts.validation import (
    Context,
    answered_core_share,
    asked,
    check,
    numbers,
    read_answers,
    unexplained,
    validate,
)
from tests.facts.valid_returns import (
    ASSOCIATION,
    CLUSTER,
    INSTRUMENT,
    LOOKUPS,
    REGION,
    RETURNS,
    UNIT,
    context,
)

SCHEDULES = INSTRUMENT.schedules
SCHEDULE_OF = {question: schedule for schedule in SCHEDULES.values() for question in schedule.questions}


def read(code, raw, **options):
    return read_answers(SCHEDULE_OF[code], {code: raw}, lookups=LOOKUPS, **options)


def rules(problems):
    return [problem.rule for problem in problems]


@pytest.mark.parametrize(
    ("code", "raw", "answer"),
    [
        # whole numbers
        ("UB01", 12, 12),
        ("UB01", "12", 12),
        ("UB01", " 1,234 ", 1234),
        ("UB01", "1,00,000", 100_000),
        ("UB01", "12,34,567", 1_234_567),
        ("UB01", "100,000", 100_000),
        ("UB01", "1 234 567", 1_234_567),
        ("UB01", "1\u00a0234", 1234),
        ("UB01", "1\u202f00\u202f000", 100_000),
        ("UB01", "3.0", 3),
        ("UB01", 3.0, 3),
        ("UB01", "0", 0),
        ("UB01", 0, 0),
        ("UB01", "-5", -5),
        ("UB01", "\u22125", -5),
        ("UB01", "١٢", 12),
        ("UB01", "१२", 12),
        ("UB01", "\u0661\u066c\u0662\u0663\u0664", 1234),
        ("UB01", "007", 7),
        ("UB01", Decimal("12.00"), 12),
        # decimals, per cents, money
        ("UB08", "12.5", 12.5),
        ("UB08", ".5", 0.5),
        ("UB08", "1,234.5", 1234.5),
        ("UB08", 1e-7, 1e-7),
        ("UC04", "33.333333", 33.333333),
        ("UC06", "-1,00,000", -100_000),
        ("UC01", "1234.50", 1234.5),
        ("UC01", "1234.00", 1234),
        ("UC01", 0.1 + 0.2, 0.3),
        ("UC01", "999999999999999999", 999_999_999_999_999_999),
        # choices, by code or label
        ("UA01", 1, 1),
        ("UA01", "1", 1),
        ("UA01", 1.0, 1),
        ("UA01", "operated the  whole YEAR", 1),
        ("UA01", "1 – Operated the whole year", 1),
        ("UA01", "२", 2),
        ("UJ01", "power", "power"),
        ("UJ01", "Electricity", "power"),
        # several answers
        ("UG02", ["prod", "proc"], ["proc", "prod"]),
        ("UG02", "prod; proc;", ["proc", "prod"]),
        ("UG02", "prod,proc", ["proc", "prod"]),
        ("UG02", "PROD", ["prod"]),
        ("UG02", ["prod", "prod"], ["prod"]),
        ("UG04", "FSC, organic or other origin certificate", ["wood"]),
        ("UG02", "None of these", ["none"]),
        ("CH07", [], []),
        ("CH07", "none", []),
        # yes and no
        ("UH01", "Yes", 1),
        ("UH01", True, 1),
        ("UH01", 0, 0),
        ("UH01", "n", 0),
        # text, codes, dates
        ("CA01", "  Cutlery of\nWazirabad ", "Cutlery of Wazirabad"),
        ("CA01", "Cafe\u0301", "Café"),
        ("CA06", "ਲੁਧਿਆਣਾ", "ਲੁਧਿਆਣਾ"),
        ("CA06", "न्\u200dया", "न्\u200dया"),
        ("UA05", "1410", "1410"),
        ("UA05", 1410, "1410"),
        ("UA05", "9998", "9998"),  # the hard check says that there is no such class
        ("UA05", "1312 – Weaving of textiles", "1312"),
        ("CA04", "6206; 6204", ["6204", "6206"]),
        ("CA04", [6206, 101], ["0101", "6206"]),
        ("CA05", "in-up", "IN-UP"),
        ("AA04", "2024-02-29", "2024-02-29"),
        ("AA04", date(2024, 2, 29), "2024-02-29"),
        ("AA04", datetime(2024, 2, 29, 12), "2024-02-29"),
    ],
)
def test_what_people_write_is_read(code, raw, answer):
    reading = read(code, raw)

    assert reading.problems == []
    assert reading.answers == {code: answer}
    assert type(reading.answers[code]) is type(answer)


@pytest.mark.parametrize("raw", [None, "", "   ", "\u00a0"])
@pytest.mark.parametrize("code", ["UB01", "UC01", "UA01", "UG02", "UH01", "CA01", "CA04", "CA05", "AA04", "CH07"])
def test_a_blank_is_no_answer_and_no_problem(code, raw):
    reading = read(code, raw)

    assert (reading.answers, reading.markers, reading.problems) == ({}, {}, [])


def test_an_empty_list_is_a_blank_where_none_is_an_option():
    assert read("UG02", []).answers == {}
    assert read("CH07", [""]).answers == {}, "a form's empty field is not the statement that there are none"


@pytest.mark.parametrize(
    ("code", "raw", "reason", "mend"),
    [
        ("UB01", "N/A", "is not a number", "DK"),
        ("UB01", "nil", "is not a number", "REF"),
        ("UB01", "yes", "is not a number", "DK"),
        ("UB01", "see below", "is not a number", "DK"),
        ("UB01", "dk", "is not a number", "DK"),
        ("UB01", "-", "is not a number", "DK"),
        ("UB01", "nan", "is not a number", "DK"),
        ("UB01", float("nan"), "is not a number", "DK"),
        ("UB01", float("inf"), "is not a number", "DK"),
        ("UB01", "Infinity", "is not a number", "DK"),
        ("UB01", True, "is not a number", "DK"),
        ("UB01", "3.5", "is not a whole number", "whole number"),
        ("UB01", 3.5, "is not a whole number", "whole number"),
        ("UB01", "12 persons", "holds more than a number", "without"),
        ("UB01", "1e5", "holds more than a number", "without"),
        ("UB01", "0x10", "holds more than a number", "without"),
        ("UB01", "1_000", "holds more than a number", "without"),
        ("UC01", "₹ 5000", "holds more than a number", "currency"),
        ("UC01", "5 lakh", "holds more than a number", "unit"),
        ("UC04", "45%", "holds more than a number", "per cent"),
        ("UB08", "12,5", "has a comma where it does not group thousands", "12.5"),
        ("UB08", "1.234,5", "", "12.5"),
        ("UB08", "1.234.567", "has more than one decimal point", "commas only group"),
        ("UB01", "1,2,3", "has a comma", "1,00,000"),
        ("UB01", "12 3", "has a space", "1,00,000"),
        ("UB01", "1,00,00", "has a comma", "1,00,000"),
        ("UB01", "--5", "is not a number", "DK"),
        ("UB01", "5-", "is not a number", "DK"),
        ("UB01", "9" * 21, "more than 18 digits", "scale"),
        ("UB01", 10**21, "more than 18 digits", "scale"),
        pytest.param("UB01", 10**5000, "more than 18 digits", "scale", id="UB01-five thousand digits"),
        ("UB01", Decimal("1e999999"), "more than 18 digits", "scale"),
        ("UB08", Decimal("1e-999999"), "more than 18 digits", "scale"),
        ("UB01", "1" * 70, "is too long for a number", "alone"),
        ("UB01", 1e300, "is too long for a number", "alone"),
        ("UC01", "1.234", "has more than two decimals", "two decimals"),
        ("UB01", [12], "is not a single value", "one value"),
        ("UB01", {"a": 1}, "is not a single value", "one value"),
        ("UA01", 9, "is not one of the answers offered", "1, 2, 3"),
        ("UA01", True, "is not one of the answers offered", "1, 2, 3"),
        ("UA01", "closed", "is not one of the answers offered", "1, 2, 3"),
        ("UG02", "prod, other", "is not one of the answers offered", "prod, proc"),
        ("UG02", ["prod", ["proc"]], "is not a single value", "one value"),
        ("UG02", ["prod"] * 101, "more than 100 entries", "once"),
        ("UH01", "maybe", "is neither yes nor no", "yes or no"),
        ("UH01", 2, "is neither yes nor no", "yes or no"),
        ("CA01", "x" * 121, "has more than 120 characters", "Shorten"),
        ("CA06", "x" * 3000, "is too long", "shorter"),
        ("CA01", "a\x00b", "cannot be stored", "anew"),
        ("CA01", "a\ud800b", "cannot be stored", "anew"),
        ("CA01", "a\u202eb", "cannot be stored", "anew"),
        ("UB01", "1\x002", "cannot be stored", "anew"),
        ("UA05", "141", "is not a four-digit class", "UA05"),
        ("UA05", "textiles", "is not a four-digit class", "UA05"),
        ("CA03", ["1410", "9998"], "is not a four-digit class", "CA03"),
        ("CA04", "6204 6206 0101 6201 6202 6203 6205 6207 6208", "has more than 8 entries", "important"),
        ("CA05", "Punjab", "is not a region code", "CA05"),
        ("AA04", "31/03/2025", "is not a date", "2025-03-31"),
        ("AA04", "2025-02-29", "is not a date", "2025-03-31"),
        ("AA04", "20250331", "is not a date", "2025-03-31"),
        ("AA04", 45000, "is not a date", "2025-03-31"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(code, raw, reason, mend):
    reading = read(code, raw)

    assert reading.answers == {} and reading.markers == {}
    [problem] = reading.problems
    assert (problem.question, problem.rule, problem.severity) == (code, f"{code}-type", "hard")
    assert problem.message.startswith(f"{code}, {SCHEDULE_OF[code].questions[code].short}: “")
    assert reason in problem.message
    assert problem.value in problem.message and len(problem.value) <= 60
    assert mend in problem.mend
    assert problem.message.encode() and problem.value.isprintable()


@pytest.mark.parametrize(
    ("code", "text", "json"),
    [
        ("UB01", "3.5", 3.5),
        ("UB01", "true", True),
        ("UC01", "1.234", 1.234),
        ("UA01", "9", 9),
        ("UH01", "2", 2),
        ("UB01", "nan", float("nan")),
        ("UB01", "1" * 25, int("1" * 25)),
        ("UG02", "prod; other", ["prod", "other"]),
        ("AA04", "45000", 45000),
    ],
)
def test_text_and_json_meet_the_same_sentence(code, text, json):
    assert read(code, text).problems == read(code, json).problems != []


@pytest.mark.parametrize("marker", ["DK", "REF", "NA", " DK "])
def test_markers_are_kept_apart_from_answers(marker):
    reading = read("UB01", marker)

    assert (reading.answers, reading.markers, reading.problems) == ({}, {"UB01": marker.strip()}, [])


@pytest.mark.parametrize("code", ["UA01", "UJ03"])
@pytest.mark.parametrize("marker", ["DK", "REF"])
def test_status_and_consent_cannot_be_left_open(code, marker):
    reading = read(code, marker)

    assert rules(reading.problems) == [f"{code}-marker"]
    assert reading.markers == {}


def test_an_unknown_question_is_refused():
    reading = read_answers(SCHEDULES["UNIT"], {"UB01": 3, "UB99": 1, "x" * 500: 2, "\ud800": 1})

    assert reading.answers == {"UB01": 3}
    assert rules(reading.problems) == ["unknown-question"] * 3
    assert all(problem.is_hard and len(problem.question) <= 60 for problem in reading.problems)
    assert "“UB99” is not a question" in reading.problems[0].message


def test_many_unknown_questions_are_counted_and_not_listed():
    problems = read_answers(SCHEDULES["UNIT"], {f"X{number}": 1 for number in range(5000)}).problems

    assert len(problems) == 21
    assert "4980 more" in problems[-1].message


def test_the_scale_multiplies_money_and_nothing_else():
    raw = {"UC01": "12.5", "UD03": "30000", "UB01": "20", "UC04": "40", "UC06": -1}

    reading = read_answers(SCHEDULES["UNIT"], raw, scale=100_000)

    assert reading.answers == {"UC01": 1_250_000, "UD03": 30_000, "UB01": 20, "UC04": 40, "UC06": -100_000}
    assert read("CH02", "8.5", scale=100_000).answers == {"CH02": 8.5}
    assert read("CV01", "21", scale=1_000_000).answers == {"CV01": 21_000_000}
    assert "18 digits" in read("UC01", "9" * 15, scale=1_000_000).problems[0].message
    assert "two decimals" in read("UC01", "1.23456789", scale=100_000).problems[0].message
    with pytest.raises(ValueError, match="scale"):
        read("UC01", 1, scale=10)


@pytest.mark.parametrize("code", RETURNS)
def test_a_sound_return_reads_back_as_itself(code):
    as_text = {
        name: "; ".join(answer) if isinstance(answer, list) else str(answer) for name, answer in RETURNS[code].items()
    }

    for raw in (RETURNS[code], as_text):
        reading = validate(SCHEDULES[code], raw, context=context(code))
        assert reading.answers == RETURNS[code]
        assert reading.problems == []


@settings(max_examples=300, deadline=None)
@given(
    code=st.sampled_from(list(SCHEDULE_OF)),
    raw=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.decimals()),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
        max_leaves=4,
    ),
)
def test_any_value_is_an_answer_a_blank_or_a_problem(code, raw):
    schedule = SCHEDULE_OF[code]

    reading = validate(schedule, RETURNS[schedule.code] | {code: raw}, context=context(schedule.code))

    for problem in reading.problems:
        assert (problem.message + problem.mend + problem.value).encode()
    assert repr(reading.answers).encode()


# --- routing and required ---------------------------------------------------------------------------


def found(schedule, answers, markers=None, **changes):
    return check(SCHEDULES[schedule], answers, markers or {}, context(schedule, **changes))


def without(answers, *codes):
    return {code: answer for code, answer in answers.items() if code not in codes}


@pytest.mark.parametrize(
    ("status", "codes"),
    [(3, ["UA01", "UJ03"]), (4, ["UA01", "UJ03"]), (6, ["UA01", "UJ03"]), (7, ["UA01"]), (8, ["UA01"])],
)
def test_a_unit_that_did_not_work_is_asked_for_consent_only(status, codes):
    assert asked(SCHEDULES["UNIT"], {"UA01": status}, context("UNIT")) == codes


def test_a_working_unit_is_asked_everything_its_figures_call_for():
    unit = SCHEDULES["UNIT"]

    assert asked(unit, UNIT, context("UNIT")) == list(unit.questions)
    left = set(unit.questions) - set(asked(unit, UNIT | {"UC01": 0, "UF02": 0, "UD01": 0}, context("UNIT")))
    assert left == {"UC04", "UC05", "UF03", "UD02"}
    assert asked(unit, {}, context("UNIT")) == ["UA01"]


def test_a_skipped_answer_cannot_route_in_its_turn():
    answers = {"AA01": 0, "AE05": 1}

    assert "AE06" not in asked(SCHEDULES["ASSOCIATION"], answers, context("ASSOCIATION"))


def test_an_answer_the_routing_skips_is_reported_and_not_used():
    problems = found("UNIT", {"UA01": 4, "UJ03": 1, "UB01": -3}, {"UC01": "DK"})

    assert rules(problems) == ["UB01-route", "UC01-route"]
    assert {problem.severity for problem in problems} == {"soft"}
    assert problems[0].message == (
        "UB01, Persons engaged: “-3” is not used. It is asked of units that worked in the year."
    )
    assert problems[0].mend == "Clear UB01, or correct UA01."


def test_na_on_a_skipped_question_is_right_and_on_an_asked_one_wrong():
    assert found("UNIT", {"UA01": 4, "UJ03": 1}, {"UB01": "NA"}) == []

    [problem] = found("UNIT", without(UNIT, "UB08"), {"UB08": "NA"})
    assert (problem.rule, problem.severity) == ("UB08-marker", "hard")
    assert rules(found("UNIT", without(UNIT, "UC06"), {"UC06": "NA"})) == ["UC06-marker"]


def test_only_the_open_routing_question_is_named():
    assert rules(found("UNIT", without(UNIT, "UA01"))) == ["UA01-required"]
    # A refused sales figure settles the routing: the share of it cannot be used.
    assert rules(found("UNIT", without(UNIT, "UC01"), {"UC01": "REF"})) == ["UC04-route", "UC05-route"]
    assert rules(found("UNIT", without(UNIT, "UC01"))) == ["UC01-required"]


@pytest.mark.parametrize(("schedule", "answers"), RETURNS.items())
def test_required_means_a_value_or_a_marker(schedule, answers):
    for code, question in SCHEDULES[schedule].questions.items():
        blank = {problem.rule for problem in found(schedule, without(answers, code)) if problem.is_hard}
        assert blank == ({f"{code}-required"} if question.required else set()), code
        if question.takes_marker:
            marked = [problem for problem in found(schedule, without(answers, code), {code: "DK"}) if problem.is_hard]
            assert marked == [], code


def test_zero_is_an_answer():
    assert found("UNIT", UNIT | {"UG03": 0, "UB08": 0}) == []


def test_a_message_names_place_rule_and_figures():
    [problem] = [one for one in found("UNIT", UNIT | {"UB02": 13}) if one.is_hard]

    assert problem.rule == "UB01-H2"
    assert problem.message == (
        "UB01: Men and women must add up to the total of persons. (UB01 = 20, UB02 = 13, UB03 = 8)"
    )
    assert problem.mend == "Correct UB01, UB02 or UB03."
    assert problem.value == "20"


def test_last_rounds_figure_is_named_beside_this_rounds():
    [problem] = found("UNIT", UNIT, prev={"UB01": 9})

    assert "(UB01 = 20, UB01 last round = 9)" in problem.message


def test_other_peoples_answers_are_not_named():
    [problem] = found("ASSOCIATION", ASSOCIATION, values={"uh01_share": 0.137})

    assert problem.rule == "AB01-S2"
    assert "(AB01 = 120)" in problem.message and "137" not in problem.message + problem.mend


def test_a_problem_in_a_log_gives_no_answer_away():
    [problem] = read("UC01", "731 lakh").problems

    assert "731" in problem.message and "731" not in repr(problem)


def test_a_code_of_the_schedule_in_the_context_does_not_stand_for_a_blank():
    blank = without(CLUSTER, "CB01")

    problems = found("CLUSTER", blank, values={"CB01": 9_999, "CH02": 1})

    assert rules(problems) == ["CB01-required"]
    assert rules(found("CLUSTER", blank)) == ["CB01-required"]


def test_a_value_that_cannot_be_read_is_not_also_called_unanswered():
    reading = validate(SCHEDULES["UNIT"], UNIT | {"UB08": "many", "UA02": "twelve"}, context=context("UNIT"))

    assert rules(reading.problems) == ["UA02-type", "UB08-type"]


def test_without_earlier_rounds_and_other_schedules_nothing_is_held_against_a_return():
    bare = Context(ref_year=2024, today=date(2025, 6, 15))

    for schedule, answers in RETURNS.items():
        assert check(SCHEDULES[schedule], answers, {}, bare) == []


def test_core_share_counts_values_and_not_markers():
    unit, seen = SCHEDULES["UNIT"], context("UNIT")

    assert answered_core_share(unit, UNIT, {}, seen) == 1
    assert answered_core_share(unit, without(UNIT, "UC01", "UC02"), {"UC01": "DK"}, seen) == 14 / 16
    assert answered_core_share(unit, UNIT, {"UC01": "DK"}, seen) == 15 / 16
    assert answered_core_share(unit, {"UA01": 4}, {}, seen) == 1
    assert answered_core_share(unit, {}, {}, seen) == 0
    assert answered_core_share(SCHEDULES["REGION"], REGION, {}, context("REGION")) is None


def test_a_soft_problem_wants_ten_characters_of_explanation():
    problems = found("UNIT", UNIT | {"UB02": 13, "UE04": 111})

    assert rules(unexplained(problems, {})) == ["UE04-S1"]
    assert rules(unexplained(problems, {"UE04-S1": "  too short "})) == ["UE04-S1"]
    assert unexplained(problems, {"UE04-S1": "Two extra night shifts."}) == []


def test_the_same_return_gives_the_same_problems_whatever_the_order_of_its_answers():
    spoilt = UNIT | {"UB02": 13, "UE04": 111, "UC03": -1}
    backwards = dict(reversed(spoilt.items()))

    assert found("UNIT", spoilt) == found("UNIT", backwards)


def test_a_lookup_not_at_hand_is_no_refusal():
    blind = replace(context("CLUSTER"), lookups=replace(LOOKUPS, isic4=None, hs4=None, regions=None, is_unique=None))

    assert validate(SCHEDULES["CLUSTER"], CLUSTER | {"CA03": "9998"}, context=blind).problems == []


@pytest.mark.parametrize("module", [evaluation, numbers])
def test_examples_in_docstrings_hold(module):
    results = doctest.testmod(module)

    assert results.attempted and not results.failed

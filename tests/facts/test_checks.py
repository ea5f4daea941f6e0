"""Every check of the instrument has a return it passes and a return on which it speaks."""

import pytest

from facts.expressions import MISSING
from facts.validation import check
from tests.facts import valid_returns as sound
from tests.facts.valid_returns import INSTRUMENT

SCHEDULE_OF = {code: one.code for one in INSTRUMENT.schedules.values() for code in one.checks}

# Changes to the sound return that make one hard check false and leave every other hard check standing.
# "DK" stands for the marker.
HARD = {
    "UA02-H1": {"UA01": 2, "UA02": 0},
    "UA02-H2": {"UA02": 11},
    "UA02-H3": {"UA01": 2, "UA02": 12},
    "UA03-H1": {"UA03": 2025},
    "UA05-H1": {"UA05": "9998"},
    "UB01-H1": dict.fromkeys(["UB01", "UB02", "UB03", "UB04", "UB05", "UB06", "UB07"], 0),
    "UB01-H2": {"UB02": 13},
    "UB01-H3": {"UB04": 3},
    "UB02-H1": {"UB02": -1, "UB03": 21},
    "UB03-H1": {"UB02": 21, "UB03": -1},
    "UB04-H1": {"UB04": -1, "UB05": 16},
    "UB05-H1": {"UB05": -1, "UB04": 16},
    "UB06-H1": {"UB06": -1, "UB04": 8},
    "UB07-H1": {"UB07": 21},
    "UB08-H1": {"UB08": -0.5},
    "UB09-H1": {"UB09": -1, "UD06": 3_200_000},
    "UB09-H2": {"UB09": 7_600_000, "UD01": 0, "UD04": 0, "UD05": 0, "UD06": 0},
    "UC01-H1": {"UC01": -1, "UC03": "DK"},
    "UC02-H1": {"UC02": -1},
    "UC02-H2": {"UC02": 8_600_000},
    "UC03-H1": {"UC03": -1},
    "UC04-H1": {"UC04": 101},
    "UC05-H1": {"UC05": -1},
    "UD01-H1": {"UD01": -1, "UD06": 4_400_000},
    "UD02-H1": {"UD02": 100.5},
    "UD03-H1": {"UD03": -1},
    "UD04-H1": {"UD04": -1},
    "UD05-H1": {"UD05": -1},
    "UD06-H1": {"UD06": -1, "UD05": 1_200_000},
    "UD07-H1": dict.fromkeys(["UD01", "UD04", "UD05", "UD06", "UD07", "UB09", "UG01"], 0),
    "UD07-H2": {"UD07": 9_000_000},
    "UE01-H1": {"UE01": -1},
    "UE02-H1": {"UE02": -1},
    "UE04-H1": {"UE04": 151},
    "UE05-H1": {"UE05": 401},
    "UE06-H1": {"UE06": 101},
    "UF02-H1": {"UF02": -1},
    "UF03-H1": {"UF03": 151},
    "UG01-H1": {"UG01": -1},
    "UG01-H2": {"UG01": 8_100_001},
    "UG02-H1": {"UG02": ["none", "prod"]},
    "UG03-H1": {"UG03": -1},
    "UG04-H1": {"UG04": ["iso9001", "none"]},
    "UG05-H1": {"UG05": ["acc", "none"]},
    "UH02-H1": {"UH02": ["buy", "none"]},
    "UH04-H1": {"UH04": ["fin", "none"]},
    "UJ03-H1": {"UJ03": 0},
    "CA01-H1": {"CA01": "Taken name"},
    "CA02-H1": {"CA02": "14"},
    "CA04-H1": {"CA04": ["6204", "9999"]},
    "CA05-H1": {"CA05": "IN-XX"},
    "CA07-H1": {"CA07": 90.1},
    "CA08-H1": {"CA08": -180.1},
    "CA09-H1": {"CA09": 0},
    "CA10-H1": {"CA10": 999},
    "CB01-H1": {"CB01": -1},
    "CB02-H1": {"CB02": -1},
    "CB03-H1": {"CB03": -1},
    "CB04-H1": {"CB04": -1},
    "CB04-H2": {"CB01": 4, "CB02": 0, "CB03": 0, "CB04": 0, "CV03": 12},
    "CB05-H1": {"CB05": -1},
    "CB06-H1": {"CB06": -1},
    "CB07-H1": {"CB07": 0},
    "CB07-H2": {"CB07": 60_000_001, "CB08": 60_000_001},
    "CB08-H1": {"CB08": 89_999},
    "CB08-H2": {"CB08": 560_000_001},
    "CB09-H1": {"CB09": 0},
    "CH01-H1": {"CH01": 24.5},
    "CH02-H1": {"CH02": 0},
    "CH05-H1": {"CH05": 0},
    "CH06-H1": {"CH06": [], "CH07": []},
    "CH07-H1": {"CH07": ["etp"]},
    "CH10-H1": {"CH10": 19},
    "CH11-H1": {"CH11": -1},
    "CS01-H1": {"CS01": -1},
    "CS02-H1": {"CS02": -1},
    "CS03-H1": {"CS03": -1},
    "CS07-H1": {"CS07": -1},
    "CV01-H1": {"CV01": -1},
    "CV02-H1": {"CV02": -1},
    "CV03-H1": {"CV03": -1},
    "CV03-H2": {"CV03": 661},
    "AA02-H1": {"AA02": 1799},
    "AA04-H1": {"AA04": "2025-06-16"},
    "AA05-H1": {"AA05": 0, "AA06": 0},
    "AA06-H1": {"AA06": 16},
    "AA07-H1": {"AA07": 61},
    "AA08-H1": {"AA08": "2026-01-01"},
    "AA09-H1": {"AA09": 201},
    "AB01-H1": {"AB01": -1, "AB02": "DK", "AA09": 5, "AF02": "DK", "AF06": "DK"},
    "AB02-H1": {"AB02": 121},
    "AB03-H1": {"AB03": -1},
    "AC01-H1": {"AC01": 500.5},
    "AC03-H1": {"AC03": -1},
    "AD01-H1": {"AD01": -1, "AD02": 1_500_001},
    "AD02-H1": {"AD02": -1, "AD01": 1_500_001},
    "AD03-H1": {"AD03": -1, "AD01": 1_100_001},
    "AD04-H1": {"AD04": 2_100_000},
    "AD05-H1": {"AD05": -1},
    "AE02-H1": {"AE02": "2025-07-01"},
    "AE06-H1": {"AE06": 10.5},
    "AF01-H1": {"AF01": ["fair", "none"]},
    "AF02-H1": {"AF02": 121},
    "AF03-H1": {"AF03": -1},
    "AF04-H1": {"AF04": -1},
    "AF05-H1": {"AF05": -1},
    "AF06-H1": {"AF06": -1},
    "AF07-H1": {"AF07": 101},
    "AF08-H1": {"AF08": 201},
    "AG01-H1": {"AG01": 101},
    "AG02-H1": {"AG02": -1},
    "AG03-H1": {"AG03": -1},
    "RA01-H1": {"RA01": 721},
    "RA02-H1": {"RA02": 0},
    "RA03-H1": {"RA03": 0},
    "RA04-H1": {"RA04": 721},
    "RA05-H1": {"RA05": -1},
    "RA06-H1": {"RA06": 5001},
    "RA07-H1": {"RA07": 2001},
    "RA08-H1": {"RA08": 61},
    "RB01-H1": {"RB01": ["cap", "none"]},
    "RB02-H1": {"RB02": ["ipfee", "none"]},
    "RB03-H1": {"RB03": -1, "RB04": "DK"},
    "RB04-H1": {"RB04": -1},
    "RB04-H2": {"RB04": 1_080_000_002},
    "RC01-H1": {"RC01": 0},
    "RC02-H1": {"RC02": 59_999_999},
    "RC03-H1": {"RC03": 0},
}

# The same for soft checks; `prev` and `values` change what is seen beside the answers.
SOFT = {
    "UA01-S1": {"prev": {"UA01": 4}},
    "UA03-S1": {"UA03": 2005},
    "UA05-S1": {"values": {"cluster_isic": ["2593"]}},
    "UA05-S2": {"prev": {"UA05": "1312"}},
    "UB01-S1": {"prev": {"UB01": 9}},
    "UB04-S1": {"UA04": 1, "UB04": 0, "UB05": 15},
    "UB08-S1": {"UB08": 601},
    "UB09-S1": {"UB04": 20, "UB05": 0, "UB06": 0},
    "UB09-S2": {"UB09": 0, "UD06": 3_200_000},
    "UB09-S3": {"values": {"RC03": 100_000}},
    "UC01-S1": {"UC01": 0, "UC02": 0, "UC03": 0},
    "UC01-S2": {"UC01": 4_900_000},
    "UC04-S1": {"UA06": 2},
    "UC05-S1": {"UG02": ["none"]},
    "UC06-S1": {"UC06": -4_500_001},
    "UD01-S1": {"UC01": 3_400_000},
    "UD01-S2": {"UD01": 0, "UD06": 4_400_000},
    "UD03-S1": {"UD03": 0},
    "UD03-S2": {"UD03": 300_000},
    "UD04-S1": {"UD04": 4_500_001, "UD07": 11_700_001},
    "UD07-S1": {"UD07": 7_700_000},
    "UE01-S1": {"UE01": 6_400_000},
    "UE02-S1": {"UE02": 9_000_001},
    "UE03-S1": {"UE03": 5},
    "UE04-S1": {"UE04": 111},
    "UE04-S2": {"UE04": 14},
    "UE05-S1": {"UE05": 201},
    "UE06-S1": {"UE06": 41},
    "UF02-S1": {"UF02": 27_000_001},
    "UF03-S1": {"UF03": 41},
    "UG01-S1": {"UG01": 1_800_001},
    "UG03-S1": {"UG03": 21},
    "UG06-S1": {"UG06": 4, "UG01": 0, "UB07": 0},
    "UJ02-S1": {"UJ02": 4, "UB01": 50, "UB02": 42, "UB05": 43},
    "CA03-S1": {"CA03": ["1312", "2593", "1420"]},
    "CA07-S1": {"CA07": 17.4},
    "CA09-S1": {"CA09": 41},
    "CB01-S1": {"prev": {"CB01": 90}},
    "CB02-S1": {"prev": {"CB02": 90}},
    "CB04-S1": {"values": {"frame_count": 221}},
    "CB06-S1": {"CB06": 7},
    "CH02-S1": {"prev": {"CH02": 4}},
    "CH05-S1": {"CH05": 121},
    "CH10-S1": {"CH10": 181},
    "CS05-S1": {"CS05": 1},
    "AA04-S1": {"AA04": "2021-06-14"},
    "AA05-S1": {"AA05": 61},
    "AA08-S1": {"AA08": "2024-03-01"},
    "AB01-S1": {"values": {"frame_count": 99}},
    "AB01-S2": {"values": {"uh01_share": 0.1}},
    "AD05-S1": {"AD05": 2_700_000},
    "AE06-S1": {"AE06": 9.6},
    "RB04-S1": {"RB04": 900_000_001},
    "RC03-S1": {"prev": {"RC03": 6_000}},
}


def spoken(rule: str, changes: dict, severity: str) -> set[str]:
    """The rules that speak on the sound return after these changes."""
    code = SCHEDULE_OF[rule]
    changes = dict(changes)
    context = sound.context(code, prev=changes.pop("prev", None), values=changes.pop("values", None))
    changed = sound.RETURNS[code] | changes
    markers = {name: value for name, value in changed.items() if value == "DK"}
    answers = {name: value for name, value in changed.items() if name not in markers}
    problems = check(INSTRUMENT.schedule(code), answers, markers, context)
    return {problem.rule for problem in problems if problem.severity == severity}


@pytest.mark.parametrize("code", sound.RETURNS)
def test_the_sound_return_answers_everything_and_no_check_speaks(code):
    schedule = INSTRUMENT.schedule(code)

    assert set(sound.RETURNS[code]) == set(schedule.questions)
    assert check(schedule, sound.RETURNS[code], {}, sound.context(code)) == []


@pytest.mark.parametrize("rule", SCHEDULE_OF)
def test_every_check_has_a_value_on_the_sound_return(rule):
    """Otherwise the silence of the sound return would prove nothing."""
    code = SCHEDULE_OF[rule]
    tested = INSTRUMENT.schedule(code).checks[rule]

    value = tested.expression.value(sound.RETURNS[code], sound.context(code))

    assert value is not MISSING
    assert bool(value) is (tested.kind == "hard")


@pytest.mark.parametrize(("rule", "changes"), HARD.items())
def test_a_hard_check_speaks_alone(rule, changes):
    assert spoken(rule, changes, "hard") == {rule}


@pytest.mark.parametrize(("rule", "changes"), SOFT.items())
def test_a_soft_check_speaks(rule, changes):
    assert rule in spoken(rule, changes, "soft")
    assert spoken(rule, changes, "hard") == set()


def test_the_tables_hold_every_check():
    assert set(HARD) | set(SOFT) == set(SCHEDULE_OF)
    assert (len(HARD), len(SOFT)) == (128, 54)

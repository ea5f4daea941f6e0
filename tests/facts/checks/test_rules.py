"""The file of rules: complete, valid from a round on, refused with its place where it does not fit."""

import re

import pytest

from facts.checks.rules import NEEDED, ROUND_CHECKS, RULES_FILE, UNIT_CHECKS, load_rules

ORIGINAL = RULES_FILE.read_text(encoding="utf-8")


def rules_from(tmp_path, *changes: tuple[str, str]):
    text = ORIGINAL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return load_rules(path)


def test_every_check_is_there(rules):
    assert set(rules.checks) == {*UNIT_CHECKS, *ROUND_CHECKS} == set(NEEDED)


@pytest.mark.parametrize("code", NEEDED)
def test_every_check_says_what_it_is_and_what_follows(code, rules):
    check = rules.checks[code]

    assert check.rule.endswith(".")
    assert check.action.endswith(".")
    assert code in check.source
    assert set(check.parameters(2026)) == set(NEEDED[code])


def test_a_later_round_overrides_by_name(tmp_path):
    later = "persons = 20\n[[check.parameters]]\nvalid_from = 2025\nleast = 60\n"
    changed = rules_from(tmp_path, ("persons = 20\n", later))

    assert changed.of("X23", 2024)["least"] == 40
    assert changed.of("X23", 2025) == {"warn": 1.75, "least": 60, "persons": 20}


def test_a_check_is_not_run_before_its_first_round(rules):
    assert rules.of("X01", 2020) is None


def test_the_digest_follows_the_bytes(rules, tmp_path):
    assert rules_from(tmp_path, ("warn = 1.75", "warn = 1.76")).digest != rules.digest


def test_signals_of_the_data_team_are_marked(rules):
    assert rules.for_data_team("X05")
    assert not rules.for_data_team("X01-UC01")


def test_the_latest_limit_counts_and_may_end(tmp_path):
    more = """
[[limit]]
country = "IN"
question = "UE01"
name = "micro enterprise, plant and machinery"
value = 25_000_000
valid_from = 2026
source = "test"
[[limit]]
country = "IN"
question = "UE01"
name = "micro enterprise, plant and machinery"
valid_from = 2028
source = "test"
"""
    path = tmp_path / "rules.toml"
    path.write_text(ORIGINAL + more, encoding="utf-8")
    rules = load_rules(path)

    assert [limit.value for limit in rules.limits_in(2025)] == [10_000_000]
    assert [limit.value for limit in rules.limits_in(2026)] == [25_000_000]
    assert rules.limits_in(2028) == []


def test_the_limit_of_the_demonstration_says_so(rules):
    assert all(limit.demonstration for limit in rules.limits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('id = "X04"', 'id = "X44"'), r"check 4 \(X44\): there is no check of this id"),
        (('id = "X21"', 'id = "X20"'), "check 12.*from round 2021: no parameter is called least, least_at_mode"),
        (('level = "worker"', 'level = "person"'), r"X30\): level 'person' is none of"),
        (("warn = 1.75\n", ""), r"X23\), from round 2021: warn missing"),
        (("warn = 1.75\n", "warn = 1.75\nworn = 2\n"), r"X23\), from round 2021: no parameter is called worn"),
        (("valid_from = 2021\nwarn = 1.75", "warn = 1.75"), r"X23\): parameters without a round"),
        (('name = "Heaped employment"\n', ""), r"X23\): 'name' is missing"),
        (("value = 10_000_000", "value = 0"), "limit 1: the value 0 is not an amount above zero"),
        (('question = "UE01"', 'question = "UG01"'), "limit 1: limits are on"),
        (('version = "1.0"\n', ""), "'version' is missing at the head"),
        (("[[check]]", "[[check"), "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_its_place(change, message, tmp_path):
    with pytest.raises(ValueError) as refusal:
        rules_from(tmp_path, change)

    assert re.search(message, str(refusal.value))
    assert str(refusal.value).startswith("rules.toml")


def test_parameters_out_of_order_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Sort them"):
        rules_from(tmp_path, ("persons = 20\n", "persons = 20\n[[check.parameters]]\nvalid_from = 2019\nleast = 60\n"))

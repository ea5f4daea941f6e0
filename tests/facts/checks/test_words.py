"""Every finding can be said: value, rule, mend; nothing about others to the respondent."""

import pytest

from facts.checks.rounds import worker_findings
from facts.checks.rules import NEEDED
from facts.checks.units import unit_findings
from facts.checks.words import SENTENCES, explain
from tests.facts.checks.firms import FIRM, MONEY, a_year_later, crowd, firm, last_year, table_of


def test_every_check_has_a_sentence():
    assert set(SENTENCES) == set(NEEDED)


def test_everything_said_of_the_panel_reads_as_sentences(findings, over_clusters):
    for rows in (findings, over_clusters):
        for row in rows.drop_duplicates(["rule", "severity"]).itertuples():
            said = explain(row.rule, row.numbers)
            assert not said[0].islower(), said
            assert said.endswith((".", "?")), said
            assert "nan" not in said
            assert "None" not in said


def one(rule, now, before, **rest):
    found = unit_findings(table_of([*a_year_later(crowd(25)), now], [*crowd(25), before], **rest))
    return found[(found["frame_id"] == now["frame_id"]) & (found["rule"] == rule)].iloc[0]["numbers"]


def test_x01_names_value_rule_and_mend():
    said = explain("X01-UC01", one("X01-UC01", firm("A", UC01=96_000_000), last_year("A", UC01=8_000_000)))

    assert "Total sales per month worked: 8,000,000, last year 666,667: 12 times last year's." in said
    assert "The check speaks above a score of 10" in said
    assert "correct the figure or to say what changed" in said


def test_x01_tells_a_respondent_nothing_of_other_firms():
    numbers = one("X01-UC01", firm("A", UC01=96_000_000), last_year("A", UC01=8_000_000))
    said = explain("X01-UC01", numbers, for_respondent=True)

    assert "firm" not in said
    assert "8,000,000" in said


def test_x03_says_what_the_respondent_confirmed():
    said = explain("X03", one("X03", firm("A", UE01=1, confirmed="UC01;UD01;UD04;UB09"), firm("A")))

    assert said.startswith(
        "5 of 6 money figures are last year's to the last digit, 4 of them confirmed by the respondent"
    )


def test_x08_asks_for_the_corrected_figure():
    said = explain("X08", one("X08", firm("A", UD01=FIRM["UD01"] * 10), last_year("A")))

    assert "Was this meant: materials used 3,617,821?" in said
    assert "One digit too many?" in said
    assert "nothing changes by itself" in said


def test_x08_names_the_scale():
    said = explain("X08", one("X08", firm("A", **{c: FIRM[c] // 1000 for c in MONEY}), last_year("A")))

    assert said.startswith("6 money figures lie about 1,000 times below last year's")


def test_x09_names_the_twin_to_the_reviewer_only():
    twin = {code: FIRM[code] for code in MONEY}
    found = unit_findings(table_of([firm("A", **twin), firm("B", **twin)]))
    numbers = found[found["frame_id"] == "A"].iloc[0]["numbers"]

    assert "those of B" in explain("X09", numbers)
    assert "B" not in explain("X09", numbers, for_respondent=True)


def test_x05_says_nothing_to_a_respondent(findings):
    numbers = findings[findings["rule"] == "X05"].iloc[0]["numbers"]

    assert "A signal, not proof" in explain("X05", numbers)
    assert explain("X05", numbers, for_respondent=True) == "Kept inside the data team."


def test_x30_is_said_of_a_worker():
    import pandas as pd

    counts = pd.DataFrame([(None, 400, 20), (7, 40, 12)], columns=["worker", "returns", "doubtful"])
    said = explain("X30", worker_findings(counts, {"errors": 2.5, "least": 20}).iloc[0]["numbers"])

    assert said.startswith("30 % of 40 returns of this field worker are doubtful, 7.3 % in the whole round")


@pytest.mark.parametrize("rule", ["X99", "X99-UC01"])
def test_an_unknown_rule_is_no_error(rule):
    assert rule in explain(rule, {})

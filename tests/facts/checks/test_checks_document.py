"""docs/checks.md says what the rules say and what is measured now."""

import re
from pathlib import Path

import pytest

from facts.checks.calibration import Measured, checks_table, markdown

PAGE = Path(__file__).resolve().parents[3] / "docs" / "checks.md"


def part(name: str) -> str:
    return re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", PAGE.read_text(encoding="utf-8"), re.S)[1]


def test_the_table_of_checks_is_that_of_the_rules(rules):
    assert part("checks") == checks_table(rules)


def test_the_figures_are_those_of_the_panel(panel):
    assert part("panel") == markdown(Measured(panel))


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#\s]+)", PAGE.read_text(encoding="utf-8")))
def test_links_lead_somewhere(target):
    assert (PAGE.parent / target).exists()

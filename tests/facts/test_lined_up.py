"""The quick lining up behind reliability gives the figures that the checks' own gives, to the last digit."""

import numpy as np
import pandas as pd
import pytest

from facts.checks.rounds import cluster_figures
from facts.checks.table import check_table
from facts.reliability import load_rules
from facts.reliability.figures import figures_of
from facts.reliability.lined import lined_up
from tests.panel import panel_tables
from tests.villages import village

RULES = load_rules()


@pytest.fixture(scope="module")
def tables():
    return panel_tables(rounds=(2023, 2024, 2025))


def test_figures_are_those_of_the_checks(tables):
    plain = cluster_figures(check_table(tables, 2025, RULES.checks))
    everybody = np.ones(len(tables.codes), dtype=bool)

    quick = cluster_figures(lined_up(tables, 2025, RULES.checks, everybody))

    pd.testing.assert_frame_equal(quick, plain, check_exact=True)
    assert plain["under_reporting"].gt(0).any() and plain["copied_share"].gt(0).any()  # something to get wrong


def test_some_clusters_have_the_figures_they_have_among_all(tables):
    some = {"PK-SUR-SKT", "LA-SLK-VTE", "IN-TEX-LKO"} & set(tables.codes)

    alone, among_all = figures_of(tables, RULES, 2024, some), figures_of(tables, RULES, 2024)

    assert set(alone) == some
    assert alone == {code: among_all[code] for code in some}


def test_a_village_without_some_questions():
    tables = village(30)

    quick = cluster_figures(lined_up(tables, 2025, RULES.checks, np.ones(1, dtype=bool)))

    pd.testing.assert_frame_equal(quick, cluster_figures(check_table(tables, 2025, RULES.checks)), check_exact=True)

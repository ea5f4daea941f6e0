"""The invented panel as the checks see it, and hand-made rounds of a few firms."""

import pandas as pd
import pytest

from facts.checks.panel import panel_tables
from facts.checks.rounds import cluster_figures, cluster_findings
from facts.checks.rules import load_rules
from facts.checks.table import check_table
from facts.checks.units import unit_findings
from facts.demo.panel import generate

ROUNDS = range(2021, 2026)


@pytest.fixture(scope="session")
def rules():
    return load_rules()


@pytest.fixture(scope="session")
def panel():
    return generate()


@pytest.fixture(scope="session")
def tables(panel):
    return panel_tables(panel)


@pytest.fixture(scope="session")
def rounds(tables, rules):
    """The check table of every closed round."""
    return {number: check_table(tables, number, rules) for number in ROUNDS}


@pytest.fixture(scope="session")
def findings(rounds):
    """Everything that X01–X10 say of the panel, with the round."""
    return pd.concat([unit_findings(table).assign(round=number) for number, table in rounds.items()])


@pytest.fixture(scope="session")
def over_clusters(rounds):
    """Everything that X20–X29 say of the panel, with the round."""
    return pd.concat([cluster_findings(table).assign(round=number) for number, table in rounds.items()])


@pytest.fixture(scope="session")
def figures(rounds):
    """Figures by (round, cluster)."""
    return pd.concat({number: cluster_figures(table) for number, table in rounds.items()}, names=["round"])

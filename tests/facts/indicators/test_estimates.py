"""Missing core money items, estimated from peers (framework §11.6); what that does to values and their status."""

import numpy as np
import pandas as pd
import pytest

from cci.methodology import load_method
from facts.indicators.compute import compute_round
from facts.indicators.imputation import Rule, impute
from tests.panel import panel_tables

RULE = Rule(("UD01",))
NAN = np.nan


def estimated(sales, materials, *, size=None, cluster=None, weight=None, rule=RULE):
    n = len(sales)
    return impute(
        {"UC01": np.array(sales, dtype=float), "UD01": np.array(materials, dtype=float)},
        np.zeros(n, dtype=int) if cluster is None else np.array(cluster),
        np.ones(n, dtype=int) if size is None else np.array(size),
        np.ones(n) if weight is None else np.array(weight, dtype=float),
        1 if cluster is None else max(cluster) + 1,
        rule,
    )


def peers(n, ratio=0.5):
    return [100.0] * n, [100.0 * ratio] * n


def test_a_gap_is_filled_by_sales_times_the_median_ratio():
    sales, materials = [100.0] * 12, [40.0] * 5 + [50.0, 60.0] + [70.0] * 5
    found = estimated([*sales, 20.0], [*materials, NAN])

    assert found.columns["UD01"][-1] == pytest.approx(20 * 0.55)  # the mean of the middle two, 0.5 and 0.6
    assert found.columns["UD01"][:-1].tolist() == materials
    assert found.where["UD01"].tolist() == [False] * 12 + [True]


def test_eleven_peers_are_too_few():
    sales, materials = peers(11)

    assert not estimated([*sales, 20.0], [*materials, NAN]).columns


def test_peers_are_of_the_same_size_and_cluster():
    small, medium = peers(12, 0.5), peers(12, 0.2)
    sales, materials = [*small[0], *medium[0], 9.0, 9.0], [*small[1], *medium[1], NAN, NAN]
    found = estimated(sales, materials, size=[1] * 12 + [2] * 12 + [1, 2])
    by_cluster = estimated([*small[0], *medium[0], 9.0], [*small[1], *medium[1], NAN], cluster=[0] * 12 + [1] * 13)

    assert found.columns["UD01"][-2:].tolist() == pytest.approx([4.5, 1.8])
    assert by_cluster.columns["UD01"][-1] == pytest.approx(1.8)


def test_beyond_five_per_cent_of_the_sales_nothing_is_estimated():
    sales, materials = peers(19)

    assert estimated([*sales, 100.0], [*materials, NAN]).columns  # 5 %
    assert not estimated([*sales, 101.0], [*materials, NAN]).columns
    assert not estimated([*sales, 50.0], [*materials, NAN], weight=[1.0] * 19 + [4.0]).columns  # weighted sales count


def test_without_sales_there_is_nothing_to_go_by():
    sales, materials = peers(12)

    assert not estimated([*sales, NAN, 0.0], [*materials, NAN, NAN]).columns


# --- In values


@pytest.fixture(scope="module")
def method():
    return load_method("1.0")


@pytest.fixture(scope="module")
def with_and_without(method):
    tables = panel_tables(("PK-SUR-SKT", "PK-CUT-WAZ"))
    index = ["cluster", "indicator"]
    return [
        compute_round(tables, 2025, method.definitions, rule).set_index(index) for rule in (method.imputation, None)
    ]


def test_only_figures_of_the_estimated_items_move_and_only_a_little(with_and_without, method):
    estimated_, plain = with_and_without
    moved = estimated_["value"].compare(plain["value"]).index.get_level_values("indicator")
    read = {code for code, names in method.definitions.questions.items() if names & set(method.imputation.items)}

    assert set(moved) <= read
    assert {"O101", "O102", "O401"} <= set(moved)
    both = plain["value"].notna()
    change = (estimated_["value"][both] / plain["value"][both] - 1).unstack()
    assert change.drop(columns="O204").abs().max().max() < 0.10
    assert change[["O101", "O102", "O103", "O401"]].abs().max().max() < 0.01
    # A total without the firms that left one item out is too low: that is what estimating mends.
    assert change["O204"].between(0.01, 0.10).all()
    assert not {"O201", "O303"} & set(moved)  # growth compares what was answered


def test_counts_of_firms_are_of_those_that_answered(with_and_without):
    """What may be shown rests on answers: an estimate adds no firm to the count behind a value."""
    estimated_, plain = with_and_without

    pd.testing.assert_series_equal(estimated_["n_units"], plain["n_units"])
    pd.testing.assert_series_equal(estimated_["coverage"], plain["coverage"])


def test_a_value_is_called_estimated_where_estimates_hold_enough_of_it(method):
    tables = panel_tables(("PK-SUR-SKT",))
    always = Rule(method.imputation.items, said_from=0.0)
    seldom = Rule(method.imputation.items, said_from=0.9)

    def status(rule):
        return compute_round(tables, 2025, method.definitions, rule).set_index("indicator")["status"]

    assert status(always)["O101"] == "E"
    assert status(always)["O301"] == "A"  # reads no estimated item
    assert status(seldom)["O101"] == "A"

"""Sums and medians by cluster under many weights at once, against one weight at a time; work on threads in order."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cci.methodology import load_method
from facts.indicators import totals
from facts.indicators.compute import Round
from facts.indicators.formulas import Columns, Evaluation
from facts.indicators.parallel import SETTING, in_order, threads
from facts.indicators.resampling import replicate_weights, replicated_between, seed_of
from facts.indicators.totals import Ordered, ReplicateWeights, figures, weighted_median
from tests.panel import panel_tables

METHOD = load_method("1.0")
CLUSTERS = ("LA-FUR-VTE", "LA-SLK-VTE")


def plain_median(weight: np.ndarray, values: np.ndarray) -> float:
    """The smallest value with at least half of the weight at or below it, counted value by value."""
    for value in np.unique(values):
        if weight[values <= value].sum() >= weight.sum() / 2 * (1 - 1e-12):
            return float(value)
    return np.nan


@given(st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_the_median_of_replicates_is_that_of_each(n, seed):
    rng = np.random.default_rng(seed)
    values, weight = np.sort(rng.integers(0, 20, n).astype(float)), rng.integers(0, 4, (n, 7)).astype(float)
    weight[:, 0] = 0

    found = weighted_median(weight, values)

    assert np.isnan(found[0])
    for replicate in range(1, 7):
        own = weight[:, replicate]
        expected = plain_median(own, values) if own.sum() else np.nan
        np.testing.assert_equal(found[replicate], expected)
        np.testing.assert_equal(weighted_median(own, values), expected)


@pytest.mark.parametrize("alone", [1, 1 << 9, 1 << 18])
def test_figures_of_replicates_are_those_of_each_weight(alone, monkeypatch):
    """Clusters 0 and 3 have no unit, cluster 2 none that entered."""
    monkeypatch.setattr(totals, "ALONE", alone)
    rng = np.random.default_rng(6)
    cluster_of = np.repeat([1, 2, 4], [40, 9, 25])
    n, support = len(cluster_of), (rng.random(74) < 0.8) & (cluster_of != 2)
    summed = [np.where(support, rng.normal(size=n), 0.0) for _ in range(3)]
    ordered = [Ordered.of(rng.normal(size=n), cluster_of, support, 5)]
    weights = rng.uniform(0.5, 3, (30, n))

    sums, medians = figures(summed, ordered, ReplicateWeights.given(weights), cluster_of, 5)

    assert sums.shape == (3, 30, 5) and medians.shape == (1, 30, 5)
    for replicate, weight in enumerate(weights):
        one_sum, one_median = figures(summed, ordered, weight, cluster_of, 5)
        np.testing.assert_allclose(sums[:, replicate], one_sum, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(medians[:, replicate], one_median)
    assert (sums[:, :, [0, 2, 3]] == 0).all() and np.isnan(medians[:, :, [0, 2, 3]]).all()


def test_weights_that_do_not_vary_give_the_figures_to_the_last_digit():
    rng = np.random.default_rng(1)
    cluster_of, weight, x = np.repeat([0, 1], [31, 57]), rng.uniform(1, 3, 88), rng.lognormal(size=88)
    fixed = ReplicateWeights(4, lambda cluster, units: weight[units])

    several = figures([x], [Ordered.of(x, cluster_of, x > 0, 2)], fixed, cluster_of, 2)
    one = figures([x], [Ordered.of(x, cluster_of, x > 0, 2)], weight, cluster_of, 2)

    for drawn, figure in zip(several, one, strict=True):
        np.testing.assert_array_equal(drawn, np.repeat(figure[:, None], 4, axis=1))


def drawn_plainly(weight, stratum, population, replicates, seed):
    """The rescaled bootstrap, replicate by replicate, from the same draws."""
    rng = np.random.default_rng(seed)
    out = np.tile(weight, (replicates, 1))
    for one in np.unique(stratum[stratum >= 0]):
        units = np.flatnonzero(stratum == one)
        n, spread = len(units), np.sqrt(1 - len(units) / population[one])
        if n < 2 or n >= population[one]:
            continue
        for row, drawn in zip(out, rng.integers(0, n, size=(replicates, n - 1)), strict=True):
            times = np.array([(drawn == place).sum() for place in range(n)])
            new = weight[units] * (1 - spread + spread * times * n / (n - 1))
            row[units] = new * weight[units].sum() / new.sum()
    return out


def test_replicates_are_the_indicators_under_each_replicate_of_the_weights():
    """Two clusters of the panel, all indicators of units: every replicate by itself, through the plain way."""
    tables = panel_tables(CLUSTERS, rounds=(2024, 2025))
    round_ = Round(tables, 2025, METHOD.definitions, METHOD.imputation)
    units, part = round_.units, round_.part(0, 2)

    found = replicated_between(round_, 6, 0, 2)

    blocks = []
    for cluster, code in enumerate(tables.codes):
        here = slice(units.edges[cluster], units.edges[cluster + 1])
        own = units.weights.weight[here], units.weights.stratum[here], units.weights.population
        plain = drawn_plainly(*own, 6, seed_of(2025, code))
        np.testing.assert_allclose(replicate_weights(*own, 6, seed_of(2025, code)), plain, rtol=1e-12)
        blocks.append(plain[:, units.works[here]])
    columns = {**part.columns.__dict__}
    for replicate, weight in enumerate(np.concatenate(blocks, axis=1)):
        run = Evaluation(Columns(**columns | {"weight": weight}), METHOD.definitions.derived)
        for one in METHOD.definitions.indicators:
            if one.formula.aggregates:
                value = run.result(one.formula).values
                np.testing.assert_allclose(found[one.code][replicate], value, rtol=1e-10, err_msg=one.code)


def test_work_on_threads_comes_back_in_order(monkeypatch):
    """The first piece waits for the second, which only another thread can do."""
    second = threading.Event()

    def work(piece: int) -> int:
        if piece == 1:
            second.set()
        if piece == 0:
            assert second.wait(30)
        return piece

    assert list(in_order(work, range(9), workers=2)) == list(range(9))
    monkeypatch.setenv(SETTING, "3")
    assert threads() == 3


def test_an_error_on_a_thread_is_not_lost():
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda piece: 1 / piece, [1, 0], workers=2))

"""The rescaled bootstrap against theory: ratios, totals, finite populations, what must not vary."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cci.methodology import load_method
from facts.indicators.formulas import Columns, evaluate, parse_formula
from facts.indicators.resampling import cluster_number, replicate_weights, replicated, seed_of
from facts.indicators.weights import SIZES
from tests.panel import panel_tables

DEFINITIONS = load_method("1.0").definitions


def drawn(n, population, *, replicates=200, seed=1, weight=None):
    """One size class: n of N firms answered."""
    weight = np.full(n, population / n) if weight is None else weight
    totals = np.zeros(SIZES)
    totals[0] = population
    return replicate_weights(weight, np.zeros(n, dtype=int), totals, replicates, seed)


def error_of(text, answers, weights, full):
    n = len(full)

    def value(weight):
        data = Columns(answers, np.zeros(n, dtype=int), weight, {}, 1)
        return evaluate(parse_formula(text), data, {}).values[..., 0]

    return np.sqrt(np.mean((value(weights) - value(full)) ** 2)), value(full)


@pytest.mark.parametrize(("n", "population"), [(40, 60), (60, 400), (150, 160)])
def test_a_ratio_varies_as_linearisation_says(n, population):
    """SE² = (1 − n/N)/n · Σ(y − R·x)²/(n − 1) / x̄², for a simple random sample of one class."""
    rng = np.random.default_rng(n)
    x = rng.lognormal(3, 0.6, n)
    y = x * rng.normal(0.4, 0.08, n)
    ratio = y.sum() / x.sum()
    residual = y - ratio * x
    theory = np.sqrt((1 - n / population) / n * (residual @ residual) / (n - 1)) / x.mean()

    found, value = error_of(
        "SUM(UC02)/SUM(UC01)", {"UC01": x, "UC02": y}, drawn(n, population), np.full(n, population / n)
    )

    assert value == pytest.approx(ratio)
    assert found == pytest.approx(theory, rel=0.10)


def test_a_total_over_two_classes_varies_as_the_textbook_says():
    """Var = Σ N² (1 − n/N) s²/n over classes."""
    rng = np.random.default_rng(7)
    of = np.repeat([0, 1], [50, 30])
    x = np.where(of == 0, rng.normal(10, 2, 80), rng.normal(50, 9, 80))
    population = np.array([200.0, 45.0, 0, 0])
    weight = (population / np.array([50, 30, 1, 1]))[of]
    weights = replicate_weights(weight, of, population, 4000, 3)
    theory = sum(
        population[one] ** 2 * (1 - n / population[one]) * x[of == one].var(ddof=1) / n for one, n in ((0, 50), (1, 30))
    )

    assert np.mean((weights @ x - weight @ x) ** 2) == pytest.approx(theory, rel=0.06)


def test_a_median_varies_about_as_its_density_says():
    """SE ≈ √(1 − n/N) · 1/(2·f(median)·√n); of a normal variable f = 1/(σ√2π). The mean over 40 samples."""
    rng = np.random.default_rng(2)
    samples = [rng.normal(100, 10, 400) for _ in range(40)]
    errors = [
        error_of("MED(UE05)", {"UE05": x}, drawn(400, 4000, seed=seed), np.full(400, 10.0))[0]
        for seed, x in enumerate(samples)
    ]

    assert np.mean(errors) == pytest.approx(np.sqrt(0.9) * 10 * np.sqrt(2 * np.pi) / 2 / np.sqrt(400), rel=0.10)


def test_where_everybody_answered_nothing_varies():
    x = np.random.default_rng(1).lognormal(size=30)

    assert error_of("MEAN(UC01)", {"UC01": x}, drawn(30, 30), np.ones(30))[0] == 0.0
    assert error_of("MED(UC01)", {"UC01": x}, drawn(30, 30), np.ones(30))[0] == 0.0


def test_the_finite_population_shrinks_the_error():
    x = np.random.default_rng(1).lognormal(size=60)

    few, many = (
        error_of("MEAN(UC01)", {"UC01": x}, drawn(60, population), np.full(60, population / 60.0))[0]
        for population in (75, 60_000)
    )
    assert few / many == pytest.approx(np.sqrt((1 - 60 / 75) / (1 - 60 / 60_000)), rel=1e-6)  # the same draws


@given(st.integers(2, 60), st.integers(0, 200), st.integers(0, 2**48))
def test_replicates_add_up_as_the_weights_do_and_none_is_negative(n, spare, seed):
    weights = drawn(n, n + spare, replicates=5, seed=seed)

    assert weights.sum(axis=1) == pytest.approx(np.full(5, n + spare))
    assert (weights >= 0).all()


def test_unequal_weights_inside_a_class_keep_its_total():
    weight = np.random.default_rng(4).uniform(1, 9, 40)

    assert drawn(40, 400, weight=weight).sum(axis=1) == pytest.approx(np.full(200, weight.sum()))


def test_a_firm_that_stands_for_itself_does_not_vary():
    weights = replicate_weights(np.array([3.0] * 9 + [1.0]), np.array([0] * 9 + [-1]), np.array([27.0, 0, 0, 0]), 50, 1)

    assert (weights[:, -1] == 1).all()
    assert weights[:, 0].std() > 0


def test_draws_hang_on_round_and_code_alone():
    assert seed_of(2025, "PK-SUR-SKT") - seed_of(2024, "PK-SUR-SKT") == 1000
    assert cluster_number("PK-SUR-SKT") == int(hashlib.sha256(b"PK-SUR-SKT").hexdigest()[:12], 16)
    assert np.array_equal(drawn(9, 20, seed=5), drawn(9, 20, seed=5))
    assert not np.array_equal(drawn(9, 20, seed=5), drawn(9, 20, seed=6))


def test_figures_that_no_firm_answers_have_no_replicates():
    (part,) = replicated(panel_tables(("LA-SLK-VTE",), rounds=(2024, 2025)), 2025, DEFINITIONS, 10)

    assert set(part.values) == {one.code for one in DEFINITIONS.indicators if one.formula.aggregates}
    assert "H105" not in part.values and "R101" not in part.values
    assert part.values["O101"].shape == (10, 1)
    assert part.values["O101"].std() > 0

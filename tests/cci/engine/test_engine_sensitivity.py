"""Sobol' indices: against SALib on its own test function, against values known in closed form, and on a small index."""

import numpy as np
import pandas as pd
import pytest
from SALib.analyze import sobol as salib
from SALib.test_functions import Ishigami

from cci.engine.config import read_config
from cci.engine.errors import ConfigError, EngineError
from cci.engine.pipeline import run_index
from cci.engine.uncertainty import (
    read_choices,
    read_sensitivity,
    second_order_indices,
    sensitivity,
    sobol_design,
    sobol_indices,
    sobol_points,
)
from cci.engine.uncertainty.sensitivity import NO_EFFECT, bootstrapped, index_table

PROBLEM = {"num_vars": 3, "names": ["x1", "x2", "x3"], "bounds": [[-np.pi, np.pi]] * 3}
# Ishigami with a = 7, b = 0.1: V = a^2/8 + b pi^4/5 + b^2 pi^8/18 + 1/2.
VARIANCE = 49 / 8 + 0.1 * np.pi**4 / 5 + 0.01 * np.pi**8 / 18 + 0.5
FIRST = np.array([0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8, 0]) / VARIANCE
PAIR_13 = 8 * 0.01 * np.pi**8 / 225 / VARIANCE
TOTAL = FIRST + np.array([PAIR_13, 0, PAIR_13])


def ishigami(base: int, *, second_order: bool = False) -> np.ndarray:
    a, b = sobol_points(base, 3, seed=7)
    points = sobol_design(a, b, second_order=second_order)
    return Ishigami.evaluate(-np.pi + 2 * np.pi * points).reshape(-1, base)


def test_same_matrices_give_the_indices_of_salib():
    n, d = 256, 3
    y = ishigami(n)
    # SALib takes the rows point by point: A, AB_1 … AB_d, B of the first point, then of the next.
    oracle = salib.analyze(
        PROBLEM, y[[0, 2, 3, 4, 1]].T.ravel(), calc_second_order=False, num_resamples=2, seed=1, print_to_console=False
    )

    first, total = sobol_indices(y[0], y[1], y[2:])

    # SALib divides the variance by 2n, the method note by 2n - 1.
    divisor = (2 * n - 1) / (2 * n)
    assert len(y) == d + 2
    np.testing.assert_allclose(first, np.asarray(oracle["S1"]) * divisor, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(total, np.asarray(oracle["ST"]) * divisor, rtol=1e-10, atol=1e-12)


def test_second_order_is_that_of_salib():
    n = 256
    y = ishigami(n, second_order=True)
    ours = second_order_indices(y[0], y[1], y[2:5], y[5:8])
    oracle = salib.analyze(
        PROBLEM,
        y[[0, 2, 3, 4, 5, 6, 7, 1]].T.ravel(),
        calc_second_order=True,
        num_resamples=2,
        seed=1,
        print_to_console=False,
    )

    upper = np.triu_indices(3, 1)
    np.testing.assert_allclose(ours[upper], np.asarray(oracle["S2"])[upper] * (2 * n - 1) / (2 * n), atol=1e-9)


def test_closed_form_lies_within_the_bounds():
    y = ishigami(2048)

    first, total = sobol_indices(y[0], y[1], y[2:])
    of_first, of_total = bootstrapped(y[0], y[1], y[2:], times=500, seed=3)

    np.testing.assert_allclose(first, FIRST, atol=0.02)
    np.testing.assert_allclose(total, TOTAL, atol=0.02)
    # The bounds are those of random sampling; Sobol' points do better, so the truth lies well inside.
    assert ((of_first[:, 0] <= FIRST) & (of_first[:, 1] >= FIRST)).all()
    assert ((of_total[:, 0] <= TOTAL) & (of_total[:, 1] >= TOTAL)).all()


def test_an_additive_function_has_no_interactions():
    a, b = sobol_points(512, 2, seed=1)
    points = sobol_design(a, b)
    y = (points @ [3.0, 1.0]).reshape(4, 512)

    first, total = sobol_indices(y[0], y[1], y[2:])

    np.testing.assert_allclose(first, [0.9, 0.1], atol=0.01)
    np.testing.assert_allclose(total, [0.9, 0.1], atol=0.01)


def test_adding_a_constant_changes_no_index_unless_centring_is_off():
    y = ishigami(64)

    centred, moved = sobol_indices(y[0], y[1], y[2:]), sobol_indices(y[0] + 1e3, y[1] + 1e3, y[2:] + 1e3)
    off = sobol_indices(y[0] + 1e3, y[1] + 1e3, y[2:] + 1e3, centred=False)

    np.testing.assert_allclose(centred, moved, rtol=1e-6, atol=1e-9)
    assert np.abs(off[0] - centred[0]).max() > 1


def test_nothing_varies_is_no_effect_not_missing():
    table = index_table(np.full((4, 8), 2.5), ["a", "b"], times=10, seed=1)

    assert (table[["first", "total", "first_q5", "total_q95"]] == 0).all(axis=None)
    assert set(table["note"]) == {NO_EFFECT}


def test_bounds_resample_whole_rows_and_compute_the_variance_anew():
    """Recomputed one resample at a time; with the variance kept, as COINr does, the bounds are others."""
    y = ishigami(64)
    rows = np.random.default_rng(np.random.SeedSequence(2, spawn_key=(1,))).integers(64, size=(50, 64))
    each = [sobol_indices(y[0][r], y[1][r], y[2:, r]) for r in rows]
    variance = np.concatenate([y[0], y[1]]).var(ddof=1)
    fixed = [((y[0][r] - y[2:, r]) ** 2).mean(axis=1) / (2 * variance) for r in rows]

    first, total = bootstrapped(y[0], y[1], y[2:], times=50, seed=2)

    np.testing.assert_allclose(first, np.quantile([one[0] for one in each], [0.05, 0.95], axis=0).T)
    np.testing.assert_allclose(total, np.quantile([one[1] for one in each], [0.05, 0.95], axis=0).T)
    assert np.abs(total - np.quantile(fixed, [0.05, 0.95], axis=0).T).max() > 0.01


META = pd.DataFrame(
    {
        "Level": [1, 1, 1, 1, 2, 2, 3],
        "iCode": ["a", "b", "c", "d", "P", "Q", "T"],
        "Parent": ["P", "P", "Q", "Q", "T", "T", ""],
        "Direction": [1, -1, 1, 1, 1, 1, 1],
        "Weight": 1,
    }
)
BASE = {"treat": {}, "normalise": {"lower": 1, "upper": 100}, "aggregate": {"min_available": 0.5}, "rank": {}}
VARIED = {
    "seed": 5,
    "treat": {"options": [{"winsorise_max": 2}, {"off": True}]},
    "aggregate": {"options": [{"method": "arithmetic_mean"}, {"method": "geometric_mean"}]},
    "weights": {"kind": "noise", "factor": 0.5},
}


def analysed(uncertainty=VARIED, sampling=None, **more):
    rng = np.random.default_rng(4)
    data = pd.DataFrame(rng.lognormal(sigma=1.2, size=(40, 4)), columns=list("abcd"))
    data.insert(0, "uCode", [f"U{n:02d}" for n in range(40)])
    config = BASE | {"uncertainty": uncertainty, "sensitivity": sampling or {"seed": 5, "base": 64}} | more
    return sensitivity(run_index(data, META, config), read_choices(config, read_config), read_sensitivity(config))


def test_indices_of_an_index():
    found = analysed()

    assert list(found.indices["factor"]) == ["treat", "aggregate", "weights"]
    assert found.report["evaluations"] == 64 * 5
    assert found.report["distinct"] < 64 * 5
    assert (found.indices["total"] >= 0).all()
    assert found.indices["total"].sum() >= 0.9
    assert found.report["variance"] == pytest.approx(
        found.evaluations["mean_abs_rank_change"][: 2 * 64].var(), rel=1e-12
    )


def test_a_factor_that_changes_nothing_has_no_effect():
    """Nothing fails the test for outliers when its limit is out of reach, so the treatment makes no difference."""
    same = VARIED | {"treat": {"options": [{"skew": 90, "kurtosis": 900}, {"off": True}]}}

    table = analysed(same).indices.set_index("factor")

    assert table.loc["treat", "first"] == 0
    assert table.loc["treat", "total"] == 0
    assert table.loc["weights", "total"] > 0


def test_per_unit_and_second_order():
    found = analysed(sampling={"seed": 5, "base": 64, "per_unit": True, "second_order": True})

    assert len(found.per_unit) == 40
    assert found.per_unit.filter(like="_total").notna().all(axis=None)
    assert list(zip(found.second["factor"], found.second["with"], strict=True)) == [
        ("treat", "aggregate"),
        ("treat", "weights"),
        ("aggregate", "weights"),
    ]


def test_same_seed_same_answer_other_seed_other_points():
    again, other = analysed(), analysed(sampling={"seed": 6, "base": 64})

    pd.testing.assert_frame_equal(analysed().indices, again.indices)
    assert not other.evaluations.equals(again.evaluations)


def test_one_factor_is_refused():
    with pytest.raises(ConfigError, match="vary at least two"):
        analysed({"seed": 1, "weights": {}})


def test_a_combination_that_cannot_be_computed_is_named():
    holes = VARIED | {"normalise": {"options": [{"method": "min_max", "lower": 1}, {"method": "z_score"}]}}

    with pytest.raises(EngineError, match="method=z_score.*geometric_mean|geometric_mean.*method=z_score"):
        analysed(holes)


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"seed": 1, "base": 100}, r"config, key \[sensitivity\] base: 100 is no power of two"),
        ({"base": 64}, r"config, key \[sensitivity\] seed: is needed"),
        ({"seed": 1, "sample": 64}, r"config, key \[sensitivity\] sample: unknown key"),
    ],
)
def test_settings_are_checked(sampling, message):
    with pytest.raises(ConfigError, match=message):
        read_sensitivity({"sensitivity": sampling})

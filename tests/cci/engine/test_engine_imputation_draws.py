"""Multiple imputation: draws that a seed repeats, with the centre, spread and relations their model says."""

import numpy as np
import pandas as pd
import pytest

from cci.engine.errors import ConfigError
from cci.engine.imputation import DRAW_METHODS, imputation_draws, imputation_model, impute
from cci.engine.imputation.multivariate import fit, start


def table(n: int = 40, k: int = 6, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    cells = random.normal(size=(n, 2)) @ random.normal(size=(2, k)) + random.normal(size=(n, k))
    cells[random.random(cells.shape) < 0.15] = np.nan
    index = pd.Index([f"U{i:02d}" for i in range(n)], name="uCode")
    return pd.DataFrame(10 * cells + 50, index=index, columns=list("abcdefgh")[:k])


@pytest.mark.parametrize("method", DRAW_METHODS)
def test_a_draw_is_the_same_alone_in_blocks_and_in_any_order_of_rows(method):
    values = table()
    groups = pd.Series(["x", "y"] * 20, index=values.index)
    whole = imputation_draws(values, method=method, draws=30, seed=7, groups=groups)
    model = imputation_model(values, method=method, seed=7, groups=groups)
    shuffled = values.sample(frac=1, random_state=3)[list("cfadbe")]
    other = imputation_draws(shuffled, method=method, draws=30, seed=7, groups=groups)

    blocks = np.concatenate([model.draw(count, first=first).values for first, count in ((0, 1), (1, 9), (10, 20))])

    np.testing.assert_array_equal(blocks, whole.values)
    for draw in (0, 29):
        expected = pd.DataFrame(whole.table(values.to_numpy(), draw), values.index, values.columns)
        found = pd.DataFrame(other.table(shuffled.to_numpy(), draw), shuffled.index, shuffled.columns)
        pd.testing.assert_frame_equal(found.loc[values.index, values.columns], expected, check_exact=True)
        assert expected.notna().all().all()
        pd.testing.assert_frame_equal(expected.where(values.notna()), values, check_exact=True)
    assert (imputation_draws(values, method=method, draws=30, seed=8, groups=groups).values != whole.values).any()


@pytest.mark.parametrize("method", DRAW_METHODS)
def test_draws_keep_to_the_observed_range(method):
    values = table()

    drawn = imputation_draws(values, method=method, draws=200, seed=1)

    low, high = values.min().to_numpy()[drawn.columns], values.max().to_numpy()[drawn.columns]
    assert ((drawn.values >= low) & (drawn.values <= high)).all()


def test_em_draws_have_the_conditional_mean_and_covariance_jointly():
    """Against a linear algebra library, for a unit with three gaps; parameters taken as known."""
    values = table(n=60)
    values.iloc[5] = [np.nan, 40.0, np.nan, 55.0, np.nan, 60.0]
    model = fit(values.to_numpy(), start(values.to_numpy(), list(values.columns)))
    z = model.standardised(values.to_numpy())[5]
    gap = np.isnan(z)
    pull = model.covariance[np.ix_(gap, ~gap)] @ np.linalg.inv(model.covariance[np.ix_(~gap, ~gap)])
    mean = model.centre[gap] + model.scale[gap] * (model.mean[gap] + pull @ (z[~gap] - model.mean[~gap]))
    covariance = model.covariance[np.ix_(gap, gap)] - pull @ model.covariance[np.ix_(~gap, gap)]
    covariance = covariance * np.outer(model.scale[gap], model.scale[gap])

    drawn = imputation_draws(values, method="em", draws=6_000, seed=4, parameter_sets=0, keep_range=False)

    sample = drawn.values[:, drawn.rows == 5]
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(sample.mean(axis=0), mean, atol=0.04 * sd.max())
    np.testing.assert_allclose(np.cov(sample.T), covariance, atol=0.06 * sd.max() ** 2)
    filled = impute(values, method="em", keep_range=False).values.to_numpy()
    np.testing.assert_allclose(filled[5][gap], mean, rtol=1e-5)


def test_em_draws_of_parameters_have_the_posterior_of_the_mean():
    """Nothing tells of c but its own column: its mean is uncertain by sd / sqrt(n), which widens the draws."""
    random = np.random.default_rng(0)
    values = pd.DataFrame(random.normal(size=(12, 2)), columns=list("ab"))
    values.loc[11, "b"] = np.nan

    known = imputation_draws(values, draws=2000, seed=1, parameter_sets=0, keep_range=False)
    unsure = imputation_draws(values, draws=2000, seed=1, parameter_sets=400, keep_range=False)

    assert 1.05 < unsure.values.std() / known.values.std() < 1.6
    assert abs(unsure.values.mean() - known.values.mean()) < 0.15


def test_group_normal_draws_have_the_spread_of_a_new_unit_of_the_group():
    """Predictive distribution: Student t with n - 1 degrees, variance s^2 (1 + 1/n) (n - 1) / (n - 3)."""
    random = np.random.default_rng(2)
    values = pd.DataFrame({"a": np.append(random.normal(100, 5, 20), np.nan), "b": 1.0})
    values["a"] = values["a"].where(values.index != 20)
    groups = pd.Series(["x"] * 10 + ["y"] * 10 + ["y"])
    own = values["a"][10:20]

    drawn = imputation_draws(values, method="group_normal", draws=8_000, seed=3, groups=groups, keep_range=False)

    assert drawn.values.mean() == pytest.approx(own.mean(), abs=0.2)
    assert drawn.values.var() == pytest.approx(own.var() * 1.1 * 9 / 7, rel=0.06)


def test_a_small_group_is_drawn_from_the_whole_column_and_equal_values_as_they_are():
    values = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, None], "b": [5.0, 5.0, 5.0, None, None]})
    groups = pd.Series(["x", "x", "x", "y", "y"])

    drawn = imputation_draws(values, method="group_normal", draws=50, seed=3, groups=groups)

    assert list(zip(drawn.rows, drawn.columns, strict=True)) == [(3, 1), (4, 0), (4, 1)]
    assert len(np.unique(drawn.values[:, 1])) > 10
    assert (drawn.values[:, [0, 2]] == 5).all()


def test_neighbours_give_their_own_values_about_equally_often():
    values = pd.DataFrame({"a": [1.0, 1.0, 1.0, 1.0, 9.0], "b": [10.0, 30.0, 50.0, None, 90.0]})

    drawn = imputation_draws(values, method="knn", draws=3000, seed=3, neighbours=3).values[:, 0]

    found, count = np.unique(drawn, return_counts=True)
    assert found.tolist() == [10, 30, 50]
    assert count.min() > 880


@pytest.mark.parametrize("method", DRAW_METHODS)
def test_gaps_that_cannot_be_filled_are_not_drawn(method):
    values = table()
    values["a"] = np.nan
    values.iloc[3] = np.nan

    drawn = imputation_draws(values, method=method, draws=2, seed=1)

    assert 0 not in drawn.columns
    assert (3 in drawn.rows) == (method == "group_normal")
    assert np.isfinite(drawn.values).all()


@pytest.mark.parametrize("method", DRAW_METHODS)
def test_a_table_without_gaps_has_nothing_to_draw(method):
    drawn = imputation_draws(table().dropna(), method=method, draws=3, seed=1)

    assert drawn.values.shape == (3, 0)


def test_an_unknown_way_to_draw_is_refused():
    with pytest.raises(ConfigError, match="'hotdeck' is not known; choose em, group_normal, knn"):
        imputation_draws(table(), method="hotdeck", draws=1, seed=1)

"""COINr's Monte Carlo on the ASEM data, replayed: 200 random and 600 designed replicates, and what it says of them."""

import numpy as np
import pandas as pd
import pytest

from cci.engine.config import read_config
from cci.engine.meta import read_meta
from cci.engine.pipeline import run_index
from cci.engine.uncertainty import (
    given_weights,
    mean_rank_change,
    rank_statistics,
    read_choices,
    replay,
    sobol_indices,
    uncertainty,
)
from cci.engine.uncertainty.sensitivity import index_table

CONFIG = {
    "compat": "coinr",
    "treat": {},
    "normalise": {"method": "min_max", "lower": 0, "upper": 100},
    "aggregate": {},
    "rank": {},
    "uncertainty": {
        "seed": 1,
        "treat": {"winsorise_max": [1, 2, 3, 4, 5]},
        "normalise": {
            "options": [{"method": "min_max", "lower": 1, "upper": 100}, {"method": "z_score", "mean": 10, "sd": 2}]
        },
        "aggregate": {"options": [{"method": "arithmetic_mean"}, {"method": "geometric_mean"}]},
        "weights": {"kind": "noise", "factor": 0.25, "levels": [2, 3]},
    },
}


@pytest.fixture
def read(asem):
    def table(name: str) -> pd.DataFrame:
        return pd.read_csv(asem(f"uncertainty/{name}.csv"), dtype={"uCode": str}).set_index("uCode").sort_index()

    return table


@pytest.fixture
def run(asem):
    data = pd.read_csv(asem("a_example/04_screened.csv"), dtype={"uCode": str})
    meta = pd.read_csv(asem("inputs/iMeta.csv"), dtype=str, keep_default_na=False)
    return run_index(data, meta, CONFIG)


@pytest.fixture
def replayed(asem, run):
    def evaluate(kind: str):
        used = pd.read_csv(asem(f"uncertainty/{kind}_replicates.csv"))
        numbers = pd.DataFrame(
            {
                "treat": used["winmax"] - 1,
                "normalise": used["normalisation"].map({"n_minmax": 0, "n_zscore": 1}),
                "weights": used["weight_set"] - 1,
                "aggregate": used["aggregation"].map({"a_amean": 0, "a_gmean": 1}),
            }
        )
        sets = pd.read_csv(asem("uncertainty/noisy_weight_sets.csv"))
        return replay(run, read_choices(CONFIG, read_config), numbers, weight_sets=sets)

    return evaluate


@pytest.mark.parametrize("kind", ["ua", "sa"])
def test_replicates_have_the_scores_and_ranks_of_the_reference(kind, read, replayed):
    found, scores, ranks = replayed(kind), read(f"{kind}_scores"), read(f"{kind}_ranks")

    assert set(found.problems) == {""}
    np.testing.assert_allclose(found.scores.T, scores.drop(columns="Nominal"), rtol=1e-9)
    np.testing.assert_array_equal(found.ranks.T, ranks.drop(columns="Nominal"))


@pytest.mark.parametrize(("kind", "counted"), [("ua", 200), ("sa", 200)])
def test_rank_statistics(kind, counted, read, replayed):
    ranks, expected = read(f"{kind}_ranks"), read(f"{kind}_rank_stats")

    found = rank_statistics(replayed(kind).ranks[:counted], ranks["Nominal"].to_numpy(), units=ranks.index)

    np.testing.assert_allclose(
        found[["nominal", "mean", "median", "q5", "q95"]].to_numpy(dtype=float), expected, rtol=1e-12
    )


def test_the_nominal_run_is_the_reference_s(run, read):
    np.testing.assert_allclose(run.stages["scores"]["Index"], read("ua_scores")["Nominal"], rtol=1e-9)
    np.testing.assert_array_equal(run.stages["ranks"]["Index"], read("ua_ranks")["Nominal"])


def test_target_and_indices_of_the_designed_replicates(asem, read, replayed):
    target = pd.read_csv(asem("uncertainty/sa_target.csv"))["mean_abs_rank_change"]
    expected = pd.read_csv(asem("uncertainty/sa_sensitivity_indices.csv"))

    y = mean_rank_change(replayed("sa").ranks, read("sa_ranks")["Nominal"].to_numpy())

    np.testing.assert_allclose(y, target, rtol=1e-12)
    y = y.reshape(6, 100)
    first, total = sobol_indices(y[0], y[1], y[2:], centred=False)
    np.testing.assert_allclose(first, expected["Si"], rtol=1e-9)
    np.testing.assert_allclose(total, expected["STi"], rtol=1e-9)


def test_our_bounds_are_not_those_of_a_fixed_variance(asem, read, replayed):
    """COINr keeps V when it resamples. The total's upper bound moves with V, so ours differs from the reference."""
    expected = pd.read_csv(asem("uncertainty/sa_sensitivity_indices.csv"))
    y = mean_rank_change(replayed("sa").ranks, read("sa_ranks")["Nominal"].to_numpy()).reshape(6, 100)

    table = index_table(y, expected["Variable"], times=2000, seed=1, centred=False)

    assert (table["first_q5"] < table["first"]).all()
    assert (table["first"] < table["first_q95"]).all()
    # The resampled numerators spread alike: only large differences would mean another estimator.
    np.testing.assert_allclose(table["first_q95"], expected["Si_q95"], atol=0.15)
    np.testing.assert_allclose(table["total_q95"], expected["STi_q95"], atol=0.15)


def test_weight_sets_are_noise_of_a_quarter_on_pillars_and_sub_indices(asem):
    meta = pd.read_csv(asem("inputs/iMeta.csv"), dtype=str, keep_default_na=False)
    tree = read_meta(meta)

    sets = given_weights(pd.read_csv(asem("uncertainty/noisy_weight_sets.csv")), tree)

    assert sets.shape == (100, len(tree.indicators) + len(tree.aggregates))
    assert (sets[:, : len(tree.indicators)] == 1).all()
    varied = sets[:, [len(tree.indicators) + tree.aggregates.index(code) for code in tree.at_level(2)]]
    assert (varied >= 0.75).all() and (varied <= 1.25).all() and (np.ptp(varied, axis=0) > 0.4).all()


def test_a_fresh_analysis_finds_the_reference_s_intervals(run, read):
    """Other random numbers, the same question: means within four standard errors of 200 against 1,000 replicates."""
    expected, spread = read("ua_rank_stats"), read("ua_ranks").drop(columns="Nominal").std(axis=1)

    found = uncertainty(run, read_choices(CONFIG, read_config)).rank_stats

    assert list(found.index) == list(expected.index)
    assert ((found["mean"] - expected["Mean"]).abs() <= 4 * spread * np.sqrt(1 / 200 + 1 / 1000) + 0.1).all()
    assert ((found["q5"] <= expected["Q95"]) & (found["q95"] >= expected["Q5"])).all()

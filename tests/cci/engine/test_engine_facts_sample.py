"""The FACTS sample: 24 clusters in five rounds, by rules N1, N3 and N7, through the command line."""

import shutil

import numpy as np
import pandas as pd

CONFIG = """\
[normalise]
method = "goalposts"
file = "goalposts.csv"

[aggregate]
method = ["arithmetic_mean", "arithmetic_mean", "geometric_mean"]
min_available = [0, 0, 1]
min_weight_share = [0.6, 0.66, 0]
min_components = [2, 0, 5]
floor = [0, 0, 1]

[rank]
"""


def test_sample_scores_are_reproduced(run, design, tmp_path):
    shutil.copy(design("facts-synthetic-sample/goalposts.csv"), tmp_path)
    expected = pd.read_csv(design("facts-synthetic-sample/scores.csv")).set_index(["uCode", "Time"])

    answer = run(design("facts-synthetic-sample/iData.csv"), design("facts-cci-imeta.csv"), CONFIG)

    assert answer.code == 0, answer.err
    scores = pd.read_csv(answer.out / "scores.csv").set_index(["uCode", "Time"])
    assert len(scores) == len(expected) == 120
    assert list(scores.index) == sorted(scores.index)
    np.testing.assert_allclose(
        scores[expected.columns].to_numpy(), expected.loc[scores.index].to_numpy(), atol=1e-4, rtol=0
    )
    assert scores.loc[(slice(None), 2021), "O2"].isna().all()
    assert scores["CCI"].notna().all()


def test_sample_ranks_are_made_within_each_round(run, design, tmp_path):
    shutil.copy(design("facts-synthetic-sample/goalposts.csv"), tmp_path)

    answer = run(design("facts-synthetic-sample/iData.csv"), design("facts-cci-imeta.csv"), CONFIG)

    ranks = pd.read_csv(answer.out / "ranks.csv").set_index(["uCode", "Time"])
    assert (ranks["CCI"].groupby("Time").min() == 1).all()
    assert (ranks["CCI"].groupby("Time").max() <= 24).all()
    coverage = pd.read_csv(answer.out / "coverage.csv").set_index(["uCode", "Time"])
    assert coverage.loc[("CN-SHO-WNZ", 2021), "O2"] == 0.5

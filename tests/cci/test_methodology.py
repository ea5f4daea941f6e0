"""Goalposts by rule N1 and rank intervals, by hand and by property."""

import numpy as np
import pandas as pd
import pytest

from cci.methodology import derive_goalposts, load_method, rank_intervals


def test_the_method_is_whole():
    method = load_method("1.0")

    assert len(method.definitions.indicators) == 65
    assert len(method.definitions.dimensions) == 18
    assert sum(method.definitions.index_weight(i) for i in method.definitions.indicators) == pytest.approx(1)
    assert set(method.goalposts["iCode"]) == {i.code for i in method.definitions.indicators}
    assert len(method.meta) == 65 + 18 + 5 + 1


def test_goalposts_are_the_5th_and_95th_percentile_of_the_transformed_values():
    definitions = load_method("1.0").definitions
    values = pd.DataFrame({i.code: np.arange(1.0, 22.0) for i in definitions.indicators})

    posts = derive_goalposts(values, definitions).set_index("iCode")

    assert posts.loc["O102", ["lo", "hi"]].tolist() == [2.0, 20.0]  # linear
    assert posts.loc["O101", "lo"] == pytest.approx(np.quantile(np.log(np.arange(1, 22)), 0.05), rel=1e-6)
    assert posts.loc["H103", ["lo", "hi"]].tolist() == [0.0, 100.0]  # fixed


def test_an_indicator_without_spread_is_refused_by_name():
    definitions = load_method("1.0").definitions
    values = pd.DataFrame({i.code: [5.0] * 9 for i in definitions.indicators})

    with pytest.raises(ValueError, match="O101 has no spread"):
        derive_goalposts(values, definitions)


WEIGHTS = pd.Series({"O": 0.5, "H": 0.5})


def interval(pillars, **options):
    settings = {"draws": 400, "concentration": 40, "seed": 1}
    return rank_intervals(pillars, WEIGHTS, **{**settings, **options})


def test_a_cluster_that_leads_in_every_pillar_is_first_under_any_weights():
    pillars = pd.DataFrame({"O": [90.0, 50, 20], "H": [90.0, 20, 50]}, index=list("ABC"))

    found = interval(pillars)

    assert found.loc["A"].tolist() == [1, 1]
    assert found.loc["B"].tolist() == found.loc["C"].tolist() == [2, 3]


def test_intervals_depend_on_the_seed_alone():
    pillars = pd.DataFrame({"O": [90.0, 50, 20], "H": [10.0, 20, 50]}, index=list("ABC"))

    assert interval(pillars).equals(interval(pillars))


def test_no_ranked_cluster_has_no_interval():
    assert interval(pd.DataFrame({"O": [], "H": []}, dtype=float)).empty

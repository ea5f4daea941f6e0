"""Goalposts by rule N1 and rank intervals, by hand and by property."""

import numpy as np
import pandas as pd
import pytest

from cci.draws import draw_weights, drawn_ranks, rank_quantiles, ranks_inside, share_ahead
from cci.methodology import derive_goalposts, load_method


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


WEIGHTS = np.array([0.5, 0.5])


def ranks(*pillars, draws=400, seed=1) -> list[list[int]]:
    """Low and high rank of each cluster over weight draws; one row of two pillars per cluster."""
    found = rank_quantiles(drawn_ranks(np.array([pillars], dtype=float), draw_weights(WEIGHTS, draws, 40, seed)))
    return np.array(found).T.tolist()


def test_a_cluster_that_leads_in_every_pillar_is_first_under_any_weights():
    assert ranks((90, 90), (50, 20), (20, 50)) == [[1, 1], [2, 3], [2, 3]]


def test_drawn_weights_add_up_and_depend_on_the_seed_alone():
    drawn = draw_weights(WEIGHTS, 400, 40, 1)

    assert drawn.sum(axis=1) == pytest.approx(np.ones(400))
    assert drawn.mean(axis=0) == pytest.approx(WEIGHTS, abs=0.01)
    assert np.array_equal(drawn, draw_weights(WEIGHTS, 400, 40, 1))


def test_no_ranked_cluster_has_no_interval():
    low, high = rank_quantiles(drawn_ranks(np.zeros((1, 0, 2)), draw_weights(WEIGHTS, 10, 40, 1)))

    assert len(low) == len(high) == 0


def test_equal_clusters_share_the_best_rank_in_every_draw():
    assert ranks((50, 50), (50, 50), (10, 10)) == [[1, 1], [1, 1], [3, 3]]


def test_draws_of_firms_and_of_weights_go_side_by_side():
    """Draw d takes replicate d mod 2: two replicates put another cluster first, ten weights change nothing."""
    replicates = np.array([[[60.0, 60], [50, 50]], [[40.0, 40], [50, 50]]])
    low, high = rank_quantiles(drawn_ranks(replicates, np.tile(WEIGHTS, (10, 1))))

    assert low.tolist() == [1, 1]
    assert high.tolist() == [2, 2]


def test_ranks_inside_a_group_are_those_of_its_members_alone():
    """Against counting, draw by draw."""
    ranks = np.random.default_rng(3).integers(1, 9, size=(50, 6))

    found = ranks_inside(ranks)

    for draw, row in enumerate(ranks):
        assert found[draw].tolist() == [1 + sum(other < own for other in row) for own in row]


def test_the_share_ahead_counts_draws_and_halves_ties():
    ranks = np.array([[1, 2, 3], [2, 1, 3], [1, 1, 3], [3, 1, 2]])

    found = share_ahead(ranks, np.array([0, 1]), np.array([1, 2]))

    assert found.tolist() == [0.375, 1.0]


def test_peer_goalposts_need_eight_clusters_of_a_division():
    """N2: eight clusters of division 13 get posts of their own on five indicators; seven of division 15 do not."""
    method = load_method("1.0")
    codes = [f"A{n}" for n in range(8)] + [f"B{n}" for n in range(7)]
    divisions = {code: "13" if code[0] == "A" else "15" for code in codes}
    rows = np.array([10.0 + n for n in range(8)] + [100.0 + n for n in range(7)])
    values = pd.DataFrame({one.code: rows for one in method.definitions.indicators}, index=codes)

    posts = derive_goalposts(values, method.definitions, divisions, method.content["peers"])

    own = posts[posts["group"] != ""].set_index("iCode")
    assert set(own["group"]) == {"13"}
    assert list(own.index) == ["O103", "O104", "O403", "H301", "S102"]
    assert own.loc["O104", ["lo", "hi"]].tolist() == pytest.approx(np.quantile(rows[:8], [0.05, 0.95]).tolist())
    assert own.loc["O103", "lo"] == pytest.approx(np.quantile(np.log(rows[:8]), 0.05), rel=1e-6)
    whole = posts[posts["group"] == ""].set_index("iCode")
    assert whole.loc["S102", ["lo", "hi"]].tolist() == [0, 100]  # fixed for all, percentiles among peers
    assert whole.loc["O104", "hi"] == pytest.approx(np.quantile(rows, 0.95))

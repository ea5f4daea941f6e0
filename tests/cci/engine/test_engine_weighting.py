"""Weights: COINr's where they make sense, what the optimum must satisfy, and refusals by name."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine import DataError, MetaError, NonPositiveError, effective_weights, read_meta
from cci.engine.aggregation import LevelRule, aggregate, benefit_of_doubt
from cci.engine.weighting import (
    critic_weights,
    entropy_weights,
    equal_weights,
    optimised_weights,
    pca_weights,
    with_weights,
)
from cci.engine.weighting.principal import principal_components, varimax

META = pd.DataFrame(
    {
        "Level": [1, 1, 1, 1, 1, 2, 2, 3],
        "iCode": ["a", "b", "c", "d", "e", "P", "Q", "T"],
        "Parent": ["P", "P", "P", "Q", "Q", "T", "T", ""],
        "Direction": [1, -1, 1, 1, -1, 1, 1, 1],
        "Weight": [1, 2, 0.5, 1, 3, 0.4, 0.6, 1],
    }
)
TREE = read_meta(META)
CODES = list("abcde")
FLAT = read_meta(
    pd.DataFrame(
        {"Level": [1, 1, 1, 2], "iCode": list("abcT"), "Parent": ["T", "T", "T", ""], "Direction": 1, "Weight": 1}
    )
)


def invented(n: int = 40, gaps: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    common = rng.normal(size=(n, 1))
    cells = 50 + 10 * common + 8 * rng.normal(size=(n, 5)) * [1, 2, 1, 0.5, 1.5]
    cells = np.clip(cells, 1, None)
    cells[rng.random((n, 5)) < gaps] = np.nan
    return pd.DataFrame(cells, columns=CODES, index=[f"U{i:02d}" for i in range(n)])


def read(path) -> pd.DataFrame:
    return pd.read_csv(path).set_index("uCode")


def asem_hierarchy(asem):
    return read_meta(pd.read_csv(asem("inputs/iMeta.csv")))


# --- Given ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["equal", "unequal"])
def test_effective_weights_are_those_of_coinr(asem, kind):
    expected = pd.read_csv(asem(f"weights/effective_weights_{kind}.csv")).set_index("iCode")
    changed = with_weights(asem_hierarchy(asem), expected["Weight"])

    effective = effective_weights(changed)

    np.testing.assert_allclose(effective.loc[expected.index], expected["EffWeight"], rtol=1e-12)
    for level in range(1, 5):
        assert effective[changed.at_level(level)].sum() == pytest.approx(1, rel=1e-12)


def test_weights_are_exchanged_and_nothing_else_is():
    changed = with_weights(TREE, {"b": 0.0, "Q": 2})

    assert changed.weights.to_dict() == {**TREE.weights.to_dict(), "b": 0.0, "Q": 2.0}
    assert TREE.weights["b"] == 2
    assert (changed.indicators, changed.parents, changed.levels) == (TREE.indicators, TREE.parents, TREE.levels)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"x": 1.0}, "no element x"),
        ({"a": -1.0}, "weight of a is -1"),
        ({"a": float("nan")}, "weight of a is nan"),
        ({"a": float("inf")}, "weight of a is inf"),
        ({"d": 0.0, "e": 0.0}, "weights of Q sum to 0"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, words):
    with pytest.raises(MetaError, match=words):
        with_weights(TREE, weights)


def test_equal_weights_share_each_group():
    assert equal_weights(TREE).weights.to_dict() == pytest.approx(
        {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3, "d": 0.5, "e": 0.5, "P": 0.5, "Q": 0.5}
    )
    assert list(equal_weights(TREE, level=2).weights.index) == ["P", "Q"]
    with pytest.raises(ValueError, match="1 to 2"):
        equal_weights(TREE, level=3)


# --- Principal components -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "source"), [(1, "06_normalised"), (2, "07_aggregated_amean")])
def test_principal_components_are_those_of_coinr(asem, level, source):
    tree, values = asem_hierarchy(asem), read(asem(f"a_example/{source}.csv"))
    loadings = pd.read_csv(asem(f"weights/pca_level{level}.csv")).set_index("iCode")["Weight"]
    eigen = pd.read_csv(asem(f"weights/pca_level{level}_eigen.csv")).set_index("group")

    for group in tree.at_level(level + 1):
        codes = tree.components(group)
        eigenvalues, vectors, used = principal_components(values, codes, group)

        assert used == 51
        np.testing.assert_allclose(np.abs(vectors[:, 0]), loadings[codes].abs(), rtol=1e-9)
        np.testing.assert_allclose(eigenvalues, eigen.loc[group, "eigenvalue"], rtol=1e-9)
        np.testing.assert_allclose(eigenvalues / len(codes), eigen.loc[group, "frac_var"], rtol=1e-9)
        # The same axis, up to its sign: COINr leaves that to chance.
        assert abs(vectors[:, 0] @ loadings[codes]) == pytest.approx(1, rel=1e-9)
        assert vectors[:, 0].sum() > 0


def test_a_group_without_common_direction_is_refused_by_name(asem):
    """COINr weighs Social by -0.74."""
    values = read(asem("a_example/07_aggregated_amean.csv"))

    with pytest.raises(MetaError, match=r"Sust has negative loadings: Social \(-0.74\)"):
        pca_weights(values, asem_hierarchy(asem), 2)


@pytest.mark.parametrize("variant", ["first", "handbook"])
def test_component_weights_are_shares_and_indifferent_to_order_and_unit(variant):
    values = invented()

    found = pca_weights(values, TREE, 1, variant=variant)

    assert (found.weights >= 0).all()
    assert found.weights.groupby(found.details["group"]).sum().tolist() == pytest.approx([1, 1])
    again = pca_weights(values.sample(frac=1, random_state=3)[CODES[::-1]] * 7 + 3, TREE, 1, variant=variant)
    pd.testing.assert_series_equal(again.weights, found.weights, rtol=1e-9)
    same = pca_weights(values.sample(frac=1, random_state=4), TREE, 1, variant=variant)
    pd.testing.assert_frame_equal(same.details, found.details, check_exact=True)


def test_handbook_weights_of_one_factor_are_its_squared_loadings():
    values = invented()[["a", "b", "c"]]

    found = pca_weights(values, FLAT, 1, variant="handbook")

    eigenvalues, vectors = np.linalg.eigh(np.corrcoef(values.to_numpy().T))
    assert (eigenvalues > 1).sum() == 1
    assert found.weights.to_numpy() == pytest.approx(vectors[:, -1] ** 2)


def test_handbook_weights_of_two_factors_follow_the_factor_that_holds_each():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 400))
    noise = rng.normal(size=(4, 400))
    codes = ["a", "b", "c", "d"]
    values = pd.DataFrame(
        dict(zip(codes, [x + 0.3 * noise[0], x + 0.6 * noise[1], y + 0.3 * noise[2], y + noise[3]], strict=True))
    )
    tree = read_meta(
        pd.DataFrame(
            {"Level": [1] * 4 + [2], "iCode": [*codes, "T"], "Parent": ["T"] * 4 + [""], "Direction": 1, "Weight": 1}
        )
    )

    found = pca_weights(values, tree, 1, variant="handbook")

    assert found.details["factor"].tolist() in ([1, 1, 2, 2], [2, 2, 1, 1])
    squares = found.details["loading"] ** 2
    assert found.weights.to_numpy() == pytest.approx((squares / squares.sum()).to_numpy(), rel=1e-9)
    assert (found.details["eigenvalues_above_1"] == 2).all()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.floats(-1, 1), min_size=2, max_size=2), min_size=3, max_size=6))
def test_no_other_turn_of_two_factors_is_better_than_varimax(rows):
    loadings = np.array(rows)
    lengths = np.sqrt((loadings**2).sum(axis=1, keepdims=True))
    if (lengths < 0.1).any():
        return

    def criterion(turned):
        return (turned**2 / lengths**2).var(axis=0).sum()

    found = varimax(loadings)

    np.testing.assert_allclose((found**2).sum(axis=1), (loadings**2).sum(axis=1), atol=1e-12)
    for angle in np.linspace(0, np.pi / 2, 91):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert criterion(loadings @ turn) <= criterion(found) + 1e-9


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"a": 3.0}, DataError, "a has one distinct value"),
        ({"a": np.nan}, DataError, "0 units have all of T's components"),
        ({"a": lambda v: -v["b"] - v["c"]}, MetaError, "negative loadings: a"),
    ],
)
def test_data_that_have_no_components_are_refused(change, error, words):
    with pytest.raises(error, match=words):
        pca_weights(invented()[["a", "b", "c"]].assign(**change), FLAT, 1)


def test_two_equal_components_leave_no_first():
    values = pd.DataFrame({"d": [1.0, -1.0, 1.0, -1.0], "e": [1.0, 1.0, -1.0, -1.0], "a": 0.0, "b": 0.0, "c": 0.0})
    values[["a", "b", "c"]] = np.arange(12).reshape(4, 3)

    with pytest.raises(DataError, match="first two components of Q explain the same"):
        pca_weights(values, TREE, 1)


# --- Optimised ------------------------------------------------------------------------------------------------------


def importance(normalised, tree, rules, level, weights):
    """Correlations with the index, by the engine's own scores."""
    scores = aggregate(normalised, with_weights(tree, weights), rules)
    table = normalised if level == 1 else scores
    codes = list(weights.index)
    return np.array([table[code].corr(scores[tree.at_level(tree.top_level)[0]]) for code in codes])


def loss_of(correlations, targets):
    return float(((correlations / correlations.sum() - targets) ** 2).mean())


def test_well_posed_optimum_is_that_of_coinr(asem):
    expected = pd.read_csv(asem("weights/opt_level3_equal_tol1e-10.csv")).set_index("iCode")

    found = optimised_weights(
        read(asem("a_example/06_normalised.csv")), asem_hierarchy(asem), [LevelRule()] * 3, level=3
    )

    np.testing.assert_allclose(found.weights[expected.index], expected["OptWeight"], rtol=1e-9)
    np.testing.assert_allclose(found.details.loc[expected.index, "reached"], expected["Obtained"], rtol=1e-9)
    assert found.report["converged"]
    assert found.report["reached"] < 1e-18


def test_optimum_has_no_negative_weight_and_no_better_neighbour(asem):
    """COINr's own answer on this level has a weight of -0.20."""
    normalised, tree, rules = read(asem("a_example/06_normalised.csv")), asem_hierarchy(asem), [LevelRule()] * 3
    theirs = pd.read_csv(asem("weights/opt_level2_equal_tol1e-8.csv")).set_index("iCode")["OptWeight"]

    found = optimised_weights(normalised, tree, rules, level=2)

    assert theirs.min() < -0.2
    assert (found.weights >= 0).all()
    assert found.weights.groupby(found.details["group"]).sum().tolist() == pytest.approx([1, 1])
    correlations = importance(normalised, tree, rules, 2, found.weights)
    np.testing.assert_allclose(found.details["correlation"], correlations, rtol=1e-9)
    reached = loss_of(correlations, 1 / 8)
    assert found.report["reached"] == pytest.approx(reached, rel=1e-9)
    # Theirs made lawful, equal ones, and many others: none is better under the constraint.
    codes = list(found.weights.index)
    assert found.details["group"].tolist() == ["Conn"] * 5 + ["Sust"] * 3
    pillars = aggregate(normalised, tree, rules)[codes].to_numpy()

    def loss_by_hand(weights):
        conn, sust = (pillars[:, part] @ (weights[part] / weights[part].sum()) for part in (slice(5), slice(5, 8)))
        return loss_of(np.corrcoef(np.column_stack([pillars, conn + sust]).T)[:8, 8], 1 / 8)

    assert loss_by_hand(found.weights.to_numpy()) == pytest.approx(reached, rel=1e-9)
    rng = np.random.default_rng(11)
    tries = [theirs[codes].clip(lower=0).to_numpy(), np.ones(8)]
    tries += [rng.dirichlet(np.full(8, alpha)) + 1e-9 for alpha in (0.2, 1.0, 5.0) for _ in range(300)]
    tries += [np.clip(found.weights.to_numpy() + rng.normal(0, 0.02, 8), 0, None) for _ in range(300)]
    assert min(map(loss_by_hand, tries)) >= reached * (1 - 1e-9)


def test_targets_go_by_name_and_are_reached():
    normalised, rules = invented(), [LevelRule()] * 2
    wanted = {"Q": 0.4, "P": 0.6}

    found = optimised_weights(normalised, TREE, rules, level=2, targets=wanted)
    turned = optimised_weights(normalised, TREE, rules, level=2, targets=dict(reversed(wanted.items())))

    assert found.details.loc["P", "reached"] == pytest.approx(0.6, abs=1e-6)
    assert found.details.loc["Q", "target"] == 0.4
    pd.testing.assert_series_equal(turned.weights, found.weights)


@pytest.mark.parametrize("method", ["arithmetic_mean", "geometric_mean"])
@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_other_means_and_gaps_are_optimised_as_they_are_scored(method, gaps):
    normalised, rules = invented(gaps=gaps), [LevelRule(method, min_available=0.3)] * 2

    found = optimised_weights(normalised, TREE, rules, level=1)

    correlations = importance(normalised, TREE, rules, 1, found.weights)
    np.testing.assert_allclose(found.details["correlation"], correlations, rtol=1e-8)
    equal = importance(normalised, TREE, rules, 1, equal_weights(TREE, level=1).weights)
    assert loss_of(correlations, 0.2) <= loss_of(equal, 0.2)
    assert found.report["converged"]


def test_both_ways_to_the_optimum_meet():
    """A floor that binds nothing sends the same problem the general way."""
    normalised = invented()

    direct = optimised_weights(normalised, TREE, [LevelRule()] * 2, level=1)
    general = optimised_weights(normalised, TREE, [LevelRule(floor=1e-6)] * 2, level=1)

    np.testing.assert_allclose(direct.weights, general.weights, atol=1e-4)
    assert direct.report["reached"] == pytest.approx(general.report["reached"], abs=1e-9)


def test_infomax_finds_the_greatest_mean_correlation():
    normalised, rules = invented(), [LevelRule()] * 2

    found = optimised_weights(normalised, TREE, rules, level=2, objective="infomax")

    grid = [pd.Series({"P": share, "Q": 1 - share}) for share in np.linspace(0.05, 0.95, 19)]
    best = max(importance(normalised, TREE, rules, 2, weights).mean() for weights in grid)
    assert found.report["reached"] >= best - 1e-12
    assert found.report["reached"] == pytest.approx(importance(normalised, TREE, rules, 2, found.weights).mean())


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ({"P": 1.0}, "Q have no target"),
        ({"P": 1.0, "Q": 1.0, "x": 1.0}, "target x is no element"),
        ({"P": 1.0, "Q": 1.0, "a": 1.0}, "target a stands on another level"),
        ({"P": -1.0, "Q": 1.0}, "target of P is -1"),
        ({"P": 0.0, "Q": 0.0}, "sum to 0"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, words):
    with pytest.raises(MetaError, match=words):
        optimised_weights(invented(), TREE, [LevelRule()] * 2, level=2, targets=targets)


def test_an_element_that_does_not_vary_can_have_no_importance():
    with pytest.raises(DataError, match="b does not vary"):
        optimised_weights(invented().assign(b=5.0), TREE, [LevelRule()] * 2, level=1)


# --- Spread ---------------------------------------------------------------------------------------------------------


def test_entropy_weights_by_hand():
    values = pd.DataFrame({"a": [1.0, 1.0, 2.0], "b": [0.0, 0.0, 4.0], "c": [3.0, 3.0, 3.0]})
    of_a = -(0.25 * np.log(0.25) * 2 + 0.5 * np.log(0.5)) / np.log(3)

    found = entropy_weights(values, FLAT, 1)

    assert found.details["entropy"].tolist() == pytest.approx([of_a, 0, 1])
    assert found.weights.tolist() == pytest.approx([(1 - of_a) / (2 - of_a), 1 / (2 - of_a), 0])


def test_critic_weights_by_hand():
    values = invented()[["a", "b", "c"]]
    scaled = (values - values.min()) / (values.max() - values.min())
    raw = scaled.std() * (1 - scaled.corr()).sum()

    found = critic_weights(values, FLAT, 1)

    assert found.weights.to_dict() == pytest.approx((raw / raw.sum()).to_dict())


@pytest.mark.parametrize("method", [entropy_weights, critic_weights])
def test_weights_from_spread_skip_gaps_and_ignore_order(method):
    values = invented(gaps=0.1)

    found = method(values, TREE, 1)

    assert found.weights.groupby(found.details["group"]).sum().tolist() == pytest.approx([1, 1])
    again = method(values.sample(frac=1, random_state=1)[CODES[::-1]], TREE, 1)
    pd.testing.assert_frame_equal(again.details, found.details, check_exact=True)


@pytest.mark.parametrize(
    ("method", "change", "words"),
    [
        (entropy_weights, {"a": -1.0}, "a has the value -1"),
        (entropy_weights, {"a": 0.0}, "a has 40 values, 0 above 0"),
        (entropy_weights, {"a": 1.0, "b": 1.0, "c": 2.0}, "no component of T tells units apart"),
        (critic_weights, {"a": 1.0}, "a does not vary"),
        (critic_weights, {"b": lambda v: v["a"], "c": lambda v: 2 * v["a"]}, "no component of T tells units apart"),
    ],
)
def test_data_without_spread_are_refused(method, change, words):
    with pytest.raises(DataError, match=words):
        method(invented()[["a", "b", "c"]].assign(**change), FLAT, 1)


# --- Benefit of the doubt -------------------------------------------------------------------------------------------


def best_by_corners(own, cells):
    """Two components: the best weights lie on a corner of the constraints; all corners are tried."""
    lines = [(*row, 1.0) for row in cells] + [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
    best = 0.0
    for (a, b, c), (d, e, f) in itertools.combinations(lines, 2):
        determinant = a * e - b * d
        if abs(determinant) < 1e-12:
            continue
        w = np.array([(c * e - b * f) / determinant, (a * f - c * d) / determinant])
        if (w >= -1e-9).all() and (cells @ w <= 1 + 1e-9).all():
            best = max(best, float(own @ w))
    return best


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=8))
def test_each_unit_gets_its_best_weights(rows):
    values = pd.DataFrame(np.array(rows, dtype=float), columns=["a", "b"])

    scores, weights = benefit_of_doubt(values)

    cells = values.to_numpy()
    assert scores.tolist() == pytest.approx([best_by_corners(own, cells) for own in cells], rel=1e-7)
    assert (cells @ weights.to_numpy().T <= 1 + 1e-7).all()
    assert scores.max() == pytest.approx(1)


def test_bounds_hold_the_parts_and_lower_the_score():
    values = invented(30)

    free, _ = benefit_of_doubt(values)
    bound, weights = benefit_of_doubt(values, shares=dict.fromkeys(CODES, (0.1, 0.4)))

    parts = (weights * values).div((weights * values).sum(axis=1), axis=0)
    assert ((parts >= 0.1 - 1e-7) & (parts <= 0.4 + 1e-7)).all(axis=None)
    assert (bound <= free + 1e-9).all()


def test_units_of_measure_and_order_change_no_score():
    values = invented(30)

    first, _ = benefit_of_doubt(values, shares=(0.05, 0.6))
    second, _ = benefit_of_doubt(values.sample(frac=1, random_state=2) * [1, 1000, 1e-3, 5, 2], shares=(0.05, 0.6))

    pd.testing.assert_series_equal(second.loc[first.index], first, rtol=1e-7)


def test_gaps_are_scored_among_those_who_have_the_rest():
    values = pd.DataFrame({"a": [4.0, 2.0, None, 0.0], "b": [1.0, None, None, 0.0]}, index=list("WXYZ"))

    scores, weights = benefit_of_doubt(values)

    assert scores[["W", "X"]].tolist() == pytest.approx([1, 0.5])
    assert scores[["Y", "Z"]].isna().all()
    assert np.isnan(weights.loc["X", "b"])


def test_bounds_and_values_that_mean_nothing_are_refused():
    values = invented(5)

    with pytest.raises(ValueError, match="no parts that sum to 1"):
        benefit_of_doubt(values, shares=(0.3, 1.0))
    with pytest.raises(ValueError, match="no component x"):
        benefit_of_doubt(values, shares={"x": (0.0, 1.0)})
    with pytest.raises(ValueError, match="0 <= least"):
        benefit_of_doubt(values, shares=(0.3, 0.2))
    with pytest.raises(NonPositiveError, match="unit U01: component b"):
        benefit_of_doubt(values.assign(b=[1.0, -1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(DataError, match="unit U00 has b, c, d, e only"):
        benefit_of_doubt(values.assign(a=[None, 1.0, 1.0, 1.0, 1.0]), shares=dict.fromkeys(CODES, (0.0, 0.2)))

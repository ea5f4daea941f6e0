"""Uncertainty analysis: each replicate is an index of its own, chance is repeatable, and refusals have names."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine import compute
from cci.engine.aggregation import LevelRule, aggregate
from cci.engine.config import read_config
from cci.engine.errors import ConfigError, DataError
from cci.engine.meta import read_meta
from cci.engine.pipeline import run_index
from cci.engine.ranking import rank
from cci.engine.uncertainty import (
    WeightChoice,
    drawn_weights,
    given_weights,
    neighbours,
    rank_rows,
    rank_statistics,
    read_choices,
    replay,
    uncertainty,
)
from cci.engine.uncertainty.kernel import laid_out, score, tree_of

CODES = [f"i{n}" for n in range(8)]
META = pd.DataFrame(
    {
        "Level": [1] * 8 + [2, 2, 2, 3],
        "iCode": [*CODES, "P", "Q", "R", "T"],
        "Parent": ["P"] * 3 + ["Q"] * 3 + ["R"] * 2 + ["T"] * 3 + [""],
        "Direction": [1, -1, 1, 1, 1, -1, 1, 1, 1, 1, 1, 1],
        "Weight": [1, 2, 1, 1, 1, 3, 1, 1, 2, 1, 1, 1],
    }
)
RUN = {
    "treat": {},
    "normalise": {"lower": 1, "upper": 100},
    "aggregate": {"min_available": 0.5},
    "rank": {},
}
ALL = {
    "seed": 11,
    "replicates": 60,
    "treat": {"winsorise_max": [1, 5]},
    "normalise": {"options": [{"method": "min_max", "lower": 1}, {"method": "z_score", "mean": 10, "sd": 2}]},
    "aggregate": {"options": [{"method": "arithmetic_mean"}, {"method": "geometric_mean"}]},
    "weights": {"kind": "noise", "factor": 0.25},
    "indicators": {"leave_out": 1},
}


def units(n: int = 30, gaps: float = 0.1, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(rng.lognormal(size=(n, 8)), columns=CODES)
    data = data.mask(rng.random(data.shape) < gaps)
    data.insert(0, "uCode", [f"U{n:02d}" for n in range(n)])
    return data


def three_levels(n: int, *, gaps: float, replicates: int):
    """A tree of 36 indicators in 9 groups in 3, values above 0 with gaps, and sets of weights."""
    rng = np.random.default_rng(8)
    codes = [f"i{place:02d}" for place in range(36)]
    rows = [(1, code, f"d{place // 4}", 1, 1.0) for place, code in enumerate(codes)]
    rows += [(2, f"d{place}", f"p{place // 3}", 1, 1.0) for place in range(9)]
    rows += [(3, f"p{place}", "T", 1, 1.0) for place in range(3)] + [(4, "T", "", 1, 1.0)]
    tree = read_meta(pd.DataFrame(rows, columns=["Level", "iCode", "Parent", "Direction", "Weight"]))
    values = pd.DataFrame(rng.lognormal(size=(n, 36)), columns=codes)
    return tree, values.mask(rng.random(values.shape) < gaps), 1 + 0.5 * rng.uniform(-1, 1, (replicates, 49))


def analysed(varied=None, *, data=None, meta=META, run=RUN, **given):
    config = run | {"uncertainty": ALL if varied is None else varied}
    choices = read_choices(config, read_config, given=("noise",) if given else ())
    return uncertainty(run_index(units() if data is None else data, meta, config), choices, **given)


def test_each_replicate_is_the_index_computed_with_its_settings():
    """Recomputed one by one through `compute`: settings from the table of replicates, weights from theirs."""
    found = analysed(ALL | {"keep_scores": True})

    for row in range(0, 60, 4):
        used, weights = found.replicates.iloc[row], found.weights.iloc[row]
        options = {name: dict(part.split("=") for part in used[name].split(", ")) for name in ("treat", "normalise")}
        config = {
            "treat": {"winsorise_max": int(options["treat"]["winsorise_max"])},
            "normalise": {k: v if k == "method" else float(v) for k, v in options["normalise"].items()},
            "aggregate": {"min_available": 0.5, "method": used["aggregate"].removeprefix("method=")},
            "rank": {},
        }
        meta = META.assign(Weight=[weights[code] for code in META["iCode"]])
        meta = meta[meta["iCode"] != used["left_out"]]

        tables = compute(units(), meta, config).tables

        np.testing.assert_allclose(found.scores[:, row], tables["scores"]["T"], rtol=1e-10)
        np.testing.assert_array_equal(found.ranks[:, row], tables["ranks"]["T"].fillna(0))
    assert found.replicates.iloc[:, 1:-1].nunique().min() > 1


@pytest.mark.parametrize(("workers", "block"), [(2, None), (4, 7), (1, 1), (3, 1000)])
def test_workers_and_blocks_change_nothing(workers, block):
    one, other = (
        analysed(ALL | {"keep_scores": True}),
        analysed(ALL | {"keep_scores": True}, workers=workers, block=block),
    )

    np.testing.assert_array_equal(one.ranks, other.ranks)
    np.testing.assert_array_equal(one.scores, other.scores)
    pd.testing.assert_frame_equal(one.rank_stats, other.rank_stats)
    assert one.report == other.report


def test_same_seed_same_draws_other_seed_others_and_longer_runs_begin_alike():
    found = analysed()

    np.testing.assert_array_equal(found.ranks, analysed().ranks)
    assert not np.array_equal(found.ranks, analysed(ALL | {"seed": 12}).ranks)
    longer = analysed(ALL | {"replicates": 90})
    np.testing.assert_array_equal(found.ranks, longer.ranks[:, :60])


def test_adding_a_source_leaves_the_draws_of_the_others():
    less = {key: value for key, value in ALL.items() if key not in ("treat", "indicators")}

    pd.testing.assert_series_equal(analysed().replicates["normalise"], analysed(less).replicates["normalise"])
    weights = analysed(less).weights
    pd.testing.assert_frame_equal(analysed().weights[["P", "Q", "R"]], weights[["P", "Q", "R"]])


def test_order_of_rows_and_scale_of_weights_change_nothing():
    found = analysed()
    turned = analysed(data=units().sample(frac=1, random_state=1), meta=META.sample(frac=1, random_state=1))
    scaled = analysed(meta=META.assign(Weight=META["Weight"] * 7))

    pd.testing.assert_frame_equal(found.rank_stats, turned.rank_stats)
    np.testing.assert_array_equal(found.ranks, scaled.ranks)


def test_a_dominated_unit_is_never_above():
    data = units(gaps=0)
    signs = META.set_index("iCode")["Direction"][CODES]
    data.loc[0, CODES] = data.loc[1, CODES] * (1 - 0.1 * signs)

    found = analysed(
        {
            **ALL,
            "aggregate": {"options": [{"method": "geometric_mean"}, {"method": "harmonic_mean"}]},
            "replicates": 300,
        },
        data=data,
    )

    assert (found.ranks[1] < found.ranks[0]).all()
    assert found.rank_stats.loc["U01", "nominal"] < found.rank_stats.loc["U00", "nominal"]


@pytest.mark.parametrize("n", [1, 2, 7, 50])
@pytest.mark.parametrize("methods", [["arithmetic_mean"] * 3, ["geometric_mean", "harmonic_mean", "geometric_mean"]])
def test_a_replicate_has_the_same_digits_in_any_block(n, methods):
    tree, values, weights = three_levels(n, gaps=0.2, replicates=40)
    weights[3, 5] = np.nan  # left out: here the absences differ by replicate
    compiled = tree_of(tree, [LevelRule(method) for method in methods], target="T")
    layout = laid_out(values.to_numpy().T, compiled, (np.arange(n),))
    whole, _ = score(layout, weights)

    for size in (1, 2, 3, 7, 16, 39):
        parts = [score(layout, weights[start : start + size])[0] for start in range(0, 40, size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


METHODS = [
    ["arithmetic_mean"] * 3,
    ["geometric_mean"] * 3,
    ["harmonic_mean"] * 3,
    ["arithmetic_mean", "geometric_mean", "median"],
    ["arithmetic_mean", "mazziotta_pareto", "generalised_mean"],
    ["geometric_mean", "copeland", "arithmetic_mean"],
]
LIMITS = [
    {},
    {"min_available": 0.0},
    {"min_available": 0.0, "min_weight_share": 0.6},
    {"min_components": 2, "floor": 0.8},
]


@pytest.mark.parametrize("methods", METHODS)
@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("gaps", [0, 0.25])
def test_blocks_score_as_aggregate_does(methods, limits, gaps):
    tree, values, weights = three_levels(80, gaps=gaps, replicates=5)
    rules = [LevelRule(method, power=3.0, **limits) for method in methods]
    compiled = tree_of(tree, rules, target="T")
    weights[0, :4] = [0, 1, 0, 0]

    scores, problems = score(laid_out(values.to_numpy().T, compiled, (np.arange(80),)), weights)

    assert not problems.any()
    for row, one in zip(scores, weights, strict=True):
        weighted = replace(tree, weights=pd.Series(one, index=compiled.elements))
        expected = aggregate(values, weighted, rules)["T"].to_numpy()
        np.testing.assert_allclose(row, expected, rtol=1e-10)
        np.testing.assert_array_equal(rank_rows(row[None])[0], rank(pd.DataFrame({"T": expected}))["T"].fillna(0))


@given(st.lists(st.lists(st.sampled_from([0.0, 1, 1 + 1e-12, 2, -3, 7.5, np.nan]), min_size=6, max_size=6), min_size=1))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("ties", ["min", "dense", "average"])
def test_rows_are_ranked_as_rank_does(ties, rows):
    scores = np.array(rows)

    expected = rank(pd.DataFrame(scores.T), ties=ties).fillna(0).to_numpy(dtype=float).T

    np.testing.assert_array_equal(rank_rows(scores, ties=ties), expected)


def test_statistics_are_those_of_numpy():
    rng = np.random.default_rng(1)
    ranks = np.argsort(rng.random((400, 25)) + np.arange(25) * 0.03, axis=1).argsort(axis=1).astype(np.int16) + 1
    ranks[:40, 3] = 0
    nominal = np.arange(1, 26)

    table = rank_statistics(
        ranks, nominal, units=pd.Index(range(25)), quantiles=(0.025, 0.5, 0.975), top=(5,), within=(2,)
    )

    for unit in range(25):
        own = ranks[:, unit][ranks[:, unit] > 0]
        row = table.loc[unit]
        quantiles = np.quantile(own, [0.5, 0.025, 0.975])
        np.testing.assert_allclose(row[["median", "q2.5", "q97.5"]].to_numpy(dtype=float), quantiles)
        assert (row["ranked"], row["mean"]) == (len(own), pytest.approx(own.mean()))
        assert row["within_2"] == pytest.approx((np.abs(own - nominal[unit]) <= 2).mean())
        assert row["top_5"] == pytest.approx((own <= 5).mean())
        assert row["q2.5_low"] <= row["q2.5"] <= row["q2.5_high"]
        assert (row["note"] != "") == (not row["q2.5"] <= nominal[unit] <= row["q97.5"])


def test_bounds_of_a_quantile_hold_it_about_as_often_as_they_say():
    """Uniform ranks 1 … 1000: the 5 % quantile is 50; its bounds from 500 replicates hold it in 95 % of samples."""
    ranks = np.random.default_rng(6).integers(1, 1001, size=(500, 2000)).astype(np.int16)

    table = rank_statistics(ranks, np.full(2000, 500), units=pd.RangeIndex(2000))

    held = ((table["q5_low"] <= 50.5) & (table["q5_high"] >= 50.5)).mean()
    assert 0.93 < held < 0.985


def test_neighbours_count_ties_half():
    table = neighbours(
        np.array([[2, 1, 3], [1, 2, 3], [1, 1, 0], [2, 1, 3]]), np.array([2, 1, 3]), units=pd.Index([*"XYZ"])
    )

    assert table[["unit", "next", "above", "tied"]].values.tolist() == [["Y", "X", 0.625, 0.25], ["X", "Z", 1.0, 0.0]]


def test_unit_that_misses_a_limit_has_no_rank_in_any_replicate():
    data = units(gaps=0)
    data.loc[4, CODES[:7]] = np.nan

    row = analysed(data=data).rank_stats.loc["U04"]

    assert (row["ranked"], row["nominal"] is pd.NA) == (0, True)
    assert np.isnan(row["mean"])


def test_replicates_that_cannot_be_computed_are_counted_and_left_out():
    holes = ALL | {"normalise": {"options": [{"method": "min_max", "lower": 1}, {"method": "z_score"}]}}

    found = analysed(holes)

    table = found.replicates
    failed = (table["normalise"] == "method=z_score") & (table["aggregate"] == "method=geometric_mean")
    assert (table["problem"] != "").equals(failed)
    assert found.report["used"] == int((~failed).sum())
    assert sum(found.report["failed"].values()) == int(failed.sum()) > 0
    assert (found.ranks[:, failed] == 0).all()
    assert (found.rank_stats["ranked"] == found.report["used"]).all()


def test_noise_moves_only_what_is_uncertain():
    data = units(gaps=0.1)
    errors = pd.DataFrame(0.3, index=data["uCode"], columns=CODES)
    still = errors * 0

    moved = analysed({"seed": 1, "replicates": 40}, data=data, errors=errors)
    unmoved = analysed({"seed": 1, "replicates": 40}, data=data, errors=still)

    assert (moved.rank_stats["width"] > 0).mean() > 0.5
    assert (unmoved.rank_stats["width"] == 0).all()
    assert (unmoved.rank_stats["mean"] == unmoved.rank_stats["nominal"]).all()
    again = analysed({"seed": 1, "replicates": 40}, data=data, errors=errors, workers=3, block=2)
    np.testing.assert_array_equal(moved.ranks, again.ranks)
    assert moved.report["varied"] == ["noise"]


def test_samples_are_the_values_themselves():
    data = units(gaps=0.1)
    other = units(gaps=0, seed=9)
    samples = np.stack([data[CODES].to_numpy(), other[CODES].to_numpy()])

    found = analysed({"seed": 1, "replicates": 4}, data=data, samples=samples)

    expected = compute(other.mask(data.isna()), META, RUN).tables["ranks"]["T"].fillna(0)
    np.testing.assert_array_equal(found.ranks[:, 0], found.rank_stats["nominal"].fillna(0))
    np.testing.assert_array_equal(found.ranks[:, 1], expected)
    np.testing.assert_array_equal(found.ranks[:, 3], expected)


def test_multiple_imputation_draws_the_gaps():
    run = {"impute": {"method": "mean"}, **RUN}
    varied = {"seed": 2, "replicates": 50, "impute": {"draws": 10, "method": "group_normal"}}

    found = analysed(varied, run=run, data=units(gaps=0.2))

    assert set(found.replicates["impute"]) == set(range(1, 11))
    alike = found.replicates["impute"].to_numpy() == found.replicates["impute"][0]
    assert (found.ranks[:, 0] == found.ranks[:, alike].T).all()
    assert (found.rank_stats["width"] > 0).any()
    np.testing.assert_array_equal(found.ranks, analysed(varied, run=run, data=units(gaps=0.2), workers=2).ranks)


def test_imputation_may_be_an_option():
    run = {"impute": {"method": "mean"}, **RUN}
    varied = {"seed": 2, "replicates": 30, "impute": {"options": [{"method": "mean"}, {"method": "none"}]}}

    found = analysed(varied, run=run, data=units(gaps=0.2))

    for method in ("mean", "none"):
        expected = compute(units(gaps=0.2), META, run | {"impute": {"method": method}}).tables["ranks"]["T"].fillna(0)
        row = int(np.flatnonzero(found.replicates["impute"] == f"method={method}")[0])
        np.testing.assert_array_equal(found.ranks[:, row], expected)


def test_several_times_are_ranked_apart():
    data = pd.concat([units().assign(Time=2020), units(seed=5).assign(Time=2021)])

    found = analysed(data=data)

    for year in (2020, 2021):
        here = found.ranks[found.rank_stats.index.get_level_values(1) == year]
        assert here.max() <= 30
        assert (np.sort(here, axis=0)[0] <= 1).all()
    assert found.pairs.empty


def test_target_may_be_a_pillar():
    found = analysed({"seed": 1, "replicates": 50, "target": "P", "weights": {"factor": 0.5}})

    nominal = compute(units(), META, RUN).tables["ranks"]["P"]
    np.testing.assert_array_equal(found.rank_stats["nominal"].fillna(0), nominal.fillna(0))
    assert (found.weights[["Q", "R", "i3"]] == META.set_index("iCode")["Weight"][["Q", "R", "i3"]]).all(axis=None)


def test_weights_are_drawn_as_said():
    tree = read_meta(META)
    below = [*CODES, "P", "Q", "R"]
    rng = np.random.default_rng
    noise = drawn_weights(WeightChoice("noise", {1: 0.1, 2: 2.0}), tree, below, 4000, rng(1))
    shares = drawn_weights(WeightChoice("dirichlet", concentration=30.0), tree, below, 4000, rng(1))

    assert (np.abs(noise[:, 1] / 2 - 1) <= 0.1).all()
    assert noise[:, 8].min() == 0 and noise[:, 8].max() > 5.8
    pillars = shares[:, 8:11] / shares[:, 8:11].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(pillars.mean(axis=0), [0.5, 0.25, 0.25], atol=0.01)
    # Var of a Dirichlet share: m (1 - m) / (concentration + 1).
    np.testing.assert_allclose(pillars.var(axis=0), np.array([0.25, 0.1875, 0.1875]) / 31, rtol=0.1)
    assert (noise[:, 11] == 1).all()


def test_drawn_replicates_can_be_replayed():
    varied = {key: value for key, value in ALL.items() if key != "indicators"}
    config = RUN | {"uncertainty": varied}
    run, choices = run_index(units(), META, config), read_choices(config, read_config)
    found = uncertainty(run, choices)
    numbers = pd.DataFrame(
        {step: [labels.index(name) for name in found.replicates[step]] for step, labels in choices.labels.items()}
    )
    sets = found.weights.drop(columns="replicate").T

    again = replay(run, choices, numbers.assign(weights=range(60)), weight_sets=sets)

    np.testing.assert_array_equal(again.ranks.T, found.ranks)


def test_weight_sets_are_picked_from_those_given():
    sets = pd.DataFrame({"iCode": ["P", "Q", "R"], "Level": 2, "w1": [1.0, 0, 0], "w2": [0, 1.0, 0]})
    found = analysed({"seed": 1, "replicates": 40, "weights": {"kind": "sets", "sets_file": "s.csv"}}, weight_sets=sets)

    ranks = compute(units(), META, RUN).tables["ranks"]
    for number, code in ((1, "P"), (2, "Q")):
        row = int(np.flatnonzero(found.replicates["weights"] == number)[0])
        there = ranks["T"].notna() & (found.ranks[:, row] > 0)
        np.testing.assert_array_equal(
            pd.Series(found.ranks[:, row])[there].rank(method="min"), ranks[code][there].rank(method="min")
        )


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"iCode": ["X"], "w1": [1.0]}, "row 2, column iCode: X is no element"),
        ({"iCode": ["P", "P"], "w1": [1.0, 2.0]}, "row 3, column iCode: P stands twice"),
        ({"iCode": ["P"], "w1": [-1.0]}, "row 2, column w1: the weight of P must be a number, 0 or more"),
        ({"iCode": ["P"], "w1": [np.nan]}, "the weight of P must be a number"),
        ({"iCode": ["P"]}, "there is no set"),
    ],
)
def test_weight_sets_are_checked(sets, message):
    with pytest.raises(DataError, match=message):
        given_weights(pd.DataFrame(sets), read_meta(META))


OPTIONS = [{"winsorise_max": 1}, {"winsorise_max": 2}]


@pytest.mark.parametrize(
    ("varied", "message"),
    [
        ({"weights": {}}, r"key \[uncertainty\] seed: is needed"),
        ({"seed": 1}, "nothing is varied"),
        ({"seed": 1, "weigths": {}}, r"\[uncertainty\] weigths: unknown key"),
        ({"seed": 1, "weights": {"kind": "beta"}}, r"\[uncertainty.weights\] kind: 'beta' is not known"),
        ({"seed": 1, "weights": {"kind": "dirichlet"}}, r"concentration: is needed"),
        ({"seed": 1, "weights": {"kind": "dirichlet", "concentration": 9, "factor": 1}}, "factor: unknown key"),
        ({"seed": 1, "weights": {"factor": [0.1, 0.2], "levels": [1]}}, "factor: has 2 entries and levels 1"),
        ({"seed": 1, "impute": {"draws": 5}}, r"key uncertainty.impute: varies a step that is not part of the run"),
        ({"seed": 1, "treat": {"options": OPTIONS, "winsorise_max": [1, 2]}}, "winsorise_max: stands beside options"),
        ({"seed": 1, "treat": {"options": OPTIONS[:1]}}, "at least two settings"),
        ({"seed": 1, "treat": {"options": [OPTIONS[0]] * 2}}, "winsorise_max=1 stands twice"),
        ({"seed": 1, "treat": {"options": [{"off": True, "skew": 2}, *OPTIONS]}}, "off takes no other keys"),
        ({"seed": 1, "treat": {"options": [{"wins": 1}, *OPTIONS]}}, r"\[uncertainty.treat\] options: .*wins"),
        ({"seed": 1, "normalise": {"options": [{"off": True}, {"method": "z_score"}]}}, "cannot be off"),
        ({"seed": 1, "normalise": {"options": [{"method": "zscore"}, {"lower": 2}]}}, "'zscore' is not known"),
        ({"seed": 1, "weights": {}, "quantiles": [0.9, 0.1]}, "in rising order"),
        ({"seed": 1, "weights": {}, "within": [-1]}, "within: -1 is not a whole number"),
        ({"seed": 1, "indicators": {"leave_out": 1, "share": 0.1}}, "leave_out: unknown key"),
        ({"seed": 1, "noise": {}}, "errors_file: name the CSV file"),
    ],
)
def test_settings_are_checked(varied, message):
    with pytest.raises(ConfigError, match=message):
        read_choices(RUN | {"uncertainty": varied}, read_config)


@pytest.mark.parametrize(
    ("varied", "message"),
    [
        ({"seed": 1, "target": "X", "weights": {}}, "no aggregate X"),
        ({"seed": 1, "weights": {"levels": [7]}}, "no elements on level 7"),
        ({"seed": 1, "indicators": {"leave_out": 8}}, "would leave none"),
    ],
)
def test_choices_that_do_not_fit_the_hierarchy_are_refused(varied, message):
    with pytest.raises(ConfigError, match=message):
        analysed(varied)


def test_ranks_are_needed():
    with pytest.raises(ConfigError, match=r"add \[rank\]"):
        read_choices({"aggregate": {}, "uncertainty": {"seed": 1, "weights": {}}}, read_config)

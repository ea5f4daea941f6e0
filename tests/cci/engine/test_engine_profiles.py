"""Strengths, weaknesses and summaries of units: COINr's lists, and rules that hide nothing."""

import numpy as np
import pandas as pd
import pytest

from cci.engine.errors import DataError
from cci.engine.meta import read_meta
from cci.engine.profiles import strengths_and_weaknesses, summary


def read(path):
    return pd.read_csv(path, dtype={"uCode": str}).set_index("uCode")


@pytest.fixture
def tree(asem):
    return read_meta(pd.read_csv(asem("inputs/iMeta.csv"), keep_default_na=False))


def upwards(values):
    return pd.Series(1.0, index=values.columns)


def table(n, k, *, seed=1):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        rng.normal(size=(n, k)), index=[f"u{i:02}" for i in range(n)], columns=[f"i{j:02}" for j in range(k)]
    )


@pytest.mark.parametrize(
    ("file", "stage", "options"),
    [
        ("CHE_raw", "01_raw", {}),
        ("EST_raw", "01_raw", {}),
        ("IND_raw", "01_raw", {}),
        ("IND_normalised_mindiscard_TRUE", "06_normalised", {}),
        ("IND_normalised_mindiscard_FALSE", "06_normalised", {"min_discard": False}),
        ("KHM_normalised_mindiscard_TRUE", "06_normalised", {}),
        ("KHM_normalised_mindiscard_FALSE", "06_normalised", {"min_discard": False}),
        ("EST_within_GDPpc_group", "06_normalised", {"within": "GDPpc_group"}),
    ],
)
def test_the_rule_of_coinr_gives_its_lists(asem, tree, file, stage, options):
    expected = pd.read_csv(asem(f"profiles/str_weak_{file}.csv"))
    values = read(asem(f"a_example/{stage}.csv"))
    # COINr sorts its indicators by parent, and cuts ties in that order.
    values = values[sorted(tree.indicators, key=lambda code: tree.parents[code])]
    directions = tree.directions if stage == "01_raw" else upwards(values)
    within = options.pop("within", None) if "within" in options else None
    groups = read(asem("inputs/iData.csv"))[within] if within else None

    actual = strengths_and_weaknesses(
        values, directions=directions, rule="coinr", groups=groups, parents=tree.parents, tolerance=0, **options
    )

    own = actual[actual["uCode"] == file[:3]]
    assert list(zip(own["kind"], own["indicator"], own["group"], own["rank"], strict=True)) == list(
        zip(expected["kind"], expected["Code"], expected["Pillar"], expected["Rank"], strict=True)
    )
    np.testing.assert_allclose(own["value"], expected["Value"], rtol=1e-9)


@pytest.mark.parametrize("unit", ["CHE", "EST", "IND"])
def test_summaries_are_those_of_coinr(asem, tree, unit):
    expected = pd.read_csv(asem(f"profiles/summary_{unit}.csv"))
    scores = read(asem("a_example/07_aggregated_amean.csv"))

    own = summary(scores, tree).set_index("uCode").loc[unit]

    assert list(own["element"]) == list(expected["Code"])
    assert list(own["rank"]) == list(expected["Rank"])
    np.testing.assert_allclose(own["score"], expected["Score"], rtol=1e-9)
    assert set(own["n_ranked"]) == {51}


def test_ranks_in_a_summary_can_be_within_groups(asem, tree):
    scores = read(asem("a_example/07_aggregated_amean.csv"))
    expected = read(asem("a_example/08_ranks_within_EurAsia_group.csv"))

    found = summary(scores, tree, groups=read(asem("inputs/iData.csv"))["EurAsia_group"])

    wide = found.pivot(index="uCode", columns="element", values="rank")
    pd.testing.assert_frame_equal(
        wide, expected.loc[wide.index, wide.columns], check_dtype=False, check_exact=True, check_names=False
    )


def test_gii_takes_the_ten_highest_percentiles_ties_and_the_first_three():
    values = table(40, 30)

    found = strengths_and_weaknesses(values, directions=upwards(values))

    ranks = values.rank(ascending=False)
    percentile = (40 - ranks) / 39
    for unit in values.index:
        tenth = percentile.loc[unit].nlargest(10).iloc[-1]
        strong = (percentile.loc[unit] >= tenth) | (ranks.loc[unit] <= 3)
        better = ranks.loc[unit] <= 20
        lowest = percentile.loc[unit].nsmallest(10).iloc[-1]
        weak = (percentile.loc[unit] <= lowest) | (ranks.loc[unit] >= 38)
        own = found[found["uCode"] == unit]
        assert set(own.loc[own["kind"] == "strength", "indicator"]) == set(strong.index[strong & ~weak & better])
        assert set(own.loc[own["kind"] == "weakness", "indicator"]) == set(weak.index[weak & ~strong & ~better])


def test_no_indicator_is_both_a_strength_and_a_weakness():
    values = table(8, 3)

    found = strengths_and_weaknesses(values, directions=upwards(values))

    assert not found.duplicated(["uCode", "indicator"]).any()
    assert len(found)


def test_a_last_place_that_many_share_is_reported_and_no_weakness():
    values = table(10, 5)
    values["zeros"] = [0.0] * 6 + [1.0, 2.0, 3.0, 4.0]

    for rule in ("gii", "peers"):
        found = strengths_and_weaknesses(values, directions=upwards(values), rule=rule)

        shared = found[found["kind"] == "shared_last"]
        assert list(shared["uCode"]) == list(values.index[:6])
        assert set(shared["tied"]) == {6}
        assert not ((found["kind"] == "weakness") & (found["indicator"] == "zeros") & (found["value"] == 0)).any()


def test_a_rank_in_the_better_half_is_no_weakness_and_one_in_the_worse_no_strength():
    values = table(10, 25)
    values["full"] = [100.0] * 8 + [1.0, 2.0]  # first together, and among the last three places
    values["low"] = [1.0] * 7 + [7.0, 8.0, 9.0]  # last together

    found = strengths_and_weaknesses(values, directions=upwards(values), max_tied_share=1)

    assert set(found.loc[found["indicator"] == "full", "kind"]) <= {"strength", "weakness"}
    assert not ((found["indicator"] == "full") & (found["kind"] == "weakness") & (found["rank"] == 1)).any()
    few = strengths_and_weaknesses(values.iloc[:5], directions=upwards(values))
    assert set(few.loc[few["kind"] == "strength", "rank"]) == {1, 2}
    for one in (found, few):
        half = one["rank"] <= one["n"] / 2
        assert (half == (one["kind"] == "strength"))[one["kind"] != "shared_last"].all()


def test_the_worst_place_is_a_weakness():
    values = table(10, 25)
    values.loc["u03", "i07"] = -99.0

    found = strengths_and_weaknesses(values, directions=upwards(values))

    worst = found[(found["uCode"] == "u03") & (found["indicator"] == "i07")].iloc[0]
    assert (worst["kind"], worst["rank"], worst["percentile"]) == ("weakness", 10, 0.0)


def test_peers_are_a_standard_deviation_away():
    values = table(30, 6)
    groups = pd.Series(["a", "b", None] * 10, index=values.index)

    found = strengths_and_weaknesses(values, directions=upwards(values), rule="peers", groups=groups)

    z = values.groupby(groups).transform(lambda column: (column - column.mean()) / column.std())
    marked = {(u, i): k for u, k, i in found[["uCode", "kind", "indicator"]].itertuples(index=False)}
    for (unit, code), value in z.stack().items():
        assert marked.get((unit, code)) == ("strength" if value > 1 else "weakness" if value < -1 else None)
    assert not {u for u, _ in marked} & set(values.index[groups.isna()])


def test_imputed_cells_count_as_missing():
    values = table(12, 6)
    imputed = pd.DataFrame(False, index=values.index, columns=values.columns)
    imputed.iloc[0, :3] = True

    found = strengths_and_weaknesses(values, directions=upwards(values), imputed=imputed)

    blank = values.mask(imputed)
    pd.testing.assert_frame_equal(found, strengths_and_weaknesses(blank, directions=upwards(values)))
    assert not set(found.loc[found["uCode"] == "u00", "indicator"]) & {"i00", "i01", "i02"}
    assert set(found.loc[found["indicator"] == "i00", "n"]) == {11}


@pytest.mark.parametrize("rule", ["gii", "peers", "coinr"])
def test_a_group_without_coverage_gives_no_signal(rule):
    values = table(12, 6)
    parents = {code: "P" if i < 3 else "Q" for i, code in enumerate(values.columns)}
    covered = pd.DataFrame({"P": [False] + [True] * 11, "Q": True}, index=values.index)

    found = strengths_and_weaknesses(
        values, directions=upwards(values), rule=rule, parents=parents, covered=covered, width=0.1
    )

    assert set(found.loc[found["uCode"] == "u00", "group"]) == {"Q"}
    assert "P" in set(found["group"])


@pytest.mark.parametrize("rule", ["gii", "peers"])
def test_too_few_peers_give_no_signal(rule):
    values = table(4, 6)

    assert strengths_and_weaknesses(values, directions=upwards(values), rule=rule).empty


def test_equal_values_give_no_signal():
    values = pd.DataFrame({"a": [0.1] * 7, "b": [5.0] * 7}, index=list("tuvwxyz"))

    for rule in ("gii", "peers"):
        assert strengths_and_weaknesses(values, directions=upwards(values), rule=rule, always=0, width=0).empty


@pytest.mark.parametrize("rule", ["gii", "peers", "coinr"])
def test_fewer_indicators_than_wanted_and_gaps_are_no_trouble(rule):
    values = table(9, 2)
    values.iloc[0] = np.nan
    values.iloc[1, 0] = np.nan
    values["none"] = np.nan

    found = strengths_and_weaknesses(values, directions=upwards(values), rule=rule)

    assert "u00" not in set(found["uCode"])
    assert "none" not in set(found["indicator"])


@pytest.mark.parametrize("rule", ["gii", "peers", "coinr"])
def test_units_of_measure_and_the_order_of_rows_change_no_signal(rule):
    values = table(20, 8)
    directions = upwards(values)
    directions["i03"] = -1
    turned = (values * 1000.0).assign(i03=-values["i03"] * 1000.0).sample(frac=1, random_state=2)

    first = strengths_and_weaknesses(values, directions=upwards(values), rule=rule)
    second = strengths_and_weaknesses(turned, directions=directions, rule=rule)

    same = ["uCode", "kind", "indicator", "rank", "n", "percentile", "tied"]
    pd.testing.assert_frame_equal(first[same], second[same])


def test_times_are_compared_apart():
    values = table(12, 6)
    panel = pd.concat({2023: values, 2024: values + 100}, names=["Time", "uCode"]).swaplevel()

    found = strengths_and_weaknesses(panel, directions=upwards(values))

    alone = strengths_and_weaknesses(values, directions=upwards(values))
    for time in (2023, 2024):
        own = found[found["Time"] == time].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            own[["uCode", "kind", "indicator", "rank"]], alone[["uCode", "kind", "indicator", "rank"]]
        )


def test_refusals_say_what_would_do():
    values = table(5, 2)

    with pytest.raises(ValueError, match="'best' is no rule; choose gii, peers, coinr"):
        strengths_and_weaknesses(values, directions=upwards(values), rule="best")
    with pytest.raises(ValueError, match="No direction for i01"):
        strengths_and_weaknesses(values, directions=pd.Series({"i00": 1.0}))
    values.iloc[2, 1] = np.inf
    with pytest.raises(DataError, match="column i01: unit u02 has an infinite value"):
        strengths_and_weaknesses(values, directions=upwards(values))

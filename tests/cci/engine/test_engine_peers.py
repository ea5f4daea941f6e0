"""Units beside their peers: COINr's ranks within groups, figures recomputed, and who is nearest."""

import numpy as np
import pandas as pd
import pytest

from cci.engine.errors import DataError
from cci.engine.peers import against_peers, nearest_peers, within_groups
from cci.engine.ranking import rank


def read(path):
    return pd.read_csv(path, dtype={"uCode": str}).set_index("uCode")


def scores(n=20, k=3, *, seed=1, missing=0.0):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 100, size=(n, k))
    values[rng.random((n, k)) < missing] = np.nan
    return pd.DataFrame(values, index=pd.Index([f"u{i:02}" for i in range(n)], name="uCode"), columns=list("TPQ")[:k])


def test_ranks_within_groups_are_those_of_coinr(asem):
    values = read(asem("a_example/07_aggregated_amean.csv"))
    expected = read(asem("a_example/08_ranks_within_EurAsia_group.csv"))
    groups = read(asem("inputs/iData.csv"))[["EurAsia_group"]]
    columns = list(expected.columns[2:])

    found = within_groups(values[columns], groups, tolerance=0)

    wide = found.pivot(index="uCode", columns="element", values="rank")
    pd.testing.assert_frame_equal(
        wide[columns], expected.loc[wide.index, columns], check_dtype=False, check_exact=True, check_names=False
    )


def test_the_printed_table_is_that_of_coinr(asem):
    values = read(asem("a_example/07_aggregated_amean.csv"))
    expected = read(asem("a_example/08_results_table_rounded2.csv"))

    ranks = rank(values[["Index"]])["Index"]

    order = values["Index"].sort_values(ascending=False).index
    assert list(order) == list(expected.index)
    assert ranks[order].tolist() == expected["Rank"].tolist()
    columns = list(expected.columns[1:])
    # Both sides rounded from the same double, but for its last digit.
    np.testing.assert_allclose(values.loc[order, columns].round(2), expected[columns], atol=1e-9)


def test_every_figure_is_that_of_its_group():
    table = scores(missing=0.1)
    groups = pd.DataFrame({"sector": list("abcd") * 5, "size": ["s", "l"] * 10}, index=table.index)

    found = within_groups(table, groups, min_size=2).set_index(["grouping", "element", "uCode"])

    for grouping in groups:
        for element in table:
            for _, own in table[element].groupby(groups[grouping]):
                known = own.dropna()
                for unit, value in known.items():
                    row = found.loc[(grouping, element, unit)]
                    others = known.drop(unit)
                    assert row["n"] == len(known)
                    assert row["rank"] == 1 + (known > value).sum()
                    assert row["percentile"] == pytest.approx((others < value).mean())
                    assert row["distance_to_best"] == pytest.approx(known.max() - value)
                    assert row["distance_to_median"] == pytest.approx(value - known.median())
                    assert row["gap"] == pytest.approx(value - known.mean())
                    assert row["z"] == pytest.approx((value - known.mean()) / known.std())


def test_what_is_withheld_says_why():
    table = pd.DataFrame({"T": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0]}, index=list("UVWXYZ"))
    groups = pd.DataFrame({"g": ["a", "a", "a", "b", None, ""]}, index=table.index)

    found = within_groups(table, groups, min_size=2).set_index("uCode")

    assert found["note"].to_dict() == {
        "U": "",
        "V": "",
        "W": "no score",
        "X": "fewer than 2 units",
        "Y": "no group",
        "Z": "no group",
    }
    figures = ["rank", "percentile", "best", "median", "mean", "gap", "sd", "z"]
    assert found.loc[["X", "Y", "Z"], figures].isna().all(axis=None)
    assert found.loc["X", "score"] == 4


def test_equal_scores_have_no_z_and_share_the_middle():
    table = pd.DataFrame({"T": [0.1] * 6}, index=list("UVWXYZ"))

    found = within_groups(table, pd.DataFrame({"g": "a"}, index=table.index))

    assert found["z"].isna().all()
    assert set(found["rank"]) == {1}
    assert set(found["percentile"]) == {0.5}


def test_times_are_compared_apart():
    table = scores()
    panel = pd.concat({2023: table, 2024: table + 100}, names=["Time", "uCode"]).swaplevel()
    groups = pd.DataFrame({"g": ["a", "b"] * 10}, index=table.index)

    found = within_groups(panel, groups)

    alone = within_groups(table, groups)
    for time in (2023, 2024):
        own = found[found["Time"] == time].reset_index(drop=True)
        assert own["rank"].tolist() == alone["rank"].tolist()
        np.testing.assert_allclose(own["gap"], alone["gap"])


def test_the_order_of_rows_changes_no_digit():
    table = scores(missing=0.1)
    groups = pd.DataFrame({"g": ["a", "b"] * 10}, index=table.index)
    shuffled = table.sample(frac=1, random_state=1)

    pd.testing.assert_frame_equal(within_groups(table, groups), within_groups(shuffled, groups), check_exact=True)
    pd.testing.assert_frame_equal(nearest_peers(table), nearest_peers(shuffled), check_exact=True)


def test_a_unit_without_a_row_of_groups_is_refused():
    table = scores(3)

    with pytest.raises(DataError, match="unit u02 has no row in the table of groups"):
        within_groups(table, pd.DataFrame({"g": ["a", "a"]}, index=["u00", "u01"]))


def test_the_nearest_are_those_of_a_plain_sort():
    features = scores(40, missing=0.02)

    found = nearest_peers(features, k=4)

    whole = features.dropna()
    scaled = (whole - whole.mean()) / whole.std()
    for unit in whole.index:
        distance = np.sqrt(((scaled - scaled.loc[unit]) ** 2).sum(axis=1)).drop(unit).sort_values(kind="stable")
        own = found[found["uCode"] == unit]
        assert list(own["peer"]) == list(distance.index[:4])
        np.testing.assert_allclose(own["distance"], distance[:4])
        assert list(own["place"]) == [1, 2, 3, 4]
    assert set(found["uCode"]) == set(whole.index)


def test_units_of_measure_move_no_peer():
    features = scores(30)

    found = nearest_peers(features, k=3)
    again = nearest_peers(features * [1000.0, 0.01, 7.0] + 5, k=3)

    assert list(found["peer"]) == list(again["peer"])
    np.testing.assert_allclose(found["distance"], again["distance"])


def test_peers_of_some_are_the_same_as_of_all(monkeypatch):
    features = scores(30)
    everybody = nearest_peers(features, k=3)

    monkeypatch.setattr("cci.engine.peers.BLOCK", 100)  # three units at a time
    some = nearest_peers(features, k=3, units=pd.Index(["u07", "u21"]))

    expected = everybody[everybody["uCode"].isin(["u07", "u21"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected, check_exact=True)
    pd.testing.assert_frame_equal(nearest_peers(features, k=3), everybody, check_exact=True)


def test_ties_go_by_code_and_constants_tell_nobody_apart():
    features = pd.DataFrame({"size": [1.0, 1.0, 1.0, 9.0], "same": 0.1}, index=list("ZYXW"))

    found = nearest_peers(features, k=2)

    assert found.groupby("uCode")["peer"].agg("".join).to_dict() == {"W": "XY", "X": "YZ", "Y": "XZ", "Z": "XY"}


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_units_have_few_peers(n):
    assert len(nearest_peers(scores(n), k=5)) == n * (n - 1)


def test_refusals_of_peers_say_what_would_do():
    with pytest.raises(ValueError, match="1 or more, not 0"):
        nearest_peers(scores(3), k=0)
    with pytest.raises(ValueError, match="no unit xx"):
        nearest_peers(scores(3), units=pd.Index(["xx"]))


def test_a_scorecard_compares_with_the_mean_of_the_peers():
    table = scores(20, missing=0.05)
    peers = nearest_peers(scores(20, seed=2), k=6)

    found = against_peers(table, peers).set_index(["uCode", "element"])

    for unit, own in peers.groupby("uCode"):
        others = table.loc[own["peer"]]
        for element in table:
            row, known = found.loc[(unit, element)], others[element].dropna()
            assert row["mean"] == pytest.approx(known.mean())
            gap = table.loc[unit, element] - known.mean()
            if len(known) < 5 or np.isnan(gap):
                assert row["kind"] == ""
            else:
                expected = "strength" if gap > known.std() else "weakness" if gap < -known.std() else "level"
                assert row["kind"] == expected

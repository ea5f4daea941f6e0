"""Who has enough data: counts at the boundary, groups, indicators."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine.errors import ConfigError
from cci.engine.meta import read_meta
from cci.engine.screening import availability, screen, screen_indicators

TREE = read_meta(
    pd.DataFrame(
        {
            "Level": [1, 1, 1, 1, 2, 2, 3],
            "iCode": ["a", "b", "c", "d", "P{0}", "Q", "T"],
            "Parent": ["P{0}", "P{0}", "P{0}", "Q", "T", "T", ""],
            "Direction": [1] * 7,
            "Weight": [1] * 7,
        }
    )
)


def units(rows: list[list[float | None]]) -> pd.DataFrame:
    index = pd.Index([f"U{i}" for i in range(len(rows))], name="uCode")
    return pd.DataFrame(np.array(rows, dtype=float).reshape(-1, 4), columns=list("abcd"), index=index)


def test_a_unit_with_exactly_the_share_stays_and_coinr_drops_it():
    """66 of 100 at 0.66: 1 - 34 / 100 is 0.65999… in floating point."""
    values = pd.DataFrame([[1.0] * 66 + [np.nan] * 34])

    assert screen(values, min_available=0.66)["kept"].tolist() == [True]
    assert screen(values, min_available=0.66, exact_counts=False)["kept"].tolist() == [False]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 120), st.data())
def test_counting_is_exact_at_every_boundary(n, data):
    needed = data.draw(st.integers(1, n))
    values = pd.DataFrame(np.ones((2, n)))
    values.iloc[0, needed:] = np.nan
    values.iloc[1, needed - 1 :] = np.nan

    kept = screen(values, min_available=needed / n)["kept"]

    assert kept.tolist() == [True, False]


def test_each_group_needs_its_own_share():
    values = units([[1, 1, 1, None], [1, None, None, 1], [1, 1, None, 1]])

    table = screen(values, min_available=0.5, hierarchy=TREE, group_min_available={2: 0.5})

    assert table["kept"].tolist() == [False, False, True]
    assert table["reason"].tolist() == [
        "fewer than 1 of 1 indicators available in Q",
        "fewer than 2 of 3 indicators available in P{0}",
        "",
    ]


def test_reasons_name_every_broken_rule_and_the_lists():
    values = units([[None, None, None, None], [0, 0, 0, 0], [1, 1, 1, 1], [None, 1, None, None]])

    table = screen(values, method="by_na_and_zeros", min_available=0.5, include=["U3"], exclude=["U2"])

    assert table["kept"].tolist() == [False, False, False, True]
    few, zeros = "fewer than 2 of 4 indicators available", "a share of less than 0.05 of the values is not zero"
    assert table["reason"].tolist() == [f"{few}; {zeros}", zeros, "named in `exclude`", f"{few} (kept by `include`)"]
    assert np.isnan(table["nonzero_share"].iloc[0])


def test_a_unit_without_data_passes_no_share_of_nonzero_values():
    table = screen(units([[None] * 4]), method="by_zeros", min_nonzero=0)

    assert table["kept"].tolist() == [False]


@pytest.mark.parametrize("level", [0, 1, 4])
def test_a_level_without_aggregates_is_refused(level):
    with pytest.raises(ConfigError, match=f"level {level} has no aggregates; choose 2 to 3"):
        screen(units([[1, 1, 1, 1]]), hierarchy=TREE, group_min_available={level: 0.5})


@pytest.mark.parametrize("options", [{"min_available": 1.1}, {"min_nonzero": -0.1}, {"min_available": np.nan}])
def test_a_share_beyond_0_to_1_is_refused(options):
    with pytest.raises(ConfigError, match="is no share; write 0 to 1"):
        screen(units([[1, 1, 1, 1]]), **options)


def test_no_units_give_an_empty_table():
    table = screen(units([]), hierarchy=TREE, group_min_available={2: 0.5})
    per_unit, per_group = availability(units([]), TREE)

    assert len(table) == len(per_unit) == len(per_group) == 0
    assert screen_indicators(units([]))["kept"].tolist() == [True] * 4


def test_indicators_are_screened_by_the_same_rule_as_units():
    values = pd.DataFrame({"x": [1.0] * 13 + [np.nan] * 7, "y": [1.0] * 12 + [np.nan] * 8})

    table = screen_indicators(values, min_available=0.65)

    assert table["kept"].to_dict() == {"x": True, "y": False}
    assert table["available"].to_dict() == {"x": 13, "y": 12}
    by_units = screen(values.T, min_available=0.65)
    assert by_units["kept"].tolist() == table["kept"].tolist()


def test_availability_counts_indicators_at_every_depth():
    table, groups = availability(units([[0, None, 2, None]]), TREE)

    assert table.loc["U0"].to_dict() == {
        "available": 2,
        "missing": 2,
        "zeros": 1,
        "available_share": 0.5,
        "nonzero_share": 0.5,
    }
    assert groups.loc["U0"].round(12).to_dict() == {"P{0}": round(2 / 3, 12), "Q": 0.0, "T": 0.5}

"""Returns lined up: what order they come in changes nothing, nor how a round is cut; who may enter growth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.methodology import load_method
from facts.indicators import resampling, units
from facts.indicators.compute import Round, compute_round, coverage_of
from facts.indicators.resampling import replicated
from facts.indicators.tables import Tables
from tests.panel import panel_tables

DEFINITIONS = load_method("1.0").definitions
RULE = load_method("1.0").imputation
CLUSTERS = ("KH-RAT-KDL", "LA-FUR-VTE", "LA-SLK-VTE")


@pytest.fixture(scope="module")
def tables():
    return panel_tables(CLUSTERS, rounds=(2024, 2025))


def shuffled(tables: Tables, seed: int) -> Tables:
    names = ("units", "frame", "collective", "context", "clusters", "flags")
    return Tables(**{name: getattr(tables, name).sample(frac=1, random_state=seed) for name in names})


def replicates(tables: Tables) -> dict[str, np.ndarray]:
    parts = list(replicated(tables, 2025, DEFINITIONS, 20, imputation=RULE))
    return {code: np.concatenate([part.values[code] for part in parts], axis=1) for code in parts[0].values}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_changes_no_digit(tables, seed):
    other = shuffled(tables, seed)
    values, again = (compute_round(one, 2025, DEFINITIONS, RULE) for one in (tables, other))
    drawn, drawn_again = replicates(tables), replicates(other)

    pd.testing.assert_frame_equal(values, again, check_exact=True)
    pd.testing.assert_frame_equal(coverage_of(tables, 2025), coverage_of(other, 2025), check_exact=True)
    for code, found in drawn.items():
        np.testing.assert_array_equal(found, drawn_again[code])


def test_how_a_round_is_cut_changes_no_digit(tables, monkeypatch):
    values, drawn = compute_round(tables, 2025, DEFINITIONS, RULE), replicates(tables)
    monkeypatch.setattr(units.Units.parts, "__defaults__", (1, 0, None))
    monkeypatch.setattr(resampling, "PART", 1)
    assert len(list(Round(tables, 2025, DEFINITIONS).parts())) == 3

    pd.testing.assert_frame_equal(values, compute_round(tables, 2025, DEFINITIONS, RULE), check_exact=True)
    for code, found in replicates(tables).items():
        np.testing.assert_array_equal(found, drawn[code])


def test_a_cluster_by_itself_has_the_values_it_has_among_others(tables):
    alone = panel_tables(("LA-FUR-VTE",), rounds=(2024, 2025))
    values = compute_round(tables, 2025, DEFINITIONS, RULE)
    found = compute_round(alone, 2025, DEFINITIONS, RULE).set_index("indicator")["value"]
    here = values[values["cluster"] == "LA-FUR-VTE"].set_index("indicator")["value"]

    differs = here.compare(found).index
    assert list(differs) in ([], ["R201"])  # spending per person of all the region's clusters


def test_answers_without_a_frame_are_refused_by_the_cluster_s_name(tables):
    lost = replace(tables, frame=tables.frame[tables.frame["cluster"] != "LA-SLK-VTE"])

    with pytest.raises(ValueError, match="LA-SLK-VTE has returns in round 2025"):
        compute_round(lost, 2025, DEFINITIONS)


def test_an_empty_round_has_no_figure_of_units(tables):
    empty = replace(tables, units=pd.DataFrame(columns=["round", "cluster", "frame_id", "UA01"]))
    values = compute_round(empty, 2025, DEFINITIONS, RULE).set_index(["cluster", "indicator"])

    assert values["value"].xs("O101", level="indicator").isna().all()
    assert (values["status"].xs("O101", level="indicator") == "O").all()
    assert values.loc[("LA-FUR-VTE", "H105"), "value"] > 0  # answered by the agency


def growth(tables: Tables) -> pd.DataFrame:
    values = compute_round(tables, 2025, DEFINITIONS)
    return values[values["indicator"] == "O202"].set_index("cluster")


def flagged(tables: Tables, **fields) -> Tables:
    """One returning firm of LA-FUR-VTE with a flag."""
    rows = tables.units[tables.units["cluster"] == "LA-FUR-VTE"]
    both = set(rows.loc[rows["round"] == 2024, "frame_id"]) & set(rows.loc[rows["round"] == 2025, "frame_id"])
    usual = {"round": 2025, "frame_id": min(both), "rule": "X08", "severity": "critical", "resolution": "open"}
    return replace(tables, flags=pd.DataFrame([usual | fields]))


@pytest.mark.parametrize(
    ("fields", "left_out"),
    [
        ({}, 1),
        ({"rule": "X08-unit"}, 1),
        ({"round": 2024}, 1),  # then the slip lies in what growth is counted from
        ({"round": 2023}, 0),
        ({"resolution": "accepted"}, 0),
        ({"rule": "X05"}, 0),
    ],
)
def test_an_open_slip_of_scale_leaves_growth_and_nothing_else(tables, fields, left_out):
    plain, found = growth(tables), growth(flagged(tables, **fields))

    assert plain.at["LA-FUR-VTE", "n_units"] - found.at["LA-FUR-VTE", "n_units"] == left_out
    assert found.at["KH-RAT-KDL", "n_units"] == plain.at["KH-RAT-KDL", "n_units"]
    whole = [compute_round(one, 2025, DEFINITIONS) for one in (tables, flagged(tables, **fields))]
    moved = whole[0]["indicator"][whole[0]["n_units"].fillna(0) != whole[1]["n_units"].fillna(0)]
    assert set(moved) <= {"O201", "O202", "O303"}

"""Framework §12.4: variants of the index, and whose band changes."""

import json

import numpy as np
import pandas as pd
import pytest

from cci.draws import draw_weights, drawn_ranks
from cci.methodology import load_method
from cci.robustness import arithmetic, band_changes, equal_weights, robustness_of, without

METHOD = load_method("1.0")
CODES = [one.code for one in METHOD.definitions.indicators]
DIMENSIONS = {one.code: one.dimension for one in METHOD.definitions.indicators}


def normalised(**by_dimension) -> pd.DataFrame:
    """Clusters × indicators: cluster → {dimension or "": score}, the same for all indicators of it."""
    rows = {
        cluster: [scores.get(DIMENSIONS[code], scores.get(DIMENSIONS[code][0], scores[""])) for code in CODES]
        for cluster, scores in by_dimension.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=CODES, dtype=float)


def found(table, ranks, bands):
    pillars = np.tile(50.0, (1, len(table), 5))
    drawn = drawn_ranks(pillars, draw_weights(METHOD.pillar_weights, 20, 40, 1))
    order = list(table.index)
    return robustness_of(table, pd.Series(ranks, index=order), pd.Series(bands, index=order), drawn, METHOD)


def test_the_variants_are_those_of_the_framework():
    report = found(normalised(A={"": 60}, B={"": 40}), [1, 2], [1, 2])

    counted = pd.Series([variant["family"] for variant in report["variants"]]).value_counts()
    assert counted.to_dict() == {"leave_out": 18, "equal": 1, "arithmetic": 1, "weights": 1}
    json.dumps(report)


def test_who_leads_everywhere_never_changes_its_band():
    report = found(normalised(A={"": 60}, B={"": 40}), [1, 2], [1, 2])

    by_model = [variant for variant in report["variants"] if variant["family"] != "weights"]
    assert all(variant["band_changes"] == 0 and variant["largest_change"] == 0 for variant in by_model)
    assert report["clusters"]["A"]["leave_out"] == 0


def test_who_lives_on_one_dimension_changes_its_band_without_it():
    """A leads by dimension O1 alone; leaving that out is one of eighteen variants."""
    report = found(normalised(A={"": 50, "O1": 90}, B={"": 52}), [1, 2], [1, 2])

    assert report["clusters"]["A"]["leave_out"] == pytest.approx(1 / 18, abs=1e-4)
    assert {v["name"] for v in report["variants"] if v["family"] == "leave_out" and v["band_changes"]} == {"O1"}


def test_the_arithmetic_mean_forgives_a_weak_pillar():
    """A: 70 but for R at 5; B: 60 throughout. Geometric B leads, arithmetic A does."""
    report = found(normalised(A={"": 70, "R": 5}, B={"": 60}), [2, 1], [2, 1])

    assert report["clusters"]["A"]["arithmetic"] == 1
    assert report["clusters"]["A"]["equal"] == 0


def test_inside_a_band_a_change_of_rank_changes_nothing():
    report = found(normalised(A={"": 70, "R": 5}, B={"": 60}), [2, 1], [1, 1])

    assert all(one["share"] == 0 for one in report["clusters"].values())


def test_a_variant_without_an_index_does_not_count():
    ranks = np.array([[1.0, 2.0], [np.nan, 1.0]])

    changed = band_changes(ranks, pd.Series([1, 2]))

    assert np.array_equal(changed, [[0, 0], [np.nan, 1]], equal_nan=True)


def test_weights_are_equal_inside_pillars_and_pillars_keep_theirs():
    meta = equal_weights(METHOD.meta)

    assert set(meta.loc[meta["Level"] <= 2, "Weight"]) == {1.0}
    assert meta.loc[meta["Level"] == 3, "Weight"].tolist() == METHOD.pillar_weights.tolist()


def test_a_dimension_goes_with_its_indicators():
    meta = without(METHOD.meta, "R1")

    assert not meta["iCode"].str.startswith("R1").any()
    assert len(meta) == len(METHOD.meta) - 5
    assert arithmetic(METHOD.engine_config)["aggregate"]["method"] == ["arithmetic_mean"] * 3

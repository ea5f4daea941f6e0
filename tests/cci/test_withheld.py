"""A withheld value cannot be worked out from the scores around it: what an edition stores of it, and what not."""

import numpy as np
import pytest

from cci.explanations import without
from cci.methodology import load_method
from cci.models import Edition, Explanation, Methodology, Score, Standing
from cci.services import compute_edition, register_methodology
from cci.services.storing import rows_of
from facts.disclosure.index import check_hidden
from facts.models import IndicatorValue, Snapshot
from facts.services import values as service
from facts.services.values import register_indicators
from tests.factories import ClusterFactory, open_round
from tests.panel import panel_tables

METHOD = load_method("1.0")
CODE = "PK-SUR-SKT"
TREE = {"CCI": [node.code for node in METHOD.definitions.pillars]}
TREE |= {
    pillar.code: [node.code for node in METHOD.definitions.dimensions if node.parent == pillar.code]
    for pillar in METHOD.definitions.pillars
}
TREE |= {
    node.code: [one.code for one in METHOD.definitions.indicators if one.dimension == node.code]
    for node in METHOD.definitions.dimensions
}
WEIGHTS = {
    one.code: float(one.weight)
    for one in (*METHOD.definitions.pillars, *METHOD.definitions.dimensions, *METHOD.definitions.indicators)
}


@pytest.fixture(scope="module")
def computed():
    return compute_edition(panel_tables(), 2025, METHOD, "snapshot")


@pytest.fixture
def rows(computed, db):
    """Make the rows of an edition, some of one cluster's indicators resting on two firms, some on no figure at all."""
    register_indicators()
    register_methodology("1.0")
    for code in computed["coverage"].index:
        ClusterFactory(code=code)
    round_ = open_round(2025, state="closed")
    edition = Edition.objects.create(round=round_, methodology=Methodology.objects.get(), label="2025", revision=0)
    snapshot = Snapshot.objects.create(round=round_, digest="s" * 64, taken_at="2026-01-01T00:00Z")

    def make(few=(), none=()) -> dict:
        values = computed["values"].copy()
        here = values["cluster"] == CODE
        values.loc[here & values["indicator"].isin(few), "n_units"] = 2
        values.loc[here & values["indicator"].isin(none), "value"] = np.nan
        return rows_of(edition, computed | {"values": values, "method": METHOD, "snapshot": snapshot})

    return make


def shown_of(found: dict, code: str = CODE) -> tuple[dict, dict]:
    """What the stored rows show of a cluster, and the weights that enter."""
    values = {row.indicator.code: row for row in found[IndicatorValue] if row.cluster.code == code}
    scores = {row.node: row.value for row in found[Score] if row.cluster.code == code}
    shown = {one: {"score", "value"} for one, row in values.items() if row.shown is not None}
    shown |= {node: {"score"} for node in TREE if scores[node] is not None}
    return shown, {n: w for n, w in WEIGHTS.items() if n in TREE or values[n].value is not None}


def test_the_only_withheld_value_of_a_dimension_takes_the_lightest_beside_it_along(rows):
    before = {row.indicator.code for row in rows()[IndicatorValue] if row.cluster.code == CODE and row.shown is None}
    found = rows(few=["O101"])

    now = {row.indicator.code: row for row in found[IndicatorValue] if row.cluster.code == CODE and row.shown is None}
    added = now.keys() - before - {"O101"}
    assert len(added) == 1
    second = now[added.pop()]
    assert (second.status, second.reason) == ("Q", service.PROTECTS)
    assert second.indicator.dimension == "O1" and second.value is not None
    assert min(WEIGHTS[one] for one in TREE["O1"] if one != "O101") == WEIGHTS[second.indicator.code]


@pytest.mark.parametrize(
    ("few", "none"),
    [(["O101"], []), (["O101", "H401"], []), (["O101"], ["O102", "O103", "O104"]), (["S101", "S201", "L101"], [])],
)
def test_no_shown_score_tells_a_withheld_value(rows, few, none):
    shown, weights = shown_of(rows(few=few, none=none))

    assert not set(few) & shown.keys()
    assert check_hidden(TREE, shown, weights) == []


def test_without_the_rule_a_withheld_value_is_told(rows, monkeypatch):
    monkeypatch.setattr(service, "_hidden", lambda rows: {})

    shown, weights = shown_of(rows(few=["O101"]))

    assert check_hidden(TREE, shown, weights)


def test_a_dimension_of_one_withheld_indicator_stands_nowhere(rows, computed):
    found = rows(few=["O101"], none=["O102", "O103", "O104"])

    scores = {row.node: row for row in found[Score] if row.cluster.code == CODE}
    assert (scores["O1"].value, scores["O1"].contribution, scores["O1"].rank) == (None, None, None)
    assert scores["PERFORM"].value is None and scores["CCI"].value is not None
    record = next(row.content for row in found[Explanation] if row.cluster.code == CODE)
    assert record["scores"]["O1"] is record["contributions"]["O1"] is None
    assert record["scores"]["CCI"] == computed["explanations"][CODE]["scores"]["CCI"]
    assert any(row.is_ranked for row in found[Standing] if row.cluster.code == CODE)


def test_a_record_without_a_node_says_nothing_of_it(computed):
    record = next(one for one in computed["explanations"].values() if one["holds_back"])
    node = record["holds_back"][0]["node"]

    left = without(record, frozenset({node}))

    assert left["scores"][node] is left["contributions"][node] is None
    assert node not in [gap["node"] for gap in left["holds_back"]]
    assert without(record, frozenset()) is record

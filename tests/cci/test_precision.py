"""How sure an edition is: standard errors and rank intervals, on the invented panel and in the database."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from django.utils import timezone

from cci import precision
from cci.methodology import load_method
from cci.models import Edition, Methodology, Score
from cci.precision import precision_of, standard_error
from cci.services import compute_edition, register_methodology, store_edition
from clusters.models import Cluster
from facts.indicators import resampling
from facts.indicators.compute import Round, Tables, joined_inputs
from facts.indicators.resampling import replicated_between
from facts.models import IndicatorValue, Snapshot
from facts.services.values import register_indicators
from tests.factories import ClusterFactory, open_round
from tests.panel import panel_tables

METHOD = load_method("1.0")
PILLARS = ["O", "H", "S", "L", "R"]
FEW = ("JP-TAM-TYO", "LA-SLK-VTE", "PK-SUR-SKT", "VN-CER-BTG")


@pytest.fixture(scope="module")
def tables():
    return panel_tables(rounds=(2023, 2024, 2025))


@pytest.fixture(scope="module")
def edition(tables):
    return compute_edition(tables, 2025, METHOD, "snapshot")


def errors(outcome) -> pd.Series:
    return outcome["precision"].scores["CCI"]


def test_standard_errors_of_the_index_are_of_the_size_the_method_reports(edition):
    """Framework §11.8 reports 0.8–2.2 for 50–400 returns and up to 3.6 for a thin cluster, of firms drawn from many.

    Here most of the firms answered: the finite population correction takes √(1 − n/N) of that.
    """
    coverage = edition["coverage"]
    left = np.sqrt(1 - coverage["accepted"] / coverage["in_scope"])
    of_many = errors(edition) / left
    usual = coverage["operating"].between(50, 400)

    assert errors(edition).between(0.1, 2.2).all()
    assert of_many[usual].between(0.4, 2.6).all()
    assert of_many[usual].median() == pytest.approx(1.0, abs=0.3)
    assert of_many[~usual].max() < 3.6
    assert errors(edition)["JP-TAM-TYO"] < errors(edition)["MM-FSH-AYE"]  # 83 % answered, 41 % answered


def test_an_interval_holds_its_rank_and_names_what_it_covers(edition):
    sure, ranks = edition["precision"], edition["ranks"]["CCI"]
    report = edition["report"]["precision"]

    assert list(sure.intervals.index) == list(ranks.index)
    assert (sure.intervals["low"] <= ranks).all() and (ranks <= sure.intervals["high"]).all()
    assert sure.intervals["high"].max() <= len(ranks)
    for code, entry in report["rank_intervals"].items():
        assert entry["joint"] == sure.intervals.loc[code].tolist()
        for source in ("firms", "weights"):
            assert entry[source][0] <= ranks[code] <= entry[source][1]
    assert report["replicates"] == 200 and report["draws"] == 500
    json.dumps(report)


def test_both_sources_together_are_wider_than_either_somewhere(edition):
    entries = edition["report"]["precision"]["rank_intervals"].values()

    def width(source):
        return sum(entry[source][1] - entry[source][0] for entry in entries)

    assert width("joint") > width("firms") > 0
    assert width("joint") > width("weights") > 0


def test_what_no_firm_answers_has_no_error(edition):
    sure = edition["precision"]

    assert (sure.scores["R"] == 0).all()  # answered by regions
    assert sure.values["H105"].isna().all()  # answered by agencies
    assert (sure.values["O101"] > 0).all()
    assert sure.scores.isna().equals(edition["scores"].isna())
    missing = edition["values"].set_index(["cluster", "indicator"])["value"].unstack().isna()
    assert sure.values.where(missing).isna().all().all()


def test_a_cluster_where_everybody_answered_does_not_vary():
    tables = panel_tables(("LA-SLK-VTE",))
    answered = set(zip(tables.units["round"], tables.units["frame_id"], strict=True))
    pairs = zip(tables.frame["round"], tables.frame["frame_id"], strict=True)
    whole = replace(tables, frame=tables.frame[[pair in answered for pair in pairs]])

    found = compute_edition(whole, 2025, METHOD, "snapshot")

    assert (errors(found) == 0).all()
    assert (errors(compute_edition(tables, 2025, METHOD, "snapshot")) > 0.5).all()


def test_smoothed_indicators_carry_the_error_of_earlier_rounds():
    """The mean of three rounds of growth, drawn apart from each other: SE² = Σ SE²/9."""
    tables = panel_tables(("PK-SUR-SKT",))
    by_round = {}
    for year in (2023, 2024, 2025):
        drawn = replicated_between(Round(tables, year, METHOD.definitions), 400, 0, 1)
        by_round[year] = {one.code: drawn.get(one.code, np.zeros((400, 1))) for one in METHOD.definitions.indicators}
    growth = {year: found["O202"][:, 0] for year, found in by_round.items()}

    entering = joined_inputs(by_round, 2025, METHOD.definitions)["O202"][:, 0]

    assert entering == pytest.approx(np.mean(list(growth.values()), axis=0))
    assert entering.std() == pytest.approx(np.sqrt(sum(one.var() for one in growth.values())) / 3, rel=0.10)


def test_the_digest_does_not_hang_on_order_or_batches_and_covers_the_errors(monkeypatch):
    tables = panel_tables(FEW, rounds=(2024, 2025))
    digest = compute_edition(tables, 2025, METHOD, "snapshot")["digest"]
    names = ("units", "frame", "collective", "context", "clusters", "flags")
    shuffled = Tables(**{name: getattr(tables, name).sample(frac=1, random_state=5) for name in names})

    assert compute_edition(shuffled, 2025, METHOD, "snapshot")["digest"] == digest
    monkeypatch.setattr(resampling, "PART", 1)
    monkeypatch.setattr(precision, "PART", 1)
    assert compute_edition(tables, 2025, METHOD, "snapshot")["digest"] == digest
    monkeypatch.setattr(resampling, "seed_of", lambda year, code: 1)
    assert compute_edition(tables, 2025, METHOD, "snapshot")["digest"] != digest


def test_an_edition_that_ranks_nobody_has_errors_and_no_intervals(tables, edition):
    by_round = {2025: edition["values"]}
    sure = precision_of(tables, by_round, 2025, METHOD, edition["scores"], [])

    assert sure.intervals.empty
    assert sure.report["rank_intervals"] == {}
    assert sure.scores["CCI"].notna().any()


def test_a_standard_error_is_the_distance_from_the_value_itself():
    replicates = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan], [5.0, 5.0, 2.0]])

    found = standard_error(replicates, np.array([2.0, 5.0, np.nan]))

    assert found[0] == pytest.approx(np.sqrt((1 + 1 + 9) / 3))
    assert found[1] == 0
    assert np.isnan(found[2])


@pytest.mark.django_db
def test_errors_and_intervals_are_stored(edition, tables):
    register_indicators()
    register_methodology("1.0")
    for code in tables.codes:
        ClusterFactory(code=code)
    round_ = open_round(2025, state="closed")
    made = Edition.objects.create(round=round_, methodology=Methodology.objects.get(), revision=0, label="2025")
    snapshot = Snapshot.objects.create(round=round_, digest="0" * 64, taken_at=timezone.now())

    store_edition(made, edition | {"snapshot": snapshot, "method": METHOD})

    sialkot = Cluster.objects.get(code="PK-SUR-SKT")
    score = Score.objects.get(edition=made, cluster=sialkot, node="CCI")
    assert score.se == pytest.approx(errors(edition)["PK-SUR-SKT"])
    assert score.rank_low <= score.rank <= score.rank_high
    assert Score.objects.get(edition=made, cluster=sialkot, node="R").se == 0
    values = IndicatorValue.objects.filter(snapshot=snapshot, cluster=sialkot)
    assert values.get(indicator__code="O101").se > 0
    assert values.get(indicator__code="H105").se is None
    made.refresh_from_db()
    assert made.report["precision"]["rank_intervals"]["PK-SUR-SKT"]["joint"] == [score.rank_low, score.rank_high]

"""Explanations add up, hold what they promise, and change with the figures they rest on."""

import json

import numpy as np
import pandas as pd
import pytest
from django.utils import timezone

from cci.engine.ranking import rank
from cci.explanations import Previous, contributions_of, improvements_of, pairs_of, shares_of, ways_of
from cci.methodology import load_method
from cci.models import Edition, Explanation, Methodology, Score, Standing
from cci.partial import CAPACITY, PERFORM
from cci.scoring import score
from cci.services import compute_edition, register_methodology, store_edition
from cci.services.previous import previous_of
from facts.indicators.compute import compute_round, index_inputs
from facts.models import IndicatorValue, Reliability, Snapshot
from facts.services.values import register_indicators
from tests.factories import ClusterFactory, open_round
from tests.panel import panel_tables

METHOD = load_method("1.0")
PILLARS = [node.code for node in METHOD.definitions.pillars]
DIMENSIONS = [node.code for node in METHOD.definitions.dimensions]
INDICATORS = {one.code: one for one in METHOD.definitions.indicators}


@pytest.fixture(scope="module")
def tables():
    return panel_tables()


@pytest.fixture(scope="module")
def before(tables):
    return compute_edition(tables, 2024, METHOD, "before")


@pytest.fixture(scope="module")
def edition(tables, before):
    previous = Previous(
        "2024", before["digest"], before["scores"], before["ranks"]["CCI"], before["precision"].intervals
    )
    return compute_edition(tables, 2025, METHOD, "snapshot", previous)


@pytest.fixture(scope="module")
def entering(tables):
    """Index inputs of 2025, as the edition has them."""
    values = {year: compute_round(tables, year, METHOD.definitions, METHOD.imputation) for year in (2023, 2024, 2025)}
    for year in (2023,):
        proxy = values[year]["indicator"] == "S104"
        values[year].loc[proxy, "value"] = np.nan
    return index_inputs(values, 2025, METHOD.definitions)


def record(edition, code="PK-SUR-SKT"):
    return edition["explanations"][code]


# --- Contributions --------------------------------------------------------------------------


def test_contributions_of_a_level_add_up_to_the_index(edition):
    found, index = edition["contributions"], edition["scores"]["CCI"]

    for level in (PILLARS, DIMENSIONS, [PERFORM, CAPACITY]):
        assert found[level].sum(axis=1).to_numpy() == pytest.approx(index.to_numpy(), rel=1e-12)
    for one in edition["explanations"].values():
        parts = sum(one["contributions"][code] or 0 for code in INDICATORS)
        assert parts == pytest.approx(one["scores"]["CCI"], rel=1e-5)


def test_a_pillar_contributes_its_share_of_the_logarithm():
    """Two pillars by hand: ln I = 0.35·ln 80 + 0.65·ln 20, so O stands for 0.35·ln 80 / ln I of the index."""
    scores = pd.DataFrame({code: [20.0] for code in [*PILLARS, *DIMENSIONS]}, index=["X"])
    scores["O"] = 80.0
    index = 80**0.35 * 20**0.65
    scores["CCI"] = index
    normalised = pd.DataFrame({code: [20.0] for code in INDICATORS}, index=["X"])

    nodes, _ = contributions_of(normalised, scores, shares_of(normalised, scores, METHOD), METHOD)

    assert nodes.at["X", "O"] == pytest.approx(index * 0.35 * np.log(80) / np.log(index))


def test_a_pillar_at_the_floor_contributes_nothing_and_all_at_the_floor_their_weights():
    base = {code: [0.0] for code in [*PILLARS, *DIMENSIONS]}
    normalised = pd.DataFrame({code: [0.0] for code in INDICATORS}, index=["X"])
    floored = pd.DataFrame(base | {"CCI": [1.0]}, index=["X"])

    nodes, parts = contributions_of(normalised, floored, shares_of(normalised, floored, METHOD), METHOD)

    assert nodes.loc["X", PILLARS].tolist() == pytest.approx(METHOD.pillar_weights.tolist())
    assert parts.loc["X"].sum() == pytest.approx(1)
    mixed = pd.DataFrame(base | {"O": [50.0], "CCI": [50**0.35]}, index=["X"])
    nodes, _ = contributions_of(normalised, mixed, shares_of(normalised, mixed, METHOD), METHOD)
    assert nodes.loc["X", ["H", "S", "L", "R"]].tolist() == [0, 0, 0, 0]
    assert nodes.at["X", "O"] == pytest.approx(50**0.35)


# --- What moved -----------------------------------------------------------------------------


def test_the_change_of_a_score_is_attributed_without_a_remainder(edition, before):
    for code, one in edition["explanations"].items():
        if one["moved"] is None:
            continue
        score_ = one["moved"]["score"]
        change = edition["scores"].at[code, "CCI"] - before["scores"].at[code, "CCI"]

        assert score_["change"] == pytest.approx(change, rel=1e-4, abs=1e-5)
        assert sum(score_["nodes"].values()) + score_["weights"] == pytest.approx(change, rel=1e-3, abs=1e-3)


def test_places_won_add_up_over_data_framework_and_sample(edition, before):
    moved = {code: one["moved"]["rank"] for code, one in edition["explanations"].items() if one["moved"]}

    assert set(moved) == set(edition["ranks"].index) & set(before["ranks"].index)
    for code, rank_ in moved.items():
        assert rank_["places"] == before["ranks"]["CCI"][code] - edition["ranks"]["CCI"][code]
        assert rank_["data"] + rank_["framework"] + rank_["sample"] == rank_["places"]
        assert rank_["framework"] == 0
        assert rank_["data"] == rank_["like_for_like"]
    assert sum(rank_["data"] for rank_ in moved.values()) == 0  # among the same clusters nobody wins without another


def test_without_an_edition_before_nothing_moved(before):
    assert all(one["moved"] is None for one in before["explanations"].values())
    assert before["report"]["previous"] is None


# --- What holds back, and what would help ---------------------------------------------------


def test_gaps_lie_more_than_fifteen_points_below_the_median(edition):
    gaps = [(one, gap) for one in edition["explanations"].values() for gap in one["holds_back"]]

    assert gaps
    for one, gap in gaps:
        assert gap["median"] == one["medians"][gap["node"]]
        assert gap["median"] - gap["score"] == pytest.approx(gap["gap"], abs=1e-3)
        assert gap["gap"] > 15
        assert (gap["area"] == "") is (gap["node"] in ("O1", "O2", "O4", "R1", "R2"))
        assert one["scores"]["CCI"] is None or gap["points"] > 0
    for one in edition["explanations"].values():
        behind = {n for n in DIMENSIONS if one["scores"][n] is not None and one["medians"][n] - one["scores"][n] > 15}
        assert {gap["node"] for gap in one["holds_back"]} == behind


def test_the_smallest_improvement_does_what_it_says_through_the_engine(edition, entering):
    """Every one of them put into the data and computed anew: that many places, and a little less gains none."""
    ranks = edition["ranks"]["CCI"]
    ranked = list(ranks.index)
    checked = 0
    for code in ranked:
        for step in record(edition, code)["improvements"]:
            indicator = step["indicator"]
            now = entering.at[code, indicator]
            short = now + 0.98 * (step["next_value"] - now)
            after = [places_of(entering, ranked, code, indicator, value) for value in (step["next_value"], short)]

            assert ranks[code] - after[0] == step["places"] >= 1, (code, indicator)
            if step["score"] > 0:  # far below the worse goalpost the way to it gains nothing
                assert after[1] == ranks[code], (code, indicator)
            checked += 1
    assert checked


def places_of(entering, ranked, code, indicator, value) -> int:
    """The rank of a cluster with another value of one indicator, or of several."""
    changed = entering.loc[ranked].copy()
    changed.loc[code, indicator] = value
    scores = score(changed.rename_axis("uCode").reset_index(), {}, METHOD).scores
    return rank(scores[["CCI"]])["CCI"][code]


def test_an_improvement_lies_within_reach_of_the_best_quarter(edition, entering):
    ranked = list(edition["ranks"].index)
    for code in ranked:
        for step in record(edition, code)["improvements"]:
            sign = INDICATORS[step["indicator"]].direction
            now = entering.at[code, step["indicator"]]
            cap = INDICATORS[step["indicator"]].cap

            assert (step["next_value"] - now) * sign > 0
            assert (step["reach_value"] - step["next_value"]) * sign >= -1e-6 * abs(step["reach_value"])
            assert 0 < step["effort"] <= 1
            assert step["reach_places"] >= step["places"]
            assert cap is None or step["next_value"] <= cap
            assert not step["indicator"].startswith("R")
            if step["band_value"] is not None:
                assert (step["band_value"] - step["next_value"]) * sign >= -1e-6 * abs(step["next_value"])


def made(n: int, seed: int = 7):
    """Ranked clusters with drawn scores, some missing: normalised, scores, shares, bands, and the values behind."""
    draw = np.random.default_rng(seed)
    table = pd.DataFrame(draw.uniform(5, 95, (n, len(INDICATORS))), columns=list(INDICATORS))
    table = table.mask(draw.random(table.shape) < 0.02)
    table.index = pd.Index([f"C{number:05d}" for number in range(n)])
    raw = table.copy()
    posts = METHOD.goalposts.set_index("iCode")
    for code, one in INDICATORS.items():
        post = posts.loc[code]
        up = table[code] if one.direction > 0 else 100 - table[code]
        scaled = post["lo"] + up / 100 * (post["hi"] - post["lo"])
        raw[code] = {"lin": lambda x: x, "log": np.exp, "log1p": np.expm1}[post["transform"]](scaled)
    found = score(raw.rename_axis("uCode").reset_index(), {}, METHOD)
    whole = found.scores.index[found.scores["CCI"].notna()]
    normalised, scores = found.normalised.loc[whole], found.scores.loc[whole]
    bands = pd.Series(1 + rank(scores[["CCI"]])["CCI"].astype(int) // 50, index=whole)
    return normalised, scores, shares_of(normalised, scores, METHOD), bands, raw.loc[whole]


def test_improvements_of_a_dense_ranking_hold_through_the_engine():
    """Where scores lie close and values are missing: a sample of cells, computed anew one by one."""
    normalised, scores, shares, bands, raw = made(80)
    ranks = rank(scores[["CCI"]])["CCI"]

    ways = ways_of(normalised, scores, shares, bands, dict.fromkeys(bands.index), {}, METHOD)
    found = improvements_of(ways)

    cells = list(zip(*np.nonzero(np.isfinite(found.next_value)), strict=True))
    assert len(cells) > 1000
    for row, column in cells[::41]:
        code, indicator = ways.codes[row], ways.indicators[column]
        places = [
            ranks[code] - places_of(raw, list(raw.index), code, indicator, value)
            for value in (found.next_value[row, column], found.reach_value[row, column])
        ]

        assert places[0] == found.next_places[row, column] >= 1
        assert places[1] == found.reach_places[row, column]


def test_a_pair_does_what_it_says_through_the_engine(edition, entering):
    """Both put into the data and computed anew: that many places, and a little less of both gains none."""
    ranks = edition["ranks"]["CCI"]
    ranked, checked = list(ranks.index), 0
    for code in ranked:
        pairs = record(edition, code)["pairs"]
        assert [pair["effort"] for pair in pairs] == sorted(pair["effort"] for pair in pairs)
        for pair in pairs[:3]:
            now = entering.loc[code, pair["indicators"]].to_numpy(dtype=float)
            needed = np.array(pair["next_values"])
            after = [places_of(entering, ranked, code, pair["indicators"], now + f * (needed - now)) for f in (1, 0.97)]

            assert ranks[code] - after[0] == pair["places"] >= 1, (code, pair)
            assert 0 < pair["effort"] <= 1
            if min(record(edition, code)["scores"][one] for one in pair["indicators"]) > 0:
                assert after[1] == ranks[code], (code, pair)
            checked += 1
    assert checked > 5


def test_a_pair_asks_less_of_each_than_either_alone_and_none_of_less_effort_is_left_out():
    normalised, scores, shares, bands, _ = made(60)
    ways = ways_of(normalised, scores, shares, bands, dict.fromkeys(bands.index), {}, METHOD)
    alone, pairs = improvements_of(ways), pairs_of(ways, 120)

    for row in range(len(ways.codes)):
        for place in np.flatnonzero(pairs.first[row] >= 0):
            efforts = alone.effort[row, [pairs.first[row, place], pairs.second[row, place]]]
            assert not (efforts < pairs.effort[row, place]).any()
    # A pair by hand: two indicators of one pillar, moved by the share found, bring the index to the one above.
    same = (ways.place[pairs.first] == ways.place[pairs.second]) & (pairs.first >= 0)
    row, place = np.argwhere(same)[0]
    columns = [pairs.first[row, place], pairs.second[row, place]]
    points = (ways.inside * (ways.reach - ways.score))[row, columns].sum() * pairs.effort[row, place]
    pillar, weight = ways.pillar[row, columns[0]], ways.weight[columns[0]]
    assert ways.index[row] * ((pillar + points) / pillar) ** weight == pytest.approx(ways.above[row], rel=2e-5)


def test_leaving_a_band_takes_what_the_last_of_the_better_band_has():
    normalised, scores, shares, bands, _ = made(300)

    ways = ways_of(normalised, scores, shares, bands, dict.fromkeys(bands.index), {}, METHOD)
    found = improvements_of(ways)

    assert np.isfinite(found.band_score).any()
    index = scores["CCI"]
    rows, columns = np.nonzero(np.isfinite(found.band_score))
    for row, column in list(zip(rows, columns, strict=True))[::97]:
        code, one = ways.codes[row], INDICATORS[ways.indicators[column]]
        inside = shares.indicators.at[code, one.code] * shares.dimensions.at[code, one.dimension]
        pillar = scores.at[code, one.pillar]
        moved = pillar + inside * (found.band_score[row, column] - ways.score[row, column])
        weight = next(node.weight for node in METHOD.definitions.pillars if node.code == one.pillar)
        after = index[code] * (moved / pillar) ** weight
        better = index[bands < bands[code]]
        assert after > better.min()
        assert after == pytest.approx(better.min(), rel=1e-4)
    assert np.isnan(found.band_score[[ways.codes.index(code) for code in bands.index[bands == 1]]]).all()


# --- How sure, peers, strengths -------------------------------------------------------------


def test_a_record_says_rank_interval_and_band_of_ranked_clusters_only(edition):
    intervals, bands = edition["precision"].intervals, edition["bands"]
    for code, one in edition["explanations"].items():
        if code in edition["ranks"].index:
            assert [one["index"]["low"], one["index"]["high"]] == intervals.loc[code].tolist()
            assert one["index"]["band"] == bands[code]
        else:
            assert set(one["index"]) == {"score"}
            assert one["improvements"] == one["strengths"] == one["weaknesses"] == [] and one["sure"] == {}


def test_the_chance_to_stand_before_the_next_agrees_with_both_records(edition):
    order = edition["ranks"]["CCI"].sort_values().index
    for first, second in zip(order, order[1:], strict=False):
        ahead = record(edition, first)["sure"]["ahead_of_next"]

        assert ahead["cluster"] == second
        assert 0.4 <= ahead["share"] <= 1
        assert record(edition, second)["sure"]["behind_before"] == {"cluster": first, "share": ahead["share"]}
        apart = edition["precision"].intervals
        if apart.at[first, "high"] < apart.at[second, "low"]:
            assert ahead["share"] >= 0.9


def test_the_place_among_peers_is_counted_among_them(edition):
    ranks = edition["ranks"]["CCI"]
    with_peers = {code: one["peers"] for code, one in edition["explanations"].items() if one["peers"]}

    assert with_peers
    for code, peers in with_peers.items():
        assert peers["n"] >= 5
        if code in ranks.index:
            assert 1 <= peers["low"] <= peers["rank"] <= peers["high"] <= peers["n"]
            assert 1 <= peers["band"] <= peers["n"]
        else:
            assert "rank" not in peers
    exporting = [code for code, peers in with_peers.items() if peers["key"] == "exp" and code in ranks.index]
    order = sorted(exporting, key=lambda code: ranks[code])
    assert [with_peers[code]["rank"] for code in order] == list(range(1, len(order) + 1))


def test_no_strength_rests_on_an_estimate(edition):
    estimated = edition["values"].query("status == 'E'")
    guessed = set(zip(estimated["cluster"], estimated["indicator"], strict=True))
    named = {
        (code, mark["indicator"])
        for code, one in edition["explanations"].items()
        for mark in (*one["strengths"], *one["weaknesses"])
    }

    assert guessed and named
    assert not guessed & named


def test_strengths_stand_in_the_better_half_and_weaknesses_in_the_other(edition):
    for one in edition["explanations"].values():
        assert all(mark["rank"] <= mark["n"] / 2 for mark in one["strengths"])
        assert all(mark["rank"] > mark["n"] / 2 for mark in one["weaknesses"])


# --- Digest and storing ---------------------------------------------------------------------


def test_the_digest_covers_explanations_and_what_they_compare_with(tables, edition, before):
    ranks, spans = before["ranks"]["CCI"], before["precision"].intervals
    other = Previous("2024.1", "x", before["scores"], ranks, spans)

    assert compute_edition(tables, 2025, METHOD, "snapshot", other)["digest"] != edition["digest"]
    content = json.dumps(edition["explanations"], sort_keys=True, allow_nan=False)
    assert json.loads(content) == edition["explanations"]


@pytest.fixture
def round_of_2025(tables, db):
    register_indicators()
    register_methodology("1.0")
    for code in tables.codes:
        ClusterFactory(code=code)
    return open_round(2025, state="closed")


def stored(round_, result, label="2025", **fields) -> Edition:
    made_ = Edition.objects.create(round=round_, methodology=Methodology.objects.get(), label=label, **fields)
    snapshot = Snapshot.objects.create(round=round_, digest=f"{label:0<64}", taken_at=timezone.now())
    store_edition(made_, result | {"snapshot": snapshot, "method": METHOD})
    return made_


def test_explanations_bands_and_contributions_are_stored(edition, round_of_2025):
    made_ = stored(round_of_2025, edition, revision=0)

    assert Explanation.objects.filter(edition=made_).count() == 24
    one = Explanation.objects.get(edition=made_, cluster__code="PK-SUR-SKT")
    assert one.content == record(edition)
    standing = Standing.objects.get(edition=made_, cluster=one.cluster)
    assert standing.band == edition["bands"]["PK-SUR-SKT"]
    assert Standing.objects.filter(edition=made_, is_ranked=False, band__isnull=False).count() == 0
    total = Score.objects.get(edition=made_, cluster=one.cluster, node="CCI")
    parts = Score.objects.filter(edition=made_, cluster=one.cluster, node__in=PILLARS)
    assert sum(part.contribution for part in parts) == pytest.approx(total.value)
    capacity = Score.objects.get(edition=made_, cluster=one.cluster, node="CAPACITY")
    assert capacity.rank and capacity.se > 0 and capacity.rank_low is None
    made_.refresh_from_db()
    assert set(made_.report["robustness"]["clusters"]) == set(edition["ranks"].index)


def test_a_trial_stores_no_values_of_its_round(edition, round_of_2025):
    made_ = stored(round_of_2025, edition, label="2025-trial-2.0", is_trial=True)

    assert Score.objects.filter(edition=made_).exists()
    assert not IndicatorValue.objects.exists()
    assert not Reliability.objects.exists()


def test_the_edition_before_is_read_as_it_was_published(edition, before, round_of_2025):
    earlier = stored(open_round(2024, state="closed"), before, label="2024", revision=0)
    later = Edition.objects.create(round=round_of_2025, methodology=earlier.methodology, revision=0, label="2025")

    assert previous_of(later) is None  # computed, not published
    Edition.objects.filter(pk=earlier.pk).update(state="published", published_at=timezone.now())
    found = previous_of(later)
    assert found.label == "2024" and found.digest == before["digest"]
    assert found.ranks.to_dict() == before["ranks"]["CCI"].astype(int).to_dict()
    pd.testing.assert_frame_equal(
        found.scores[before["scores"].columns], before["scores"], check_names=False, check_exact=True
    )
    pd.testing.assert_frame_equal(
        found.intervals.sort_index(), before["precision"].intervals.sort_index(), check_names=False, check_dtype=False
    )


def test_what_was_computed_keeps_the_edition_it_was_compared_with(edition, before, round_of_2025):
    earlier = stored(open_round(2024, state="closed"), before, label="2024", revision=0)
    made_ = stored(round_of_2025, edition, revision=0)

    made_.refresh_from_db()
    assert made_.report["previous"] == {"label": "2024", "digest": before["digest"]}
    assert previous_of(made_).label == earlier.label


def test_another_methodology_is_not_compared_with(edition, before, round_of_2025):
    earlier = stored(open_round(2024, state="closed"), before, label="2024", revision=0)
    Edition.objects.filter(pk=earlier.pk).update(state="published", published_at=timezone.now())
    other = Methodology.objects.create(version="9", title="Other", digest="x", definition={})
    later = Edition.objects.create(round=round_of_2025, methodology=other, revision=0, label="2025")

    assert previous_of(later) is None

"""Selective editing: what is expected, what a return may move, and how it is said; then over a real cluster."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cci.services import register_methodology
from cci.yardstick import yardstick
from core.jobs import ledger
from facts import selective
from facts.models import FrameEntry, Return
from facts.selective import Yardstick
from facts.services.drafts import explain
from facts.services.imports import Row, save_drafts
from facts.services.priority import prioritise, request_priority
from facts.services.review import accept
from facts.services.submission import NotSubmittable, submit
from facts.services.values import definitions
from tests.factories import Town, UnitFactory, open_round, person, seen_by_checks
from tests.facts.valid_returns import UNIT


def table(**columns) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=[f"u{number}" for number in range(size)])


# --- Expected figures -----------------------------------------------------------------------------


def test_an_amount_is_expected_to_move_as_the_cluster_moved():
    before = table(UC01=[100.0] * 6)
    now = table(UC01=[110.0, 110, 110, 110, 110, 900])

    expected = selective.expected_figures(now, before, pd.Series(dtype=float))

    assert expected["UC01"].tolist() == pytest.approx([110.0] * 6)


def test_without_last_year_an_amount_is_expected_as_peers_have_it_per_person():
    now = table(UC01=[50.0, 100, 100, 100, 100, 100], UB01=[10, 10, 10, 10, 10, 10])
    persons = pd.Series([20.0, 10, 10, 10, 10, 10], index=now.index)

    expected = selective.expected_figures(now, table(UC01=[math.nan] * 6), persons)

    assert expected.at["u0", "UC01"] == pytest.approx(200)  # 20 persons of the frame at 10 a person


def test_a_level_is_expected_as_it_was_and_a_gap_stays_a_gap():
    now = table(UE04=[70.0, math.nan], UC01=[1.0, 2.0])
    before = table(UE04=[75.0, 60.0], UC01=[math.nan, math.nan])

    expected = selective.expected_figures(now, before, pd.Series(dtype=float))

    assert expected.at["u0", "UE04"] == 75.0
    assert math.isnan(expected.at["u1", "UE04"])
    assert expected["UC01"].tolist() == [1.0, 2.0]  # nothing to expect it from: it moves nothing


def test_the_local_score_is_measured_against_the_expected_total():
    now, expected = table(UC01=[1000.0, 1]), table(UC01=[1.0, 1])
    local = selective.local_scores(now, expected, pd.Series(1.0, index=now.index))

    assert local["UC01"].tolist() == [pytest.approx(999 / 2), 0.0]
    assert selective.global_scores(local).tolist() == local["UC01"].tolist()


def test_every_number_of_a_firm_that_enters_an_indicator_is_known_here():
    derived = definitions().derived
    names = set()
    for indicator in definitions().indicators:
        for name in indicator.formula.names:
            names |= derived[name].names if name in derived else {name}
    for formula in derived.values():
        names |= {name for name in formula.names if name not in derived}
    figures = {name for name in names if name[:1] == "U" and isinstance(UNIT[name], int | float)}
    choices = {"UA01", "UA02", "UF01", "UG06", "UH03", "UH05", "UH01", "UH02"}

    assert figures - choices <= set(selective.FIGURES)


# --- Index and places -----------------------------------------------------------------------------

ROD = Yardstick(
    posts={"A": ("lin", 0.0, 100.0, 1), "B": ("log", 0.0, math.log(100), -1)},
    weights={"A": ("O", 1.0), "B": ("H", 1.0)},
    pillar_weights={"O": 0.5, "H": 0.5},
    pillars={"x": {"O": 49.0, "H": 64.0}},
    scores={"x": 56.0, "y": 60.0, "z": 50.0},
)


def test_goalposts_are_those_of_the_engine():
    from cci.engine.normalisation import goalposts

    posts = pd.DataFrame(
        {name: {"transform": t, "lo": lo, "hi": hi} for name, (t, lo, hi, _) in ROD.posts.items()}
    ).T.astype({"lo": float, "hi": float})
    values = pd.DataFrame({"A": [-5.0, 30, 120], "B": [1.0, 10, 1000]})
    theirs = goalposts(values, posts=posts, directions=pd.Series({"A": 1, "B": -1}))

    mine = [[selective.scaled(row[name], ROD.posts[name]) for name in ("A", "B")] for _, row in values.iterrows()]

    assert np.allclose(mine, theirs.to_numpy())


def test_a_shift_goes_through_the_geometric_mean():
    shift = selective.index_shift("x", {"A": 62.0}, {"A": 49.0}, ROD)

    assert shift == pytest.approx(math.sqrt(62 * 64) - math.sqrt(49 * 64))
    assert selective.index_shift("unknown", {"A": 49.0}, {"A": 36.0}, ROD) == pytest.approx(0.5 * 13)
    assert selective.index_shift("x", {"A": math.nan}, {"A": 36.0}, ROD) == 0.0


def test_places_are_read_off_the_ranking():
    scores = {"x": 55.0, "a": 40.0, "b": 50.0, "c": 60.0, "d": 70.0}

    assert selective.places("x", 0.0, scores) == 0.0
    assert selective.places("x", 5.0, scores) == pytest.approx(0.5)  # half the way between two neighbours
    assert selective.places("x", -15.0, scores) == pytest.approx(1.5)
    assert selective.places("x", -999.0, scores) <= len(scores)
    assert selective.places("x", 2.0, {}) == 2.0  # no edition yet: a point is a place


@given(st.lists(st.floats(1, 100), min_size=2, max_size=20), st.floats(-50, 50), st.floats(0, 50))
def test_a_larger_shift_never_moves_fewer_places(others, one, more):
    scores = {"x": 50.0} | {f"c{n}": score for n, score in enumerate(others)}
    sign = 1 if one >= 0 else -1

    near, far = selective.places("x", one, scores), selective.places("x", one + sign * more, scores)

    assert 0 <= near <= far + 1e-9 <= len(others) + 1 + 1e-9


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (0.0, "hardly moves Sialkot"),
        (0.4, "may move Sialkot by up to 1 place"),
        (1.4, "may move Sialkot by 1–2 places"),
        (5.0, "may move Sialkot by 5–6 places"),
    ],
)
def test_an_effect_is_said_without_figures_of_anybody(effect, words):
    assert selective.place_words(effect, "Sialkot") == words


def test_the_order_is_suspicion_times_effect_and_then_as_it_came():
    rows = [(0.0, 9.0, "old"), (3.0, 0.5, "little"), (2.0, 2.0, "much"), (9.0, 0.0, "young")]

    assert selective.in_order(rows) == ["much", "little", "old", "young"]


# --- A real cluster -------------------------------------------------------------------------------


@pytest.fixture
def world(db):
    """Twelve firms with last year's accepted returns and this year's handed in."""
    register_methodology("1.0")
    town = Town(units=0)
    town.units = [UnitFactory(cluster=town.cluster, sector=town.cluster.sector) for _ in range(12)]
    town.last = open_round(2025)
    for round_ in (town.round, town.last):
        FrameEntry.objects.bulk_create(
            [
                FrameEntry(round=round_, unit=unit, cluster=town.cluster, size=2, prior_employment=20)
                for unit in town.units
            ]
        )
    return town


def hand_in(town, round_, changes=None, factor=1.0, accepted=False):
    """Every firm's return, a little different each; `changes` by place."""
    rows = []
    for number, unit in enumerate(town.units):
        size = (1 + number / 20) * factor
        money = {code: round(UNIT[code] * size) for code in ("UC01", "UC02", "UC03", "UD01", "UD04", "UD05", "UD06")}
        money |= {"UD07": round(UNIT["UD07"] * size), "UB09": round(UNIT["UB09"] * size), "UC06": 0}
        money |= (changes or {}).get(number, {})
        rows.append(Row(unit.frame_id, {**UNIT, **money}, f"row {number}"))
    outcome = save_drafts(
        round_=round_, schedule_code="UNIT", rows=rows, by=town.entry, channel="file", keep_failing=True
    )
    assert not outcome.refused, [str(problem) for problem in outcome.refused]
    returns = list(Return.objects.filter(round=round_, schedule="UNIT").select_related("round__instrument"))
    try:
        submit(returns, by=town.head, certified_name="A. Person")
    except NotSubmittable as refusal:
        assert not any(problem.is_hard for found in refusal.problems.values() for problem in found), refusal.problems
        explain(returns, {pk: {p.rule: "Looked at (test)." for p in found} for pk, found in refusal.problems.items()})
        submit(returns, by=town.head, certified_name="A. Person")
    seen_by_checks(*returns)
    if accepted:
        accept(returns, by=person("supervisor", town.agency))
    return {ret.subject: ret for ret in returns}


def test_a_slip_in_a_large_figure_moves_more_places_than_honest_change(world):
    hand_in(world, world.last, accepted=True)
    slip = {3: {"UC01": 900_000_000, "UC02": 0, "UC03": 0}}
    returns = hand_in(world, world.round, changes=slip, factor=1.1)

    found = prioritise(world.round, world.cluster.pk)

    slipped = returns[world.units[3].frame_id].pk
    honest = [effect for pk, effect in found.items() if pk != slipped]
    assert len(found) == 12
    assert found[slipped] > 0.5 and found[slipped] > 5 * max(honest)
    assert Return.objects.get(pk=slipped).effect == pytest.approx(found[slipped])


def test_two_slips_do_not_hide_each_other(world):
    """Each alone pushes the cluster to its goalposts; against reported figures neither would seem to move anything."""
    hand_in(world, world.last, accepted=True)
    slip = {"UC01": 9_000_000_000, "UC02": 0, "UC03": 0}
    returns = hand_in(world, world.round, changes={3: slip, 7: slip}, factor=1.1)

    found = prioritise(world.round, world.cluster.pk)

    slipped = {returns[world.units[place].frame_id].pk for place in (3, 7)}
    honest = [effect for pk, effect in found.items() if pk not in slipped]
    assert all(found[pk] > 0.5 and found[pk] > 5 * max(honest) for pk in slipped)


def test_what_is_stored_is_the_same_twice_and_costs_as_many_queries_for_few_as_for_many(
    world, django_assert_max_num_queries
):
    hand_in(world, world.last, accepted=True)
    returns = hand_in(world, world.round, changes={3: {"UC01": 900_000_000, "UC02": 0, "UC03": 0}})
    rod = yardstick(world.round)
    with django_assert_max_num_queries(20):
        first = prioritise(world.round, world.cluster.pk, rod=rod)
    accept(list(returns.values())[6:], by=person("supervisor", world.agency))
    again = prioritise(world.round, world.cluster.pk, rod=rod)

    assert set(again) <= set(first) and len(again) == 6
    assert again == pytest.approx({pk: first[pk] for pk in again})


def test_a_first_round_without_any_last_year_is_weighed_too(world):
    returns = hand_in(world, world.round, changes={3: {"UC01": 900_000_000, "UC02": 0, "UC03": 0}})

    found = prioritise(world.round, world.cluster.pk)

    assert max(found, key=found.get) == returns[world.units[3].frame_id].pk


def test_the_job_is_asked_for_once_and_not_where_nothing_waits(world, django_capture_on_commit_callbacks):
    assert request_priority(world.round, world.cluster.pk) is None
    hand_in(world, world.round)

    first, second = (request_priority(world.round, world.cluster.pk) for _ in range(2))
    ledger.run(first.pk, heartbeat=False)
    first.refresh_from_db()

    assert first.pk == second.pk
    assert first.state == "done"
    assert set(first.args) == {"round_id", "cluster_id"}  # ids, never a figure

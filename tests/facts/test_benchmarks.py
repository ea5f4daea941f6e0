"""The sheet given back: what it says, and that nobody learns a peer's figure from it."""

import math
import random
from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from clusters.models import ClusterRole
from core.audit.models import Event
from core.base import DomainError
from facts.benchmarks import (
    FIGURES,
    Line,
    group_size,
    largest_gaps,
    lines_of,
    place_words,
    quartiles,
    value_of,
)
from facts.models import FrameEntry, Return
from facts.services.benchmarks import peers_of, sheet_of
from facts.services.imports import Row, save_drafts
from facts.vault import store
from tests.factories import OrganisationFactory, SectorFactory, Town, UnitFactory, person
from tests.facts.valid_returns import UNIT


def firm(seed: int, **changes) -> dict:
    """A firm with figures of its own in everything that the sheet shows."""
    chance = random.Random(seed)
    size = math.exp(chance.gauss(0, 0.8))
    money = {
        code: round(UNIT[code] * size * math.exp(chance.gauss(0, 0.3)))
        for code in ("UC01", "UC02", "UC03", "UC06", "UD01", "UD04", "UD05", "UD06", "UB09", "UE01")
    }
    levels = {
        "UE04": round(chance.uniform(30, 100), 1),
        "UE06": round(chance.uniform(0.5, 15), 1),
        "UC05": round(chance.uniform(0, 60), 1),
        "UB08": round(chance.uniform(1, 90), 1),
        "UB01": round(8 + 30 * chance.random()),
    }
    return UNIT | money | levels | changes


GROUP = [firm(number) for number in range(30)]


# --- Figures and words ----------------------------------------------------------------------------


def test_the_figures_are_those_of_the_indicators():
    by_code = {figure.code: value_of(figure.expression, UNIT) for figure in FIGURES}

    assert by_code["sales"] == 9_000_000 / 20
    assert by_code["value_added"] == (9_100_000 - 3_600_000 - 300_000 - 400_000 - 800_000) / 20
    assert by_code["labour"] == 2_400_000 / 18
    assert by_code["energy"] == pytest.approx(100 * 300_000 / 9_000_000)
    assert by_code["exports"] == pytest.approx(100 * 1_500_000 / 9_000_000)
    assert by_code["training"] == 1.5
    assert all(value_of(figure.expression, {}) is None for figure in FIGURES)
    assert value_of(FIGURES[0].expression, UNIT | {"UB01": 0}) is None


@pytest.mark.parametrize(
    ("own", "up", "down"),
    [
        (50, "in the best quarter", "in the weakest quarter"),
        (25, "in the better half", "in the weaker half"),
        (20, "in the middle", "in the middle"),
        (15, "in the weaker half", "in the better half"),
        (5, "in the weakest quarter", "in the best quarter"),
    ],
)
def test_a_place_is_a_quarter_and_knows_which_side_is_better(own, up, down):
    assert place_words(own, (10, 20, 30), 1) == up
    assert place_words(own, (10, 20, 30), -1) == down
    assert "best" not in place_words(own, (10, 20, 30), 0)


def test_the_three_largest_gaps_lie_on_the_worse_side_and_never_where_neither_side_is_worse():
    def line(code, own):
        return Line(next(one for one in FIGURES if one.code == code), own, 10, 20, 30)

    lines = [line("sales", 5), line("capacity", 18), line("exports", 12), line("rejects", 60), line("energy", 1)]
    lines += [line("labour", 1), line("training", None)]

    assert [one.figure.code for one in largest_gaps(lines)] == ["rejects", "sales", "exports"]


# --- Nobody learns a peer's figure ----------------------------------------------------------------


def shown(lines) -> list:
    return [(line.low, line.middle, line.high) for line in lines]


def test_below_ten_peers_beside_oneself_nothing_is_compared():
    assert all(line.withheld and line.middle is None for line in lines_of(GROUP[0], GROUP[:10]))
    assert any(line.middle is not None for line in lines_of(GROUP[0], GROUP[:11]))


def test_members_of_a_group_see_the_same_so_two_sheets_tell_no_more_than_one():
    """With peers counted without oneself, two members could take the difference of their medians."""
    seen: dict = {}
    for own in GROUP[:11]:
        for line in lines_of(own, GROUP[:11]):
            if line.middle is not None:
                seen.setdefault(line.figure.code, set()).add((line.low, line.middle, line.high))

    assert set(seen) == {figure.code for figure in FIGURES}
    assert all(len(values) == 1 for values in seen.values())


@given(st.lists(st.floats(1, 1e9), min_size=11, max_size=40, unique=True), st.randoms())
def test_an_attacker_among_the_peers_cannot_tell_who_has_which_figure(values, chance):
    """The sheet is the same whoever holds which value: a name can be given to none of them."""
    shuffled = list(values)
    chance.shuffle(shuffled)

    assert quartiles(values) == quartiles(shuffled)


@pytest.mark.parametrize("count", [11, 15, 20, 25, 40])
def test_no_firms_figure_can_be_worked_out_even_by_who_knows_its_place(count):
    """For every firm there is another world with the same sheet in which its figure is another one.

    The sheet is three means over neighbouring firms. A direction in which none of the three moves but the victim's
    figure does is searched; some others move a little the other way, and nobody changes places.
    """
    values = np.array(sorted(math.exp(random.Random(count + place).gauss(0, 1)) for place in range(count)))
    windows = np.zeros((3, count))
    for row, share in enumerate((0.25, 0.5, 0.75)):
        at = (count - 1) * share
        span = slice(math.floor(at) - 1, math.ceil(at) + 2)
        windows[row, span] = 1 / len(values[span])
    assert quartiles(list(values)) == tuple(float(f"{value:.3g}") for value in windows @ values)
    for victim in range(count):
        others = np.delete(windows, victim, axis=1)
        rest, *_ = np.linalg.lstsq(others, -windows[:, victim], rcond=None)
        way = np.insert(rest, victim, 1.0)
        assert np.allclose(windows @ way, 0)
        room = np.diff(values).min() / (4 * np.abs(way).max())
        world = values + way * room
        assert world[victim] != values[victim] and (np.diff(world) > 0).all()
        assert np.allclose(windows @ world, windows @ values)


@given(st.lists(st.floats(1, 1e9), min_size=11, max_size=40, unique=True))
def test_neither_the_smallest_nor_the_largest_enters_a_shown_figure(values):
    ordered = sorted(values)
    others = [ordered[0] / 1000, *ordered[1:-1], ordered[-1] * 1000]

    assert quartiles(others) == quartiles(ordered)


def test_no_shown_figure_is_one_firms_own():
    for count in range(11, 41):
        values = [1.5**place for place in range(count)]
        assert not set(quartiles(values)) & {float(f"{value:.3g}") for value in values}


def test_the_two_largest_see_nothing_of_what_they_are_largest_in():
    group = GROUP[:20]
    for figure in ("sales", "labour"):
        base = next(one.base for one in FIGURES if one.code == figure)
        by_size = sorted(group, key=lambda one: -one[base])
        lines = [{line.figure.code: line for line in lines_of(own, group)}[figure] for own in by_size]

        assert [bool(line.withheld) for line in lines] == [True, True] + [False] * 18


def test_one_arrival_changes_nothing_and_five_do():
    assert [group_size(n) for n in range(20, 26)] == [20, 20, 20, 20, 20, 25]
    assert shown(lines_of(GROUP[0], GROUP[:20])) != shown(lines_of(GROUP[0], GROUP[:25]))


# --- A real cluster -------------------------------------------------------------------------------


@pytest.fixture
def crowd(db):
    """Make a town with accepted unit returns of these firms, in one statement each."""

    def make(firms, sizes=2) -> Town:
        town = Town(units=0)
        town.units = [UnitFactory(cluster=town.cluster, sector=town.cluster.sector) for _ in firms]
        sizes = [sizes] * len(firms) if isinstance(sizes, int) else sizes
        FrameEntry.objects.bulk_create(
            [
                FrameEntry(round=town.round, unit=unit, cluster=town.cluster, size=size, prior_employment=20)
                for unit, size in zip(town.units, sizes, strict=True)
            ]
        )
        town.returns = take(town, firms)
        return town

    def take(town, firms) -> list[Return]:
        rows = [Row(unit.frame_id, answers, "row") for unit, answers in zip(town.units, firms, strict=True)]
        outcome = save_drafts(
            round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="file", keep_failing=True
        )
        assert not outcome.refused, [str(problem) for problem in outcome.refused[:3]]
        made = list(Return.objects.filter(unit__in=town.units).order_by("subject"))
        versions = zip(made, firms, strict=True)
        store.put_versions({(ret.pk, 1): {"answers": answers, "markers": {}} for ret, answers in versions})
        now = timezone.now()
        for number, ret in enumerate(made):
            ret.version, ret.state, ret.submitted_at = 1, "accepted", now
            ret.decided_at = now + timedelta(seconds=number)
            ret.save()
        return made

    return make


def test_a_sheet_compares_with_the_own_size_class_first(crowd):
    town = crowd([firm(n) for n in range(24)], sizes=[2] * 12 + [1] * 12)

    sheet = sheet_of(town.returns[0], by=town.entry)

    assert "10–49 persons" in sheet.group.name
    assert sheet.group.band == "10–24"
    assert len(sheet.group.answers) == 11
    assert not sheet.is_final
    opened = Event.objects.filter(action="return.open", object_id=str(town.returns[0].pk))
    assert opened.get().detail == {"purpose": "benchmark sheet", "version": 1}


def test_a_thin_class_is_compared_with_the_cluster_and_a_thin_cluster_with_its_trade(crowd):
    town = crowd([firm(n) for n in range(14)], sizes=[2] * 4 + [1] * 10)
    assert sheet_of(town.returns[0], by=town.entry).group.name == town.cluster.name

    alone = crowd([firm(50)])
    group = sheet_of(alone.returns[0], by=alone.entry).group
    assert group is None  # ten of its size and trade are not accepted anywhere in the country


def test_a_country_wide_group_is_the_same_trade_and_size(crowd):
    SectorFactory(code="2220", title="Manufacture of plastics products")
    many = crowd([firm(n) for n in range(13)])
    few = crowd([firm(n) for n in range(60, 63)])

    group = sheet_of(few.returns[0], by=few.entry).group

    assert "the same trade (ISIC division 14)" in group.name and "Pakistan" in group.name
    assert many.cluster.name not in group.name
    assert len(group.answers) == 15


def test_the_group_is_cut_in_steps_by_the_order_of_acceptance(crowd):
    town = crowd([firm(n) for n in range(24)])
    before = sheet_of(town.returns[0], by=town.entry)
    last = town.returns[-1]
    Return.objects.filter(pk=last.pk).update(state="reopened")

    after = sheet_of(town.returns[0], by=town.entry)

    assert len(before.group.answers) == 20
    assert shown(before.lines) == shown(after.lines)


def test_without_ten_peers_the_own_figures_stand_alone(crowd):
    town = crowd([firm(n) for n in range(5)])

    sheet = sheet_of(town.returns[0], by=town.entry)

    assert sheet.group is None and sheet.gaps == []
    assert sheet.lines[0].own is not None and sheet.lines[0].withheld


def test_there_is_no_sheet_before_acceptance(town, client):
    ret = Return(round=town.round, schedule="UNIT", state="submitted")

    with pytest.raises(DomainError, match="not accepted yet"):
        sheet_of(ret, by=town.entry)


def test_the_page_is_for_who_typed_it_and_for_nobody_else(crowd, client, django_assert_max_num_queries):
    town = crowd([firm(n) for n in range(12)])
    ret = town.returns[0]
    address = reverse("facts:benchmark", args=[ret.pk])
    other = OrganisationFactory()
    ClusterRole.objects.create(cluster=town.cluster, organisation=other, role="association")

    client.force_login(town.entry)
    client.get(address)
    with django_assert_max_num_queries(20):
        page = client.get(address).content.decode()

    assert "so far; it will sharpen" in page and "10–24 accepted returns" in page
    assert not any(unit.frame_id in page for unit in town.units if unit.pk != ret.unit_id)
    for stranger, status in ((person("head", other), 404), (town.supervisor, 403), (town.staff, 403)):
        client.force_login(stranger)
        assert client.get(address).status_code == status


def test_reviewers_see_peers_of_this_round_or_else_of_the_last(crowd, town):
    town = crowd([firm(n) for n in range(12)])
    ret = Return.objects.select_related("round__instrument", "cluster__country", "unit").get(pk=town.returns[0].pk)

    peers = peers_of(ret)

    low, middle, high = peers.quartiles["UC01"]
    assert low < middle < high
    assert "10–24 accepted returns of round 2026" in peers.words
    assert "UH05" not in peers.quartiles and "UA03" not in peers.quartiles

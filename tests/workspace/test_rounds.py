"""Rounds in the workspace: who opens what, the board at any size, steps by two people, more time, who collects."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from clusters.models import Cluster, ClusterRole
from facts.models import Collector, Extension, FrameEntry, Return, Round
from facts.services import invitations
from facts.services.instruments import register_instrument
from tests.factories import ClusterFactory, OrganisationFactory, Town, UnitFactory, person

OWN = ("entry", "head", "staff", "supervisor")
OFFICE = ("viewer", "analyst", "auditor", "admin")
READERS = {*OWN, "analyst", "auditor"}
PAGES = {
    "facts:rounds": READERS,
    "facts:round": READERS,
    "facts:round-late": READERS,
    "facts:round-steps": READERS,
    "facts:round-links": {"head"},
    "facts:round-more-time": {"supervisor", "analyst"},
    "facts:round-appoint": {"supervisor", "analyst"},
}
REASON = "The strike kept the offices closed."


@pytest.fixture
def people(town):
    return {role: getattr(town, role) for role in OWN} | {role: person(role) for role in OFFICE}


def page(name: str, town, code: str | None = None) -> str:
    if name == "facts:rounds":
        return reverse(name)
    if name in ("facts:round-more-time", "facts:round-appoint"):
        return reverse(name, args=[town.round.year, code or town.cluster.code])
    return reverse(name, args=[town.round.year])


@pytest.mark.parametrize("name", PAGES)
def test_pages_open_to_their_roles_and_to_no_others(name, town, people, door, client):
    assert client.get(page(name, town)).status_code == 302
    for role, user in people.items():
        expected = 200 if role in PAGES[name] else 403
        assert door(user).get(page(name, town)).status_code == expected, role


@pytest.mark.parametrize("name", ["facts:rounds", "facts:round-steps"])
def test_only_an_analyst_moves_a_round(name, town, people, door):
    for role, user in people.items():
        if role != "analyst":
            assert door(user).post(page(name, town), {"act": "propose_close", "year": 2031}).status_code == 403, role


@pytest.mark.parametrize("name", ["facts:round-more-time", "facts:round-appoint"])
def test_anothers_cluster_does_not_exist(name, town, door):
    other = Town(units=1)

    for method in ("get", "post"):
        assert getattr(door(other.supervisor), method)(page(name, town)).status_code == 404
        assert getattr(door(town.supervisor), method)(page(name, town, "PK-NON-E")).status_code == 404


def test_the_board_shows_own_clusters_only(town, door, words, drafted):
    other = Town(units=1)
    drafted()

    own = words(door(town.head).get(page("facts:round", town)))
    every = words(door(person("analyst")).get(page("facts:round", town)))

    assert town.cluster.name in own and other.cluster.name not in own
    assert town.cluster.name in every and other.cluster.name in every
    assert "0 of 3 units accepted" in own and "not invited" in own


def test_the_board_filters_and_orders(town, door, words):
    other = Town(units=2)
    analyst, address = door(person("analyst")), page("facts:round", town)
    invitations.invite(town.round, by=person("analyst"))

    assert other.cluster.name not in words(analyst.get(address, {"q": town.association.name}))
    assert "No cluster fits this filter" in words(analyst.get(address, {"country": "JP"}))
    assert "2 clusters" in words(analyst.get(address, {"stage": "silent", "order": "missing"}))
    assert "2 clusters" in words(analyst.get(address, {"stage": "nonsense", "order": "x", "page": "99"}))


def many(n: int, round_: Round) -> None:
    """Clusters with a collector, a unit in the frame and a return, made in bulk."""
    first = ClusterFactory()
    have = Cluster.objects.count()
    Cluster.objects.bulk_create(
        [
            Cluster(
                code=f"PK-BLK-{have + i}",
                name=f"Bulk {have + i}",
                country=first.country,
                region=first.region,
                sector=first.sector,
                latitude=30.0,
                longitude=70.0,
            )
            for i in range(n)
        ]
    )
    clusters = list(Cluster.objects.filter(code__startswith="PK-BLK-").exclude(units__isnull=False))
    association = OrganisationFactory()
    ClusterRole.objects.bulk_create(
        [ClusterRole(cluster=one, organisation=association, role="association") for one in clusters]
    )
    units = [UnitFactory.build(cluster=one, sector=first.sector) for one in clusters]
    type(units[0]).objects.bulk_create(units)
    FrameEntry.objects.bulk_create(
        [FrameEntry(round=round_, unit=u, cluster=u.cluster, size=1, prior_employment=3) for u in units]
    )
    Return.objects.bulk_create(
        [
            Return(round=round_, schedule="UNIT", subject=u.frame_id, unit=u, cluster=u.cluster, collector=association)
            for u in units
        ]
    )


@pytest.mark.parametrize("name", ["facts:round", "facts:round-late", "facts:round-steps", "facts:collectors"])
def test_600_clusters_cost_as_many_queries_as_24(name, town, door):
    analyst = door(person("analyst"))
    Round.objects.filter(pk=town.round.pk).update(closes_on=timezone.localdate() - dt.timedelta(days=1))

    def cost():
        with CaptureQueriesContext(connection) as queries:
            assert analyst.get(page(name, town)).status_code == 200
        return len(queries)

    many(24, town.round)
    few = cost()
    many(576, town.round)
    assert cost() <= few + 1  # the windows are read in parts of 500 clusters
    assert few <= 25


def test_two_analysts_close_a_round_on_its_page(town, door, words):
    first, second = person("analyst"), person("analyst")
    address = page("facts:round-steps", town)

    assert "A second analyst confirms it." in words(door(first).post(address, {"act": "propose_close"}, follow=True))
    own = words(door(first).post(address, {"act": "confirm_close"}, follow=True))
    assert "Ask a colleague." in own and "Take the proposal back" in own
    assert f"{town.round}" in words(door(second).get(reverse("workspace")))
    assert "proposed to close the round" in words(door(second).get(reverse("workspace")))

    door(second).post(address, {"act": "confirm_close"})

    assert Round.objects.get(pk=town.round.pk).state == "closed"


def test_an_analyst_plans_moves_and_freezes(town, door, words):
    register_instrument("1.0")
    first, second = door(person("analyst")), door(person("analyst"))

    planned = first.post(reverse("facts:rounds"), {"year": "2031"}, follow=True)
    assert "usual calendar" in words(planned)
    address = reverse("facts:round-steps", args=[2031])
    dates = {"opens_on": "2031-09-02", "closes_on": "2031-11-30", "frame_frozen_on": "2031-08-31", "act": "dates"}
    refused = words(first.post(address, {**dates, "reason": ""}))
    assert "This field is required." in refused
    early = words(first.post(address, {**dates, "closes_on": "2031-08-01", "reason": REASON}, follow=True))
    assert "Put the days in this order." in early
    first.post(address, {**dates, "reason": REASON})
    assert Round.objects.get(year=2031).opens_on == dt.date(2031, 9, 2)
    first.post(address, {"act": "propose_freeze"})
    assert "frozen with 3 units" in words(second.post(address, {"act": "confirm_freeze"}, follow=True))
    assert "cannot be opened yet" in words(first.post(address, {"act": "open"}, follow=True))
    assert first.post(address, {"act": "nonsense"}).status_code == 404


def test_a_supervisor_gives_more_time_from_the_late_list(town, door, words, drafted):
    ret = drafted()
    Round.objects.filter(pk=town.round.pk).update(closes_on=timezone.localdate() - dt.timedelta(days=2))
    supervisor, late = door(town.supervisor), page("facts:round-late", town)
    address = page("facts:round-more-time", town)

    assert "Late" in words(supervisor.get(reverse("workspace")))
    assert address in words(supervisor.get(late)) and "3 of 3" in words(supervisor.get(late))
    assert address not in words(door(town.head).get(late))
    until = timezone.localdate() + dt.timedelta(days=7)
    short = words(supervisor.post(address, {"until": until.isoformat(), "reason": "please"}))
    assert "No more time was given" in short and "at least 10 characters" in short
    supervisor.post(address, {"until": until.isoformat(), "reason": REASON})

    assert Extension.objects.get().until == until
    again = words(supervisor.get(late + "?show=all"))
    assert REASON in again and "No cluster is past its last day" in again
    hub = words(door(town.entry).get(ret.get_absolute_url()))
    assert "This return takes no answers now" not in hub


def test_a_locked_hub_says_why_and_whom_to_ask(town, door, words, drafted):
    ret = drafted()
    Round.objects.filter(pk=town.round.pk).update(closes_on=timezone.localdate() - dt.timedelta(days=2))

    hub = words(door(town.entry).get(ret.get_absolute_url()))

    assert f"Collection for {town.cluster.name} ended on" in hub and "for more time" in hub


def test_an_appointment_is_made_and_ended_on_its_page(town, door, words):
    institute = OrganisationFactory(name="Institute of Works")
    entry = person("entry", institute)
    address, supervisor = page("facts:round-appoint", town), door(town.supervisor)

    assert "Institute of Works" in words(supervisor.get(address))
    missing = words(supervisor.post(address, {"organisation": institute.pk, "reason": ""}))
    assert "Please mend these first" in missing
    supervisor.post(address, {"organisation": institute.pk, "reason": "It visits every workshop."})
    assert Collector.objects.get().organisation == institute
    start = {"round": town.round.year, "schedule": "UNIT", "subject": town.units[0].frame_id}
    assert door(town.entry).post(reverse("facts:start"), start).status_code == 404
    assert door(entry).post(reverse("facts:start"), start).status_code == 302
    assert "2 units without a return" in words(door(entry).get(reverse("workspace")))
    assert "units without a return" not in words(door(town.entry).get(reverse("workspace")))

    supervisor.post(address, {"end": "1", "reason": REASON})
    assert not Collector.objects.exists()

"""The public pages of rounds: what happens when, how long it takes, who collects where."""

import datetime as dt
import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from facts.models import FrameEntry, Return, Round
from facts.services import minutes
from facts.services.collectors import appoint
from observatory.figures.maps import region_map
from tests.factories import ClusterFactory, OrganisationFactory, Town, UnitFactory, open_round


@pytest.fixture
def client() -> Client:
    return Client()


def read(client, name, *args) -> str:
    answer = client.get(reverse(name, args=args))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_without_a_round_the_calendar_says_so(db, client):
    assert "No round is planned yet" in read(client, "facts:calendar")


def test_the_calendar_tells_every_day_of_a_round(town, client):
    Round.objects.filter(pk=town.round.pk).update(releases_on=timezone.localdate() + dt.timedelta(days=200))
    page = read(client, "facts:calendar")

    assert "Round 2026" in page and "Collection begins" in page and "Publication" in page
    assert page.count("planned</span>") == 2  # the end of collection and the publication lie ahead


def told(n: int, year: int = 2025) -> None:
    """Returns of last year that tell their minutes: 20, 21, …"""
    round_ = open_round(year, state="closed")
    for number in range(n):
        unit = UnitFactory()
        Return.objects.create(
            round=round_,
            schedule="UNIT",
            subject=unit.frame_id,
            unit=unit,
            cluster=unit.cluster,
            state="locked",
            version=1,
            submitted_at=timezone.now(),
            minutes=20 + number,
        )


@pytest.mark.parametrize("name", ["facts:calendar", "facts:instrument"])
def test_minutes_are_told_from_ten_returns_on(name, db, client):
    told(minutes.LEAST - 1)
    assert "23 minutes" not in read(client, name)
    told(1)
    assert "23 minutes" in read(client, name)  # the middle of 20, 20, 21, …, 28


def test_who_collects_is_a_map_and_an_equal_table(town, client):
    other, lonely = Town(units=1), ClusterFactory(name="Lonely cluster")
    FrameEntry.objects.create(
        round=town.round, unit=UnitFactory(cluster=lonely), cluster=lonely, size=1, prior_employment=2
    )
    institute = OrganisationFactory(name="Institute of Works")
    appoint(town.round, town.cluster, institute, by=town.supervisor, reason="It visits every workshop.")

    page = read(client, "facts:collectors", town.round.year)

    rows = dict(re.findall(r'<th scope="row"><a[^>]*>([^<]+)</a></th>(.*?)</tr>', page))
    assert "Institute of Works" in rows[town.cluster.name] and "It visits every workshop." in rows[town.cluster.name]
    assert other.association.name in rows[other.cluster.name]
    assert "nobody yet" in rows[lonely.name]
    assert page.count("map-dot--square") == 1 and page.count("map-dot--ring") == 1
    assert "Appoint" not in page  # a visitor changes nothing
    assert client.get(reverse("facts:collectors", args=[1999])).status_code == 404


def test_an_unpublished_cluster_is_not_told(town, client):
    type(town.cluster).objects.filter(pk=town.cluster.pk).update(is_published=False)

    assert town.cluster.name not in read(client, "facts:collectors", town.round.year)


def test_marks_differ_by_shape():
    point = {"name": "A", "longitude": 70, "latitude": 30}
    drawn = {
        kind: region_map([], [{**point, "kind": kind}], (60, 20, 80, 40)) for kind in ("", "appointed", "nobody", "x")
    }

    assert "<rect" in drawn["appointed"].split("map-sea")[1] and "map-dot--square" in drawn["appointed"]
    assert "map-dot--ring" in drawn["nobody"]
    assert drawn[""] == drawn["x"] and "map-dot--" not in drawn[""]

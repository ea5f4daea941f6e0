"""A sign-in ends after twelve hours, and earlier where nothing was done for a while."""

import time

import pytest
from django.test import Client

from core.accounts import idle
from tests.factories import OrganisationFactory, person

PAGE = "/workspace/"


@pytest.fixture
def clock(monkeypatch):
    """The session's clock, to be moved on by hand."""

    class Clock:
        ahead = 0

    monkeypatch.setattr(idle.time, "time", lambda real=time.time: real() + Clock.ahead)
    return Clock


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(person(role, OrganisationFactory()))
    return client


@pytest.mark.django_db
@pytest.mark.parametrize(("role", "minutes"), [("entry", 180), ("head", 180), ("supervisor", 30), ("analyst", 30)])
def test_each_role_is_signed_out_after_its_own_pause(clock, role, minutes):
    client = signed_in(role)
    clock.ahead = (minutes - 1) * 60
    assert client.get(PAGE).status_code == 200
    clock.ahead += (minutes - 1) * 60
    assert client.get(PAGE).status_code == 200

    clock.ahead += (minutes + 1) * 60

    assert client.get(PAGE).status_code == 302


@pytest.mark.django_db
def test_nobody_stays_longer_than_half_a_day(clock):
    client = signed_in("entry")
    for _ in range(5):
        clock.ahead += 2 * 3600 + 20 * 60
        assert client.get(PAGE).status_code == 200

    clock.ahead = 12 * 3600 + 60

    assert client.get(PAGE).status_code == 302


@pytest.mark.django_db
def test_the_session_is_not_written_with_every_request(django_assert_num_queries):
    client = signed_in("entry")
    client.get(PAGE)
    before = client.session["idle"]
    client.get(PAGE)

    assert client.session["idle"] == before

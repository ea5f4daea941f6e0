"""Who comes in where: sign-in for strangers, 403 without the right, 404 for what is another's."""

import re

import pytest
from django.urls import reverse

from tests.factories import Town, person

OFFICE = ("viewer", "analyst", "auditor", "admin")
# Who may read each page of the workspace; the others of OWN and OFFICE are refused.
OWN = ("entry", "head", "staff", "supervisor")
PAGES = {
    "workspace": {*OWN, *OFFICE},
    "facts:returns": {*OWN, "analyst", "auditor"},
    "facts:import": {*OWN, "analyst"},
    "facts:template": {*OWN, "analyst"},
    "facts:review": {"supervisor", "analyst"},
    "clusters:profiles": {*OWN, "analyst", "auditor"},
    "cci:editions": {"analyst", "auditor"},
    "cci:close-round": {"analyst"},
}
ACTS = {
    "facts:start": {*OWN, "analyst"},
    "cci:recompute": {"analyst"},
    "cci:close-round": {"analyst"},
}


@pytest.fixture
def people(town):
    return {role: getattr(town, role) for role in OWN} | {role: person(role) for role in OFFICE}


@pytest.mark.parametrize("name", PAGES)
def test_pages_open_to_their_roles_and_to_no_others(name, people, door, client):
    refused = client.get(reverse(name))
    assert refused.status_code == 302 and reverse("accounts:sign-in") in refused.url
    for role, user in people.items():
        status = door(user).get(reverse(name)).status_code
        assert (status != 403) == (role in PAGES[name]), (role, status)


@pytest.mark.parametrize("name", ACTS)
def test_acts_are_refused_to_other_roles(name, people, door):
    for role, user in people.items():
        if role not in ACTS[name]:
            assert door(user).post(reverse(name), {"round": "2026"}).status_code == 403, role


def plain(response) -> bytes:
    """A page without the token that differs on every answer."""
    return re.sub(rb'name="csrfmiddlewaretoken" value="[^"]*"', b"", response.content)


def test_anothers_return_does_not_exist(town, door, drafted):
    ret, other = drafted(), Town(units=1)
    addresses = [
        reverse("facts:return", args=[ret.pk]),
        reverse("facts:section", args=[ret.pk, "UA"]),
        reverse("facts:submit", args=[ret.pk]),
    ]

    for address in addresses:
        assert door(other.head).get(address).status_code == 404
        missing = address.replace(str(ret.pk), "999999", 1)
        assert plain(door(other.head).get(missing)) == plain(door(other.head).get(address))
    assert door(other.entry).post(addresses[1], {"codes": "UA01", "UA01": "2"}).status_code == 404
    assert door(other.supervisor).get(reverse("facts:review-return", args=[ret.pk])).status_code == 404
    assert ret.subject.encode() not in door(other.head).get(reverse("facts:returns")).content


def test_an_agency_sees_that_a_return_exists_and_not_its_draft(town, door, drafted):
    ret = drafted(UC01=8_765_432)

    hub = door(town.supervisor).get(reverse("facts:return", args=[ret.pk]))

    assert hub.status_code == 200 and b"Draft" in hub.content and b"8,765,432" not in hub.content
    assert door(town.supervisor).get(reverse("facts:section", args=[ret.pk, "UC"])).status_code == 404
    assert door(town.staff).get(reverse("facts:submit", args=[ret.pk])).status_code == 404


def test_only_the_head_certifies(town, door, drafted):
    ret = drafted()

    assert door(town.entry).get(reverse("facts:submit", args=[ret.pk])).status_code == 403


def test_beginning_anothers_return_finds_nothing(town, door):
    other = Town(units=1)
    body = {"round": town.round.year, "schedule": "UNIT", "subject": town.units[0].frame_id}

    assert door(other.entry).post(reverse("facts:start"), body).status_code == 404


def test_templates_of_other_clusters_do_not_exist(town, door):
    asked = {"round": town.round.year, "schedule": "UNIT", "cluster": town.cluster.code, "format": "csv"}

    assert door(Town(units=1).entry).get(reverse("facts:template"), asked).status_code == 404
    assert door(town.entry).get(reverse("facts:template"), asked).status_code == 200


def test_signed_in_pages_are_not_cached(town, door):
    assert door(town.head).get(reverse("workspace"))["Cache-Control"] == "no-store"

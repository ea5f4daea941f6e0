"""Deny by default: what no row names is refused, for everybody, everywhere."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction

from core import policy
from core.policy import Grant, Role
from core.policy.checks import actions_of, routes
from facts.models import Return
from facts.services.imports import Row, save_drafts
from tests.factories import Town, UserFactory, person


def test_every_row_names_known_roles_and_callable_scopes():
    for action, row in policy.matrix().items():
        for role, scope in row.items():
            assert role in Role, action
            scope(Grant(role, 1))  # a scope is a function from a grant to a Q


def test_every_route_names_an_action_of_the_matrix():
    named = {path: actions_of(callback) for path, callback in routes()}

    assert len(named) > 30
    assert not [path for path, actions in named.items() if not actions]
    assert not [path for path, actions in named.items() if set(actions) - set(policy.matrix())]


def test_an_action_without_a_row_is_refused_to_the_superuser_too(db):
    user = UserFactory(is_superuser=True, is_staff=True)

    assert not policy.allowed(user, "no.such.action")
    assert not policy.allowed(user, "return.read")


def test_an_ended_or_inactive_person_holds_nothing(town):
    gone = person("supervisor", town.agency, is_active=False)

    assert policy.grants_of(gone) == (Grant(Role.ANONYMOUS),)


@pytest.fixture
def two_towns(town):
    other = Town(units=1)
    rows = [Row(town.units[0].frame_id, {"UA01": 1}, "row 2")]
    ours = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="file").returns[0]
    return town, other, ours


def test_a_person_sees_another_organisations_return_neither_by_id_nor_by_count(two_towns):
    town, other, ours = two_towns
    everything = Return.objects.all()

    for user in (town.entry, town.head, town.staff, town.supervisor, person("analyst"), person("auditor")):
        assert policy.scope(user, "return.read", everything).filter(pk=ours.pk).exists()
    for user in (other.entry, other.head, other.staff, other.supervisor, person("viewer"), AnonymousUser()):
        assert not policy.allowed(user, "return.read", ours)
        assert policy.scope(user, "return.read", everything).count() == 0


def test_an_agency_does_not_read_a_draft_of_a_firm(two_towns):
    town, _, ours = two_towns

    assert policy.allowed(town.entry, "return.read_draft", ours)
    for user in (town.staff, town.supervisor, person("analyst")):
        assert not policy.allowed(user, "return.read_draft", ours)
        assert not policy.allowed(user, "return.read_submitted", ours) or user.memberships.get().role == "analyst"


def test_only_the_head_submits_and_only_the_supervisor_reviews(two_towns):
    town, _, ours = two_towns

    assert [policy.allowed(u, "return.submit", ours) for u in (town.entry, town.head, town.staff, town.supervisor)] == [
        False,
        True,
        False,
        False,
    ]
    assert [policy.allowed(u, "return.review", ours) for u in (town.entry, town.head, town.staff, town.supervisor)] == [
        False,
        False,
        False,
        True,
    ]


def test_a_role_without_an_organisation_opens_nothing(two_towns):
    from clusters.models import Membership
    from facts.permissions import own_return

    _, _, ours = two_towns
    Return.objects.filter(pk=ours.pk).update(collector=None)

    for role in (Role.ENTRY, Role.HEAD, Role.CLIENT):
        assert not Return.objects.filter(own_return(Grant(role, None))).exists()
        with pytest.raises(IntegrityError), transaction.atomic():
            Membership.objects.create(user=UserFactory(), role=role.value)

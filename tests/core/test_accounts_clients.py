"""Keys of partner systems: shown once, kept as a digest, limited to their scopes, ended at once."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from clusters import people
from core import policy
from core.accounts import clients
from core.accounts.models import ApiClient
from core.base import DomainError
from core.policy.checks import actions_of, routes
from tests.factories import OrganisationFactory, person

pytestmark = pytest.mark.django_db
CLUSTERS, RETURNS = "/api/v1/clusters/", "/api/v1/returns/"


def make(town, *scopes: str, days: int = 30) -> tuple[ApiClient, str]:
    return people.add_client(town.association, name="Ledger Ltd", scopes=list(scopes), days=days, by=town.head)


def status(key: str, path: str = CLUSTERS, method: str = "get", **given) -> int:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return getattr(client, method)(path, **given).status_code


def test_a_key_is_shown_once_and_kept_as_a_digest(town):
    client = Client()
    client.force_login(town.head)
    given = {"organisation": town.association.pk, "name": "Ledger Ltd", "scopes": ["read"], "days": 30}

    page = client.post(reverse("people:new-client"), given).content.decode()

    key = re.search(r'value="(obs_[0-9a-f]{8}_[\w-]{43})"', page)[1]
    assert status(key) == 200
    assert (
        key not in str(list(ApiClient.objects.values()))
        and key not in client.get("/workspace/clients/").content.decode()
    )
    assert ApiClient.objects.get().last_used_at is not None


@pytest.mark.parametrize(
    ("scope", "read", "listed", "posted"),
    [
        ("read", 200, 403, 403),
        ("returns:status", 403, 200, 403),
        ("returns:submit", 403, 403, 400),  # let in, and told that the body is empty
        ("interventions:write", 403, 403, 403),
    ],
)
def test_a_key_does_what_its_scopes_say_and_nothing_else(town, scope, read, listed, posted):
    key = make(town, scope)[1]
    body = {"data": {}, "format": "json", "headers": {"Idempotency-Key": "a-key-of-my-own"}}

    found = status(key), status(key, RETURNS), status(key, RETURNS, "post", **body)

    assert found == (read, listed, posted)


def api_actions() -> set[str]:
    return {action for _, view in routes() if hasattr(view, "cls") for action in actions_of(view)}


def test_every_action_of_the_api_says_which_scope_opens_it():
    assert api_actions() - set(settings.API_SCOPES) == set()
    assert {scope for wanted in settings.API_SCOPES.values() for scope in wanted} <= set(clients.SCOPES)


def test_an_action_without_a_scope_is_for_people(town, settings):
    key = make(town, *clients.SCOPES)[1]
    assert status(key) == 200

    settings.API_SCOPES = {name: row for name, row in settings.API_SCOPES.items() if name != "cluster.read"}

    assert status(key) == 403


def test_without_the_scopes_a_key_would_do_what_its_account_may(town, monkeypatch):
    """The mutation: where the check of the scopes is taken away, the test above must fail."""
    from core.accounts.api import ScopedPermission
    from core.policy.api import PolicyPermission

    key = make(town, "returns:submit")[1]
    monkeypatch.setattr(ScopedPermission, "has_permission", PolicyPermission.has_permission)

    assert status(key) == 200


def test_a_key_gives_its_system_no_more_than_the_matrix(town):
    key = make(town, *clients.SCOPES)[1]
    client = ApiClient.objects.get()

    assert {grant.role for grant in policy.grants_of(client.user)} == {policy.Role.ANONYMOUS, policy.Role.CLIENT}
    assert not client.user.has_usable_password()
    assert status(key, "/accounts/") == 302  # no page opens to it


def test_a_replaced_key_lives_for_a_day(town):
    client, first = make(town, "read")
    second = clients.rotate(client, by=town.head)
    assert (status(first), status(second)) == (200, 200)
    third = clients.rotate(client, by=town.head)
    assert (status(first), status(second), status(third)) == (401, 200, 200)

    ApiClient.objects.update(old_until=timezone.now() - timedelta(seconds=1))

    assert (status(second), status(third)) == (401, 200)


def test_an_ended_key_is_refused_at_once_with_the_one_it_replaced(town):
    client, first = make(town, "read")
    second = clients.rotate(client, by=town.head)

    clients.revoke(client, by=town.head)

    assert (status(first), status(second)) == (401, 401)
    with pytest.raises(DomainError, match="was ended"):
        clients.rotate(client, by=town.head)


def test_a_key_runs_out(town):
    key = make(town, "read")[1]

    ApiClient.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert status(key) == 401


@pytest.mark.parametrize(
    ("scopes", "days"), [(["read"], 366), (["read"], 0), ([], 30), (["everything"], 30), (["read", "admin"], 30)]
)
def test_a_key_without_end_or_with_unknown_scopes_is_not_made(town, scopes, days):
    with pytest.raises(DomainError):
        people.add_client(town.association, name="Ledger Ltd", scopes=scopes, days=days, by=town.head)

    assert not ApiClient.objects.exists()


def test_a_nearly_right_key_is_refused(town):
    key = make(town, "read")[1]
    other = make(town, "read")[1]

    for wrong in (key[:-1], key + "x", key[:13] + other[13:], "obs_", "obs__", "obs_x", key.upper()):
        assert status(wrong) == 401, wrong


def test_each_makes_and_sees_keys_of_the_own_organisation_only(town):
    make(town, "read")
    stranger = person("head", OrganisationFactory())
    own = ApiClient.objects.get()
    with pytest.raises(DomainError):
        people.add_client(town.association, name="x", scopes=["read"], days=1, by=stranger)
    with pytest.raises(DomainError):
        people.add_client(town.association, name="x", scopes=["read"], days=1, by=town.entry)
    client = Client()
    client.force_login(stranger)

    assert client.post(reverse("people:client", args=[own.pk]), {"act": "rotate"}).status_code == 404
    assert client.post(reverse("people:client", args=[own.pk]), {"act": "revoke"}).status_code == 404
    assert b"Ledger Ltd" not in client.get(reverse("people:clients")).content


def test_plain_tokens_work_on_the_demonstration_stand_only(town, settings):
    token = Token.objects.create(user=town.head)
    assert status(token.key) == 200

    settings.DEMO = False

    assert status(token.key) == 401

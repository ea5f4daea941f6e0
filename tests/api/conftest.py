"""Clients of the API and a world to ask about."""

from pathlib import Path

import pytest
from django.conf import settings
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from .world import World


@pytest.fixture(scope="session", autouse=True)
def _static_root():
    """WhiteNoise warns of a missing folder, and a warning fails a test."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def world(db) -> World:
    return World()


@pytest.fixture
def api():
    """A client for a person, by token; without one, a stranger."""

    def of(user=None) -> APIClient:
        client = APIClient()
        if user is not None:
            client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.get_or_create(user=user)[0]}")
        return client

    return of

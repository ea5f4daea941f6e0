"""What tests of the signed-in pages share: people at the door, returns in any state, the posts a form sends."""

from html import unescape
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from facts.models import Return
from facts.services.imports import Row, save_drafts
from facts.services.submission import submit
from tests.factories import seen_by_checks
from tests.facts.valid_returns import RETURNS


@pytest.fixture(scope="session", autouse=True)
def _static_root():
    """WhiteNoise warns of a missing folder, and a warning fails a test."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def door():
    """Sign a person in: `door(town.head).get(…)`."""

    def sign_in(user) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def drafted(town):
    """Make a draft of valid answers, with changes."""

    def make(schedule="UNIT", unit=0, by=None, **changes) -> Return:
        subject = {
            "UNIT": town.units[unit].frame_id,
            "CLUSTER": town.cluster.code,
            "ASSOCIATION": f"{town.cluster.code}/{town.association.slug}",
            "REGION": town.cluster.region_id,
        }[schedule]
        by = by or (town.staff if schedule in ("CLUSTER", "REGION") else town.entry)
        outcome = save_drafts(
            round_=town.round,
            schedule_code=schedule,
            rows=[Row(subject, {**RETURNS[schedule], **changes}, "row 2")],
            by=by,
            channel="file",
            keep_failing=True,
        )
        assert not outcome.refused, [str(problem) for problem in outcome.refused]
        return outcome.returns[0]

    return make


@pytest.fixture
def submitted(town, drafted):
    """Make a return and hand it in."""

    def make(**changes) -> Return:
        ret = drafted(**changes)
        submit([ret], by=town.head, certified_name="A. Person")
        seen_by_checks(ret)
        return ret

    return make


@pytest.fixture
def words():
    """The text of an answer as a reader sees it."""

    def read(response) -> str:
        return " ".join(unescape(response.content.decode()).split())

    return read

"""What is kept for a time goes when the time is over, and not before: a test for each line of docs/audit.md."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError, transaction
from django.test import Client
from django.utils import timezone

from core.accounts import tasks as accounts
from core.accounts.models import Reset
from core.audit.models import Event, record
from facts.api import limits
from facts.models import IdempotencyKey, RequestCount, Upload
from facts.services import idempotency, uploads
from facts.tasks import wipe_expired
from facts.vault import store
from facts.vault.models import BreakGlass, SealedText
from tests.factories import person

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "audit.md"


def kept(days: float = 0, hours: float = 0):
    return timezone.now() - timedelta(days=days, hours=hours)


def test_a_file_and_its_report_go_after_a_day(town):
    made = [
        Upload.objects.create(round=town.round, by=town.entry, name="a.csv", size=1, digest=str(n), state="refused")
        for n in range(2)
    ]
    store.put_texts([(f"upload:{one.pk}", "{}") for one in made])
    Upload.objects.filter(pk=made[0].pk).update(created_at=kept(hours=25))
    Upload.objects.filter(pk=made[1].pk).update(created_at=kept(hours=23))

    wipe_expired()

    assert list(SealedText.objects.values_list("place", flat=True)) == [f"upload:{made[1].pk}"]
    assert timedelta(hours=24) == uploads.KEPT_FOR


def test_what_a_client_was_answered_goes_after_a_week(town):
    client = person("client", town.association)
    for key in ("old", "new"):
        idempotency.once(client, "r", key, {}, lambda: idempotency.Answer(200, b"{}"))
    IdempotencyKey.objects.filter(key="old").update(created_at=kept(days=8))

    wipe_expired()

    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["new"]
    assert SealedText.objects.count() == 1 and timedelta(days=7) == idempotency.KEPT_FOR


def test_counts_of_requests_go_with_the_next_hour(town):
    client = person("client", town.association)
    limits._count(client, 1)
    limits._count(client, 2)

    assert list(RequestCount.objects.values_list("window", flat=True)) == [2]


def test_a_wish_for_a_new_password_goes_after_a_day(db):
    made = [Reset.objects.create(asked_for=f"person-{n}") for n in range(2)]
    Reset.objects.filter(pk=made[0].pk).update(asked_at=kept(days=2))
    Reset.objects.filter(pk=made[1].pk).update(asked_at=kept(hours=1))

    accounts.tidy()

    assert list(Reset.objects.values_list("pk", flat=True)) == [made[1].pk]


def test_a_session_that_is_over_goes(town):
    for user in (town.entry, town.head):
        Client().force_login(user)
    over = Session.objects.first()
    Session.objects.filter(pk=over.pk).update(expire_date=kept(hours=1))

    accounts.tidy()

    assert Session.objects.count() == 1 and not Session.objects.filter(pk=over.pk).exists()
    assert settings.SESSION_COOKIE_AGE == 12 * 3600


def test_the_chain_and_broken_glass_are_kept_for_good(town):
    record("test.act", town.cluster, by=None)
    glass = BreakGlass.objects.create(
        **{"kind": "names", "round": town.round, "cluster": town.cluster, "asked_by": town.head},
        **{"asked_at": timezone.now(), "granted_at": timezone.now(), "granted_by": town.entry, "state": "declined"},
    )

    for rows in (Event.objects.all(), BreakGlass.objects.filter(pk=glass.pk)):
        with pytest.raises(DatabaseError), transaction.atomic():
            rows.delete()


def test_every_line_of_the_table_has_its_test():
    table = DOCUMENT.read_text().split("## Kept, and for how long")[1].split("##")[0]
    named = [line.rsplit("`", 2)[1] for line in table.splitlines() if line.startswith("| ") and "`test_" in line]

    assert len(named) >= 5 and all(name in globals() for name in named)

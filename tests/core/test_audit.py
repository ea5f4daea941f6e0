"""The audit chain cannot be changed unnoticed, nor changed at all by the usual ways."""

import pytest
from django.db import DatabaseError, connection, transaction

from core.audit.models import Event, first_broken, record, record_many
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain(db):
    user = UserFactory()
    for number in range(3):
        record("test.act", user, by=user, number=number)
    return user


def test_events_are_chained(chain):
    events = list(Event.objects.all())

    assert [event.seq for event in events] == [1, 2, 3]
    assert events[1].previous == events[0].digest
    assert first_broken() is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_event SET action = 'x' WHERE seq = 2",
        "DELETE FROM audit_event WHERE seq = 2",
    ],
)
def test_the_database_refuses_changes(chain, sql):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


def test_a_tampered_event_is_found(chain, monkeypatch):
    # What a person with the database's own powers could do, once the triggers are gone.
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER audit_event_immutable_update")
        else:
            cursor.execute("DROP TRIGGER audit_event_immutable_update ON audit_event")
        cursor.execute("UPDATE audit_event SET action = 'other' WHERE seq = 2")

    assert first_broken() == 2


def test_a_rolled_back_change_leaves_no_event(chain):
    with pytest.raises(RuntimeError), transaction.atomic():
        record("test.act", chain, by=chain)
        raise RuntimeError
    assert Event.objects.count() == 3


def test_many_events_are_one_chain(chain):
    record_many([("test.many", chain, {"n": n}) for n in range(1500)], by=chain)

    assert Event.objects.count() == 1503
    assert first_broken() is None

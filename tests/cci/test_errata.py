"""Errata: told once, of public editions, never changed; what mends them is named."""

import pytest
from django.db import DatabaseError, transaction

from cci.models import Edition, Erratum
from cci.services import say_corrected, write_erratum
from core.audit.models import Event
from core.base import Conflict, DomainError
from tests.factories import ClusterFactory, open_round, person
from tests.methods import adopted

pytestmark = pytest.mark.django_db
WORDS = {
    "kind": "data",
    "text": "Sales of one cluster were taken twice.",
    "effect": "Its score falls by two points, to 41.",
}


@pytest.fixture
def world():
    class World:
        analyst = person("analyst")
        method = adopted("1.0")
        round = open_round(2025, state="closed")

        def edition(self, revision, state):
            label = f"2025.{revision}" if revision else "2025"
            return Edition.objects.create(
                round=self.round, methodology=self.method, revision=revision, label=label, state=state, digest=label
            )

    found = World()
    found.old, found.new = found.edition(0, "superseded"), found.edition(1, "published")
    return found


def test_an_erratum_tells_what_was_wrong_and_whom_it_touches(world):
    cluster = ClusterFactory()

    erratum = write_erratum(world.old, **WORDS, clusters=[cluster], by=world.analyst)

    assert list(erratum.clusters.all()) == [cluster] and erratum.corrected_in is None
    event = Event.objects.get(action="erratum.write")
    assert event.detail == {"label": "2025", "kind": "data", "clusters": [cluster.code]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": "wrong"}, "Say what was wrong"),
        ({"effect": ""}, "Say what it changes"),
        ({"kind": "weather"}, "Say where the error lies"),
    ],
)
def test_an_erratum_without_words_is_refused(world, change, words):
    with pytest.raises(DomainError, match=words):
        write_erratum(world.old, **(WORDS | change), by=world.analyst)
    assert not Erratum.objects.exists()


def test_only_published_editions_have_errata(world):
    candidate = world.edition(2, "candidate")

    with pytest.raises(DomainError, match="is not published"):
        write_erratum(candidate, **WORDS, by=world.analyst)
    with pytest.raises(DomainError, match="published later revision"):
        write_erratum(world.new, **WORDS, corrected_in=candidate, by=world.analyst)
    with pytest.raises(DomainError, match="published later revision"):
        write_erratum(world.new, **WORDS, corrected_in=world.old, by=world.analyst)


def test_what_mends_it_is_named_once(world):
    erratum = write_erratum(world.old, **WORDS, by=world.analyst)

    say_corrected(erratum, world.new, by=world.analyst)

    assert Erratum.objects.get().corrected_in == world.new
    with pytest.raises(Conflict):
        say_corrected(erratum, world.new, by=world.analyst)


def test_an_erratum_never_changes(world):
    erratum = write_erratum(world.old, **WORDS, by=world.analyst)

    for act in (
        lambda: Erratum.objects.update(text="Nothing was wrong."),
        lambda: Erratum.objects.filter(pk=erratum.pk)._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()

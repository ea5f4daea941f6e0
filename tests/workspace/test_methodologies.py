"""Methodologies, the release calendar, decisions at a set time and errata, as the office meets them."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from cci.models import Edition, Erratum, Methodology, PreRelease, Release, Score, Standing
from cci.services import register_methodology
from facts.services.snapshots import take_snapshot
from tests.factories import ClusterFactory, open_round, person
from tests.methods import adopted, second_method

pytestmark = pytest.mark.django_db
NOTE = "Weights and goalposts compared with the framework."


@pytest.fixture
def cell():
    return person("analyst"), person("analyst")


@pytest.fixture
def second(tmp_path):
    with second_method(tmp_path) as version:
        yield version


def at(**delta) -> str:
    return f"{timezone.now() + dt.timedelta(**delta):%Y-%m-%dT%H:%M}"


def edition_of(year=2025, revision=0, **fields) -> Edition:
    label = f"{year}.{revision}" if revision else str(year)
    defaults = {"state": "candidate", "digest": label.ljust(64, "d"), "computed_at": timezone.now()}
    defaults |= {"summary": {"clusters": 2, "ranked": 1, "units": 40}, "methodology": Methodology.objects.first()}
    return Edition.objects.create(
        round=open_round(year, state="closed"), revision=revision, label=label, **(defaults | fields)
    )


def scored(edition, value=50.0) -> None:
    cluster = ClusterFactory()
    Standing.objects.create(edition=edition, cluster=cluster, is_ranked=True)
    Score.objects.create(edition=edition, cluster=cluster, node="CCI", value=value, rank=1, rank_low=1, rank_high=1)


def of_method(name, version) -> str:
    return reverse(f"cci:{name}", args=[version])


# --- Methodologies ----------------------------------------------------------------------------


def test_from_files_to_adoption_by_two_people(cell, second, door, words):
    first, other = (door(user) for user in cell)
    register_methodology("1.0")
    listed = reverse("cci:methodologies")

    assert "Register 1.1 as a draft" in words(first.get(listed))
    first.post(listed, {"version": "1.1"})
    page = of_method("methodology-of", "1.1")
    assert "a colleague does this" in words(first.get(page))
    refused = first.post(page, {"act": "check", "note": NOTE})
    assert "registers a methodology does not check" in words(refused) and NOTE in words(refused)
    other.post(page, {"act": "check", "note": NOTE})
    assert NOTE in words(first.get(page))
    first.post(page, {"act": "adopt", "note": "It was tried on five rounds."})

    assert Methodology.objects.get(version="1.1").state == "adopted"
    assert "New editions are computed with methodology 1.1" in words(first.get(listed))


def test_only_files_that_are_there_are_registered(cell, second, door):
    client = door(cell[0])

    for version in ("9.9", "../1.0", ""):
        assert client.post(reverse("cci:methodologies"), {"version": version}).status_code == 404


def test_differences_are_shown_in_plain_names(cell, second, door, words):
    adopted("1.0")
    register_methodology(second)

    shown = words(door(cell[0]).get(of_method("methodology-difference", second), {"from": "1.0"}))

    assert "3 differences" in shown
    assert "Least value that enters, by level" in shown and "0, 0, 5" in shown


def test_a_round_is_tried_and_its_effect_shown(cell, second, door, words):
    old = adopted("1.0")
    register_methodology(second)
    published = edition_of(methodology=old)
    scored(published)
    published.snapshot = take_snapshot(published.round, by=cell[0])
    published.state = "published"
    published.save()
    client, address = door(cell[0]), of_method("methodology-effect", second)

    client.post(address, {"round": "2025"})
    trial = Edition.objects.get(is_trial=True)
    assert client.get(address)["Refresh"] == "3"
    scored(trial, 61.5)
    Edition.objects.filter(pk=trial.pk).update(state="candidate", computed_at=timezone.now(), digest="t" * 64)

    shown = words(client.get(address))
    assert "2025-trial-1.1" in shown and "61.5" in shown and "Ranked now, not before" in shown
    page = words(client.get(reverse("cci:edition", args=[trial.pk])))
    assert "It is never published" in page and "Propose" not in page


def test_an_auditor_reads_methodologies_and_decides_nothing(cell, second, door):
    adopted("1.0")
    register_methodology(second)
    client = door(person("auditor"))

    for name in ("methodology-of", "methodology-difference", "methodology-effect"):
        answer = client.get(of_method(name, second))
        assert answer.status_code == 200
        assert b'method="post"' not in answer.content.split(b"<main")[1]
    assert client.post(of_method("methodology-of", second), {"act": "check", "note": NOTE}).status_code == 403
    assert door(person("viewer")).get(reverse("cci:methodologies")).status_code == 403


# --- Decisions --------------------------------------------------------------------------------


def test_a_revision_asks_what_was_revised_and_keeps_what_was_typed(cell, door, words):
    adopted("1.0")
    edition_of(state="published")
    edition, client = edition_of(revision=1), door(cell[0])
    page = reverse("cci:edition", args=[edition.pk])

    assert "It replaces Edition 2025" in words(client.get(page))
    refused = client.post(page, {"decision": "propose", "digest": edition.digest, "note": "Late returns came in."})
    assert "It was not proposed" in words(refused) and "Late returns came in." in words(refused)
    client.post(
        page, {"decision": "propose", "digest": edition.digest, "kind": "data", "note": "Late returns came in."}
    )

    edition.refresh_from_db()
    assert (edition.state, edition.revision_kind) == ("proposed", "data")


def test_an_edition_is_approved_for_a_time_listed_seen_and_withdrawn(cell, door, words):
    adopted("1.0")
    edition = edition_of(state="proposed", proposed_by=cell[0], proposed_at=timezone.now())
    scored(edition)
    guest, client = person("viewer"), door(cell[1])
    page, listed = (reverse(f"cci:{name}", args=[edition.pk]) for name in ("edition", "pre-releases"))
    own = reverse("cci:pre-release", args=[edition.label])

    missing = client.post(page, {"decision": "publish", "digest": edition.digest, "release": "later"})
    assert "Give the day and hour" in words(missing)
    client.post(page, {"decision": "publish", "digest": edition.digest, "release": "later", "release_at": at(days=2)})
    assert "Under embargo until" in words(client.get(page))
    assert door(guest).get(own).status_code == 404
    client.post(
        listed, {"username": guest.username, "office": "Secretary of Industries", "reason": "Answers the press."}
    )
    seen = door(guest).get(own)
    assert "Secretary of Industries" in words(seen) and seen["Cache-Control"] == "no-store"
    assert PreRelease.objects.get().first_opened_at
    assert door(person("viewer")).get(own).status_code == 404
    assert door(guest).get(edition.get_absolute_url()).status_code == 404
    client.post(listed, {"withdraw": PreRelease.objects.get().pk})
    assert door(guest).get(own).status_code == 404
    client.post(page, {"decision": "withdraw", "digest": edition.digest, "note": "Two tariffs are doubted."})

    edition.refresh_from_db()
    assert edition.state == "candidate"


def test_an_edition_of_a_draft_methodology_says_what_is_missing(cell, door, words):
    register_methodology("1.0")
    edition, client = edition_of(), door(cell[0])
    page = reverse("cci:edition", args=[edition.pk])

    assert "methodology 1.0 is draft, not adopted" in words(client.get(page))
    refused = client.post(page, {"decision": "propose", "digest": edition.digest})
    assert "Have it checked and adopted first" in words(refused)


# --- Calendar and errata ----------------------------------------------------------------------


def test_a_release_is_announced_fixed_moved_and_cancelled(cell, door, words):
    open_round(2026)
    client, listed = door(cell[0]), reverse("cci:release-list")
    day = (timezone.now() + dt.timedelta(days=70)).replace(day=10)

    client.post(listed, {"round": "2026", "title": "Index 2026", "planned_at": f"{day:%Y-%m-%dT%H:%M}"})
    release = Release.objects.get()
    page = reverse("cci:release", args=[release.pk])
    client.post(page, {"act": "fix", "planned_at": f"{day:%Y-%m-}12T09:30"})
    release.refresh_from_db()
    assert release.is_exact and release.planned_at.day == 12
    refused = client.post(page, {"act": "move", "planned_at": at(days=5), "reason": "late", "is_exact": "on"})
    assert "why the release is moved" in words(refused)
    moved = client.post(
        page,
        {"act": "move", "planned_at": at(days=5), "reason": "Wanted earlier by the ministry.", "is_exact": "on"},
        follow=True,
    )
    assert "four weeks before" in words(moved)
    client.post(page, {"act": "cancel", "note": "The round is not representative."})

    release.refresh_from_db()
    assert release.cancelled_reason == "The round is not representative."
    assert b'method="post"' not in client.get(page).content.split(b"<main")[1]


def test_an_erratum_is_written_and_its_correction_named(cell, door, words):
    adopted("1.0")
    edition, cluster, client = edition_of(state="published"), ClusterFactory(), door(cell[0])
    address = reverse("cci:erratum-new", args=[edition.label])
    sent = {"kind": "data", "text": "Sales were taken twice.", "effect": "Its score falls by two points."}

    unknown = client.post(address, sent | {"clusters": f"{cluster.code} XX-NO-1"})
    assert "no cluster of the code XX-NO-1" in words(unknown)
    client.post(address, sent | {"clusters": cluster.code.lower()})
    erratum = Erratum.objects.get()
    assert list(erratum.clusters.all()) == [cluster]
    Edition.objects.filter(pk=edition.pk).update(state="superseded")
    later = edition_of(revision=1, state="published")
    client.post(address, {"erratum": erratum.pk, "corrected_in": later.label})

    erratum.refresh_from_db()
    assert erratum.corrected_in == later


@pytest.mark.parametrize("name", ["methodologies", "release-list"])
def test_lists_cost_the_same_for_one_or_many(cell, door, django_assert_num_queries, name, second):
    adopted("1.0")
    client, address = door(cell[0]), reverse(f"cci:{name}")
    Release.objects.create(round=open_round(2025, state="closed"), title="One", planned_at=timezone.now())
    client.get(address)
    with django_assert_num_queries(6 if name == "methodologies" else 8) as captured:
        client.get(address)
    register_methodology(second)
    for year in (2022, 2023, 2024):
        Release.objects.create(round=open_round(year, state="closed"), title="More", planned_at=timezone.now())
    with django_assert_num_queries(len(captured)):
        client.get(address)

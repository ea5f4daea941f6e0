"""What readers see of releases: the calendar, errata, how an edition came out, what a revision changed."""

import datetime as dt
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from cci.models import Edition, Erratum, Methodology, PreRelease, Release, Score, Standing
from tests.factories import ClusterFactory, before_publication, open_round, person, rules_lifted
from tests.methods import adopted, second_method

pytestmark = pytest.mark.django_db


def words(response) -> str:
    assert response.status_code == 200
    return " ".join(unescape(response.content.decode()).split())


def edition_of(revision, state, **fields) -> Edition:
    label = f"2025.{revision}" if revision else "2025"
    defaults = {"methodology": Methodology.objects.get(version="1.0"), "published_at": timezone.now()}
    return Edition.objects.create(
        round=open_round(2025, state="closed"),
        revision=revision,
        label=label,
        state=state,
        digest=label,
        **(defaults | fields),
    )


def seen(edition, cluster, value, rank) -> None:
    with before_publication():
        Standing.objects.create(edition=edition, cluster=cluster, is_ranked=True)
        Score.objects.create(
            edition=edition, cluster=cluster, node="CCI", value=value, rank=rank, rank_low=rank, rank_high=rank
        )


@pytest.fixture
def revised():
    """2025 and its published revision: one cluster as before, two changed places."""
    adopted("1.0")
    editions = [
        edition_of(0, "candidate"),
        edition_of(1, "candidate", revision_kind="data", revision_note="Late ones."),
    ]
    clusters = [ClusterFactory(name=name) for name in ("Steady", "Falling", "Rising")]
    for edition, values in zip(editions, ((80.0, 60.0, 50.0), (80.0, 55.5, 59.0)), strict=True):
        for cluster, value in zip(clusters, values, strict=True):
            seen(edition, cluster, value, 1 + sum(other > value for other in values))
    for edition, state in zip(editions, ("superseded", "published"), strict=True):
        Edition.objects.filter(pk=edition.pk).update(state=state)
        edition.state = state
    return editions


def test_the_calendar_tells_month_hour_moves_and_cancellations(client):
    soon = timezone.now() + dt.timedelta(days=40)
    make = Release.objects.create
    make(round=open_round(2026), title="Index 2026", planned_at=soon)
    exact = {"planned_at": soon.replace(hour=9, minute=30), "is_exact": True}
    make(
        round=open_round(2025, state="closed"),
        title="Index 2025",
        moved_from=soon - dt.timedelta(days=9),
        moved_reason="Two provinces file late.",
        **exact,
    )
    make(
        round=open_round(2024, state="closed"),
        title="Index 2024",
        planned_at=soon,
        cancelled_at=timezone.now(),
        cancelled_reason="Not representative.",
    )

    shown = words(client.get("/cci/releases/"))

    assert f"{soon:%B %Y}" in shown and "day and hour to be told" in shown
    assert "09:30 UTC" in shown and "Two provinces file late." in shown
    assert "Cancelled: Not representative." in shown


def test_calendar_and_errata_stand_before_the_labels_of_editions(client):
    assert "Nothing is announced now" in words(client.get("/cci/releases/"))
    assert "No error is known" in words(client.get("/cci/errata/"))


def test_a_revision_shows_what_changed_and_counts_the_rest(client, revised):
    shown = words(client.get("/cci/2025.1/changes/"))

    assert "late or corrected returns" in shown and "Late ones." in shown
    assert "2 show other figures" in shown and "1 is unchanged" in shown
    assert "Rising" in shown and "Steady" not in shown
    assert "It is the first edition" in words(client.get("/cci/2025/changes/"))


def test_the_changes_cost_the_same_for_few_or_many(client, revised, django_assert_num_queries):
    with django_assert_num_queries(5) as captured:
        client.get("/cci/2025.1/changes/")
    for n in range(5):
        cluster = ClusterFactory()
        seen(revised[0], cluster, 20.0 + n, 9 - n)
        seen(revised[1], cluster, 30.0 + n, 9 - n)
    with django_assert_num_queries(len(captured)):
        assert "7 show other figures" in words(client.get("/cci/2025.1/changes/"))


def test_an_erratum_is_told_in_the_list_and_with_its_edition(client, revised):
    erratum = Erratum.objects.create(
        edition=revised[0],
        kind="data",
        text="Sales of Rising were taken twice.",
        effect="It stands second, not third.",
        corrected_in=revised[1],
        written_by=person("analyst"),
    )
    erratum.clusters.set([ClusterFactory(name="Touched")])

    for address in ("/cci/errata/", "/cci/2025/record/"):
        shown = words(client.get(address))
        assert "Sales of Rising were taken twice." in shown and "Edition 2025.1" in shown and "Touched" in shown
    assert "Sales of Rising" not in words(client.get("/cci/2025.1/record/"))


def test_who_saw_it_before_is_published_by_office_and_not_by_name(client, revised):
    giver = person("analyst", display_name="Giver Name")
    for n, more in enumerate(
        (
            {"office": "Secretary of Industries", "first_opened_at": timezone.now()},
            {"office": "Governor", "first_opened_at": timezone.now(), "withdrawn_at": timezone.now()},
            {"office": "Never let in", "withdrawn_at": timezone.now()},
        )
    ):
        guest = person("viewer", display_name=f"Guest Name {n}")
        PreRelease.objects.create(edition=revised[1], user=guest, reason="Answers the press.", granted_by=giver, **more)

    shown = words(client.get("/cci/2025.1/record/"))

    assert "Secretary of Industries" in shown and "Governor" in shown and "Answers the press." in shown
    assert "Never let in" not in shown and "Guest Name" not in shown and "Giver Name" not in shown


def test_people_of_a_methodology_are_named_by_office(client, revised):
    analyst = person("analyst", display_name="Analyst Name")
    with rules_lifted("cci_methodology"):
        Methodology.objects.update(checked_by=analyst, checked_at=timezone.now())

    shown = words(client.get("/cci/2025/record/"))

    assert "checked by an analyst of the coordinating cell" in shown and "Analyst Name" not in shown


def test_readers_see_what_a_new_methodology_changed(client, revised, tmp_path):
    with second_method(tmp_path) as version:
        edition_of(2, "superseded", methodology=adopted(version))

        shown = words(client.get("/cci/2025.2/methodology/changes/"))
        assert "3 differences to methodology 1.0" in shown and "0, 0, 5" in shown
        assert "It is the first methodology" in words(client.get("/cci/2025/methodology/changes/"))


@pytest.mark.parametrize("state", ["candidate", "proposed", "scheduled"])
def test_nothing_is_told_of_an_edition_not_published(client, state):
    adopted("1.0")
    edition = edition_of(0, state, release_at=timezone.now() + dt.timedelta(days=2))

    for name in ("record", "changes", "methodology-changes", "ranking"):
        assert client.get(reverse(f"cci:{name}", args=[edition.label])).status_code == 404
    assert client.get("/api/v1/editions/").json()["results"] == []


def test_the_api_tells_releases_errata_and_changes(client, revised, django_assert_num_queries):
    Release.objects.create(round=revised[0].round, title="Index 2025", planned_at=timezone.now(), edition=revised[0])

    release = client.get("/api/v1/releases/").json()["results"][0]
    assert (release["state"], release["edition"], release["year"]) == ("out", "2025", 2025)
    with django_assert_num_queries(7):
        rows = client.get("/api/v1/revision-changes/?edition=2025.1").json()["results"]
    told = {row["is_changed"]: row for row in rows}
    assert len(rows) == 3 and not told[False]["cause"]
    rising = next(row for row in rows if row["rank_after"] == 2)
    assert (rising["replaced"], rising["kind"], rising["score_before"], rising["score_after"]) == (
        "2025",
        "data",
        50,
        59,
    )
    assert client.get("/api/v1/revision-changes/?edition=2025").json()["results"] == []
    assert client.get(f"/api/v1/revision-changes/{rising['id']}/").json() == rising


def test_a_revision_says_its_kind_and_note_on_the_ranking_and_over_the_api(client, revised):
    page = client.get("/cci/2025.1/").content.decode()
    row = client.get("/api/v1/editions/2025.1/").json()

    assert "Late or corrected returns" in page and "Late ones." in page
    assert reverse("cci:record", args=["2025.1"]) in page
    assert (row["revision_kind"], row["revision_note"]) == ("data", "Late ones.")

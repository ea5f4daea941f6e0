"""Editions on the staff's pages: computed once, proposed by one, published by another."""

import pytest
from django.urls import reverse

from cci.models import Edition, Methodology, Score, Standing
from cci.services import register_methodology
from core.jobs.models import Job
from facts.models import Round
from tests.factories import ClusterFactory, open_round, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def cell():
    register_methodology("1.0")
    return person("analyst"), person("analyst")


@pytest.fixture
def closed():
    return open_round(2025, state="closed")


def edition_of(round_, **fields) -> Edition:
    defaults = {"label": str(round_.year), "revision": 0, "state": "candidate", "digest": "d" * 64}
    defaults |= {"computed_at": "2026-01-01T10:00Z", "summary": {"clusters": 2, "ranked": 1, "units": 40}}
    return Edition.objects.create(round=round_, methodology=Methodology.objects.get(), **(defaults | fields))


def scored(edition, cluster, value, rank) -> None:
    Score.objects.create(edition=edition, cluster=cluster, node="CCI", value=value, rank=rank, n_ranked=1)
    Standing.objects.create(edition=edition, cluster=cluster, is_ranked=True, response_share=0.7)


def page(edition) -> str:
    return reverse("cci:edition", args=[edition.pk])


def test_one_proposes_and_another_publishes(cell, closed, door, words):
    first, second = (door(user) for user in cell)
    edition = edition_of(closed)

    first.post(page(edition), {"decision": "propose", "digest": edition.digest})
    own = first.post(page(edition), {"decision": "publish", "digest": edition.digest}, follow=True)
    edition.refresh_from_db()
    assert edition.state == "proposed" and "Ask a colleague." in words(own)

    second.post(page(edition), {"decision": "publish", "digest": edition.digest})

    edition.refresh_from_db()
    assert (edition.state, edition.published_by) == ("published", cell[1])


def test_a_digest_that_is_not_the_shown_one_is_refused(cell, closed, door, words):
    edition = edition_of(closed)

    answer = door(cell[0]).post(page(edition), {"decision": "propose", "digest": "e" * 64}, follow=True)

    edition.refresh_from_db()
    assert edition.state == "candidate"
    assert "not the edition as computed last" in words(answer)


def test_two_clicks_compute_one_edition_and_the_page_looks_again_by_itself(cell, closed, door, words):
    client = door(cell[0])

    first = client.post(reverse("cci:recompute"), {"round": "2025"})
    second = client.post(reverse("cci:recompute"), {"round": "2025"})

    assert first.url == second.url == page(Edition.objects.get())
    assert Job.objects.count() == 1
    Job.objects.update(state="running", stage="Computing indicators", done=45, total=100)
    answer = client.get(first.url)
    assert answer["Refresh"] == "3"
    assert "Computing indicators" in words(answer) and 'value="45"' in words(answer)
    assert client.get(reverse("cci:editions"))["Refresh"] == "3"


def test_results_stand_beside_those_published_before(cell, closed, door, words):
    up, out = ClusterFactory(name="Rising"), ClusterFactory(name="Silent")
    before = edition_of(open_round(2024, state="closed"), state="published", proposed_by=cell[0], published_by=cell[1])
    scored(before, up, 50.0, 3)
    edition = edition_of(closed, report={"warnings": [{"message": "Scores missing:", "names": ["O2"]}]})
    scored(edition, up, 53.5, 1)
    Standing.objects.create(edition=edition, cluster=out, is_ranked=False, reason="response", response_share=0.2)

    shown = words(door(cell[0]).get(page(edition)))

    assert "+2" in shown and "+3.5" in shown
    assert "Too few of its firms answered" in shown and "Not ranked (1)" in shown
    assert "Scores missing: O2" in shown and edition.digest in shown


def test_an_auditor_reads_and_decides_nothing(cell, closed, door):
    edition, client = edition_of(closed), door(person("auditor"))

    assert b"Propose for publication" not in client.get(page(edition)).content
    assert client.post(page(edition), {"decision": "propose", "digest": edition.digest}).status_code == 403
    assert b"<button" not in client.get(reverse("cci:editions")).content.split(b"<main")[1]


def test_closing_shows_its_counts_and_locks_what_was_accepted(cell, town, submitted, door, words):
    from facts.services.review import accept

    accept([submitted()], by=town.supervisor)
    client, address = door(cell[0]), reverse("cci:close-round")

    shown = words(client.get(address, {"round": town.round.year}))
    assert "1 accepted return will be locked" in shown
    client.post(address, {"round": town.round.year})
    assert "A second analyst confirms it." in words(client.get(address, {"round": town.round.year}))
    client.post(address, {"round": town.round.year})
    assert Round.objects.get(pk=town.round.pk).state == "open"
    door(cell[1]).post(address, {"round": town.round.year})

    assert Round.objects.get(pk=town.round.pk).state == "closed"


def test_the_list_costs_the_same_for_one_or_many(cell, door, django_assert_num_queries):
    client = door(cell[0])
    edition_of(open_round(2025, state="closed"))
    client.get(reverse("cci:editions"))
    with django_assert_num_queries(7) as captured:
        client.get(reverse("cci:editions"))
    for year in (2022, 2023, 2024):
        edition_of(open_round(year, state="closed"))
    with django_assert_num_queries(len(captured)):
        client.get(reverse("cci:editions"))

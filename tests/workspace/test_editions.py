"""Editions on the staff's pages: computed once, proposed by one, published by another."""

import re
from pathlib import Path

import pytest
from django.urls import reverse

from cci.desk.record import ACTIONS
from cci.models import Edition, Methodology, Score, Standing
from cci.services import request_recompute
from core.audit.models import record
from core.jobs import ledger
from core.jobs.models import Job
from facts.models import Round
from facts.services.values import register_indicators
from tests.factories import ClusterFactory, OrganisationFactory, before_publication, open_round, person
from tests.methods import adopted

pytestmark = pytest.mark.django_db
BOARD = "/workspace/editions/"


@pytest.fixture
def cell():
    adopted("1.0")
    return person("analyst"), person("analyst")


@pytest.fixture
def closed():
    return open_round(2025, state="closed")


def edition_of(round_, **fields) -> Edition:
    defaults = {"label": str(round_.year), "revision": 0, "state": "candidate", "digest": "d" * 64}
    defaults |= {"computed_at": "2026-01-01T10:00Z", "summary": {"clusters": 2, "ranked": 1, "units": 40}}
    return Edition.objects.create(round=round_, methodology=Methodology.objects.get(), **(defaults | fields))


def scored(edition, cluster, value, rank) -> None:
    span = {"rank": rank, "rank_low": rank, "rank_high": rank}
    with before_publication():
        Score.objects.create(edition=edition, cluster=cluster, node="CCI", value=value, n_ranked=1, **span)
        Standing.objects.create(edition=edition, cluster=cluster, is_ranked=True, response_share=0.7)


def page(edition, name="edition") -> str:
    return reverse(f"cci:{name}", args=[edition.pk])


def test_publishing_asks_for_the_password_where_it_was_given_long_ago(cell, closed, door):
    edition, second = edition_of(closed, state="proposed", proposed_by=cell[0]), door(cell[1])
    session = second.session
    session["sure_at"] = 0
    session.save()

    answer = second.post(page(edition), {"decision": "publish", "digest": edition.digest})

    edition.refresh_from_db()
    assert edition.state == "proposed"
    assert answer.url.startswith(reverse("accounts:again"))


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


def test_the_very_figures_that_readers_have_are_not_offered_for_a_proposal(cell, closed, door, words):
    edition_of(closed, state="published", proposed_by=cell[0], published_by=cell[1])
    same = edition_of(closed, label="2025.1", revision=1)
    client = door(cell[0])
    assert "there is nothing to publish" in words(client.get(page(same)))
    assert b'value="propose"' not in client.get(page(same)).content

    Edition.objects.filter(pk=same.pk).update(digest="e" * 64)
    assert b'value="propose"' in client.get(page(same)).content


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


def test_a_second_click_is_told_of_the_run_under_way(cell, closed, door, words):
    client = door(cell[0])
    client.post(reverse("cci:recompute"), {"round": "2025"})

    again = client.post(reverse("cci:recompute"), {"round": "2025"}, follow=True)

    assert "is being computed already: this is that run" in words(again)


def test_a_run_is_stopped_after_it_was_said_what_is_kept(cell, closed, door, words):
    edition, client = request_recompute(closed, by=cell[0]), door(cell[1])

    assert page(edition, "edition-cancel") in words(client.get(page(edition)))
    assert "Nothing of the run is kept" in words(client.get(page(edition, "edition-cancel")))
    answer = client.post(page(edition, "edition-cancel"), follow=True)

    edition.refresh_from_db()
    assert edition.state == "failed" and "is stopped; nothing of it is kept" in words(answer)
    assert all("Stopped" in words(one) and "Failed" not in words(one) for one in (answer, client.get(BOARD)))
    assert "Refresh" not in answer
    assert client.get(page(edition, "edition-cancel"), follow=True).redirect_chain[-1][0] == page(edition)


def test_an_edition_is_computed_again_beside_the_stored_digest(cell, town, door, words):
    register_indicators()
    edition, client = request_recompute(town.round, by=cell[0]), door(cell[0])
    ledger.run(edition.job_id, heartbeat=False)

    waiting = client.post(page(edition, "edition-verify"), follow=True)
    assert waiting["Refresh"] == "3" and "Computing it again to compare" in words(waiting)
    ledger.run(Job.objects.get(kind="cci.verify_edition").pk, heartbeat=False)
    shown = words(client.get(page(edition)))

    edition.refresh_from_db()
    assert "The same digest" in shown and shown.count(edition.digest) >= 3
    assert edition.snapshot.digest in shown and "Trying other choices of the method" in shown
    assert "Nothing took a default" in shown


def test_results_stand_beside_those_published_before(cell, closed, door, words):
    up, out = ClusterFactory(name="Rising"), ClusterFactory(name="Silent")
    before = edition_of(open_round(2024, state="closed"), state="published", proposed_by=cell[0], published_by=cell[1])
    scored(before, up, 50.0, 1)
    edition = edition_of(closed, report={"warnings": [{"message": "Scores missing:", "names": ["O2"]}]})
    scored(edition, up, 53.5, 1)
    Standing.objects.create(edition=edition, cluster=out, is_ranked=False, reason="response", response_share=0.2)
    client = door(cell[0])

    shown, run = words(client.get(page(edition, "edition-results"))), words(client.get(page(edition)))
    only = words(client.get(page(edition, "edition-results"), {"show": "unranked"}))

    assert "+3.5" in shown and "1 → 1 of 1" in shown
    assert "Not ranked: too few of its firms answered" in shown and "Not ranked (1)" in shown
    assert "Silent" in only and "Rising" not in only.split("<main")[1]
    assert "Scores missing: O2" in run and edition.digest in run


@pytest.mark.parametrize("name", ["edition-results", "edition-robustness", "edition-coherence", "edition-record"])
def test_every_reading_holds_for_an_edition_with_nothing_stored(cell, closed, door, name):
    edition, client = edition_of(closed), door(person("auditor"))

    assert client.get(page(edition, name)).status_code == 200
    Edition.objects.update(state="computing")
    assert client.get(page(edition, name)).status_code == (200 if name == "edition-record" else 404)
    assert door(person("entry", OrganisationFactory())).get(page(edition, name)).status_code == 403


def test_acts_are_told_in_words_and_not_as_they_are_stored(cell, closed, door, words):
    edition = edition_of(closed)
    record("edition.propose", edition, by=cell[0], label="2025", digest="ab" * 32, revision_kind="")
    record("edition.approve", edition, by=cell[1], release_at="2027-05-01T09:30:00+00:00", counts={"units": 4714})

    shown = words(door(cell[0]).get(page(edition, "edition-record")))

    assert f"{'ab' * 8}…</code>" in shown and "kind of revision" not in shown
    assert "comes out: 1 May 2027, 09:30 UTC" in shown and "returns: 4,714 unit returns" in shown


def test_every_act_that_the_office_records_has_its_words():
    """Each kind of act that the services name; one without words would be shown by its code."""
    services = "".join(path.read_text() for path in Path("cci/services").glob("*.py"))
    named = re.findall(r'"((?:edition|release|pre_release|erratum)\.[a-z_]+)"', services)

    assert len(set(named)) > 12 and set(named) <= set(ACTIONS)


def test_the_acts_are_taken_away_as_a_file(cell, closed, door):
    edition, client = edition_of(closed), door(person("auditor"))
    door(cell[0]).post(page(edition), {"decision": "propose", "digest": edition.digest})

    answer = client.get(page(edition, "edition-record"), {"as": "csv"})

    assert answer["Content-Type"].startswith("text/csv") and b"edition.propose" in answer.content


@pytest.mark.parametrize(("name", "queries"), [("edition-results", 9), ("edition-robustness", 5)])
def test_a_reading_costs_the_same_for_one_or_many(cell, closed, door, django_assert_num_queries, name, queries):
    before = edition_of(open_round(2024, state="closed"), state="published", proposed_by=cell[0], published_by=cell[1])
    edition, client = edition_of(closed), door(cell[0])
    for number in range(4):
        cluster = ClusterFactory()
        with before_publication():
            for one in (before, edition):
                Score.objects.create(
                    **{"edition": one, "cluster": cluster, "node": "CCI", "value": 50 - number, "rank": number + 1},
                    **{"rank_low": number + 1, "rank_high": number + 1},
                )
                Standing.objects.create(edition=one, cluster=cluster, is_ranked=True, band=number + 1)
        if number == 0:
            client.get(page(edition, name))
            with django_assert_num_queries(queries):
                client.get(page(edition, name))
    with django_assert_num_queries(queries):
        client.get(page(edition, name))


def test_an_auditor_reads_and_decides_nothing(cell, closed, door):
    edition, client = edition_of(closed), door(person("auditor"))

    assert b"Propose for publication" not in client.get(page(edition)).content
    assert client.post(page(edition, "edition-verify")).status_code == 403
    assert client.post(page(edition, "edition-cancel")).status_code == 403
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
    with django_assert_num_queries(9) as captured:
        client.get(reverse("cci:editions"))
    for year in (2022, 2023, 2024):
        edition_of(open_round(year, state="closed"))
    with django_assert_num_queries(len(captured)):
        client.get(reverse("cci:editions"))

"""The workspace: what waits, why and by when, and nothing else."""

from django.urls import reverse

from cci.models import Edition, Methodology
from cci.services import register_methodology
from clusters.services import propose_fact
from core.jobs.models import Job
from facts.services.review import send_back
from tests.factories import open_round, person


def home(client) -> str:
    return client.get(reverse("workspace"))


def test_an_association_finds_what_came_back_with_the_reason(town, door, submitted, words):
    ret = submitted()
    send_back(ret, by=town.supervisor, reason="Please check the scale of sales.")

    page = words(home(door(town.entry)))

    assert ret.subject in page and "Please check the scale of sales." in page
    assert f"by {town.round.closes_on:%-d %B}" in page
    assert "2 units without a return" in page


def test_the_head_finds_drafts_ready_to_certify(town, door, drafted, words):
    ret = drafted("ASSOCIATION")

    assert "Ready to certify" in words(home(door(town.head)))
    assert reverse("facts:submit", args=[ret.pk]) in words(home(door(town.head)))
    assert "Complete, for the head to certify" in words(home(door(town.entry)))


def test_an_agency_finds_schedules_to_fill_and_returns_to_review(town, door, submitted, words):
    submitted(), submitted(unit=1)

    staff, supervisor = words(home(door(town.staff))), words(home(door(town.supervisor)))

    assert f"Cluster schedule: {town.cluster.name}" in staff and "Region schedule: Punjab" in staff
    assert "To review" not in staff
    assert "2 submitted returns" in supervisor
    assert f"{reverse('facts:review')}?cluster={town.cluster.code}" in supervisor


def test_a_supervisor_finds_facts_of_colleagues_and_not_the_own(town, door, words):
    fact = {"section": "size", "label": "Firms", "value": "200", "source": "Register"}
    propose_fact(town.cluster, by=town.supervisor, **fact)
    assert "wait for a second person" not in words(home(door(town.supervisor)))

    propose_fact(town.cluster, by=town.staff, **fact)

    assert "1 proposed by a colleague." in words(home(door(town.supervisor)))


def test_an_analyst_finds_whose_turn_an_edition_is(db, door, words):
    register_methodology("1.0")
    first, second = person("analyst"), person("analyst")
    Edition.objects.create(
        round=open_round(2025, state="closed"),
        methodology=Methodology.objects.get(),
        label="2025",
        revision=0,
        state="proposed",
        proposed_by=first,
        digest="d",
    )
    Job.objects.create(kind="load_demo", key="x", state="failed", error="The worker died.")

    assert "a colleague publishes it" in words(home(door(first)))
    assert "Proposed by a colleague: publish." in words(home(door(second)))
    assert "The worker died." in words(home(door(second)))


def test_nothing_to_do_says_what_comes_next(db, door, words):
    open_round()

    assert "Nothing to do here" in words(home(door(person("viewer"))))
    assert "All done" in words(home(door(person("analyst"))))


def test_it_costs_the_same_for_one_or_many(town, door, drafted, django_assert_max_num_queries):
    client = door(town.head)
    for unit in range(3):
        drafted(unit=unit, UB01="")
    drafted("ASSOCIATION")

    with django_assert_max_num_queries(40):
        home(client)

"""What a reader is told twice is the same twice: last days, dates of a receipt, counts, the value asked about."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from clusters.models import Membership
from facts.models import Extension, Flag, Reliability, Return, Snapshot
from facts.reliability import load_rules, reliability
from facts.services.deadlines import day, last_days
from facts.services.queries import ask
from facts.services.reading import offices
from facts.services.receipts import receipt_data, receipts_of
from facts.services.standing import store_reliability
from facts.views.review import by_stake
from tests.factories import OrganisationFactory, person
from tests.villages import village

CERTIFY = "Certify and submit the association's return"


@pytest.fixture
def longer(town):
    """The day until which the cluster of the town was given more time."""
    until = town.round.closes_on + timedelta(days=17)
    Extension.objects.create(
        round=town.round, cluster=town.cluster, until=until, reason="Floods in August.", granted_by=town.supervisor
    )
    return until


# --- Last days ------------------------------------------------------------------------------------


def test_more_time_reaches_every_page_of_those_who_got_it(town, door, drafted, longer, words):
    ret = drafted()
    client = door(town.head)

    for url in (ret.get_absolute_url(), reverse("facts:returns"), reverse("workspace")):
        page = words(client.get(url))
        assert day(longer) in page, url
        assert day(town.round.closes_on) not in page, url
    assert f"by {longer:%-d %B}" in words(client.get(reverse("workspace")))


def test_others_keep_the_day_of_the_round(town, longer):
    assert last_days(town.round, [None]) == day(town.round.closes_on)
    both = f"{day(town.round.closes_on)}, with more time {day(longer)}"
    assert last_days(town.round, [None, town.cluster.pk]) == both
    assert last_days(town.round, []) == day(town.round.closes_on)


# --- The receipt ----------------------------------------------------------------------------------


def test_page_and_paper_of_a_receipt_say_the_same_days(town, door, submitted, longer, words):
    ret = submitted()

    page = words(door(town.head).get(reverse("facts:submit", args=[ret.pk])))
    paper = receipt_data(ret, receipts_of(ret)[-1], receipts_of(ret), None)

    assert all(step in page for step in paper["next"])
    assert f"{receipts_of(ret)[-1]['at']:%A %-d %B %Y, %H:%M} UTC" in page


def test_the_paper_of_an_association_names_it(town, drafted):
    ret = drafted("ASSOCIATION")

    paper = receipt_data(ret, {"number": 1, "at": timezone.now(), "digest": "0" * 16}, [], None)

    assert ("Association", town.association.name) in paper["facts"] and town.association.name in paper["title"]


def test_a_cluster_schedule_is_handed_in_by_the_agency_whatever_else_its_author_does(town, person_of_both):
    ret = Return(round=town.round, schedule="CLUSTER", subject=town.cluster.code, cluster=town.cluster)

    assert offices({person_of_both.pk}, ret)[person_of_both.pk].startswith("staff, ")


@pytest.fixture
def person_of_both(town):
    """Somebody who heads an association elsewhere and works for an agency, first the one, then the other."""
    who = person("head", OrganisationFactory())
    Membership.objects.create(user=who, organisation=OrganisationFactory(), role="staff")
    return who


# --- Counts ---------------------------------------------------------------------------------------


def test_the_complete_returns_of_the_workspace_are_those_listed_and_chosen(town, door, drafted, words):
    whole, part = drafted(unit=0), drafted(unit=1)
    Return.objects.filter(pk=whole.pk).update(answered=10, asked=10)
    Return.objects.filter(pk=part.pk).update(answered=3, asked=10)
    client = door(town.head)
    link = f"{reverse('facts:returns')}?round={town.round.year}&schedule=UNIT&state=draft&show=complete"
    assert link in words(client.get(reverse("workspace")))

    page = words(client.get(link))

    assert whole.subject in page and part.subject not in page
    assert page.count(" checked") == 1


# --- The queue ------------------------------------------------------------------------------------


def test_below_the_noise_what_carries_a_flag_stands_before_what_carries_none(town, drafted, submitted):
    units = [submitted(unit=unit) for unit in range(2)]
    association = drafted("ASSOCIATION")
    now = timezone.now()
    Return.objects.filter(pk=association.pk).update(state="submitted", version=1, submitted_at=now)
    Flag.objects.filter(ret__in=[*units, association]).delete()
    Return.objects.filter(pk=units[0].pk).update(suspicion=2.0, effect=0.01)
    Return.objects.filter(pk=association.pk).update(core_share=0.9)
    Flag.objects.create(ret=association, version=1, rule="AB01-S1", question="AB01", resolution="explained")

    order = by_stake(Return.objects.filter(pk__in=[*(u.pk for u in units), association.pk]))
    first = order.order_by("-at_stake", "-n_notes", "submitted_at", "pk").first()

    assert first == association and first.n_notes == 2 and first.at_stake == 0


# --- The value asked about ------------------------------------------------------------------------


def test_a_question_shows_the_value_it_is_about_to_those_who_may_read_it(town, door, submitted, words):
    ret = submitted(UC01=7_654_321)
    query = ask(ret, by=town.supervisor, question="UC01", text="Is the subsidy part of these sales?")
    url = reverse("facts:query", args=[query.pk])

    for reader in (town.head, town.supervisor):
        page = words(door(reader).get(url))
        assert "76,54,321" in page.replace("7,654,321", "76,54,321") and "Answer handed in" in page
    assert "Answer handed in" not in words(door(town.staff).get(url))
    assert "Is the subsidy part of these sales?" in words(door(town.head).get(reverse("workspace")))


# --- Standing -------------------------------------------------------------------------------------


def test_what_was_accepted_since_is_told_and_not_asked_again(town, door, drafted, words):
    town.cluster.code = "V"
    town.cluster.save()
    snapshot = Snapshot.objects.create(round=town.round, digest="one night", taken_at=timezone.now())
    store_reliability(snapshot, reliability(village(accepted=45), load_rules(), 2025))
    row = Reliability.objects.get(snapshot=snapshot)
    gates = [gate | {"is_passed": False} for gate in row.gates]
    step = {"key": "OG8", "who": "association", "text": CERTIFY, "detail": "", "n": 1, "points": 0, "after": 70}
    Reliability.objects.filter(pk=row.pk).update(association="", gates=gates, steps=[step], status="not_eligible")
    url = f"{reverse('facts:standing', args=['V'])}?round={town.round.year}"
    before = words(door(town.head).get(url))
    assert "accepted since" not in before and CERTIFY in before
    assert before.count("not known yet") == 7

    ret = drafted("ASSOCIATION")
    now = timezone.now()
    Return.objects.filter(pk=ret.pk).update(state="accepted", version=1, submitted_at=now, decided_at=now)

    page = words(door(town.head).get(url))
    assert "1 return was accepted since, the association’s among them; it is counted tonight." in page
    assert CERTIFY not in page
    assert page.count("not known yet") == 8

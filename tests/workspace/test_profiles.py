"""Profile facts: proposed by one, published by another, conflicting values side by side."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from clusters.models import ProfileFact
from clusters.services import decide_fact, propose_fact
from core.audit.models import Event
from core.base import Conflict, DomainError
from tests.factories import Town, person

FACT = {"section": "size", "label": "Exports", "value": "450 million USD", "year": 2025, "source": "Central bank"}


def entry(town) -> str:
    return reverse("clusters:profile", args=[town.cluster.code])


def decision(fact) -> str:
    return reverse("clusters:fact-decision", args=[fact.pk])


def test_a_fact_is_proposed_by_one_and_published_by_another(town, door, words):
    door(town.staff).post(entry(town), FACT)
    fact = ProfileFact.objects.get()
    assert (fact.state, fact.entered_by) == ("proposed", town.staff)

    door(town.supervisor).post(decision(fact), {"decision": "publish"})

    fact.refresh_from_db()
    assert (fact.state, fact.verified_by) == ("published", town.supervisor)
    assert [event.action for event in Event.objects.filter(object_type="clusters.profilefact")] == [
        "fact.propose",
        "fact.publish",
    ]


def test_who_entered_a_fact_does_not_publish_it(town, door, words):
    fact = propose_fact(town.cluster, by=town.supervisor, **FACT)

    answer = door(town.supervisor).post(decision(fact), {"decision": "publish"}, follow=True)

    fact.refresh_from_db()
    assert fact.state == "proposed"
    assert "Who entered a fact does not publish it." in words(answer)


def test_a_fact_without_source_is_refused_with_what_was_typed(town, door, words):
    page = words(door(town.staff).post(entry(town), FACT | {"source": ""}))

    assert 'value="450 million USD"' in page and 'href="#id_source"' in page
    assert not ProfileFact.objects.exists()
    with pytest.raises(ValidationError):
        propose_fact(town.cluster, by=town.staff, **(FACT | {"source": ""}))


def test_a_second_value_stands_beside_the_first(town, door, words):
    for value in ("450 million USD", "380 million USD"):
        decide_fact(
            propose_fact(town.cluster, by=town.staff, **(FACT | {"value": value})), by=town.supervisor, publish=True
        )

    page = words(door(town.staff).get(entry(town)))

    assert "450 million USD" in page and "380 million USD" in page


def test_a_declined_fact_carries_the_reason_and_is_decided_once(town):
    fact = propose_fact(town.cluster, by=town.staff, **FACT)

    decide_fact(fact, by=town.supervisor, publish=False, reason="The source says 405.")

    assert fact.note == "Declined: The source says 405."
    with pytest.raises(Conflict):
        decide_fact(fact, by=person("supervisor", town.agency), publish=True)
    with pytest.raises(DomainError):
        decide_fact(fact, by=town.staff, publish=True)


def test_a_published_fact_can_be_withdrawn_and_stays_on_record(town, door):
    fact = decide_fact(propose_fact(town.cluster, by=town.staff, **FACT), by=town.supervisor, publish=True)

    door(town.supervisor).post(decision(fact), {"decision": "withdraw"})

    fact.refresh_from_db()
    assert fact.state == "withdrawn"


def test_another_agency_reaches_neither_profile_nor_fact(town, door):
    fact, other = propose_fact(town.cluster, by=town.staff, **FACT), Town(units=1)

    assert door(other.staff).get(entry(town)).status_code == 404
    assert door(other.staff).post(entry(town), FACT).status_code == 404
    assert door(other.supervisor).post(decision(fact), {"decision": "publish"}).status_code == 404
    assert door(town.staff).post(decision(fact), {"decision": "publish"}).status_code == 403


@pytest.mark.parametrize("role", ["analyst", "auditor"])
def test_the_office_reads_profiles_and_writes_none(town, door, words, role):
    propose_fact(town.cluster, by=town.staff, **FACT)
    client = door(person(role))

    assert town.cluster.name in words(client.get(reverse("clusters:profiles")))
    page = words(client.get(entry(town)))
    assert FACT["label"] in page and "Propose a fact" not in page
    assert client.post(entry(town), FACT).status_code == 403


def test_the_list_counts_sections_with_a_published_fact(town, door, words, django_assert_num_queries):
    for section in ("size", "size", "association"):
        stated = FACT | {"section": section}
        decide_fact(propose_fact(town.cluster, by=town.staff, **stated), by=town.supervisor, publish=True)
    client = door(town.staff)

    assert "2 of 6 filled in" in words(client.get(reverse("clusters:profiles")))
    with django_assert_num_queries(4):
        client.get(reverse("clusters:profiles"))

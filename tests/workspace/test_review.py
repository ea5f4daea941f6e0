"""Review: values without names, flags in words, four eyes, and lists shown before they are accepted."""

from django.urls import reverse

from core.audit.models import Event
from facts.services.drafts import save_answers
from facts.services.reading import draft_of, notes_of
from facts.services.submission import submit
from facts.vault.store import put_identities


def page_of(ret) -> str:
    return reverse("facts:review-return", args=[ret.pk])


def test_a_review_shows_values_and_flags_but_no_name(town, door, drafted, words):
    put_identities({town.units[0].pk: {"name": "Secret Cutters", "address": "Lane 5", "registration_number": "R1"}})
    ret = drafted(UJ02=4, UB01=60, UB02=52, UB05=53)
    save_answers(ret, {}, by=town.entry, expected_revision=1, explanations={"UJ02-S1": "Books were lost in a flood."})
    submit([ret], by=town.head, certified_name="A. Person")

    page = words(door(town.supervisor).get(page_of(ret)))

    assert "9,000,000" in page
    assert "UJ02-S1" in page and "Books were lost in a flood." in page
    assert "Secret Cutters" not in page and "Lane 5" not in page
    assert Event.objects.get(action="return.open").detail == {"purpose": "review", "version": 1}


def test_a_firms_opinion_of_its_neighbours_is_shown_to_nobody(town, door, submitted, words):
    """UH05: “never shown to anyone at unit level”."""
    page = words(door(town.supervisor).get(page_of(submitted(UH05=5))))

    assert "never shown for one firm" in page
    assert "Strongly agree" not in page


def test_sending_back_needs_words_and_makes_a_draft_with_them(town, door, submitted, words):
    ret, client = submitted(), door(town.supervisor)

    assert "at least 10 characters" in words(client.post(page_of(ret), {"send_back": "1", "reason": "no"})).lower()
    client.post(page_of(ret), {"send_back": "1", "reason": "Please check the scale of sales."})

    ret.refresh_from_db()
    assert ret.state == "sent_back"
    assert notes_of(ret)[-1]["text"] == "Please check the scale of sales."
    assert draft_of(ret)["answers"]["UC01"] == 9_000_000


def test_accepting_is_one_click_and_a_second_one_is_told(town, door, submitted):
    ret, client = submitted(), door(town.supervisor)

    client.post(page_of(ret), {"accept": "1"})
    again = client.post(page_of(ret), {"accept": "1"}, follow=True)

    ret.refresh_from_db()
    assert ret.state == "accepted"
    assert b"nothing to decide" in again.content


def test_who_typed_it_in_does_not_decide(town, door, submitted, words):
    ret = submitted()
    ret.typed_by = [*ret.typed_by, town.supervisor.pk]
    ret.save()
    client = door(town.supervisor)

    assert "A colleague decides" in words(client.get(page_of(ret)))
    page = words(client.post(page_of(ret), {"accept": "1"}))

    ret.refresh_from_db()
    assert "Ask a colleague." in page
    assert ret.state == "submitted"


def test_core_answers_missing_need_a_reason(town, door, submitted, words):
    ret, client = submitted(UB02="DK"), door(town.supervisor)

    assert "To accept all the same, write why" in words(client.post(page_of(ret), {"accept": "1"}))
    client.post(page_of(ret), {"accept": "1", "override_reason": "Called back; the firm does not know."})

    ret.refresh_from_db()
    assert ret.state == "accepted"


def test_a_list_is_shown_exactly_before_it_is_accepted(town, door, submitted, words):
    first, second, third = (submitted(unit=unit) for unit in range(3))
    client, queue = door(town.supervisor), reverse("facts:review")

    page = words(client.post(queue, {"ret": [first.pk, third.pk]}))
    first.refresh_from_db()
    assert first.state == "submitted"
    assert first.subject in page and third.subject in page and second.subject not in page

    client.post(queue, {"ret": [first.pk, third.pk], "confirm": "1"})

    states = [type(ret).objects.get(pk=ret.pk).state for ret in (first, second, third)]
    assert states == ["accepted", "submitted", "accepted"]


def test_one_return_that_cannot_be_accepted_keeps_the_whole_list(town, door, submitted, words):
    first, second = submitted(), submitted(unit=1, UB02="DK")

    page = words(door(town.supervisor).post(reverse("facts:review"), {"ret": [first.pk, second.pk], "confirm": "1"}))

    first.refresh_from_db()
    assert "Nothing was accepted" in page
    assert first.state == "submitted"


def test_after_a_decision_the_next_one_follows(town, door, submitted):
    first, second = submitted(), submitted(unit=1)

    answer = door(town.supervisor).post(page_of(first), {"accept": "1"})

    assert answer.url == page_of(second)


def test_a_decided_return_is_not_opened_any_more(town, door, submitted):
    ret, client = submitted(), door(town.supervisor)
    client.post(page_of(ret), {"accept": "1"})
    openings = Event.objects.filter(action="return.open").count()

    assert client.get(page_of(ret)).url == reverse("facts:review")
    assert Event.objects.filter(action="return.open").count() == openings


def test_the_queue_costs_the_same_for_one_or_many(town, door, submitted, django_assert_num_queries):
    client = door(town.supervisor)
    submitted()
    client.get(reverse("facts:review"))
    with django_assert_num_queries(6) as captured:
        client.get(reverse("facts:review"))
    submitted(unit=1), submitted(unit=2)
    with django_assert_num_queries(len(captured)):
        client.get(reverse("facts:review"))

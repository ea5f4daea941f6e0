"""Questions on values and wishes to open again, as people meet them: who asks, who answers, what stays sealed."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from clusters.models import ClusterRole, Membership
from core.audit.models import Event
from core.base import Conflict, DomainError
from core.policy import Role
from facts.models import Query, Return, Round, UnitLink
from facts.services.queries import answer, ask, ask_again, ask_all, close, queries_of
from facts.services.review import accept, send_back
from facts.vault.models import SealedText
from facts.views.queries import notes_on_fields, thread_of
from tests.factories import OrganisationFactory, UserFactory, person

TEXT = "Is the subsidy part of these sales?"
ANSWER = "Yes, 40 lakh of it came from the ministry."


def page_of(query) -> str:
    return reverse("facts:query", args=[query.pk])


@pytest.fixture
def asked(town, submitted):
    return ask(submitted(), by=town.supervisor, question="UC01", text=TEXT)


@pytest.fixture
def link_holder(town):
    """Whoever holds the personal link of the first unit."""
    holder = UserFactory(username="link-of-unit")
    Membership.objects.create(user=holder, unit=town.units[0], role=Role.LINK)
    UnitLink.objects.create(
        round=town.round,
        unit=town.units[0],
        user=holder,
        token_digest="0" * 64,
        made_by=town.head,
        expires_at=timezone.now() + timedelta(days=1),
    )
    return holder


# --- Asking ---------------------------------------------------------------------------------------


def test_a_question_on_a_value_has_a_due_day_and_no_state_moves(town, door, submitted, words):
    ret = submitted()

    door(town.supervisor).post(
        reverse("facts:review-return", args=[ret.pk]), {"ask": "1", "question": "UC01", "text": TEXT}
    )

    query = Query.objects.get()
    assert query.due_on == timezone.localdate() + timedelta(days=14)
    assert Return.objects.get(pk=ret.pk).state == "submitted"
    event = Event.objects.get(action="query.ask")
    assert event.detail["fields"] == ["UC01"] and TEXT not in str(event.detail)
    assert TEXT.encode() not in bytes(SealedText.objects.get(place=f"query:{query.pk}").payload)


def test_no_answer_is_due_beyond_the_end_of_editing(town, submitted):
    ret, today = submitted(), timezone.localdate()
    Round.objects.filter(pk=town.round.pk).update(editing_until=today + timedelta(days=5))
    ret.round.refresh_from_db()

    assert ask(ret, by=town.supervisor, question="UC01", text=TEXT).due_on == today + timedelta(days=5)
    for due, reason in ((today + timedelta(days=6), "Editing of round"), (today - timedelta(days=1), "in the past")):
        with pytest.raises(DomainError, match=reason):
            ask(ret, by=town.supervisor, question="UC01", text=TEXT, due_on=due)
    Round.objects.filter(pk=town.round.pk).update(editing_until=today - timedelta(days=1))
    ret.round.refresh_from_db()
    with pytest.raises(DomainError, match="no question can be asked now"):
        ask(ret, by=town.supervisor, question="UC01", text=TEXT)


@pytest.mark.parametrize(
    ("question", "text", "reason"),
    [
        ("UC01", "short", "at least 10 characters"),
        ("XX99", TEXT, "no question XX99"),
        ("UH05", TEXT, "shown for no single firm"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(town, submitted, question, text, reason):
    with pytest.raises(DomainError, match=reason):
        ask(submitted(), by=town.supervisor, question=question, text=text)
    assert not Query.objects.exists()


def test_asking_on_several_is_all_or_none(town, submitted, drafted):
    with pytest.raises(Conflict, match="questions are asked on what was handed in"):
        ask_all([submitted(), drafted(unit=1)], by=town.supervisor, question="UC01", text=TEXT)
    assert not Query.objects.exists() and not SealedText.objects.exists()


# --- Answering ------------------------------------------------------------------------------------


def test_answering_takes_it_off_the_list(town, door, asked, words):
    client = door(town.entry)
    listed = reverse("facts:queries")

    assert "Total sales" in words(client.get(listed))
    short = words(client.post(page_of(asked), {"answer": "1", "text": "yes"}))
    client.post(page_of(asked), {"answer": "1", "text": ANSWER})

    assert "at least 10 characters" in short
    asked.refresh_from_db()
    assert asked.state == "answered"
    assert "Total sales" not in words(client.get(listed))
    shown = queries_of(asked.ret, for_user=town.entry)[0]
    assert [(one["by"], one["text"]) for one in shown["thread"]] == [
        (f"supervisor, {town.agency.name}", TEXT),
        ("you", ANSWER),
    ]
    reviewer = words(door(town.supervisor).get(reverse("facts:review-return", args=[asked.ret_id])))
    assert ANSWER in reviewer
    assert ANSWER.encode() not in bytes(SealedText.objects.last().payload)


def test_the_holder_of_the_link_answers_for_the_own_unit_alone(town, door, submitted, link_holder, words):
    mine = ask(submitted(), by=town.supervisor, question="UC01", text=TEXT)
    theirs = ask(submitted(unit=1), by=town.supervisor, question="UC01", text=TEXT)
    client = door(link_holder)

    client.post(page_of(mine), {"answer": "1", "text": ANSWER})

    mine.refresh_from_db()
    assert mine.state == "answered"
    assert client.get(page_of(theirs)).status_code == 404
    assert client.post(page_of(theirs), {"answer": "1", "text": ANSWER}).status_code == 404


def test_the_holder_of_the_link_is_given_the_sheet_of_the_own_unit(town, door, submitted, link_holder):
    mine, theirs = submitted(), submitted(unit=1)
    accept([mine, theirs], by=town.supervisor)
    client = door(link_holder)

    assert thread_of(mine, link_holder)["has_sheet"]
    assert client.get(reverse("facts:benchmark", args=[mine.pk])).status_code == 200
    assert client.get(reverse("facts:benchmark", args=[theirs.pk])).status_code == 404


def test_who_has_nothing_to_do_with_it_does_not_see_it(town, door, asked):
    other, agency = OrganisationFactory(), OrganisationFactory(kind="Government agency")
    ClusterRole.objects.create(cluster=town.cluster, organisation=other, role="association")

    for stranger in (person("head", other), person("supervisor", agency)):
        assert door(stranger).get(page_of(asked)).status_code == 404
    assert door(person("viewer")).get(page_of(asked)).status_code == 403
    assert door(town.staff).post(page_of(asked), {"answer": "1", "text": ANSWER}).status_code == 404
    assert door(town.entry).post(page_of(asked), {"close": "1"}).status_code == 403
    asked.refresh_from_db()
    assert asked.state == "open"


def test_a_thread_goes_on_until_it_is_closed(town, door, asked, words):
    answer(asked, by=town.entry, text=ANSWER)
    ask_again(asked, by=town.supervisor, text="Which of the two ministries, please?")
    assert Query.objects.get().state == "open"
    close(asked, by=town.supervisor)

    late = door(town.entry).post(page_of(asked), {"answer": "1", "text": "The ministry of industries."})

    assert late.status_code == 409
    assert "closed in the meantime" in words(late) and "The ministry of industries." in words(late)  # not lost
    assert len(queries_of(asked.ret)[0]["thread"]) == 3


def test_what_is_overdue_stands_apart(town, door, asked, words):
    Query.objects.filter(pk=asked.pk).update(due_on=timezone.localdate() - timedelta(days=3))

    page = words(door(town.supervisor).get(reverse("facts:queries") + "?show=overdue"))

    assert "Overdue (1)" in page and "Total sales" in page
    assert queries_of(asked.ret)[0]["is_overdue"]


def test_the_list_costs_the_same_for_one_or_many(town, door, submitted, django_assert_max_num_queries):
    client, ret = door(town.supervisor), submitted()
    ask(ret, by=town.supervisor, question="UC01", text=TEXT)
    client.get(reverse("facts:queries"))
    with django_assert_max_num_queries(11) as captured:
        client.get(reverse("facts:queries"))
    for question in ("UB01", "UB09", "UD01"):
        ask(ret, by=town.supervisor, question=question, text=TEXT)
    with django_assert_max_num_queries(len(captured)):
        client.get(reverse("facts:queries"))


# --- With the acts on the return ------------------------------------------------------------------


def test_sent_back_the_question_stays_on_its_field_and_accepting_closes_it(town, submitted):
    ret, other = submitted(), submitted(unit=1)
    query = ask(ret, by=town.supervisor, question="UC01", text=TEXT)
    done = ask(other, by=town.supervisor, question="UC01", text=TEXT)

    send_back(ret, by=town.supervisor, reason="Please look at sales.", points={"UD01": "More than all sales."})
    accept([other], by=town.supervisor)

    notes = notes_on_fields(ret, town.entry)
    assert notes["UC01"]["queries"][0]["pk"] == query.pk
    assert notes["UD01"]["points"] == ["More than all sales."]
    assert [Query.objects.get(pk=one.pk).state for one in (query, done)] == ["open", "closed"]
    assert Event.objects.get(action="return.accepted").detail["queries_closed"] == 1


def test_the_page_of_the_return_shows_each_what_is_theirs(town, asked):
    ret = asked.ret

    assert len(thread_of(ret, town.entry)["queries"]) == 1 and thread_of(ret, town.entry)["may_answer"]
    assert not thread_of(ret, town.supervisor)["may_answer"]
    assert thread_of(ret, person("auditor"))["queries"] == []
    accept([ret], by=town.supervisor)
    assert thread_of(ret, town.supervisor)["may_reopen"] and not thread_of(ret, town.entry)["may_reopen"]
    assert thread_of(ret, town.entry)["has_sheet"] and not thread_of(ret, town.supervisor)["has_sheet"]


# --- Opening again, at the door -------------------------------------------------------------------


def test_a_wish_is_made_and_granted_at_the_door(town, door, submitted, words):
    ret, analyst = submitted(), person("analyst")
    accept([ret], by=town.supervisor)
    page = reverse("facts:reopen", args=[ret.pk])
    why = "The firm found a second order book."

    short = words(door(town.supervisor).post(page, {"ask": "1", "reason": "no"}))
    door(town.supervisor).post(page, {"ask": "1", "reason": why})
    own = words(door(town.supervisor).get(page))
    theirs = words(door(analyst).get(page))
    wish = ret.reopenings.get()
    listed = words(door(analyst).get(reverse("facts:reopenings")))
    door(analyst).post(page, {"grant": "1", "wish": wish.pk})

    assert "at least 10 characters" in short
    assert "a second person decides" in own and "Open it again</button>" not in own
    assert why in theirs and "Open it again</button>" in theirs
    assert ret.subject in listed
    assert Return.objects.get(pk=ret.pk).state == "reopened"


def test_the_respondent_neither_asks_nor_decides(town, door, submitted):
    ret = submitted()
    accept([ret], by=town.supervisor)

    assert door(town.head).get(reverse("facts:reopen", args=[ret.pk])).status_code == 403


def test_words_of_a_late_decision_are_shown_again(town, door, submitted, words):
    ret, analyst = submitted(), person("analyst")
    accept([ret], by=town.supervisor)
    page = reverse("facts:reopen", args=[ret.pk])
    door(town.supervisor).post(page, {"ask": "1", "reason": "The firm found a second order book."})
    wish = ret.reopenings.get()
    door(analyst).post(page, {"decline": "1", "wish": wish.pk, "reason": "It is of another year."})

    late = door(person("analyst")).post(page, {"decline": "1", "wish": wish.pk, "reason": "I would rather not do it."})

    assert late.status_code == 409 and "I would rather not do it." in words(late)


def test_after_the_lock_the_page_says_that_a_change_is_a_revision(town, door, submitted, words):
    ret = submitted()
    accept([ret], by=town.supervisor)
    Round.objects.filter(pk=town.round.pk).update(state="closed")
    Return.objects.filter(pk=ret.pk).update(state="locked")

    page = words(door(town.supervisor).get(reverse("facts:reopen", args=[ret.pk])))

    assert "A change now is a revision" in page and "Ask to open it again</button>" not in page

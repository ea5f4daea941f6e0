"""Opening an accepted return again: two people, words sealed, nothing of the old version touched."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from core.audit.models import Event
from core.base import Conflict, DomainError
from facts.models import Flag, Reopening, Return
from facts.services.chain import chain_of
from facts.services.drafts import save_answers
from facts.services.imports import Row, save_drafts
from facts.services.reading import draft_of
from facts.services.reopening import ask_reopening, decide_reopening, words_of
from facts.services.review import accept, send_back
from facts.services.rounds import close_round, conditions
from facts.services.submission import submit
from facts.vault import store
from facts.vault.models import SealedAnswers, SealedText
from tests.factories import person
from tests.facts.valid_returns import UNIT

WHY = "The firm found a second order book (test)."


@pytest.fixture
def accepted(town):
    outcome = save_drafts(
        round_=town.round,
        schedule_code="UNIT",
        rows=[Row(town.units[0].frame_id, UNIT, "row 2")],
        by=town.entry,
        channel="file",
    )
    ret = outcome.returns[0]
    submit([ret], by=town.head, certified_name="A. Person")
    accept([ret], by=town.supervisor)
    return ret


@pytest.fixture
def analyst(town):
    return person("analyst")


def test_a_supervisor_asks_and_an_analyst_grants(town, accepted, analyst):
    Flag.objects.create(ret=accepted, version=1, rule="X01", severity="warn", question="UC01")
    sealed = SealedAnswers.objects.get(ret=accepted, number=1)

    wish = ask_reopening(accepted, by=town.supervisor, reason=WHY)
    assert Return.objects.get(pk=accepted.pk).state == "accepted"  # until a second person decides, nothing changes
    decide_reopening(wish, by=analyst, grant=True)

    accepted.refresh_from_db()
    assert accepted.state == "reopened" and accepted.is_editable
    assert draft_of(accepted)["answers"] == store.open_answers([(accepted.pk, 1)])[accepted.pk]["answers"]
    assert SealedAnswers.objects.get(ret=accepted, number=1).digest == sealed.digest
    assert Flag.objects.filter(ret=accepted, version=1).count() == 1
    assert not Return.objects.counted().filter(pk=accepted.pk).exists()


def test_mended_it_is_a_second_version_of_the_same_return(town, accepted, analyst):
    decide_reopening(ask_reopening(accepted, by=town.supervisor, reason=WHY), by=analyst, grant=True)
    accepted.refresh_from_db()
    save_answers(accepted, {"UC01": "9500000"}, by=town.entry, expected_revision=accepted.revision)
    submit([accepted], by=town.head, certified_name="A. Person")
    accept([accepted], by=town.supervisor)

    chain = chain_of(accepted)
    assert [(one["number"], one["why"], one["superseded_by"]) for one in chain] == [
        (1, "", 2),
        (2, "opened again", None),
    ]
    assert Return.objects.get(pk=accepted.pk).first_submitted_at < Return.objects.get(pk=accepted.pk).submitted_at


@pytest.mark.parametrize("role", ["analyst", "supervisor"])
def test_on_an_analysts_wish_a_supervisor_or_another_analyst_decides(town, accepted, analyst, role):
    decider = person("analyst") if role == "analyst" else person("supervisor", town.agency)

    decide_reopening(ask_reopening(accepted, by=analyst, reason=WHY), by=decider, grant=True)

    assert Return.objects.get(pk=accepted.pk).state == "reopened"


def test_nobody_decides_on_the_own_wish_nor_a_supervisor_on_a_supervisors(town, accepted, analyst):
    wish = ask_reopening(accepted, by=town.supervisor, reason=WHY)

    with pytest.raises(DomainError, match="a second person decides"):
        decide_reopening(wish, by=town.supervisor, grant=True)
    with pytest.raises(DomainError, match="an analyst of the cluster cell decides"):
        decide_reopening(wish, by=person("supervisor", town.agency), grant=True)
    with pytest.raises(IntegrityError), transaction.atomic():  # the database holds it too
        Reopening.objects.filter(pk=wish.pk).update(decided_by=town.supervisor, decided_at=timezone.now())

    assert Return.objects.get(pk=accepted.pk).state == "accepted"


def test_who_typed_in_it_does_not_decide(town, accepted, analyst):
    Return.objects.filter(pk=accepted.pk).update(typed_by=[*accepted.typed_by, analyst.pk])
    accepted.refresh_from_db()

    with pytest.raises(DomainError, match="Ask a colleague"):
        decide_reopening(ask_reopening(accepted, by=town.supervisor, reason=WHY), by=analyst, grant=True)


def test_declining_needs_words_and_they_are_kept(town, accepted, analyst):
    wish = ask_reopening(accepted, by=town.supervisor, reason=WHY)

    with pytest.raises(DomainError, match="Say why"):
        decide_reopening(wish, by=analyst, grant=False)
    decide_reopening(wish, by=analyst, grant=False, words="The order book is of another year.")

    assert Return.objects.get(pk=accepted.pk).state == "accepted"
    assert [one["text"] for one in words_of([wish])[wish.pk]] == [WHY, "The order book is of another year."]
    again = ask_reopening(accepted, by=town.supervisor, reason=WHY)  # a new wish may follow
    assert again.pk != wish.pk


def test_of_two_wishes_and_of_two_decisions_one_counts(town, accepted, analyst):
    wish = ask_reopening(accepted, by=town.supervisor, reason=WHY)
    with pytest.raises(Conflict, match="asked for this already"):
        ask_reopening(accepted, by=analyst, reason=WHY)
    stale = Reopening.objects.select_related("ret", "asked_by").get(pk=wish.pk)
    decide_reopening(wish, by=analyst, grant=False, words="The order book is of another year.")

    with pytest.raises(Conflict, match="decided on this in the meantime"):
        decide_reopening(stale, by=person("analyst"), grant=True)

    assert Return.objects.get(pk=accepted.pk).state == "accepted"


@pytest.mark.parametrize("reason", ["", "  short  ", "123456789 "])
def test_a_wish_needs_a_reason(town, accepted, reason):
    with pytest.raises(DomainError, match="at least 10 characters"):
        ask_reopening(accepted, by=town.supervisor, reason=reason)


def test_only_what_is_accepted_is_opened(town, accepted, analyst):
    decide_reopening(ask_reopening(accepted, by=town.supervisor, reason=WHY), by=analyst, grant=True)

    with pytest.raises(DomainError, match="this one is reopened"):
        ask_reopening(accepted, by=town.supervisor, reason=WHY)


def test_after_the_round_is_closed_a_change_is_a_revision(town, accepted, analyst):
    wish = ask_reopening(accepted, by=town.supervisor, reason=WHY)
    type(town.round).objects.filter(pk=town.round.pk).update(state="closed")
    Return.objects.filter(pk=accepted.pk).update(state="locked")

    with pytest.raises(DomainError, match="A change now is a revision"):
        ask_reopening(accepted, by=analyst, reason=WHY)
    with pytest.raises(DomainError, match="A change now is a revision"):
        decide_reopening(wish, by=analyst, grant=True)


def test_the_reason_lies_sealed_and_in_no_event(town, accepted, analyst):
    wish = ask_reopening(accepted, by=town.supervisor, reason=WHY)

    assert WHY.encode() not in bytes(SealedText.objects.get(place=f"reopening:{wish.pk}").payload)
    assert not any(WHY in str(detail) for detail in Event.objects.values_list("detail", flat=True))


def test_what_was_accepted_counts_where_the_round_closes_before_anything_new_was_handed_in(town, accepted, analyst):
    Flag.objects.create(ret=accepted, version=1, rule="X01", severity="warn", question="UC01")
    decide_reopening(ask_reopening(accepted, by=town.supervisor, reason=WHY), by=analyst, grant=True)
    accepted.refresh_from_db()
    save_answers(accepted, {"UC06": "90000"}, by=town.entry, expected_revision=accepted.revision)
    assert "Opened again and not handed in anew: 1." in " ".join(one["text"] for one in conditions(town.round))

    close_round(town.round, by=analyst)

    accepted.refresh_from_db()
    assert (accepted.state, accepted.version) == ("locked", 1)
    assert Return.objects.counted().filter(pk=accepted.pk).exists()
    assert Event.objects.get(action="return.stands").detail == {"was": "reopened", "version": 1}
    assert Flag.objects.filter(ret=accepted, version=1).exists() and Reopening.objects.get().state == "granted"


def test_what_came_back_after_a_new_version_is_counted_in_words_and_stays(town, accepted, analyst):
    decide_reopening(ask_reopening(accepted, by=town.supervisor, reason=WHY), by=analyst, grant=True)
    accepted.refresh_from_db()
    submit([accepted], by=town.head, certified_name="A. Person")
    send_back(accepted, by=town.supervisor, reason="Please look at sales again.")
    assert "handed in anew and sent back: 1." in " ".join(one["text"] for one in conditions(town.round))

    close_round(town.round, by=analyst)

    accepted.refresh_from_db()
    assert (accepted.state, accepted.version) == ("sent_back", 2)
    assert not Event.objects.filter(action="return.stands").exists()


def test_a_return_never_accepted_stays_sent_back(town, analyst):
    rows = [Row(town.units[0].frame_id, UNIT, "row 2")]
    ret = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="file").returns[0]
    submit([ret], by=town.head, certified_name="A. Person")
    send_back(ret, by=town.supervisor, reason="Please look at sales again.")
    assert not any("pened again" in one["text"] for one in conditions(town.round))

    close_round(town.round, by=analyst)

    ret.refresh_from_db()
    assert ret.state == "sent_back"

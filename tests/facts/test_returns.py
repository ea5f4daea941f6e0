"""The life of a return: nothing is lost, nobody decides on their own work, a sealed version never changes."""

import datetime as dt

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from core.audit.models import Event
from core.base import Conflict, DomainError
from core.jobs.models import Job
from facts.models import Flag, Return, Round
from facts.services import checking
from facts.services.contexts import payloads
from facts.services.drafts import explain, save_answers
from facts.services.imports import Row, save_drafts
from facts.services.review import accept, send_back, start_review
from facts.services.rounds import close_round
from facts.services.submission import NotSubmittable, submit
from facts.vault.models import SealedAnswers
from facts.vault.store import open_answers
from tests.factories import UnitFactory, seen_by_checks
from tests.facts.valid_returns import UNIT


def draft(town, answers=UNIT, unit=0, **changes) -> Return:
    row = Row(town.units[unit].frame_id, {**answers, **changes}, "row 2")
    outcome = save_drafts(
        round_=town.round, schedule_code="UNIT", rows=[row], by=town.entry, channel="file", keep_failing=True
    )
    assert not outcome.refused, [str(p) for p in outcome.refused]
    return outcome.returns[0]


def test_from_draft_to_accepted(town):
    ret = draft(town)

    receipt = submit([ret], by=town.head, certified_name="A. Person")[ret.pk]
    start_review(ret, by=town.supervisor)
    accept([ret], by=town.supervisor)

    ret.refresh_from_db()
    assert (ret.state, ret.version, ret.certified_name) == ("accepted", 1, "A. Person")
    assert SealedAnswers.objects.get(ret=ret, number=1).digest == receipt
    assert open_answers([(ret.pk, 1)])[ret.pk]["answers"]["UB01"] == 20
    steps = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk))
    assert [e.action for e in steps] == ["return.import", "return.submit", "return.in_review", "return.accepted"]


def test_the_audit_names_fields_and_never_values(town):
    ret = draft(town, UC01=8_765_432)
    save_answers(ret, {"UC01": "8765433"}, by=town.entry, expected_revision=ret.revision)

    assert not [e for e in Event.objects.all() if "876543" in str(e.detail)]
    assert Event.objects.get(action="return.save").detail["fields"] == ["UC01"]


def test_no_answer_lies_readable_in_the_database(town):
    draft(town, UC01=8_765_432)

    assert b"8765432" not in bytes(SealedAnswers.objects.get().payload)


def test_a_hard_failure_cannot_be_submitted_and_is_not_lost(town):
    ret = draft(town, UB01=21)

    with pytest.raises(NotSubmittable) as refusal:
        submit([ret], by=town.head, certified_name="A. Person")

    assert {problem.rule for problem in refusal.value.problems[ret.pk]} == {"UB01-H2", "UB01-H3"}
    ret.refresh_from_db()
    assert (ret.state, ret.version) == ("draft", 0)
    assert payloads([ret])[ret.pk]["answers"]["UB01"] == 21


def test_a_warning_needs_an_explanation(town):
    ret = draft(town, UE04=120)

    with pytest.raises(NotSubmittable):
        submit([ret], by=town.head, certified_name="A. Person")
    save_answers(
        ret,
        {},
        by=town.entry,
        expected_revision=ret.revision,
        explanations={"UE04-S1": "Three shifts all through autumn"},
    )
    submit([ret], by=town.head, certified_name="A. Person")

    assert Flag.objects.get(ret=ret, rule="UE04-S1").resolution == "explained"


def test_one_bad_value_does_not_lose_the_others(town):
    ret = draft(town)

    saved = save_answers(ret, {"UB07": "5", "UC01": "about 9 million"}, by=town.entry, expected_revision=ret.revision)

    assert [problem.question for problem in saved.refused] == ["UC01"]
    answers = payloads([ret])[ret.pk]["answers"]
    assert (answers["UB07"], answers["UC01"]) == (5, 9_000_000)


def test_of_two_people_saving_the_second_is_told_with_both_values(town):
    ret, same = draft(town), Return.objects.get()
    save_answers(ret, {"UB07": "6"}, by=town.entry, expected_revision=same.revision)

    with pytest.raises(Conflict) as conflict:
        save_answers(same, {"UB07": "7"}, by=town.head, expected_revision=same.revision)

    assert conflict.value.current["answers"]["UB07"] == 6
    assert payloads([ret])[ret.pk]["answers"]["UB07"] == 6


def test_money_is_typed_in_the_returns_scale(town):
    ret = draft(town)

    save_answers(ret, {"UC01": "90"}, by=town.entry, expected_revision=ret.revision, scale=100_000)

    assert payloads([ret])[ret.pk]["answers"]["UC01"] == 9_000_000


def test_nobody_decides_on_their_own_work(town):
    ret = draft(town)
    submit([ret], by=town.head, certified_name="A. Person")

    for own in (town.entry, town.head):
        with pytest.raises(DomainError, match="does not decide"):
            accept([ret], by=own)


def test_a_refused_core_answer_needs_a_reason_to_be_accepted(town):
    answers = {**UNIT, "UB07": 4}
    del answers["UE01"]
    ret = draft(town, answers, UE01="REF")
    submit([ret], by=town.head, certified_name="A. Person")

    with pytest.raises(DomainError, match="write why"):
        accept([ret], by=town.supervisor)
    accept([ret], by=town.supervisor, override_reason="Called twice; the owner will not say.")


def test_a_return_sent_back_is_a_draft_again_with_every_version_kept(town):
    ret = draft(town)
    submit([ret], by=town.head, certified_name="A. Person")

    send_back(ret, by=town.supervisor, reason="Please look at sales again.")
    save_answers(ret, {"UC06": "90000"}, by=town.entry, expected_revision=ret.revision)
    submit([ret], by=town.head, certified_name="A. Person")

    versions = SealedAnswers.objects.filter(ret=ret, number__gt=0)
    assert sorted(versions.values_list("number", flat=True)) == [1, 2]
    assert open_answers([(ret.pk, 1)])[ret.pk]["answers"]["UC06"] == 100_000
    ret.refresh_from_db()
    assert ret.first_submitted_at < ret.submitted_at


def test_a_submitted_version_cannot_be_changed_or_deleted(town):
    ret = draft(town)
    submit([ret], by=town.head, certified_name="A. Person")

    for sql in (
        "UPDATE vault_sealedanswers SET digest = 'x' WHERE number = 1",
        "DELETE FROM vault_sealedanswers WHERE number = 1",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)


def test_a_moved_payload_does_not_open(town):
    one, two = draft(town), draft(town, unit=1)
    row = SealedAnswers.objects.get(ret=one)
    SealedAnswers.objects.filter(ret=two).update(payload=row.payload)

    with pytest.raises(DomainError, match="changed or moved"):
        open_answers([(two.pk, 0)])


def test_an_accepted_return_cannot_be_edited(town):
    ret = draft(town)
    submit([ret], by=town.head, certified_name="A. Person")
    accept([ret], by=town.supervisor)

    with pytest.raises(DomainError, match="no longer be changed"):
        save_answers(ret, {"UB07": "5"}, by=town.entry, expected_revision=ret.revision)


def test_submitting_many_is_all_or_nothing(town):
    good, bad = draft(town), draft(town, unit=1, UB01=21)

    with pytest.raises(NotSubmittable):
        submit([good, bad], by=town.head, certified_name="A. Person")

    assert set(Return.objects.values_list("state", flat=True)) == {"draft"}


def test_ten_returns_cost_no_more_queries_than_two(town, django_assert_max_num_queries):
    town.units += [UnitFactory(cluster=town.cluster) for _ in range(7)]
    returns = [draft(town, unit=number) for number in range(10)]
    with django_assert_max_num_queries(40):
        submit(returns, by=town.head, certified_name="A. Person")
    seen_by_checks(*returns)
    with django_assert_max_num_queries(20):
        accept(returns, by=town.supervisor)


def test_what_no_check_has_seen_is_checked_before_it_is_accepted(town):
    """No worker is there: accepting checks the small cluster itself, and what speaks then stops it."""
    first, second = draft(town), draft(town, unit=1)  # two equal returns
    submit([first, second], by=town.head, certified_name="A. Person")

    with pytest.raises(DomainError, match="critical flag"):
        accept([first], by=town.supervisor)

    assert set(Return.objects.values_list("state", "checked_version")) == {("submitted", 1)}
    assert Flag.objects.filter(ret=first, rule="X09", severity="critical").exists()


def test_a_version_that_no_check_has_seen_needs_a_reason(town):
    returns = [draft(town), draft(town, unit=1)]
    submit(returns, by=town.head, certified_name="A. Person")
    Job.objects.update(state="running", attempt=1, lease_until=timezone.now() + dt.timedelta(minutes=5))  # a worker's

    with pytest.raises(DomainError, match="The checks of this version are still running; try again in a moment"):
        accept(returns[:1], by=town.supervisor)
    with pytest.raises(DomainError, match="The checks of 2 of these 2 returns are still running"):
        accept(returns, by=town.supervisor)
    accept(returns[:1], by=town.supervisor, override_reason="Seen the books at the works.")

    assert Return.objects.get(pk=returns[0].pk).state == "accepted"
    assert Event.objects.get(action="return.accepted").detail["unchecked_override"] is True


def test_a_large_cluster_is_left_to_the_worker(town, monkeypatch):
    monkeypatch.setattr(checking, "AT_ONCE", 1)
    returns = [draft(town), draft(town, unit=1)]
    submit(returns, by=town.head, certified_name="A. Person")

    with pytest.raises(DomainError, match="still running"):
        accept(returns[:1], by=town.supervisor)


def test_a_version_that_nobody_looked_at_is_not_accepted(town):
    ret = draft(town)
    submit([ret], by=town.head, certified_name="A. Person")
    seen = Return.objects.get(pk=ret.pk)
    send_back(ret, by=town.supervisor, reason="Please look at sales again.")
    save_answers(ret, {"UC06": "90000"}, by=town.entry, expected_revision=ret.revision)
    submit([ret], by=town.head, certified_name="A. Person")

    with pytest.raises(Conflict, match="newer version"):
        accept([seen], by=town.supervisor)


def test_answers_that_nobody_asked_for_are_not_handed_in(town):
    ret = draft(town, UF02=0, UF03=99)
    explain([ret], {ret.pk: {"UF03-route": "It was typed by mistake."}})

    submit([ret], by=town.head, certified_name="A. Person")

    assert "UF03" not in open_answers([(ret.pk, 1)])[ret.pk]["answers"]
    assert open_answers([(ret.pk, 0)])[ret.pk]["answers"]["UF03"] == 99


def test_a_round_that_was_closed_meanwhile_takes_no_submission_and_no_decision(town):
    one, two = draft(town), draft(town, unit=1)
    submit([one], by=town.head, certified_name="A. Person")
    close_round(Round.objects.get(pk=town.round.pk), by=town.staff)

    with pytest.raises(DomainError, match="is closed"):
        submit([two], by=town.head, certified_name="A. Person")
    with pytest.raises(DomainError, match="is closed"):
        accept([one], by=town.supervisor)

"""Rounds: the calendar, two people, the frozen frame, who collects, until when, and whom a message reaches."""

import datetime as dt

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.models import ClusterRole
from core import policy
from core.audit.models import Event
from core.base import DomainError
from core.jobs import ledger
from core.jobs.models import Job
from facts.models import Collector, Extension, FrameEntry, Invitation, Return, Round
from facts.services import collectors, frames, invitations, minutes, rounds
from facts.services.board import board
from facts.services.deadlines import lock_reason, today_there
from facts.services.drafts import save_answers
from facts.services.imports import Row, save_drafts
from facts.services.instruments import register_instrument
from facts.services.review import accept, send_back
from facts.services.submission import submit
from tests.factories import ClusterFactory, OrganisationFactory, Town, UnitFactory, open_round, person, seen_by_checks
from tests.facts.valid_returns import UNIT

REASON = "The strike kept the offices closed."


@pytest.fixture
def analysts(db):
    return person("analyst"), person("analyst")


@pytest.fixture
def today(db) -> dt.date:
    return timezone.localdate()


def draft(town, unit=0, by=None, **changes) -> Return:
    rows = [Row(town.units[unit].frame_id, {**UNIT, **changes}, "row 2")]
    outcome = save_drafts(
        round_=town.round, schedule_code="UNIT", rows=rows, by=by or town.entry, channel="web", keep_failing=True
    )
    assert not outcome.refused, [str(one) for one in outcome.refused]
    return Return.objects.select_related("round__instrument", "cluster__country").get(pk=outcome.returns[0].pk)


def past(town, days=1, **more):
    """Let the round's collection have ended some days ago."""
    Round.objects.filter(pk=town.round.pk).update(closes_on=timezone.localdate() - dt.timedelta(days=days), **more)
    town.round.refresh_from_db()


# --- Calendar -----------------------------------------------------------------------------------


def test_the_usual_calendar_is_that_of_the_framework(analysts):
    register_instrument("1.0")

    round_ = rounds.plan_round(2031, by=analysts[0])

    assert [getattr(round_, field).isoformat() for field, _, _ in rounds.CALENDAR] == [
        "2031-08-31",
        "2031-09-01",
        "2031-11-30",
        "2031-12-31",
        "2032-01-31",
        "2032-02-29",
        "2032-03-31",
    ]
    with pytest.raises(DomainError, match="there already; it is planned"):
        rounds.plan_round(2031, by=analysts[0])
    with pytest.raises(DomainError, match="from 2000 to 2100"):
        rounds.plan_round(0, by=analysts[0])


def test_days_move_with_a_reason_in_order_and_only_while_planned(analysts):
    register_instrument("1.0")
    round_ = rounds.plan_round(2031, by=analysts[0])
    later = {"closes_on": dt.date(2031, 12, 15)}

    with pytest.raises(DomainError, match="at least 10"):
        rounds.change_dates(round_, later, by=analysts[0], reason="late")
    with pytest.raises(DomainError, match="“Editing, call-backs and back-checks end” .* lies before “Collection ends”"):
        rounds.change_dates(round_, {"closes_on": dt.date(2032, 1, 15)}, by=analysts[0], reason=REASON)
    rounds.change_dates(round_, later, by=analysts[0], reason=REASON)
    round_.refresh_from_db()
    assert round_.closes_on == dt.date(2031, 12, 15)
    assert Event.objects.get(action="round.edit").detail["fields"] == ["closes_on"]

    Round.objects.filter(pk=round_.pk).update(state="open")
    with pytest.raises(DomainError, match="is open: its days stand"):
        rounds.change_dates(round_, {"closes_on": dt.date(2031, 12, 20)}, by=analysts[0], reason=REASON)


def test_a_round_opens_when_its_conditions_are_met_and_says_which_are_not(analysts, today):
    register_instrument("1.0")
    round_ = rounds.plan_round(today.year + 2, by=analysts[0])

    with pytest.raises(DomainError, match="frame is frozen: two analysts.*day of opening has come"):
        rounds.open_round(round_, by=analysts[0])

    UnitFactory()
    Round.objects.filter(pk=round_.pk).update(opens_on=today)
    rounds.propose_act(round_, "freeze", by=analysts[0])
    rounds.confirm_act(round_, "freeze", by=analysts[1])
    assert rounds.open_round(round_, by=analysts[0]).state == "open"


def test_freezing_and_closing_take_two_analysts(town, analysts):
    first, second = analysts
    ret = draft(town)
    submit([ret], by=town.head, certified_name="A. Person")
    accept([ret], by=town.supervisor)

    with pytest.raises(DomainError, match="not proposed any more"):
        rounds.confirm_act(town.round, "close", by=second)
    rounds.propose_act(town.round, "close", by=first)
    with pytest.raises(DomainError, match="Ask a colleague"):
        rounds.confirm_act(town.round, "close", by=first)
    with pytest.raises(DomainError, match="already proposed to close the round"):
        rounds.propose_act(town.round, "close", by=second)
    assert rounds.confirm_act(town.round, "close", by=second) == 1

    town.round.refresh_from_db()
    assert (town.round.state, town.round.proposed_act, town.round.proposed_by) == ("closed", "", None)
    ret.refresh_from_db()
    assert ret.state == "locked"
    acts = Event.objects.filter(action__in=["round.propose", "round.close"]).order_by("seq")
    acts = acts.values_list("action", "actor")
    assert list(acts) == [("round.propose", first.pk), ("round.close", second.pk)]
    with pytest.raises(DomainError, match="only an open round can be closed"):
        rounds.propose_act(town.round, "close", by=first)


# --- Frame and sample -----------------------------------------------------------------------------


@pytest.fixture
def followed(town, analysts):
    """A town with two units accepted in round 2026, one of them closed for good; round 2027 is planned."""
    rows = [Row(town.units[1].frame_id, {"UA01": 4, "UJ03": 1}, "row 2")]
    gone = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="web").returns[0]
    returns = [draft(town), fresh(gone)]
    submit(returns, by=town.head, certified_name="A. Person")
    accept(returns, by=town.supervisor)
    town.next = rounds.plan_round(2027, by=analysts[0])
    return town


def test_a_frame_keeps_who_is_alive_with_the_size_last_accepted(followed, analysts):
    newcomer = UnitFactory(cluster=followed.cluster, member=True)

    assert frames.freeze_frame(followed.next, by=analysts[0]) == 3

    entries = {entry.unit_id: entry for entry in FrameEntry.objects.filter(round=followed.next)}
    assert followed.units[1].pk not in entries  # closed for good
    answered, silent = entries[followed.units[0].pk], entries[followed.units[2].pk]
    assert (answered.size, answered.prior_employment) == (2, UNIT["UB01"])
    assert (silent.size, silent.prior_employment) == (1, 5)
    assert (entries[newcomer.pk].member, entries[newcomer.pk].prior_employment) == (True, 1)
    followed.next.refresh_from_db()
    assert followed.next.frame_frozen_on == today_there(followed.next.pk)


def test_a_second_freeze_is_refused_and_later_units_wait_for_the_next_round(followed, analysts):
    frames.freeze_frame(followed.next, by=analysts[0])
    UnitFactory(cluster=followed.cluster)

    with pytest.raises(DomainError, match="frozen already. What happens now enters the next round"):
        frames.freeze_frame(followed.next, by=analysts[0])
    assert FrameEntry.objects.filter(round=followed.next).count() == 2
    with pytest.raises(DomainError, match="is open; a frame is frozen while a round is planned"):
        frames.freeze_frame(followed.round, by=analysts[0])


def test_a_large_cluster_is_sampled_and_a_small_one_asked_whole(analysts):
    register_instrument("1.0")
    large, small = ClusterFactory(), ClusterFactory()
    units = [UnitFactory(cluster=large) for _ in range(150)] + [UnitFactory(cluster=small) for _ in range(5)]
    round_ = rounds.plan_round(2031, by=analysts[0])
    frames.freeze_frame(round_, by=analysts[0])
    FrameEntry.objects.filter(round=round_, unit__in=units[:4]).update(size=4)

    assert frames.draw_samples(round_, by=analysts[0], expected_response=1.0) == 1

    entries = FrameEntry.objects.filter(round=round_, cluster=large)
    drawn = entries.filter(drawn=True)
    assert drawn.count() == 4 + 59  # 97.4 / (1 + 97.4/146), and all of the large ones
    assert sum(drawn.values_list("design_weight", flat=True)) == pytest.approx(150)
    assert set(entries.filter(drawn=False).values_list("design_weight", flat=True)) == {0.0}
    assert not FrameEntry.objects.filter(round=round_, cluster=small, drawn=False).exists()
    outcome = frames.draw_sample(round_, small, by=analysts[0])
    assert (outcome["units"], outcome["drawn"]) == (5, 5)
    first = set(drawn.values_list("unit", flat=True))
    frames.draw_samples(round_, by=analysts[0], expected_response=1.0)
    assert set(drawn.values_list("unit", flat=True)) == first  # the seed is the round's and the cluster's


def test_a_unit_that_was_not_drawn_is_not_asked(town):
    FrameEntry.objects.filter(round=town.round, unit=town.units[0]).update(drawn=False)
    rows = [Row(town.units[0].frame_id, {"UA01": 1}, "row 2")]

    outcome = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="file")

    assert "not in the sample of round 2026" in str(outcome.refused[0])


# --- Who collects ---------------------------------------------------------------------------------


@pytest.fixture
def institute(db):
    """A research institute with its people, which collects nowhere yet."""
    organisation = OrganisationFactory(kind="Research institute", name="Institute")
    organisation.entry, organisation.head = person("entry", organisation), person("head", organisation)
    return organisation


def begins(town, by, unit=0) -> bool:
    rows = [Row(town.units[unit].frame_id, {"UA01": 1}, "row 2")]
    outcome = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=by, channel="web")
    return not outcome.refused


def test_the_association_collects_until_somebody_is_appointed(town, institute):
    assert collectors.collectors_of(town.round) == {town.cluster.pk: town.association}
    assert begins(town, town.entry) and not begins(town, institute.entry, 1)

    collectors.appoint(town.round, town.cluster, institute, by=town.supervisor, reason="It visits every workshop.")

    assert collectors.collectors_of(town.round) == {town.cluster.pk: institute}
    assert begins(town, institute.entry, 1) and not begins(town, town.entry, 2)
    next_round = open_round(2030)
    assert collectors.clusters_to_collect(institute.entry, next_round) == {}
    assert collectors.clusters_to_collect(town.entry, next_round) == {town.cluster.pk: town.association.pk}


def test_drafts_pass_on_with_the_work_and_what_was_handed_in_stays(town, institute):
    begun, handed = draft(town), draft(town, 1)
    submit([handed], by=town.head, certified_name="A. Person")

    assert collectors.appoint(town.round, town.cluster, institute, by=town.supervisor, reason=REASON) == 1

    begun.refresh_from_db(), handed.refresh_from_db()
    assert (begun.collector, handed.collector) == (institute, town.association)
    for user, ret, values in (
        (town.entry, begun, False),
        (institute.entry, begun, True),
        (town.entry, handed, True),
        (institute.entry, handed, False),
    ):
        assert policy.allowed(user, "return.read_draft", ret) == values
        assert policy.allowed(user, "return.read", ret)  # that it is there, and its state, both may see
    assert Event.objects.filter(action="return.passed_on", object_id=str(begun.pk)).exists()


def test_what_only_field_staff_may_say_the_appointed_say_in_that_round(town, institute):
    def says(user, code, round_=None):
        rows = [Row(town.units[0].frame_id, {"UA01": code}, "row 2")]
        outcome = save_drafts(
            round_=round_ or town.round, schedule_code="UNIT", rows=rows, by=user, channel="field", keep_failing=True
        )
        return [one.problem.rule for one in outcome.refused]

    assert says(town.entry, 7) == ["UA01-staff"]
    collectors.appoint(town.round, town.cluster, institute, by=town.supervisor, reason=REASON)
    assert says(institute.entry, 7) == []
    assert says(institute.entry, 7, open_round(2030)) == ["respondent-known"]


def test_an_appointment_ends_and_leaves_no_right_behind(town, institute):
    collectors.appoint(town.round, town.cluster, institute, by=town.supervisor, reason=REASON)
    begins(town, institute.entry)

    assert collectors.withdraw(town.round, town.cluster, by=town.supervisor, reason=REASON) == 1

    assert not Collector.objects.exists()
    assert not ClusterRole.objects.filter(organisation=institute).exists()
    assert begins(town, town.entry, 1) and not begins(town, institute.entry, 2)
    assert Return.objects.get(unit=town.units[0]).collector == town.association
    with pytest.raises(DomainError, match="its association collects"):
        collectors.withdraw(town.round, town.cluster, by=town.supervisor, reason=REASON)
    rounds.close_round(town.round, by=person("analyst"))
    with pytest.raises(DomainError, match="is closed; nobody collects"):
        collectors.appoint(town.round, town.cluster, institute, by=town.supervisor, reason=REASON)


# --- Deadlines -----------------------------------------------------------------------------------------


def test_a_draft_is_taken_until_the_last_day_and_then_says_when_it_was(town):
    ret = draft(town)
    past(town, days=0)
    assert lock_reason(Return.objects.get(pk=ret.pk)) == ""  # the last day itself counts

    past(town)

    ret = Return.objects.select_related("round__instrument", "cluster__country").get(pk=ret.pk)
    ended = town.round.closes_on
    assert f"Collection for {town.cluster.name} ended on {ended:%-d %B %Y}." in lock_reason(ret)
    for act in (
        lambda: save_answers(ret, {"UB08": "3"}, by=town.entry, expected_revision=ret.revision),
        lambda: submit([ret], by=town.head, certified_name="A. Person"),
    ):
        with pytest.raises(DomainError, match="ended on"):
            act()
    rows = [Row(town.units[1].frame_id, {"UA01": 1}, "row 2")]
    outcome = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="file")
    assert [one.problem.rule for one in outcome.refused] == ["round-open"]


def test_more_time_opens_one_cluster_and_its_end_is_named_too(town, today):
    other = Town(units=1)
    ret, theirs = draft(town), draft(other)
    past(town, days=3)
    until = today + dt.timedelta(days=5)

    with pytest.raises(DomainError, match="at least 10"):
        invitations.extend(town.round, town.cluster, until=until, reason="please", by=town.supervisor)
    with pytest.raises(DomainError, match="has time until .* already"):
        invitations.extend(
            town.round, town.cluster, until=today - dt.timedelta(days=5), reason=REASON, by=town.supervisor
        )
    invitations.extend(town.round, town.cluster, until=until, reason=REASON, by=town.supervisor)

    assert lock_reason(fresh(ret)) == ""
    assert "ended on" in lock_reason(fresh(theirs))
    Extension.objects.update(until=today - dt.timedelta(days=1))
    closed = town.round.closes_on
    assert f"the day to which it was extended from {closed:%-d %B %Y}" in lock_reason(fresh(ret))


def fresh(ret: Return) -> Return:
    return Return.objects.select_related("round__instrument", "cluster__country").get(pk=ret.pk)


def test_what_was_sent_back_may_be_mended_until_editing_ends(town, today):
    ret = draft(town)
    submit([ret], by=town.head, certified_name="A. Person")
    past(town, days=2, editing_until=today + dt.timedelta(days=1))
    send_back(fresh(ret), by=town.supervisor, reason="Please look at sales again.")

    ret = fresh(ret)
    assert lock_reason(ret) == ""
    save_answers(ret, {"UB08": "3"}, by=town.entry, expected_revision=ret.revision)
    submit([ret], by=town.head, certified_name="A. Person")  # review goes on, and so does handing in again
    send_back(fresh(ret), by=town.supervisor, reason="Please look at sales again.")

    past(town, days=5, editing_until=today - dt.timedelta(days=1))
    assert "could be mended until" in lock_reason(fresh(ret))


def test_a_lock_names_its_cause(town, analysts):
    ret = draft(town)
    submit([ret], by=town.head, certified_name="A. Person")
    assert "waits for a decision" in lock_reason(fresh(ret))
    accept([fresh(ret)], by=town.supervisor)
    assert "ask the agency to reopen it" in lock_reason(fresh(ret))
    other = draft(town, 1)
    rounds.close_round(town.round, by=analysts[0])
    assert "Round 2026 is closed. Its collection ended on" in lock_reason(fresh(other))
    Round.objects.filter(pk=town.round.pk).update(state="planned")
    assert "is planned and opens on" in lock_reason(fresh(other))


def test_a_retry_after_the_last_day_finds_the_receipt_of_the_first(town):
    ret = draft(town)
    stale = fresh(ret)
    receipt = submit([ret], by=town.head, certified_name="A. Person")
    past(town)
    stale.state, stale.version, stale.submitted_at = ret.state, ret.version, ret.submitted_at

    assert submit([stale], by=town.head, certified_name="A. Person") == receipt


def test_reasons_of_many_cost_as_many_queries_as_of_one(town):
    from facts.services.deadlines import lock_reasons

    towns = [Town(units=1) for _ in range(5)]
    returns = [draft(one) for one in towns]
    past(town)

    def cost(some):
        with CaptureQueriesContext(connection) as queries:
            assert len(lock_reasons(some)) == len(some)
        return len(queries)

    every = [fresh(ret) for ret in returns]
    assert cost(every[:1]) == cost(every) <= 4


# --- Messages ----------------------------------------------------------------------------------------


@pytest.fixture
def reachable(town):
    """The town with addresses, and enough returns of last year to tell how long they took."""
    for user, name in ((town.entry, "entry"), (town.head, "head")):
        user.email = f"{name}@example.org"
        user.save()
    before = open_round(2025, state="closed")
    for n in range(minutes.LEAST):
        unit = UnitFactory(cluster=town.cluster)
        Return.objects.create(
            round=before,
            schedule="UNIT",
            subject=unit.frame_id,
            unit=unit,
            cluster=town.cluster,
            state="locked",
            version=1,
            submitted_at=timezone.now(),
            minutes=20 + n,
        )
    return town


def work_off():
    for job in Job.objects.filter(state="queued"):
        ledger.run(job.pk, heartbeat=False)


def test_everybody_who_collects_is_asked_once(reachable, analysts):
    town = reachable

    assert invitations.invite(town.round, by=analysts[0]) == 2
    assert invitations.invite(town.round, by=analysts[0]) == 0
    work_off()
    invitations.send_due()
    work_off()

    assert sorted(message.to[0] for message in mail.outbox) == ["entry@example.org", "head@example.org"]
    assert Invitation.objects.filter(sent_at=None).count() == 0
    body = mail.outbox[0].body
    assert mail.outbox[0].subject == f"Round 2026: the FACTS return of {town.cluster.name}, until {end(town)}"
    assert "3 units" in body and "needed 24 minutes or less" in body and "/workspace/" in body
    assert "used for statistics only" in body


def end(town) -> str:
    return f"{town.round.closes_on:%-d %B %Y}"


def test_a_message_whose_worker_died_goes_out_on_the_next_run(reachable, analysts):
    invitations.invite(reachable.round, by=analysts[0])
    Job.objects.update(state="dead")

    invitations.send_due()
    work_off()

    assert len(mail.outbox) == 2


def test_without_a_mail_server_nothing_counts_as_sent(reachable, analysts, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    invitations.invite(reachable.round, by=analysts[0])
    work_off()

    assert Invitation.objects.filter(sent_at=None).count() == 2
    assert "give EMAIL_URL" in Job.objects.filter(kind=invitations.JOB).first().error


def test_who_left_meanwhile_is_sent_nothing(reachable, analysts):
    invitations.invite(reachable.round, by=analysts[0])
    waiting = Invitation.objects.filter(sent_at=None)
    assert waiting.exists()
    for row in waiting:
        row.user.is_active = False
        row.user.save()
        job = Job.objects.filter(kind=invitations.JOB, args__invitation=row.pk).get()
        ledger.run(job.pk, heartbeat=False)

    assert mail.outbox == []
    assert not waiting.all().exists()


def test_a_job_delivered_twice_sends_one_mail(reachable, analysts):
    invitations.invite(reachable.round, by=analysts[0])
    work_off()
    for row in Invitation.objects.all():
        job = ledger.enqueue(invitations.JOB, key=f"invitation:{row.pk}", invitation=row.pk)
        ledger.run(job.pk, heartbeat=False)

    assert len(mail.outbox) == 2


def let_pass(days: int) -> None:
    """Some days go by: whatever was due or ends does so that much sooner."""
    past = dt.timedelta(days=days)
    for row in Invitation.objects.all():
        Invitation.objects.filter(pk=row.pk).update(on=row.on - past)
    for row in Round.objects.open():
        Round.objects.filter(pk=row.pk).update(closes_on=row.closes_on - past)


def test_reminders_come_on_fixed_days_before_the_end_and_a_missed_day_is_made_up_for(reachable, today):
    Round.objects.filter(pk=reachable.round.pk).update(closes_on=today + dt.timedelta(days=15))
    sent = {}
    for left, days in ((15, 0), (14, 1), (13, 1), (4, 9), (2, 2), (1, 1), (0, 1), (-1, 1), (-9, 8)):
        let_pass(days)
        sent[left] = invitations.send_due()
        assert invitations.send_due() == 0

    # Nobody ran on the third day before the end; its reminder went out on the second.
    assert sent == {15: 0, 14: 2, 13: 0, 4: 0, 2: 2, 1: 0, 0: 0, -1: 2, -9: 0}
    kinds = Invitation.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["reminded"] * 4 + ["late"] * 2


def test_who_has_handed_in_is_not_reminded(reachable, today):
    town = reachable
    Round.objects.filter(pk=town.round.pk).update(closes_on=today + dt.timedelta(days=2))
    FrameEntry.objects.filter(round=town.round).exclude(unit=town.units[0]).delete()
    assert invitations.standings(town.round)[town.cluster.pk].missing == 1
    submit([draft(town)], by=town.head, certified_name="A. Person")

    assert invitations.send_due() == 0


def test_a_late_cluster_is_told_so_and_again_after_more_time(reachable, today):
    town = reachable
    past(town)
    town.round.refresh_from_db()

    assert invitations.send_due() == 2
    assert invitations.send_due() == 0
    until = today + dt.timedelta(days=1)
    invitations.extend(town.round, town.cluster, until=until, reason=REASON, by=town.supervisor)
    assert invitations.send_due() == 2  # reminded of the new end
    assert set(Invitation.objects.values_list("kind", flat=True)) == {"late", "reminded"}
    work_off()
    assert any("Nothing that was typed is lost" in message.body for message in mail.outbox)


def test_the_work_of_every_day_is_known_to_the_workers():
    from django.conf import settings

    from observatory.celery import app

    app.loader.import_default_modules()
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["task"] in app.tasks
    assert invitations.JOB in settings.JOB_KINDS


# --- Minutes ----------------------------------------------------------------------------------------


def test_minutes_are_the_gaps_between_saves_without_the_pauses():
    start = dt.datetime(2026, 10, 1, 9, 0, tzinfo=dt.UTC)
    at = [start + dt.timedelta(minutes=m) for m in (0, 2, 5, 60, 64, 64.5)]

    assert minutes.worked(at) == minutes.worked(reversed(at)) == 10  # 2 + 3 + 4 + 0.5, to the next whole
    assert minutes.worked(at[:1]) is None
    assert minutes.worked([]) is None


def test_a_return_tells_its_minutes_when_it_is_handed_in_and_a_file_tells_none(town):
    ret = draft(town)
    for n in (3, 4):
        save_answers(ret, {"UB08": str(n)}, by=town.entry, expected_revision=ret.revision)
    whole = draft(town, 1)

    submit([ret, whole], by=town.head, certified_name="A. Person")

    assert (fresh(ret).minutes, fresh(whole).minutes) == (1, None)


def test_a_median_is_told_of_ten_returns_and_not_of_nine(reachable):
    assert minutes.last_known(2026) == {"UNIT": {"minutes": 24, "year": 2025}}
    Return.objects.filter(round__year=2025).first().delete()
    assert minutes.last_known(2026) == {}


# --- Board ------------------------------------------------------------------------------------------


def test_the_board_counts_each_cluster(town):
    begun, handed, done = draft(town), draft(town, 1), draft(town, 2)
    submit([handed, done], by=town.head, certified_name="A. Person")
    seen_by_checks(done)
    accept([done], by=town.supervisor)

    (line,) = board(town.round, type(town.cluster).objects.filter(pk=town.cluster.pk))

    assert (line.asked, line.begun, line.waiting, line.accepted, line.missing) == (3, 1, 1, 1, 1)
    assert (line.response, line.collector, line.is_late) == (1 / 3, town.association, False)
    past(town)
    (line,) = board(town.round, type(town.cluster).objects.filter(pk=town.cluster.pk))
    assert line.is_late and line.stage == "late"
    assert begun.state == "draft"

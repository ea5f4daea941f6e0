"""The checks as people and workers meet them: asked for once, kept whole or not at all, decided on by somebody else."""

import datetime as dt
import json

import pytest
from django.utils import timezone

from core.audit.models import Event
from core.base import Conflict, DomainError
from core.jobs import ledger
from core.jobs.models import Job
from facts.models import CheckRun, Flag, Return, RoundFlag
from facts.services import checking
from facts.services.imports import Row, save_drafts
from facts.services.submission import submit
from facts.services.units import keep_identities
from facts.vault import store
from facts.vault.models import SealedText
from tests.factories import ClusterFactory, Town, UnitFactory, open_round, person
from tests.facts.checks.firms import FIRM, MONEY, a_year_later, crowd, last_year
from tests.facts.valid_returns import UNIT

FIRMS = 24
ODD = 0  # the firm that something is wrong with
SALES = 96_123_457


@pytest.fixture
def place(db):
    """A town of 24 firms that handed in last year and this year; nothing odd about them but the first one's sales."""
    town = Town(units=FIRMS)
    town.last = open_round(2025)
    before, now = ordinary_years(town)
    for unit, row in zip(town.units, before, strict=True):
        hand_in(town.last, unit, row, state="locked")
    town.returns = [hand_in(town.round, unit, row) for unit, row in zip(town.units, now, strict=True)]
    return town


def ordinary_years(town, **odd):
    before = crowd(FIRMS, seed=11)
    now = a_year_later(before)
    before[ODD], now[ODD] = last_year(), {**FIRM, "UC01": SALES, **odd}
    return before, now


def hand_in(round_, unit, row, *, state="submitted", confirmed=(), version=1, **fields) -> Return:
    answers = {code: value for code, value in row.items() if code not in ("cluster", "frame_id")}
    ret, _ = Return.objects.update_or_create(
        round=round_,
        schedule="UNIT",
        subject=unit.frame_id,
        defaults={
            "unit": unit,
            "cluster": unit.cluster,
            "state": state,
            "version": version,
            "submitted_at": timezone.now(),
            "currency": "PKR",
            **fields,
        },
    )
    payload = {"answers": answers, "markers": {}, "explanations": {}, "confirmed": list(confirmed)}
    store.put_versions({(ret.pk, version): payload})
    return ret


def run_checks(town) -> None:
    checking.check_now(town.round, town.cluster.pk)


def rules_of(ret) -> set[str]:
    return set(Flag.objects.filter(ret=ret, version=ret.version).values_list("rule", flat=True))


# --- running


def test_a_run_flags_the_odd_return_and_no_other(place):
    run_checks(place)

    odd = place.returns[ODD]
    odd.refresh_from_db()
    assert rules_of(odd) == {"X01-UC01", "X08"}
    assert odd.checked_version == 1
    assert odd.suspicion > 6
    assert set(Flag.objects.values_list("ret", flat=True)) == {odd.pk}
    assert Return.objects.filter(round=place.round, suspicion=0, checked_version=1).count() == FIRMS - 1


def test_numbers_lie_sealed_and_nowhere_in_plain(place):
    run_checks(place)

    figures = (str(SALES), f"{SALES / 12:.0f}"[:6], "96123457")
    plain = json.dumps(
        [
            *Flag.objects.values_list("rule", "question", "severity", "score"),
            *CheckRun.objects.values_list("counts", flat=True),
            *RoundFlag.objects.values_list("numbers", flat=True),
            *Event.objects.values_list("action", "detail"),
            *Job.objects.values_list("key", "args", "result", "stage", "error"),
            *Return.objects.values_list("subject", "suspicion", "source"),
        ],
        default=str,
    )
    assert not [figure for figure in figures if figure in plain]
    assert not [row for row in SealedText.objects.all() if str(SALES).encode() in bytes(row.payload)]
    flag = Flag.objects.get(rule="X01-UC01")
    numbers = json.loads(store.texts_of([f"flag:{flag.pk}"])[f"flag:{flag.pk}"][0]["text"])
    assert numbers["now"] == pytest.approx(SALES / 12, rel=1e-5)


def test_words_are_built_for_the_reviewer(place):
    run_checks(place)

    said = checking.flags_in_words(place.returns[ODD], {"answers": {}})
    assert [flag["rule"] for flag in said] == ["X01-UC01", "X08"]
    assert "Total sales per month worked" in said[0]["sentence"]
    assert said[0]["action"].startswith("Critical: send the return back")
    assert said[0]["resolution"] == "open"
    assert checking.flags_in_words(place.returns[ODD]) == []


def test_a_respondent_never_hears_of_the_under_reporting_signal(place):
    third = {code: FIRM[code] // 3 for code in (*MONEY, "UC02")}
    hand_in(place.round, place.units[ODD], {**FIRM, **third}, version=2)
    run_checks(place)
    ret = Return.objects.get(pk=place.returns[ODD].pk)

    assert "X05" in {flag["rule"] for flag in checking.flags_in_words(ret, {})}
    to_respondent = checking.flags_in_words(ret, {}, for_respondent=True)
    assert "X05" not in {flag["rule"] for flag in to_respondent}
    assert not [flag for flag in to_respondent if "firm of" in flag["sentence"] or "peers" in flag["sentence"]]


def test_open_critical_names_what_holds_a_return(place):
    run_checks(place)

    held = checking.open_critical(place.returns)
    assert held == {place.returns[ODD].pk: ["X01-UC01", "X08"]}
    checking.resolve_flag(
        Flag.objects.get(rule="X08"), by=place.supervisor, accept=True, note="Called; the firm moved."
    )
    assert checking.open_critical(place.returns) == {place.returns[ODD].pk: ["X01-UC01"]}


def test_confirmed_unchanged_is_seen_and_does_not_silence(place):
    hand_in(place.round, place.units[5], {**last_year(), "UD03": 1}, version=2, confirmed=["UC01", "UD01"])
    hand_in(place.last, place.units[5], last_year(), version=2, state="locked")
    run_checks(place)
    ret = Return.objects.get(round=place.round, unit=place.units[5])

    x03 = next(flag for flag in checking.flags_in_words(ret, {}) if flag["rule"] == "X03")
    assert "6 of 6" in x03["sentence"]
    assert "2 of them confirmed by the respondent" in x03["sentence"]


def test_one_register_number_under_two_frame_ids_is_found(place):
    keep_identities({unit.pk: {"registration_number": "R-77"} for unit in place.units[3:5]})
    run_checks(place)

    assert set(Flag.objects.filter(rule="X09").values_list("ret__unit", flat=True)) == {u.pk for u in place.units[3:5]}
    assert checking.flags_in_words(place.returns[3], {})[0]["sentence"].startswith(
        f"Registration number or telephone are those of {place.units[4].frame_id}."
    )


def test_thin_divisions_are_compared_within_the_country(place):
    """The odd firm alone in its division: other clusters of the country stand in."""
    other = ClusterFactory()
    for number, (was, now) in enumerate(zip(crowd(22, seed=3), a_year_later(crowd(22, seed=3), seed=4), strict=True)):
        unit = UnitFactory(cluster=other, frame_id=f"PK-OTH-{number:04d}", sector__code="2512")
        hand_in(place.last, unit, {**was, "UA05": "2512"}, state="locked")
        hand_in(place.round, unit, {**now, "UA05": "2512"})
    odd = place.units[ODD]
    odd.sector = UnitFactory(cluster=other, sector__code="2512").sector
    odd.save()
    hand_in(place.last, odd, {**last_year(), "UA05": "2512"}, version=2, state="locked")
    hand_in(place.round, odd, {**FIRM, "UA05": "2512", "UC01": SALES}, version=2)

    run_checks(place)

    flag = Flag.objects.get(rule="X01-UC01", version=2)
    numbers = json.loads(store.texts_of([f"flag:{flag.pk}"])[f"flag:{flag.pk}"][0]["text"])
    assert (numbers["group"], numbers["units"]) == ("country", 23)
    assert set(Flag.objects.values_list("ret__cluster", flat=True)) == {place.cluster.pk}


# --- running again


def test_a_decision_stays_while_the_flag_speaks_again(place):
    run_checks(place)
    flag = Flag.objects.get(rule="X01-UC01")
    checking.resolve_flag(flag, by=place.supervisor, accept=True, note="A new hall was opened.")

    run_checks(place)

    again = Flag.objects.get(rule="X01-UC01")
    assert (again.pk, again.resolution, again.resolved_by) == (flag.pk, "accepted", place.supervisor)
    said = {one["rule"]: one for one in checking.flags_in_words(place.returns[ODD], {})}
    assert said["X01-UC01"]["note"] == "A new hall was opened."
    assert len(store.texts_of([f"flag:{flag.pk}"])[f"flag:{flag.pk}"]) == 1


def test_a_flag_that_no_longer_speaks_goes_with_its_numbers(place):
    run_checks(place)
    gone = [f"flag:{flag.pk}" for flag in Flag.objects.filter(rule="X01-UC01")]
    Return.objects.filter(round=place.last).update(state="sent_back")

    run_checks(place)

    assert not Flag.objects.filter(rule="X01-UC01").exists()
    assert store.texts_of(gone) == {}


def test_flags_of_an_earlier_version_stay_as_they_were(place):
    run_checks(place)
    hand_in(place.round, place.units[ODD], FIRM, version=2)
    run_checks(place)

    assert set(Flag.objects.values_list("version", "rule")) == {(1, "X01-UC01"), (1, "X08")}
    ret = Return.objects.get(pk=place.returns[ODD].pk)
    assert (ret.checked_version, ret.suspicion) == (2, 0)


def test_flags_of_the_form_are_left_alone(place):
    Flag.objects.create(ret=place.returns[1], version=1, question="UC01", rule="UC01-S1", resolution="explained")
    run_checks(place)

    assert Flag.objects.get(rule="UC01-S1").resolution == "explained"
    assert Return.objects.get(pk=place.returns[1].pk).suspicion == 0.5


# --- all of it or nothing


def test_a_worker_that_lost_its_lease_keeps_nothing(place):
    job = checking.request_check(place.round, place.cluster.pk)
    slow = ledger.Run(ledger.claim(job.pk))
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    ledger.claim(job.pk)

    with pytest.raises(ledger.LostLease):
        checking.run_check_cluster(slow, **job.args)
    assert not Flag.objects.exists()
    assert not CheckRun.objects.exists()
    assert not SealedText.objects.exists()
    assert not Return.objects.filter(checked_version__gt=0).exists()


def test_a_worker_that_dies_while_it_keeps_results_keeps_none_and_the_next_one_all(place, monkeypatch):
    job = checking.request_check(place.round, place.cluster.pk)
    run = ledger.Run(ledger.claim(job.pk))
    whole = checking.put_round_flags

    def die(*args):
        raise SystemExit  # nothing catches it: as if the process were gone in the middle of the transaction

    monkeypatch.setattr(checking, "put_round_flags", die)
    with pytest.raises(SystemExit):
        checking.run_check_cluster(run, **job.args)
    assert not Flag.objects.exists()
    assert not SealedText.objects.exists()

    monkeypatch.setattr(checking, "put_round_flags", whole)
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    assert ledger.run(job.pk, heartbeat=False)
    job.refresh_from_db()
    assert (job.state, job.attempt, job.result) == ("done", 2, {"returns": FIRMS, "flags": 2})
    assert Flag.objects.count() == 2


def test_a_version_handed_in_meanwhile_is_left_to_the_next_run(place):
    checked = checking.check_cluster(place.round, place.cluster.pk)
    hand_in(place.round, place.units[ODD], FIRM, version=2)

    checking.store_checked(checked)

    assert not Flag.objects.exists()
    assert Return.objects.get(pk=place.returns[ODD].pk).checked_version == 0
    assert Return.objects.filter(checked_version=1).count() == FIRMS - 1


def test_a_return_handed_in_while_a_run_is_under_way_asks_again(place, monkeypatch):
    compute = checking.check_cluster

    def meanwhile(round_, cluster_id):
        checked = compute(round_, cluster_id)
        hand_in(place.round, place.units[ODD], FIRM, version=2)
        assert checking.request_check(round_, cluster_id).state == "running"  # the wish finds the run under way
        return checked

    monkeypatch.setattr(checking, "check_cluster", meanwhile)
    job = checking.request_check(place.round, place.cluster.pk)
    ledger.run(job.pk, heartbeat=False)

    waiting = Job.objects.get(kind=checking.KIND, state="queued")
    monkeypatch.setattr(checking, "check_cluster", compute)
    ledger.run(waiting.pk, heartbeat=False)
    assert not Return.objects.filter(round=place.round, version=2, checked_version__lt=2).exists()


def test_a_return_that_cannot_be_opened_is_not_asked_for_again_and_again(place):
    Return.objects.filter(pk=place.returns[1].pk).update(version=3)  # no such version lies in the vault

    ledger.run(checking.request_check(place.round, place.cluster.pk).pk, heartbeat=False)

    assert Return.objects.get(pk=place.returns[1].pk).checked_version == 0
    assert not Job.objects.filter(kind=checking.KIND, state="queued").exists()


# --- asked for


def test_a_wish_is_repeated_where_the_job_that_was_open_ended_before_the_commit(
    town, django_capture_on_commit_callbacks
):
    drafts = save_drafts(
        round_=town.round,
        schedule_code="UNIT",
        rows=[Row(town.units[0].frame_id, UNIT, "row 2")],
        by=town.entry,
        channel="file",
    ).returns
    earlier = checking.request_check(town.round, town.cluster.pk)
    with django_capture_on_commit_callbacks() as after:
        submit(drafts, by=town.head, certified_name="A. Person")
    # The job looked before the commit, so it saw nothing of the return.
    Job.objects.filter(pk=earlier.pk).update(state="done")
    assert not Job.objects.filter(kind=checking.KIND, state="queued").exists()

    for callback in after:
        callback()
    for callback in after:  # once more: the wish that waits is found
        callback()

    assert Job.objects.filter(kind=checking.KIND, state="queued").count() == 1


def test_how_far_the_checks_of_a_round_are_is_said_in_words(place):
    assert checking.checks_running(place.round) == ""
    one = checking.request_check(place.round, place.cluster.pk)
    assert checking.checks_running(place.round) == "1 cluster to go"
    whole = checking.check_round(place.round)
    Job.objects.filter(pk=whole.pk).update(done=12, total=24)
    assert checking.checks_running(place.round) == "12 of 24 clusters"
    Job.objects.filter(pk__in=[one.pk, whole.pk]).update(state="done")
    assert checking.checks_running(place.round) == ""


def test_handing_in_asks_for_one_check_of_the_cluster(town):
    drafts = [
        save_drafts(
            round_=town.round,
            schedule_code="UNIT",
            rows=[Row(unit.frame_id, UNIT, "row 2")],
            by=town.entry,
            channel="file",
        ).returns[0]
        for unit in town.units
    ]
    for ret in drafts:
        submit([ret], by=town.head, certified_name="A. Person")

    job = Job.objects.get(kind=checking.KIND)
    assert job.args == {"round_id": town.round.pk, "cluster_id": town.cluster.pk}
    ledger.run(job.pk, heartbeat=False)
    assert set(Return.objects.values_list("checked_version", flat=True)) == {1}
    assert {flag.rule for flag in Flag.objects.filter(rule="X09")} == {"X09"}  # three equal returns


def test_the_round_is_checked_by_one_worker_through_child_jobs(place):
    other = ClusterFactory()
    unit = UnitFactory(cluster=other)
    hand_in(place.round, unit, {**FIRM, "UC01": 1_000})
    job = checking.check_round(place.round)

    assert ledger.run(job.pk, heartbeat=False)

    job.refresh_from_db()
    assert (job.state, job.result) == ("done", {"clusters": 2, "failed": 0, "returns": FIRMS + 1})
    assert set(CheckRun.objects.values_list("cluster", flat=True)) == {place.cluster.pk, other.pk, None}
    total = CheckRun.objects.get(cluster=None)
    assert total.counts["returns"] == FIRMS + 1
    assert total.counts["rules"]["X01-UC01"] == 1
    assert total.rules_digest == checking.load_rules().digest


def test_a_second_run_of_the_round_leaves_one_record_of_each_cluster(place):
    for _ in range(2):
        ledger.run(checking.check_round(place.round).pk, heartbeat=False)

    assert CheckRun.objects.count() == 2


def test_x30_adds_up_a_field_worker_over_the_round(place):
    worker = person("entry", place.association)
    heaped = dict.fromkeys(MONEY, 5_000_000)
    for unit in place.units[:20]:
        row = {**FIRM, **{code: value + 100_000 * (unit.pk % 7) for code, value in heaped.items()}}
        hand_in(place.round, unit, row, version=2, channel="field", typed_by=[worker.pk])
    for number in range(60):
        unit = UnitFactory(cluster=place.cluster, frame_id=f"PK-NEW-{number:04d}")
        hand_in(place.round, unit, crowd(60, seed=5)[number])
    ledger.run(checking.check_round(place.round).pk, heartbeat=False)

    flag = RoundFlag.objects.get(rule="X30")
    assert (flag.worker, flag.cluster, flag.numbers["returns"]) == (worker, None, 20)


def test_open_rounds_are_checked_every_night(place):
    checking.check_open_rounds()

    keys = set(Job.objects.filter(kind=checking.KIND_ROUND).values_list("key", flat=True))
    assert keys == {str(place.round.pk), str(place.last.pk)}


def test_a_run_over_a_cluster_takes_few_queries(place, django_assert_max_num_queries):
    with django_assert_max_num_queries(60):
        run_checks(place)


# --- deciding


def test_who_typed_a_return_does_not_decide_on_its_flags(place):
    Return.objects.filter(pk=place.returns[ODD].pk).update(typed_by=[place.supervisor.pk])
    run_checks(place)

    with pytest.raises(DomainError, match="Ask a colleague"):
        checking.resolve_flag(Flag.objects.get(rule="X08"), by=place.supervisor, accept=True, note="It is right.")


def test_a_decision_needs_words_and_is_audited_without_them(place):
    run_checks(place)
    flag = Flag.objects.get(rule="X08")

    with pytest.raises(DomainError, match="Say why"):
        checking.resolve_flag(flag, by=place.supervisor, accept=True, note="ok")
    checking.resolve_flag(flag, by=place.supervisor, accept=False, note=f"Not {SALES}, says the owner.")

    event = Event.objects.get(action="flag.resolve")
    assert event.detail == {"rule": "X08", "version": 1, "outcome": "rejected"}
    flag.refresh_from_db()
    assert flag.resolution == "rejected"


def test_two_people_deciding_at_once_are_told(place):
    run_checks(place)
    one, two = Flag.objects.get(rule="X08"), Flag.objects.get(rule="X08")
    checking.resolve_flag(one, by=place.supervisor, accept=True, note="Called; it is right.")

    with pytest.raises(Conflict):
        checking.resolve_flag(two, by=place.supervisor, accept=False, note="Called; it is wrong.")


def test_an_accepted_flag_no_longer_adds_to_suspicion(place):
    run_checks(place)
    loud = Return.objects.get(pk=place.returns[ODD].pk).suspicion
    checking.resolve_flag(Flag.objects.get(rule="X08"), by=place.supervisor, accept=True, note="Called; it is right.")

    assert 0 < Return.objects.get(pk=place.returns[ODD].pk).suspicion < loud


def test_a_flag_over_a_cluster_keeps_its_note_over_a_second_run(place):
    copies = crowd(FIRMS, seed=11)
    for unit, row in zip(place.units, copies, strict=True):
        raised = {code: round(row[code] * 1.1, 2) for code in MONEY}
        hand_in(place.round, unit, {**row, **raised}, version=2)
    run_checks(place)
    flag = RoundFlag.objects.get(rule="X20")
    assert (flag.severity, flag.resolution) == ("critical", "open")

    checking.resolve_round_flag(flag, by=place.supervisor, accept=False, note="Figures are collected again.")
    run_checks(place)

    flag.refresh_from_db()
    assert (flag.resolution, flag.note) == ("rejected", "Figures are collected again.")


def test_a_round_flag_that_no_longer_speaks_goes(place):
    RoundFlag.objects.create(round=place.round, cluster=place.cluster, rule="X27", severity="warn", numbers={})
    run_checks(place)

    assert not RoundFlag.objects.filter(rule="X27").exists()

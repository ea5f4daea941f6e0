"""Two workers, two deliveries, two clicks: one result. A job whose worker died comes back."""

import datetime as dt

import pytest
from django.utils import timezone

from core.base import DomainError
from core.jobs import ledger
from core.jobs.models import Job

pytestmark = pytest.mark.django_db
DONE: list = []


def work(run, *, number=0):
    run.progress("Working", 1, 2)
    with run.finishing({"number": number}):
        DONE.append(number)


def refuse(run, **args):
    raise DomainError("The round is not open.")


def burst(run, **args):
    raise ValueError("row 17: sales 123456")


@pytest.fixture(autouse=True)
def kinds(settings):
    DONE.clear()
    settings.JOB_KINDS = {name: f"{__name__}.{name}" for name in ("work", "refuse", "burst")}


def expire(job):
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))


def test_two_wishes_for_the_same_thing_are_one_job():
    first = ledger.enqueue("work", key="a", number=1)
    second = ledger.enqueue("work", key="a", number=1)

    assert first.pk == second.pk


def test_a_finished_job_leaves_room_for_the_next():
    first = ledger.enqueue("work", key="a")
    ledger.run(first.pk, heartbeat=False)

    assert ledger.enqueue("work", key="a").pk != first.pk


def test_a_second_delivery_finds_the_job_taken():
    job = ledger.enqueue("work", key="a", number=7)

    assert ledger.run(job.pk, heartbeat=False)
    assert not ledger.run(job.pk, heartbeat=False)
    assert DONE == [7]
    job.refresh_from_db()
    assert (job.state, job.result) == ("done", {"number": 7})


def test_a_running_job_cannot_be_claimed_until_its_lease_ends():
    job = ledger.enqueue("work", key="a")
    ledger.claim(job.pk)

    assert ledger.claim(job.pk) is None
    expire(job)
    assert ledger.claim(job.pk).attempt == 2


def test_a_worker_that_lost_its_lease_keeps_nothing():
    job = ledger.enqueue("work", key="a")
    slow = ledger.Run(ledger.claim(job.pk))
    expire(job)
    ledger.claim(job.pk)

    with pytest.raises(ledger.LostLease), slow.finishing({"late": True}):
        DONE.append("late")
    job.refresh_from_db()
    assert job.state == "running"
    assert job.result is None


def test_a_job_whose_worker_always_dies_is_given_up_and_seen():
    job = ledger.enqueue("work", key="a")
    for _ in range(ledger.MAX_ATTEMPTS):
        assert ledger.claim(job.pk)
        expire(job)

    assert ledger.claim(job.pk) is None
    job.refresh_from_db()
    assert job.state == "dead"


def test_an_expected_refusal_is_shown_and_a_fault_shows_no_values():
    refused, broken = ledger.enqueue("refuse", key="a"), ledger.enqueue("burst", key="b")
    ledger.run(refused.pk, heartbeat=False)
    ledger.run(broken.pk, heartbeat=False)

    refused.refresh_from_db()
    broken.refresh_from_db()
    assert refused.state == broken.state == "failed"
    assert refused.error == "The round is not open."
    assert "123456" not in broken.error


def test_the_sweep_wakes_what_waits_and_what_died(monkeypatch):
    woken = []
    monkeypatch.setattr(ledger, "wake", woken.append)
    waiting, dead, alive = (ledger.enqueue("work", key=key) for key in "abc")
    ledger.claim(dead.pk)
    expire(dead)
    ledger.claim(alive.pk)

    ledger.sweep()
    ledger.sweep()  # what was announced a moment ago is not announced again

    assert woken.count(waiting.pk) == 1
    assert dead.pk in woken
    assert alive.pk not in woken


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="Unknown kind"):
        ledger.enqueue("nonsense", key="a")


def test_wishes_in_a_row_rest_and_become_one_job():
    rest = dt.timedelta(minutes=2)
    first = ledger.enqueue("work", key="a", after=rest)
    second = ledger.enqueue("work", key="a", after=rest)

    assert first.pk == second.pk
    assert not ledger.run(first.pk, heartbeat=False)  # still resting
    assert ledger.sweep() == 0
    Job.objects.update(not_before=timezone.now() - dt.timedelta(seconds=1))
    assert ledger.sweep() == 1
    assert ledger.run(first.pk, heartbeat=False)
    assert DONE == [0]


def test_a_rest_is_pushed_on_but_not_for_ever():
    job = ledger.enqueue("work", key="a", after=dt.timedelta(minutes=1))
    until = Job.objects.get(pk=job.pk).not_before
    ledger.enqueue("work", key="a", after=dt.timedelta(minutes=5))
    later = Job.objects.get(pk=job.pk).not_before
    Job.objects.update(created_at=timezone.now() - ledger.LONGEST_REST)
    ledger.enqueue("work", key="a", after=dt.timedelta(minutes=9))

    assert until < later == Job.objects.get(pk=job.pk).not_before


def test_a_wish_without_rest_ends_it():
    job = ledger.enqueue("work", key="a", after=dt.timedelta(minutes=2))
    ledger.enqueue("work", key="a")

    assert ledger.run(job.pk, heartbeat=False)


def test_a_cancelled_job_keeps_nothing_of_its_work():
    job = ledger.enqueue("work", key="a")
    held = ledger.Run(ledger.claim(job.pk))

    assert ledger.cancel(job, by="somebody")
    with pytest.raises(ledger.LostLease):
        held.progress("Working", 1, 2)
    with pytest.raises(ledger.LostLease), held.finishing({}):
        DONE.append("kept")
    assert DONE == []
    assert not ledger.run(job.pk, heartbeat=False)
    assert not ledger.cancel(job, by="somebody")


def test_a_job_given_back_waits_and_is_not_counted_as_a_failed_try():
    job = ledger.enqueue("work", key="a")
    held = ledger.Run(ledger.claim(job.pk))

    with pytest.raises(ledger.LostLease):
        held.give_back(dt.timedelta(seconds=10))
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("queued", 0)
    assert not ledger.run(job.pk, heartbeat=False)


def test_the_time_left_follows_the_pace():
    now = timezone.now()
    job = Job(state="running", started_at=now - dt.timedelta(seconds=30), done=25, total=100)

    assert job.seconds_left(now) == 90
    job.done = 2
    assert job.seconds_left(now) is None


def test_one_session_at_a_time_holds_a_lock():
    """A thread has a database session of its own."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    from core.jobs.locks import alone

    def try_it() -> bool:
        try:
            with alone("a") as held:
                return held
        finally:
            connection.close()

    with alone("a") as mine, ThreadPoolExecutor(1) as other:
        assert mine
        assert other.submit(try_it).result() == (connection.vendor != "postgresql")
    with ThreadPoolExecutor(1) as other:
        assert other.submit(try_it).result()

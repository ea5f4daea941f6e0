"""Editions: two people publish, one transaction, one published edition a round, no half of one."""

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from cci.models import Edition
from cci.services import decline, propose, publish, register_methodology, request_recompute, run_recompute
from core.base import Conflict, DomainError
from core.jobs import ledger
from core.jobs.models import Job
from facts.services.checking import check_round
from tests.factories import open_round, person, rules_lifted
from tests.methods import adopted

pytestmark = pytest.mark.django_db


@pytest.fixture
def cell():
    adopted("1.0")
    return person("analyst"), person("analyst")


@pytest.fixture
def closed():
    return open_round(2025, state="closed")


def candidate(round_, revision=0, **fields) -> Edition:
    label = f"{round_.year}" + (f".{revision}" if revision else "")
    defaults = {"state": "candidate", "digest": f"{revision:064d}"}
    from cci.models import Methodology

    return Edition.objects.create(
        round=round_, methodology=Methodology.objects.get(), revision=revision, label=label, **{**defaults, **fields}
    )


def test_one_proposes_and_another_publishes(cell, closed):
    first, second = cell
    edition = candidate(closed)

    propose(edition, by=first, digest=edition.digest)
    with pytest.raises(DomainError, match="Ask a colleague"):
        publish(edition, by=first, digest=edition.digest)
    publish(edition, by=second, digest=edition.digest)

    edition.refresh_from_db()
    assert (edition.state, edition.proposed_by, edition.published_by) == ("published", first, second)


def test_the_database_itself_wants_two_people(cell, closed):
    with pytest.raises(IntegrityError), transaction.atomic():
        candidate(closed, state="published", proposed_by=cell[0], published_by=cell[0])


def test_a_new_edition_supersedes_the_old_in_the_same_step(cell, closed):
    first, second = cell
    old = candidate(closed, state="published", proposed_by=first, published_by=second)
    new = candidate(closed, 1)

    propose(new, by=first, digest=new.digest, kind="data", note="Late returns came in.")
    publish(new, by=second, digest=new.digest)

    old.refresh_from_db()
    assert old.state == "superseded"
    assert Edition.objects.filter(state="published").get() == new


def test_a_round_has_one_published_edition(cell, closed):
    candidate(closed, state="published")

    with pytest.raises(IntegrityError), transaction.atomic():
        candidate(closed, 1, state="published")


def test_only_the_digest_that_was_seen_is_published(cell, closed):
    edition = candidate(closed)

    with pytest.raises(Conflict):
        propose(edition, by=cell[0], digest="another")


def test_two_clicks_are_one_edition(cell, closed):
    first = request_recompute(closed, by=cell[0])
    second = request_recompute(closed, by=cell[1])

    assert first.pk == second.pk
    assert first.job_id == second.job_id
    assert Edition.objects.count() == 1


def test_an_edition_waits_for_the_checks_of_its_closed_round_and_a_provisional_one_does_not(cell, closed):
    now = open_round(2026)
    for round_ in (closed, now):
        check_round(round_)

    with pytest.raises(DomainError, match="checks of round 2025 are still running"):
        request_recompute(closed, by=cell[0])
    assert request_recompute(now, by=cell[0]).is_provisional
    Job.objects.filter(kind="facts.check_round").update(state="done")
    assert request_recompute(closed, by=cell[0]).label == "2025"


def test_revisions_count_on(cell, closed):
    candidate(closed, state="published")

    assert request_recompute(closed, by=cell[0]).label == "2025.1"


def test_an_open_round_gets_a_provisional_edition_that_cannot_be_proposed(cell):
    edition = request_recompute(open_round(2026), by=cell[0])
    Edition.objects.filter(pk=edition.pk).update(state="candidate", digest="x")
    edition.refresh_from_db()

    assert edition.label == "2026-provisional"
    with pytest.raises(DomainError, match="still open"):
        propose(edition, by=cell[0], digest="x")


def test_a_published_edition_is_not_computed_again(cell, closed):
    candidate(closed, state="published")

    with pytest.raises(DomainError, match="no longer change"):
        request_recompute(closed, by=cell[0], revision=0)


def test_a_failed_computation_leaves_no_half_edition(cell, closed, monkeypatch):
    from cci.services import runs

    edition = request_recompute(closed, by=cell[0])
    monkeypatch.setattr(runs, "take_snapshot", lambda *a, **k: 1 / 0)

    ledger.run(edition.job_id, heartbeat=False)

    edition.refresh_from_db()
    edition.job.refresh_from_db()
    assert (edition.state, edition.job.state) == ("failed", "failed")
    assert not edition.scores.exists()


def test_a_worker_that_lost_the_job_stores_nothing(cell, closed, monkeypatch):
    """What a paused worker would do when it wakes up after its lease has gone to another."""
    import datetime as dt

    from django.utils import timezone

    from cci.services import runs
    from core.jobs.models import Job

    edition = request_recompute(closed, by=cell[0])
    slow = ledger.Run(ledger.claim(edition.job_id))
    monkeypatch.setattr(runs, "_compute", lambda e, run: {"digest": "x"})
    monkeypatch.setattr(runs, "store_edition", lambda e, result: Edition.objects.filter(pk=e.pk).update(digest="late"))
    Job.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    ledger.claim(edition.job_id)

    with pytest.raises(ledger.LostLease):
        run_recompute(slow, edition_id=edition.pk)
    edition.refresh_from_db()
    assert edition.digest == ""


def test_a_changed_methodology_needs_a_new_version(cell):
    from cci.models import Methodology

    with rules_lifted("cci_methodology"):
        Methodology.objects.update(digest="other")

    with pytest.raises(DomainError, match="new version"):
        register_methodology("1.0")


def test_a_published_edition_cannot_be_changed_in_the_database(cell, closed):
    from cci.models import Score, Standing
    from tests.factories import ClusterFactory

    edition, cluster = candidate(closed), ClusterFactory()
    Score.objects.create(edition=edition, cluster=cluster, node="CCI", value=50)
    Standing.objects.create(edition=edition, cluster=cluster, is_ranked=True)
    Score.objects.update(value=51)  # a candidate may still change
    propose(edition, by=cell[0], digest=edition.digest)
    publish(edition, by=cell[1], digest=edition.digest)

    for change in (
        lambda: Score.objects.update(value=99),
        lambda: Score.objects.all().delete(),
        lambda: Standing.objects.update(is_ranked=False),
        lambda: Edition.objects.update(digest="x"),
        lambda: Edition.objects.filter(pk=edition.pk)._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    Edition.objects.update(state="superseded")  # its place among editions is no part of its content


def test_an_older_revision_does_not_supersede_a_newer_one(cell, closed):
    first, second = cell
    old, new = candidate(closed), candidate(closed, 1)
    for edition in (old, new):
        propose(edition, by=first, digest=edition.digest)
    publish(new, by=second, digest=new.digest)

    with pytest.raises(DomainError, match="newer"):
        publish(old, by=second, digest=old.digest)


def test_a_proposal_can_be_taken_back_with_a_reason(cell, closed):
    edition = candidate(closed)
    propose(edition, by=cell[0], digest=edition.digest)

    with pytest.raises(DomainError, match="Say why"):
        decline(edition, by=cell[1], digest=edition.digest, reason="no")
    decline(edition, by=cell[1], digest=edition.digest, reason="The tariff of Lahore is wrong.")

    edition.refresh_from_db()
    assert (edition.state, edition.proposed_by) == ("candidate", None)

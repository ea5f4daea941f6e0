"""Runs of an edition: asked for once, timed, stopped, rested, and computed again to the same digest."""

import datetime as dt

import pytest
from django.db import OperationalError
from django.utils import timezone

from cci.engine import VERSION
from cci.models import Edition, Methodology
from cci.services import (
    cancel_recompute,
    recompute_soon,
    request_recompute,
    request_verification,
    run_recompute_round,
    runs,
    verification_of,
)
from cci.services.computing import STAGES
from cci.services.runs import RESTING
from cci.services.runs import STAGES as IN_WORDS
from core.audit.models import Event
from core.base import DomainError
from core.jobs import ledger
from core.jobs.models import Job
from facts.models import FrameEntry, Round
from facts.services.values import register_indicators
from tests.factories import person
from tests.methods import adopted

pytestmark = pytest.mark.django_db


@pytest.fixture
def analyst():
    adopted("1.0")
    register_indicators()
    return person("analyst")


def computed(round_, by) -> Edition:
    edition = request_recompute(round_, by=by)
    assert ledger.run(edition.job_id, heartbeat=False)
    edition.refresh_from_db()
    assert edition.state == "candidate", edition.job.error
    return edition


def test_a_run_says_how_long_each_step_took_and_its_digest_does_not_know(town, analyst):
    first = computed(town.round, analyst)
    stages = first.job.result["stages"]
    again = computed(town.round, analyst)

    assert [one["stage"] for one in stages] == [
        "Opening accepted returns",
        *(words for words, _ in IN_WORDS.values()),
        "Storing the results",
    ]
    assert all(one["seconds"] >= 0 for one in stages)
    assert again.digest == first.digest and again.job_id != first.job_id


def test_every_stage_of_the_computation_has_words_and_the_bar_only_grows():
    assert tuple(IN_WORDS) == STAGES
    percents = [percent for _, percent in IN_WORDS.values()]
    assert percents == sorted(percents) and percents[0] >= 40 and percents[-1] < 95


def test_what_is_asked_again_from_its_snapshot_has_the_same_digest(town, analyst):
    edition = computed(town.round, analyst)

    job = request_verification(edition, by=analyst)
    assert request_verification(edition, by=analyst).pk == job.pk
    ledger.run(job.pk, heartbeat=False)

    result = verification_of(edition).result
    assert (result["same"], result["stored"], result["found"]) == (True, edition.digest, edition.digest)
    assert (result["made_by"], result["engine"]) == (VERSION, VERSION)
    assert Event.objects.filter(action="edition.verify", actor=analyst).exists()
    edition.refresh_from_db()
    assert edition.state == "candidate"


def test_a_stored_digest_that_is_not_that_of_the_inputs_is_found(town, analyst):
    edition = computed(town.round, analyst)
    Edition.objects.update(digest="0" * 64)
    edition.refresh_from_db()

    ledger.run(request_verification(edition, by=analyst).pk, heartbeat=False)

    assert verification_of(edition).result["same"] is False


def test_a_comparison_with_figures_that_are_gone_is_not_shown(town, analyst):
    edition = computed(town.round, analyst)
    ledger.run(request_verification(edition, by=analyst).pk, heartbeat=False)

    Edition.objects.update(digest="1" * 64)
    edition.refresh_from_db()

    assert verification_of(edition) is None


def test_nothing_to_compare_with_is_refused(town, analyst):
    edition = request_recompute(town.round, by=analyst)

    with pytest.raises(DomainError, match="not computed yet"):
        request_verification(edition, by=analyst)


def test_a_round_without_a_frame_says_what_is_missing(town, analyst):
    FrameEntry.objects.all().delete()

    edition = request_recompute(town.round, by=analyst)
    ledger.run(edition.job_id, heartbeat=False)

    edition.refresh_from_db()
    assert edition.state == "failed" and "Freeze it first" in edition.job.error


def test_a_stopped_run_keeps_nothing_and_gives_back_what_was_there(town, analyst):
    edition = computed(town.round, analyst)
    digest, scores = edition.digest, list(edition.scores.values_list("pk", flat=True))
    edition = request_recompute(town.round, by=analyst)
    held = ledger.Run(ledger.claim(edition.job_id))

    cancel_recompute(edition, by=analyst)

    with pytest.raises(ledger.LostLease):
        held.progress("Scoring", 60, 100)
    edition.refresh_from_db()
    assert (edition.state, edition.digest) == ("candidate", digest)
    assert list(edition.scores.values_list("pk", flat=True)) == scores
    with pytest.raises(DomainError, match="not being computed"):
        cancel_recompute(edition, by=analyst)


def test_a_first_run_that_is_stopped_leaves_an_edition_without_figures(town, analyst):
    edition = request_recompute(town.round, by=analyst)

    cancel_recompute(edition, by=analyst)

    edition.refresh_from_db()
    assert (edition.state, edition.digest) == ("failed", "")


def test_an_edition_whose_worker_died_every_time_can_be_stopped(town, analyst):
    edition = request_recompute(town.round, by=analyst)
    Job.objects.filter(pk=edition.job_id).update(state="dead")

    cancel_recompute(edition, by=analyst)

    edition.refresh_from_db()
    assert edition.state == "failed"
    with pytest.raises(DomainError, match="not being computed"):
        cancel_recompute(edition, by=analyst)


def test_a_database_that_was_away_for_a_moment_fails_no_edition(town, analyst, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("database is locked")

    edition = request_recompute(town.round, by=analyst)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "_compute", away)
        ledger.run(edition.job_id, heartbeat=False)
    edition.refresh_from_db()
    assert edition.state == "computing"

    assert ledger.run(edition.job_id, heartbeat=False)
    edition.refresh_from_db()
    assert edition.state == "candidate"


def test_figures_of_another_methodology_do_not_come_back_under_the_new_one(town, analyst):
    edition = computed(town.round, analyst)
    old = Methodology.objects.get()
    newer = Methodology.objects.create(
        **{"version": "9.9", "title": "T", "digest": "d", "definition": {}, "author": "A"},
        state="adopted",
        adopted_at=timezone.now() + dt.timedelta(days=1),
    )

    edition = request_recompute(town.round, by=analyst)
    assert edition.methodology == newer != old
    cancel_recompute(edition, by=analyst)

    edition.refresh_from_db()
    assert (edition.state, edition.digest) == ("failed", "")


def test_computing_now_ends_the_rest(town, analyst):
    recompute_soon([town.round.pk])
    resting = Job.objects.get(kind=RESTING)

    edition = request_recompute(town.round, by=analyst)

    resting.refresh_from_db()
    assert resting.state == "cancelled"
    assert edition.job.state == "queued"


def test_a_round_closed_while_its_recompute_rested_gets_no_revision_by_itself(town, analyst):
    recompute_soon([town.round.pk])
    Round.objects.update(state="closed")
    Job.objects.update(not_before=None)

    assert ledger.run(Job.objects.get(kind=RESTING).pk, heartbeat=False)

    assert not Edition.objects.exists()


def test_what_is_accepted_while_a_run_is_under_way_is_computed_after_it(town, analyst):
    """The run may have frozen its returns before."""
    edition = request_recompute(town.round, by=analyst)
    ledger.claim(edition.job_id)
    recompute_soon([town.round.pk])
    Job.objects.filter(kind=RESTING).update(not_before=None)
    rest = ledger.Run(ledger.claim(Job.objects.get(kind=RESTING).pk))

    with pytest.raises(ledger.LostLease):
        run_recompute_round(rest, round_id=town.round.pk)

    waiting = Job.objects.get(kind=RESTING)
    assert waiting.state == "queued" and waiting.not_before > timezone.now()
    Job.objects.filter(pk=edition.job_id).update(state="done")
    Edition.objects.update(state="candidate")
    run_recompute_round(rest, round_id=town.round.pk)
    edition.refresh_from_db()
    assert edition.state == "computing"


def test_an_edition_is_computed_with_the_published_one_before_and_again_with_the_very_same(town, analyst):
    """The explanations look back to it, and the digest covers them."""
    last = Round.objects.create(
        year=2025, instrument=town.round.instrument, state="closed", opens_on="2025-01-01", closes_on="2025-03-01"
    )
    FrameEntry.objects.create(round=last, unit=town.units[0], cluster=town.cluster, size=1, prior_employment=5)
    before = computed(last, analyst)
    Edition.objects.filter(pk=before.pk).update(state="published")

    edition = computed(town.round, analyst)
    assert edition.report["previous"] == {"label": "2025", "digest": before.digest}
    ledger.run(request_verification(edition, by=analyst).pk, heartbeat=False)

    assert verification_of(edition).result["same"] is True

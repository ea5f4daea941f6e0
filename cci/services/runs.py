"""Editions asked for, and computed by a worker."""

import time
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Max

from cci.methodology import Method, load_method
from cci.models import Edition, Methodology
from core.audit.models import record
from core.base import DomainError
from core.jobs import ledger
from core.jobs.locks import alone
from core.jobs.models import Job
from facts.models import Round, Snapshot
from facts.services.checking import checks_running
from facts.services.snapshots import read_snapshot, take_snapshot

from .computing import compute_edition
from .previous import previous_of
from .storing import store_edition

TURN = timedelta(seconds=10)  # until a run that found its round busy tries again
RESTING = "cci.recompute_round"
OPENING, STORING = "Opening accepted returns", "Storing the results"
STAGES = {  # in words, and how far the run is, in per cent, as each begins
    "indicators": ("Computing indicators", 40),
    "scores": ("Scoring", 60),
    "precision": ("Drawing firms and weights anew", 62),
    "robustness": ("Trying other choices of the method", 84),
    "explanations": ("Explaining each place", 88),
    "coherence": ("Auditing the indicators", 93),
}


@transaction.atomic
def request_recompute(round_: Round, *, by, revision: int | None = None) -> Edition:
    """Queue the computing of a round's next edition, or of one revision again; two clicks give one edition.

    A round that is still open gets its provisional edition, which is for staff and is never published. A closed one is
    computed once its checks are done: which flags stand enters reliability, and so who is ranked.
    """
    methodology = Methodology.objects.for_computing()
    if methodology is None:
        raise DomainError("No methodology is registered yet.")
    Round.objects.select_for_update().get(pk=round_.pk)
    provisional = round_.state != Round.State.CLOSED
    if not provisional and (far := checks_running(round_)):
        raise DomainError(f"The checks of round {round_.year} are still running ({far}). Try again when they are done.")
    if provisional:
        edition = Edition.objects.filter(round=round_, is_provisional=True).first()
    elif revision is not None:
        edition = Edition.objects.filter(round=round_, revision=revision).first()
        if edition is None:
            raise DomainError(f"Round {round_.year} has no revision {revision}.")
    else:
        unfinished = [Edition.State.COMPUTING, Edition.State.FAILED]
        edition = Edition.objects.filter(round=round_, state__in=unfinished, revision__isnull=False).first()
    if edition and edition.state not in ("computing", "candidate", "failed"):
        raise DomainError(f"{edition} is {edition.get_state_display().lower()}; its figures no longer change.")
    if edition and edition.methodology_id != methodology.pk:
        edition.digest = ""  # its figures are those of another methodology: a cancelled run does not bring them back
    if edition is None or edition.state != Edition.State.COMPUTING:
        _end_rest(round_, by=by)
    if edition is None:
        last = Edition.objects.filter(round=round_).aggregate(last=Max("revision"))["last"]
        number = None if provisional else 0 if last is None else last + 1
        label = f"{round_.year}-provisional" if provisional else f"{round_.year}" + (f".{number}" if number else "")
        edition = Edition(round=round_, revision=number, label=label, is_provisional=provisional)
    edition.methodology = methodology
    edition.state = Edition.State.COMPUTING
    edition.requested_by = by
    edition.save()
    edition.job = ledger.enqueue("recompute_cci", key=f"edition:{edition.pk}", by=by, edition_id=edition.pk)
    edition.save(update_fields=["job"])
    record("edition.recompute", edition, by=by, label=edition.label)
    return edition


def run_recompute(run: ledger.Run, *, edition_id: int) -> None:
    """Compute an edition: snapshot, indicators, index; stored in one transaction, or not at all."""
    edition = Edition.objects.select_related("round__instrument", "methodology", "requested_by").get(pk=edition_id)
    if edition.state != Edition.State.COMPUTING:
        return
    with alone(f"recompute of round {edition.round_id}") as held:
        if not held:  # another edition of the round is being computed by another worker
            run.give_back(TURN)
        _run(edition, run)


def _run(edition: Edition, run: ledger.Run) -> None:
    stages = Stages(run)
    try:
        result = _compute(edition, stages)
        stages.begin(STORING, 95)
        told: dict = {"digest": result["digest"], "label": edition.label}
        with run.finishing(told):
            store_edition(edition, result)
            told["stages"] = stages.done()
    except (ledger.LostLease, OperationalError):
        raise  # another worker has it, or the database was away: the ledger tries again
    except Exception:
        with run.fenced():
            Edition.objects.filter(pk=edition.pk, state=Edition.State.COMPUTING).update(state=Edition.State.FAILED)
        raise


class Stages:
    """What a run says of its progress, and how long each stage took."""

    def __init__(self, run: ledger.Run):
        self.run = run
        self.begun: list[tuple[str, float]] = []

    def begin(self, stage: str, percent: int) -> None:
        self.run.progress(stage, percent, 100)
        self.begun.append((stage, time.monotonic()))

    def compute(self, stage: str) -> None:
        self.begin(*STAGES[stage])

    def done(self) -> list[dict]:
        """Each stage with its seconds, the last one until now."""
        ends = [at for _, at in self.begun[1:]] + [time.monotonic()]
        return [
            {"stage": stage, "seconds": round(end - at, 2)} for (stage, at), end in zip(self.begun, ends, strict=True)
        ]


def _compute(edition: Edition, stages: Stages) -> dict:
    method = method_of(edition)
    stages.begin(OPENING, 0)
    # A trial answers what another methodology makes of the very returns of the published edition.
    snapshot = edition.snapshot if edition.is_trial else _taken(edition, stages.run)
    previous, tables = previous_of(edition), read_snapshot(snapshot)
    outcome = compute_edition(tables, edition.round.year, method, snapshot.digest, previous, stages.compute)
    return outcome | {"snapshot": snapshot, "method": method}


def method_of(edition: Edition) -> Method:
    """The methodology that makes an edition; DomainError where its files are not the registered ones."""
    method = load_method(edition.methodology.version)
    if method.digest != edition.methodology.digest:
        raise DomainError("The methodology's files differ from the registered ones.")
    return method


def _taken(edition: Edition, run: ledger.Run) -> Snapshot:
    return take_snapshot(
        edition.round,
        by=edition.requested_by,
        progress=lambda done, total: run.progress(OPENING, round(40 * done / max(total, 1)), 100),
    )


@transaction.atomic
def cancel_recompute(edition: Edition, *, by) -> None:
    """Stop the computing of an edition; what it held before stays as it was."""
    is_stopped = edition.job is not None and ledger.cancel(edition.job, by=by)
    if not is_stopped and not Edition.objects.filter(pk=edition.pk, state=Edition.State.COMPUTING).exists():
        raise DomainError(f"{edition} is not being computed any more.")
    was = Edition.State.CANDIDATE if edition.digest else Edition.State.FAILED
    Edition.objects.filter(pk=edition.pk, state=Edition.State.COMPUTING).update(state=was)
    record("edition.cancel", edition, by=by, label=edition.label)


def recompute_soon(round_ids: Iterable[int]) -> None:
    """After acceptances: one recompute of each round still open, once no further return was accepted for a while."""
    rest = timedelta(seconds=settings.RECOMPUTE_AFTER_SECONDS)
    for pk in Round.objects.open().filter(pk__in=round_ids).values_list("pk", flat=True):
        ledger.enqueue(RESTING, key=f"round:{pk}", after=rest, round_id=pk)


def _end_rest(round_: Round, *, by) -> None:
    """What is asked for now holds every return accepted so far: a recompute that still rests has nothing left to do."""
    resting = Job.objects.filter(kind=RESTING, key=f"round:{round_.pk}", state=Job.State.QUEUED).first()
    if resting:
        ledger.cancel(resting, by=by or "the next recompute")


def run_recompute_round(run: ledger.Run, *, round_id: int) -> None:
    """The rest is over: ask for the provisional edition, once a run under way, which may not hold it all, is done.

    A round closed in the meantime gets its edition when an analyst asks for it.
    """
    round_ = Round.objects.open().filter(pk=round_id).first()
    if round_ is None:
        return
    if Edition.objects.filter(round=round_, is_provisional=True, state="computing", job__state="running").exists():
        run.give_back(TURN)
    request_recompute(round_, by=None)


def recompute_open_rounds() -> int:
    """Queue the provisional edition of every open round that has accepted returns. Returns how many."""
    rounds = Round.objects.open().filter(returns__state__in=["accepted", "locked"]).distinct()
    for round_ in rounds:
        request_recompute(round_, by=None)
    return len(rounds)

"""An edition computed again from what is stored of it; the digest must come out the same."""

from django.db import transaction

from cci.engine import VERSION
from cci.models import Edition
from core.audit.models import record
from core.base import DomainError
from core.jobs import ledger
from core.jobs.models import Job
from facts.services.snapshots import read_snapshot

from .computing import compute_edition
from .previous import previous_of
from .runs import OPENING, Stages, method_of

KIND = "cci.verify_edition"


def recompute_digest(edition: Edition, stages: Stages | None = None) -> str:
    """Compute an edition again from its stored snapshot, its methodology and the edition before as it was then.

    DomainError says what of these is no longer what it was.
    """
    if edition.snapshot is None:
        raise DomainError(f"{edition} names no snapshot, so it cannot be computed again.")
    method, previous = method_of(edition), previous_of(edition)
    recorded = edition.report.get("previous")
    if recorded and (previous is None or previous.digest != recorded["digest"]):
        raise DomainError(f"Edition {recorded['label']}, which it was compared with, is not the same any more.")
    tables = read_snapshot(edition.snapshot)
    begins = {"begins": stages.compute} if stages else {}
    return compute_edition(tables, edition.round.year, method, edition.snapshot.digest, previous, **begins)["digest"]


@transaction.atomic
def request_verification(edition: Edition, *, by) -> Job:
    """Queue the comparison of an edition with itself computed again; nothing of the edition changes."""
    if not edition.digest or edition.state == Edition.State.COMPUTING:
        raise DomainError(f"{edition} is not computed yet: there is nothing to compare with.")
    job = ledger.enqueue(KIND, key=f"edition:{edition.pk}", by=by, edition_id=edition.pk)
    record("edition.verify", edition, by=by, label=edition.label, digest=edition.digest)
    return job


def run_verification(run: ledger.Run, *, edition_id: int) -> None:
    """The job: both digests, and whether they are one."""
    edition = Edition.objects.select_related("round", "methodology", "snapshot").get(pk=edition_id)
    stages = Stages(run)
    stages.begin(OPENING, 0)
    found = recompute_digest(edition, stages)
    result = {"stored": edition.digest, "found": found, "same": found == edition.digest, "stages": stages.done()}
    with run.finishing(result | {"made_by": edition.engine_version, "engine": VERSION}):
        pass


def verification_of(edition: Edition) -> Job | None:
    """The last comparison of an edition that is under way or has been made, of the figures it holds now."""
    job = Job.objects.filter(kind=KIND, key=f"edition:{edition.pk}").order_by("-pk").first()
    if job and job.result and job.result["stored"] != edition.digest:
        return None
    return job

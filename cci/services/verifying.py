"""An edition computed again from what is stored of it: the digest, and every stored row, must come out the same."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction

from cci.engine import VERSION
from cci.models import Edition
from core.audit.models import record
from core.base import DomainError
from core.jobs import ledger
from core.jobs.models import Job
from facts.models import IndicatorValue, Reliability
from facts.services.snapshots import read_snapshot
from facts.services.standing import reliability_rows

from .computing import compute_edition
from .previous import previous_of
from .runs import OPENING, Stages, method_of
from .storing import report_of, rows_of

KIND = "cci.verify_edition"


@dataclass(frozen=True)
class Verified:
    """An edition computed again.

    digest : what it came out as. altered : where rows that are stored of it are not those computed, in words.
    """

    digest: str
    altered: tuple[str, ...]


def verify(edition: Edition, stages: Stages | None = None) -> Verified:
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
    result = compute_edition(tables, edition.round.year, method, edition.snapshot.digest, previous, **begins)
    return Verified(
        result["digest"], tuple(_altered(edition, result | {"method": method, "snapshot": edition.snapshot}))
    )


def _altered(edition: Edition, result: dict) -> Iterator[str]:
    """Say where the rows stored of an edition are not those that were computed."""
    computed = rows_of(edition, result)
    values = computed.pop(IndicatorValue)
    of = {model: {"edition": edition} for model in computed}
    official = edition.snapshot.editions.filter(is_trial=False)
    # Values and reliability hang on the snapshot: where two methodologies used it, they are those of one of them.
    if not edition.is_trial and official.values("methodology").distinct().count() == 1:
        computed[IndicatorValue] = values
        computed[Reliability] = reliability_rows(edition.snapshot, result["reliability"])
        of |= {model: {"snapshot": edition.snapshot} for model in (IndicatorValue, Reliability)}
    if edition.report != report_of(result):
        yield "its report"
    for model, rows in computed.items():
        names = [field.attname for field in model._meta.concrete_fields if not field.primary_key]
        expected = Counter(_plain([getattr(row, name) for name in names]) for row in rows)
        stored = Counter(map(_plain, model._default_manager.filter(**of[model]).values_list(*names)))
        if n := max((stored - expected).total(), (expected - stored).total()):
            yield f"{n} of {len(rows)} {model._meta.verbose_name_plural}"


def _plain(row) -> str:
    return json.dumps(list(row), sort_keys=True)


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
    found = verify(edition, stages)
    result = {
        "stored": edition.digest,
        "found": found.digest,
        "altered": list(found.altered),
        "same": found.digest == edition.digest and not found.altered,
        "stages": stages.done(),
    }
    with run.finishing(result | {"made_by": edition.engine_version, "engine": VERSION}):
        pass


def verification_of(edition: Edition) -> Job | None:
    """The last comparison of an edition that is under way or has been made, of the figures it holds now."""
    job = Job.objects.filter(kind=KIND, key=f"edition:{edition.pk}").order_by("-pk").first()
    if job and job.result and job.result["stored"] != edition.digest:
        return None
    return job

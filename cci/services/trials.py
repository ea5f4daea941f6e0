"""Trial editions: what another methodology makes of a past round, from the very snapshot of its published edition."""

from django.db import transaction

from cci.models import Edition, Methodology
from core.audit.models import record
from core.base import DomainError
from core.jobs import ledger
from facts.models import Round


@transaction.atomic
def request_trial(methodology: Methodology, round_: Round, *, by) -> Edition:
    """Queue a trial edition of a round; the same trial again is found, not made again.

    A trial is for staff: it is never published, and its indicator values are not stored.
    """
    Round.objects.select_for_update().get(pk=round_.pk)
    published = _published(round_)
    if published is None:
        raise DomainError(f"Round {round_.year} has no published edition that a trial could be compared with.")
    if published.methodology_id == methodology.pk:
        raise DomainError(f"{published} is itself made by methodology {methodology.version}: nothing to compare.")
    if published.snapshot_id is None:
        raise DomainError(f"{published} names no snapshot, so nothing can be computed from it again.")
    label = f"{round_.year}-trial-{methodology.version}"
    edition = Edition.objects.filter(label=label).select_related("job").first()
    is_there = edition is not None and edition.snapshot_id == published.snapshot_id
    if edition is not None:
        # One whose worker died every time is asked for anew.
        is_under_way = edition.state == "computing" and edition.job is not None and edition.job.is_open
        if is_under_way or (is_there and edition.state == "candidate"):
            return edition
        if not is_there:
            edition.digest = ""  # figures of another snapshot: a cancelled run does not bring them back
    edition = edition or Edition(round=round_, label=label, is_trial=True)
    edition.methodology, edition.snapshot = methodology, published.snapshot
    edition.state, edition.requested_by = Edition.State.COMPUTING, by
    edition.save()
    edition.job = ledger.enqueue("recompute_cci", key=f"edition:{edition.pk}", by=by, edition_id=edition.pk)
    edition.save(update_fields=["job"])
    record("edition.trial", edition, by=by, label=label, methodology=methodology.version)
    return edition


@transaction.atomic
def back_cast(methodology: Methodology, *, by) -> list[Edition]:
    """Queue trials of every round with a published edition by another methodology, in one act."""
    rounds = Round.objects.filter(
        pk__in=Edition.objects.filter(state=Edition.State.PUBLISHED, snapshot__isnull=False)
        .exclude(methodology=methodology)
        .values("round")
    )
    made = [request_trial(methodology, round_, by=by) for round_ in rounds.order_by("year")]
    if not made:
        raise DomainError("No round has a published edition by another methodology: there is nothing to compute back.")
    return made


def _published(round_: Round) -> Edition | None:
    return Edition.objects.filter(round=round_, state=Edition.State.PUBLISHED).select_related("snapshot").first()

"""Errors found in published editions, told to readers. The edition itself stays as it was."""

from collections.abc import Iterable

from django.db import transaction

from cci.models import Edition, Erratum
from clusters.models import Cluster
from core.audit.models import record
from core.base import Conflict, DomainError

from .words import reason_given


@transaction.atomic
def write_erratum(
    edition: Edition,
    *,
    kind: str,
    text: str,
    effect: str,
    clusters: Iterable[Cluster] = (),
    corrected_in: Edition | None = None,
    by,
) -> Erratum:
    """Publish an erratum of a public edition. It never changes: a second one says what the first got wrong."""
    if not edition.is_public:
        raise DomainError(f"{edition} is not published. Compute it again instead of writing an erratum.")
    if kind not in Erratum.Kind.values:
        raise DomainError(f"Say where the error lies: {', '.join(label.lower() for label in Erratum.Kind.labels)}.")
    text = reason_given(text, "Say what was wrong and what is right")
    effect = reason_given(effect, "Say what it changes for readers")
    if corrected_in is not None:
        _refuse_other_round(edition, corrected_in)
    erratum = Erratum.objects.create(
        edition=edition, kind=kind, text=text, effect=effect, corrected_in=corrected_in, written_by=by
    )
    clusters = list(clusters)
    erratum.clusters.set(clusters)
    named = sorted(cluster.code for cluster in clusters)
    record("erratum.write", erratum, by=by, label=edition.label, kind=kind, clusters=named)
    return erratum


@transaction.atomic
def say_corrected(erratum: Erratum, edition: Edition, *, by) -> None:
    """Name the revision in which an error is mended."""
    _refuse_other_round(erratum.edition, edition)
    if not Erratum.objects.filter(pk=erratum.pk, corrected_in=None).update(corrected_in=edition):
        raise Conflict("This erratum names its correction already.")
    erratum.corrected_in = edition
    record("erratum.corrected", erratum, by=by, label=erratum.edition.label, corrected_in=edition.label)


def _refuse_other_round(edition: Edition, corrected_in: Edition) -> None:
    is_later = corrected_in.round_id == edition.round_id and (corrected_in.revision or 0) > (edition.revision or 0)
    if not (is_later and corrected_in.is_public):
        raise DomainError(
            f"{corrected_in} cannot mend {edition}: name a published later revision of the same round, "
            "or leave it open until there is one."
        )

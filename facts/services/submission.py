"""Handing in: a version sealed for ever, with its receipt."""

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.utils import timezone

from core.audit.models import record_many
from core.base import Conflict, DomainError
from facts.models import Flag, Return
from facts.validation import Problem
from facts.vault import store

from .bulk import by_round, locked_states, write_many
from .checking import request_checks_of
from .contexts import contexts_for, payloads
from .deadlines import require_open
from .findings import EMPTY, Findings, findings_of, measure
from .minutes import measure_minutes


class NotSubmittable(DomainError):
    """Open points keep a return from being submitted; `problems` holds them by return id."""

    def __init__(self, problems: dict[int, list[Problem]]):
        self.problems = problems
        count = sum(len(found) for found in problems.values())
        super().__init__(f"{count} open point{'s' if count != 1 else ''} must be settled before submission.")


@transaction.atomic
def submit(returns: Iterable[Return], *, by, certified_name: str) -> dict[int, str]:
    """Seal a version of each return and hand it in for review; all of them or none.

    Returns the receipt digest by return id. The same return handed in twice by the same person (two clicks, a retry
    on a bad line) is one version with one receipt. Raises NotSubmittable with every open point.
    """
    returns = list(returns)
    if not certified_name.strip():
        raise DomainError("Whoever certifies gives a name.")
    require_open(returns)
    seen = {ret.pk: (ret.revision, ret.version, ret.state) for ret in returns}
    now_there = locked_states(seen)
    if receipts := _receipts_there(returns, by):
        return receipts
    if now_there != seen:
        raise Conflict("Somebody else saved this return in the meantime. Look at it again, then submit.")
    if any(not ret.is_editable for ret in returns):
        raise DomainError("Only a draft, or a return that was sent back, can be submitted.")
    opened = payloads(returns)
    findings: dict[int, Findings] = {}
    blocking: dict[int, list[Problem]] = {}
    for _, group in by_round(returns):
        with_shares = group[0].schedule == "ASSOCIATION"
        contexts = contexts_for(group[0].round, group, for_user=by, with_unit_shares=with_shares)
        for ret in group:
            found = findings[ret.pk] = findings_of(ret, opened.get(ret.pk, EMPTY), contexts[ret.pk])
            if found.hard or found.unexplained:
                blocking[ret.pk] = found.hard + found.unexplained
    if blocking:
        raise NotSubmittable(blocking)
    now = timezone.now()
    digests = store.put_versions(
        {(ret.pk, ret.version + 1): _as_asked(opened[ret.pk], findings[ret.pk].asked) for ret in returns}
    )
    measure_minutes(returns)
    flags = []
    for ret in returns:
        ret.version += 1
        ret.state = Return.State.SUBMITTED
        ret.submitted_at = now
        ret.first_submitted_at = ret.first_submitted_at or now
        ret.submitted_by = by
        ret.submitted_revision = ret.revision
        ret.certified_name = certified_name.strip()[:120]
        ret.decided_at = ret.decided_by = None
        measure(ret, findings[ret.pk])
        flags += [
            Flag(
                ret=ret,
                version=ret.version,
                question=problem.question,
                rule=problem.rule,
                resolution=Flag.Resolution.EXPLAINED,
            )
            for problem in findings[ret.pk].soft
        ]
    fields = "version state submitted_at first_submitted_at submitted_by submitted_revision certified_name"
    fields += " decided_at decided_by answered asked core_share minutes"
    write_many(returns, fields.split())
    Flag.objects.bulk_create(flags, batch_size=500)
    record_many(
        [("return.submit", ret, {"version": ret.version, "digest": digests[ret.pk]}) for ret in returns],
        by=by,
    )
    request_checks_of(returns, by=by)
    return digests


def _receipts_there(returns: list[Return], by) -> dict[int, str]:
    """The receipts of returns that this very person handed in already, at the revision seen; else nothing."""
    found: dict[int, str] = {}
    for ret in returns:
        stored = Return.objects.filter(
            pk=ret.pk,
            submitted_by=by,
            submitted_revision=ret.revision,
            revision=ret.revision,
            version__gte=max(ret.version, 1),
        ).exclude(state__in=Return.EDITABLE)
        version = stored.values_list("version", flat=True).first()
        if version is None:
            return {}
        found[ret.pk] = store.digest_of(ret.pk, version)
    return found


def _as_asked(payload: Mapping, codes: Iterable[str]) -> dict:
    """What is handed in: answers to questions that routing asks. The draft keeps the others, said not to be used."""
    kept = set(codes)
    return {
        **payload,
        "answers": {code: value for code, value in payload["answers"].items() if code in kept},
        "markers": {code: value for code, value in payload["markers"].items() if code in kept},
    }

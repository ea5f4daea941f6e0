"""Collected in the field: forms for phones out, their submissions in, through the same checks as every other door."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from django.db import transaction

from clusters.models import Cluster, ClusterRole
from core import policy
from core.base import DomainError
from facts.intake.findings import Refused
from facts.intake.process import open_table
from facts.models import FieldSubmission, FrameEntry, Return, Round
from facts.validation import Problem
from facts.vault import store
from facts.xlsform import names
from facts.xlsform.export import Form, build, workbook
from facts.xlsform.records import RecordProblem, Records, of_table, read_records
from facts.xlsform.submissions import Submission, schedule_of, submissions_of

from .bulk import chunks
from .imports import Outcome, Row, RowProblem, save_drafts
from .instruments import definition, lookups

SUBJECTS_MAX = 3000  # respondents that a form offers by name; more are typed in


@dataclass
class Brought:
    """What an export did. known: brought in before, and not changed since; rejected: by the people in the field."""

    outcome: Outcome = field(default_factory=Outcome)
    schedule: str = ""
    known: int = 0
    rejected: int = 0


def form_of(schedule_code: str, round_: Round, *, cluster: Cluster | None = None) -> Form:
    """The form of a schedule for a round; for a cluster, its respondents can be chosen instead of typed."""
    instrument = definition(round_.instrument.version)
    if schedule_code not in instrument.schedules:
        raise DomainError(f"There is no schedule {schedule_code.lower()!r}.")
    subjects = subjects_of(schedule_code, round_, cluster) if cluster else []
    return build(
        instrument,
        instrument.schedule(schedule_code),
        year=round_.year,
        listings=listings(),
        subjects=subjects if len(subjects) <= SUBJECTS_MAX else [],
        scope=cluster.code if cluster else "",
        scope_name=cluster.name if cluster else "",
        is_synthetic=round_.is_synthetic,
    )


def form_file(schedule_code: str, round_: Round, *, cluster: Cluster | None = None) -> tuple[bytes, str]:
    """The XLSForm as bytes, with its file name."""
    if cluster is None:
        sizes = tuple(len(entries) for entries in listings().values())
        return _blank(schedule_code, round_, (round_.year, round_.instrument.version, round_.is_synthetic, *sizes))
    form = form_of(schedule_code, round_, cluster=cluster)
    return workbook(form), f"{form.id}.xlsx"


@lru_cache(maxsize=16)
def _blank(schedule_code: str, round_: Round, made_of: tuple) -> tuple[bytes, str]:
    """A form for any cluster, kept because anybody may ask for it. made_of : what it depends on beside the round."""
    form = form_of(schedule_code, round_)
    return workbook(form), f"{form.id}.xlsx"


def listings() -> dict[str, dict[str, str]]:
    """The classifications as forms show them: code → title."""
    found = lookups()
    return {
        "isic4": dict(found.isic4 or {}),
        "hs4": dict(found.hs4 or {}),
        "iso3166_2": {code: entry[0] for code, entry in (found.regions or {}).items()},
    }


def subjects_of(schedule_code: str, round_: Round, cluster: Cluster) -> list[str]:
    """Who answers a schedule in a cluster, by code; never a name of a firm."""
    if schedule_code == "UNIT":
        frame = FrameEntry.objects.filter(round=round_, cluster=cluster, in_scope=True, drawn=True)
        return list(frame.order_by("unit__frame_id").values_list("unit__frame_id", flat=True))
    if schedule_code == "ASSOCIATION":
        roles = ClusterRole.objects.filter(cluster=cluster, role=ClusterRole.Role.ASSOCIATION)
        return [f"{cluster.code}/{slug}" for slug in roles.order_by("pk").values_list("organisation__slug", flat=True)]
    if schedule_code == "REGION":
        return [cluster.region_id] if cluster.region_id else []
    return [cluster.code]


def import_submissions(content: bytes, name: str, *, round_: Round, by, dry_run: bool = False) -> Brought:
    """Make drafts of what ODK Central or KoboToolbox exported: all of it or none.

    A whole export may be sent again and again as it grows. A submission that was brought in already and is unchanged is
    passed over, even where its return was corrected, or handed in, since; an edited one replaces the answers it names.
    Failed checks stay open points of the draft, for nobody stands before the firm any more; only values that cannot be
    read refuse the file.
    """
    brought = Brought()
    try:
        records = _records(content, name)
        part = schedule_of(records, definition(round_.instrument.version).schedules)
        found = submissions_of(records, part)
    except (RecordProblem, Refused) as problem:
        brought.outcome.refuse(RowProblem(name, "", Problem("", "file", "hard", str(problem), "")))
        return brought
    brought.schedule = part.code
    for one in found:
        if not one.is_rejected and (refusal := _other_round(one, part.code, round_)):
            brought.outcome.refuse(refusal)
    if brought.outcome.refused:
        return brought
    brought.rejected = sum(one.is_rejected for one in found)
    wanted = [one for one in found if not one.is_rejected]
    with transaction.atomic():
        before = _brought_in(round_, part.code, wanted, by)
        fresh = [one for one in wanted if not one.instance or before.get((one.subject, one.instance)) != _digest(one)]
        brought.known = len(wanted) - len(fresh)
        brought.outcome = save_drafts(
            round_=round_,
            schedule_code=part.code,
            rows=[Row(one.subject, one.raw, one.place, one.explanations) for one in fresh],
            by=by,
            channel=Return.Channel.FIELD,
            keep_failing=True,
            dry_run=dry_run,
            is_synthetic=round_.is_synthetic,
        )
        if not brought.outcome.refused and not dry_run:
            _remember(fresh, brought.outcome.returns, by)
    return brought


def _records(content: bytes, name: str) -> Records:
    """An export as records. A workbook is opened where every other workbook is, in a child process; text of at most
    10 MB cannot swell, and is read here.
    """
    if content[:2] != b"PK":
        return read_records(content, name)
    with open_table(content) as table:
        return of_table(table.header, list(table.rows))


def _other_round(one: Submission, schedule_code: str, round_: Round) -> RowProblem | None:
    """Refuse what was collected for another round or schedule, and invented figures in a real round."""
    if one.stamp and one.stamp != names.stamp(schedule_code, round_.year):
        message = f"It was collected for {one.stamp[:40]}, not for {names.stamp(schedule_code, round_.year)}."
        mend = "Choose that round, or export one form at a time."
        return RowProblem(one.place, one.subject, Problem("", "submission-round", "hard", message, mend))
    if one.is_synthetic and not round_.is_synthetic:
        message = "It was filled in on a demonstration form, with invented figures."
        return RowProblem(
            one.place, one.subject, Problem("", "submission-invented", "hard", message, "Leave it out of the export.")
        )
    return None


def _digest(one: Submission) -> str:
    return store.keyed_digest(store.canonical([one.subject, dict(one.raw), dict(one.explanations)]))


def _brought_in(round_: Round, schedule_code: str, found: Iterable[Submission], by) -> dict[tuple[str, str], str]:
    """Digests of submissions brought in before, by subject and instance; only of returns that the person may write."""
    before: dict[tuple[str, str], str] = {}
    for part in chunks({one.subject for one in found}):
        returns = Return.objects.filter(round=round_, schedule=schedule_code, subject__in=part)
        mine = policy.scope(by, "return.write", returns)
        rows = FieldSubmission.objects.filter(ret__in=mine.values("pk"))
        before |= {(s, i): digest for s, i, digest in rows.values_list("ret__subject", "instance", "digest")}
    return before


def _remember(fresh: Iterable[Submission], returns: Iterable[Return], by) -> None:
    by_subject = {ret.subject: ret for ret in returns}
    rows = [
        FieldSubmission(ret=by_subject[one.subject], instance=one.instance, digest=_digest(one), by=by)
        for one in fresh
        if one.instance
    ]
    FieldSubmission.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["ret", "instance"],
        update_fields=["digest", "by", "at"],
    )

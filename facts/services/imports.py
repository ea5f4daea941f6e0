"""Returns from rows: one service behind file, API and the demonstration loader. All rows or none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from clusters.models import Cluster, ClusterRole, Region, Unit
from core import policy
from core.audit.models import record_many
from core.base import Conflict
from facts.models import Return, Round
from facts.validation import Problem, Reading, read_answers
from facts.vault import store

from .bulk import chunks, write_many
from .contexts import contexts_for
from .drafts import merged
from .findings import EMPTY, findings_of, measure
from .instruments import lookups, schedule

KEYS = {"UNIT": "unit", "CLUSTER": "cluster", "ASSOCIATION": "association", "REGION": "region"}


@dataclass(frozen=True)
class Row:
    """One return as it came in. `place` names it in messages: "row 3", "/returns/2"."""

    subject: str
    raw: Mapping[str, Any]
    place: str
    explanations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RowProblem:
    """A problem and where it is."""

    place: str
    subject: str
    problem: Problem

    def __str__(self) -> str:
        column = f", column {self.problem.question}" if self.problem.question else ""
        return f"{self.place}{column}: {self.problem.message} {self.problem.mend} [{self.problem.rule}]".strip()


@dataclass
class Outcome:
    """What an import did. With `refused` nothing was stored; `open_points` are findings on stored drafts."""

    returns: list[Return] = field(default_factory=list)
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: list[RowProblem] = field(default_factory=list)
    open_points: list[RowProblem] = field(default_factory=list)


def _refusal(row: Row, rule: str, message: str, mend: str) -> RowProblem:
    return RowProblem(row.place, row.subject, Problem("", rule, "hard", message, mend))


class _Rollback(Exception):
    """Leaves the transaction without keeping anything."""


def save_drafts(
    *,
    round_: Round,
    schedule_code: str,
    rows: Iterable[Row],
    by,
    channel: str,
    scale: int = 1,
    keep_failing: bool = False,
    dry_run: bool = False,
    is_synthetic: bool = False,
    source: str = "",
) -> Outcome:
    """Make or update the draft of every row, or of none. Questions that a row does not name keep their answers.

    Refused are values that cannot be read, unknown or foreign respondents, respondents named twice, returns already
    handed in, and (unless `keep_failing`) failed hard checks. Answers still missing refuse nothing: a draft may be
    incomplete. The person `by` must be allowed to write each return; others are answered as if they did not exist.
    """
    outcome = Outcome()
    try:
        with transaction.atomic():
            _save_drafts(
                outcome,
                round_,
                schedule_code,
                list(rows),
                by,
                channel,
                scale,
                keep_failing,
                is_synthetic,
                source,
            )
            if outcome.refused or dry_run:
                raise _Rollback
    except IntegrityError:
        raise Conflict("Somebody else brought in the same returns at this moment. Try again.") from None
    except _Rollback:
        if outcome.refused:
            outcome.returns, outcome.created, outcome.updated, outcome.unchanged = [], 0, 0, 0
    return outcome


def _save_drafts(outcome, round_, schedule_code, rows, by, channel, scale, keep_failing, is_synthetic, source) -> None:
    part = schedule(round_.instrument.version, schedule_code)
    round_ = Round.objects.select_for_update(of=("self",)).select_related("instrument").get(pk=round_.pk)
    if round_.state != Round.State.OPEN:
        outcome.refused.append(
            RowProblem(
                f"round {round_.year}",
                "",
                Problem(
                    "",
                    "round-open",
                    "hard",
                    f"Round {round_.year} is {round_.state}.",
                    "Only an open round takes returns.",
                ),
            )
        )
        return
    targets = _targets(schedule_code, [row.subject for row in rows])
    existing: dict[str, Return] = {}
    for subjects in chunks(targets):
        found = (
            Return.objects.select_for_update(of=("self",))
            .filter(round=round_, schedule=schedule_code, subject__in=subjects)
            .select_related("cluster", "region", "round__instrument")
        )
        existing.update({ret.subject: ret for ret in found})
    collectors = _collectors(by) if schedule_code == "UNIT" else {}
    new = [
        Return(
            round=round_,
            schedule=schedule_code,
            subject=subject,
            scale=scale,
            channel=channel,
            is_synthetic=is_synthetic,
            source=source,
            collector_id=collectors.get(target["cluster"].pk) if schedule_code == "UNIT" else None,
            **target,
        )
        for subject, target in targets.items()
        if subject not in existing
    ]
    Return.objects.bulk_create(new, batch_size=300)
    made = {ret.subject: ret for ret in new}
    every = existing | made
    # Scope before all else: of a foreign respondent not even the state of its return, or how an answer reads, is told.
    writable = _writable(every, by)
    field_clusters = _field_clusters(by)
    seen: dict[str, str] = {}
    readings: dict[str, Reading] = {}
    readable: list[Row] = []
    for row in rows:
        if row.subject in seen:
            outcome.refused.append(
                _refusal(
                    row,
                    "respondent-once",
                    f"{row.subject} stands here and in {seen[row.subject]}.",
                    "Keep one of the two.",
                )
            )
            continue
        seen[row.subject] = row.place
        if row.subject not in writable:
            outcome.refused.append(_unknown(row, schedule_code))
            continue
        ret = every[row.subject]
        if not ret.is_editable:
            outcome.refused.append(
                _refusal(
                    row,
                    "return-editable",
                    f"The return of {row.subject} is {ret.get_state_display().lower()}.",
                    "It can change only after it was sent back.",
                )
            )
            continue
        reading = read_answers(part, row.raw, scale=scale, lookups=lookups())
        outcome.refused += [RowProblem(row.place, row.subject, problem) for problem in reading.problems]
        if not reading.problems:
            readings[row.subject] = reading
            readable.append(row)
        for code, option in _staff_only(part, reading.answers):
            if ret.cluster_id not in field_clusters:
                outcome.refused.append(_for_field_staff(row, code, option))
    # Rows that can be read are checked even where others cannot: a person mends everything in one go.
    earlier = store.open_answers((ret.pk, 0) for ret in existing.values())
    contexts = contexts_for(round_, list(every.values()))
    payloads, changed = {}, []
    for row in readable:
        ret, reading = every[row.subject], readings[row.subject]
        old = earlier.get(ret.pk, EMPTY)
        payload = merged(old, row.raw, reading, row.explanations)
        findings = findings_of(ret, payload, contexts[ret.pk])
        for problem in findings.problems:
            fails = problem.severity == "hard" and not problem.rule.endswith("-required")
            found = RowProblem(row.place, row.subject, problem)
            (outcome.refused if fails and not keep_failing else outcome.open_points).append(found)
        if ret.pk in earlier and payload == old:
            outcome.unchanged += 1
            continue
        payloads[ret.pk] = payload
        measure(ret, findings)
        ret.scale, ret.channel = scale, channel
        ret.revision += 1
        if by.pk not in ret.typed_by:
            ret.typed_by = [*ret.typed_by, by.pk]
        changed.append(ret)
    if outcome.refused:
        return
    store.put_drafts(payloads)
    fields = ["answered", "asked", "core_share", "scale", "channel", "revision", "typed_by"]
    write_many(changed, fields)
    record_many(
        [
            (
                "return.import",
                ret,
                {
                    "fields": _changed(earlier.get(ret.pk, EMPTY), payloads[ret.pk]),
                    "channel": channel,
                    "revision": ret.revision,
                },
            )
            for ret in changed
        ],
        by=by,
    )
    outcome.returns = list(every.values())
    outcome.created = len(made)
    outcome.updated = len(changed) - len(made)


def _changed(old: Mapping, new: Mapping) -> list[str]:
    """The questions whose answer or marker differs."""
    before, after = old["answers"] | old["markers"], new["answers"] | new["markers"]
    return sorted(code for code in before.keys() | after.keys() if before.get(code) != after.get(code))


def _collectors(by) -> dict[int, int]:
    """For which clusters a person may collect unit returns, and in which organisation's name."""
    organisations = [
        grant.organisation_id
        for grant in policy.grants_of(by)
        if grant.role in (policy.Role.ENTRY, policy.Role.HEAD, policy.Role.CLIENT)
    ]
    roles = ClusterRole.objects.filter(organisation__in=organisations, role__in=["association", "collector"])
    return dict(roles.order_by("pk").values_list("cluster_id", "organisation_id"))


def _field_clusters(by) -> set[int]:
    """Clusters for which the person's organisation was appointed to collect: its people visit firms."""
    organisations = [grant.organisation_id for grant in policy.grants_of(by) if grant.organisation_id]
    roles = ClusterRole.objects.filter(organisation__in=organisations, role="collector")
    return set(roles.values_list("cluster_id", flat=True))


def _staff_only(part, answers: Mapping[str, Any]):
    """Yield (question, option) of answers that only field staff may give."""
    for code, value in answers.items():
        for option in part.questions[code].options:
            if option.staff_only and option.code == value:
                yield code, option


def _for_field_staff(row: Row, code: str, option) -> RowProblem:
    message = f"“{option.label}” is for field staff who visited the firm."
    return RowProblem(
        row.place, row.subject, Problem(code, f"{code}-staff", "hard", message, "Choose what the firm itself says.")
    )


def _unknown(row: Row, schedule_code: str) -> RowProblem:
    return _refusal(
        row,
        "respondent-known",
        f"There is no {KEYS[schedule_code]} {row.subject!r} among yours.",
        "Use the code as the frame or the template shows it.",
    )


def _targets(schedule_code: str, subjects: list[str]) -> dict[str, dict]:
    """Find what each subject names: the foreign keys of its return."""
    found: dict[str, dict] = {}
    for part in chunks(dict.fromkeys(subjects)):
        if schedule_code == "UNIT":
            for unit in Unit.objects.filter(frame_id__in=part).select_related("cluster__country"):
                found[unit.frame_id] = _of_cluster(unit.cluster) | {"unit": unit}
        elif schedule_code == "CLUSTER":
            for cluster in Cluster.objects.filter(code__in=part).select_related("country"):
                found[cluster.code] = _of_cluster(cluster)
        elif schedule_code == "REGION":
            for region in Region.objects.filter(code__in=part).select_related("country"):
                found[region.code] = {"region": region, "currency": region.country.currency}
        else:
            codes = [subject.partition("/")[0] for subject in part]
            roles = ClusterRole.objects.filter(role="association", cluster__code__in=codes)
            for role in roles.select_related("cluster__country", "organisation"):
                subject = f"{role.cluster.code}/{role.organisation.slug}"
                if subject in part:
                    found[subject] = _of_cluster(role.cluster) | {"organisation": role.organisation}
    return found


def _of_cluster(cluster: Cluster) -> dict:
    return {"cluster": cluster, "currency": cluster.country.currency}


def _writable(every: dict[str, Return], by) -> set[str]:
    """The subjects that the person may write; all others are answered as if they did not exist."""
    allowed: set[str] = set()
    for part in chunks(ret.pk for ret in every.values()):
        mine = policy.scope(by, "return.write", Return.objects.filter(pk__in=part))
        allowed.update(mine.values_list("subject", flat=True))
    return allowed

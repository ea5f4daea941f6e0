"""Returns from rows: one service behind file, API and the demonstration loader. All rows or none."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.db import IntegrityError, transaction

from clusters.models import Cluster, ClusterRole, Region, Unit
from core import policy
from core.audit.models import record_many
from core.base import Conflict
from core.bulk import allocate_keys, insert_many
from facts.models import Return, Round
from facts.validation import Problem, read_answers
from facts.vault import store

from .bulk import chunks, write_many
from .collectors import clusters_to_collect, field_clusters
from .contexts import contexts_for
from .deadlines import hold_round, lock_reasons
from .drafts import merged
from .findings import EMPTY, findings_of, measure
from .instruments import lookups, schedule

PART = 2000  # rows judged and stored together
REPORTED = 1000  # problems told one by one
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
    """What an import did. With `refused` nothing was stored; `open_points` are findings on stored drafts.

    The lists end at `REPORTED` entries; the counts go on.
    """

    returns: list[Return] = field(default_factory=list)
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: list[RowProblem] = field(default_factory=list)
    open_points: list[RowProblem] = field(default_factory=list)
    n_refused: int = 0
    n_open_points: int = 0

    def refuse(self, found: RowProblem) -> None:
        self.n_refused += 1
        if len(self.refused) < REPORTED:
            self.refused.append(found)

    def note(self, found: RowProblem) -> None:
        self.n_open_points += 1
        if len(self.open_points) < REPORTED:
            self.open_points.append(found)


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
    keep_returns: bool = True,
    progress: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """Make or update the draft of every row, or of none. Questions that a row does not name keep their answers.

    Refused are values that cannot be read, unknown or foreign respondents, respondents named twice, returns already
    handed in, and (unless `keep_failing`) failed hard checks. Answers still missing refuse nothing: a draft may be
    incomplete. The person `by` must be allowed to write each return; others are answered as if they did not exist.

    Rows are taken a part at a time, so that memory does not grow with the file; `keep_returns=False` leaves the
    list of returns out for the same reason. `progress` is told the rows done.
    """
    outcome = Outcome()
    try:
        with transaction.atomic():
            held = hold_round(round_.pk)
            if held.state != Round.State.OPEN:
                outcome.refuse(_round_is_shut(held))
                raise _Rollback
            importing = _Import(
                outcome, held, schedule_code, by, channel, scale, keep_failing, is_synthetic, source, keep_returns
            )
            done, rows = 0, iter(rows)
            while part := list(islice(rows, PART)):
                importing.take(part)
                progress(done := done + len(part))
                if outcome.n_refused >= REPORTED:
                    break
            if outcome.refused or dry_run:
                raise _Rollback
    except IntegrityError:
        raise Conflict("Somebody else brought in the same returns at this moment. Try again.") from None
    except _Rollback:
        if outcome.refused:
            outcome.returns, outcome.created, outcome.updated, outcome.unchanged = [], 0, 0, 0
    return outcome


def _round_is_shut(round_: Round) -> RowProblem:
    message = f"Round {round_.year} is {round_.state}."
    problem = Problem("", "round-open", "hard", message, "Only an open round takes returns.")
    return RowProblem(f"round {round_.year}", "", problem)


@dataclass
class _Import:
    """One import under way: what holds for all its parts, and whom it has seen."""

    outcome: Outcome
    round_: Round
    schedule_code: str
    by: Any
    channel: str
    scale: int
    keep_failing: bool
    is_synthetic: bool
    source: str
    keep_returns: bool
    seen: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.part = schedule(self.round_.instrument.version, self.schedule_code)
        is_unit = self.schedule_code == "UNIT"
        self.collectors = clusters_to_collect(self.by, self.round_) if is_unit else {}
        self.field_clusters = field_clusters(self.by, self.round_) if is_unit else set()
        self.lookups = lookups()
        self.staff_options = _staff_options(self.part)
        self.clusters: dict[int, Cluster] = {}

    def take(self, rows: list[Row]) -> None:
        """Judge a part of the rows, and store it as long as nothing was refused."""
        every, new = self._returns([row.subject for row in rows])
        existing = [ret for ret in every.values() if ret.pk not in new]
        earlier = store.open_answers((ret.pk, 0) for ret in existing)
        contexts = contexts_for(self.round_, list(every.values()), for_user=self.by)
        locked = lock_reasons(ret for ret in every.values() if ret.is_editable)
        here = _Part(every, earlier, contexts, locked)
        places: dict[str, str] = {}
        for row in rows:
            self._judge(row, here, places)
        insert_many([ret for ret in every.values() if ret.pk in new])
        # Of a foreign respondent nothing is told: not the state of its return, nor how an answer compares.
        writable = _writable(every, self.by)
        for row in rows:
            if places.get(row.subject) == row.place and row.subject not in writable:
                self.outcome.refuse(_unknown(row, self.schedule_code))
        for found in here.refused:
            if found.subject in writable or found.problem.rule == "respondent-once":
                self.outcome.refuse(found)
        for found in here.open_points:
            if found.subject in writable:
                self.outcome.note(found)
        if self.outcome.refused:
            return
        self._store(here, new)
        self.outcome.unchanged += here.unchanged
        if self.keep_returns:
            self.outcome.returns += every.values()
        self.outcome.created += len(new)
        self.outcome.updated += sum(ret.pk not in new for ret in here.changed)

    def _returns(self, subjects: list[str]) -> tuple[dict[str, Return], set[int]]:
        """The returns of a part by subject, and the keys of those that are new and not stored yet."""
        targets = _targets(self.schedule_code, subjects, self.clusters)
        every: dict[str, Return] = {}
        for names in chunks(targets):
            found = (
                Return.objects.select_for_update(of=("self",))
                .filter(round=self.round_, schedule=self.schedule_code, subject__in=names)
                .select_related("region")
            )
            for ret in found:
                ret.round = self.round_
                if ret.cluster_id:
                    ret.cluster = targets[ret.subject]["cluster"]
                every[ret.subject] = ret
        names = [subject for subject in targets if subject not in every]
        keys = allocate_keys(Return, len(names)) if names else []
        for key, subject in zip(keys, names, strict=True):
            target = targets[subject]
            every[subject] = Return(
                pk=key,
                round=self.round_,
                schedule=self.schedule_code,
                subject=subject,
                scale=self.scale,
                channel=self.channel,
                is_synthetic=self.is_synthetic,
                source=self.source,
                collector_id=self.collectors.get(target["cluster"].pk) if self.schedule_code == "UNIT" else None,
                **target,
            )
        return every, set(keys)

    def _judge(self, row: Row, here: "_Part", places: dict[str, str]) -> None:
        """Read and check one row. What is refused refuses the whole import, but the others are still looked at."""
        ret = here.every.get(row.subject)
        if row.subject in places or (ret is not None and self._was_seen(ret)):
            earlier = places.get(row.subject, "an earlier row")
            message = f"{row.subject} stands here and in {earlier}."
            here.refused.append(_refusal(row, "respondent-once", message, "Keep one of the two."))
            return
        places[row.subject] = row.place
        if ret is None:
            return  # refused as unknown, like a foreign one
        if not ret.is_editable:
            message = f"The return of {row.subject} is {ret.get_state_display().lower()}."
            mend = "It can change only after it was sent back."
            here.refused.append(_refusal(row, "return-editable", message, mend))
            return
        if reason := here.locked.get(row.subject):
            here.refused.append(_refusal(row, "round-open", reason, ""))
            return
        reading = read_answers(self.part, row.raw, scale=self.scale, lookups=self.lookups)
        for code, option in self.staff_options:
            if reading.answers.get(code) == option.code and ret.cluster_id not in self.field_clusters:
                here.refused.append(_for_field_staff(row, code, option))
        if reading.problems:
            here.refused += [RowProblem(row.place, row.subject, problem) for problem in reading.problems]
            return
        old = here.earlier.get(ret.pk, EMPTY)
        payload = merged(old, row.raw, reading, row.explanations)
        findings = findings_of(ret, payload, here.contexts[ret.pk])
        for problem in findings.problems:
            fails = problem.severity == "hard" and not problem.rule.endswith("-required")
            found = RowProblem(row.place, row.subject, problem)
            (here.refused if fails and not self.keep_failing else here.open_points).append(found)
        if ret.pk in here.earlier and payload == old:
            here.unchanged += 1
            return
        here.payloads[ret.pk] = payload
        measure(ret, findings)
        ret.scale, ret.channel = self.scale, self.channel
        ret.revision += 1
        if self.by.pk not in ret.typed_by:
            ret.typed_by = [*ret.typed_by, self.by.pk]
        here.changed.append(ret)

    def _was_seen(self, ret: Return) -> bool:
        """Whether an earlier part named the same respondent; a bit for each, so that a million take no room."""
        key = ret.unit_id or ret.organisation_id or ret.cluster_id or 0
        if self.schedule_code == "REGION" or self.schedule_code == "ASSOCIATION":
            return False  # a handful: all in one part
        byte, bit = divmod(key, 8)
        if byte >= len(self.seen):
            self.seen.extend(bytes(byte + 1 - len(self.seen) + 65536))
        if self.seen[byte] & (1 << bit):
            return True
        self.seen[byte] |= 1 << bit
        return False

    def _store(self, here: "_Part", new: set[int]) -> None:
        store.put_drafts(here.payloads, fresh=new)
        fields = ["answered", "asked", "core_share", "scale", "channel", "revision", "typed_by"]
        write_many([ret for ret in here.changed if ret.pk not in new], fields)
        entries = [
            (
                "return.import",
                ret,
                {
                    "fields": _changed(here.earlier.get(ret.pk, EMPTY), here.payloads[ret.pk]),
                    "channel": self.channel,
                    "revision": ret.revision,
                },
            )
            for ret in here.changed
        ]
        record_many(entries, by=self.by)


@dataclass
class _Part:
    """Some rows while they are judged."""

    every: dict[str, Return]
    earlier: dict[int, dict]
    contexts: Mapping[int, Any]
    locked: Mapping[str, str]
    payloads: dict[int, dict] = field(default_factory=dict)
    changed: list[Return] = field(default_factory=list)
    refused: list[RowProblem] = field(default_factory=list)
    open_points: list[RowProblem] = field(default_factory=list)
    unchanged: int = 0


def _changed(old: Mapping, new: Mapping) -> list[str]:
    """The questions whose answer or marker differs."""
    before, after = old["answers"] | old["markers"], new["answers"] | new["markers"]
    return sorted(code for code in before.keys() | after.keys() if before.get(code) != after.get(code))


def _staff_options(part) -> list:
    """The questions and options of a schedule that only field staff may give."""
    return [(code, one) for code, question in part.questions.items() for one in question.options if one.staff_only]


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


def _targets(schedule_code: str, subjects: list[str], clusters: dict[int, Cluster]) -> dict[str, dict]:
    """Find what each subject names: the foreign keys of its return. `clusters` remembers those met before."""
    found: dict[str, dict] = {}
    for part in chunks(dict.fromkeys(subjects)):
        if schedule_code == "UNIT":
            units = list(Unit.objects.filter(frame_id__in=part).values_list("pk", "frame_id", "cluster_id"))
            unmet = {cluster for _, _, cluster in units} - clusters.keys()
            if unmet:
                clusters |= Cluster.objects.select_related("country").in_bulk(unmet)
            for pk, frame_id, cluster in units:
                found[frame_id] = _of_cluster(clusters[cluster]) | {"unit_id": pk}
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

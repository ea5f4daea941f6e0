"""The life of a return: draft, submit with certification, review, accept, send back.

Every step is one transaction of state, answers and audit. Lists and single returns go the same way, so that what a
person does to one return is what an import does to a thousand.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core.audit.models import record, record_many
from core.base import Conflict, DomainError
from facts.models import Flag, Return, Round
from facts.validation import Problem, answered_core_share, asked, check, read_answers
from facts.vault import store

from .contexts import contexts_for, payloads
from .instruments import lookups, schedule

EXPLANATION_MIN = 10  # characters


class NotSubmittable(DomainError):
    """Open points keep a return from being submitted; `problems` holds them by return id."""

    def __init__(self, problems: dict[int, list[Problem]]):
        self.problems = problems
        count = sum(len(found) for found in problems.values())
        super().__init__(f"{count} open point{'s' if count != 1 else ''} must be settled before submission.")


@dataclass(frozen=True)
class Saved:
    """What a save did: the return as stored, values refused while reading, and what the checks say now."""

    ret: Return
    refused: list[Problem]
    findings: list[Problem]


@dataclass
class Findings:
    """What the checks say of one return, and how far it is."""

    problems: list[Problem]
    asked: list[str]
    answered: int
    core_share: float | None
    unexplained: list[Problem] = field(default_factory=list)

    @property
    def hard(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "hard"]

    @property
    def soft(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "soft"]


EMPTY = {"answers": {}, "markers": {}, "explanations": {}}


def schedule_of(ret: Return):
    """The instrument's schedule that a return answers."""
    return schedule(ret.round.instrument.version, ret.schedule)


def findings_of(ret: Return, payload: Mapping, context) -> Findings:
    """Run every check of the schedule over a payload."""
    part = schedule_of(ret)
    answers, markers = payload["answers"], payload["markers"]
    problems = check(part, answers, markers, context)
    codes = asked(part, answers, context)
    given = sum(code in answers or code in markers for code in codes)
    explanations = payload.get("explanations", {})
    unexplained = [
        problem
        for problem in problems
        if problem.severity == "soft" and len(explanations.get(problem.rule, "").strip()) < EXPLANATION_MIN
    ]
    return Findings(problems, codes, given, answered_core_share(part, answers, markers, context), unexplained)


def _as_asked(payload: Mapping, codes: Iterable[str]) -> dict:
    """What is handed in: answers to questions that routing asks. The draft keeps the others, said not to be used."""
    kept = set(codes)
    return {
        **payload,
        "answers": {code: value for code, value in payload["answers"].items() if code in kept},
        "markers": {code: value for code, value in payload["markers"].items() if code in kept},
    }


def touched_codes(raw: Mapping, reading) -> list[str]:
    """The questions that a save changes: those sent, but for the values that could not be read."""
    refused = {problem.question for problem in reading.problems}
    return [code for code in raw if code not in refused]


def merged(current: Mapping, touched: Iterable[str], reading, explanations: Mapping[str, str]) -> dict:
    """Lay what was read over the stored payload. A touched question without answer loses its old one."""
    touched = set(touched)
    said = {**current.get("explanations", {}), **explanations}
    return {
        "answers": {c: v for c, v in current["answers"].items() if c not in touched} | reading.answers,
        "markers": {c: v for c, v in current["markers"].items() if c not in touched} | reading.markers,
        "explanations": {rule: text.strip()[:1000] for rule, text in said.items() if text.strip()},
    }


@transaction.atomic
def save_answers(
    ret: Return,
    raw: Mapping,
    *,
    by,
    expected_revision: int,
    scale: int | None = None,
    explanations: Mapping[str, str] | None = None,
    channel: str = Return.Channel.WEB,
) -> Saved:
    """Merge what was typed into the working draft.

    A value that cannot be read is refused by itself; the others are kept. An empty string takes an answer out.
    Raises Conflict, with the stored payload, when somebody saved after `expected_revision`.
    """
    if not ret.is_editable:
        raise DomainError(f"This return is {ret.get_state_display().lower()}; it can no longer be changed here.")
    _require_open([ret])
    taken = Return.objects.filter(pk=ret.pk, revision=expected_revision, state=ret.state).update(
        revision=F("revision") + 1
    )
    current = payloads([ret]).get(ret.pk, EMPTY)
    if not taken:
        raise Conflict("Somebody else saved this return in the meantime. Nothing of yours was stored yet.", current)
    ret.revision = expected_revision + 1
    scale = scale or ret.scale
    reading = read_answers(schedule_of(ret), raw, scale=scale, lookups=lookups())
    touched = touched_codes(raw, reading)
    payload = merged(current, touched, reading, explanations or {})
    answers, markers = payload["answers"], payload["markers"]
    findings = findings_of(ret, payload, contexts_for(ret.round, [ret])[ret.pk])
    store.put_drafts({ret.pk: payload})
    changed = sorted(
        code
        for code in touched
        if current["answers"].get(code) != answers.get(code) or current["markers"].get(code) != markers.get(code)
    )
    if scale != ret.scale:
        changed.append("scale")
    ret.scale, ret.channel = scale, channel
    _measure(ret, findings)
    if by.pk not in ret.typed_by:
        ret.typed_by = [*ret.typed_by, by.pk]
    ret.save(update_fields=["scale", "channel", "answered", "asked", "core_share", "typed_by", "updated_at"])
    if changed or explanations:
        record("return.save", ret, by=by, fields=changed, channel=channel, revision=ret.revision)
    return Saved(ret, reading.problems, findings.problems)


def _require_open(returns: Iterable[Return]) -> None:
    """Hold the round until the transaction ends, so that it cannot be closed meanwhile; refuse a closed one."""
    for pk in sorted({ret.round_id for ret in returns}):
        round_ = Round.objects.select_for_update().get(pk=pk)
        if round_.state != Round.State.OPEN:
            raise DomainError(
                f"Round {round_.year} is {round_.get_state_display().lower()}. Only an open round takes returns."
            )


def explain(returns: Iterable[Return], explanations: Mapping[int, Mapping[str, str]]) -> None:
    """Add explanations of soft checks, by return id and rule, to drafts. For loaders: people use `save_answers`."""
    opened = payloads([ret for ret in returns if ret.is_editable])
    for pk, payload in opened.items():
        payload["explanations"] = {**payload.get("explanations", {}), **explanations[pk]}
    store.put_drafts(opened)


def _measure(ret: Return, findings: Findings) -> None:
    ret.answered, ret.asked, ret.core_share = findings.answered, len(findings.asked), findings.core_share


@transaction.atomic
def submit(returns: Iterable[Return], *, by, certified_name: str) -> dict[int, str]:
    """Seal a version of each return and hand it in for review; all of them or none.

    Returns the receipt digest by return id. Raises NotSubmittable with every open point.
    """
    returns = list(returns)
    if not certified_name.strip():
        raise DomainError("Whoever certifies gives a name.")
    _require_open(returns)
    seen = {ret.pk: (ret.revision, ret.version, ret.state) for ret in returns}
    if locked_states(seen) != seen:
        raise Conflict("Somebody else saved this return in the meantime. Look at it again, then submit.")
    if any(not ret.is_editable for ret in returns):
        raise DomainError("Only a draft, or a return that was sent back, can be submitted.")
    opened = payloads(returns)
    findings: dict[int, Findings] = {}
    blocking: dict[int, list[Problem]] = {}
    for _, group in _by_round(returns):
        contexts = contexts_for(group[0].round, group, with_unit_shares=group[0].schedule == "ASSOCIATION")
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
    flags = []
    for ret in returns:
        ret.version += 1
        ret.state = Return.State.SUBMITTED
        ret.submitted_at = now
        ret.first_submitted_at = ret.first_submitted_at or now
        ret.submitted_by = by
        ret.certified_name = certified_name.strip()[:120]
        ret.decided_at = ret.decided_by = None
        _measure(ret, findings[ret.pk])
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
    fields = "version state submitted_at first_submitted_at submitted_by certified_name decided_at decided_by"
    write_many(returns, [*fields.split(), "answered", "asked", "core_share"])
    Flag.objects.bulk_create(flags, batch_size=500)
    record_many(
        [("return.submit", ret, {"version": ret.version, "digest": digests[ret.pk]}) for ret in returns],
        by=by,
    )
    return digests


def chunks(items: Iterable, size: int = 500):
    """Cut ids into parts that fit one statement on every database."""
    items = list(items)
    for start in range(0, len(items), size):
        yield items[start : start + size]


def locked_states(ids: Iterable[int]) -> dict[int, tuple[int, int, str]]:
    """Lock returns until the transaction ends; say revision, version and state of each."""
    found = {}
    for part in chunks(ids):
        rows = Return.objects.select_for_update().filter(pk__in=part).order_by("pk")
        found.update({pk: tuple(rest) for pk, *rest in rows.values_list("pk", "revision", "version", "state")})
    return found


def write_many(returns: list[Return], fields: list[str]) -> None:
    """Write the same fields of many existing returns. An upsert by key: `bulk_update` took half of an import's time."""
    Return.objects.bulk_create(returns, update_conflicts=True, unique_fields=["id"], update_fields=fields)


def _by_round(returns: list[Return]):
    groups: dict[tuple[int, str], list[Return]] = {}
    for ret in returns:
        groups.setdefault((ret.round_id, ret.schedule), []).append(ret)
    return groups.items()


def _may_decide(ret: Return, by) -> None:
    if ret.state not in (Return.State.SUBMITTED, Return.State.IN_REVIEW):
        raise DomainError(f"This return is {ret.get_state_display().lower()}; there is nothing to decide.")
    if by.pk == ret.submitted_by_id or by.pk in ret.typed_by:
        raise DomainError("Who typed in a return or submitted it does not decide on it. Ask a colleague.")


@transaction.atomic
def start_review(ret: Return, *, by) -> None:
    """Take a submitted return into review."""
    _require_open([ret])
    _may_decide(ret, by)
    if ret.state == Return.State.SUBMITTED:
        _step(ret, Return.State.IN_REVIEW, by)


def _step(ret: Return, state: str, by, *, decided: bool = False, **detail) -> None:
    """Move one return on, only from the state and version that were seen."""
    changes = {"state": state}
    if decided:
        changes |= {"decided_at": timezone.now(), "decided_by": by}
    moved = Return.objects.filter(pk=ret.pk, state=ret.state, version=ret.version).update(**changes)
    if not moved:
        raise Conflict("Somebody else decided on this return in the meantime.")
    was, ret.state = ret.state, state
    record(f"return.{state}", ret, by=by, was=was, version=ret.version, **detail)


@transaction.atomic
def accept(returns: Iterable[Return], *, by, override_reason: str = "") -> None:
    """Accept returns; all of them or none.

    A return whose core questions are answered "don't know" or "refused" needs a reason in words.
    """
    returns = list(returns)
    _require_open(returns)
    now_there = locked_states(ret.pk for ret in returns)
    for ret in returns:
        _may_decide(ret, by)
        if now_there.get(ret.pk, (0, 0, ""))[1] != ret.version:
            raise Conflict("A newer version was handed in meanwhile. Look at it before you decide.")
    opened = store.open_answers((ret.pk, ret.version) for ret in returns)
    overridden = []
    for ret in returns:
        core = schedule_of(ret).core
        if any(code in core for code in opened[ret.pk]["markers"]):
            overridden.append(ret.pk)
    if overridden and len(override_reason.strip()) < EXPLANATION_MIN:
        raise DomainError(
            "Core questions are answered “don't know” or “refused”. To accept all the same, write why "
            f"(at least {EXPLANATION_MIN} characters)."
        )
    store.put_notes([(ret.pk, ret.version) for ret in returns if ret.pk in overridden], override_reason.strip(), by=by)
    now = timezone.now()
    moved = 0
    for part in chunks(ret.pk for ret in returns):
        moved += (
            Return.objects.waiting_for_review()
            .filter(pk__in=part)
            .update(state=Return.State.ACCEPTED, decided_at=now, decided_by=by)
        )
        Flag.objects.filter(ret__in=part, version=F("ret__version"), resolution=Flag.Resolution.EXPLAINED).update(
            resolution=Flag.Resolution.ACCEPTED
        )
    if moved != len(returns):
        raise Conflict("Somebody else decided on one of these returns in the meantime.")
    record_many(
        [
            (
                "return.accepted",
                ret,
                {"was": ret.state, "version": ret.version, "core_override": ret.pk in overridden},
            )
            for ret in returns
        ],
        by=by,
    )
    for ret in returns:
        ret.state = Return.State.ACCEPTED


@transaction.atomic
def send_back(ret: Return, *, by, reason: str) -> None:
    """Give a return back as a draft, with the reason; the submitted version stays as it was."""
    if len(reason.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Say what is to be mended (at least {EXPLANATION_MIN} characters).")
    _require_open([ret])
    _may_decide(ret, by)
    store.put_notes([(ret.pk, ret.version)], reason.strip()[:2000], by=by)
    _step(ret, Return.State.SENT_BACK, by, decided=True)

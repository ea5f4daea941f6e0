"""The working draft of a return: read, merged and stored as it is typed. Nothing typed is lost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from core.audit.models import record
from core.base import Conflict, DomainError
from facts.models import Return
from facts.validation import Problem, read_answers
from facts.vault import store

from .contexts import contexts_for, payloads
from .deadlines import lock_reason, require_open
from .findings import EMPTY, findings_of, measure, schedule_of
from .instruments import lookups


@dataclass(frozen=True)
class Saved:
    """What a save did: the return as stored, values refused while reading, and what the checks say now."""

    ret: Return
    refused: list[Problem]
    findings: list[Problem]


def touched_codes(raw: Mapping, reading) -> list[str]:
    """The questions that a save changes: those sent, but for the values that could not be read."""
    refused = {problem.question for problem in reading.problems}
    return [code for code in raw if code not in refused]


def merged(
    current: Mapping,
    touched: Iterable[str],
    reading,
    explanations: Mapping[str, str],
    confirmed: Iterable[str] = (),
) -> dict:
    """Lay what was read over the stored payload. A touched question without answer loses its old one.

    confirmed : touched questions whose answer was said to be the same as last year; typing anew takes that back.
    """
    touched = set(touched)
    same = {code for code in current.get("confirmed", []) if code not in touched} | (set(confirmed) & touched)
    said = {**current.get("explanations", {}), **explanations}
    return {
        "answers": {c: v for c, v in current["answers"].items() if c not in touched} | reading.answers,
        "markers": {c: v for c, v in current["markers"].items() if c not in touched} | reading.markers,
        "explanations": {rule: text.strip()[:1000] for rule, text in said.items() if text.strip()},
        "confirmed": sorted(same),
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
    confirmed: Iterable[str] = (),
    channel: str = Return.Channel.WEB,
) -> Saved:
    """Merge what was typed into the working draft.

    A value that cannot be read is refused by itself; the others are kept. An empty string takes an answer out.
    Raises Conflict, with the stored payload, when somebody saved after `expected_revision`.
    """
    require_open([ret])
    if reason := lock_reason(ret):
        raise DomainError(reason)
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
    payload = merged(current, touched, reading, explanations or {}, confirmed)
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
    measure(ret, findings)
    if by.pk not in ret.typed_by:
        ret.typed_by = [*ret.typed_by, by.pk]
    ret.save(update_fields=["scale", "channel", "answered", "asked", "core_share", "typed_by", "updated_at"])
    if changed or explanations:
        record("return.save", ret, by=by, fields=changed, channel=channel, revision=ret.revision)
    return Saved(ret, reading.problems, findings.problems)


def explain(returns: Iterable[Return], explanations: Mapping[int, Mapping[str, str]]) -> None:
    """Add explanations of soft checks, by return id and rule, to drafts. For loaders: people use `save_answers`."""
    opened = payloads([ret for ret in returns if ret.is_editable])
    for pk, payload in opened.items():
        payload["explanations"] = {**payload.get("explanations", {}), **explanations[pk]}
    store.put_drafts(opened)

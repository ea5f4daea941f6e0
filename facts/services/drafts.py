"""The working draft of a return: read, merged and stored as it is typed. Nothing typed is lost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction

from core.audit.models import record
from core.base import Conflict, DomainError
from facts.models import Return
from facts.validation import Context, Problem, read_answers
from facts.vault import store
from facts.wording import plain, rescaled, stored_text

from .collectors import is_link_holder, seal_on_save
from .contexts import contexts_for, payloads
from .deadlines import require_open, state_reason
from .findings import EMPTY, findings_of, measure, schedule_of
from .instruments import lookups
from .reading import Opened


@dataclass(frozen=True)
class Saved:
    """What a save did: the return as stored, values refused while reading, and what the checks say now.

    `opened` is the whole return after the save, so that no door needs to judge it a second time.
    """

    ret: Return
    refused: list[Problem]
    findings: list[Problem]
    opened: Opened


class Clash(Conflict):
    """Others changed the same fields since they were shown. Nothing of this save was stored.

    fields : by question (or rule, of an explanation) what was typed now and what is stored, at the return's scale.
    ret : the return as it is stored now; `current` its payload.
    """

    def __init__(self, ret: Return, fields: Mapping[str, tuple[str, str]], current: Mapping):
        super().__init__("Somebody else changed the same answers in the meantime. Nothing of yours was lost.", current)
        self.ret, self.fields = ret, fields


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
    """Merge what was typed into the working draft, if nobody saved since `expected_revision`.

    A value that cannot be read is refused by itself; the others are kept. An empty string takes an answer out.
    `scale`, where given, is what the texts are typed at and becomes the scale of the return.
    Raises Conflict, with the stored payload, when somebody saved after `expected_revision`.
    """
    context = _context(ret, by)
    with transaction.atomic():
        current = _hold(ret)
        if ret.revision != expected_revision:
            raise Conflict("Somebody else saved this return in the meantime. Nothing of yours was stored yet.", current)
        return _keep(ret, raw, current, context, by, scale or ret.scale, explanations or {}, confirmed, channel)


def save_fields(
    ret: Return,
    raw: Mapping[str, str],
    was: Mapping[str, str],
    *,
    by,
    scale: int,
    explanations: Mapping[str, str] | None = None,
    confirmed: Iterable[str] = (),
    channel: str = Return.Channel.WEB,
) -> Saved:
    """Merge single fields into the working draft, whoever else saved others meanwhile.

    raw, was : by question, what is typed now and what the field showed before; `was` also holds, by rule, the
        explanation shown before. scale : what both are typed at; the return keeps its own scale.
    A field passes when what is stored is still what was shown, or is already what is typed (the same save sent twice).
    Raises Clash, with both values, when another person changed one of them: then nothing of this save is stored.
    """
    explanations = explanations or {}
    context = _context(ret, by)
    with transaction.atomic():
        current = _hold(ret)
        questions = schedule_of(ret).questions
        raw = {code: rescaled(questions[code], text, scale, ret.scale) for code, text in raw.items()}
        was = {c: rescaled(questions[c], text, scale, ret.scale) if c in raw else text for c, text in was.items()}
        clashing = _clashing(ret, raw, was, explanations, current)
        if clashing:
            raise Clash(ret, clashing, current)
        return _keep(ret, raw, current, context, by, ret.scale, explanations, confirmed, channel)


def _context(ret: Return, by) -> Context:
    """What the checks compare with, read before anything is held: other returns' accepted answers."""
    with_shares = ret.schedule == "ASSOCIATION"
    return contexts_for(ret.round, [ret], for_user=by, with_unit_shares=with_shares)[ret.pk]


def _hold(ret: Return) -> Mapping:
    """Hold a return's row until the transaction ends and bring `ret` up to date. Returns the stored payload."""
    require_open([ret])
    held = Return.objects.select_for_update().filter(pk=ret.pk)
    now = held.values_list("revision", "scale", "state", "typed_by", "submitted_at").get()
    ret.revision, ret.scale, ret.state, ret.typed_by, ret.submitted_at = now
    if reason := state_reason(ret):
        raise DomainError(reason)
    return payloads([ret]).get(ret.pk, EMPTY)


def _clashing(ret: Return, raw: Mapping, was: Mapping, explanations: Mapping, current: Mapping) -> dict:
    """The fields that others changed since they were shown, with both texts."""
    questions, found = schedule_of(ret).questions, {}
    for code, text in raw.items():
        question = questions[code]
        stored = stored_text(question, current, ret.scale, ret.currency)
        if plain(question, stored) not in (plain(question, was.get(code, "")), plain(question, text)):
            found[code] = (text, stored)
    for rule, text in explanations.items():
        stored = current.get("explanations", {}).get(rule, "")
        if stored not in (was.get(rule, "").strip(), text.strip()):
            found[rule] = (text, stored)
    return found


def _keep(ret, raw, current, context, by, scale, explanations, confirmed, channel) -> Saved:
    """Read, merge, judge and store; the caller holds the row."""
    reading = read_answers(schedule_of(ret), raw, scale=scale, lookups=lookups())
    touched = touched_codes(raw, reading)
    # Only what is indeed last year's answer is stored as "confirmed unchanged", and only by who was shown it: else the
    # mark would tell whether a guess is right.
    known = context.shown_prev
    same = [code for code in confirmed if code in reading.answers and reading.answers[code] == known.get(code)]
    payload = merged(current, touched, reading, explanations, same)
    changed = _changed(current, payload)
    if scale != ret.scale:
        changed.append("scale")
    ret.scale = scale
    findings = findings_of(ret, payload, context)
    saved = Saved(ret, reading.problems, findings.problems, Opened(ret, payload, context, findings))
    if not changed and payload == current:
        return saved
    channel = Return.Channel.LINK if is_link_holder(by) else channel
    sealed = seal_on_save(ret, by=by)
    store.put_drafts({ret.pk: payload})
    ret.revision, ret.channel = ret.revision + 1, channel
    measure(ret, findings)
    if by.pk not in ret.typed_by:
        ret.typed_by = [*ret.typed_by, by.pk]
    fields = ["revision", "scale", "channel", "answered", "asked", "core_share", "typed_by", "updated_at"]
    ret.save(update_fields=[*fields, *sealed])
    record("return.save", ret, by=by, fields=changed, channel=channel, revision=ret.revision)
    return saved


def _changed(old: Mapping, new: Mapping) -> list[str]:
    """The questions whose answer, marker or confirmation differs."""
    before, after = old["answers"] | old["markers"], new["answers"] | new["markers"]
    confirmed = set(old.get("confirmed", [])) ^ set(new["confirmed"])
    return sorted(
        code for code in before.keys() | after.keys() if before.get(code) != after.get(code) or code in confirmed
    )


def explain(returns: Iterable[Return], explanations: Mapping[int, Mapping[str, str]]) -> None:
    """Add explanations of soft checks, by return id and rule, to drafts. For loaders: people use `save_answers`."""
    opened = payloads([ret for ret in returns if ret.is_editable])
    for pk, payload in opened.items():
        payload["explanations"] = {**payload.get("explanations", {}), **explanations[pk]}
    store.put_drafts(opened)

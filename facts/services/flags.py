"""Flags beyond the form: kept with sealed numbers, said in words, decided on by people."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

import pandas as pd
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core.audit.models import record, record_many
from core.base import Conflict, DomainError
from facts.checks.findings import loudness
from facts.checks.rules import check_of, load_rules
from facts.checks.words import explain
from facts.models import Flag, Return, Round, RoundFlag
from facts.vault import store

from .bulk import chunks
from .findings import EXPLANATION_MIN

BEYOND_THE_FORM = "X"
OPEN = (Flag.Resolution.OPEN, Flag.Resolution.REJECTED)


def _fields(flag: Flag, numbers: dict) -> list[str]:
    """The questions that a flag is about. Some checks name several items, some only count them."""
    items = numbers.get("items")
    return [flag.question] if flag.question else list(items) if isinstance(items, list | tuple | dict) else []


def flags_in_words(ret: Return, payload: Mapping | None = None, *, for_respondent: bool = False) -> list[dict]:
    """What the checks beyond the form say of the version handed in, loudest first, in plain words.

    Each: pk, rule, question, fields (every question that it is about), severity, score, sentence, action, resolution,
    note. `payload` is the opened version (the caller has logged its opening); without one nothing about a figure may
    be shown, so nothing is returned.
    for_respondent: without the signals that stay inside the data team, and without a word about other firms.
    """
    rules = load_rules()
    if payload is None:
        return []
    flags = list(_beyond_the_form(Flag.objects.filter(ret=ret, version=ret.version)))
    if for_respondent:
        flags = [flag for flag in flags if not rules.for_data_team(flag.rule)]
    texts = store.texts_of([f"flag:{flag.pk}" for flag in flags])
    notes = store.texts_of([f"flag-note:{flag.pk}" for flag in flags])
    flags.sort(key=lambda flag: (-loudness(flag.severity, flag.score), flag.rule))
    said = []
    for flag in flags:
        numbers = json.loads(texts[f"flag:{flag.pk}"][-1]["text"]) if f"flag:{flag.pk}" in texts else None
        check = rules.checks.get(check_of(flag.rule))
        sentence = explain(flag.rule, numbers, for_respondent=for_respondent) if numbers is not None else ""
        written = notes.get(f"flag-note:{flag.pk}", [])
        said.append(
            {
                "pk": flag.pk,
                "rule": flag.rule,
                "question": flag.question,
                "fields": _fields(flag, numbers or {}),
                "severity": flag.severity,
                "score": flag.score,
                "sentence": sentence or (check.rule if check else ""),
                "action": check.action if check and not for_respondent else "",
                "resolution": flag.resolution,
                "note": written[-1]["text"] if written and not for_respondent else "",
            }
        )
    return said


def open_critical(returns: Iterable[Return]) -> dict[int, list[str]]:
    """Critical flags of the versions handed in that nobody accepted yet: rules by return id."""
    found: dict[int, list[str]] = defaultdict(list)
    for part in chunks(ret.pk for ret in returns):
        flags = _beyond_the_form(Flag.objects.filter(ret__in=part, version=F("ret__version"), resolution__in=OPEN))
        for pk, rule in flags.filter(severity=Flag.Severity.CRITICAL).order_by("rule").values_list("ret", "rule"):
            found[pk].append(rule)
    return dict(found)


def _beyond_the_form(flags):
    return flags.filter(rule__startswith=BEYOND_THE_FORM)


# --- Kept by a run ----------------------------------------------------------------------------------------------------


def put_flags(same: set[int], versions: Mapping[int, int], flags: pd.DataFrame) -> None:
    """Upsert flags beyond the form on these versions; their numbers go sealed beside them."""
    new = [
        Flag(
            ret_id=row.ret,
            version=versions[row.ret],
            rule=row.rule,
            question=row.question,
            severity=row.severity,
            score=round(row.score, 3),
        )
        for row in flags.itertuples()
    ]
    Flag.objects.bulk_create(
        new,
        batch_size=300,
        update_conflicts=True,
        unique_fields=["ret", "version", "rule"],
        update_fields=["question", "severity", "score"],
    )
    speaks = {(flag.ret_id, flag.rule) for flag in new}
    ids: dict[tuple[int, str], int] = {}
    silent = []
    for part in chunks(same):
        there = _beyond_the_form(Flag.objects.filter(ret__in=part, version=F("ret__version")))
        for pk, ret, rule in there.values_list("pk", "ret", "rule"):
            if (ret, rule) in speaks:
                ids[ret, rule] = pk
            else:
                silent.append(pk)
    store.drop_texts([f"flag:{pk}" for pk in (*silent, *ids.values())])
    store.drop_texts([f"flag-note:{pk}" for pk in silent])
    for part in chunks(silent):
        Flag.objects.filter(pk__in=part).delete()
    store.put_texts(
        (f"flag:{ids[row.ret, row.rule]}", json.dumps(row.numbers, sort_keys=True)) for row in flags.itertuples()
    )


def put_suspicion(same: set[int], versions: Mapping[int, int]) -> None:
    """How loudly the checks spoke of each version: the sum over its flags of severity × score.

    Every flag adds; a louder one adds more; none takes away. Flags of the form count as half a warning. What a person
    accepted has been heard and no longer adds.
    """
    said: dict[int, float] = dict.fromkeys(same, 0.0)
    for part in chunks(same):
        flags = Flag.objects.filter(ret__in=part, version=F("ret__version"))
        flags = flags.exclude(resolution=Flag.Resolution.ACCEPTED)
        for ret, severity, score in flags.values_list("ret", "severity", "score"):
            said[ret] += loudness(severity, score)
    groups: dict[tuple[float, int], list[int]] = defaultdict(list)
    for pk, suspicion in said.items():
        groups[round(suspicion, 2), versions[pk]].append(pk)
    for (suspicion, version), ids in sorted(groups.items()):
        for part in chunks(ids):
            Return.objects.filter(pk__in=part).update(suspicion=suspicion, checked_version=version)


def put_round_flags(round_: Round, about: str, existing, speaking: list[tuple]) -> None:
    """Upsert flags over clusters or workers; what was decided stays while the flag speaks."""
    there = {(getattr(flag, about), flag.rule): flag for flag in existing}
    new, changed = [], []
    for pk, row in speaking:
        flag = there.pop((pk, row.rule), None)
        if flag is None:
            new.append(
                RoundFlag(round=round_, **{about: pk}, rule=row.rule, severity=row.severity, numbers=row.numbers)
            )
        else:
            flag.severity, flag.numbers = row.severity, row.numbers
            changed.append(flag)
    RoundFlag.objects.bulk_create(new)
    RoundFlag.objects.bulk_update(changed, ["severity", "numbers"])
    RoundFlag.objects.filter(pk__in=[flag.pk for flag in there.values()]).delete()


# --- Decided on by people ---------------------------------------------------------------------------------------------


def resolve_flag(flag: Flag, *, by, accept: bool, note: str) -> None:
    """Accept or reject what explains a flag on one return; see `resolve_flags`."""
    resolve_flags([flag], by=by, accept=accept, note=note)


@transaction.atomic
def resolve_flags(flags: Iterable[Flag], *, by, accept: bool, note: str) -> None:
    """Accept or reject what explains flags, all of them or none, from the state that the caller saw.

    The note lies sealed; the events name rule and outcome. Flags come with their return.
    """
    flags, note, now = list(flags), _worded(note), timezone.now()
    outcome = Flag.Resolution.ACCEPTED if accept else Flag.Resolution.REJECTED
    versions = {}
    seen: dict[str, list[int]] = defaultdict(list)
    for flag in flags:
        if by.pk == flag.ret.submitted_by_id or by.pk in flag.ret.typed_by:
            raise DomainError("Who typed in a return or submitted it does not decide on its flags. Ask a colleague.")
        seen[flag.resolution].append(flag.pk)
        versions[flag.ret_id] = flag.ret.checked_version
    moved = 0
    for resolution, ids in seen.items():
        for part in chunks(ids):
            current = Flag.objects.filter(pk__in=part, version=F("ret__version"), resolution=resolution)
            moved += current.update(resolution=outcome, resolved_by=by, resolved_at=now)
    if moved != len(flags):
        raise Conflict("Somebody else decided on a flag, or a return changed, in the meantime. Look at it again.")
    store.put_texts([(f"flag-note:{flag.pk}", note) for flag in flags], by=by)
    put_suspicion(set(versions), versions)
    record_many(
        [("flag.resolve", f, {"rule": f.rule, "version": f.version, "outcome": str(outcome)}) for f in flags], by=by
    )
    for flag in flags:
        flag.resolution = outcome


@transaction.atomic
def resolve_round_flag(flag: RoundFlag, *, by, accept: bool, note: str) -> None:
    """Accept or reject what explains a flag on a cluster or a field worker."""
    note = _worded(note)
    outcome = Flag.Resolution.ACCEPTED if accept else Flag.Resolution.REJECTED
    moved = RoundFlag.objects.filter(pk=flag.pk, resolution=flag.resolution).update(
        resolution=outcome, resolved_by=by, resolved_at=timezone.now(), note=note
    )
    if not moved:
        raise Conflict("Somebody else decided on this flag in the meantime. Look at it again.")
    flag.resolution, flag.note = outcome, note
    record("round_flag.resolve", flag, by=by, rule=flag.rule, outcome=str(outcome))


def _worded(note: str) -> str:
    note = note.strip()[:600]
    if len(note) < EXPLANATION_MIN:
        raise DomainError(f"Say why (at least {EXPLANATION_MIN} characters).")
    return note

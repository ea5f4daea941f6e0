"""Review: taken up, accepted or sent back, by somebody who did not type it in and who names what was seen."""

import json
from collections.abc import Iterable, Mapping

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string

from core.audit.models import record_many
from core.base import Conflict, DomainError
from facts.models import Flag, Return
from facts.vault import store
from facts.vault.models import SealedAnswers

from .bulk import chunks, locked_states
from .checking import check_unseen, unseen
from .deadlines import require_round_open
from .findings import EXPLANATION_MIN, schedule_of
from .flags import open_critical
from .queries import close_open

WORDS_MAX = 2000
POINT_MAX = 500
DIGEST_SHOWN = 12
WAITING = (Return.State.SUBMITTED, Return.State.IN_REVIEW)

Seen = Mapping[int, tuple[int, str]]  # return id → version and digest that the person had before them


def typed_by(ret: Return, user) -> bool:
    """Whether the person typed in or submitted a return, and so does not decide on it."""
    return user.pk == ret.submitted_by_id or user.pk in ret.typed_by


def digests_of(returns: Iterable[Return]) -> dict[int, str]:
    """The digest of each return's last submitted version. One query a version number."""
    numbers: dict[int, list[int]] = {}
    for ret in returns:
        numbers.setdefault(ret.version, []).append(ret.pk)
    found: dict[int, str] = {}
    for number, ids in numbers.items():
        for part in chunks(ids):
            found.update(SealedAnswers.objects.filter(number=number, ret__in=part).values_list("ret", "digest"))
    return found


def _hold(returns: list[Return], by, seen: Seen | None) -> None:
    """Lock what is decided on, and refuse it unless it is what the person saw and the person may decide."""
    for round_id in sorted({ret.round_id for ret in returns}):
        require_round_open(round_id)
    now_there = locked_states(ret.pk for ret in returns)
    for ret in returns:
        _, version, state = now_there.get(ret.pk, (0, 0, ""))
        if state not in WAITING:
            word = Return.State(state).label.lower() if state else "gone"
            raise Conflict(f"{ret.subject} is {word} by now; there is nothing to decide.")
        if typed_by(ret, by):
            raise DomainError("Who typed in a return or submitted it does not decide on it. Ask a colleague.")
        if seen is None and version != ret.version:
            raise Conflict("A newer version was handed in meanwhile. Look at it before you decide.")
        ret.version, ret.state = version, state
    if seen is not None:
        _require_seen(returns, seen)


def _require_seen(returns: list[Return], seen: Seen) -> None:
    """Compare version and digest that the person had before them with what is stored."""
    digests = digests_of(returns)
    for ret in returns:
        version, digest = seen.get(ret.pk, (0, ""))
        there = digests.get(ret.pk, "")
        if (version, digest) != (ret.version, there):
            shown = digest[:DIGEST_SHOWN] or "none"
            raise Conflict(
                f"{ret.subject}: you looked at version {version} ({shown}), but version {ret.version} "
                f"({there[:DIGEST_SHOWN]}) stands here now. Look at it before you decide."
            )


@transaction.atomic
def start_review(ret: Return, *, by) -> None:
    """Take a submitted return into review, so that colleagues see who is at it."""
    _hold([ret], by, None)
    if Return.objects.filter(pk=ret.pk, state=Return.State.SUBMITTED).update(state=Return.State.IN_REVIEW):
        record_many([("return.in_review", ret, {"was": "submitted", "version": ret.version})], by=by)
    ret.state = Return.State.IN_REVIEW


def accept(returns: Iterable[Return], *, by, override_reason: str = "", seen: Seen | None = None) -> None:
    """Accept returns; all of them or none.

    seen : version and digest by return id that the person had before them; another one stored is refused with both.
    Without it (loaders) the version that `returns` carry must still be the last one.
    A return whose core questions are answered "don't know" or "refused", or on which a critical flag stands without an
    accepted explanation, needs a reason in words; so does a version that the checks have not seen. Without a reason,
    small clusters are checked first, here and now, so that nobody waits for a worker that is away. Explanations not
    judged one by one are accepted with the return; open questions on it are closed.
    """
    returns = list(returns)
    if not _is_reason(override_reason):
        check_unseen(ret for ret in returns if ret.state in WAITING and not typed_by(ret, by))
    _accept(returns, by, override_reason, seen)


def _is_reason(words: str) -> bool:
    return len(words.strip()) >= EXPLANATION_MIN


@transaction.atomic
def _accept(returns: list[Return], by, override_reason: str, seen: Seen | None) -> None:
    _hold(returns, by, seen)
    unchecked = unseen(returns)
    if unchecked and not _is_reason(override_reason):
        raise DomainError(_still_running(len(unchecked), len(returns)))
    opened = store.open_answers((ret.pk, ret.version) for ret in returns)
    blank = {ret.pk for ret in returns if set(schedule_of(ret).core) & set(opened[ret.pk]["markers"])}
    critical = open_critical(returns)
    overridden = [ret for ret in returns if ret.pk in blank or ret.pk in critical or ret.pk in unchecked]
    if overridden and not _is_reason(override_reason):
        raise DomainError(_why_a_reason(bool(blank), bool(critical)))
    store.put_notes([(ret.pk, ret.version) for ret in overridden], override_reason.strip()[:WORDS_MAX], by=by)
    now = timezone.now()
    was = {ret.pk: ret.state for ret in returns}
    moved = 0
    for part in chunks(ret.pk for ret in returns):
        waiting = Return.objects.waiting_for_review().filter(pk__in=part)
        moved += waiting.update(state=Return.State.ACCEPTED, decided_at=now, decided_by=by)
        explained = Flag.objects.filter(ret__in=part, version=F("ret__version"), resolution=Flag.Resolution.EXPLAINED)
        explained.update(resolution=Flag.Resolution.ACCEPTED, resolved_by=by, resolved_at=now)
    if moved != len(returns):
        raise Conflict("Somebody else decided on one of these returns in the meantime.")
    closed = close_open(returns, by=by)
    entries = []
    for ret in returns:
        detail = {"was": was[ret.pk], "version": ret.version, "core_override": ret.pk in blank}
        if ret.pk in critical:
            detail["critical_override"] = critical[ret.pk]  # rules
        if ret.pk in unchecked:
            detail["unchecked_override"] = True
        if ret.pk in closed:
            detail["queries_closed"] = closed[ret.pk]
        entries.append(("return.accepted", ret, detail))
    record_many(entries, by=by)
    for ret in returns:
        ret.state, ret.decided_at, ret.decided_by = Return.State.ACCEPTED, now, by
    rounds = {ret.round_id for ret in returns}
    transaction.on_commit(lambda: import_string(settings.AFTER_ACCEPTANCE)(rounds))


def _still_running(n: int, among: int) -> str:
    which = "this version" if among == 1 else f"{n} of these {among} returns"
    return f"The checks of {which} are still running; try again in a moment."


def _why_a_reason(blank: bool, critical: bool) -> str:
    causes = []
    if blank:
        causes.append("core questions are answered “don’t know” or “refused”")
    if critical:
        causes.append("a critical flag stands without an accepted explanation")
    text = " and ".join(causes)
    return f"{text[0].upper()}{text[1:]}. To accept all the same, write why (at least {EXPLANATION_MIN} characters)."


def send_back(
    ret: Return, *, by, reason: str, points: Mapping[str, str] | None = None, seen: Seen | None = None
) -> None:
    """Give one return back; see `send_back_all`."""
    send_back_all([ret], by=by, reason=reason, points=points, seen=seen)


@transaction.atomic
def send_back_all(
    returns: Iterable[Return], *, by, reason: str, points: Mapping[str, str] | None = None, seen: Seen | None = None
) -> None:
    """Give returns back as drafts, with the reason; all of them or none. The submitted versions stay as they were.

    points : question → what is wrong with its answer. Shown on its field; part of the note too, so that it is read on
    every door. Questions asked on values stay open beside it.
    """
    returns, points = list(returns), {code: text.strip() for code, text in (points or {}).items() if text.strip()}
    if len(reason.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Say what is to be mended (at least {EXPLANATION_MIN} characters).")
    _hold(returns, by, seen)
    for ret in returns:
        unknown = points.keys() - schedule_of(ret).questions.keys()
        if unknown:
            raise DomainError(f"The {ret.get_schedule_display()} schedule has no question {sorted(unknown)[0]}.")
        questions = schedule_of(ret).questions
        lines = [f"{questions[code].short} ({code}): {text[:POINT_MAX]}" for code, text in points.items()]
        store.put_notes([(ret.pk, ret.version)], "\n".join([reason.strip()[:WORDS_MAX], *lines]), by=by)
    if points:
        text = json.dumps({code: text[:POINT_MAX] for code, text in points.items()}, ensure_ascii=False)
        store.put_texts([(_points_place(ret), text) for ret in returns], by=by)
    now = timezone.now()
    was = {ret.pk: ret.state for ret in returns}
    moved = 0
    for part in chunks(ret.pk for ret in returns):
        waiting = Return.objects.waiting_for_review().filter(pk__in=part)
        moved += waiting.update(state=Return.State.SENT_BACK, decided_at=now, decided_by=by)
    if moved != len(returns):
        raise Conflict("Somebody else decided on one of these returns in the meantime.")
    record_many(
        [
            ("return.sent_back", ret, {"was": was[ret.pk], "version": ret.version, "fields": sorted(points)})
            for ret in returns
        ],
        by=by,
    )
    for ret in returns:
        ret.state, ret.decided_at, ret.decided_by = Return.State.SENT_BACK, now, by


def _points_place(ret: Return) -> str:
    return f"sent-back:{ret.pk}:{ret.version}"


def points_of(ret: Return) -> dict[str, str]:
    """What the reviewer wrote to single questions when the return was sent back last; for those who mend it."""
    if ret.state != Return.State.SENT_BACK:
        return {}
    texts = store.texts_of([_points_place(ret)]).get(_points_place(ret), [])
    return json.loads(texts[-1]["text"]) if texts else {}

"""Opening an accepted return again: one person asks with a reason, another one decides. The words lie sealed.

Who decides (permission matrix of the security design, §4): on a supervisor's wish an analyst; on an analyst's wish a
supervisor or another analyst. Once the round is closed a change is a revision, and nothing is opened.
"""

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from core import policy
from core.audit.models import record
from core.base import Conflict, DomainError
from core.policy import Role
from facts.models import Reopening, Return, Round
from facts.vault import store

from .bulk import locked_states
from .findings import EXPLANATION_MIN
from .review import typed_by

TEXT_MAX = 2000


def place_of(wish: Reopening) -> str:
    """Where the words of a wish lie in the vault."""
    return f"reopening:{wish.pk}"


def _words(text: str) -> str:
    if len(text.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Say why (at least {EXPLANATION_MIN} characters).")
    return text.strip()[:TEXT_MAX]


def _require_open(ret: Return) -> None:
    """Hold the round; refuse with the way that is left once it is closed."""
    round_ = Round.objects.select_for_update().get(pk=ret.round_id)
    if round_.state != Round.State.OPEN:
        raise DomainError(
            f"Round {round_.year} is closed and its returns are locked. A change now is a revision: it has a reason, "
            "enters a new edition of the index, and is announced with it."
        )


@transaction.atomic
def ask_reopening(ret: Return, *, by, reason: str) -> Reopening:
    """Ask for an accepted return to be opened again. At most one wish on a return is open."""
    words = _words(reason)
    _require_open(ret)
    _, version, state = locked_states([ret.pk])[ret.pk]
    if state != Return.State.ACCEPTED:
        label = Return.State(state).label.lower()
        raise DomainError(f"Only an accepted return is opened again; this one is {label}.")
    try:
        with transaction.atomic():
            wish = Reopening.objects.create(ret=ret, version=version, asked_by=by)
    except IntegrityError:
        raise Conflict("A colleague asked for this already; it waits for a second person.") from None
    store.put_texts([(place_of(wish), words)], by=by)
    record("return.reopen_asked", ret, by=by, version=version, reopening=wish.pk)
    return wish


def may_decide(wish: Reopening, by) -> str:
    """Why a person does not decide on this wish; empty where the person does."""
    if by.pk == wish.asked_by_id:
        return "You asked for this yourself; a second person decides."
    if typed_by(wish.ret, by):
        return "Who typed in a return or submitted it does not decide on it. Ask a colleague."
    roles = {grant.role for grant in policy.grants_of(by)}
    if Role.ANALYST not in roles and not _is_analyst(wish.asked_by):
        return "A supervisor asked for this, so an analyst of the cluster cell decides."
    return ""


def _is_analyst(user) -> bool:
    return any(grant.role == Role.ANALYST for grant in policy.grants_of(user))


@transaction.atomic
def decide_reopening(wish: Reopening, *, by, grant: bool, words: str = "") -> None:
    """Grant or decline a wish; declining needs words.

    Granted, the return is a draft again with the answers of its last version. That version and its flags stay; it
    leaves the indicators until a new version is accepted.
    """
    ret = wish.ret
    _require_open(ret)
    if reason := may_decide(wish, by):
        raise DomainError(reason)
    if not grant:
        words = _words(words)
    _, version, state = locked_states([ret.pk])[ret.pk]
    decided = Reopening.State.GRANTED if grant else Reopening.State.DECLINED
    moved = Reopening.objects.filter(pk=wish.pk, state=Reopening.State.ASKED).update(
        state=decided, decided_by=by, decided_at=timezone.now()
    )
    if not moved:
        raise Conflict("A colleague decided on this in the meantime.")
    if words.strip():
        store.put_texts([(place_of(wish), words.strip()[:TEXT_MAX])], by=by)
    wish.state, wish.decided_by = decided, by
    if not grant:
        record("return.reopen_declined", ret, by=by, version=version, reopening=wish.pk)
        return
    if (version, state) != (wish.version, Return.State.ACCEPTED):
        raise Conflict("The return changed since this was asked. Ask again.")
    payload = store.open_answers([(ret.pk, version)])[ret.pk]
    store.put_drafts({ret.pk: payload})
    Return.objects.filter(pk=ret.pk).update(state=Return.State.REOPENED, revision=F("revision") + 1)
    ret.refresh_from_db(fields=["state", "revision"])
    record("return.reopened", ret, by=by, version=version, was="accepted", reopening=wish.pk)


def words_of(wishes) -> dict[int, list[dict]]:
    """What was said to each wish, oldest first: the reason, then the decision's words. By wish id."""
    wishes = list(wishes)
    texts = store.texts_of(place_of(wish) for wish in wishes)
    return {wish.pk: texts.get(place_of(wish), []) for wish in wishes}

"""Queries: a question on one value, asked and answered as a thread with a due date. The words lie sealed.

A query is no state of the return: it neither stops nor moves it. Answering takes it off the respondent's list.
"""

from collections.abc import Iterable
from datetime import date, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.text import Truncator

from core import policy
from core.audit.models import record, record_many
from core.base import Conflict, DomainError
from facts.models import Query, Return, Round
from facts.vault import store
from facts.wording import in_words, last_year, stored_text, unit_words

from .bulk import locked_states
from .contexts import contexts_for
from .deadlines import day, require_round_open, today_there
from .findings import EXPLANATION_MIN, schedule_of
from .reading import offices

DUE_DAYS = 14
TEXT_MAX = 2000
FIRST_WORDS = 16  # of a question, on the list of what waits
ASKABLE = (Return.State.SUBMITTED, Return.State.IN_REVIEW, Return.State.ACCEPTED)
UNSETTLED = (Query.State.OPEN, Query.State.ANSWERED)


def place_of(query: Query) -> str:
    """Where the words of a query lie in the vault."""
    return f"query:{query.pk}"


def default_due(round_: Round, today: date) -> date:
    """Fourteen days from today, and never beyond the end of editing."""
    due = today + timedelta(days=DUE_DAYS)
    return min(due, round_.editing_until) if round_.editing_until else due


def _due(round_: Round, asked: date | None) -> date:
    today, until = today_there(round_.pk), round_.editing_until
    if until and until < today:
        raise DomainError(f"Editing of round {round_.year} ended on {day(until)}; no question can be asked now.")
    due = asked or default_due(round_, today)
    if due < today:
        raise DomainError("The answer cannot be due in the past. Give a day from today on.")
    if until and due > until:
        raise DomainError(f"Editing of round {round_.year} ends on {day(until)}; the answer is due by then.")
    return due


def _words(text: str) -> str:
    if len(text.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Write at least {EXPLANATION_MIN} characters.")
    return text.strip()[:TEXT_MAX]


@transaction.atomic
def ask_all(returns: Iterable[Return], *, by, question: str, text: str, due_on: date | None = None) -> list[Query]:
    """Ask the same of each return, on the same question; all of them or none."""
    returns, words = list(returns), _words(text)
    due_by = {}
    for ret in returns:
        if ret.round_id not in due_by:
            require_round_open(ret.round_id)
            due_by[ret.round_id] = _due(ret.round, due_on)
    now_there = locked_states(ret.pk for ret in returns)
    queries = []
    for ret in returns:
        _, version, state = now_there.get(ret.pk, (0, 0, ""))
        if state not in ASKABLE:
            word = Return.State(state).label.lower() if state else "gone"
            raise Conflict(f"{ret.subject} is {word} by now; questions are asked on what was handed in.")
        known = schedule_of(ret).questions.get(question)
        if known is None:
            raise DomainError(f"The {ret.get_schedule_display()} schedule has no question {question[:8]}.")
        if not known.shown_at_unit_level:
            raise DomainError(f"{question} is shown for no single firm, so nothing can be asked about it.")
        due = due_by[ret.round_id]
        queries.append(Query(ret=ret, version=version, question=question, due_on=due, raised_by=by))
    Query.objects.bulk_create(queries, batch_size=500)
    store.put_texts([(place_of(query), words) for query in queries], by=by)
    record_many(
        [
            (
                "query.ask",
                query.ret,
                {
                    "query": query.pk,
                    "fields": [question],
                    "version": query.version,
                    "due": query.due_on.isoformat(),
                },
            )
            for query in queries
        ],
        by=by,
    )
    return queries


def ask(ret: Return, *, by, question: str, text: str, due_on: date | None = None) -> Query:
    """Ask one question on one value of a return."""
    return ask_all([ret], by=by, question=question, text=text, due_on=due_on)[0]


@transaction.atomic
def answer(query: Query, *, by, text: str) -> None:
    """Answer in words; more may be added while the thread is not closed."""
    words = _words(text)
    require_round_open(query.ret.round_id)
    _move(query, UNSETTLED, Query.State.ANSWERED)
    store.put_texts([(place_of(query), words)], by=by)
    record("query.answer", query.ret, by=by, query=query.pk, fields=[query.question], version=query.version)


@transaction.atomic
def ask_again(query: Query, *, by, text: str, due_on: date | None = None) -> None:
    """Go on asking in the same thread; it waits for an answer again."""
    words = _words(text)
    require_round_open(query.ret.round_id)
    due = _due(query.ret.round, due_on)
    _move(query, UNSETTLED, Query.State.OPEN, due_on=due)
    store.put_texts([(place_of(query), words)], by=by)
    record("query.ask", query.ret, by=by, query=query.pk, fields=[query.question], version=query.version)


@transaction.atomic
def close(query: Query, *, by) -> None:
    """Close a thread: nothing more is asked."""
    _move(query, UNSETTLED, Query.State.CLOSED, closed_at=timezone.now())
    record("query.close", query.ret, by=by, query=query.pk, fields=[query.question], version=query.version)


def _move(query: Query, was: Iterable[str], state: str, **changes) -> None:
    """Move a thread on, unless it was closed meanwhile."""
    if not Query.objects.filter(pk=query.pk, state__in=list(was)).update(state=state, **changes):
        raise Conflict("This question was closed in the meantime. Nothing of yours was stored.")
    query.state = state
    for name, value in changes.items():
        setattr(query, name, value)


def close_open(returns: Iterable[Return], *, by) -> dict[int, int]:
    """Close what is still asked on returns that are accepted; in the caller's transaction. Counts by return id."""
    found = list(Query.objects.filter(ret__in=[ret.pk for ret in returns], state__in=UNSETTLED).select_related("ret"))
    counts: dict[int, int] = {}
    for query in found:
        counts[query.ret_id] = counts.get(query.ret_id, 0) + 1
    if found:
        Query.objects.filter(pk__in=[query.pk for query in found]).update(
            state=Query.State.CLOSED, closed_at=timezone.now()
        )
    return counts


def last_words(queries: Iterable[Query]) -> dict[int, str]:
    """The first words of what was asked last, by query; for those who may read it. One query."""
    queries = list(queries)
    texts = store.texts_of(place_of(query) for query in queries) if queries else {}
    found = {query.pk: texts[place_of(query)][-1]["text"] for query in queries if place_of(query) in texts}
    return {pk: Truncator(" ".join(text.split())).words(FIRST_WORDS, truncate="…") for pk, text in found.items()}


@transaction.atomic
def value_asked(query: Query, *, by) -> dict[str, str]:
    """The value that a question is about, as it was handed in, and the accepted one of the round before, in words.

    For those who may read the answers of the return; empty for others. The opening enters the audit chain.
    """
    ret, known = query.ret, schedule_of(query.ret).questions.get(query.question)
    is_own = policy.allowed(by, "query.answer", ret)
    if known is None or not known.shown_at_unit_level:
        return {}
    if not is_own and not policy.allowed(by, "return.read_submitted", ret):
        return {}
    payload = store.open_answers([(ret.pk, query.version)]).get(ret.pk)
    if payload is None:
        return {}
    record("return.open", ret, by=by, purpose="question on a value", version=query.version)
    context = contexts_for(ret.round, [ret], for_user=by, in_review=not is_own)[ret.pk]
    code, currency = known.code, ret.currency
    unit = unit_words(known, 1, currency)
    before = last_year(known, context.shown_prev.get(code), 1, currency)
    value = in_words(known, stored_text(known, payload, 1, currency))
    is_number = code in payload["answers"] and bool(unit)
    return {
        "value": f"{value} {unit}" if is_number else value,
        "before": f"{before} {unit}" if before and unit else before,
    }


def queries_of(ret: Return, *, for_user=None) -> list[dict]:
    """Every thread on a return, open ones first: pk, question, short, state, due_on, is_overdue, thread of {by, at,
    text}. `by` is role and organisation, never a name. Three queries for any number of threads."""
    order = {Query.State.OPEN: 0, Query.State.ANSWERED: 1, Query.State.CLOSED: 2}
    found = sorted(ret.queries.all(), key=lambda query: (order[query.state], query.due_on, query.pk))
    texts = store.texts_of(place_of(query) for query in found) if found else {}
    people = {one["by"].pk for words in texts.values() for one in words if one["by"]}
    names = offices(people, ret) if people else {}
    today = today_there(ret.round_id) if found else date.min
    questions = schedule_of(ret).questions
    return [
        {
            "pk": query.pk,
            "question": query.question,
            "short": questions[query.question].short if query.question in questions else query.question,
            "state": query.state,
            "state_words": query.get_state_display(),
            "version": query.version,
            "due_on": query.due_on,
            "is_overdue": query.state == Query.State.OPEN and query.due_on < today,
            "thread": [
                {
                    "by": "you"
                    if for_user is not None and one["by"] and one["by"].pk == for_user.pk
                    else names.get(one["by"].pk if one["by"] else None, "the system"),
                    "at": one["at"],
                    "text": one["text"],
                }
                for one in texts.get(place_of(query), [])
            ],
        }
        for query in found
    ]

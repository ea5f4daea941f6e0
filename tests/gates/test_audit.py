"""G16: one event a change, none where the change was undone, and every tampering with the chain is found."""

import copy
import datetime as dt
import random
from functools import partial

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from core.audit.models import GENESIS, Event, head, record, verify
from facts.models import Return
from facts.services import break_glass, links
from facts.services.drafts import save_answers
from facts.services.imports import Row, save_drafts
from facts.services.queries import ask
from facts.services.reopening import ask_reopening, decide_reopening
from facts.services.review import accept, send_back, start_review
from facts.services.submission import submit
from tests.factories import UserFactory, person, rules_lifted, seen_by_checks
from tests.facts.valid_returns import UNIT
from tests.gates.size import say

WHY = "The firm found a second order book (test)."
TAMPERINGS = 200
LENGTH = 24  # events of the chain that is tampered with
SEED = 20260316


class Undone(Exception):
    pass


# --- One event a change -------------------------------------------------------------------------------


def begun(town, unit=0) -> Return:
    rows = [Row(town.units[unit].frame_id, UNIT, "row 2")]
    outcome = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="web")
    return Return.objects.select_related("round__instrument", "cluster__country").get(pk=outcome.returns[0].pk)


def handed_in(town) -> Return:
    ret = begun(town)
    submit([ret], by=town.head, certified_name="A. Person")
    seen_by_checks(ret)
    return ret


def accepted(town) -> Return:
    ret = handed_in(town)
    accept([ret], by=town.supervisor)
    return ret


def changes(town):
    """Changes of every kind: name, what must stand before, the change, the actions that tell of it."""
    analyst, auditor = person("analyst"), person("auditor")

    def wish(town):
        return ask_reopening(accepted(town), by=town.supervisor, reason=WHY)

    def glass(town):
        return break_glass.ask(kind="names", round_=town.round, cluster=town.cluster, by=analyst, reason=WHY)

    def save(ret):
        return save_answers(ret, {"UC01": "9100000"}, by=town.entry, expected_revision=ret.revision)

    def link(town):
        return links.find_link(links.make_link(town.units[0], town.round, by=town.head))

    return {
        "begin": (lambda town: None, lambda _: begun(town), ["return.import"]),
        "save": (begun, save, ["return.save"]),
        "submit": (
            begun,
            lambda ret: submit([ret], by=town.head, certified_name="A. Person"),
            ["return.submit"],
        ),
        "take up": (handed_in, lambda ret: start_review(ret, by=town.supervisor), ["return.in_review"]),
        "send back": (
            handed_in,
            lambda ret: send_back(ret, by=town.supervisor, reason=WHY),
            ["return.sent_back"],
        ),
        "accept": (handed_in, lambda ret: accept([ret], by=town.supervisor), ["return.accepted"]),
        "ask": (
            handed_in,
            lambda ret: ask(ret, by=town.supervisor, question="UC01", text="Is this so?", due_on=None),
            ["query.ask"],
        ),
        "ask to reopen": (
            accepted,
            lambda ret: ask_reopening(ret, by=town.supervisor, reason=WHY),
            ["return.reopen_asked"],
        ),
        "reopen": (wish, lambda one: decide_reopening(one, by=analyst, grant=True), ["return.reopened"]),
        "make a link": (lambda town: None, lambda _: link(town), ["link.make"]),
        "revoke a link": (link, lambda one: links.revoke_link(one, by=town.head), ["link.revoke"]),
        "break the glass": (
            glass,
            lambda one: break_glass.decide(one, by=auditor, grant=True),
            ["break_glass.granted"],
        ),
    }


NAMES = (
    *("begin", "save", "submit", "take up", "send back", "accept", "ask", "ask to reopen", "reopen", "make a link"),
    *("revoke a link", "break the glass"),
)


def told_by(before: int) -> list[str]:
    return list(Event.objects.filter(seq__gt=before).order_by("seq").values_list("action", flat=True))


@pytest.mark.parametrize("name", NAMES)
def test_one_event_a_change(town, name):
    prepare, change, actions = changes(town)[name]
    ready = prepare(town)
    before, _ = head()

    change(ready)

    assert told_by(before) == actions
    assert verify() is None


@pytest.mark.parametrize("name", NAMES)
def test_no_event_where_the_change_was_undone(town, name):
    prepare, change, _ = changes(town)[name]
    ready = copy.deepcopy(prepare(town))
    before = head()

    with pytest.raises(Undone), transaction.atomic():
        change(ready)
        raise Undone

    assert head() == before and verify() is None


def test_a_refused_change_leaves_no_event(town):
    before = head()

    with pytest.raises(PermissionDenied):
        break_glass.ask(kind="names", round_=town.round, cluster=town.cluster, by=town.head, reason=WHY)

    assert head() == before


def test_a_service_that_forgets_its_event_is_found(town, monkeypatch):
    """Mutation: the sample above goes red where a change tells nothing."""
    from facts.services import reopening

    monkeypatch.setattr(reopening, "record", lambda *args, **kwargs: None)
    prepare, change, actions = changes(town)["ask to reopen"]
    ready = prepare(town)
    before, _ = head()

    change(ready)

    assert told_by(before) != actions


# --- Tampering ------------------------------------------------------------------------------------------


@pytest.fixture
def chain(db):
    """Events by three people."""
    people = [UserFactory() for _ in range(3)]
    for number in range(LENGTH):
        record("test.act", people[number % 3], by=people[number % 3], number=number, state=f"state-{number}")
    return people


FIELDS = ("at", "actor", "action", "object_type", "object_id", "detail", "previous", "digest")


def alter(field, chance, people):
    """A field of an event, its digest left."""
    event = chance.choice(list(Event.objects.all()))
    other = {
        "action": "test.other",
        "object_type": "facts.other",
        "object_id": "0",
        "detail": {**event.detail, "number": -1},
        "actor": chance.choice([None, *(one for one in people if one.pk != event.actor_id)]),
        "at": event.at + dt.timedelta(microseconds=1),
        "previous": "f" * 64,
        "digest": "e" * 64,
    }[field]
    Event.objects.filter(pk=event.pk).update(**{field: other})


def remove(chance, people):
    """A row, or several in a row, from anywhere but the very end, where nothing inside the database can tell."""
    first = chance.randrange(1, LENGTH - 2)
    Event.objects.filter(seq__gte=first, seq__lte=min(LENGTH - 1, first + chance.choice([0, 0, 3]))).delete()


def remove_and_renumber(chance, people):
    """A row taken out and the others moved up."""
    first = chance.randrange(1, LENGTH - 2)
    Event.objects.filter(seq=first).delete()
    for event in Event.objects.filter(seq__gt=first).order_by("seq"):
        Event.objects.filter(seq=event.seq).update(seq=event.seq - 1)


def swap(chance, people):
    """Two events in each other's place, with their digests."""
    a, b = chance.sample(range(1, LENGTH + 1), 2)
    Event.objects.filter(seq=a).update(seq=-1)
    Event.objects.filter(seq=b).update(seq=a)
    Event.objects.filter(seq=-1).update(seq=b)


def digest_alone(chance, people):
    """A field altered and the event's own digest made anew, those after it left."""
    event = Event.objects.get(seq=chance.randrange(1, LENGTH))
    event.detail = {**event.detail, "number": -1}
    event.digest = event.content_digest()
    Event.objects.filter(pk=event.pk).update(detail=event.detail, digest=event.digest)


def insert(chance, people):
    """An event put between two others, the rest moved down."""
    at = chance.randrange(1, LENGTH)
    for event in Event.objects.filter(seq__gte=at).order_by("-seq"):
        Event.objects.filter(seq=event.seq).update(seq=event.seq + 1)
    before = Event.objects.filter(seq__lt=at).order_by("-seq").first()
    made = Event(
        seq=at,
        at=timezone.now(),
        actor=people[0],
        action="test.forged",
        object_type="x",
        object_id="1",
        previous=before.digest if before else GENESIS,
    )
    made.digest = made.content_digest()
    made.save(force_insert=True)


def make_anew(chance, people):
    """An event altered and the whole chain after it made anew: only the printed head tells."""
    event = Event.objects.get(seq=chance.randrange(1, LENGTH + 1))
    event.detail = {**event.detail, "number": -1}
    previous = event.previous
    for one in [event, *Event.objects.filter(seq__gt=event.seq).order_by("seq")]:
        one.previous = previous
        previous = one.digest = one.content_digest()
        Event.objects.filter(pk=one.pk).update(detail=one.detail, previous=one.previous, digest=one.digest)


def cut_off(chance, people):
    """The end of the chain gone: only the printed head tells."""
    Event.objects.filter(seq__gt=chance.randrange(0, LENGTH)).delete()


KINDS = {
    **{f"alter {field}": partial(alter, field) for field in FIELDS},
    **{one.__name__: one for one in (remove, remove_and_renumber, swap, digest_alone, insert, make_anew, cut_off)},
}
ONLY_PRINTED = {"make_anew", "cut_off"}


def found_of(people, *, printed, tries=TAMPERINGS) -> tuple[int, set[str]]:
    """The gate: how many of the tamperings `verify` finds, and which kinds it misses."""
    chance, found, missed, names = random.Random(SEED), 0, set(), list(KINDS)
    for number in range(tries):
        name = names[number % len(names)]
        point = transaction.savepoint()
        KINDS[name](chance, people)
        if verify(printed=printed) is not None:
            found += 1
        else:
            missed.add(name)
        transaction.savepoint_rollback(point)
    return found, missed


def test_every_tampering_is_found(chain):
    printed = head()
    assert verify(printed=printed) is None

    with rules_lifted("audit_event"):
        found, missed = found_of(chain, printed=printed)

    say(f"G16: {found} of {TAMPERINGS} tamperings found")
    assert (found, missed) == (TAMPERINGS, set())
    assert verify(printed=printed) is None


def test_without_the_printed_head_a_chain_made_anew_is_not_found(chain):
    """What the chain alone cannot do, and why the head is printed daily: exactly these two kinds are missed."""
    with rules_lifted("audit_event"):
        _, missed = found_of(chain, printed=None, tries=4 * len(KINDS))

    assert missed == ONLY_PRINTED


@pytest.mark.parametrize("forgotten", FIELDS[:6])
def test_a_digest_that_forgets_a_field_is_found(chain, monkeypatch, forgotten):
    """Mutation: the digest leaves one field out, so that a change of it goes unseen."""
    whole = Event.content_digest

    def forgetful(self):
        held = copy.copy(self)
        setattr(held, forgotten, {"at": dt.datetime(2000, 1, 1), "actor": None}.get(forgotten, ""))
        return whole(held)

    monkeypatch.setattr(Event, "content_digest", forgetful)
    with rules_lifted("audit_event"):
        Event.objects.all().delete()
        for number in range(LENGTH):
            record("test.act", chain[number % 3], by=chain[number % 3], number=number)
        _, missed = found_of(chain, printed=head(), tries=4 * len(KINDS))

    assert f"alter {forgotten}" in missed

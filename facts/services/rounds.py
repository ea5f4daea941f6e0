"""Rounds: planned with their calendar, opened, closed. Freezing and closing take two people."""

import calendar
from collections.abc import Mapping
from datetime import date

from django.db import transaction
from django.db.models import Exists, OuterRef

from core.audit.models import record, record_many
from core.base import DomainError
from facts.models import FrameEntry, Instrument, Reopening, Return, Round

from .bulk import chunks
from .checking import check_round
from .deadlines import day, today_there
from .findings import EXPLANATION_MIN
from .frames import freeze_frame

# What happens when: field, what it is called, month after the end of the reference year (framework §2.8).
CALENDAR = (
    ("frame_frozen_on", "Frame frozen, sample drawn", 2),
    ("opens_on", "Collection begins", 3),
    ("closes_on", "Collection ends", 5),
    ("editing_until", "Editing, call-backs and back-checks end", 6),
    ("locks_on", "Returns locked, weights and scores made", 7),
    ("panel_on", "Index panel, disclosure check", 8),
    ("releases_on", "Publication", 9),
)
REFERENCE_END = 6  # the last of the reference years that a round asks about ends in June of its year (§2.2)
FIRST_YEAR, LAST_YEAR = 2000, 2100


def usual_dates(year: int) -> dict[str, date]:
    """The calendar of a round where nobody changes it: each act ends with its month, collection begins with its own."""
    dates = {}
    for field, _, months in CALENDAR:
        past = REFERENCE_END + months - 1
        in_year, month = year + past // 12, past % 12 + 1
        last = calendar.monthrange(in_year, month)[1]
        dates[field] = date(in_year, month, 1 if field == "opens_on" else last)
    return dates


@transaction.atomic
def plan_round(year: int, *, by) -> Round:
    """Make a round of the newest instrument with the usual calendar; its days may be changed while it is planned."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise DomainError(f"{year} is no year of a round. Give one from {FIRST_YEAR} to {LAST_YEAR}.")
    instrument = Instrument.objects.order_by("-pk").first()
    if instrument is None:
        raise DomainError("No instrument is registered yet; a round asks the questions of one.")
    round_, made = Round.objects.get_or_create(
        year=year, defaults={"instrument": instrument, "state": Round.State.PLANNED, **usual_dates(year)}
    )
    if not made:
        raise DomainError(f"Round {year} is there already; it is {round_.get_state_display().lower()}.")
    record("round.plan", round_, by=by, year=year, instrument=instrument.version)
    return round_


@transaction.atomic
def change_dates(round_: Round, dates: Mapping[str, date], *, by, reason: str) -> Round:
    """Move days of a planned round. Later, a cluster gets more time by an extension; nobody's time is cut short."""
    held = Round.objects.select_for_update().get(pk=round_.pk)
    if held.state != Round.State.PLANNED:
        raise DomainError(
            f"Round {held.year} is {held.get_state_display().lower()}: its days stand. Give single clusters more time "
            "on the late list."
        )
    if len(reason.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Say why the days are moved (at least {EXPLANATION_MIN} characters).")
    moved = [field for field, _, _ in CALENDAR if field in dates and dates[field] != getattr(held, field)]
    for field in moved:
        setattr(held, field, dates[field])
    if problem := out_of_order(held):
        raise DomainError(problem)
    if moved:
        held.save(update_fields=moved)
        record("round.edit", held, by=by, year=held.year, fields=moved, reason=reason.strip()[:300])
    return held


def out_of_order(round_: Round) -> str:
    """The first two days of the calendar that stand the wrong way round, in words; empty where all follow."""
    known = [(label, getattr(round_, field)) for field, label, _ in CALENDAR if getattr(round_, field)]
    for (earlier, first), (later, second) in zip(known, known[1:], strict=False):
        if second < first:
            return f"“{later}” ({day(second)}) lies before “{earlier}” ({day(first)}). Put the days in this order."
    return ""


def conditions(round_: Round) -> list[dict]:
    """What must be so before the round goes on, each in words: `{"text", "met"}`; empty for a closed round."""
    if round_.state == Round.State.PLANNED:
        today, framed = today_there(round_.pk), FrameEntry.objects.filter(round=round_).exists()
        running = Round.objects.open().exclude(pk=round_.pk).first()
        return [
            {"text": "The frame is frozen: two analysts." if not framed else "The frame is frozen.", "met": framed},
            {"text": f"The day of opening has come: {day(round_.opens_on)}.", "met": today >= round_.opens_on},
            {
                "text": f"Round {running.year} is still open; close it first."
                if running
                else "No other round is open.",
                "met": running is None,
            },
        ]
    if round_.state == Round.State.OPEN:
        waiting = Return.objects.filter(round=round_).waiting_for_review().count()
        ends = round_.editing_until or round_.closes_on
        past = today_there(round_.pk) > ends
        reopened = _opened_again(round_).count()
        back = Return.objects.filter(_granted(), round=round_, state=Return.State.SENT_BACK)
        anew = back.exclude(_granted(version=OuterRef("version"))).count()
        found = [
            {"text": f"Collection and editing are over: {day(ends)}.", "met": past},
            {
                "text": f"{waiting:,} returns still wait for a decision; they would not count."
                if waiting
                else "No return waits for a decision.",
                "met": not waiting,
            },
        ]
        if reopened:
            text = f"Opened again and not handed in anew: {reopened:,}. The versions accepted before would count."
            found.append({"text": text, "met": False})
        if anew:
            text = f"Opened again, handed in anew and sent back: {anew:,}. These returns would not count."
            found.append({"text": text, "met": False})
        return found
    return []


def _granted(**fields) -> Exists:
    return Exists(Reopening.objects.filter(ret=OuterRef("pk"), state=Reopening.State.GRANTED, **fields))


def _opened_again(round_: Round):
    """Returns that were accepted, opened again, and not handed in since: the version accepted is the last one."""
    came_back = Return.objects.filter(round=round_, state__in=[Return.State.REOPENED, Return.State.SENT_BACK])
    return came_back.filter(_granted(version=OuterRef("version")))


@transaction.atomic
def open_round(round_: Round, *, by) -> Round:
    """Let a planned round take returns, once its conditions are met."""
    held = Round.objects.select_for_update().get(pk=round_.pk)
    if held.state != Round.State.PLANNED:
        raise DomainError(f"Round {held.year} is {held.get_state_display().lower()}; only a planned one can be opened.")
    if unmet := [one["text"] for one in conditions(held) if not one["met"]]:
        raise DomainError(f"Round {held.year} cannot be opened yet. {' '.join(unmet)}")
    held.state, held.proposed_act, held.proposed_by = Round.State.OPEN, "", None
    held.save(update_fields=["state", "proposed_act", "proposed_by"])
    record("round.open", held, by=by, year=held.year)
    return held


# --- Two people -------------------------------------------------------------------------------


@transaction.atomic
def propose_act(round_: Round, act: str, *, by) -> Round:
    """Propose to freeze the frame or to close the round; a second person confirms."""
    held = Round.objects.select_for_update().get(pk=round_.pk)
    _require_ready(held, act)
    if held.proposed_act:
        raise DomainError(
            f"It is already proposed to {held.get_proposed_act_display()}. Confirm it, or take the proposal back first."
        )
    held.proposed_act, held.proposed_by = act, by
    held.save(update_fields=["proposed_act", "proposed_by"])
    record("round.propose", held, by=by, year=held.year, act=act)
    return held


@transaction.atomic
def take_back(round_: Round, *, by) -> Round:
    """Take a proposal back: who made it, or a colleague who does not confirm it."""
    held = Round.objects.select_for_update().get(pk=round_.pk)
    if not held.proposed_act:
        raise DomainError("Nothing is proposed; there is nothing to take back.")
    act, held.proposed_act, held.proposed_by = held.proposed_act, "", None
    held.save(update_fields=["proposed_act", "proposed_by"])
    record("round.take_back", held, by=by, year=held.year, act=act)
    return held


@transaction.atomic
def confirm_act(round_: Round, act: str, *, by) -> int:
    """Do what a colleague proposed. Returns how many units were listed, or how many returns were locked."""
    held = Round.objects.select_for_update().get(pk=round_.pk)
    if held.proposed_act != act:
        raise DomainError("This is not proposed any more. Look at the round again.")
    if held.proposed_by_id == by.pk:
        raise DomainError("Who proposed it does not confirm it. Ask a colleague.")
    held.proposed_act, held.proposed_by = "", None
    held.save(update_fields=["proposed_act", "proposed_by"])
    if act == Round.Act.FREEZE:
        return freeze_frame(held, by=by)
    return close_round(held, by=by)


def _require_ready(round_: Round, act: str) -> None:
    if act not in Round.Act.values:
        raise DomainError("Propose to freeze the frame or to close the round.")
    if act == Round.Act.CLOSE and round_.state != Round.State.OPEN:
        raise DomainError(
            f"Round {round_.year} is {round_.get_state_display().lower()}; only an open round can be closed."
        )
    if act == Round.Act.FREEZE and round_.state != Round.State.PLANNED:
        raise DomainError(
            f"Round {round_.year} is {round_.get_state_display().lower()}; a frame is frozen while a round is planned."
        )
    if act == Round.Act.FREEZE and FrameEntry.objects.filter(round=round_).exists():
        raise DomainError(
            f"The frame of round {round_.year} is frozen already. What happens now enters the next round."
        )


@transaction.atomic
def close_round(round_: Round, *, by) -> int:
    """Close a round: accepted returns are locked, drafts stay as they are. Returns how many were locked.

    A return that was opened again and not handed in since counts with the version that was accepted, as those who
    mend are told: the wish to change it ends with the round, what was typed since is not used.
    For people the act is proposed and confirmed (`propose_act`, `confirm_act`); this is what is then done.
    """
    if not Round.objects.filter(pk=round_.pk, state=Round.State.OPEN).update(
        state=Round.State.CLOSED, proposed_act="", proposed_by=None
    ):
        raise DomainError(
            f"Round {round_.year} is {round_.get_state_display().lower()}; only an open round can be closed."
        )
    round_.state = Round.State.CLOSED
    _let_stand(round_, by=by)
    check_round(round_, by=by)  # what the checks said when the round was locked
    locked = Return.objects.filter(round=round_, state=Return.State.ACCEPTED).update(state=Return.State.LOCKED)
    record("round.close", round_, by=by, year=round_.year, locked=locked)
    return locked


def _let_stand(round_: Round, *, by) -> None:
    """Give returns that were opened again back the state of the version that was accepted; its flags stand with it."""
    standing = list(_opened_again(round_).order_by("pk"))
    for part in chunks(ret.pk for ret in standing):
        Return.objects.filter(pk__in=part).update(state=Return.State.ACCEPTED)
    record_many([("return.stands", ret, {"was": ret.state, "version": ret.version}) for ret in standing], by=by)

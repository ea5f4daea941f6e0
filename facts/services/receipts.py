"""What a respondent gets back on paper: the receipt of a version, and the sheet beside peers."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from django.db import transaction

from core import policy
from core.audit.models import Event, record
from core.base import DomainError
from facts.instrument import NUMBER_KINDS
from facts.models import Return
from facts.validation.checking import show_answer
from facts.vault import store
from facts.wording import grouped
from facts.xlsform.names import form_id

from .deadlines import day, locks_on
from .findings import schedule_of
from .papers import MAX_TEXT, SUBJECTS, render
from .reading import offices, open_for, receipts_of

NAMED = {"ASSOCIATION": "Association", "CLUSTER": "Cluster", "REGION": "Region"}
ABSENT = {"DK": "not known", "REF": "not told", "NA": "not asked"}
VERIFY = (
    "How to verify: the page of this return shows a digest beside every version. If it equals this one, letter for "
    "letter, the answers stored are those handed in; a single changed answer would change it altogether. It is made "
    "with a key, so it gives no answer away."
)


def receipt_pdf(ret: Return, *, by, number: int | None = None, with_answers: bool = False) -> bytes:
    """The receipt of a submitted version, the last one unless a number is given.

    with_answers : also the answers of the last version; whoever asks must be allowed to read them. The opening enters
    the audit chain with its purpose. Raises DomainError where there is no such version.
    """
    receipts = receipts_of(ret)
    receipt = next((one for one in receipts if one["number"] == (number or ret.version)), None)
    if receipt is None:
        raise DomainError("There is no such version of this return.")
    if with_answers and receipt["number"] != ret.version:
        raise DomainError("Answers are given with the last version only.")
    payload = open_for(ret, by=by, purpose="receipt with answers") if with_answers else None
    named = policy.allowed(by, "return.export", ret)
    return render("receipt", receipt_data(ret, receipt, receipts, payload, named=named))


def receipt_data(
    ret: Return, receipt: Mapping, receipts: list[dict], payload: Mapping | None, *, named: bool = True
) -> dict:
    """What a receipt says: no answer, unless a payload is handed over.

    named : whether the person who certified is named; reviewers and others who see the state only read no name.
    """
    round_, schedule = ret.round, schedule_of(ret)
    facts = [("Return", f"{schedule.title}, round {round_.year}")]
    if name := _name(ret):
        facts.append((NAMED[ret.schedule], name))
    facts.append((SUBJECTS[ret.schedule], ret.subject))
    if ret.cluster and ret.schedule != "CLUSTER":
        facts.append(("Cluster", f"{ret.cluster.name} ({ret.cluster.code})"))
    facts += [("Version", str(receipt["number"])), ("Handed in", _instant(receipt["at"]))]
    facts.append(("Handed in by", _office(ret, receipt["number"])))
    if receipt["number"] == ret.version:
        if ret.certified_name and named:
            facts.append(("Certified by", ret.certified_name))
        facts.append(("Answered", f"{ret.answered} of {ret.asked} questions"))
    return {
        "title": f"Receipt: {_name(ret) or ret.subject}, round {round_.year}, version {receipt['number']}",
        "year": str(round_.year),
        "mark": f"{form_id(ret.schedule, round_.year)} · {ret.subject} · v{receipt['number']}",
        "synthetic": ret.is_synthetic or round_.is_synthetic,
        "sentence": "This return was handed in and sealed. Nobody, the office included, can change this version now.",
        "facts": facts,
        "version": str(receipt["number"]),
        "digest": in_fours(receipt["digest"]),
        "verify": VERIFY,
        "next": list(next_steps(ret)),
        "earlier": [
            {"number": str(one["number"]), "at": _instant(one["at"]), "digest": " ".join(in_fours(one["digest"]))}
            for one in reversed(receipts)
            if one["number"] < receipt["number"]
        ],
        "sections": list(_answers(ret, payload)) if payload else [],
        "answers_note": (
            "These pages hold figures of one respondent. Keep them as you keep your books. Money stands in "
            f"{ret.currency or 'the currency of the return'}, in full."
        ),
    }


def _name(ret: Return) -> str:
    """Whom a return is about, by name; empty for a firm, which goes by its number."""
    about = {"ASSOCIATION": ret.organisation, "CLUSTER": ret.cluster, "REGION": ret.region}.get(ret.schedule)
    return about.name if about else ""


def in_fours(digest: str) -> list[str]:
    """A digest as people compare it: groups of four.

    >>> in_fours("0123456789ab")
    ['0123', '4567', '89ab']
    """
    return [digest[place : place + 4] for place in range(0, len(digest), 4)]


def _instant(at) -> str:
    if at is None:
        return ""
    at = at.astimezone(UTC)
    return f"{at:%A} {day(at)}, {at:%H:%M} UTC ({at:%Y-%m-%dT%H:%M:%SZ})"


def _office(ret: Return, number: int) -> str:
    """Who handed a version in, by role and organisation."""
    events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk), action="return.submit")
    actors = {event.detail.get("version"): event.actor_id for event in events}
    actor = actors.get(number)
    return offices({actor}, ret).get(actor, "the office") if actor else "the office"


def next_steps(ret: Return) -> Iterator[str]:
    """What happens to a return that was handed in, step by step: the page and the paper say the same."""
    round_ = ret.round
    collective = ret.schedule in ("CLUSTER", "REGION")
    reader = "the cluster cell" if collective else "the agency that looks after the cluster"
    nameless = ", without the firm’s name" if ret.schedule == "UNIT" else ""
    until = f" by {day(round_.editing_until)}" if round_.editing_until else ""
    yield f"A reviewer of {reader} reads the answers{nameless}{until}. Questions come on the value itself, with a date."
    yield "It is accepted, or comes back as a draft with the reason. Nothing is deleted; each version keeps its digest."
    yield f"After {day(locks_on(ret))} accepted returns are locked, and the index is computed."
    if ret.schedule == "UNIT":
        yield "Once it is accepted: a private sheet sets your figures beside those of your peers."
    if round_.releases_on:
        yield f"The index is published by {day(round_.releases_on)}, for whole clusters only."


def _answers(ret: Return, payload: Mapping) -> Iterator[dict]:
    answers, markers = payload["answers"], payload["markers"]
    said = payload.get("explanations", {})
    for section in schedule_of(ret).sections:
        lines = []
        for question in section.questions:
            if question.code in answers:
                lines.append(_line(question, _shown(question, answers[question.code], ret.currency), absent=False))
            elif question.code in markers:
                lines.append(_line(question, ABSENT.get(markers[question.code], ""), absent=True))
        if lines:
            codes = {question.code for question in section.questions}
            yield {
                "title": section.title,
                "lines": lines,
                "explanations": [
                    {"rule": rule, "text": text[:MAX_TEXT]} for rule, text in sorted(said.items()) if rule[:4] in codes
                ],
            }


def _line(question, answer: str, *, absent: bool) -> dict:
    is_number = question.kind in NUMBER_KINDS and question.unit != "year"
    unit = question.unit.replace("LCU", "").strip("/") if is_number else ""
    return {"code": question.code, "label": question.label, "answer": answer, "unit": unit, "absent": absent}


def _shown(question, answer: Any, currency: str) -> str:
    if question.kind in NUMBER_KINDS and question.unit != "year":
        return grouped(answer, currency)
    return show_answer(question, answer)[:MAX_TEXT]


# --- last year, for a form that is filled in by hand ---------------------------------------------------


@transaction.atomic
def last_year_of(ret: Return, *, by) -> dict[str, Any]:
    """The accepted answers of the round before, where this person may read that return; the opening is logged."""
    found = Return.objects.counted().filter(round__year=ret.round.year - 1, schedule=ret.schedule, subject=ret.subject)
    before = policy.scope(by, "return.read_submitted", found).first()
    payload = store.open_answers([(before.pk, before.version)]).get(before.pk) if before else None
    if before is None or payload is None:
        return {}
    record("return.open", before, by=by, purpose="a printed form with last year’s answers", version=before.version)
    return payload["answers"]


# --- the sheet beside peers ----------------------------------------------------------------------------


def benchmark_pdf(sheet: Mapping[str, Any]) -> bytes:
    """The private sheet as PDF, from plain data.

    sheet : title, year, mark, synthetic, sentence, promise; lines (label, note, own, low, middle, high, place,
    withheld, position: where the own value lies, 0–1 with the quarters at 0.25 and 0.75, or None); gaps (label,
    sentence, helped). All but synthetic and position as text.
    """
    return render("sheet", sheet)


def position(own: float | None, low: float | None, high: float | None) -> float | None:
    """Where a value lies on a scale on which the quarters stand at 0.25 and 0.75; held inside 0.02 and 0.98.

    >>> position(5, 4, 6), position(100, 4, 6), position(None, 4, 6)
    (0.5, 0.98, None)
    """
    if own is None or low is None or high is None:
        return None
    if high == low:
        return 0.5 if own == low else 0.02 if own < low else 0.98
    return min(0.98, max(0.02, 0.25 + 0.5 * (own - low) / (high - low)))

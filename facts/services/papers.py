"""Papers as PDF: a schedule to fill in by hand, the receipt of a return, the sheet given back.

Typst sets them from `templates/papers`. All words reach it as JSON and are set as text: nothing that a firm writes
can become an instruction. Equal input gives equal bytes; the files are tagged for screen readers (PDF/UA-1).
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import typst
from django.conf import settings

from core.base import DomainError
from facts.instrument import CODE_KINDS, NUMBER_KINDS, Check, Question, Schedule, Section
from facts.models import Round
from facts.validation.checking import show_answer
from facts.wording import grouped
from facts.xlsform import names

from .deadlines import day
from .instruments import definition, lookups

FOLDER = settings.BASE_DIR / "templates" / "papers"
MAX_DATA = 400_000  # characters: the longest form with all its codes has a third of it
MAX_TEXT = 2_000
FIXED = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
LONG_LISTING = 200  # entries; longer ones are looked up, not printed

SUBJECTS = {
    "UNIT": "Code of the unit",
    "CLUSTER": "Code of the cluster",
    "ASSOCIATION": "Cluster and association",
    "REGION": "Code of the region",
}
LISTINGS = {
    "isic4": ("Activities: ISIC Rev.4 classes", 9),
    "hs4": ("Products: HS headings", 9),
    "iso3166_2": ("Regions: ISO 3166-2", 14),
}
SCALES = ["in full", "thousands", "lakh", "millions"]


def render(template: str, data: Mapping[str, Any], *, format: str = "pdf") -> Any:
    """Set a paper. PDF as bytes; format="png" gives the pages as pictures, for people who look at them."""
    text = json.dumps(_settable(data), ensure_ascii=False, sort_keys=True)
    if len(text) > MAX_DATA:
        raise DomainError("The paper would be too long. Leave the answers out.")
    if format != "pdf":
        return _set(template, text, format=format, ppi=110, ignore_system_fonts=True)
    try:
        return _set(template, text, pdf_standards="ua-1", timestamp=FIXED, ignore_system_fonts=True)
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
    # Words in a script that the fonts inside typst lack: those of the system are asked; where none has the letters,
    # a box stands for each. That paper is tagged too, but keeps no standard.
    return _set(template, text, timestamp=FIXED, ignore_system_fonts=False)


def _set(template: str, text: str, **options) -> Any:
    return typst.compile(FOLDER / f"{template}.typ", root=FOLDER, sys_inputs={"data": text}, **options)


def _settable(data: Any) -> Any:
    """The same data without characters that no font shows, or that turn the direction of writing."""
    if isinstance(data, str):
        return data if data.isascii() and data.isprintable() else "".join(one for one in data if _has_shape(one))
    if isinstance(data, Mapping):
        return {key: _settable(value) for key, value in data.items()}
    return [_settable(one) for one in data] if isinstance(data, list | tuple) else data


def _has_shape(character: str) -> bool:
    """Controls, halves of characters, unassigned and private ones have none; joiners of Indian scripts are kept."""
    return character in "\n\u200c\u200d" or not unicodedata.category(character).startswith("C")


# --- the form ---------------------------------------------------------------------------------------


def form_data(
    schedule_code: str,
    round_: Round,
    *,
    subject: str = "",
    currency: str = "",
    last_year: Mapping[str, Any] | None = None,
    due: date | None = None,
) -> dict:
    """What a blank form says. `last_year`: accepted answers by code, for whoever may see them; `due`: other than the
    round's last day.
    """
    instrument = definition(round_.instrument.version)
    schedule = instrument.schedule(schedule_code)
    title = f"FACTS {round_.year}: {schedule.title}"
    return {
        "title": title,
        "year": str(round_.year),
        "schedule": schedule.title,
        "about": (
            f"Round {round_.year}: about the business year that ended between 1 July {round_.year - 1} and "
            f"30 June {round_.year}. Answered by: {_lower(schedule.respondent)}."
        ),
        "form": names.form_id(schedule_code, round_.year),
        "version": f"instrument {instrument.version}",
        "synthetic": round_.is_synthetic,
        "promise": instrument.promise,
        "subject": subject,
        "subject_label": SUBJECTS[schedule_code],
        "nameless": schedule_code == "UNIT",
        "money": names.has_scale(schedule),
        "scales": SCALES,
        "currency": currency,
        "hand_back": f"Hand it back by {day(due or round_.closes_on)}, to whoever gave it to you.",
        "after": (
            "Whoever types the form in checks it once more and may ask you. A receipt with a digest is given when the "
            "return is certified and handed in."
        ),
        "sections": [_section(section, schedule, last_year or {}, currency) for section in schedule.sections],
        "codes": list(_codes(schedule)),
    }


def form_pdf(schedule_code: str, round_: Round, **options) -> bytes:
    """A schedule to fill in by hand, as PDF; options as of `form_data`."""
    data = form_data(schedule_code, round_, **options)
    return render("form", data) if options else _blank(json.dumps(data, sort_keys=True))


@lru_cache(maxsize=16)
def _blank(text: str) -> bytes:
    """A form without anybody's code or figures: anybody may ask for it, and it costs a tenth of a second to set."""
    return render("form", json.loads(text))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _section(section: Section, schedule: Schedule, last_year: Mapping[str, Any], currency: str) -> dict:
    """A block; who is asked is said once above it where it holds for all of its questions, or for most."""
    routes = [question.asked_of for question in section.questions]
    common = max(dict.fromkeys(routes), key=routes.count) if all(routes) else ""
    return {
        "code": section.code,
        "title": section.title,
        "why": section.why,
        "seen_by": section.seen_by,
        "only": common,
        "questions": [
            _question(question, last_year.get(question.code), common, currency) for question in section.questions
        ],
        "sums": [check.message for check in _between_questions(schedule, section)],
    }


def _between_questions(schedule: Schedule, section: Section) -> Iterator[Check]:
    """Hard checks between questions, under the block where the last of them is asked."""
    order = list(schedule.questions)
    for check in schedule.checks.values():
        read = sorted(check.expression.names & schedule.questions.keys(), key=order.index)
        if check.kind == "hard" and len(read) > 1 and schedule.questions[read[-1]].section == section.code:
            yield check


def _question(question: Question, last: Any, common: str, currency: str) -> dict:
    shape, extra = _shape(question)
    return {
        "code": question.code,
        "label": question.label,
        "help": question.help,
        "only": question.asked_of if question.asked_of != common else "",
        "required": question.required,
        "marker": question.takes_marker,
        "unit": _unit(question, currency),
        "shape": shape,
        "last": "" if last is None else _shown(question, last, currency),
        **extra,
    }


def _shape(question: Question) -> tuple[str, dict]:
    """How the place for an answer looks."""
    if question.option_set is not None:
        options = [{"code": str(option.code), "label": option.label} for option in question.options]
        if question.kind == "multi" and not question.option_set.has_none:
            options.append({"code": "none", "label": "None of these"})
        short = max(len(option["label"]) for option in options) < 34 and len(options) > 4
        return "options", {"options": options, "several": question.kind == "multi", "columns": 3 if short else 2}
    if question.kind in CODE_KINDS:
        cells = 6 if question.listing == "iso3166_2" else 4
        if question.kind == "multicode":
            return "codes", {"cells": cells, "entries": question.max_entries or 4}
        return "code", {"cells": cells}
    if question.kind == "integer" and question.unit == "year":
        return "year", {}
    if question.kind == "text":
        return "text", {"lines": 1 if (question.max_length or 200) <= 200 else 2}
    if question.kind in ("date", "yesno"):
        return question.kind, {}
    return ("money" if question.kind == "money" else "number"), {}


def _unit(question: Question, currency: str) -> str:
    """The unit beside a box; money says its currency, or that it is the local one."""
    if question.unit in ("–", "year", "date"):
        return ""
    return question.unit.replace("LCU", currency or "local money")


def _shown(question: Question, answer: Any, currency: str) -> str:
    """An answer in words, figures with their thousands apart; long texts cut."""
    if question.kind in NUMBER_KINDS and question.unit != "year":
        return grouped(answer, currency)
    text = show_answer(question, answer)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _codes(schedule: Schedule) -> Iterator[dict]:
    """The classifications that a form asks for, where they are short enough to be printed."""
    asked = {question.listing for question in schedule.questions.values() if question.listing}
    for listing in sorted(asked):
        entries = lookups().titles(listing) or {}
        if not entries or len(entries) > LONG_LISTING:
            continue
        title, width = LISTINGS[listing]
        rows = [(code, entry if isinstance(entry, str) else entry[0]) for code, entry in sorted(entries.items())]
        yield {"title": title, "note": "Write the code into the boxes.", "width": width, "entries": rows}

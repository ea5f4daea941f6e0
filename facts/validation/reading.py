"""From raw values, as typed, filed or sent, to answers and markers."""

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from facts.instrument import Question, Schedule, plain_text
from facts.validation.numbers import MAX_DIGITS, Refused, number, plain_digits, too_large
from facts.validation.problems import Lookups, Problem

MARKERS = frozenset({"DK", "REF", "NA"})
SCALES = frozenset({1, 1_000, 100_000, 1_000_000})
MAX_TEXT = 2_000
MAX_ENTRIES = 100  # parts of one answer looked at
HUGE = 10**40
MAX_UNKNOWN = 20  # unknown question codes named one by one

_DIGITS = frozenset("0123456789")
_YES_NO = {"yes": 1, "y": 1, "true": 1, "1": 1, "no": 0, "n": 0, "false": 0, "0": 0}
_NOTHING = frozenset({"none", "none of these"})
_CODE_SHAPES = {
    "isic4": (re.compile(r"[0-9]{4}"), "a four-digit class of the ISIC Rev.4 list"),
    "hs4": (re.compile(r"[0-9]{4}"), "a four-digit heading of the HS list"),
    "iso3166_2": (re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}"), "a region code such as IN-UP"),
}
_CODE_AND_TITLE = re.compile(r"([0-9]{4})(?: [–·:-])? (.+)")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Line ends and tabs become spaces; other controls, and marks that turn the direction of writing (a name
# could be made to look like another), are refused. Joiners of Indian scripts are of category Cf too and stay.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Reading:
    """What could be read: answers at scale 1, markers, and problems in the order of the questions."""

    answers: dict[str, Any]
    markers: dict[str, str]
    problems: list[Problem]


def read_answers(
    schedule: Schedule, raw: Mapping[str, Any], *, scale: int = 1, lookups: Lookups | None = None
) -> Reading:
    """Read every raw value of a return; what cannot be read is a hard problem and no answer.

    Raw values are strings or JSON values (a file may also hand over dates and Decimals); blank means
    not answered. `scale` multiplies money, save rates such as a price per kWh.
    """
    if scale not in SCALES:
        raise ValueError(f"The scale is one of {sorted(SCALES)}, not {scale!r}.")
    answers: dict[str, Any] = {}
    markers: dict[str, str] = {}
    problems: list[Problem] = []
    for code, question in schedule.questions.items():
        value = raw.get(code)
        if value is None or value == "":
            continue
        try:
            marker = _marker(value)
            if marker is not None:
                _require_marker_allowed(question, marker)
                markers[code] = marker
                continue
            answer = _READERS[question.kind](question, value, scale, lookups)
        except Refused as refused:
            rule = "marker" if isinstance(refused, _MarkerRefused) else "type"
            problems.append(_refusal(question, rule, value, refused))
            continue
        if answer is not None:
            answers[code] = answer
    problems += _unknown(schedule, raw)
    return Reading(answers, markers, problems)


class _MarkerRefused(Refused):
    """A marker where none is taken."""


def shown(raw: Any) -> str:
    """A raw value as a message quotes it: short, printable, the same for 3.5 and "3.5"."""
    if isinstance(raw, list | tuple | set | frozenset):
        text = "; ".join(_as_text(one) for one in list(raw)[:10])
    else:
        text = _as_text(raw)
    text = "".join(one if one.isprintable() else "\ufffd" for one in text)
    return text if len(text) <= 60 else text[:57] + "…"


def _as_text(raw: Any) -> str:
    if isinstance(raw, str):
        return raw.strip()
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if _is_huge(raw):
        # Python refuses to write out some of these, and writes others out at any length.
        return "a number of more than 40 digits"
    if isinstance(raw, int):
        return str(raw)
    if isinstance(raw, float | Decimal):
        if not Decimal(raw).is_finite():
            return str(raw)
        text = format(Decimal(repr(raw)) if isinstance(raw, float) else raw, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(raw, date):
        return raw.isoformat()
    return "a group of values" if isinstance(raw, dict) else "a value of an unknown kind"


def _is_huge(raw: Any) -> bool:
    if isinstance(raw, Decimal):
        return raw.is_finite() and abs(raw.adjusted()) > 40
    return isinstance(raw, int) and abs(raw) >= HUGE


def _marker(raw: Any) -> str | None:
    if isinstance(raw, list | tuple) and len(raw) == 1:  # as check boxes send it
        raw = raw[0]
    if isinstance(raw, str) and len(raw) < 20 and raw[:1] not in _DIGITS and raw.strip() in MARKERS:
        return raw.strip()
    return None


def _require_marker_allowed(question: Question, marker: str) -> None:
    # NA passes here: whether the routing skips the question only `check` can tell.
    if marker != "NA" and not question.takes_marker:
        raise _MarkerRefused("cannot stand for an answer here", f"Give an answer in {question.code}.")


def _refusal(question: Question, rule: str, raw: Any, refused: Refused) -> Problem:
    value = shown(raw)
    return Problem(
        question=question.code,
        rule=f"{question.code}-{rule}",
        severity="hard",
        message=f"{question.code}, {question.short}: “{value}” {refused.reason}.",
        mend=refused.mend,
        value=value,
    )


def _unknown(schedule: Schedule, raw: Mapping[str, Any]) -> list[Problem]:
    unknown = [code for code in raw if code not in schedule.questions]
    problems = [
        Problem(
            question=shown(code),
            rule="unknown-question",
            severity="hard",
            message=f"“{shown(code)}” is not a question of “{schedule.title}”.",
            mend="Remove it, or use the code that stands beside the question.",
            value=shown(raw[code]),
        )
        for code in unknown[:MAX_UNKNOWN]
    ]
    if len(unknown) > MAX_UNKNOWN:
        more = len(unknown) - MAX_UNKNOWN
        problems.append(
            Problem(
                question="",
                rule="unknown-question",
                severity="hard",
                message=f"{more} more codes are not questions of “{schedule.title}”.",
                mend="Check that the return is filed under the right schedule.",
            )
        )
    return problems


# --- one reader for each kind; each answers None for a blank ---------------------------------------


def _clean(raw: Any) -> str:
    """A single raw value as trimmed text that every database can store, or Refused."""
    if isinstance(raw, list | tuple | set | frozenset | dict) or not isinstance(
        raw, str | int | float | Decimal | date
    ):
        raise Refused("is not a single value", "Give one value.")
    text = _as_text(raw)
    if len(text) > MAX_TEXT:
        raise Refused("is too long", "Give a shorter answer.")
    # Cs: half characters; Cc: controls, with them NUL. Neither can be stored on every database.
    if not (text.isascii() and text.isprintable()) and any(
        (unicodedata.category(one) in ("Cc", "Cs") and one not in "\t\r\n") or one in _TURNING for one in text
    ):
        raise Refused("holds characters that cannot be stored", "Type the answer anew, without special characters.")
    return text


def _read_number(question: Question, raw: Any, scale: int, lookups: Lookups | None) -> int | float | None:
    # The usual cases of API, file and form, without the long way: whole numbers in plain digits.
    if raw.__class__ is str and len(raw) < 13 and raw.isascii() and raw.isdecimal():
        raw = int(raw)
    if raw.__class__ is int and -(10**12) < raw < 10**12:
        return raw * scale if question.takes_scale else raw
    if _is_huge(raw):
        raise too_large()
    text = _clean(raw)
    if not text:
        return None
    value = number(text)
    if question.takes_scale:
        value *= scale
        if abs(value) >= 10**MAX_DIGITS:
            raise too_large()
    if value == value.to_integral_value():
        return int(value)
    if question.kind == "integer":
        raise Refused("is not a whole number", "Write a whole number, without decimals.")
    if question.kind == "money":
        cents = value.quantize(Decimal("0.01"))
        # Binary fractions of files and JSON (0.1 + 0.2) may be off by less than anyone could pay.
        if abs(value - cents) > Decimal("0.000001"):
            raise Refused("has more than two decimals", "Round the amount to two decimals.")
        value = cents
    return int(value) if value == value.to_integral_value() else float(value)


def _read_choice(question: Question, raw: Any, scale: int, lookups: Lookups | None) -> int | str | None:
    text = _clean(raw)
    return _option(question, text) if text else None


def _option(question: Question, text: str) -> int | str:
    assert question.option_set is not None
    found = question.option_set.by_text.get(plain_text(text))
    if found is None:
        found = question.option_set.by_text.get(plain_digits(text))
    if found is None:
        codes = ", ".join(str(option.code) for option in question.options if not option.staff_only)
        raise Refused("is not one of the answers offered", f"Choose one of {codes}.")
    return found


def _read_multi(question: Question, raw: Any, scale: int, lookups: Lookups | None) -> list[int | str] | None:
    assert question.option_set is not None
    nothing: list[int | str] | None = None if question.option_set.has_none else []
    if isinstance(raw, list | tuple | set | frozenset):
        _require_few(raw)
        parts = [text for text in (_clean(one) for one in raw) if text]
        if not parts:
            return nothing if len(raw) == 0 else None
    else:
        text = _clean(raw)
        if not text:
            return None
        if nothing is not None and plain_text(text) in _NOTHING:
            return nothing
        # Labels may hold commas, so a comma parts answers only where the whole is not one answer.
        if ";" in text:
            parts = _parts(text, ";")
        else:
            parts = [text] if plain_text(text) in question.option_set.by_text else _parts(text, ",")
    return sorted({_option(question, part) for part in parts}, key=str)


def _require_few(raw: Collection[Any]) -> None:
    if len(raw) > MAX_ENTRIES:
        raise Refused(f"has more than {MAX_ENTRIES} entries", "Give each answer once.")


def _parts(text: str, mark: str) -> list[str]:
    return [part.strip() for part in text.split(mark) if part.strip()]


def _read_yesno(question: Question, raw: Any, scale: int, lookups: Lookups | None) -> int | None:
    text = _clean(raw)
    if not text:
        return None
    answer = _YES_NO.get(plain_text(plain_digits(text)))
    if answer is None:
        raise Refused("is neither yes nor no", "Write yes or no.")
    return answer


def _read_text(question: Question, raw: Any, scale: int, lookups: Lookups | None) -> str | None:
    text = unicodedata.normalize("NFC", " ".join(_clean(raw).split()))
    if question.max_length is not None and len(text) > question.max_length:
        raise Refused(f"has more than {question.max_length} characters", "Shorten the text.")
    return text or None


def _read_date(question: Question, raw: Any, scale: int, lookups: Lookups | None) -> str | None:
    if isinstance(raw, datetime):  # spreadsheets know no day without an hour
        raw = raw.date()
    text = plain_digits(_clean(raw))
    if not text:
        return None
    try:
        if not _ISO_DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Refused("is not a date", "Write year-month-day, for example 2025-03-31.") from None


def _read_code(question: Question, raw: Any, scale: int, lookups: Lookups | None) -> str | None:
    text = _clean(raw)
    return _code(question, text, raw, lookups) if text else None


def _code(question: Question, text: str, raw: Any, lookups: Lookups | None) -> str:
    shape, what = _CODE_SHAPES[question.listing]
    text = plain_digits(text)
    entries = lookups.titles(question.listing) if lookups else None
    if question.listing == "iso3166_2":
        text = text.upper()
    elif not isinstance(raw, str) and text.isdecimal():
        text = text.zfill(4)  # a spreadsheet has taken 0111 for a number
    elif both := _CODE_AND_TITLE.fullmatch(text):
        title = (entries or {}).get(both[1])
        if title is not None and plain_text(title) == plain_text(both[2]):
            text = both[1]
    if not shape.fullmatch(text) or (entries is not None and not question.existence_is_checked and text not in entries):
        raise Refused(f"is not {what}", f"Choose from the list in {question.code}.")
    return text


def _read_multicode(question: Question, raw: Any, scale: int, lookups: Lookups | None) -> list[str] | None:
    if isinstance(raw, list | tuple | set | frozenset):
        _require_few(raw)
        pairs = [(_clean(one), one) for one in raw]
    else:
        text = _clean(raw)
        pairs = [(part, raw) for part in (_parts(text, ";") if ";" in text else re.split(r"[,\s]+", text))]
    codes = sorted({_code(question, text, one, lookups) for text, one in pairs if text})
    if question.max_entries is not None and len(codes) > question.max_entries:
        raise Refused(f"has more than {question.max_entries} entries", "Keep the most important ones.")
    return codes or None


_READERS: Mapping[str, Callable[[Question, Any, int, Lookups | None], Any]] = {
    "integer": _read_number,
    "decimal": _read_number,
    "percent": _read_number,
    "money": _read_number,
    "choice": _read_choice,
    "multi": _read_multi,
    "yesno": _read_yesno,
    "text": _read_text,
    "date": _read_date,
    "code": _read_code,
    "multicode": _read_multicode,
}

"""Logs: one JSON object a line, its keys from a list. What is not on the list is dropped; no value, no address, no text
of an exception is ever written, because a database error quotes the row that it refused.
"""

import datetime as dt
import json
import logging
import re
import traceback
from contextvars import ContextVar
from pathlib import Path

KEYS = ("route", "method", "status", "ms", "user_id", "role", "job", "kind", "state", "object")
OWN = ("core", "clusters", "facts", "cci", "interventions", "observatory")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
EVENT_MAX = 300
FRAMES = 20  # innermost calls that are kept of a traceback
BASE = Path(__file__).resolve().parent.parent

request_id: ContextVar[str] = ContextVar("request_id", default="")
logger = logging.getLogger("observatory.request")


def route_of(request) -> str:
    """The route's name, as `facts:return`; "" where none matched. An address may hold a token, so it is not used."""
    match = getattr(request, "resolver_match", None)
    return (match.view_name or "") if match else ""


def method_of(request) -> str:
    """The request's method; a word that is none is the visitor's own and is not repeated."""
    return request.method if request.method in METHODS else "other"


class Lines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, request, the listed keys; of an error its class and calls.

    A message of our own code is written whole: it holds ids and states. Of other libraries only the pattern is written,
    never what they put into it; where they give a ready text, its beginning up to a colon, digits masked.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": _event(record),
        }
        if number := request_id.get() or getattr(getattr(record, "request", None), "log_number", ""):
            line["request"] = number
        line |= {key: _plain(getattr(record, key)) for key in KEYS if hasattr(record, key)}
        line |= _of_request(record)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = _classes(record.exc_info[1])
            line["calls"] = _calls(record.exc_info[2])
        return json.dumps(line, ensure_ascii=False)


def _event(record: logging.LogRecord) -> str:
    if record.name.split(".")[0] in OWN:
        return record.getMessage()[:EVENT_MAX]
    if record.name.startswith("django.security"):
        return "refused as suspicious"  # the text quotes what the visitor sent
    text = str(record.msg)
    if not record.args:
        text = re.sub(r"\d+", "#", text.split(":")[0])
    return text[:EVENT_MAX]


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:80]


def _of_request(record: logging.LogRecord) -> dict[str, object]:
    """Route and status of the line that Django writes for an answer above 399."""
    found: dict[str, object] = {}
    request = getattr(record, "request", None)
    if hasattr(request, "META"):
        found |= {"route": route_of(request), "method": method_of(request)}
    if isinstance(status := getattr(record, "status_code", None), int):
        found["status"] = status
    return found


def _classes(error: BaseException | None) -> str:
    """The classes of an error and of those behind it, the last one first; never their texts."""
    names: list[str] = []
    while error is not None and len(names) < 5:
        names.append(f"{type(error).__module__}.{type(error).__qualname__}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " < ".join(names)


def _calls(trace) -> list[str]:
    """Where it happened: file, line and function of the innermost calls. No source line: it may hold a constant."""
    frames = traceback.extract_tb(trace)[-FRAMES:]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _short(filename: str) -> str:
    path = Path(filename)
    if "site-packages" in path.parts:
        return "/".join(path.parts[path.parts.index("site-packages") + 1 :])
    return str(path.relative_to(BASE)) if path.is_relative_to(BASE) else path.name

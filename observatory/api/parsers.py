"""Reads JSON that strangers send: bounded in depth and size, no trick characters, no key twice."""

import json
import re

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from .errors import TooLarge

MAX_BYTES = 10_000_000
MAX_DEPTH = 32
MAX_NODES = 20_000

# A string, also one without end: a scan that starts again at each quote would take the square of the length.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[][{}]")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class SafeJSONParser(JSONParser):
    """JSON with a limit on bytes, depth and values; NUL, lone surrogates, NaN and duplicate keys are refused."""

    def parse(self, stream, media_type=None, parser_context=None):
        raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise TooLarge
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise ParseError(f"The body is not UTF-8 (byte {exc.start}).") from None
        _require_flat(text)
        try:
            data = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse_constant)
        except ValueError as exc:
            raise ParseError(f"The body is not valid JSON: {exc}") from None
        _require_plain(data)
        return data


def _require_flat(text: str) -> None:
    """Refuse depth and mass before anything is built; strings do not count."""
    bare = _STRING.sub("", text)
    if bare.count(",") + bare.count("[") + bare.count("{") > 2 * MAX_NODES:
        raise _too_many()
    depth = 0
    for found in _BRACKET.finditer(bare):
        depth += 1 if found[0] in "[{" else -1
        if depth > MAX_DEPTH:
            raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _require_plain(data) -> None:
    nodes, count = [data], 0
    while nodes:
        node = nodes.pop()
        count += 1
        if count > MAX_NODES:
            raise _too_many()
        if isinstance(node, dict):
            nodes.extend(node.values())
            for key in node:
                _require_storable(key)
        elif isinstance(node, list):
            nodes.extend(node)
        elif isinstance(node, str):
            _require_storable(node)


def _require_storable(text: str) -> None:
    if _UNSTORABLE.search(text):
        raise ParseError("The body holds a NUL or half a surrogate pair, which no text needs.")


def _too_many() -> TooLarge:
    return TooLarge(f"The body has more than {MAX_NODES:,} values. Send it in parts.")


def _without_doubles(pairs):
    seen = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"the key {key[:60]!r} stands twice in one object")
        seen[key] = value
    return seen


def _refuse_constant(name):
    raise ValueError(f"{name} is not a number")

"""The reviewed file of the reliability score: parts, caps, stops, gates and thresholds, read and checked."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from facts.checks import rules as check_rules
from facts.expressions import Expression, parse

PARTS = ("D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8")
FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "reliability"


@dataclass(frozen=True)
class Gate:
    """One gate of an organised association. `rule` holds or not; `needs` and `has` say how far it is, where it counts.

    is_near : lacking this one alone makes a cluster provisional rather than not eligible (framework §10.4).
    """

    code: str
    name: str
    rule: Expression
    found: str
    asks: str
    mend: str
    paper: str
    takes: str
    months: float
    is_near: bool = False
    needs: Expression | None = None
    has: str = ""


@dataclass(frozen=True)
class Rules:
    """Everything that turns a snapshot into scores and statuses.

    content : the file as read, for pages and for the methodology's record. checks : the rules of X01–X30, which D5 to
    D8 rest on. digest : SHA-256 over the bytes of both files.
    """

    content: Mapping[str, Any] = field(repr=False)
    gates: tuple[Gate, ...] = field(repr=False)
    checks: check_rules.Rules = field(repr=False)
    digest: str

    @cached_property
    def parts(self) -> Mapping[str, Mapping[str, Any]]:
        """The parts of the score by code."""
        return {part["code"]: part for part in self.content["part"]}

    @property
    def thresholds(self) -> Mapping[str, float]:
        return self.content["thresholds"]

    @property
    def stops(self) -> Mapping[str, float]:
        return self.content["stops"]

    @property
    def effort(self) -> Mapping[str, float]:
        return self.content["effort"]


def read_rules(content: bytes, checks: check_rules.Rules) -> Rules:
    """Read the file's bytes; ValueError names what does not fit."""
    data = tomllib.loads(content.decode())
    codes = tuple(part["code"] for part in data["part"])
    if codes != PARTS:
        raise ValueError(f"The score has the parts {', '.join(PARTS)}, in this order; the file has {', '.join(codes)}.")
    total = sum(part["points"] for part in data["part"])
    if total != 100:
        raise ValueError(f"The points of D1 to D8 add up to {total}, not to 100.")
    for part in data["part"]:
        if part["none_at"] == part["full_at"]:
            raise ValueError(f"{part['code']}: none_at and full_at are equal; a factor needs a slope.")
    limits = data["thresholds"]
    if not limits["provisional"] <= limits["stay"] <= limits["enter"]:
        raise ValueError("The thresholds must rise from provisional to stay to enter.")
    read = hashlib.sha256(content + checks.digest.encode()).hexdigest()
    return Rules(data, tuple(_gate(entry) for entry in data["gate"]), checks, read)


def _gate(entry: Mapping[str, Any]) -> Gate:
    words = {name: entry[name] for name in ("code", "name", "found", "asks", "mend", "paper", "takes", "months")}
    needs = parse(entry["needs"]) if "needs" in entry else None
    return Gate(
        **words, rule=parse(entry["rule"]), is_near=entry.get("near", False), needs=needs, has=entry.get("has", "")
    )


@cache
def load_rules(name: str = "facts-1.0.toml") -> Rules:
    """Read the rules by file name under fixtures/reliability, with the rules of the checks that the file names."""
    content = (FOLDER / name).read_bytes()
    check_file = tomllib.loads(content.decode())["checks"]
    return read_rules(content, check_rules.load_rules(FOLDER.parent / "checks" / check_file))

"""The reviewed rules of X01–X30: sentences, limits and parameters, valid from a round on."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

RULES_FILE = Path(__file__).resolve().parents[2] / "fixtures" / "checks" / "facts-1.0.toml"
LEVELS = ("unit", "cluster", "worker")
DATA_TEAM = "data team"
UNIT_CHECKS = tuple(f"X{number:02d}" for number in range(1, 11))
ROUND_CHECKS = tuple(f"X{number}" for number in range(20, 31))
# What each check cannot do without. A file that lacks one is refused when it is read, not when a round is checked.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "X01": ("variables", "per_month", "warn", "critical", "least", "exponent", "least_spread", "size_spread"),
    "X02": ("least", "tolerance"),
    "X03": ("least",),
    "X04": ("round_growth", "tolerance"),
    "X05": ("least", "each", "together", "least_spread", "hand_made"),
    "X06": ("floor",),
    "X07": ("energy_up", "output_down", "energy_down", "output_up"),
    "X08": (
        "unit_items",
        "unit_near",
        "unit_powers",
        "digit_near",
        "digit_others",
        "least",
        "least_peers",
        "new_others",
        "new_spreads",
    ),
    "X09": ("least", "memory"),
    "X10": ("classes",),
    "X20": ("warn", "critical"),
    "X21": ("warn", "critical", "least", "least_at_mode"),
    "X22": ("warn", "critical", "smallest", "digits"),
    "X23": ("warn", "least", "persons"),
    "X24": ("below", "above", "least", "ratio", "errors"),
    "X25": ("low", "high", "outer_low", "outer_high"),
    "X26": ("low", "high", "outer_low", "outer_high"),
    "X27": ("warn",),
    "X28": ("warn",),
    "X29": ("warn", "least"),
    "X30": ("errors", "least", "heaped", "figures"),
}


@dataclass(frozen=True)
class Check:
    """One check. `entries`: (valid from round, parameters), in order of round."""

    id: str
    level: str
    name: str
    rule: str
    action: str
    source: str
    audience: str
    entries: tuple[tuple[int, Mapping[str, Any]], ...]

    def parameters(self, round_year: int) -> dict[str, Any] | None:
        """The parameters that hold in a round; None where the check does not exist yet."""
        valid = [given for start, given in self.entries if start <= round_year]
        return {name: value for given in valid for name, value in given.items()} if valid else None


@dataclass(frozen=True)
class Limit:
    """A limit for benefits: firms of the country may wish to lie below it. `value` None ends it."""

    country: str
    question: str
    name: str
    valid_from: int
    value: float | None
    source: str
    demonstration: bool = False


@dataclass(frozen=True)
class Rules:
    """Everything the file holds, with the digest of its bytes."""

    version: str
    instrument: str
    title: str
    author: str
    review_on: date
    money_items: tuple[str, ...]
    checks: Mapping[str, Check]
    limits: tuple[Limit, ...]
    digest: str = field(repr=False)

    def of(self, check: str, round_year: int) -> dict[str, Any] | None:
        """The parameters of a check in a round; None: it is not run."""
        known = self.checks.get(check)
        return known.parameters(round_year) if known else None

    def limits_in(self, round_year: int) -> list[Limit]:
        """The limits that hold in a round, the latest row of each."""
        latest: dict[tuple[str, str, str], Limit] = {}
        for limit in sorted(self.limits, key=lambda limit: limit.valid_from):
            if limit.valid_from <= round_year:
                latest[limit.country, limit.question, limit.name] = limit
        return [limit for limit in latest.values() if limit.value is not None]

    def for_data_team(self, rule: str) -> bool:
        """Whether a rule ("X05", "X01-UC01") is kept from respondents and associations."""
        known = self.checks.get(check_of(rule))
        return known is not None and known.audience == DATA_TEAM


def check_of(rule: str) -> str:
    """The check behind a rule: "X01-UC01" → "X01"."""
    return rule.partition("-")[0]


@lru_cache(maxsize=8)
def load_rules(path: Path = RULES_FILE) -> Rules:
    """Read and check a file of rules; ValueError names file, place and what does not fit."""
    content = path.read_bytes()
    try:
        data = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from None
    checks: dict[str, Check] = {}
    for number, entry in enumerate(data.get("check", []), start=1):
        check = _check(path.name, number, entry)
        if check.id in checks:
            raise ValueError(f"{path.name}, check {number}: {check.id} stands twice. Keep one entry.")
        checks[check.id] = check
    limits = tuple(_limit(path.name, number, entry) for number, entry in enumerate(data.get("limit", []), start=1))
    try:
        return Rules(
            version=data["version"],
            instrument=data["instrument"],
            title=data["title"],
            author=data["author"],
            review_on=data["review_on"],
            money_items=tuple(data["money_items"]),
            checks=checks,
            limits=limits,
            digest=hashlib.sha256(content).hexdigest(),
        )
    except KeyError as missing:
        raise ValueError(f"{path.name}: {missing.args[0]!r} is missing at the head of the file.") from None


def _check(file: str, number: int, entry: dict) -> Check:
    place = f"{file}, check {number} ({entry.get('id', 'without id')})"
    for name in ("id", "level", "name", "rule", "action", "source"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise ValueError(f"{place}: {name!r} is missing. Give it as text.")
    if entry["id"] not in NEEDED:
        raise ValueError(f"{place}: there is no check of this id. Known: {', '.join(NEEDED)}.")
    if entry["level"] not in LEVELS:
        raise ValueError(f"{place}: level {entry['level']!r} is none of {', '.join(LEVELS)}.")
    entries = entry.get("parameters") or []
    given: dict[str, Any] = {}
    starts: list[int] = []
    for one in entries:
        start = one.get("valid_from")
        if not isinstance(start, int) or isinstance(start, bool):
            raise ValueError(f"{place}: parameters without a round. Give `valid_from` as a year.")
        if starts and start <= starts[-1]:
            raise ValueError(f"{place}: parameters from round {start} stand after those of {starts[-1]}. Sort them.")
        starts.append(start)
        given |= one
        if lacking := [name for name in NEEDED[entry["id"]] if name not in given]:
            raise ValueError(f"{place}, from round {start}: {', '.join(lacking)} missing.")
        if strange := [name for name in one if name not in (*NEEDED[entry["id"]], "valid_from")]:
            raise ValueError(f"{place}, from round {start}: no parameter is called {', '.join(strange)}.")
    if not entries:
        raise ValueError(f"{place}: no parameters. Give at least one entry with `valid_from`.")
    return Check(
        **{name: entry[name] for name in ("id", "level", "name", "rule", "action", "source")},
        audience=entry.get("audience", "all"),
        entries=tuple((one["valid_from"], {k: v for k, v in one.items() if k != "valid_from"}) for one in entries),
    )


def _limit(file: str, number: int, entry: dict) -> Limit:
    place = f"{file}, limit {number}"
    for name in ("country", "question", "name", "valid_from", "source"):
        if name not in entry:
            raise ValueError(f"{place}: {name!r} is missing.")
    if entry["question"] not in ("UE01", "UC01", "UB01"):
        raise ValueError(f"{place}: limits are on UE01 (machinery), UC01 (turnover) or UB01 (persons).")
    value = entry.get("value")
    if value is not None and not (isinstance(value, int | float) and value > 0):
        raise ValueError(f"{place}: the value {value!r} is not an amount above zero.")
    return Limit(
        country=entry["country"],
        question=entry["question"],
        name=entry["name"],
        valid_from=entry["valid_from"],
        value=None if value is None else float(value),
        source=entry["source"],
        demonstration=entry.get("demonstration", False),
    )

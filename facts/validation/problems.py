"""What validation is given beside the answers, and what it says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Problem:
    """Something to correct (hard) or to correct or explain (soft).

    `message` names place, value and rule; `mend` says which field to correct. Both message and value
    hold answers and are kept out of the repr, so that a log line does not give them away.
    """

    question: str
    rule: str
    severity: str
    message: str = field(repr=False)
    mend: str = field(repr=False)
    value: str = field(default="", repr=False)

    @property
    def is_hard(self) -> bool:
        return self.severity == "hard"


@dataclass(frozen=True)
class Lookups:
    """Classifications and uniqueness. What is None is not at hand: checks that need it have no value.

    isic4 : four-digit class -> title; the division is the first two digits.
    hs4 : four-digit heading -> title.
    regions : ISO 3166-2 code -> (name, latitude, longitude); latitude and longitude may be None.
    is_unique : whether no other record has this text (CA01 + CA05).
    """

    isic4: Mapping[str, str] | None = None
    hs4: Mapping[str, str] | None = None
    regions: Mapping[str, tuple[str, float | None, float | None]] | None = None
    is_unique: Callable[[str], bool] | None = None

    def titles(self, listing: str) -> Mapping[str, Any] | None:
        """The entries of a listing, by the name checks use (hs) or questions use (hs4)."""
        return {"isic4": self.isic4, "hs": self.hs4, "hs4": self.hs4}.get(listing, self.regions)

    def exists(self, code: Any, listing: str, level: int | None = None) -> bool | None:
        entries = self.titles(listing)
        if entries is None:
            return None
        return code in entries and (level is None or len(str(code)) == level)

    def division(self, isic_class: Any) -> str | None:
        if self.isic4 is None or isic_class not in self.isic4:
            return None
        return str(isic_class)[:2]

    def point(self, region: Any) -> tuple[float, float] | None:
        _, latitude, longitude = (self.regions or {}).get(region, ("", None, None))
        return None if latitude is None or longitude is None else (float(latitude), float(longitude))

    def unique(self, value: Any) -> bool | None:
        return None if self.is_unique is None else self.is_unique(value)


NO_LOOKUPS = Lookups()


@dataclass(frozen=True, kw_only=True)
class Context:
    """What checks see beside the answers of one return.

    prev : accepted answers of the same subject one round earlier; empty if there are none. Checks compare with them.
    shown_prev : those of them that the person asking may read; only these are ever shown or quoted.
    values : answers of other schedules by code (RC03, CH02, CB07), and frame_count, uh01_share and
        cluster_isic (a collection of ISIC classes) where they are known.
    """

    ref_year: int
    today: date
    fy_end: date | None = None
    prev: Mapping[str, Any] = field(default_factory=dict, repr=False)
    shown_prev: Mapping[str, Any] = field(default_factory=dict, repr=False)
    values: Mapping[str, Any] = field(default_factory=dict)
    lookups: Lookups = NO_LOOKUPS

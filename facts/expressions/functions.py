"""What each function of the language does with known operands."""

import math
from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any, Protocol

from facts.expressions.grammar import ExpressionError

EARTH_RADIUS_KM = 6371.0088
NUMBERS = frozenset({int, float, bool})


class Lookups(Protocol):
    """What expressions ask of classifications; None means "cannot be told here"."""

    def exists(self, code: Any, listing: str, level: int | None) -> bool | None: ...
    def division(self, isic_class: Any) -> str | None: ...
    def point(self, region: Any) -> tuple[float, float] | None: ...
    def unique(self, value: Any) -> bool | None: ...


def _many(value: Any) -> Collection[Any]:
    if isinstance(value, list | tuple | set | frozenset):
        return value
    raise ExpressionError("", None, "A question with several answers is needed")


def _number(value: Any) -> Any:
    if value.__class__ in NUMBERS:
        return value
    raise ExpressionError("", None, "A number is needed")


def _near(one: Any, other: Any, tolerance: Any) -> bool:
    return bool(abs(_number(one) - _number(other)) <= _number(tolerance) * max(abs(one), abs(other), 1))


def _days(later: Any, earlier: Any) -> int:
    try:
        return (date.fromisoformat(later) - date.fromisoformat(earlier)).days
    except ValueError:
        raise ExpressionError("", None, "A date is needed") from None


def _distance_km(latitude: Any, longitude: Any, point: Any) -> float:
    """Great-circle distance (haversine) on a sphere of the mean earth radius."""
    if not isinstance(point, tuple):
        raise ExpressionError("", None, "A point is needed")
    phi, lam, phi_to, lam_to = (math.radians(_number(value)) for value in (latitude, longitude, *point))
    half = math.sin((phi_to - phi) / 2) ** 2 + math.cos(phi) * math.cos(phi_to) * math.sin((lam_to - lam) / 2) ** 2
    # Latitudes beyond the poles (an answer another check refuses) can push this out of [0, 1].
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, max(0.0, half))))


def _exists_in(lookups: Lookups, value: Any, listing: Any, level: int | None = None) -> bool | None:
    codes = value if isinstance(value, list | tuple) else [value]
    found = [lookups.exists(code, listing, level) for code in codes]
    return None if any(one is None for one in found) else all(found)


def _majority_same_division(lookups: Lookups, main: Any, others: Any) -> bool | None:
    division = lookups.division(main)
    if division is None or not _many(others):
        return None
    return 2 * sum(lookups.division(code) == division for code in others) > len(others)


PLAIN: Mapping[str, Callable[..., Any]] = {
    "has": lambda several, code: code in _many(several),
    "count": lambda several: len(_many(several)),
    "subset": lambda part, whole: set(_many(part)) <= set(_many(whole)),
    "near": _near,
    "abs": lambda value: abs(_number(value)),
    "max": lambda *values: max(map(_number, values)),
    "min": lambda *values: min(map(_number, values)),
    "days": _days,
    "distance_km": _distance_km,
}

LOOK_UPS: Mapping[str, Callable[..., Any]] = {
    "exists_in": _exists_in,
    "unique": lambda lookups, value: lookups.unique(value),
    "majority_same_division": _majority_same_division,
    "admin1_point": lambda lookups, region: lookups.point(region),
}

"""Take the keys of one table of settings; what is left at the end is unknown."""

import math
from collections.abc import Mapping
from typing import Any

from cci.engine.errors import ConfigError

# The size of a number that a setting may hold, beside 0.
LEAST, MOST = 1e-100, 1e100


class Keys:
    """Takes keys out of one table, checks each, and notes in `defaults` those that were not set."""

    def __init__(self, values: Any, table: str, file: str, defaults: list[str]) -> None:
        self.table, self.file, self.defaults = table, file, defaults
        if not isinstance(values, Mapping):
            raise ConfigError(f"is a table; write [{table}].", file=file, key=table)
        self.values = dict(values)
        self.known: list[str] = []

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def error(self, key: str, message: str) -> ConfigError:
        return ConfigError(message, file=self.file, table=self.table, key=key)

    def take(self, key: str, default: Any) -> Any:
        """The value of a key; None as the default means that leaving it out is no choice worth naming."""
        self.known.append(key)
        if key in self.values:
            return self.values.pop(key)
        if default is not None:
            self.defaults.append(f"{self.table}.{key}")
        return default

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        return self._chosen(key, self.take(key, default), allowed)

    def number(self, key: str, default: float, low: float = -math.inf, high: float = math.inf) -> float:
        return self._number(key, self.take(key, default), low, high)

    def optional_number(self, key: str, low: float = -math.inf, high: float = math.inf) -> float | None:
        value = self.take(key, None)
        return None if value is None else self._number(key, value, low, high)

    def whole(self, key: str, default: int, low: int = 0) -> int:
        return self._whole(key, self.take(key, default), low)

    def optional_whole(self, key: str, low: int = 0) -> int | None:
        value = self.take(key, None)
        return None if value is None else self._whole(key, value, low)

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"{value!r} is not true or false.")
        return value

    def text(self, key: str, what: str, *, needed: bool = False) -> str:
        """A name in quotes; empty where it is left out. `what` says in an error what to write."""
        value = self.take(key, None)
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or not value:
            raise self.error(key, f"{what}, in quotes.")
        return value

    def names(self, key: str, what: str = "unit codes", default: Any = ()) -> tuple[str, ...]:
        """A list of names; `default` None where leaving it out is no choice worth naming in the report."""
        value = self.take(key, default if default is None else list(default))
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self.error(key, f"is a list of {what} in quotes.")
        return tuple(value)

    def numbers(self, key: str, low: float = -math.inf, high: float = math.inf) -> dict[str, float]:
        """Numbers by name, { name = number, … }; empty where it is left out."""
        return {name: self._number(key, value, low, high) for name, value in self._mapping(key).items()}

    def by_level(self, key: str, high: float) -> dict[int, float]:
        """Shares by level of the hierarchy, { 2 = 0.5 }."""
        found = {}
        for name, value in self._mapping(key).items():
            if not name.isascii() or not name.isdigit():
                raise self.error(key, f"{name!r} is no level; write {{ 2 = 0.5 }}.")
            found[int(name)] = self._number(key, value, 0, high)
        return found

    def texts(self, key: str, what: str) -> dict[str, str]:
        """Names by name, { a = "x", … }; empty where it is left out."""
        mapping = self._mapping(key)
        for name, value in mapping.items():
            if not isinstance(value, str) or not value:
                raise self.error(key, f"{name}: {value!r} is no {what}; write it in quotes.")
        return mapping

    def tables(self, key: str) -> dict[str, "Keys"]:
        """The tables below this one, [table.key.name]; empty where there are none."""
        return {
            name: Keys(value, f"{self.table}.{key}.{name}", self.file, self.defaults)
            for name, value in self._mapping(key).items()
        }

    def choices(self, key: str, default: str, allowed: tuple[str, ...]) -> str | list[str]:
        value = self.take(key, default)
        if isinstance(value, list):
            return [self._chosen(key, entry, allowed) for entry in value]
        return self._chosen(key, value, allowed)

    def number_list(
        self, key: str, default: float | list[float], high: float = math.inf, low: float = 0
    ) -> float | list[float]:
        value = self.take(key, default)
        if isinstance(value, list):
            return [self._number(key, entry, low, high) for entry in value]
        return self._number(key, value, low, high)

    def whole_list(self, key: str, default: int | list[int]) -> int | list[int]:
        value = self.take(key, default)
        if isinstance(value, list):
            return [self._whole(key, entry) for entry in value]
        return self._whole(key, value)

    def finish(self, note: str = "") -> None:
        for key in self.values:
            raise self.error(key, f"unknown key{note}; [{self.table}] knows {', '.join(self.known)}.")

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self.take(key, None)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.error(key, "is a table; write { name = value }.")
        return dict(value)

    def _chosen(self, key: str, value: Any, allowed: tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise self.error(key, f"{value!r} is not known; choose {', '.join(allowed)}.")
        return value

    def _number(self, key: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or (value != value or abs(value) == math.inf):
            raise self.error(key, f"{value!r} is not a finite number.")
        # No setting needs more, and a whole number of TOML may be too large for a float.
        if value and not LEAST <= abs(value) <= MOST:
            shown = repr(value) if isinstance(value, float) else f"a whole number of {len(str(abs(value)))} digits"
            size = "large" if abs(value) > MOST else "small"
            raise self.error(key, f"{shown} is too {size} to compute with; write 0, or between {LEAST:g} and {MOST:g}.")
        if not low <= value <= high:
            limits = f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
            raise self.error(key, f"{value!r} is out of range; write {limits}.")
        return float(value)

    def _whole(self, key: str, value: Any, low: int = 0) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise self.error(key, f"{value!r} is not a whole number of {low} or more.")
        return value

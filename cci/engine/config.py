"""The settings of a run: which steps, with which parameters; checked whole before anything is computed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cci.engine import aggregation, normalisation, ranking, screening, treatment
from cci.engine.aggregation import LevelRule
from cci.engine.errors import ConfigError

STEPS = ("screen", "impute", "treat", "normalise", "aggregate", "rank")
IMPUTATIONS = ("none",)
SCOPES = ("all", "time")
COMPATIBLE = ("coinr",)


@dataclass(frozen=True)
class Screen:
    method: str
    min_available: float
    min_nonzero: float
    include: tuple[str, ...]
    exclude: tuple[str, ...]


@dataclass(frozen=True)
class Impute:
    method: str


@dataclass(frozen=True)
class Treat:
    skew: float
    kurtosis: float
    winsorise_max: int
    transform: str
    power: float
    combine: bool
    scope: str


@dataclass(frozen=True)
class Normalise:
    """`lower`, `upper` and `scope` belong to min_max, `file` and `clip` to goalposts."""

    method: str
    lower: float = 0
    upper: float = 100
    scope: str = "all"
    file: str = ""
    clip: bool = True


@dataclass(frozen=True)
class Aggregate:
    """Each field holds one value for all levels, or a list: one per level from the indicators up."""

    method: str | list[str]
    min_available: float | list[float]
    min_components: int | list[int]
    min_weight_share: float | list[float]
    floor: float | list[float]

    def rules(self, steps: int, *, file: str = "config") -> tuple[LevelRule, ...]:
        """One rule per step of the hierarchy; raises ConfigError where a list has another length."""
        columns = []
        for key in ("method", "min_available", "min_components", "min_weight_share", "floor"):
            value = getattr(self, key)
            if isinstance(value, list) and len(value) != steps:
                raise ConfigError(
                    f"the list has {len(value)} entries and the hierarchy {steps} steps above the "
                    "indicators; give one per step, from the indicators up, or a single value.",
                    file=file,
                    table="aggregate",
                    key=key,
                )
            columns.append(value if isinstance(value, list) else [value] * steps)
        return tuple(LevelRule(*entries) for entries in zip(*columns, strict=True))


@dataclass(frozen=True)
class Rank:
    ties: str
    tolerance: float


@dataclass(frozen=True)
class Config:
    """A checked configuration. A step that is None is not run; `defaults` names each default used."""

    compat: str | None
    screen: Screen | None
    impute: Impute | None
    treat: Treat | None
    normalise: Normalise | None
    aggregate: Aggregate | None
    rank: Rank | None
    defaults: tuple[str, ...] = field(default=())

    @property
    def coinr(self) -> bool:
        return self.compat == "coinr"


def read_config(config: Mapping[str, Any], *, file: str = "config") -> Config:
    """Check a mapping of settings, as TOML gives it, and name every default.

    Raises ConfigError, naming table and key, for an unknown table or key, a value of the wrong kind or
    out of range, an unknown method, a key that its method does not use, and steps that need others.

    >>> read_config({"rank": {}, "aggregate": {"min_available": 0.5}}).defaults
    ('aggregate.method', 'aggregate.min_components', 'aggregate.min_weight_share', 'aggregate.floor', \
'rank.ties', 'rank.tolerance')
    """
    for key in config:
        if key != "compat" and key not in STEPS:
            raise ConfigError(
                f"unknown key or table; the configuration knows compat and {', '.join(STEPS)}.",
                file=file,
                key=str(key),
            )
    compat = config.get("compat")
    if compat is not None and compat not in COMPATIBLE:
        raise ConfigError(f'{compat!r} is not known; write "coinr" or leave it out.', file=file, key="compat")
    coinr = compat == "coinr"
    defaults: list[str] = []

    def table(name: str) -> "_Keys | None":
        return _Keys(config[name], name, file, defaults) if name in config else None

    read = Config(
        compat=compat,
        screen=_screen(keys) if (keys := table("screen")) else None,
        impute=_impute(keys) if (keys := table("impute")) else None,
        treat=_treat(keys, coinr) if (keys := table("treat")) else None,
        normalise=_normalise(keys) if (keys := table("normalise")) else None,
        aggregate=_aggregate(keys, coinr) if (keys := table("aggregate")) else None,
        rank=_rank(keys, coinr) if (keys := table("rank")) else None,
        defaults=tuple(defaults),
    )
    if not any(name in config for name in STEPS):
        raise ConfigError(f"no step is asked for; write at least one of {', '.join(STEPS)}.", file=file)
    if read.rank and not read.aggregate:
        raise ConfigError("ranks are made of scores; add [aggregate].", file=file, key="rank")
    return read


class _Keys:
    """Takes keys out of one table; what is left at the end is unknown."""

    def __init__(self, values: Any, table: str, file: str, defaults: list[str]) -> None:
        self.table, self.file, self.defaults = table, file, defaults
        if not isinstance(values, Mapping):
            raise ConfigError(f"is a table; write [{table}].", file=file, key=table)
        self.values = dict(values)
        self.known: list[str] = []

    def __bool__(self) -> bool:
        return True

    def error(self, key: str, message: str) -> ConfigError:
        return ConfigError(message, file=self.file, table=self.table, key=key)

    def take(self, key: str, default: Any) -> Any:
        self.known.append(key)
        if key in self.values:
            return self.values.pop(key)
        self.defaults.append(f"{self.table}.{key}")
        return default

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        return self._chosen(key, self.take(key, default), allowed)

    def number(self, key: str, default: float, low: float = -math.inf, high: float = math.inf) -> float:
        return self._number(key, self.take(key, default), low, high)

    def whole(self, key: str, default: int) -> int:
        return self._whole(key, self.take(key, default))

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"{value!r} is not true or false.")
        return value

    def names(self, key: str) -> tuple[str, ...]:
        value = self.take(key, [])
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self.error(key, "is a list of unit codes in quotes.")
        return tuple(value)

    def choices(self, key: str, default: str, allowed: tuple[str, ...]) -> str | list[str]:
        value = self.take(key, default)
        if isinstance(value, list):
            return [self._chosen(key, entry, allowed) for entry in value]
        return self._chosen(key, value, allowed)

    def number_list(self, key: str, default: float, high: float = math.inf) -> float | list[float]:
        value = self.take(key, default)
        if isinstance(value, list):
            return [self._number(key, entry, 0, high) for entry in value]
        return self._number(key, value, 0, high)

    def whole_list(self, key: str, default: int) -> int | list[int]:
        value = self.take(key, default)
        if isinstance(value, list):
            return [self._whole(key, entry) for entry in value]
        return self._whole(key, value)

    def finish(self, note: str = "") -> None:
        for key in self.values:
            raise self.error(key, f"unknown key{note}; [{self.table}] knows {', '.join(self.known)}.")

    def _chosen(self, key: str, value: Any, allowed: tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise self.error(key, f"{value!r} is not known; choose {', '.join(allowed)}.")
        return value

    def _number(self, key: str, value: Any, low: float, high: float) -> float:
        # No setting needs more than this, and a whole number of TOML may be too large for a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e100:
            raise self.error(key, f"{value!r} is not a finite number.")
        if not low <= value <= high:
            limits = f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
            raise self.error(key, f"{value!r} is out of range; write {limits}.")
        return float(value)

    def _whole(self, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(key, f"{value!r} is not a whole number of 0 or more.")
        return value


def _screen(keys: _Keys) -> Screen:
    method = keys.choice("method", "by_na", screening.METHODS)
    min_available = keys.number("min_available", 2 / 3, 0, 1) if method != "by_zeros" else 0.0
    min_nonzero = keys.number("min_nonzero", 0.05, 0, 1) if method != "by_na" else 0.0
    include, exclude = keys.names("include"), keys.names("exclude")
    keys.finish(f" for method {method}")
    both = sorted(set(include) & set(exclude))
    if both:
        raise keys.error("exclude", f"{', '.join(both)} cannot stay and leave; name it in one list.")
    return Screen(method, min_available, min_nonzero, include, exclude)


def _impute(keys: _Keys) -> Impute:
    method = keys.choice("method", "none", IMPUTATIONS)
    keys.finish()
    return Impute(method)


def _treat(keys: _Keys, coinr: bool) -> Treat:
    skew = keys.number("skew", 2, 0)
    kurtosis = keys.number("kurtosis", 3.5)
    winsorise_max = keys.whole("winsorise_max", 5)
    transform = keys.choice("transform", "log_ct", treatment.TRANSFORMS)
    power = keys.number("power", 0.0) if transform == "boxcox" else 0.0
    combine = keys.flag("combine", False)
    # COINr treats each time by itself; pooled, the same indicator is cut alike in every year.
    scope = keys.choice("scope", "time" if coinr else "all", SCOPES)
    keys.finish(f" for transform {transform}")
    return Treat(skew, kurtosis, winsorise_max, transform, power, combine, scope)


def _normalise(keys: _Keys) -> Normalise:
    method = keys.choice("method", "min_max", normalisation.METHODS)
    if method == "min_max":
        lower, upper = keys.number("lower", 0), keys.number("upper", 100)
        scope = keys.choice("scope", "all", SCOPES)
        keys.finish(" for method min_max")
        if not lower < upper:
            raise keys.error("lower", f"lower ({lower:g}) must be below upper ({upper:g}).")
        return Normalise(method, lower=lower, upper=upper, scope=scope)
    file = keys.values.get("file")
    if not isinstance(file, str) or not file:
        raise keys.error("file", "name the CSV file of the goalposts, relative to the configuration.")
    keys.take("file", "")
    clip = keys.flag("clip", True)
    keys.finish(" for method goalposts")
    return Normalise(method, file=file, clip=clip)


def _aggregate(keys: _Keys, coinr: bool) -> Aggregate:
    method = keys.choices("method", "arithmetic_mean", aggregation.METHODS)
    min_available = keys.number_list("min_available", 0.0 if coinr else 2 / 3, 1)
    min_components = keys.whole_list("min_components", 0)
    min_weight_share = keys.number_list("min_weight_share", 0.0, 1)
    floor = keys.number_list("floor", 0.0)
    keys.finish()
    return Aggregate(method, min_available, min_components, min_weight_share, floor)


def _rank(keys: _Keys, coinr: bool) -> Rank:
    ties = keys.choice("ties", "min", ranking.TIES)
    tolerance = keys.number("tolerance", 0.0 if coinr else 1e-9, 0, 1)
    keys.finish()
    return Rank(ties, tolerance)

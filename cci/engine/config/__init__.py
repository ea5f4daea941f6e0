"""The settings of a run: which steps, with which parameters; checked whole before anything is computed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cci.engine.config.comparing import (
    Audit,
    Peers,
    Trends,
    read_audit,
    read_peers,
    read_trends,
    read_variants,
)
from cci.engine.config.keys import Keys
from cci.engine.config.preparation import (
    Denominate,
    Impute,
    Screen,
    Treat,
    read_denominate,
    read_impute,
    read_screen,
    read_treat,
)
from cci.engine.config.scoring import (
    Aggregate,
    Normalise,
    Profiles,
    Rank,
    Weights,
    read_aggregate,
    read_normalise,
    read_profiles,
    read_rank,
    read_weights,
)
from cci.engine.errors import ConfigError

__all__ = [
    "Aggregate",
    "Audit",
    "Config",
    "Denominate",
    "Impute",
    "Keys",
    "Normalise",
    "Peers",
    "Profiles",
    "Rank",
    "Screen",
    "Treat",
    "Trends",
    "Weights",
    "read_audit",
    "read_config",
]

STEPS = (
    *("denominate", "screen", "impute", "treat", "normalise", "weights", "aggregate", "rank"),
    *("profiles", "peers", "trends"),
)
# Used by the commands uncertainty and audit only; the first two are read by `cci.engine.uncertainty`.
ANALYSES = ("uncertainty", "sensitivity", "audit", "variants")
COMPATIBLE = ("coinr",)
# What each step needs to have been done before it.
NEEDS = {
    "weights": ("aggregate", "weights join components; add [aggregate]."),
    "rank": ("aggregate", "ranks are made of scores; add [aggregate]."),
    "profiles": ("normalise", "profiles compare normalised indicators; add [normalise]."),
    "peers": ("aggregate", "peers are compared by their scores; add [aggregate]."),
}


@dataclass(frozen=True)
class Config:
    """A checked configuration. A step that is None is not run; `defaults` names each default used.

    `uncertainty` and `sensitivity` are as written: their analyses check them. `variants` holds for each name the
    settings as written, those of the run with the variant's in their place, and as read.
    """

    compat: str | None
    denominate: Denominate | None = None
    screen: Screen | None = None
    impute: Impute | None = None
    treat: Treat | None = None
    normalise: Normalise | None = None
    weights: Weights | None = None
    aggregate: Aggregate | None = None
    rank: Rank | None = None
    profiles: Profiles | None = None
    peers: Peers | None = None
    trends: Trends | None = None
    audit: Audit | None = None
    variants: Mapping[str, tuple[dict[str, Any], "Config"]] = field(default_factory=dict)
    uncertainty: Mapping[str, Any] | None = None
    sensitivity: Mapping[str, Any] | None = None
    defaults: tuple[str, ...] = field(default=())

    @property
    def coinr(self) -> bool:
        return self.compat == "coinr"

    @property
    def steps(self) -> list[str]:
        """The steps to run, in their order."""
        return [step for step in STEPS if getattr(self, step) is not None]

    def files(self) -> dict[str, str]:
        """The files that the steps name, by `step.key`; others that a variant names by `variants.name.step.key`."""
        found = {}
        for step in self.steps:
            for key in ("file", "bounds_file", "base_file"):
                if name := getattr(getattr(self, step), key, ""):
                    found[f"{step}.{key}"] = name
        for variant, (_, settings) in self.variants.items():
            others = {key: name for key, name in settings.files().items() if found.get(key) != name}
            found |= {f"variants.{variant}.{key}": name for key, name in others.items()}
        return found


def read_config(config: Mapping[str, Any], *, file: str = "config") -> Config:
    """Check a mapping of settings, as TOML gives it, and name every default.

    Raises ConfigError, naming table and key, for an unknown table or key, a value of the wrong kind or
    out of range, an unknown method, a key that its method does not use, and steps that need others.

    >>> read_config({"rank": {}, "aggregate": {"min_available": 0.5}}).defaults
    ('aggregate.method', 'aggregate.min_components', 'aggregate.min_weight_share', 'aggregate.floor', \
'rank.ties', 'rank.tolerance')
    """
    for key in config:
        if key != "compat" and key not in (*STEPS, *ANALYSES):
            raise ConfigError(
                f"unknown key or table; the configuration knows compat, {', '.join((*STEPS, *ANALYSES))}.",
                file=file,
                key=str(key),
            )
    compat = config.get("compat")
    if compat is not None and compat not in COMPATIBLE:
        raise ConfigError(f'{compat!r} is not known; write "coinr" or leave it out.', file=file, key="compat")
    coinr = compat == "coinr"
    defaults: list[str] = []
    readers: dict[str, Callable[[Keys], Any]] = {
        "denominate": lambda keys: read_denominate(keys, coinr),
        "screen": read_screen,
        "impute": lambda keys: read_impute(keys, coinr),
        "treat": lambda keys: read_treat(keys, coinr),
        "normalise": read_normalise,
        "weights": read_weights,
        "aggregate": lambda keys: read_aggregate(keys, coinr),
        "rank": lambda keys: read_rank(keys, coinr),
        "profiles": read_profiles,
        "peers": read_peers,
        "trends": read_trends,
    }
    read = {step: readers[step](Keys(config[step], step, file, defaults)) for step in STEPS if step in config}
    analyses: dict[str, Any] = {name: Keys(config[name], name, file, []) for name in ANALYSES if name in config}
    for name in ("uncertainty", "sensitivity"):
        if name in analyses:
            analyses[name] = analyses[name].values
    if "audit" in analyses:
        analyses["audit"] = read_audit(analyses["audit"])
    if not read:
        raise ConfigError(f"no step is asked for; write at least one of {', '.join(STEPS)}.", file=file)
    for step, (other, message) in NEEDS.items():
        if step in read and other not in read:
            raise ConfigError(message, file=file, key=step)
    if "trends" in read and read["trends"].of == "scores" and "aggregate" not in read:
        raise ConfigError("there are no scores; add [aggregate].", file=file, table="trends", key="of")
    if "variants" in analyses:
        steps = {key: value for key, value in config.items() if key not in ANALYSES}
        analyses["variants"] = read_variants(analyses["variants"], steps, read_config)
    return Config(compat=compat, defaults=tuple(defaults), **read, **analyses)

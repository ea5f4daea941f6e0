"""What an uncertainty analysis varies: the tables [uncertainty] and [sensitivity], checked before anything is drawn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cci.engine.config.comparing import overlaid
from cci.engine.config.keys import Keys
from cci.engine.errors import ConfigError

KINDS = ("noise", "dirichlet", "sets")
STEPS = ("impute", "treat", "normalise", "aggregate")
DRAWS = ("em", "group_normal")
# What is no step of the run.
ANALYSES = ("uncertainty", "sensitivity", "audit", "variants")


@dataclass(frozen=True)
class WeightChoice:
    """How weights are drawn.

    noise : w (1 + factor u), u uniform on [-1, 1], not below 0. dirichlet : a group's shares from a Dirichlet
    distribution with the parameters concentration x share. sets : one of given sets. `factors` by level.
    """

    kind: str
    factors: Mapping[int, float] = field(default_factory=dict)
    concentration: float = 0.0
    sets_file: str = ""


@dataclass(frozen=True)
class Choices:
    """The checked settings of [uncertainty].

    `steps` holds the options of each varied step: the settings of the run with the option put in, checked as
    the run's own are; None is the step left off. `labels` names them as written.
    """

    seed: int
    replicates: int
    quantiles: tuple[float, ...]
    top: tuple[int, ...]
    within: tuple[int, ...]
    keep_scores: bool
    target: str
    steps: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights: WeightChoice | None = None
    impute_draws: int = 0
    impute_method: str = ""
    leave_out: int = 0
    leave_out_share: float = 0.0
    errors_file: str = ""
    defaults: tuple[str, ...] = ()

    @property
    def varied(self) -> tuple[str, ...]:
        """The names of what is varied, in the order of the steps."""
        found = [step for step in STEPS if step in self.steps or (step == "impute" and self.impute_draws)]
        if self.errors_file:
            found.insert(0, "noise")
        if self.leave_out or self.leave_out_share:
            found.append("indicators")
        return (*found, "weights") if self.weights else tuple(found)


@dataclass(frozen=True)
class SensitivityChoices:
    """The checked settings of [sensitivity]; what is varied is said by [uncertainty].

    `draws` is how many sets of weights, tables of noise and the like a factor without options chooses among.
    """

    seed: int
    base: int
    bootstrap: int
    draws: int
    per_unit: bool
    second_order: bool
    defaults: tuple[str, ...] = ()


def read_choices(
    config: Mapping[str, Any], read_config: Callable[..., Any], *, file: str = "config", given: tuple[str, ...] = ()
) -> Choices:
    """Check [uncertainty] of a configuration.

    config : the whole mapping, as TOML gives it. read_config : the reader of the run's settings; every option
    is checked by it, in the place of the run's own setting. given : sources that the caller supplies as arrays,
    such as `noise`, and that need no key.

    Raises ConfigError for an unknown key, for contradictory keys, and for varying a step that is not part of
    the run.

    >>> from cci.engine.config import read_config
    >>> config = {"normalise": {}, "aggregate": {}, "rank": {},
    ...           "uncertainty": {"seed": 1, "weights": {"kind": "noise"}}}
    >>> read_choices(config, read_config).varied
    ('weights',)
    """
    run = read_config({key: value for key, value in config.items() if key not in ANALYSES})
    defaults: list[str] = []
    keys = Keys(config.get("uncertainty", {}), "uncertainty", file, defaults)
    for step in ("aggregate", "rank"):
        if getattr(run, step) is None:
            raise ConfigError(f"ranks are varied and the run makes none; add [{step}].", file=file, key="uncertainty")
    seed = _seed(keys)
    replicates = keys.whole("replicates", 1000, 2)
    quantiles = _shares(keys)
    top, within = _wholes(keys, "top", (10,), 1), _wholes(keys, "within", (1, 2, 5), 0)
    keep_scores = keys.flag("keep_scores", False)
    target = keys.text("target", "name the aggregate whose ranks are studied")
    found: dict[str, Any] = {}
    steps: dict[str, tuple[Any, ...]] = {}
    labels: dict[str, tuple[str, ...]] = {}
    for step in STEPS:
        if (below := _table(keys, step)) is None:
            continue
        if getattr(run, step) is None:
            raise ConfigError(
                f"varies a step that is not part of the run; add [{step}] or delete this table.",
                file=file,
                key=f"uncertainty.{step}",
            )
        if step == "impute" and "draws" in below:
            found["impute_draws"] = below.whole("draws", 20, 2)
            found["impute_method"] = below.choice("method", "em", DRAWS)
            below.finish(" beside draws")
            continue
        steps[step], labels[step] = _options(below, step, config, read_config)
    if (below := _table(keys, "weights")) is not None:
        found["weights"] = _weights(below)
    if (below := _table(keys, "indicators")) is not None:
        if "share" in below:
            found["leave_out_share"] = below.number("share", 0.1, 1e-9, 0.999)
        else:
            found["leave_out"] = below.whole("leave_out", 1, 1)
        below.finish(" (leave_out or share, not both)")
    if (below := _table(keys, "noise")) is not None:
        found["errors_file"] = below.text(
            "errors_file", "name the CSV file of the standard errors, relative to the configuration", needed=True
        )
        below.finish()
    keys.finish()
    choices = Choices(
        seed, replicates, quantiles, top, within, keep_scores, target, steps, labels, **found, defaults=tuple(defaults)
    )
    if not choices.varied and not given:
        raise ConfigError(
            f"nothing is varied; add at least one of weights, {', '.join(STEPS)}, indicators, noise.",
            file=file,
            key="uncertainty",
        )
    return choices


def read_sensitivity(config: Mapping[str, Any], *, file: str = "config") -> SensitivityChoices:
    """Check [sensitivity] of a configuration; `read_choices` says what it varies.

    >>> read_sensitivity({"sensitivity": {"seed": 1, "base": 64}}).bootstrap
    1000
    """
    defaults: list[str] = []
    keys = Keys(config.get("sensitivity", {}), "sensitivity", file, defaults)
    seed = _seed(keys)
    base = keys.whole("base", 128, 2)
    if base & (base - 1):
        raise keys.error("base", f"{base} is no power of two, which Sobol' points need; write 64, 128, 256 …")
    read = SensitivityChoices(
        seed,
        base,
        bootstrap=keys.whole("bootstrap", 1000),
        draws=keys.whole("draws", 100, 2),
        per_unit=keys.flag("per_unit", False),
        second_order=keys.flag("second_order", False),
        defaults=tuple(defaults),
    )
    keys.finish()
    return read


def _seed(keys: Keys) -> int:
    if "seed" not in keys:
        raise keys.error("seed", "is needed, so that the analysis can be repeated; write any whole number.")
    return keys.whole("seed", 0)


def _shares(keys: Keys) -> tuple[float, ...]:
    value = keys.number_list("quantiles", [0.05, 0.95], 1)
    levels = tuple(value) if isinstance(value, list) else (value,)
    if len(levels) < 2 or list(levels) != sorted(set(levels)) or not 0 < levels[0] < levels[-1] < 1:
        raise keys.error("quantiles", "write at least two different shares between 0 and 1, in rising order.")
    return levels


def _wholes(keys: Keys, key: str, default: tuple[int, ...], low: int) -> tuple[int, ...]:
    value = keys.whole_list(key, list(default))
    found = tuple(value) if isinstance(value, list) else (value,)
    if any(one < low for one in found) or len(set(found)) < len(found):
        raise keys.error(key, f"write different whole numbers of {low} or more.")
    return found


def _table(keys: Keys, name: str) -> Keys | None:
    value = keys.take(name, None)
    return None if value is None else Keys(value, f"uncertainty.{name}", keys.file, keys.defaults)


def _options(
    keys: Keys, step: str, config: Mapping[str, Any], read_config: Callable[..., Any]
) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The options of one step, each checked as the run's own setting."""
    lists = [key for key in ("options", "winsorise_max") if key in keys]
    if step == "treat" and len(lists) == 2:
        raise keys.error("winsorise_max", "stands beside options; write one of them.")
    if step == "treat" and lists == ["winsorise_max"]:
        limits = keys.whole_list("winsorise_max", 5)
        options: Any = [{"winsorise_max": limit} for limit in (limits if isinstance(limits, list) else [limits])]
    else:
        options = keys.take("options", [])
    keys.finish()
    if not isinstance(options, list) or len(options) < 2 or not all(isinstance(one, Mapping) for one in options):
        raise keys.error("options", "write a list of at least two settings, [{ … }, { … }].")
    found: list[Any] = []
    labels: list[str] = []
    for option in options:
        label = ", ".join(f"{key}={value}" for key, value in option.items())
        if label in labels:
            raise keys.error("options", f"{label} stands twice; each option is as likely as every other.")
        labels.append(label)
        if option.get("off") is True and step != "aggregate":
            if len(option) > 1:
                raise keys.error("options", f"{label}: a step that is off takes no other keys.")
            if step == "normalise":
                raise keys.error("options", "the indicators need one scale; normalise cannot be off.")
            found.append(None)
            continue
        found.append(_checked(keys, step, dict(option), config, read_config))
    return tuple(found), tuple(labels)


def _checked(
    keys: Keys, step: str, option: dict[str, Any], config: Mapping[str, Any], read_config: Callable[..., Any]
) -> Any:
    varied = {key: value for key, value in config.items() if key not in ANALYSES}
    try:
        return getattr(read_config(varied | {step: overlaid(config[step], step, option)}, file=keys.file), step)
    except ConfigError as exc:
        raise keys.error("options", f"{exc.key}: {exc.message}") from None


def _weights(keys: Keys) -> WeightChoice:
    kind = keys.choice("kind", "noise", KINDS)
    if kind == "sets":
        file = keys.text("sets_file", "name the CSV file of the weight sets, relative to the configuration")
        keys.finish(" for kind sets")
        return WeightChoice(kind, sets_file=file)
    if kind == "dirichlet":
        if "concentration" not in keys:
            raise keys.error("concentration", "is needed; the larger, the closer to the weights of the run.")
        concentration = keys.number("concentration", 0, 1e-6)
        keys.finish(" for kind dirichlet")
        return WeightChoice(kind, concentration=concentration)
    factor = keys.number_list("factor", 0.25)
    levels = keys.take("levels", None)
    if levels is not None and (
        not isinstance(levels, list) or not levels or any(not isinstance(one, int) or one < 1 for one in levels)
    ):
        raise keys.error("levels", "write a list of levels, 1 for the indicators.")
    keys.finish(" for kind noise")
    if isinstance(factor, list):
        levels = levels or list(range(1, len(factor) + 1))
        if len(factor) != len(levels):
            raise keys.error("factor", f"has {len(factor)} entries and levels {len(levels)}; write one for each level.")
        return WeightChoice(kind, dict(zip(levels, factor, strict=True)))
    return WeightChoice(kind, dict.fromkeys(levels, factor) if levels else {0: factor})

"""Settings of the steps that score: normalise, weights, aggregate, rank, profiles."""

from dataclasses import dataclass, field
from typing import Any

from cci.engine import aggregation, ranking, weighting
from cci.engine.aggregation import LevelRule
from cci.engine.config.keys import Keys
from cci.engine.config.preparation import SCOPES
from cci.engine.errors import ConfigError

# The methods of normalisation and the keys each uses.
NORMALISATIONS: dict[str, tuple[str, ...]] = {
    "min_max": ("lower", "upper", "bounds_file", "clip", "scope"),
    "z_score": ("mean", "sd", "scope"),
    "rank": ("ties", "scope"),
    "borda": ("ties", "scope"),
    "percentile_rank": ("ties", "scope"),
    "percentile_classes": ("percentiles", "scores", "scope"),
    "distance_to_max": ("scope",),
    "distance_to_reference": ("reference", "cap", "scope"),
    "distance_to_target": ("file", "cap", "scope"),
    "goalposts": ("file", "clip"),
    "scaled": ("file",),
    "fraction_of_max": ("scope",),
    "above_below_mean": ("threshold", "scope"),
    "cyclical": ("over", "scope"),
    "change": (),
}
# The Handbook's classes.
PERCENTILES, CLASS_SCORES = (15.0, 25.0, 65.0, 85.0, 95.0), (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
LEVEL_KEYS = (
    *("method", "min_available", "min_components", "min_weight_share", "floor", "power", "sign"),
    *aggregation.OF_ENVELOPE,
)
# The keys of single methods.
OF_AGGREGATION = ("power", "sign", *aggregation.OF_ENVELOPE)
WEIGHTS: dict[str, tuple[str, ...]] = {
    "original": (),
    "equal": ("level",),
    "file": ("file",),
    "pca": ("level", "variant"),
    "optimised": ("level", "objective", "targets"),
    "entropy": ("level",),
    "critic": ("level",),
}
PROFILES: dict[str, tuple[str, ...]] = {
    "gii": ("count", "always", "max_tied_share", "min_peers"),
    "peers": ("width", "max_tied_share", "min_peers"),
    "coinr": ("count", "min_discard"),
}


@dataclass(frozen=True)
class Normalise:
    """Which of the fields a method uses: see NORMALISATIONS."""

    method: str
    lower: float = 0
    upper: float = 100
    scope: str = "all"
    file: str = ""
    clip: bool = True
    bounds_file: str = ""
    mean: float = 0
    sd: float = 1
    ties: str = "min"
    reference: str = ""
    cap: bool = False
    threshold: float = 0.0
    over: str = "units"
    percentiles: tuple[float, ...] = PERCENTILES
    scores: tuple[float, ...] = CLASS_SCORES

    def used(self) -> dict[str, Any]:
        unused = () if self.bounds_file or self.method != "min_max" else ("clip",)
        keys = [key for key in NORMALISATIONS[self.method] if key not in unused]
        given = {"method": self.method} | {key: getattr(self, key) for key in keys}
        return {key: value for key, value in given.items() if value != ""}


@dataclass(frozen=True)
class Weights:
    """Which of the fields a method uses: see WEIGHTS. `level` is the level whose elements get new weights."""

    method: str
    level: tuple[int, ...] = ()
    file: str = ""
    variant: str = "first"
    objective: str = "target"
    targets: dict[str, float] = field(default_factory=dict)

    def used(self) -> dict[str, Any]:
        return {"method": self.method} | {key: getattr(self, key) for key in WEIGHTS[self.method]}


@dataclass(frozen=True)
class Aggregate:
    """Each field holds one value for all levels, or a list: one per level from the indicators up.

    `groups` holds the rules of single aggregates, by code: what they set differs from their level's rule.
    """

    method: str | list[str]
    min_available: float | list[float]
    min_components: int | list[int]
    min_weight_share: float | list[float]
    floor: float | list[float]
    power: float | list[float] = 1.0
    sign: int | list[int] = -1
    least_share: float | list[float] = 0.0
    greatest_share: float | list[float] = 1.0
    best: float | list[float] = 100.0
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)

    def rules(self, steps: int, *, file: str = "config") -> tuple[LevelRule, ...]:
        """One rule per step of the hierarchy; raises ConfigError where a list has another length."""
        columns = []
        for key in LEVEL_KEYS:
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
    """`groups` are columns of the data; beside the ranks among all, units are ranked within each."""

    ties: str
    tolerance: float
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Profiles:
    """Strengths and weaknesses of each unit; `group` is a column of the data that holds peer groups."""

    rule: str
    group: str = ""
    count: int = 10
    always: int = 3
    max_tied_share: float = 0.2
    width: float = 1.0
    min_peers: int = 5
    min_discard: bool = True

    def used(self) -> dict[str, Any]:
        given = {"rule": self.rule, "group": self.group} | {key: getattr(self, key) for key in PROFILES[self.rule]}
        return {key: value for key, value in given.items() if value != ""}

    def options(self) -> dict[str, Any]:
        """The arguments of `profiles.strengths_and_weaknesses`."""
        return {key: value for key, value in self.used().items() if key != "group"}


def read_normalise(keys: Keys) -> Normalise:
    method = keys.choice("method", "min_max", tuple(NORMALISATIONS))
    options: dict[str, Any] = {}
    for key in NORMALISATIONS[method]:
        # What base bounds fix needs no scope; bounds of the data themselves leave nothing to cut.
        fixed = bool(options.get("bounds_file"))
        if not (key == "scope" and fixed) and not (key == "clip" and method == "min_max" and not fixed):
            options[key] = _normalise_key(keys, key, method)
    keys.finish(f" for method {method}")
    if method == "min_max" and not options["lower"] < options["upper"]:
        raise keys.error("lower", f"lower ({options['lower']:g}) must be below upper ({options['upper']:g}).")
    # Beside a far larger number the digits of a score are lost.
    for wide, ends in (("upper", ("lower", "upper")), ("sd", ("mean",))):
        if wide in options:
            size = max(abs(options[end]) for end in ends)
            span = options["upper"] - options["lower"] if wide == "upper" else options["sd"]
            if span < 1e-6 * size:
                raise keys.error(wide, f"scores {span:g} apart are lost beside {size:g}; bring them nearer to 0.")
    if method == "percentile_classes":
        percentiles, scores = options["percentiles"], options["scores"]
        if list(percentiles) != sorted(set(percentiles)) or list(scores) != sorted(set(scores)):
            raise keys.error("percentiles", "percentiles and scores are lists that rise.")
        if not percentiles or len(scores) != len(percentiles) + 1:
            raise keys.error("scores", "write one score more than there are percentiles.")
    return Normalise(method, **options)


def _normalise_key(keys: Keys, key: str, method: str) -> Any:
    """One option of a method of normalisation."""
    relative = ", relative to the configuration"
    if key == "file":
        what = {"goalposts": "goalposts", "scaled": "bounds", "distance_to_target": "targets"}[method]
        # Targets may stand in the meta.
        return keys.text(key, f"name the CSV file of the {what}{relative}", needed=method != "distance_to_target")
    if key == "bounds_file":
        return keys.text(key, f"name the CSV file of the bounds{relative}")
    if key == "reference":
        return keys.text(key, "name the unit of reference by its code", needed=True)
    if key in ("cap", "clip"):
        return keys.flag(key, key == "clip" and method == "goalposts")
    if key in ("percentiles", "scores"):
        default, high = (PERCENTILES, 100) if key == "percentiles" else (CLASS_SCORES, 1e100)
        found = keys.number_list(key, list(default), high)
        return tuple(found) if isinstance(found, list) else (found,)
    if key in ("lower", "mean", "upper"):
        return keys.number(key, 100 if key == "upper" else 0)
    if key == "sd":
        return keys.number(key, 1, 1e-100)
    if key == "threshold":
        return keys.number(key, 0.0, 0, 0.999999)
    choices = {"scope": SCOPES, "ties": ("min", "average"), "over": ("units", "time")}[key]
    return keys.choice(key, choices[0], choices)


def read_weights(keys: Keys) -> Weights:
    method = keys.choice("method", "original", tuple(WEIGHTS))
    options: dict[str, Any] = {}
    for key in WEIGHTS[method]:
        if key == "level":
            options[key] = _levels(keys)
        elif key == "file":
            options[key] = keys.text(
                key, "name the CSV file of the weights, relative to the configuration", needed=True
            )
        elif key == "variant":
            options[key] = keys.choice(key, "first", weighting.VARIANTS)
        elif key == "objective":
            options[key] = keys.choice(key, "target", weighting.OBJECTIVES)
        elif options["objective"] == "target":
            options[key] = keys.numbers(key, 0)
    keys.finish(f" for method {method}")
    return Weights(method, **options)


def _levels(keys: Keys) -> tuple[int, ...]:
    found = keys.whole_list("level", 1)
    levels = tuple(found) if isinstance(found, list) else (found,)
    if not levels or min(levels) < 1 or len(set(levels)) < len(levels):
        raise keys.error("level", "write a level of 1 or more, or a list of different ones.")
    return tuple(sorted(levels))


def read_aggregate(keys: Keys, coinr: bool) -> Aggregate:
    method = keys.choices("method", "arithmetic_mean", aggregation.METHODS)
    limits = _limits(keys, 0.0 if coinr else 2 / 3)
    powers = _powers(keys, method)
    groups = {code: _group(below) for code, below in keys.tables("groups").items()}
    keys.finish()
    return Aggregate(method, **limits, **powers, groups=groups)


def _limits(keys: Keys, min_available: float) -> dict[str, Any]:
    return {
        "min_available": keys.number_list("min_available", min_available, 1),
        "min_components": keys.whole_list("min_components", 0),
        "min_weight_share": keys.number_list("min_weight_share", 0.0, 1),
        "floor": keys.number_list("floor", 0.0),
    }


def _powers(keys: Keys, method: str | list[str]) -> dict[str, Any]:
    """The keys of single methods; a list holds an entry for every level, also where it is not used."""
    methods = method if isinstance(method, list) else [method]
    found: dict[str, Any] = {}
    if "generalised_mean" in methods:
        # Beyond these the mean is the least or the greatest component, near 0 the geometric mean.
        power = keys.number_list("power", 1.0, 100, low=-100)
        for one in power if isinstance(power, list) else [power]:
            if 0 < abs(one) < 1e-12:
                raise keys.error("power", f"{one!r} cannot be told from 0, the geometric mean; write 0.")
        found["power"] = power
    if "mazziotta_pareto" in methods:
        sign = keys.number_list("sign", -1, high=1, low=-1)
        signs = sign if isinstance(sign, list) else [sign]
        if any(one not in (-1, 1) for one in signs):
            raise keys.error("sign", "write -1 (imbalance costs) or 1.")
        found["sign"] = [int(one) for one in signs] if isinstance(sign, list) else int(signs[0])
    if "benefit_of_doubt" in methods:
        found["least_share"] = keys.number_list("least_share", 0.0, 1)
        found["greatest_share"] = keys.number_list("greatest_share", 1.0, 1)
        found["best"] = keys.number_list("best", 100.0, low=1e-9)
    return found


def _group(keys: Keys) -> dict[str, Any]:
    """What one aggregate sets for itself; the rest is its level's."""
    found: dict[str, Any] = {}
    before = len(keys.defaults)
    asked = set(keys.values)
    method = keys.choice("method", "arithmetic_mean", aggregation.METHODS)
    found |= {"method": method} | _limits(keys, 0.0) | _powers(keys, method)
    del keys.defaults[before:]  # what is left out is not a default: the rule of the level holds
    keys.finish()
    for key, value in found.items():
        if isinstance(value, list):
            raise keys.error(key, "one aggregate takes one value, not a list.")
    return {key: value for key, value in found.items() if key in asked or key in OF_AGGREGATION}


def read_rank(keys: Keys, coinr: bool) -> Rank:
    ties = keys.choice("ties", "min", ranking.TIES)
    tolerance = keys.number("tolerance", 0.0 if coinr else 1e-9, 0, 1)
    groups = keys.names("groups", "columns of the data", default=None)
    keys.finish()
    return Rank(ties, tolerance, groups)


def read_profiles(keys: Keys) -> Profiles:
    rule = keys.choice("rule", "gii", tuple(PROFILES))
    options: dict[str, Any] = {}
    what = "name the column of the data that holds the peer groups"
    options["group"] = keys.text("group", what, needed=rule == "peers")
    for key in PROFILES[rule]:
        if key == "count":
            options[key] = keys.whole(key, 10 if rule == "gii" else 5, 1)
        elif key == "always":
            options[key] = keys.whole(key, 3)
        elif key == "max_tied_share":
            options[key] = keys.number(key, 0.2, 0, 1)
        elif key == "width":
            options[key] = keys.number(key, 1, 0)
        elif key == "min_peers":
            options[key] = keys.whole(key, 5, 2)
        else:
            options[key] = keys.flag(key, True)
    keys.finish(f" for rule {rule}")
    return Profiles(rule, **options)

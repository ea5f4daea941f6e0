"""Settings of what is said of units beside others, over time, and of the audit: peers, trends, audit, variants."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cci.engine.config.keys import Keys
from cci.engine.config.scoring import OF_AGGREGATION
from cci.engine.errors import ConfigError

CORRELATIONS = ("pearson", "spearman", "kendall")
# The steps that a variant of the index may take otherwise.
VARIED = ("denominate", "screen", "impute", "treat", "normalise", "weights", "aggregate")
# Keys of one method: a variant that names another method does not take them over from the run.
OF_METHOD: dict[str, tuple[str, ...]] = {"aggregate": (*OF_AGGREGATION, "groups")}
WHOLE = ("impute", "normalise", "weights")  # another method has other keys altogether


@dataclass(frozen=True)
class Peers:
    """`groups` are columns of the data; `by` numeric columns in which units are alike, `logarithm` those of them to be
    taken in logarithms."""

    groups: tuple[str, ...] = ()
    min_size: int = 5
    by: tuple[str, ...] = ()
    logarithm: tuple[str, ...] = ()
    nearest: int = 15
    min_peers: int = 5
    width: float = 1.0

    def used(self) -> dict[str, Any]:
        of_groups = ("groups", "min_size") if self.groups else ()
        of_nearest = ("by", "logarithm", "nearest", "min_peers", "width") if self.by else ()
        return {key: getattr(self, key) for key in (*of_groups, *of_nearest)}


@dataclass(frozen=True)
class Trends:
    """`of` the indicators as they enter the imputation, or of the scores; `per` so many units of time."""

    of: str
    per: float


@dataclass(frozen=True)
class Audit:
    """The limits of the flags, see `analysis.audit`; `target` is the aggregate whose ranks are watched."""

    method: str
    redundant: float
    represented: float
    opposed: float
    size: float
    least_alpha: float
    least_first_share: float
    target: str = ""

    def limits(self) -> dict[str, Any]:
        """The arguments of `analysis.audit`."""
        return {key: value for key, value in asdict(self).items() if key != "target"}


def read_peers(keys: Keys) -> Peers:
    options: dict[str, Any] = {}
    options["groups"] = keys.names("groups", "columns of the data", default=None)
    options["by"] = keys.names("by", "columns of the data", default=None)
    if options["groups"]:
        options["min_size"] = keys.whole("min_size", 5, 2)
    if options["by"]:
        options["logarithm"] = keys.names("logarithm", "columns named in by", default=None)
        options["nearest"] = keys.whole("nearest", 15, 1)
        options["min_peers"] = keys.whole("min_peers", 5, 2)
        options["width"] = keys.number("width", 1, 0)
    keys.finish("" if options["groups"] and options["by"] else " (min_size goes with groups, the rest with by)")
    if not options["groups"] and not options["by"]:
        raise keys.error("groups", "name the columns of peer groups, or in by those in which peers are alike.")
    for key in ("groups", "by"):
        twice = [name for name in options[key] if options[key].count(name) > 1]
        if twice:
            raise keys.error(key, f"{twice[0]} stands twice; name it once.")
    strange = [name for name in options.get("logarithm", ()) if name not in options["by"]]
    if strange:
        raise keys.error("logarithm", f"{strange[0]} is not named in by; add it there, or delete it here.")
    if options["by"] and options["min_peers"] > options["nearest"]:
        raise keys.error(
            "min_peers",
            f"{options['min_peers']} is more than the {options['nearest']} peers that nearest asks for; lower it.",
        )
    return Peers(**options)


def read_trends(keys: Keys) -> Trends:
    trends = Trends(keys.choice("of", "indicators", ("indicators", "scores")), keys.number("per", 1, 1e-6))
    keys.finish()
    return trends


def read_audit(keys: Keys) -> Audit:
    audit = Audit(
        keys.choice("method", "pearson", CORRELATIONS),
        redundant=keys.number("redundant", 0.92, 0, 1),
        represented=keys.number("represented", 0.3, -1, 1),
        opposed=keys.number("opposed", 0, -1, 1),
        size=keys.number("size", 0.6, 0, 1),
        least_alpha=keys.number("least_alpha", 0.7, 0, 1),
        least_first_share=keys.number("least_first_share", 0.4, 0, 1),
        target=keys.text("target", "name the aggregate whose ranks are watched"),
    )
    keys.finish()
    if audit.opposed > audit.represented:
        raise keys.error("opposed", f"{audit.opposed:g} is above represented ({audit.represented:g}); lower it.")
    return audit


def read_variants(
    keys: Keys, config: Mapping[str, Any], read: Callable[..., Any]
) -> dict[str, tuple[dict[str, Any], Any]]:
    """The variants of the index, by name: the settings of each as a whole, as written and as read.

    keys : the table [variants]; each entry is a table of steps, and what a step says stands in the place of the run's.
    config : the run's steps, as written. read : `read_config`, which checks every variant as it checks a run.
    """
    found = {}
    for name, steps in keys.values.items():
        below = Keys(steps, f"variants.{name}", keys.file, [])
        if not below.values:
            raise keys.error(name, "changes nothing; name a step and what it does otherwise.")
        varied = dict(config)
        for step in list(below.values):
            if step not in VARIED:
                raise below.error(step, f"is no step that a variant changes; choose {', '.join(VARIED)}.")
            option = Keys(below.values[step], f"variants.{name}.{step}", keys.file, []).values
            if "off" not in option:
                varied[step] = overlaid(config.get(step, {}), step, option)
            elif option != {"off": True} or step in ("normalise", "aggregate"):
                raise below.error(step, "write { off = true } alone; normalise and aggregate cannot be off.")
            elif varied.pop(step, None) is None:
                raise below.error(step, "is off, and the run has no such step; delete it.")
        if varied == dict(config):
            raise keys.error(name, "is the run itself; change a setting or delete it.")
        try:
            found[str(name)] = varied, read(varied, file=keys.file)
        except ConfigError as exc:
            raise below.error(exc.table or exc.key, f"{exc.key}: {exc.message}") from None
    return found


def overlaid(own: Mapping[str, Any], step: str, option: Mapping[str, Any]) -> dict[str, Any]:
    """A step's settings with others put in their place; another method leaves the keys of the run's own behind."""
    if "method" in option and option["method"] != own.get("method"):
        own = {key: value for key, value in own.items() if step not in WHOLE and key not in OF_METHOD.get(step, ())}
    return {**own, **option}

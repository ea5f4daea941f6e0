"""Settings of the steps that prepare the data: denominate, screen, impute, treat."""

from dataclasses import dataclass, field
from typing import Any

from cci.engine import imputation, screening, treatment
from cci.engine.config.keys import Keys
from cci.engine.imputation import panel

SCOPES = ("all", "time")
# "unchanged" is what COINr makes of log_gii.
TRANSFORMS = tuple(name for name in treatment.TRANSFORMS if name != "unchanged")
UNDEFINED = ("missing", "keep")
# The keys that some methods of imputation use.
OF_IMPUTATION: dict[str, tuple[str, ...]] = {
    "group_mean": ("group", "fallback"),
    "group_median": ("group", "fallback"),
    "row_mean": ("normalise_first", "within_level", "fallback"),
    "row_median": ("normalise_first", "within_level", "fallback"),
    "latest": ("max_periods",),
    "em": ("ridge", "max_iterations", "tolerance", "keep_range"),
    "knn": ("neighbours",),
}
OVER_TIME = ("none", *panel.METHODS)


@dataclass(frozen=True)
class Denominate:
    """`by` names the denominator of each indicator; empty takes the column Denominator of the meta.

    The denominators are columns of `file`, where it is given, else of the data.
    """

    by: dict[str, str]
    scale: dict[str, float]
    undefined: str
    file: str = ""


@dataclass(frozen=True)
class Screen:
    """`min_indicator_available` warns of indicators; all others decide which units stay."""

    method: str
    min_available: float
    min_nonzero: float
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    group_min_available: dict[int, float] = field(default_factory=dict)
    min_indicator_available: float = 0.65


@dataclass(frozen=True)
class Impute:
    """Which of the fields a method uses: see OF_IMPUTATION; `scope` all that compare units."""

    method: str
    scope: str = "time"
    group: str = ""
    fallback: bool = True
    normalise_first: bool = True
    within_level: int | None = None
    max_periods: float | None = None
    neighbours: int = 5
    ridge: float | None = None
    max_iterations: int = 500
    tolerance: float = 1e-6
    keep_range: bool = True

    def used(self) -> dict[str, Any]:
        scope = () if self.method in OVER_TIME else ("scope",)
        keys = ("method", *scope, *OF_IMPUTATION.get(self.method, ()))
        return {key: getattr(self, key) for key in keys}

    def options(self) -> dict[str, Any]:
        """The arguments of `imputation.impute`, but for the groups themselves."""
        return {key: value for key, value in self.used().items() if key != "group"}


@dataclass(frozen=True)
class Treat:
    """`base_file`, the report of another run, gives its treatments: nothing is decided then, and only the limits
    of the test are used beside it."""

    skew: float
    kurtosis: float
    winsorise_max: int
    transform: str
    power: float
    combine: bool
    scope: str
    winsorise_share: float = 0.0
    mode: str = "standard"
    force: tuple[str, ...] = ()
    base_file: str = ""

    def options(self) -> dict[str, Any]:
        """The arguments of `treatment.treat`."""
        names = ("skew", "kurtosis", "winsorise_max", "winsorise_share", "transform", "combine", "power", "mode")
        return {name: getattr(self, name) for name in names} | {"force": self.force}


def read_denominate(keys: Keys, coinr: bool) -> Denominate:
    by = keys.texts("by", "denominator")
    scale = keys.numbers("scale")
    for code, factor in scale.items():
        if factor <= 0:
            raise keys.error("scale", f"{code}: {factor:g} is out of range; write a number above 0.")
    undefined = keys.choice("undefined", "keep" if coinr else "missing", UNDEFINED)
    file = keys.text("file", "name the CSV file of the denominators, relative to the configuration")
    keys.finish()
    return Denominate(by, scale, undefined, file)


def read_screen(keys: Keys) -> Screen:
    method = keys.choice("method", "by_na", screening.METHODS)
    min_available = keys.number("min_available", 2 / 3, 0, 1) if method != "by_zeros" else 0.0
    min_nonzero = keys.number("min_nonzero", 0.05, 0, 1) if method != "by_na" else 0.0
    groups = keys.by_level("group_min_available", 1)
    of_indicators = keys.number("min_indicator_available", 0.65, 0, 1)
    include, exclude = keys.names("include"), keys.names("exclude")
    keys.finish(f" for method {method}")
    both = sorted(set(include) & set(exclude))
    if both:
        raise keys.error("exclude", f"{', '.join(both)} cannot stay and leave; name it in one list.")
    return Screen(method, min_available, min_nonzero, include, exclude, groups, of_indicators)


def read_impute(keys: Keys, coinr: bool) -> Impute:
    method = keys.choice("method", "none", imputation.METHODS)
    options: dict[str, Any] = {}
    if method not in OVER_TIME:
        # Within each time no later value finds its way into an earlier edition.
        options["scope"] = keys.choice("scope", "time", ("time", "all"))
    for key in OF_IMPUTATION.get(method, ()):
        if key == "group":
            options[key] = keys.text(key, "name the column of the data that holds the groups", needed=True)
        elif key in ("fallback", "normalise_first", "keep_range"):
            options[key] = keys.flag(key, not (coinr and key == "fallback"))
        elif key == "within_level":
            options[key] = keys.optional_whole(key, 2)
        elif key == "max_periods":
            options[key] = keys.optional_number(key, 0)
        elif key == "neighbours":
            options[key] = keys.whole(key, 5, 1)
        elif key == "ridge":
            options[key] = keys.optional_number(key, 0)
        elif key == "max_iterations":
            options[key] = keys.whole(key, 500, 1)
        else:
            options[key] = keys.number(key, 1e-6, 1e-12, 1)
    keys.finish(f" for method {method}")
    return Impute(method, **options)


def read_treat(keys: Keys, coinr: bool) -> Treat:
    skew = keys.number("skew", 2, 0)
    kurtosis = keys.number("kurtosis", 3.5)
    if file := keys.text("base_file", "name the report.json of the base run, relative to the configuration"):
        keys.finish(" beside base_file")
        return Treat(skew, kurtosis, 0, "none", 0.0, False, "all", base_file=file)
    winsorise_max = keys.whole("winsorise_max", 5)
    winsorise_share = keys.number("winsorise_share", 0.0, 0, 1)
    transform = keys.choice("transform", "log_ct", TRANSFORMS)
    power = keys.number("power", 0.0, -10, 10) if transform == "boxcox" else 0.0
    if 0 < abs(power) < 1e-6:
        raise keys.error("power", f"{power!r} cannot be told from 0, the logarithm; write 0.")
    if coinr and transform == "log_gii":
        transform = "unchanged"
    combine = keys.flag("combine", False)
    mode = keys.choice("mode", "standard", treatment.MODES)
    force = keys.names("force", "indicator codes", default=None)
    # COINr treats each time by itself; pooled, the same indicator is cut alike in every year.
    scope = keys.choice("scope", "time" if coinr else "all", SCOPES)
    keys.finish(f" for transform {transform}")
    return Treat(skew, kurtosis, winsorise_max, transform, power, combine, scope, winsorise_share, mode, force)

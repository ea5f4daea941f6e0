"""Score the hierarchy level by level, with limits on what may be missing, and say what a score rests on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.aggregation.envelopment import benefit_of_doubt
from cci.engine.aggregation.means import MEANS, mean_of, refuse_non_positive
from cci.engine.aggregation.outranking import copeland_of
from cci.engine.errors import ConfigError
from cci.engine.meta import Hierarchy, checked_weights, power_of_two_scaled
from cci.engine.tables import FloatArray

METHODS = (*MEANS, "copeland", "benefit_of_doubt")
OF_ENVELOPE = ("least_share", "greatest_share", "best")


@dataclass(frozen=True)
class LevelRule:
    """How the groups of one level are made; 0 means "no limit" in each of the limits.

    min_available : least share of the direct components that must be present, in [0, 1].
    min_components : least number of them.
    min_weight_share : least share of the group's weight that they hold, in [0, 1].
    floor : component scores below it count as it (rule N3 of the FACTS framework: 1 at the top).
    power : of the generalised mean. sign : of the Mazziotta–Pareto mean, -1 or 1.
    least_share, greatest_share, best : of the benefit of the doubt: limits of a component's part in the unit's
        score, in [0, 1], and the score of a unit that none passes.
    """

    method: str = "arithmetic_mean"
    min_available: float = 2 / 3
    min_components: int = 0
    min_weight_share: float = 0.0
    floor: float = 0.0
    power: float = 1.0
    sign: int = -1
    least_share: float = 0.0
    greatest_share: float = 1.0
    best: float = 100.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"{self.method!r} is no aggregation; choose {', '.join(METHODS)}.")
        if self.sign not in (-1, 1):
            raise ValueError(f"sign is -1 (imbalance costs) or 1, not {self.sign!r}.")
        if not math.isfinite(self.power):
            raise ValueError(f"power is a finite number, not {self.power!r}.")

    def used(self) -> dict[str, Any]:
        """The fields that mean something for the method, for the report."""
        own = () if self.method == "benefit_of_doubt" else OF_ENVELOPE
        return {key: value for key, value in asdict(self).items() if key not in own}


def aggregate(
    normalised: pd.DataFrame,
    hierarchy: Hierarchy,
    rules: Sequence[LevelRule],
    *,
    groups: Mapping[str, LevelRule] | None = None,
    exact_counts: bool = True,
    skip_missing: bool = True,
    pairwise: bool = True,
) -> pd.DataFrame:
    """Score every aggregate of the hierarchy, from the indicators up.

    normalised : shape (n_units, n_indicators), on one scale, more is better; NaN means missing. Where the
        index is (uCode, Time), Copeland and the benefit of the doubt compare the units of each Time among
        themselves.
    rules : one per step, the first for the parents of indicators.
    groups : other rules for single aggregates, by code.
    exact_counts : compare whole counts with the limit, n_present >= ceil(share * n - 1e-9); False
        compares n_present / n in floating point, as COINr does.
    skip_missing, pairwise : False repeats COINr's faults with gaps, see `generalised_mean` and `copeland`.

    Returns shape (n_units, n_aggregates), on the same scale (Copeland: wins less losses; benefit of the doubt: up
    to the rule's `best`), columns in the order of the meta. A group is NaN where a limit is missed, and counts as
    a missing component one level up. Weights are re-scaled over the components present. Raises NonPositiveError
    for a value that a method cannot take, MetaError for a group without weight, ConfigError for shares that leave
    no parts that sum to 1, ValueError where rules or columns do not fit the hierarchy. Method note, sections 7 and
    8; rules N3 and N7 of the FACTS framework.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> aggregate(pd.DataFrame({"a": [20.0, 20.0], "b": [40.0, None]}), tree, [LevelRule()])["T"].tolist()
    [35.0, nan]
    """
    return aggregate_with_weights(
        normalised,
        hierarchy,
        rules,
        groups=groups,
        exact_counts=exact_counts,
        skip_missing=skip_missing,
        pairwise=pairwise,
    )[0]


def aggregate_with_weights(
    normalised: pd.DataFrame,
    hierarchy: Hierarchy,
    rules: Sequence[LevelRule],
    *,
    groups: Mapping[str, LevelRule] | None = None,
    exact_counts: bool = True,
    skip_missing: bool = True,
    pairwise: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As `aggregate`, and beside the scores the weights that units have of their own.

    The second table has one row per unit, aggregate scored by the benefit of the doubt and component present:
    uCode (and Time), element (the aggregate), component, weight (times the component's value: its points of the
    score), part (its share of the score). Without such aggregates it is empty.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> scaled = pd.DataFrame({"a": [4.0, 1.0], "b": [1.0, 1.0]}, index=pd.Index(["X", "Y"], name="uCode"))
    >>> rule = LevelRule("benefit_of_doubt", greatest_share=0.5)
    >>> scores, own = aggregate_with_weights(scaled, tree, [rule])
    >>> scores["T"].round(6).tolist(), own[["uCode", "component", "part"]].round(6).values.tolist()[:2]
    ([100.0, 40.0], [['X', 'a', 0.5], ['X', 'b', 0.5]])
    """
    groups = groups or {}
    own_weights: list[pd.DataFrame] = []
    steps = hierarchy.top_level - 1
    if len(rules) != steps:
        raise ValueError(f"{steps} steps of aggregation need {steps} rules, not {len(rules)}.")
    unknown = [code for code in groups if code not in hierarchy.aggregates]
    if unknown:
        raise ValueError(f"The hierarchy has no aggregate {', '.join(unknown)}; correct the groups.")
    rows = _rows(normalised, hierarchy.indicators)
    for code, components, weights in _groups(hierarchy):
        rule = groups.get(code, rules[hierarchy.levels[code] - 2])
        cells = np.stack([rows[component] for component in components])
        ok = _enough(~np.isnan(cells), weights, rule, exact_counts=exact_counts)
        if not ok.all():
            # Units that miss the limit are blanked first: they need no mean, so they cannot spoil one.
            cells[:, np.flatnonzero(~ok)] = np.nan
        if rule.floor > 0:
            np.maximum(cells, rule.floor, out=cells)
        if rule.method == "copeland":
            scores = np.full(len(normalised), np.nan)
            for places in _times(normalised.index):
                scores[places] = copeland_of(cells[:, places], weights, pairwise=pairwise)
            rows[code] = scores
            continue
        if rule.method == "benefit_of_doubt":
            counting = np.flatnonzero(weights > 0)
            table = pd.DataFrame(
                cells[counting].T, index=normalised.index, columns=[components[place] for place in counting]
            )
            rows[code], found = _enveloped(table, rule, code)
            own_weights.append(found)
            continue
        refuse_non_positive(cells, weights, rule.method, rule.power, components, code, normalised.index)
        rows[code] = mean_of(cells, weights, rule.method, power=rule.power, sign=rule.sign, skip_missing=skip_missing)
    scores_of = _frame(rows, hierarchy.aggregates, normalised.index)
    return scores_of, pd.concat(own_weights, ignore_index=True) if own_weights else pd.DataFrame()


def enough(
    values: pd.DataFrame, weights: "pd.Series[float]", rule: LevelRule, *, exact_counts: bool = True
) -> NDArray[np.bool_]:
    """Say for each unit whether the components present reach all limits of the rule. shape (n_units,).

    >>> values = pd.DataFrame({"a": [1.0, None], "b": [1.0, 1.0], "c": [None, None]})
    >>> enough(values, pd.Series({"a": 1.0, "b": 1.0, "c": 1.0}), LevelRule(min_available=2 / 3)).tolist()
    [True, False]
    """
    checked = checked_weights(weights, [str(code) for code in values.columns], group="the group")
    present = ~np.isnan(values.to_numpy(dtype=np.float64).T)
    return _enough(present, checked, rule, exact_counts=exact_counts)


def coverage(observed: pd.DataFrame, hierarchy: Hierarchy) -> pd.DataFrame:
    """Share of each aggregate's effective weight that rests on really observed indicators.

    observed : shape (n_units, n_indicators), bool: the cell has a value that was not imputed.
    Returns shape (n_units, n_aggregates), shares in [0, 1], columns in the order of the meta. A group
    withheld for want of data keeps its share: it tells what is known, not what was used.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> coverage(pd.DataFrame({"a": [True], "b": [False]}, index=["X"]), tree).to_dict("list")
    {'T': [0.25]}
    """
    rows = _rows(observed, hierarchy.indicators)
    part: FloatArray = np.empty(len(observed))
    for code, components, weights in _groups(hierarchy):
        share: FloatArray = np.zeros(len(observed))
        scaled = power_of_two_scaled(weights)
        for component, weight in zip(components, scaled, strict=True):
            share += np.multiply(rows[component], weight, out=part)
        # Rounding may leave a complete unit at 1 + 2e-16.
        rows[code] = np.minimum(share / sum(scaled), 1)
    return _frame(rows, hierarchy.aggregates, observed.index)


def _groups(hierarchy: Hierarchy) -> list[tuple[str, list[str], FloatArray]]:
    """Every aggregate with its components, in their order, and their weights; from the lowest level up."""
    found = []
    weights = dict(zip(hierarchy.weights.index.tolist(), hierarchy.weights.tolist(), strict=True))
    for level in range(2, hierarchy.top_level + 1):
        for code in hierarchy.at_level(level):
            components = hierarchy.components(code)
            found.append((code, components, checked_weights(weights, components, group=code)))
    return found


def _enough(
    present: NDArray[np.bool_], weights: FloatArray, rule: LevelRule, *, exact_counts: bool
) -> NDArray[np.bool_]:
    count, n = present.sum(axis=0), len(present)
    if exact_counts:
        ok: NDArray[np.bool_] = count >= math.ceil(rule.min_available * n - 1e-9)
    else:
        ok = count / n >= rule.min_available
    ok &= count >= rule.min_components
    if rule.min_weight_share > 0:
        share = np.zeros(present.shape[1])
        scaled = power_of_two_scaled(weights)
        for there, weight in zip(present, scaled, strict=True):
            share += there * weight
        ok &= share / sum(scaled) >= rule.min_weight_share - 1e-9
    return ok


def _enveloped(table: pd.DataFrame, rule: LevelRule, group: str) -> tuple[FloatArray, pd.DataFrame]:
    """One group by the benefit of the doubt: scores, and the rows of the table of weights.

    table : shape (n_units, n_components), the components that weigh; what they weigh is each unit's own.
    """
    k = table.shape[1]
    if rule.least_share > rule.greatest_share:
        raise ConfigError(
            f"{rule.least_share:g} is above greatest_share ({rule.greatest_share:g}) in {group}; lower it.",
            table="aggregate",
            key="least_share",
        )
    for key, share, room in (
        ("least_share", rule.least_share, rule.least_share * k <= 1 + 1e-9),
        ("greatest_share", rule.greatest_share, rule.greatest_share * k >= 1 - 1e-9),
    ):
        if not room:
            raise ConfigError(
                f"{share:g} for each of the {k} components of {group} leaves no parts that sum to 1; write "
                f"{'at most' if key == 'least_share' else 'at least'} {1 / k:.4g}.",
                table="aggregate",
                key=key,
            )
    scores = np.full(len(table), np.nan)
    weights = np.full(table.shape, np.nan)
    for places in _times(table.index):
        part = table.iloc[places]
        found, of_units = benefit_of_doubt(part, shares=(rule.least_share, rule.greatest_share), group=group)
        scores[places] = found.to_numpy() * rule.best
        weights[places] = of_units.to_numpy() * rule.best
    units, columns = np.nonzero(~np.isnan(weights))
    points = weights[units, columns] * table.to_numpy()[units, columns]
    long = table.index[units].to_frame(index=False)
    long.columns = pd.Index(["uCode", "Time"][: table.index.nlevels])
    long["element"] = group
    long["component"] = table.columns.to_numpy(dtype=object)[columns]
    long["weight"] = weights[units, columns]
    # The parts of a unit sum to 1, also where the score was rounded.
    long["part"] = points / np.bincount(units, points, minlength=len(table))[units]
    return scores, long


def _rows(table: pd.DataFrame, codes: Sequence[str]) -> dict[str, FloatArray]:
    """One contiguous array per column: the components are read again and again, whole columns at a time."""
    there = set(table.columns)
    absent = [code for code in codes if code not in there]
    if absent:
        raise ValueError(f"The table has no column for {', '.join(absent)}; every indicator needs one.")
    if list(table.columns) != list(codes):
        table = table[list(codes)]
    cells = np.ascontiguousarray(table.to_numpy(dtype=np.float64).T)
    return dict(zip(codes, cells, strict=True))


def _frame(rows: Mapping[str, FloatArray], codes: Sequence[str], index: pd.Index) -> pd.DataFrame:
    cells = np.stack([rows[code] for code in codes]) if codes else np.empty((0, len(index)))
    return pd.DataFrame(cells.T, index=index, columns=pd.Index(codes), copy=False)


def _times(index: pd.Index) -> list[NDArray[np.intp]]:
    """The places of the units of each time; of all, where the data hold one."""
    if index.nlevels < 2:
        return [np.arange(len(index))]
    codes, times = pd.factorize(index.get_level_values(1))
    return [np.flatnonzero(codes == number) for number in range(len(times))]

"""Attribute the change of a score between two editions to indicators and weights, without a remainder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.aggregation import LevelRule
from cci.engine.meta import Hierarchy
from cci.engine.robustness import refuse_doubles
from cci.engine.tables import FloatArray

POWERS = {"arithmetic_mean": 1.0, "geometric_mean": 0.0, "harmonic_mean": -1.0}


@dataclass(frozen=True)
class Edition:
    """One edition of an index, as far as its scores depend on it: the tables and how they came about.

    normalised : shape (n_units, n_indicators). scores : shape (n_units, n_aggregates), by `aggregate` from
    them with these rules; `groups` are the rules of single aggregates.
    """

    normalised: pd.DataFrame
    scores: pd.DataFrame
    hierarchy: Hierarchy
    rules: Sequence[LevelRule]
    groups: Mapping[str, LevelRule] = field(default_factory=dict)

    def rule(self, group: str) -> LevelRule:
        return self.groups.get(group, self.rules[self.hierarchy.levels[group] - 2])


@dataclass(frozen=True)
class Attribution:
    """What moved the score of each unit; all in points of the score.

    change : shape (n_units,), the score's change. values : shape (n_units, n_indicators), what the
    indicators' own changes did. weights : shape (n_units, n_elements), what the changes of weights did:
    new weights, and weights shared out anew where a component came or went. change = sum of both, but for
    rounding. NaN for a unit without a score in both editions.
    """

    change: "pd.Series[float]"
    values: pd.DataFrame
    weights: pd.DataFrame


def attribute_score_change(old: Edition, new: Edition, *, target: str | None = None) -> Attribution:
    """Attribute the change of a score to the indicators and weights below it, without a remainder.

    In each group f(G) = sum of w f(z), with f(x) = x for the arithmetic mean, ln x for the geometric, 1/x
    for the harmonic, x^p for the generalised one, and weights shared out over the components present. So

        change of f(G) = sum of mean(w) (change of f(z)) + sum of mean(f(z)) (change of w)

    with the means of the two editions, exactly. Divided by the difference quotients of f it becomes points
    of the score, and multiplied down the tree, points per indicator; for the arithmetic mean with equal
    weights that is effective weight x change. A component that only one edition has changed its weight,
    not its value.

    old, new : the two editions. target : the score; without it the single top of both.
    Returns an `Attribution` for the units of both. Raises ValueError for a method that is no such mean
    (median, Copeland, Mazziotta–Pareto), for a group whose rule differs between the editions in method,
    power or floor, and for a target that they do not share. Method note, section 16.

    >>> from cci.engine.aggregation import aggregate
    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> def edition(a, b):
    ...     scaled = pd.DataFrame({"a": [a], "b": [b]}, index=["X"])
    ...     return Edition(scaled, aggregate(scaled, tree, [LevelRule()]), tree, [LevelRule()])
    >>> found = attribute_score_change(edition(20.0, 40.0), edition(60.0, 30.0))
    >>> found.change["X"].item(), found.values.loc["X"].to_dict()
    (2.5, {'a': 10.0, 'b': -7.5})
    """
    target = target or _shared_top(old.hierarchy, new.hierarchy)
    for edition in (old, new):
        if target not in edition.hierarchy.aggregates:
            raise ValueError(f"An edition has no aggregate {target}; name a score of both.")
    refuse_doubles(old.normalised.index)
    refuse_doubles(new.normalised.index)
    _refuse_other_levels(old.hierarchy, new.hierarchy)
    units = old.scores.index.intersection(new.scores.index).sort_values()
    before, after = _cells(old, units), _cells(new, units)
    nothing = np.zeros(len(units))
    values: dict[str, FloatArray] = {}
    weights: dict[str, FloatArray] = {}
    factors = {target: np.ones(len(units))}  # points of the target per point of the element
    levels = {**old.hierarchy.levels, **new.hierarchy.levels}
    for level in range(levels[target], 1, -1):
        for group in [code for code in factors if levels[code] == level]:
            for code, (slope, effect) in _group_parts(group, old, new, before, after).items():
                # An element that changed its group is a component of two.
                weights[code] = weights.get(code, nothing) + factors[group] * effect
                factors[code] = factors.get(code, nothing) + factors[group] * slope
    for code in [code for code in factors if levels[code] == 1]:
        values[code] = factors[code] * np.nan_to_num(_of(after, code, units) - _of(before, code, units), nan=0.0)
    change = after[target] - before[target]
    known = ~np.isnan(change)
    return Attribution(
        change=pd.Series(change, index=units),
        values=pd.DataFrame(values, index=units).where(pd.Series(known, index=units), axis=0),
        weights=pd.DataFrame(weights, index=units).where(pd.Series(known, index=units), axis=0),
    )


def _shared_top(old: Hierarchy, new: Hierarchy) -> str:
    tops = [code for code in old.aggregates if code not in old.parents and code in new.aggregates]
    if len(tops) != 1:
        raise ValueError("The editions share no single top; name the score to attribute.")
    return tops[0]


def _cells(edition: Edition, units: "pd.Index[Any]") -> dict[str, FloatArray]:
    codes = (*edition.hierarchy.indicators, *edition.hierarchy.aggregates)
    table = edition.normalised.join(edition.scores).loc[units]
    return {code: table[code].to_numpy(dtype=np.float64) for code in codes}


def _of(cells: Mapping[str, FloatArray], code: str, units: "pd.Index[Any]") -> FloatArray:
    return cells[code] if code in cells else np.full(len(units), np.nan)


def _refuse_other_levels(old: Hierarchy, new: Hierarchy) -> None:
    for code, level in old.levels.items():
        if new.levels.get(code, level) != level:
            raise ValueError(
                f"{code} stands on level {level} in the old edition and on level {new.levels[code]} in the new one; "
                "such a change cannot be attributed."
            )


def _group_parts(
    group: str, old: Edition, new: Edition, before: Mapping[str, FloatArray], after: Mapping[str, FloatArray]
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """For each component: points of the group per point of it, and points by the change of its weight."""
    first, last = ([*e.hierarchy.components(group)] if group in e.hierarchy.levels else [] for e in (old, new))
    if not first or not last:
        # A group that only one edition has changed its weight; there is nothing to say of what is in it.
        nothing = np.zeros(len(next(iter(before.values()))))
        return dict.fromkeys([*first, *last], (nothing, nothing))
    power, floor = _power_and_floor(group, old, new)
    g0, g1 = before[group], after[group]
    whole = ~np.isnan(g0) & ~np.isnan(g1)
    weights0, weights1 = _shares(old, group, before), _shares(new, group, after)
    parts = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        group_slope, group_level = _quotient(g0, g1, power), (_f(g0, power) + _f(g1, power)) / 2
        for code in sorted({*first, *last}):
            w0, w1 = weights0.get(code, np.zeros(len(g0))), weights1.get(code, np.zeros(len(g0)))
            z0, z1 = before.get(code, np.full(len(g0), np.nan)), after.get(code, np.full(len(g0), np.nan))
            # What one edition lacks changed its weight, not its value.
            z0, z1 = np.where(np.isnan(z0), z1, z0), np.where(np.isnan(z1), z0, z1)
            y0, y1 = (np.maximum(z, floor) if floor > 0 else z for z in (z0, z1))
            floored = np.where(z0 == z1, 1.0, (y1 - y0) / (z1 - z0))
            slope = (w0 + w1) / 2 * _quotient(y0, y1, power) * floored / group_slope
            # Measured from the group's own level, since the weights' changes sum to 0: more weight on what
            # is above it raises the score.
            effect = (w1 - w0) * ((_f(y0, power) + _f(y1, power)) / 2 - group_level) / group_slope
            used = whole & (w0 + w1 > 0)
            parts[code] = (np.where(used, slope, 0.0), np.where(used, effect, 0.0))
    return parts


def _power_and_floor(group: str, old: Edition, new: Edition) -> tuple[float, float]:
    """The p of f(x) = x^p (0 stands for ln x), and the floor of the group's rule."""
    rules = [edition.rule(group) for edition in (old, new)]
    powers = []
    for rule in rules:
        if rule.method not in POWERS and rule.method != "generalised_mean":
            raise ValueError(f"{group} is made by {rule.method}, whose change cannot be attributed to components.")
        powers.append(POWERS.get(rule.method, rule.power))
    if powers[0] != powers[1] or rules[0].floor != rules[1].floor:
        raise ValueError(f"{group} is made otherwise in the two editions; its change cannot be attributed.")
    return powers[0], rules[0].floor


def _shares(edition: Edition, group: str, cells: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The weights of a group's components for each unit, shared out over those present."""
    components = edition.hierarchy.components(group)
    weights = {c: np.where(np.isnan(cells[c]), 0.0, float(edition.hierarchy.weights[c])) for c in components}
    total = np.sum(list(weights.values()), axis=0)
    return {c: np.divide(w, total, out=np.zeros(len(w)), where=total > 0) for c, w in weights.items()}


def _f(x: FloatArray, power: float) -> FloatArray:
    return np.log(x) if power == 0 else x**power


def _quotient(a: FloatArray, b: FloatArray, power: float) -> FloatArray:
    """(f(b) - f(a)) / (b - a), and f'(a) where they are equal; without losing digits where they are close."""
    if power == 1:
        return np.ones(len(a))
    ratio = np.log1p((b - a) / a)  # ln(b / a)
    if power == 0:
        rise, slope = ratio, 1 / a
    else:
        rise = np.where((a > 0) & (b > 0), a**power * np.expm1(power * ratio), b**power - a**power)
        slope = power * a ** (power - 1)
    return np.where(a == b, slope, rise / (b - a))

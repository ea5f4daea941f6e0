"""Score one normalised table under many sets of weights at once.

A block is an array (replicates, units), each replicate in one run of memory, as sorting wants it. Sums over the
components run through `np.einsum`, which adds them one after another for every cell alike (tested, block against
block). A product by BLAS would be three times as quick and is not used: it adds in an order that depends on the
shape of the block, so that the last digit, and with it a tie, would depend on how the replicates are cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cci.engine.aggregation.levels import LevelRule
from cci.engine.aggregation.means import mean_of
from cci.engine.aggregation.outranking import copeland_of
from cci.engine.meta import Hierarchy
from cci.engine.tables import FloatArray

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

# Means that are a weighted sum on another scale: the power of that scale, 0 for the logarithm.
POWERS = {"arithmetic_mean": 1.0, "geometric_mean": 0.0, "harmonic_mean": -1.0}


@dataclass(frozen=True)
class Group:
    """One aggregate: its components and their places among the elements, and how they are joined."""

    code: str
    components: tuple[str, ...]
    places: Places
    rule: LevelRule


@dataclass(frozen=True)
class Tree:
    """The groups below a target, the lowest level first; `leaves` are those made of indicators."""

    target: str
    elements: tuple[str, ...]
    groups: Mapping[str, Group]
    leaves: frozenset[str]
    exact_counts: bool = True
    pairwise: bool = True


@dataclass(frozen=True)
class Patterns:
    """Which components are present: `present` (n_patterns, n_components), and the pattern of each unit.

    The last pattern is the complete one; `gaps` are the units of the others.
    """

    present: Mask
    of_unit: Places
    gaps: Places


@dataclass(frozen=True)
class Leaf:
    """Indicators of one group, laid out for scoring: (n_components, n_units), 0 where missing; `bad` says in
    which pattern which component has a value that the method cannot take. `cells` keep NaN, for the methods
    that are no weighted sum."""

    terms: FloatArray
    patterns: Patterns
    bad: Mask | None
    cells: FloatArray | None


@dataclass(frozen=True)
class Layout:
    """A normalised table prepared for one way of joining."""

    tree: Tree
    leaves: Mapping[str, Leaf]
    n_units: int
    times: tuple[Places, ...]


def tree_of(
    hierarchy: Hierarchy,
    rules: Sequence[LevelRule],
    groups: Mapping[str, LevelRule] | None = None,
    *,
    target: str,
    exact_counts: bool = True,
    pairwise: bool = True,
) -> Tree:
    """The part of a hierarchy that a target stands on, with the rule of each group."""
    elements = (*hierarchy.indicators, *hierarchy.aggregates)
    place = {code: position for position, code in enumerate(elements)}
    found: dict[str, Group] = {}

    def add(code: str) -> None:
        components = tuple(hierarchy.components(code))
        for component in components:
            if hierarchy.levels[component] > 1:
                add(component)
        rule = (groups or {}).get(code, rules[hierarchy.levels[code] - 2])
        found[code] = Group(code, components, np.array([place[c] for c in components], dtype=np.intp), rule)

    add(target)
    leaves = frozenset(code for code in found if hierarchy.levels[code] == 2)
    return Tree(target, elements, found, leaves, exact_counts, pairwise)


def laid_out(normalised: FloatArray, tree: Tree, times: tuple[Places, ...]) -> Layout:
    """Prepare a table for scoring. normalised : (n_indicators, n_units), rows in the order of the elements."""
    leaves = {}
    for code in tree.leaves:
        group = tree.groups[code]
        cells = normalised[group.places]
        present = ~np.isnan(cells)
        patterns = _patterns(present)
        if group.rule.floor > 0:
            cells = np.maximum(cells, group.rule.floor)
        wrong, bad = _out_of_reach(cells, group.rule), None
        if wrong.any():
            bad = np.zeros(patterns.present.shape, dtype=bool)
            for component in np.flatnonzero(wrong.any(axis=1)):
                bad[patterns.of_unit[wrong[component]], component] = True
        terms = np.where(present & ~wrong, cells, 1.0)
        _forward(terms, group.rule)
        terms[~present] = 0
        leaves[code] = Leaf(terms, patterns, bad, None if _power(group.rule) is not None else cells)
    return Layout(tree, leaves, normalised.shape[1], times)


def score(layout: Layout, weights: FloatArray) -> tuple[FloatArray, NDArray[np.int32]]:
    """The target's scores under each set of weights.

    weights : shape (n_replicates, n_elements), each >= 0, on any scale; NaN leaves the element out, as if the
    hierarchy had no such row. Returns the scores, shape (n_replicates, n_units), NaN where a limit is missed;
    and for each replicate 0, or 1 + the place of the group that cannot be computed (among `tree.groups`):
    a value that the mean cannot take, or weights that are all 0.

    The limits, floors and means are those of `aggregate`, to rounding.
    """
    weights = weights.copy()
    for group in layout.tree.groups.values():
        # A group all of whose components are left out is left out itself.
        empty = np.isnan(weights[:, group.places]).all(axis=1)
        weights[empty, layout.tree.elements.index(group.code)] = np.nan
    problem = np.zeros(len(weights), dtype=np.int32)
    out = np.empty((len(weights), layout.n_units))
    with np.errstate(all="ignore"):
        _fill(layout, layout.tree.groups[layout.tree.target], weights, out, problem)
    return out, problem


def _fill(
    layout: Layout, group: Group, weights: FloatArray, out: FloatArray, problem: NDArray[np.int32]
) -> Mask | None:
    """Write the group's scores into `out`; return who has none, or None where that differs by replicate."""
    w = weights[:, group.places]
    number = 1 + list(layout.tree.groups).index(group.code)
    if group.code in layout.leaves:
        return _fill_leaf(layout, layout.leaves[group.code], group, w, out, problem, number)
    parts = np.empty((len(group.components), *out.shape))
    absent = [
        _fill(layout, layout.tree.groups[code], weights, parts[position], problem)
        for position, code in enumerate(group.components)
    ]
    known = [mask for mask in absent if mask is not None]
    if len(known) == len(absent) and not np.isnan(w).any():
        return _join(layout, group, w, parts, ~np.array(known), out, problem, number)
    for r in range(len(out)):
        one = slice(r, r + 1)
        _join(layout, group, w[one], parts[:, one], ~np.isnan(parts[:, r]), out[one], problem[one], number)
    return None


def _fill_leaf(
    layout: Layout,
    leaf: Leaf,
    group: Group,
    w: FloatArray,
    out: FloatArray,
    problem: NDArray[np.int32],
    number: int,
) -> Mask | None:
    shares, factors = _shares(w, leaf.patterns.present, group.rule, layout.tree.exact_counts)
    missed = np.isnan(factors)
    failed = np.nan_to_num(w).sum(axis=1) == 0
    if leaf.bad is not None:
        # Whole counts, so the product is exact in any order.
        failed |= (((~missed).astype(np.float64) @ leaf.bad.astype(np.float64) > 0) & (shares > 0)).any(axis=1)
    problem[failed & (problem == 0)] = number
    if leaf.cells is not None:
        for r in range(len(out)):
            out[r] = _joined(layout, group.rule, leaf.cells, shares[r], missed[r][leaf.patterns.of_unit])
    else:
        _weighted_sum(shares, leaf.terms, out)
        _rescale(out, factors, leaf.patterns)
        _backward(out, group.rule)
    return missed[0][leaf.patterns.of_unit] if (missed == missed[0]).all() else None


def _join(
    layout: Layout,
    group: Group,
    w: FloatArray,
    parts: FloatArray,
    present: Mask,
    out: FloatArray,
    problem: NDArray[np.int32],
    number: int,
) -> Mask | None:
    """Join scored components, shape (n_components, n_replicates, n_units), present alike in all replicates."""
    rule = group.rule
    patterns = _patterns(present)
    shares, factors = _shares(w, patterns.present, rule, layout.tree.exact_counts)
    missed = np.isnan(factors)
    if rule.floor > 0:
        np.maximum(parts, rule.floor, out=parts)
    failed = np.nan_to_num(w).sum(axis=1) == 0
    if _power(rule) != 1:
        # Most blocks have nothing below the limit: one look at the smallest spares the rest.
        for component, row in zip(*np.nonzero(_out_of_reach(np.fmin.reduce(parts, axis=2), rule)), strict=True):
            wrong = _out_of_reach(parts[component, row], rule) & ~missed[row][patterns.of_unit]
            failed[row] |= bool(shares[row, component] > 0 and wrong.any())
    problem[failed & (problem == 0)] = number
    if _power(rule) is None:
        for r in range(len(out)):
            out[r] = _joined(layout, rule, parts[:, r], shares[r], missed[r][patterns.of_unit])
    else:
        _forward(parts, rule)
        for component in np.flatnonzero(~present.all(axis=1)):
            parts[component][:, ~present[component]] = 0
        _weighted_sum(shares, parts, out)
        _rescale(out, factors, patterns)
        _backward(out, rule)
    return missed[0][patterns.of_unit] if (missed == missed[0]).all() else None


def _shares(w: FloatArray, present: Mask, rule: LevelRule, exact_counts: bool) -> tuple[FloatArray, FloatArray]:
    """Weights as shares of the whole group, (n_replicates, n_components), and what makes up for the absent ones.

    The factor, (n_replicates, n_patterns), is the whole weight / the weight present, NaN where a limit is missed.
    """
    used = ~np.isnan(w)
    w = np.where(used, w, 0.0)
    w = w / np.maximum(w.max(axis=1, keepdims=True), np.finfo(float).tiny)
    there = present.astype(np.float64)
    # The whole is added in the same order as its parts, so that the factor of a complete unit is exactly 1.
    weight, whole = np.zeros((len(w), len(present))), np.zeros((len(w), 1))
    for component, column in enumerate(w.T[:, :, None]):
        whole += column
        weight += column * there[:, component]
    n, count = used.sum(axis=1, keepdims=True), used.astype(np.float64) @ there.T  # whole numbers: exact in any order
    if exact_counts:
        ok = count >= np.ceil(rule.min_available * n - 1e-9)
    else:
        ok = count / n >= rule.min_available
    ok &= (count >= rule.min_components) & (weight > 0) & (weight / whole >= rule.min_weight_share - 1e-9)
    return w / whole, np.where(ok, whole / weight, np.nan)


def _weighted_sum(shares: FloatArray, terms: FloatArray, out: FloatArray) -> None:
    """Write the sums over components: terms (n_components, n_units), or (n_components, n_replicates, n_units).

    einsum adds component after component while the axes of replicates and units have more than one place each;
    with one place it takes its loops in another order, and the last digit may differ.
    """
    if out.shape[1] == 1:
        out[:] = 0
        for share, term in zip(shares.T[:, :, None], terms, strict=True):
            out += share * term
    elif len(out) == 1:
        two = np.empty((2, out.shape[1]))
        _weighted_sum(np.repeat(shares, 2, axis=0), terms if terms.ndim == 2 else np.repeat(terms, 2, axis=1), two)
        out[:] = two[:1]
    else:
        np.einsum("rk,kn->rn" if terms.ndim == 2 else "rk,krn->rn", shares, terms, out=out)


def _rescale(out: FloatArray, factors: FloatArray, patterns: Patterns) -> None:
    """Divide by the weight that is present; nearly all units are complete, and their factor is 1."""
    if (factors[:, -1] != 1).any():
        out *= factors[:, patterns.of_unit]
    elif patterns.gaps.size:
        out[:, patterns.gaps] *= factors[:, patterns.of_unit[patterns.gaps]]


def _joined(layout: Layout, rule: LevelRule, cells: FloatArray, shares: FloatArray, missed: Mask) -> FloatArray:
    """One replicate of a method that is no weighted sum: cells (n_components, n_units)."""
    cells = cells[shares > 0]
    shares = shares[shares > 0]
    result = np.full(cells.shape[1], np.nan)
    if not shares.size:
        return result
    if rule.method != "copeland":
        result[~missed] = mean_of(cells[:, ~missed], shares, rule.method, power=rule.power, sign=rule.sign)
        return result
    for places in layout.times:
        there = places[~missed[places]]
        result[there] = copeland_of(cells[:, there], shares, pairwise=layout.tree.pairwise)
    return result


def _patterns(present: Mask) -> Patterns:
    """The distinct columns of a table of presence, (n_components, n_units)."""
    return _patterns_of(present.tobytes(), *present.shape)


@lru_cache(maxsize=256)  # the same gaps come back in every block and table
def _patterns_of(content: bytes, n_components: int, n_units: int) -> Patterns:
    bits = np.packbits(np.frombuffer(content, dtype=bool).reshape(n_components, n_units), axis=0)
    key: NDArray[np.uint64] = np.zeros(n_units, dtype=np.uint64)
    for row in bits:
        # Beyond eight bytes the numbers stand for what came before: still one number for one pattern.
        if (key >> np.uint64(56)).any():
            key = np.unique(key, return_inverse=True)[1].astype(np.uint64)
        key = (key << np.uint64(8)) | row
    _, first, of_unit = np.unique(key, return_index=True, return_inverse=True)
    present = np.unpackbits(bits[:, first], axis=0, count=n_components).astype(bool).T
    complete = np.flatnonzero(present.all(axis=1))
    order = np.append(np.setdiff1d(np.arange(len(present)), complete), complete)
    if not complete.size:
        present = np.vstack([present, np.ones((1, n_components), dtype=bool)])
        order = np.arange(len(present))
    places = np.empty(len(present), dtype=np.intp)
    places[order] = np.arange(len(present))
    of_unit = places[of_unit]
    return Patterns(present[order], of_unit, np.flatnonzero(of_unit < len(present) - 1))


def _power(rule: LevelRule) -> float | None:
    """The power on whose scale the mean is a weighted sum; None for the methods that are none."""
    if rule.method == "generalised_mean":
        return rule.power if rule.power in (-1.0, 0.0, 1.0) else None
    return POWERS.get(rule.method)


def _out_of_reach(values: FloatArray, rule: LevelRule) -> Mask:
    """Which values the method of a rule cannot take: those `aggregate` refuses. NaN is none of them."""
    whole = rule.method == "generalised_mean" and rule.power > 0 and float(rule.power).is_integer()
    if _power(rule) == 1 or rule.method in ("median", "copeland") or (whole and rule.power % 2):
        return np.zeros(values.shape, dtype=bool)
    return np.asarray(values < 0 if whole or rule.method == "mazziotta_pareto" else values <= 0)


def _forward(values: FloatArray, rule: LevelRule) -> None:
    if _power(rule) == 0:
        np.log(values, out=values)
    elif _power(rule) == -1:
        np.reciprocal(values, out=values)


def _backward(values: FloatArray, rule: LevelRule) -> None:
    if _power(rule) == 0:
        np.exp(values, out=values)
    elif _power(rule) == -1:
        np.reciprocal(values, out=values)

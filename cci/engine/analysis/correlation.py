"""Correlate indicators and scores, pair by pair, and say which correlations call for a second look."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.analysis.columns import cells
from cci.engine.errors import DataError, unit_name
from cci.engine.meta import Hierarchy
from cci.engine.tables import FloatArray

METHODS = ("pearson", "spearman", "kendall")
BoolArray = NDArray[np.bool_]
LEAST_UNITS = 3
DECIMALS = 12


def correlations(
    x: pd.DataFrame, y: pd.DataFrame | None = None, *, method: str = "pearson", p_max: float | None = None
) -> pd.DataFrame:
    """Correlate each column of x with each of y (of x itself, if there is no y).

    x, y : shape (n_units, n_columns), the same units in any order; NaN means missing. Each pair of columns
        is taken over the units that have both.
    method : `pearson`; `spearman`, Pearson's on average ranks among those units; `kendall`, tau-b, some
        milliseconds per pair of 6,000 units, so seconds for a table of 50 columns.
    p_max : blank what a two-sided test at this level does not tell from 0 (Pearson and Spearman: t with
        n - 2 degrees of freedom; Kendall: SciPy's test).

    Returns shape (n_columns of x, n_columns of y), in [-1, 1], to 12 decimals. NaN where undefined: fewer than 3 common
    units, or a column constant over them. Raises DataError for an infinite value and for units that
    only one table has. Method note, section 10.

    >>> x = pd.DataFrame({"a": [1.0, 2.0, 3.0, None], "b": [1.0, 3.0, 2.0, 9.0], "c": [5.0, 5.0, 5.0, 6.0]})
    >>> correlations(x).round(3).to_dict("list")
    {'a': [1.0, 0.5, nan], 'b': [0.5, 1.0, 0.974], 'c': [nan, 0.974, 1.0]}
    """
    left = cells(x)
    if y is None:
        return pd.DataFrame(coefficients(left, None, method=method, p_max=p_max)[0], x.columns, x.columns)
    if not x.index.sort_values().equals(y.index.sort_values()):
        lone = x.index.symmetric_difference(y.index)
        which = unit_name(lone[0]) if len(lone) else "one of them twice"
        raise DataError(f"the two tables hold different units ({which}); give both the same units.")
    return pd.DataFrame(coefficients(left, cells(y), method=method, p_max=p_max)[0], x.columns, y.columns)


def coefficients(
    left: FloatArray, right: FloatArray | None = None, *, method: str = "pearson", p_max: float | None = None
) -> tuple[FloatArray, FloatArray]:
    """The arrays' side of `correlations`: the coefficients, and the numbers of common units.

    left, right : shape (n_units, k), (n_units, m), rows in the same order; NaN missing, nothing infinite.
    """
    same = right is None
    other = left if right is None else right
    p = np.full((left.shape[1], other.shape[1]), np.nan)
    if method == "pearson":
        r, n = _pearson(left, other)
    elif method == "spearman":
        r, n = _spearman(left, other, same=same)
    elif method == "kendall":
        r, n, p = _kendall(left, other, same=same)
    else:
        raise ValueError(f"{method!r} is no correlation; choose {', '.join(METHODS)}.")
    if same:
        # A product of matrices may leave the two triangles a digit apart.
        upper = np.triu(r, 1)
        r = upper + upper.T + np.diag(np.where(np.isnan(np.diag(r)), np.nan, 1.0))
    if p_max is not None:
        if method != "kendall":
            p = _p_value(r, n)
        r = np.where(p <= p_max, r, np.nan)
    # The last digits of a product of matrices depend on the processor: they are no part of the answer.
    return np.asarray(np.round(np.clip(r, -1, 1), DECIMALS), dtype=np.float64), n


def covariances(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Covariances (n - 1) of all pairs of columns over their common units, and the numbers of those.

    values : shape (n, k), of moderate size; NaN missing. Returns two arrays of shape (k, k); NaN below two
        common units.
    """
    n, product, _, _ = _sums(values, values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 1, product / (n - 1), np.nan), n


def pairs_within_groups(values: pd.DataFrame, hierarchy: Hierarchy, *, method: str = "pearson") -> pd.DataFrame:
    """Correlate the components of each group among themselves.

    values : shape (n_units, n_elements), indicators and aggregates, more is better; elements that are not
        in the table are passed over.
    Returns one row per pair: group, element, other, correlation, n (common units). Method note, section 10.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 1, 1]}))
    >>> pairs_within_groups(pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [3.0, 2.0, 1.0]}), tree).to_dict("records")
    [{'group': 'T', 'element': 'a', 'other': 'b', 'correlation': -1.0, 'n': 3}]
    """
    rows: list[tuple[object, ...]] = []
    table, place = cells(values), {code: i for i, code in enumerate(values.columns)}
    for group, components in groups_of(values, hierarchy):
        r, n = coefficients(table[:, [place[code] for code in components]], method=method)
        for i in range(len(components)):
            rows.extend(
                (group, components[i], components[j], r[i, j], int(n[i, j])) for j in range(i + 1, len(components))
            )
    return pd.DataFrame(rows, columns=["group", "element", "other", "correlation", "n"]).astype(
        {"correlation": np.float64}
    )


def with_parents(values: pd.DataFrame, hierarchy: Hierarchy, *, method: str = "pearson") -> pd.DataFrame:
    """Correlate each element with its own parent, grandparent and so on up to the top.

    values : as for `pairs_within_groups`.
    Returns one row per element and ancestor: element, level, ancestor, ancestor_level, correlation, n.
    Method note, section 10.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 1, 1]}))
    >>> scored = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [3.0, 4.0, 8.0], "T": [2.0, 3.0, 5.5]})
    >>> with_parents(scored, tree)["correlation"].round(3).tolist()
    [0.971, 0.996]
    """
    rows: list[tuple[object, ...]] = []
    table, place = cells(values), {code: i for i, code in enumerate(values.columns)}
    ancestors = {code: list(_ancestors(code, hierarchy)) for code in hierarchy.levels if code in values.columns}
    for ancestor in hierarchy.aggregates:
        below = [code for code, path in ancestors.items() if ancestor in path]
        if ancestor not in values.columns or not below:
            continue
        r, n = coefficients(table[:, [place[code] for code in below]], table[:, [place[ancestor]]], method=method)
        above = hierarchy.levels[ancestor]
        rows.extend(
            (code, hierarchy.levels[code], ancestor, above, r[i, 0], int(n[i, 0])) for i, code in enumerate(below)
        )
    columns = ["element", "level", "ancestor", "ancestor_level", "correlation", "n"]
    found = pd.DataFrame(rows, columns=columns).astype({"correlation": np.float64})
    order = {code: i for i, code in enumerate((*hierarchy.indicators, *hierarchy.aggregates))}
    keys = pd.DataFrame({"element": found["element"].map(order), "above": found["ancestor_level"]})
    return found.loc[keys.sort_values(["element", "above"], kind="stable").index].reset_index(drop=True)


def correlation_flags(
    values: pd.DataFrame,
    hierarchy: Hierarchy,
    *,
    redundant: float = 0.92,
    represented: float = 0.3,
    opposed: float = 0.0,
    method: str = "pearson",
) -> pd.DataFrame:
    """List the correlations that the practice of audits asks about, each with a sentence.

    values : as for `pairs_within_groups`.
    redundant : |r| above it within a group says one thing twice; represented : r below it with the own
        parent leaves the element without a voice; opposed : r below it, with a sibling or the parent,
        hints at a wrong direction or a conflict.

    Returns columns kind (`redundant`, `opposed`, `not represented`, `undefined`), group, element, other
    (empty where the parent is meant), correlation, n, words. Method note, section 10 (JRC practice;
    COINr `get_corr_flags`).

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 1, 1]}))
    >>> scored = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 2.0, 1.0], "T": [2.0, 2.0, 2.5]})
    >>> for words in correlation_flags(scored, tree)["words"]:
    ...     print(words)
    a and b of T are opposed (r = -0.98): is a direction wrong, or do they conflict?
    a and b of T say nearly the same (|r| = 0.98): one of them may do.
    b runs against its own group T (r = -0.87): is its direction wrong?
    """
    rows: list[tuple[object, ...]] = []
    for group, element, other, r, n in pairs_within_groups(values, hierarchy, method=method).itertuples(index=False):
        pair = f"{element} and {other} of {group}"
        if np.isnan(r):
            rows.append(("undefined", group, element, other, r, n, f"{pair}: {_why_undefined(n)}."))
        if r < opposed:
            words = f"{pair} are opposed (r = {r:.2f}): is a direction wrong, or do they conflict?"
            rows.append(("opposed", group, element, other, r, n, words))
        if abs(r) > redundant:
            words = f"{pair} say nearly the same (|r| = {abs(r):.2f}): one of them may do."
            rows.append(("redundant", group, element, other, r, n, words))
    parents = with_parents(values, hierarchy, method=method)
    own = parents[parents["ancestor"] == parents["element"].map(hierarchy.parents)]
    for element, _, group, _, r, n in own.itertuples(index=False):
        if np.isnan(r):
            words = f"{element} with its own group {group}: {_why_undefined(n)}."
            rows.append(("undefined", group, element, "", r, n, words))
        elif r < opposed:
            words = f"{element} runs against its own group {group} (r = {r:.2f}): is its direction wrong?"
            rows.append(("opposed", group, element, "", r, n, words))
        elif r < represented:
            words = f"{element} is hardly represented in its own group {group} (r = {r:.2f})."
            rows.append(("not represented", group, element, "", r, n, words))
    columns = ["kind", "group", "element", "other", "correlation", "n", "words"]
    return pd.DataFrame(rows, columns=columns).astype({"correlation": np.float64})


def groups_of(values: pd.DataFrame, hierarchy: Hierarchy) -> Iterator[tuple[str, list[str]]]:
    """Each aggregate, from the lowest level up, with those of its components that the table holds."""
    for level in range(2, hierarchy.top_level + 1):
        for code in hierarchy.at_level(level):
            components = [c for c in hierarchy.components(code) if c in values.columns]
            if components:
                yield code, components


def _ancestors(code: str, hierarchy: Hierarchy) -> Iterator[str]:
    while code in hierarchy.parents:
        code = hierarchy.parents[code]
        yield code


def _why_undefined(n: Any) -> str:
    return f"{n} common units are too few to correlate" if n < LEAST_UNITS else "one of them is constant"


def _scale(table: FloatArray) -> FloatArray:
    """A power of two near the largest of each column: no square overflows, and no digit changes."""
    largest = np.fmax.reduce(np.abs(table), axis=0, initial=0)
    _, exponent = np.frexp(largest)
    return np.asarray(np.where(largest > 0, np.ldexp(1.0, np.minimum(exponent, 1023)), 1.0), dtype=np.float64)


def _sums(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Over the common units of each pair: their number, and the centred sums of xy, xx and yy.

    Products of matrices with 0 for a gap; a pair whose columns hardly vary over the common units, against
    how they vary elsewhere, would lose its digits there and is summed again by itself.
    """
    here, there = ~np.isnan(x), ~np.isnan(y)
    mask_x, mask_y = here.astype(np.float64), there.astype(np.float64)
    x0, y0 = _centred(x, here), _centred(y, there)
    n: FloatArray = mask_x.T @ mask_y
    sum_x, sum_y, square_x, square_y = x0.T @ mask_y, mask_x.T @ y0, (x0 * x0).T @ mask_y, mask_x.T @ (y0 * y0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n > 0, 1 / n, 0)
    xy = x0.T @ y0 - sum_x * sum_y * share
    xx = square_x - sum_x * sum_x * share
    yy = square_y - sum_y * sum_y * share
    whole_x = np.sum(x0 * x0, axis=0)[:, None]
    whole_y = np.sum(y0 * y0, axis=0)[None, :]
    for i, j in np.argwhere((n > 0) & ((xx < 1e-6 * whole_x) | (yy < 1e-6 * whole_y))):
        both = here[:, i] & there[:, j]
        a, b = _exactly_centred(x[both, i]), _exactly_centred(y[both, j])
        xy[i, j], xx[i, j], yy[i, j] = (a * b).sum(), (a * a).sum(), (b * b).sum()
    return n, xy, xx, yy


def _centred(table: FloatArray, present: BoolArray) -> FloatArray:
    filled = np.where(present, table, 0)
    mean = filled.sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, table - mean, 0)
    # Rounding of the mean must not give a constant column a variance.
    low: FloatArray = np.fmin.reduce(table, axis=0, initial=np.inf)
    high: FloatArray = np.fmax.reduce(table, axis=0, initial=-np.inf)
    return np.where(low < high, centred, 0)


def _exactly_centred(column: FloatArray) -> FloatArray:
    return column - column.mean() if column.min() < column.max() else np.zeros_like(column)


def _ratio(n: FloatArray, xy: FloatArray, xx: FloatArray, yy: FloatArray) -> FloatArray:
    defined = (n >= LEAST_UNITS) & (xx > 0) & (yy > 0)
    # The root of each before the product: the squares of small values would underflow.
    size = np.sqrt(np.where(defined, xx, 1)) * np.sqrt(np.where(defined, yy, 1))
    return np.where(defined, xy / size, np.nan)


def _pearson(left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    n, xy, xx, yy = _sums(left / _scale(left), right / _scale(right))
    return _ratio(n, xy, xx, yy), n


def _spearman(left: FloatArray, right: FloatArray, *, same: bool) -> tuple[FloatArray, FloatArray]:
    """Pearson's on ranks among the common units: once for columns without gaps, by pair for the others."""
    here: BoolArray = ~np.isnan(left)
    there: BoolArray = ~np.isnan(right)
    codes_left, codes_right = _dense_codes(left), _dense_codes(right)
    everyone = np.ones(len(left), dtype=bool)
    ranks_left = np.column_stack([_ranks(codes_left[i], everyone) for i in range(left.shape[1])])
    ranks_right = np.column_stack([_ranks(codes_right[j], everyone) for j in range(right.shape[1])])
    r, n = _pearson(ranks_left, ranks_right)
    gappy: BoolArray = ~np.logical_and.outer(here.all(axis=0), there.all(axis=0))
    for i, j in np.argwhere(gappy):
        both = here[:, i] & there[:, j]
        n[i, j] = np.count_nonzero(both)
        if same and j < i:
            r[i, j] = r[j, i]
        elif n[i, j] < LEAST_UNITS:
            r[i, j] = np.nan
        else:
            a, b = _ranks(codes_left[i], both), _ranks(codes_right[j], both)
            a, b = a - a.mean(), b - b.mean()
            size = np.sqrt((a @ a) * (b @ b))
            r[i, j] = (a @ b) / size if size > 0 else np.nan
    return r, n


def _dense_codes(table: FloatArray) -> list[NDArray[np.intp]]:
    """For each column the place of each value among the distinct ones; gaps come last."""
    return [np.unique(table[:, i], return_inverse=True)[1] for i in range(table.shape[1])]


def _ranks(codes: NDArray[np.intp], chosen: BoolArray) -> FloatArray:
    """Average ranks among the chosen units, ascending."""
    present = codes[chosen]
    counts = np.bincount(present)
    result: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[present]
    return result


def _kendall(left: FloatArray, right: FloatArray, *, same: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    from scipy.stats import kendalltau  # slow to import, and seldom asked for

    r, p = np.full((left.shape[1], right.shape[1]), np.nan), np.full((left.shape[1], right.shape[1]), np.nan)
    here: BoolArray = ~np.isnan(left)
    there: BoolArray = ~np.isnan(right)
    n: FloatArray = here.astype(np.float64).T @ there.astype(np.float64)
    for i, j in np.argwhere(n >= LEAST_UNITS):
        if same and j < i:
            r[i, j], p[i, j] = r[j, i], p[j, i]
            continue
        both = here[:, i] & there[:, j]
        a, b = left[both, i], right[both, j]
        if a.min() < a.max() and b.min() < b.max():
            result = kendalltau(a, b)
            r[i, j], p[i, j] = result.statistic, result.pvalue
    return r, n, p


def _p_value(r: FloatArray, n: FloatArray) -> FloatArray:
    from scipy.special import stdtr

    r = np.minimum(np.abs(r), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = r * np.sqrt((n - 2) / (1 - r * r))
    return np.asarray(2 * stdtr(n - 2, -t), dtype=np.float64)

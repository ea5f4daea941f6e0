"""Ask whether the components of a group measure one thing: principal components and Cronbach's alpha."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cci.engine.analysis.columns import cells
from cci.engine.analysis.correlation import correlations, covariances, groups_of
from cci.engine.meta import Hierarchy
from cci.engine.tables import FloatArray

FEW_UNITS = 3


@dataclass(frozen=True)
class PrincipalComponents:
    """What the correlation matrix of each group holds.

    groups : one row per group: group, level, n_components, n_units (with all of them), n_above_one
        (eigenvalues > 1), first_share (of the variance, in [0, 1]), note (why undefined, or empty).
    components : one row per group and principal component: group, component (1 …), eigenvalue, share,
        cumulative.
    loadings : one row per group, principal component and element: group, component, element, loading (the
        eigenvector, of length 1, turned so that its sum is not negative).
    """

    groups: pd.DataFrame
    components: pd.DataFrame
    loadings: pd.DataFrame


def principal_components(values: pd.DataFrame, hierarchy: Hierarchy) -> PrincipalComponents:
    """Take the principal components of the correlations in each group, over the units without gaps.

    values : shape (n_units, n_elements), indicators and aggregates; elements that are not in the table
        are passed over. One dimension per group is what an index expects: one eigenvalue above 1, and
        a first share above 40–50 %.

    A group of one component, with fewer than 3 complete units or with a component constant over them is
    undefined: it has a note and no components. Raises DataError for an infinite value. Method note,
    sections 7 and 10 (COINr `get_PCA`, whose signs are arbitrary).

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 1, 1]}))
    >>> found = principal_components(pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 3.0, 2.0]}), tree)
    >>> found.components[["eigenvalue", "share"]].round(3).to_dict("list")
    {'eigenvalue': [1.5, 0.5], 'share': [0.75, 0.25]}
    """
    groups: list[tuple[object, ...]] = []
    components: list[tuple[object, ...]] = []
    loadings: list[tuple[object, ...]] = []
    for group, codes in groups_of(values, hierarchy):
        complete = values[codes].dropna()
        level, k, n = hierarchy.levels[group], len(codes), len(complete)
        note = _undefined(complete)
        if note:
            groups.append((group, level, k, n, np.nan, np.nan, note))
            continue
        eigenvalues, vectors = np.linalg.eigh(correlations(complete).to_numpy())
        # A correlation matrix has no negative eigenvalue but by rounding.
        eigenvalues, vectors = np.maximum(eigenvalues[::-1], 0), vectors[:, ::-1]
        vectors = vectors * np.where(vectors.sum(axis=0) < 0, -1, 1)
        shares = eigenvalues / eigenvalues.sum()
        groups.append((group, level, k, n, int((eigenvalues > 1 + 1e-9).sum()), float(shares[0]), ""))
        cumulative = np.cumsum(shares)
        for place in range(k):
            components.append((group, place + 1, eigenvalues[place], shares[place], cumulative[place]))
            loadings.extend((group, place + 1, code, vectors[i, place]) for i, code in enumerate(codes))
    names = ["group", "level", "n_components", "n_units", "n_above_one", "first_share", "note"]
    return PrincipalComponents(
        groups=pd.DataFrame(groups, columns=names).astype({"n_above_one": "Int64", "first_share": np.float64}),
        components=pd.DataFrame(components, columns=["group", "component", "eigenvalue", "share", "cumulative"]),
        loadings=pd.DataFrame(loadings, columns=["group", "component", "element", "loading"]),
    )


def cronbach_alpha(values: pd.DataFrame, hierarchy: Hierarchy) -> pd.DataFrame:
    """Cronbach's alpha of each group, and what it would be without each of its components.

    alpha = k / (k - 1) (1 - sum of variances / sum of all covariances), covariances over the common units
    of each pair. It wants normalised values: on raw ones it depends on the units of measure.

    values : as for `principal_components`, on one scale, more is better.
    Returns columns group, level, dropped (empty for the whole group), n_components, alpha (at most 1, may
    be negative, 0.7 is customary), note (why undefined, or empty). Method note, section 11 (COINr
    `get_cronbach`).

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 1, 2], "iCode": ["a", "b", "c", "T"],
    ...     "Parent": ["T", "T", "T", ""], "Direction": [1] * 4, "Weight": [1] * 4}))
    >>> scored = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0], "c": [2.0, 1.0, 2.0]})
    >>> cronbach_alpha(scored, tree)[["dropped", "alpha"]].round(3).to_dict("list")
    {'dropped': ['', 'a', 'b', 'c'], 'alpha': [0.692, 0.0, 0.0, 1.0]}
    """
    rows: list[tuple[object, ...]] = []
    for group, codes in groups_of(values, hierarchy):
        table = cells(values[codes])
        largest = np.fmax.reduce(np.abs(table), axis=None, initial=0)
        # Alpha has no scale, and squares of large values would overflow.
        covariance, _ = covariances(table / largest if largest > 0 else table)
        for dropped in range(-1, len(codes) if len(codes) > 1 else 0):
            kept = [i for i in range(len(codes)) if i != dropped]
            alpha, note = _alpha(covariance[np.ix_(kept, kept)], [codes[i] for i in kept])
            name = "" if dropped < 0 else codes[dropped]
            rows.append((group, hierarchy.levels[group], name, len(kept), alpha, note))
    names = ["group", "level", "dropped", "n_components", "alpha", "note"]
    return pd.DataFrame(rows, columns=names).astype({"alpha": np.float64})


def _alpha(covariance: FloatArray, codes: list[str]) -> tuple[float, str]:
    k = len(codes)
    if k < 2:
        return math.nan, "a single component has no alpha"
    gap = np.argwhere(np.isnan(covariance))
    if gap.size:
        i, j = gap[0]
        alone = codes[i] if i == j else f"{codes[i]} and {codes[j]} together"
        return math.nan, f"{alone} have fewer than 2 units" if i != j else f"{alone} has fewer than 2 units"
    total = float(covariance.sum())
    if abs(total) <= 1e-12 * float(np.abs(covariance).sum()):
        return math.nan, "the sum of the components does not vary"
    return k / (k - 1) * (1 - float(np.trace(covariance)) / total), ""


def _undefined(complete: pd.DataFrame) -> str:
    if complete.shape[1] < 2:
        return "a single component has no correlations"
    if len(complete) < FEW_UNITS:
        return f"only {len(complete)} units have all components; {FEW_UNITS} are needed"
    constant = [str(code) for code in complete.columns if complete[code].min() == complete[code].max()]
    return f"constant over the complete units: {', '.join(constant)}" if constant else ""

"""Weights from principal components: elements that move together with the rest of their group weigh more."""

import numpy as np
import pandas as pd

from cci.engine.errors import DataError, MetaError
from cci.engine.meta import Hierarchy
from cci.engine.tables import FloatArray
from cci.engine.weighting.given import Weighting, group_values, groups_of, levels_of, weighting

VARIANTS = ("first", "handbook")


def pca_weights(values: pd.DataFrame, hierarchy: Hierarchy, level: int, *, variant: str = "first") -> Weighting:
    """Weights of one level's elements from the principal components of each group's correlation matrix.

    values : shape (n_units, n_elements), the level's columns among others; units that lack an element of a
        group do not count in it. Normalised, so that more is better.
    variant : `first`: the loadings on the first component, turned so that their sum is positive (COINr
        `get_PCA`, which leaves the sign to chance). `handbook`: the components with an eigenvalue above 1
        (one at least) are rotated (varimax); an element weighs its squared loading on the factor that
        holds it, as a share of that factor's variance, times the factor's share of all of theirs.

    Returns weights summing to 1 per group; details: loading (first variant) or factor and loading, units
    used, the group's first eigenvalue, the share of variance explained and the number of eigenvalues
    above 1. Raises MetaError where a loading is negative: such a group has no common direction, and its
    weights need another method; DataError for an element without spread, fewer than three complete units, or
    no single first component. Method note, section 7; Handbook on Constructing Composite Indicators, 6.1.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> pca_weights(pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 3.0, 2.0]}), tree, 1).weights.to_dict()
    {'a': 0.5, 'b': 0.5}
    """
    if variant not in VARIANTS:
        raise ValueError(f"{variant!r} is no variant; choose {', '.join(VARIANTS)}.")
    levels_of(hierarchy, level)
    groups, details = [], {}
    for group, codes in groups_of(hierarchy, level):
        eigenvalues, loadings, used = principal_components(values, codes, group)
        kept = max(1, int((eigenvalues > 1 + 1e-9).sum()))
        if variant == "first" or len(codes) == 1:
            raw, extra = _first(loadings[:, 0], codes, group, eigenvalues)
        else:
            raw, extra = _handbook(loadings[:, :kept] * np.sqrt(eigenvalues[:kept]), codes)
        groups.append((group, raw))
        for code in codes:
            details[code] = {
                **extra[code],
                "units_used": used,
                "first_eigenvalue": float(eigenvalues[0]),
                "explained_share": float(eigenvalues[0] / len(codes)),
                "eigenvalues_above_1": int((eigenvalues > 1 + 1e-9).sum()),
            }
    return weighting(groups, details)


def principal_components(values: pd.DataFrame, codes: list[str], group: str) -> tuple[FloatArray, FloatArray, int]:
    """Eigenvalues (descending), eigenvectors (columns) of a group's correlations, and the complete units used."""
    cells = group_values(values, codes)
    cells = cells[~np.isnan(cells).any(axis=1)]
    if len(codes) == 1:
        return np.ones(1), np.ones((1, 1)), len(cells)
    if len(cells) < 3:
        raise DataError(
            f"{len(cells)} units have all of {group}'s components; principal components need 3 or more, "
            "so impute first or weigh the group otherwise.",
            column=group,
        )
    correlations = correlation_matrix(cells, codes)
    eigenvalues, vectors = np.linalg.eigh(correlations)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    # The sign is arbitrary; the sum of loadings decides, or the first that is not 0.
    sums = vectors.sum(axis=0)
    leading = vectors[np.argmax(np.abs(vectors) > 1e-9, axis=0), np.arange(len(codes))]
    return eigenvalues, vectors * np.where(np.where(np.abs(sums) > 1e-9, sums, leading) < 0, -1.0, 1.0), len(cells)


def correlation_matrix(cells: FloatArray, codes: list[str]) -> FloatArray:
    """Pearson correlations of complete columns. Raises DataError for a column without spread.

    Sums of products are taken pair by pair, so that they do not depend on a library's threads.
    """
    centred = cells - cells.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    flat = (cells.max(axis=0) == cells.min(axis=0)) | (norms == 0)
    if flat.any():
        code = codes[int(np.flatnonzero(flat)[0])]
        raise DataError(f"{code} has one distinct value among the units used; leave it out.", column=code)
    scaled = (centred / norms).T
    found = np.eye(len(codes))
    for i in range(len(codes)):
        for j in range(i):
            found[i, j] = found[j, i] = float(np.clip((scaled[i] * scaled[j]).sum(), -1, 1))
    return found


def _first(
    loadings: FloatArray, codes: list[str], group: str, eigenvalues: FloatArray
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    if len(codes) > 1 and eigenvalues[0] - eigenvalues[1] < 1e-9 * eigenvalues[0]:
        raise DataError(
            f"the first two components of {group} explain the same; there is no first one to weigh by, so "
            "weigh the group otherwise.",
            column=group,
        )
    negative = [f"{code} ({value:.2g})" for code, value in zip(codes, loadings, strict=True) if value < -1e-9]
    if negative:
        raise MetaError(
            f"the first component of {group} has negative loadings: {', '.join(negative)}; its components do not "
            "move together, so weigh them otherwise or take the variant handbook.",
            column="Weight",
        )
    raw = {code: max(float(value), 0.0) for code, value in zip(codes, loadings, strict=True)}
    return raw, {code: {"loading": float(value)} for code, value in zip(codes, loadings, strict=True)}


def _handbook(loadings: FloatArray, codes: list[str]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    rotated = varimax(loadings)
    squares = rotated**2
    explained = squares.sum(axis=0)
    holder = np.argmax(np.round(squares, 9), axis=1)
    raw, extra = {}, {}
    for position, code in enumerate(codes):
        factor = int(holder[position])
        share = explained[factor] / explained.sum()
        raw[code] = float(squares[position, factor] / explained[factor] * share)
        extra[code] = {"factor": factor + 1, "loading": float(rotated[position, factor])}
    return raw, extra


def varimax(loadings: FloatArray, *, rounds: int = 1000) -> FloatArray:
    """Rotate loadings so that the squares on each factor differ as much as can be (Kaiser, 1958).

    loadings : shape (n_elements, n_factors). Pairs of factors are turned by the angle that is best for the
    pair, until none turns any more. Returns the rotated loadings, factors by variance explained, each with a
    positive sum. The rows are first brought to length 1 and back after (Kaiser's normalisation).

    >>> np.abs(varimax(np.array([[0.5, 0.5], [0.5, -0.5]]) * 2**0.5)).round(9).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    lengths = np.sqrt((loadings**2).sum(axis=1, keepdims=True))
    turned = loadings / np.where(lengths > 0, lengths, 1)
    m, k = turned.shape
    for _ in range(rounds):
        largest = 0.0
        for i in range(k):
            for j in range(i + 1, k):
                x, y = turned[:, i], turned[:, j]
                u, v = x * x - y * y, 2 * x * y
                numerator = 2 * (u * v).sum() - 2 * u.sum() * v.sum() / m
                denominator = (u * u - v * v).sum() - (u.sum() ** 2 - v.sum() ** 2) / m
                angle = np.arctan2(numerator, denominator) / 4
                if abs(angle) < 1e-12:
                    continue
                largest = max(largest, abs(float(angle)))
                cosine, sine = np.cos(angle), np.sin(angle)
                turned[:, i], turned[:, j] = x * cosine + y * sine, y * cosine - x * sine
        if largest < 1e-12:
            break
    turned = turned * lengths
    turned = turned * np.where(turned.sum(axis=0) < 0, -1.0, 1.0)
    ordered: FloatArray = turned[:, np.argsort(-np.round((turned**2).sum(axis=0), 9), kind="stable")]
    return ordered

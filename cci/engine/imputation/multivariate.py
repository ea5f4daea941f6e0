"""Fill gaps from the other indicators together: a multivariate normal model, fitted by EM."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cci.engine.errors import DataError
from cci.engine.imputation.column import NO_VALUE
from cci.engine.imputation.grid import BoolArray, Fill, IntArray, ranges
from cci.engine.tables import FloatArray

NO_DATA = "the unit has no value of any indicator"
LEAST_VALUES = 3


@dataclass(frozen=True)
class Normal:
    """A multivariate normal model of the indicators that vary, on a standardised scale.

    columns : the positions of the indicators in the model. centre, scale : mean and standard deviation
        of their observed values. mean, covariance : of the standardised values. The rest tells how the
        iteration ended; `change` is the largest last move of a filled value or a covariance.
    """

    columns: IntArray
    centre: FloatArray
    scale: FloatArray
    mean: FloatArray
    covariance: FloatArray
    ridge: float
    iterations: int = 0
    change: float = np.inf
    converged: bool = False

    def standardised(self, cells: FloatArray) -> FloatArray:
        result: FloatArray = (cells[:, self.columns] - self.centre) / self.scale
        return result


def start(cells: FloatArray, codes: list[str], *, ridge: float | None = None) -> Normal:
    """The model before the first step: observed means, no correlation.

    cells : shape (n, k). codes : the names of the columns, for the refusal of an indicator with gaps
    and one or two values, which say nothing of a correlation. No `ridge` with too few units is refused too.
    """
    count = np.count_nonzero(~np.isnan(cells), axis=0)
    few = [code for code, number in zip(codes, count, strict=True) if 0 < number < min(LEAST_VALUES, len(cells))]
    if few:
        raise DataError(
            f"the indicator has fewer than {LEAST_VALUES} values, too few to learn its relations from; leave it "
            "out, or fill it by the median.",
            column=few[0],
        )
    low, high = ranges(cells)
    columns = np.flatnonzero(low < high)
    part = cells[:, columns]
    gaps = np.isnan(part)
    centre = np.where(gaps, 0.0, part).sum(axis=0) / count[columns]
    deviation = np.where(gaps, 0.0, part - centre)
    largest = np.abs(deviation).max(axis=0, initial=0)
    # Scaled first, so that squares neither overflow nor vanish.
    scale = largest * np.sqrt(((deviation / largest) ** 2).sum(axis=0) / (count[columns] - 1))
    ridge = float(len(columns)) if ridge is None else ridge
    k, n = len(columns), int((~gaps).any(axis=1).sum()) if len(columns) else 0
    if ridge == 0 and k > 0 and n <= k:
        raise DataError(
            f"{n} units are too few for {k} indicators without a ridge; set the ridge above 0, or leave it unset."
        )
    return Normal(columns, centre, scale, np.zeros(k), np.eye(k), ridge)


def fit(
    cells: FloatArray,
    model: Normal,
    *,
    max_iterations: int = 500,
    tolerance: float = 1e-6,
    counts: IntArray | None = None,
) -> Normal:
    """Improve the model by EM until no filled value and no covariance moves by more than `tolerance`, on
    the standardised scale.

    cells : shape (n, k). counts : shape (n,), how often each row counts; None: once.
    The covariance is drawn towards no correlation as by `ridge` further units (a ridge prior), so that
    few units and many indicators, or indicators that repeat each other, still give a model.
    Sums run in a fixed order, without BLAS: the same table gives the same digits on every machine.

    Dempster, Laird and Rubin (1977); Little and Rubin, Statistical Analysis with Missing Data, ch. 11.
    """
    z = model.standardised(cells)
    known = ~np.isnan(z).all(axis=1)
    z = z[known]
    weight = np.ones(len(z)) if counts is None else counts[known].astype(np.float64)
    total = weight.sum()
    k = len(model.columns)
    if k == 0 or total == 0:
        return replace(model, change=0.0, converged=True)
    gaps = np.isnan(z)
    blocks = list(blocks_of(gaps))
    z[gaps] = model.mean[np.nonzero(gaps)[1]]
    for iteration in range(1, max_iterations + 1):
        change, precision = 0.0, inverse(model.covariance)
        spread = np.zeros(k * k)
        for rows, columns in blocks:
            expected, spare = conditional(z[rows], columns, model.mean, precision)
            place = (rows[:, None], columns)
            change = max(change, float(np.abs(expected - z[place]).max()))
            z[place] = expected
            flat = columns[:, :, None] * k + columns[:, None, :]
            spread += np.bincount(flat.ravel(), (spare * weight[rows, None, None]).ravel(), minlength=k * k)
        mean = (z * weight[:, None]).sum(axis=0) / total
        deviation = np.ascontiguousarray((z - mean).T)
        product = np.einsum("ij,kj->ik", deviation * weight, deviation) + spread.reshape(k, k)
        covariance = (product + model.ridge * np.eye(k)) / (total + model.ridge)
        covariance = (covariance + covariance.T) / 2
        change = max(change, float(np.abs(covariance - model.covariance).max()))
        model = replace(
            model,
            mean=mean,
            covariance=covariance,
            iterations=iteration,
            change=change,
            converged=change <= tolerance,
        )
        if model.converged:
            break
    return model


def blocks_of(gaps: BoolArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows with equally many gaps, together with the columns of their gaps, shapes (r,) and (r, m).

    Small matrices of one size can be worked on all at once; blocks are cut so that these stay small.
    """
    number = gaps.sum(axis=1)
    for m in np.unique(number[number > 0]):
        rows = np.flatnonzero(number == m)
        columns = np.nonzero(gaps[rows])[1].reshape(-1, m)
        step = max(1, 2**20 // int(m * max(m, gaps.shape[1])))
        for begin in range(0, len(rows), step):
            yield rows[begin : begin + step], columns[begin : begin + step]


def conditional(
    z: FloatArray, columns: IntArray, mean: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Expectation and covariance of the gaps of some rows, given their observed values.

    z : shape (r, k), whatever in the gaps. columns : shape (r, m), where the gaps are.
    Returns shapes (r, m) and (r, m, m). With P the precision matrix, gaps g and observed o:
    mean_g - P_gg^-1 P_go (z_o - mean_o), and P_gg^-1: only small matrices are inverted.
    """
    deviation = z - mean
    np.put_along_axis(deviation, columns, 0.0, axis=1)
    spare = inverse(precision[columns[:, :, None], columns[:, None, :]])
    pull = np.einsum("rmk,rk->rm", precision[columns], deviation)
    return mean[columns] - np.einsum("rij,rj->ri", spare, pull), spare


def inverse(matrices: FloatArray) -> FloatArray:
    """Invert positive definite matrices, shape (…, m, m), by Gauss-Jordan elimination.

    Plain arithmetic in a fixed order, so that the digits do not depend on a linear algebra library.

    >>> inverse(np.array([[2.0, 1.0], [1.0, 1.0]])).tolist()
    [[1.0, -1.0], [-1.0, 2.0]]
    """
    result = matrices.copy()
    for place in range(result.shape[-1]):
        pivot = result[..., place, place].copy()
        if not (pivot > 1e-13).all():
            raise DataError(
                "the indicators repeat each other, so their covariance has no inverse; set a ridge above 0."
            )
        row = result[..., place, :] / pivot[..., None]
        column = result[..., :, place].copy()
        result -= column[..., :, None] * row[..., None, :]
        result[..., place, :] = row
        result[..., :, place] = -column / pivot[..., None]
        result[..., place, place] = 1 / pivot
    return result


def fill_em(
    cells: FloatArray,
    codes: list[str],
    *,
    ridge: float | None = None,
    max_iterations: int = 500,
    tolerance: float = 1e-6,
    keep_range: bool = True,
) -> Fill:
    """Fill each gap with its expectation given what the unit has, under a multivariate normal model.

    cells : shape (n, k), rows and columns in a fixed order; NaN means missing. codes : the columns' names.
    ridge : how many units' weight pulls the covariance to no correlation; None: as many as indicators.
    keep_range : hold what is filled within the indicator's observed range.

    An indicator with one distinct value is filled with it and marked; a unit without any value stays.
    The report tells the ridge, iterations, the last change (in standard deviations), whether the
    iteration converged, and how many cells were held in range. Method note, section 3.

    >>> cells = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, np.nan]])
    >>> fill = fill_em(cells, ["a", "b"], ridge=0.1, keep_range=False)
    >>> fill.values[3, 1].round(2).item(), fill.report["converged"]
    (38.46, True)
    """
    gaps = np.isnan(cells)
    empty = np.logical_and.reduce(gaps, axis=1, keepdims=True)
    model = fit(cells, start(cells, codes, ridge=ridge), max_iterations=max_iterations, tolerance=tolerance)
    low, high = ranges(cells)
    crude = gaps & ~empty & (low == high)
    filled = np.where(crude, low, cells)
    expected = expectations(cells, model)
    held = np.clip(expected, low, high) if keep_range else expected
    outside = int(np.count_nonzero(held != expected) - np.isnan(expected).sum())
    filled = np.where(np.isnan(filled), held, filled)
    report = {
        "ridge": model.ridge,
        "iterations": model.iterations,
        "change": model.change,
        "converged": model.converged,
        "held_in_range": outside,
    }
    return Fill(filled, crude, [(empty, NO_DATA), (np.isnan(low), NO_VALUE)], report=report)


def expectations(cells: FloatArray, model: Normal) -> FloatArray:
    """The expectation of each gap under the model, in the indicator's unit; NaN elsewhere."""
    result = np.full_like(cells, np.nan)
    z = model.standardised(cells)
    gaps = np.isnan(z) & ~np.isnan(z).all(axis=1, keepdims=True)
    precision = inverse(model.covariance)
    for rows, columns in blocks_of(gaps):
        expected, _ = conditional(z[rows], columns, model.mean, precision)
        result[rows[:, None], model.columns[columns]] = model.centre[columns] + model.scale[columns] * expected
    return result


def cholesky(matrices: FloatArray) -> FloatArray:
    """The lower triangular L with L L' = A of positive definite matrices, shape (…, m, m).

    Plain arithmetic in a fixed order, as `inverse`.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 5.0]])).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    rest, result = matrices.copy(), np.zeros_like(matrices)
    for place in range(rest.shape[-1]):
        # Rounding may leave a variance of nothing slightly below 0.
        root = np.sqrt(np.maximum(rest[..., place, place], 1e-300))
        column = rest[..., place:, place] / root[..., None]
        result[..., place:, place] = column
        rest[..., place:, place:] -= column[..., :, None] * column[..., None, :]
    return result

"""Draw the gaps many times, so that an uncertainty analysis can carry on what is not known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cci.engine.errors import ConfigError
from cci.engine.imputation.column import central
from cci.engine.imputation.dispatch import group_numbers
from cci.engine.imputation.grid import IntArray, grid_of, ranges
from cci.engine.imputation.multivariate import Normal, blocks_of, cholesky, conditional, fit, inverse, start
from cci.engine.imputation.neighbours import donors
from cci.engine.tables import FloatArray

DRAW_METHODS = ("em", "group_normal", "knn")
# A way to draw the gaps: the numbers of the draws in, shape (len(numbers), n_gaps) out.
Sampler = Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class Draws:
    """Values drawn for the gaps of a table.

    rows, columns : shape (n_gaps,), where the gaps are, as positions in the table given.
    values : shape (draws, n_gaps), each column in the unit of its indicator.
    """

    rows: IntArray
    columns: IntArray
    values: FloatArray

    def table(self, cells: FloatArray, draw: int) -> FloatArray:
        """A copy of the table's cells with the gaps filled from one draw."""
        filled = cells.copy()
        filled[self.rows, self.columns] = self.values[draw]
        return filled


@dataclass(frozen=True)
class ImputationModel:
    """What is known of the gaps of a table, ready to be drawn from as often as wanted."""

    rows: IntArray
    columns: IntArray
    low: FloatArray
    high: FloatArray
    sampler: Sampler

    def draw(self, draws: int, *, first: int = 0) -> Draws:
        """Draw number `first`, `first` + 1, …: each has its own random numbers, so it is the same
        whether drawn alone, in blocks or by several workers."""
        values = self.sampler(np.arange(first, first + draws))
        np.clip(values, self.low, self.high, out=values)
        return Draws(self.rows, self.columns, values)


def imputation_draws(values: pd.DataFrame, *, draws: int, first: int = 0, **options: object) -> Draws:
    """Draw the gaps of a table `draws` times: `imputation_model` and `draw` in one, for the same options.

    The result takes 8 bytes per draw and gap; to hold less at once, keep the model and draw in blocks.

    >>> values = pd.DataFrame({"a": [1.0, 2.0, 3.0, None]}, index=list("WXYZ"))
    >>> drawn = imputation_draws(values, method="group_normal", draws=3, seed=1)
    >>> drawn.rows.tolist(), drawn.values.shape, bool((drawn.values >= 1).all())
    ([3], (3, 1), True)
    """
    return imputation_model(values, **options).draw(draws, first=first)  # type: ignore[arg-type]


def imputation_model(
    values: pd.DataFrame,
    *,
    method: str = "em",
    seed: int,
    groups: "pd.Series | None" = None,
    neighbours: int = 5,
    ridge: float | None = None,
    max_iterations: int = 500,
    tolerance: float = 1e-6,
    keep_range: bool = True,
    parameter_sets: int = 20,
) -> ImputationModel:
    """Learn how the gaps of a table may be filled, for multiple imputation (method note, section 3).

    values : shape (n_units, n_indicators), NaN means missing. All rows are one sample: give the rows of
        one time for a model of that time.
    method : `em` draws from the conditional multivariate normal distribution of a unit's gaps given what
        it has, jointly, by the Cholesky factor of each unit's conditional covariance. `group_normal`
        draws each gap by itself from a normal distribution with the mean and standard deviation of the
        unit's group (of the whole column without `groups`, where the unit has none or the group has
        fewer than 3 values). `knn` takes the value of one of the nearest `neighbours`, at random; few of them
        give too narrow a spread, ten or more are better here.
    keep_range : hold draws within the indicator's observed range. A share below 0 is no plausible value,
        and one wild draw would move the bounds that normalise every unit.
    parameter_sets : for `em`, how many draws of mean and covariance the draws of gaps take turns in.
        They come from the posterior given the completed table (an inverse Wishart distribution), so they
        are a little too sure of themselves where much is missing. 0: the fitted parameters, taken as
        known. `group_normal` draws its parameters anew in each draw.
    seed : the same seed gives the same draws, whatever their number or blocks and the order of the rows.

    Gaps that `impute` would leave (a unit without data, an indicator without values) are not among the
    rows and columns. Options of the other methods are not used. Other refusals as `impute`.
    """
    if method not in DRAW_METHODS:
        raise ConfigError(f"{method!r} is not known; choose {', '.join(DRAW_METHODS)}.", key="method")
    grid = grid_of(values)
    cells, gaps = grid.cells, np.isnan(grid.cells)
    low, high = ranges(cells)
    fillable = gaps & ~np.isnan(low)
    near: IntArray | None = None
    if method == "em":
        fillable &= ~gaps.all(axis=1, keepdims=True)
    elif method == "knn":
        near = donors(cells, neighbours)
        fillable[np.nonzero(gaps)] &= near[:, 0] >= 0
        near = near[fillable[gaps]]
    rows, columns = np.nonzero(fillable)
    if near is not None:
        sampler = _neighbour_sampler(cells, columns, near, seed)
    elif method == "group_normal":
        numbers = np.zeros(len(cells), dtype=np.int64) if groups is None else group_numbers(groups, grid.units)
        sampler = _group_sampler(cells, rows, columns, numbers, seed)
    else:
        model = fit(cells, start(cells, grid.codes, ridge=ridge), max_iterations=max_iterations, tolerance=tolerance)
        sampler = _em_sampler(cells, fillable, model, parameter_sets, seed)
    open_end = np.full(len(rows), np.inf)
    least, most = (low[columns], high[columns]) if keep_range else (-open_end, open_end)
    return ImputationModel(grid.rows[rows], grid.columns[columns], least, most, sampler)


def _stream(seed: int, *number: int) -> np.random.Generator:
    """The random numbers of one draw: they depend on the seed and the draw's number alone."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=number)))


def _neighbour_sampler(cells: FloatArray, columns: IntArray, near: IntArray, seed: int) -> Sampler:
    count = (near >= 0).sum(axis=1)
    choices = cells[near, columns[:, None]]
    gap = np.arange(len(columns))

    def sample(numbers: IntArray) -> FloatArray:
        values = np.empty((len(numbers), len(columns)))
        for place, number in enumerate(numbers):
            chance = _stream(seed, 1, int(number)).random(len(columns))
            values[place] = choices[gap, (chance * count).astype(np.int64)]
        return values

    return sample


def _group_sampler(cells: FloatArray, rows: IntArray, columns: IntArray, groups: IntArray, seed: int) -> Sampler:
    """Normal draws with a mean and a standard deviation themselves drawn, per group and column.

    With n values, mean m and standard deviation s: sigma^2 = s^2 (n - 1) / chi^2(n - 1) and mu is
    normal around m with sigma / sqrt(n) (Rubin 1987). A single value, or equal ones, are drawn as is.
    """
    k = cells.shape[1]
    table = np.stack(
        [_moments(cells)] + [_moments(cells[groups == group]) for group in range(groups.max(initial=-1) + 1)]
    )
    group = groups[rows] + 1
    # A group with fewer than 3 values says too little of its spread: the whole column then.
    group = np.where(table[group, 0, columns] >= 3, group, 0)
    strata, stratum = np.unique(group * k + columns, return_inverse=True)
    count, centre, sd = table[strata // k, :, strata % k].T
    freedom = np.maximum(count - 1, 1)

    def sample(numbers: IntArray) -> FloatArray:
        values = np.empty((len(numbers), len(rows)))
        for place, number in enumerate(numbers):
            random = _stream(seed, 1, int(number))
            # A gamma variable of so few degrees may round to 0; sd / 0 would be infinite.
            chi = np.maximum(2 * random.standard_gamma(freedom / 2), 1e-12)
            sigma = sd * np.sqrt(freedom / chi)
            mean = centre + sigma / np.sqrt(np.maximum(count, 1)) * random.standard_normal(len(strata))
            values[place] = mean[stratum] + sigma[stratum] * random.standard_normal(len(rows))
        return values

    return sample


def _moments(cells: FloatArray) -> FloatArray:
    """Count, mean and standard deviation (0 for fewer than 2 values) of each column, shape (3, k)."""
    gaps = np.isnan(cells)
    count = (~gaps).sum(axis=0)
    mean = np.nan_to_num(central(cells, "mean"))
    deviation = np.where(gaps, 0.0, cells - mean)
    largest = np.abs(deviation).max(axis=0, initial=0)
    share = np.divide(deviation, largest, out=np.zeros_like(deviation), where=largest > 0)
    sd = largest * np.sqrt((share * share).sum(axis=0) / np.maximum(count - 1, 1))
    return np.stack([count.astype(np.float64), mean, sd])


def _em_sampler(cells: FloatArray, fillable: "np.ndarray", model: Normal, parameter_sets: int, seed: int) -> Sampler:
    rows, columns = np.nonzero(fillable)
    # The place of each gap among those to draw; gaps of indicators that do not vary keep their one value.
    place = np.full(cells.shape, -1, dtype=np.int64)
    place[rows, columns] = np.arange(len(rows))
    z = model.standardised(cells)
    gaps = fillable[:, model.columns]
    parameters = _parameters(model, int((~np.isnan(z).all(axis=1)).sum()), parameter_sets, seed)
    blocks = list(blocks_of(gaps))
    # Factors are kept where they are small, as the draws come back to them.
    keep = sum(members.size * members.shape[1] for _, members in blocks) * len(parameters) < 2**23
    kept: dict[int, list[tuple[IntArray, FloatArray, FloatArray]]] = {}

    def factors(which: int) -> list[tuple[IntArray, FloatArray, FloatArray]]:
        """For each block: places, means (m, r) and Cholesky factors (m, m, r) of the gaps, in their units."""
        if which in kept:
            return kept[which]
        made = []
        for members, holes in blocks:
            mean, spare = conditional(z[members], holes, *parameters[which])
            scale, where = model.scale[holes], place[members[:, None], model.columns[holes]]
            factor = np.ascontiguousarray(np.moveaxis(cholesky(spare) * scale[:, :, None], 0, 2))
            made.append((where.T.copy(), (model.centre[holes] + scale * mean).T.copy(), factor))
        if keep:
            kept[which] = made
        return made

    fixed = np.nan_to_num(ranges(cells)[0])[columns]

    def sample(numbers: IntArray) -> FloatArray:
        values = np.empty((len(numbers), len(rows)))
        for which in range(len(parameters)):
            chosen = np.flatnonzero(numbers % len(parameters) == which)
            if not chosen.size:
                continue
            chance = np.stack([_stream(seed, 1, int(number)).standard_normal(len(rows)) for number in numbers[chosen]])
            drawn = np.tile(fixed, (len(chosen), 1))
            for where, mean, factor in factors(which):
                own = [chance[:, gap] for gap in where]
                # One gap of each unit at a time: the same sums whatever the number of draws.
                for i, gap in enumerate(where):
                    total = mean[i] + factor[i, 0] * own[0]
                    for j in range(1, i + 1):
                        total += factor[i, j] * own[j]
                    drawn[:, gap] = total
            values[chosen] = drawn
        return values

    return sample


def _parameters(model: Normal, n: int, sets: int, seed: int) -> list[tuple[FloatArray, FloatArray]]:
    """Mean and precision matrix, drawn `sets` times from their posterior given the completed table.

    The precision is Wishart with n + ridge degrees of freedom around the fitted one (by Bartlett's
    decomposition), the mean normal around the fitted one with the covariance over n.
    """
    precision = inverse(model.covariance)
    k = len(precision)
    if not sets or not n:
        return [(model.mean, precision)]
    freedom = max(n + model.ridge, k + 1.0)
    root = cholesky(precision / freedom)
    result = []
    for number in range(sets):
        random = _stream(seed, 0, number)
        bartlett = np.tril(random.standard_normal((k, k)), -1)
        bartlett[np.diag_indices(k)] = np.sqrt(2 * random.standard_gamma((freedom - np.arange(k)) / 2))
        half = np.einsum("ij,jk->ik", root, bartlett)
        drawn = np.einsum("ij,kj->ik", half, half)
        spread = cholesky(inverse(drawn) / n)
        result.append((model.mean + np.einsum("ij,j->i", spread, random.standard_normal(k)), drawn))
    return result

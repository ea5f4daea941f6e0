"""Variance-based sensitivity: how much of what happens to the ranks is due to which choice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.errors import ConfigError, EngineError
from cci.engine.stages import Run
from cci.engine.tables import FloatArray
from cci.engine.uncertainty.analysis import study_of, varied
from cci.engine.uncertainty.choices import Choices, SensitivityChoices
from cci.engine.uncertainty.draws import SOURCES, Design, pools
from cci.engine.uncertainty.ranks import RankArray

NO_EFFECT = "no effect: the target does not vary"


@dataclass(frozen=True)
class Sensitivity:
    """What a sensitivity analysis gives.

    indices : one row per factor: `first`, `total`, their 5 % and 95 % bootstrap bounds, `note`; the target is
        the mean absolute change of rank. per_unit : the same for each unit's own rank, without bounds; empty
        unless asked for. second : pairs of factors; empty unless asked for.
    target : of every evaluation, in the order of `evaluations`, which says what each used.
    """

    indices: pd.DataFrame
    per_unit: pd.DataFrame
    second: pd.DataFrame
    evaluations: pd.DataFrame
    report: dict[str, Any]


def sobol_points(base: int, factors: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Two matrices of scrambled Sobol' points, each (base, factors), in [0, 1). base : a power of two."""
    from scipy.stats import qmc  # 60 MB to import, and not needed for an uncertainty analysis

    points = qmc.Sobol(2 * factors, scramble=True, rng=np.random.default_rng(np.random.SeedSequence(seed))).random(base)
    return points[:, :factors], points[:, factors:]


def sobol_design(a: FloatArray, b: FloatArray, *, second_order: bool = False) -> FloatArray:
    """The rows to evaluate, in this order: A, B, AB_1 … AB_d (A with column k of B), and for the second order
    BA_1 … BA_d. a, b : shape (n, d). Returns shape (n (d + 2), d), or (n (2 d + 2), d)."""
    parts = [a, b]
    for one, other in ((a, b), (b, a)) if second_order else ((a, b),):
        for k in range(a.shape[1]):
            mixed = one.copy()
            mixed[:, k] = other[:, k]
            parts.append(mixed)
    return np.concatenate(parts)


def sobol_indices(
    ya: FloatArray, yb: FloatArray, yab: FloatArray, *, centred: bool = True
) -> tuple[FloatArray, FloatArray]:
    """First-order and total sensitivity indices of each factor.

    ya, yb : shape (n, …), the target at the rows of A and of B; yab : shape (d, n, …), at A with column k of B.
        Further axes are further targets. With V the variance of all of Y_A and Y_B (divisor 2n - 1),

        first_k = mean(Y_B (Y_ABk - Y_A)) / V             Saltelli and others, 2010
        total_k = mean((Y_A - Y_ABk)^2) / (2 V)           Jansen, 1999

    centred : take the mean of all evaluations from Y_B first, which steadies the estimate and biases nothing;
        False is COINr's. Both are 0 where V is 0 (nothing varies). `first` may come out below 0: that is noise.
    Returns two arrays of shape (d, …). Method note, section 15.

    >>> first, total = sobol_indices(np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> first.tolist(), total.tolist()
    ([1.5, 0.0], [1.5, 0.0])
    """
    d, n = yab.shape[:2]
    both = np.concatenate([ya, yb])
    variance = both.var(axis=0, ddof=1)
    # A target that does not vary may still leave rounding in its variance.
    variance = np.where(np.ptp(both, axis=0) > 0, variance, 0.0)
    centre = (both.sum(axis=0) + yab.sum(axis=(0, 1))) / (n * (d + 2)) if centred else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        first = ((yb - centre) * (yab - ya)).mean(axis=1) / variance
        total = ((ya - yab) ** 2).mean(axis=1) / (2 * variance)
    return np.where(variance > 0, first, 0.0), np.where(variance > 0, total, 0.0)


def second_order_indices(ya: FloatArray, yb: FloatArray, yab: FloatArray, yba: FloatArray) -> FloatArray:
    """Indices of pairs of factors beyond each alone, shape (d, d), NaN on and below the diagonal.

    Arguments as `sobol_indices`; yba : at B with column k of A. V_kl = mean(Y_BAk Y_ABl - Y_A Y_B), closed, less
    both first orders. Method note, section 15 (Saltelli, 2002).
    """
    d, n = yab.shape
    every = np.concatenate([ya, yb, yab.ravel(), yba.ravel()])
    ya, yb, yab, yba = (y - every.mean() for y in (ya, yb, yab, yba))
    variance = np.concatenate([ya, yb]).var(ddof=1)
    first = (yb * (yab - ya)).mean(axis=1) / variance if variance > 0 else np.zeros(d)
    found = np.full((d, d), np.nan)
    for k in range(d):
        for other in range(k + 1, d):
            closed = (yba[k] * yab[other] - ya * yb).mean() / variance if variance > 0 else 0.0
            found[k, other] = closed - first[k] - first[other] if variance > 0 else 0.0
    return found


def bootstrapped(
    ya: FloatArray, yb: FloatArray, yab: FloatArray, *, times: int, seed: int, centred: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Bounds of the indices, the 5 % and 95 % quantiles over resampled rows: two arrays (d, 2), first and total.

    The rows of A, B and AB are resampled together and the variance is computed anew each time; keeping it
    fixed, as COINr does, gives bounds that are too narrow. ya, yb : (n,); yab : (d, n).
    """
    n = len(ya)
    rows = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,))).integers(n, size=(times, n))
    # The resamples stand on a last axis, as further targets do.
    first, total = sobol_indices(ya[rows.T], yb[rows.T], yab[:, rows.T], centred=centred)
    return np.quantile(first, [0.05, 0.95], axis=-1).T, np.quantile(total, [0.05, 0.95], axis=-1).T


def sensitivity(
    run: Run,
    choices: Choices,
    sampling: SensitivityChoices,
    *,
    weight_sets: pd.DataFrame | None = None,
    errors: pd.DataFrame | None = None,
    samples: FloatArray | None = None,
    workers: int = 1,
) -> Sensitivity:
    """Split the variance of the mean absolute change of rank among the choices that are varied.

    Arguments as `uncertainty`; sampling : see `read_sensitivity`. Each varied choice is one factor: a number in
    [0, 1) picks the option, or one of `draws` sets of weights, of left-out indicators, of noise. Settings that
    come up twice are computed once. Needs at least two factors, and settings that can all be computed together:
    a design with holes has no indices. Method note, section 15.

    Raises ConfigError for one factor, and where a combination cannot be computed, naming both.
    """
    study = study_of(run, choices, errors=errors, samples=samples)
    factors = varied(choices, noise=errors is not None or samples is not None)
    if len(factors) < 2:
        raise ConfigError(
            f"one choice alone ({', '.join(factors)}) has all the effect there is; vary at least two.",
            key="sensitivity",
        )
    drawn = pools(choices, run.hierarchy, study.below, sampling.draws, weight_sets=weight_sets)
    levels = {name: len(options) for name, options in choices.steps.items()}
    levels |= {
        "noise": sampling.draws if samples is None else len(samples),
        "indicators": len(drawn.left_out),
        "weights": len(drawn.weights),
    }
    if choices.impute_draws:
        levels["impute"] = choices.impute_draws
    a, b = sobol_points(sampling.base, len(factors), sampling.seed)
    points = sobol_design(a, b, second_order=sampling.second_order)
    picked = np.stack(
        [np.minimum((points[:, k] * levels[f]).astype(np.int64), levels[f] - 1) for k, f in enumerate(factors)]
    )
    distinct, back = np.unique(picked, axis=1, return_inverse=True)
    numbers = {name: np.zeros(distinct.shape[1], dtype=np.int64) for name in SOURCES}
    numbers |= dict(zip(factors, distinct, strict=True))
    design = replace(drawn, numbers=numbers)
    found = study.evaluate(design, workers=workers)
    _refuse_failures(found.problems, design, choices, factors)
    change = mean_rank_change(found.ranks, study.nominal)[back]
    y = change.reshape(-1, sampling.base)
    d = len(factors)
    indices = index_table(y, factors, times=sampling.bootstrap, seed=sampling.seed)
    ranks = found.ranks[back].reshape(len(y), sampling.base, -1) if sampling.per_unit else None
    second = pd.DataFrame()
    if sampling.second_order:
        second = _pairs(second_order_indices(y[0], y[1], y[2 : 2 + d], y[2 + d :]), factors)
    evaluations = pd.DataFrame({name: picked[k] for k, name in enumerate(factors)} | {"mean_abs_rank_change": change})
    report = {
        "target": f"mean absolute change of the rank of {study.target} from the nominal run",
        "factors": {name: levels[name] for name in factors},
        "seed": sampling.seed,
        "base": sampling.base,
        "evaluations": len(change),
        "distinct": int(distinct.shape[1]),
        "bootstrap": sampling.bootstrap,
        "variance": float(y[:2].var(ddof=1)),
        "sum_of_first": float(indices["first"].sum()),
        "defaults": list(sampling.defaults),
    }
    per_unit = pd.DataFrame() if ranks is None else _per_unit(ranks, factors, study.preparation.values.index)
    return Sensitivity(indices, per_unit, second, evaluations, report)


def mean_rank_change(ranks: RankArray, nominal: RankArray) -> FloatArray:
    """Mean over units of |rank - nominal rank|; units that lack either do not count. ranks : (n, n_units).

    >>> mean_rank_change(np.array([[1, 2, 3], [2, 1, 0]]), np.array([1, 2, 3])).tolist()
    [0.0, 1.0]
    """
    there = (ranks > 0) & (nominal > 0)
    distance = np.where(there, np.abs(ranks.astype(np.float64) - nominal), 0.0)
    change: FloatArray = distance.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return change


def index_table(y: FloatArray, factors: Sequence[str], *, times: int, seed: int, centred: bool = True) -> pd.DataFrame:
    """Indices and bounds of one target. y : shape (d + 2 or more, n), the rows of A, of B, of AB_1 … AB_d."""
    d = len(factors)
    ya, yb, yab = y[0], y[1], y[2 : 2 + d]
    first, total = sobol_indices(ya, yb, yab, centred=centred)
    table = pd.DataFrame({"factor": list(factors), "first": first, "total": total})
    if times:
        of_first, of_total = bootstrapped(ya, yb, yab, times=times, seed=seed, centred=centred)
        table["first_q5"], table["first_q95"] = of_first.T
        table["total_q5"], table["total_q95"] = of_total.T
    table["note"] = "" if np.ptp(y[:2]) > 0 else NO_EFFECT
    return table


def _per_unit(ranks: RankArray, factors: Sequence[str], units: "pd.Index[Any]") -> pd.DataFrame:
    """Indices of each unit's own rank; a unit that some replicate does not rank has none and says so."""
    d = len(factors)
    y = ranks.astype(np.float64)
    first, total = sobol_indices(y[0], y[1], y[2 : 2 + d])
    missing = (ranks == 0).any(axis=(0, 1))
    still = np.ptp(y[:2].reshape(-1, y.shape[2]), axis=0) == 0
    note = np.where(missing, "not ranked in every evaluation", np.where(still, NO_EFFECT, ""))
    table = pd.DataFrame(index=units)
    for k, name in enumerate(factors):
        table[f"{name}_first"] = np.where(missing, math.nan, first[k])
        table[f"{name}_total"] = np.where(missing, math.nan, total[k])
    table["note"] = note
    return table


def _pairs(found: FloatArray, factors: Sequence[str]) -> pd.DataFrame:
    rows = [(factors[k], factors[j], found[k, j]) for k in range(len(factors)) for j in range(k + 1, len(factors))]
    return pd.DataFrame(rows, columns=["factor", "with", "second"])


def _refuse_failures(problems: Sequence[str], design: Design, choices: Choices, factors: Sequence[str]) -> None:
    for row, problem in enumerate(problems):
        if problem:
            used = [
                choices.labels[name][design.numbers[name][row]] if name in choices.labels else name for name in factors
            ]
            raise EngineError(
                f"{problem} under {'; '.join(used)}; a sensitivity analysis needs every combination: take one of "
                "these options out, or normalise to values above 0.",
                file="config",
                column="[sensitivity]",
            )

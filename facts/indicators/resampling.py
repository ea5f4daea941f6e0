"""Precision of indicator values by resampling firms (framework §11.8): the rescaled bootstrap of Rao and Wu (1988).

Inside each class that was blown up together (a size class, or joined thin ones) with n accepted of N units, n − 1 are
drawn with replacement; a unit drawn t times gets its weight × (1 − λ + λ·t·n/(n − 1)), λ = √(1 − n/N). The factor
1 − n/N is the finite population correction: where everybody answered, λ = 0 and nothing varies. Each replicate is then
brought back to the class's total, as the weights themselves were. Units that stand for themselves only, and figures of
cluster, association and region, do not vary.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .compute import Round
from .definitions import Definitions
from .formulas import Evaluation
from .imputation import Rule
from .tables import Tables
from .totals import ReplicateWeights

PART = 16_384  # units worked on together: their answers in the formulas take 10 MB


def cluster_number(code: str) -> int:
    """A number of a cluster that is the same in every database: the first 48 bits of the SHA-256 of its code."""
    return int.from_bytes(hashlib.sha256(code.encode()).digest()[:6], "big")


def seed_of(round_year: int, code: str) -> int:
    """Round × 1000 + the cluster's number."""
    return round_year * 1000 + cluster_number(code)


def replicate_weights(
    weight: np.ndarray, stratum: np.ndarray, population: np.ndarray, replicates: int, seed: int
) -> np.ndarray:
    """Weights of one cluster's units in every replicate, (replicates, n_units).

    weight, stratum : (n_units,), see `Weights`, units in order of frame id. population : units that each stratum
    stands for. Deterministic for a seed. A class with one unit cannot be resampled and keeps its weight.
    """
    drawn = _drawn(weight, stratum, population, replicates, seed)
    return drawn.T if drawn.ndim == 2 else np.tile(drawn, (replicates, 1))


def _drawn(weight: np.ndarray, stratum: np.ndarray, population: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """As `replicate_weights`, (n_units, replicates); the weights themselves, (n_units,), where no class varies."""
    out: np.ndarray | None = None
    rng = np.random.default_rng(seed)
    for one in sorted(set(stratum.tolist()) - {-1}):
        units = np.flatnonzero(stratum == one)
        n, total = len(units), population[one]
        if n < 2 or n >= total:
            continue
        if out is None:
            out = np.repeat(weight[:, None], replicates, axis=1)
        drawn = rng.integers(0, n, size=(replicates, n - 1))
        drawn += n * np.arange(replicates)[:, None]
        times = np.bincount(drawn.ravel(), minlength=replicates * n).reshape(replicates, n)
        spread = np.sqrt(1 - n / total)
        new = times * (spread * (n / (n - 1)))
        new += 1 - spread
        new *= weight[units]
        new *= (weight[units].sum() / new.sum(axis=1))[:, None]
        out[units] = new.T
    return weight if out is None else out


@dataclass(frozen=True)
class Replicates:
    """Values of the clusters from `first` to `last` (exclusive): indicator → (replicates, n_clusters), NaN missing.

    Of indicators of which no unit is part there are none: they do not vary.
    """

    first: int
    last: int
    values: Mapping[str, np.ndarray]


def replicated(
    tables: Tables,
    round_year: int,
    definitions: Definitions,
    replicates: int,
    *,
    imputation: Rule | None = None,
    only: frozenset[str] | None = None,
) -> Iterator[Replicates]:
    """Compute indicators over resampled firms, a few clusters at a time.

    only : indicators wanted; None = all. Minimum numbers of units are not applied here: they do not vary, so what is
    missing in the values is to be left out of their replicates too.
    """
    round_ = Round(tables, round_year, definitions, imputation)
    for first, last in round_.units.parts(PART):
        yield _part(round_, replicates, first, last, only)


def replicated_between(
    round_: Round, replicates: int, first: int, last: int, only: frozenset[str] | None = None
) -> dict[str, np.ndarray]:
    """The replicates of the clusters from `first` to `last` (exclusive): indicator → (replicates, n_clusters)."""
    parts = [_part(round_, replicates, a, b, only) for a, b in round_.units.parts(PART, first, last)]
    return {code: np.concatenate([part.values[code] for part in parts], axis=1) for code in parts[0].values}


def _part(round_: Round, replicates: int, first: int, last: int, only: frozenset[str] | None) -> Replicates:
    units, definitions = round_.units, round_.definitions

    def of(place: int, present: slice) -> np.ndarray:
        cluster = first + place
        all_of_it = slice(units.edges[cluster], units.edges[cluster + 1])
        drawn = _drawn(
            units.weights.weight[all_of_it],
            units.weights.stratum[all_of_it],
            units.weights.population,
            replicates,
            seed_of(round_.year, round_.tables.codes[cluster]),
        )
        works = units.works[all_of_it]
        return drawn if works.all() else drawn[works]

    part = round_.part(first, last, ReplicateWeights(replicates, of))
    run = Evaluation(part.columns, definitions.derived)
    wanted = {
        one.code: one.formula
        for one in definitions.indicators
        if one.formula.aggregates and (only is None or one.code in only)
    }
    run.work_out(wanted.values())
    return Replicates(first, last, {code: run.result(formula).values for code, formula in wanted.items()})

"""From the tables of a snapshot to indicator values, for all clusters of a round at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .coverage import coverage_by_size, coverage_of
from .definitions import Definitions, IndicatorDefinition
from .formulas import Answers, Columns, Evaluation
from .imputation import Imputation, Rule, impute
from .parallel import in_order
from .surroundings import cluster_columns, fiscal_year_end, money_factors
from .tables import FLAG_COLUMNS, IN_SCOPE, OPERATING, Tables
from .totals import ReplicateWeights
from .units import Picked, Units, comparable, slips, units_of

__all__ = [
    "FLAG_COLUMNS",
    "IN_SCOPE",
    "OPERATING",
    "Part",
    "Round",
    "Tables",
    "compute_round",
    "coverage_by_size",
    "coverage_of",
    "fiscal_year_end",
    "index_inputs",
    "joined_inputs",
]

SMALLEST = 1e-300
GROWTH_LEAST_UNITS = 8
GROWTH_LEAST_SHARE = 0.40
REASONS = ("", "not reported", "too few units")
STATUS = ("A", "E", "O")


@dataclass(frozen=True)
class Part:
    """A run of clusters with their operating units, ready for formulas."""

    first: int
    last: int
    columns: Columns
    imputed: Imputation


class Round:
    """One round, cut into runs of clusters that are worked out one after the other: memory stays flat.

    Nothing in a cluster's values depends on the units of another, so how the round is cut changes no digit.
    """

    def __init__(self, tables: Tables, year: int, definitions: Definitions, rule: Rule | None = None):
        self.tables, self.year, self.definitions, self.rule = tables, year, definitions, rule
        self.units: Units = units_of(tables, year)
        self.clusters = cluster_columns(tables, year, definitions)
        self.money_before = money_factors(tables, year - 1)
        self.in_doubt = slips(tables, year)

    def part(self, first: int, last: int, weight: ReplicateWeights | None = None) -> Part:
        """The clusters from `first` to `last` (exclusive). weight : replicates in place of the weights themselves, of
        the units that work."""
        units, multiple = self.units, self.definitions.multiple
        present = slice(units.edges[first], units.edges[last])
        works = units.works[present]
        own = units.weights.weight[present][works]
        cluster_of = units.cluster_of[present][works] - first
        rows, before = units.row[present][works], units.before[present][works]
        now = Picked(units.arrays, rows, multiple)
        previous = Picked(units.arrays, before, multiple)
        in_doubt = self.in_doubt[units.arrays.unit["key"][rows]]
        # Compared and checked is what was answered; estimates come after.
        matched = comparable(now, previous, in_doubt, len(rows))
        imputed = Imputation({}, {}, np.zeros(len(rows)))
        if self.rule is not None:
            imputed = impute(now, cluster_of, units.size[present][works], own, last - first, self.rule)
            now = Picked(units.arrays, rows, multiple, put=imputed.columns)
        shared: dict[str, Any] = {
            "cluster_of": cluster_of,
            "weight": own if weight is None else weight,
            "n_clusters": last - first,
        }
        return Part(
            first,
            last,
            Columns(
                units=now,
                clusters=_cut(self.clusters, first, last),
                previous=Columns(units=previous, clusters=_cut(self.money_before, first, last), **shared),
                matched_ok=matched,
                **shared,
            ),
            imputed,
        )

    def parts(self) -> Iterator[Part]:
        for first, last in self.units.parts():
            yield self.part(first, last)


def _cut(columns: Mapping[str, np.ndarray | Answers], first: int, last: int) -> dict[str, np.ndarray | Answers]:
    return {
        name: Answers(figure.place[first:last], figure.sets) if isinstance(figure, Answers) else figure[first:last]
        for name, figure in columns.items()
    }


def compute_round(
    tables: Tables, round_year: int, definitions: Definitions, imputation: Rule | None = None
) -> pd.DataFrame:
    """Compute every indicator of every cluster of one round.

    imputation : how missing core money items are estimated; None = not at all.
    Returns one row per cluster × indicator: cluster, indicator, value (NaN = missing), status ("A", "E" estimated,
    "O" missing), reason, n_units (that answered; NaN where no units enter), coverage (share of accepted operating
    units that answered).
    """
    round_ = Round(tables, round_year, definitions, imputation)
    n_clusters, indicators = len(tables.codes), definitions.indicators
    value = np.full((len(indicators), n_clusters), np.nan)
    n_units, coverage = value.copy(), value.copy()
    estimated = np.zeros(value.shape, dtype=bool)
    operating = np.zeros(n_clusters)

    def work(ends: tuple[int, int]) -> None:
        part, here = round_.part(*ends), slice(*ends)
        run = Evaluation(part.columns, definitions.derived)
        run.work_out(indicator.formula for indicator in indicators)
        operating[here] = run.counted(run.everybody)
        for row, indicator in enumerate(indicators):
            result = run.result(indicator.formula)
            value[row, here] = result.values
            if result.support is not None:
                guessed = part.imputed.behind(definitions.questions[indicator.code])
                answered = result.support if guessed is None else result.support & ~guessed
                n_units[row, here] = run.counted(answered)
                if guessed is not None:
                    estimated[row, here] = _held(part, result.support & guessed) > imputation.said_from * _held(
                        part, result.support
                    )

    # Each part writes into columns of its own.
    for _ in in_order(work, round_.units.parts()):
        pass
    with np.errstate(divide="ignore", invalid="ignore"):
        coverage = np.where(operating > 0, n_units / operating, np.nan)
    thin = np.array([_thin(one, n_units[row], coverage[row]) for row, one in enumerate(indicators)])
    reason = np.where(thin & (operating > 0), 2, np.isnan(value).astype(int))
    value = np.where(thin, np.nan, value)
    proxy = np.array([indicator.estimated for indicator in indicators])[:, None]
    status = np.where(np.isnan(value), 2, (estimated | proxy).astype(int))
    codes, names = np.array(tables.codes, dtype=object), np.array([one.code for one in indicators], dtype=object)
    return pd.DataFrame(
        {
            "cluster": np.tile(codes, len(names)),
            "indicator": np.repeat(names, len(codes)),
            "value": value.ravel(),
            "status": np.array(STATUS, dtype=object)[status.ravel()],
            "reason": np.array(REASONS, dtype=object)[reason.ravel()],
            "n_units": n_units.ravel(),
            "coverage": coverage.ravel(),
        }
    )


def _held(part: Part, units: np.ndarray) -> np.ndarray:
    """Weighted sales that some units of a part hold, (n_clusters,)."""
    return np.bincount(part.columns.cluster_of[units], part.imputed.held[units], part.columns.n_clusters)


def _thin(indicator: IndicatorDefinition, n_units: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """Clusters with too few units behind an indicator; never where no units enter."""
    matched = indicator.formula.is_matched
    thin = n_units < max(indicator.n_min, GROWTH_LEAST_UNITS if matched else 0)
    if matched:
        thin |= ~np.isnan(n_units) & ~(coverage >= GROWTH_LEAST_SHARE)
    return thin


def index_inputs(by_round: Mapping[int, pd.DataFrame], round_year: int, definitions: Definitions) -> pd.DataFrame:
    """Turn values into what enters the index: capped (N5), then smoothed over up to three rounds (N6).

    Returns a frame cluster × indicator; NaN = missing. A value missing in this round stays missing.
    """
    wide = {year: frame.pivot(index="cluster", columns="indicator", values="value") for year, frame in by_round.items()}
    columns = {year: {code: one[code].to_numpy() for code in one} for year, one in wide.items()}
    inputs = joined_inputs(columns, round_year, definitions)
    return pd.DataFrame(inputs, index=wide[round_year].index)


def joined_inputs(
    by_round: Mapping[int, Mapping[str, np.ndarray]], round_year: int, definitions: Definitions
) -> dict[str, np.ndarray]:
    """Rules N5 and N6 over arrays. by_round : round → indicator → values, all of one shape; earlier rounds are read
    for smoothed indicators only."""
    inputs = {}
    for indicator in definitions.indicators:
        code = indicator.code
        values = _capped(by_round[round_year][code], indicator.cap)
        if indicator.smooth_rounds > 1:
            years = [year for year in sorted(by_round) if round_year - indicator.smooth_rounds < year <= round_year]
            values = np.where(np.isnan(values), np.nan, _mean(by_round, years, code, indicator.cap))
        if indicator.transform == "log":
            # Zero or less has no logarithm and lies beyond the lower goalpost: let the scale cut it there.
            values = np.maximum(values, SMALLEST)
        inputs[code] = values
    return inputs


def _mean(
    by_round: Mapping[int, Mapping[str, np.ndarray]], years: Sequence[int], code: str, cap: float | None
) -> np.ndarray:
    """The mean of what the rounds have; NaN where none has a value."""
    stack = np.stack([_capped(by_round[year][code], cap) for year in years])
    count = (~np.isnan(stack)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, np.nansum(stack, axis=0) / np.maximum(count, 1), np.nan)


def _capped(values: np.ndarray, cap: float | None) -> np.ndarray:
    return values if cap is None else np.minimum(values, cap)

"""Uncertainty analysis: recompute the index under many plausible settings, and say what that does to the ranks."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine import imputation
from cci.engine.aggregation import LevelRule
from cci.engine.errors import ConfigError, unit_name
from cci.engine.meta import Hierarchy
from cci.engine.stages import Run, applied
from cci.engine.tables import FloatArray
from cci.engine.uncertainty.choices import Choices
from cci.engine.uncertainty.draws import SOURCES, Design, drawn, fixed, given_weights, random
from cci.engine.uncertainty.evaluation import Evaluated, evaluate
from cci.engine.uncertainty.kernel import Tree, tree_of
from cci.engine.uncertainty.preparation import GapDraws, Preparation, errors_of, times_of
from cci.engine.uncertainty.ranks import RankArray, neighbours, rank_rows, rank_statistics


@dataclass(frozen=True)
class Uncertainty:
    """What an uncertainty analysis gives.

    rank_stats : see `rank_statistics`. pairs : see `neighbours` (empty where the data hold several times).
    replicates : one row each, from 1: what it used (the option as written, or the number of the draw) and
        `problem`, empty where it could be computed.
    weights : the weights of every replicate, replicates x elements; NaN where the element is left out.
    ranks : shape (n_units, n_replicates), 0 where there is none. scores : same shape, None unless asked for.
    report : everything needed to repeat the analysis, counts of failures, and the Monte-Carlo error.
    """

    rank_stats: pd.DataFrame
    pairs: pd.DataFrame
    replicates: pd.DataFrame
    weights: pd.DataFrame
    ranks: RankArray
    scores: FloatArray | None
    report: dict[str, Any]


@dataclass(frozen=True)
class Study:
    """What an analysis of uncertainty or sensitivity starts from: the nominal run, and how to vary it."""

    preparation: Preparation
    trees: tuple[Tree, ...]
    target: str
    nominal: RankArray
    ties: str
    tolerance: float
    below: tuple[str, ...]

    def evaluate(self, design: Design, **options: Any) -> Evaluated:
        return evaluate(self.preparation, self.trees, design, ties=self.ties, tolerance=self.tolerance, **options)


def study_of(
    run: Run, choices: Choices, *, errors: pd.DataFrame | None = None, samples: FloatArray | None = None
) -> Study:
    """Join a run and the choices; arguments as `uncertainty`."""
    settings, hierarchy = run.settings, run.hierarchy
    if settings.aggregate is None or settings.rank is None:
        raise ConfigError("ranks are varied and the run makes none; add [aggregate] and [rank].", key="uncertainty")
    if choices.errors_file and errors is None:
        raise ConfigError("the standard errors are not given.", table="uncertainty.noise", key="errors_file")
    target = _target(choices, hierarchy)
    # What comes before the first step that can be varied is done once.
    values = run.entering[list(hierarchy.indicators)]
    options = {
        step: choices.steps.get(step, (getattr(settings, step),))
        for step in ("impute", "treat", "normalise")
        if getattr(settings, step) is not None
    }
    preparation = Preparation(
        values,
        applied(run),
        options,
        choices.seed,
        errors=None if errors is None else errors_of(errors, values, file=choices.errors_file or "errors"),
        samples=samples,
        gaps=_gaps(run, values, choices) if choices.impute_draws else None,
    )
    joined = [_rules(step, run) for step in choices.steps.get("aggregate", (settings.aggregate,))]
    literal = {"exact_counts": not settings.coinr, "pairwise": not settings.coinr}
    trees = tuple(tree_of(hierarchy, rules, own, target=target, **literal) for rules, own in joined)
    for group in (group for tree in trees for group in tree.groups.values()):
        if group.rule.method == "benefit_of_doubt":
            raise ConfigError(
                f"{group.code} is scored by benefit_of_doubt, whose weights are each unit's own and are not drawn; "
                "study another target or another aggregation.",
                table="uncertainty.aggregate" if "aggregate" in choices.steps else "aggregate",
                key="options" if "aggregate" in choices.steps else "method",
            )
    below = tuple(component for group in trees[0].groups.values() for component in group.components)
    ties, tolerance = settings.rank.ties, settings.rank.tolerance
    kind = rank_rows(np.empty((0, len(values))), ties=ties).dtype
    nominal = run.stages["ranks"][target].to_numpy(dtype=np.float64, na_value=0).astype(kind)
    return Study(preparation, trees, target, nominal, ties, tolerance, below)


def uncertainty(
    run: Run,
    choices: Choices,
    *,
    weight_sets: pd.DataFrame | None = None,
    errors: pd.DataFrame | None = None,
    samples: FloatArray | None = None,
    workers: int = 1,
    block: int | None = None,
) -> Uncertainty:
    """Draw many plausible settings, recompute the index under each, and summarise the ranks.

    run : the nominal run, see `run_index`. choices : what is varied, see `read_choices`.
    weight_sets : for weights of the kind sets, see `given_weights`. errors : standard errors of the values that
    enter the imputation (denominated and screened), labelled as they are; samples : instead, whole tables of
    them drawn elsewhere, (n_draws, n_units, n_indicators), of which replicate r takes number r modulo n_draws.
    workers : threads. block : replicates scored together. Neither changes a bit of the result.

    Every source is drawn by itself, each option as likely as the others. A replicate that cannot be computed
    (a geometric mean of values not above 0, say) is counted, named and left out of the statistics, never
    half-used. Denomination, screening and the limits on missing data are those of the run. Weights vary around
    those of the run. Left-out indicators are left out of the aggregation, as if the hierarchy did not have
    them; data, imputation and treatment of the others stay.

    The interval of ranks tells what the choices of method do, and is no confidence interval of sampling, unless
    `errors` or `samples` are all that is varied. Deterministic for a seed. Raises ConfigError where choices and
    run do not fit. Method note, section 14; OECD/JRC Handbook, step 7.

    >>> from cci.engine.config import read_config
    >>> from cci.engine.pipeline import run_index
    >>> from cci.engine.uncertainty import read_choices
    >>> meta = pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                      "Direction": [1, 1, 1], "Weight": [1, 1, 1]})
    >>> data = pd.DataFrame({"uCode": ["X", "Y", "Z"], "a": [9.0, 5.0, 1.0], "b": [1.0, 6.0, 0.0]})
    >>> config = {"aggregate": {}, "rank": {}, "uncertainty": {"seed": 1, "replicates": 200, "weights": {}}}
    >>> result = uncertainty(run_index(data, meta, config), read_choices(config, read_config))
    >>> result.rank_stats[["nominal", "q5", "q95"]].values.tolist()
    [[2, 1.0, 2.0], [1, 1.0, 2.0], [3, 3.0, 3.0]]
    """
    study = study_of(run, choices, errors=errors, samples=samples)
    noise = errors is not None or samples is not None
    design = drawn(choices, run.hierarchy, study.below, noise=noise, weight_sets=weight_sets)
    found = study.evaluate(design, keep_scores=choices.keep_scores, workers=workers, block=block)
    return _summary(study, design, found, choices, varied(choices, noise=noise))


def replay(
    run: Run,
    choices: Choices,
    replicates: pd.DataFrame,
    *,
    weight_sets: pd.DataFrame | None = None,
    errors: pd.DataFrame | None = None,
    samples: FloatArray | None = None,
    workers: int = 1,
) -> Evaluated:
    """Evaluate replicates that were drawn before, here or elsewhere; their scores are kept.

    replicates : one row each, and a column for each source that varies: for a step the number of its option,
        for `weights` that of the set, for `noise` and `impute` that of the draw, all from 0. weight_sets : see
        `given_weights`. Other arguments as `uncertainty`.
    """
    study = study_of(run, choices, errors=errors, samples=samples)
    n = len(replicates)
    numbers: dict[str, NDArray[np.int64]] = {
        name: replicates[name].to_numpy(dtype=np.int64) if name in replicates else np.zeros(n, dtype=np.int64)
        for name in SOURCES
    }
    design = fixed(run.hierarchy)
    if weight_sets is not None:
        design = replace(design, weights=given_weights(weight_sets, run.hierarchy))
    return study.evaluate(replace(design, numbers=numbers), keep_scores=True, workers=workers)


def varied(choices: Choices, *, noise: bool) -> tuple[str, ...]:
    """The names of what is varied, in the order of the steps; noise may be given without a key."""
    return tuple(name for name in SOURCES if name in choices.varied or (name == "noise" and noise))


def _gaps(run: Run, values: pd.DataFrame, choices: Choices) -> GapDraws:
    """The model that gaps are drawn from, by the groups of the run's own imputation where it has some."""
    step = run.settings.impute
    groups = run.units.groups(step.group).loc[values.index] if step is not None and step.group else None
    seed = int(random(choices.seed, "impute").integers(2**31))
    return GapDraws(imputation.imputation_model(values, method=choices.impute_method, seed=seed, groups=groups))


def _target(choices: Choices, hierarchy: Hierarchy) -> str:
    tops = hierarchy.at_level(hierarchy.top_level)
    if choices.target and choices.target not in hierarchy.aggregates:
        raise ConfigError(
            f"the hierarchy has no aggregate {choices.target}; correct the name.", table="uncertainty", key="target"
        )
    if not choices.target and len(tops) > 1:
        raise ConfigError(
            f"there are several indices ({', '.join(tops)}); name the one to study.", table="uncertainty", key="target"
        )
    return choices.target or tops[0]


def _rules(step: Any, run: Run) -> tuple[Sequence[LevelRule], Mapping[str, LevelRule]]:
    """The rules of an aggregation: one per step, and those of single aggregates, which differ from their level's."""
    if step == run.settings.aggregate:
        return run.rules, run.own_rules
    rules = step.rules(run.hierarchy.top_level - 1, file=run.names["config"])
    own = {code: replace(rules[run.hierarchy.levels[code] - 2], **given) for code, given in step.groups.items()}
    return rules, own


def _summary(study: Study, design: Design, found: Evaluated, choices: Choices, sources: Sequence[str]) -> Uncertainty:
    units, n = study.preparation.values.index, len(design)
    used = int(found.ok.sum())
    # Turned once: what follows reads unit by unit.
    by_unit = np.ascontiguousarray(found.ranks.T)
    stats = rank_statistics(
        by_unit.T,
        study.nominal,
        units=units,
        quantiles=choices.quantiles,
        top=choices.top,
        within=choices.within,
    )
    one_time = len(times_of(units)) == 1
    pairs = neighbours(by_unit.T, study.nominal, units=units) if one_time else pd.DataFrame()
    weights = pd.DataFrame(design.weights_of(np.arange(n)), columns=list(design.elements))
    weights.insert(0, "replicate", np.arange(1, n + 1))
    outside = [unit_name(unit) for unit, note in stats["note"].items() if note]
    report = {
        "target": study.target,
        "varied": list(sources),
        "seed": choices.seed,
        "replicates": n,
        "used": used,
        "failed": dict(sorted(Counter(problem for problem in found.problems if problem).items())),
        "options": {step: list(labels) for step, labels in choices.labels.items()},
        "settings": _plain(asdict(replace(choices, steps={}, labels={}, defaults=()))),
        "defaults": list(choices.defaults),
        "quantile_standard_error": {
            f"{level:g}": math.sqrt(level * (1 - level) / used) if used else None for level in choices.quantiles
        },
        "outside_interval": outside,
        "meaning": "Intervals of ranks over the choices named in `varied`, each option as likely as the others.",
    }
    scores = None if found.scores is None else found.scores.T
    return Uncertainty(
        stats, pairs, replicates_table(design, found, choices, sources), weights, by_unit, scores, report
    )


def replicates_table(design: Design, found: Evaluated, choices: Choices, sources: Sequence[str]) -> pd.DataFrame:
    """One row per replicate: what it used of each source that is varied, and why it could not be computed."""
    columns: dict[str, Any] = {"replicate": np.arange(1, len(design) + 1)}
    for name in sources:
        numbers = design.numbers[name]
        if name in choices.labels:
            columns[name] = np.array(choices.labels[name], dtype=object)[numbers]
        elif name == "indicators":
            codes = np.array(design.elements, dtype=object)
            without = [" ".join(codes[mask]) for mask in design.left_out]
            columns["left_out"] = np.array(without, dtype=object)[numbers]
        else:
            columns[name] = numbers + 1
    return pd.DataFrame(columns | {"problem": np.array(found.problems, dtype=object)})


def _plain(value: Any) -> Any:
    """Make settings fit for JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value

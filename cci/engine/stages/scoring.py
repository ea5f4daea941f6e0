"""Run the steps that score: normalise, weights, aggregate, rank, profiles."""

from typing import Any

import pandas as pd

from cci.engine import aggregation, normalisation, profiles, ranking, weighting
from cci.engine.config import Normalise, Profiles, Rank, Weights
from cci.engine.errors import MetaError, unit_name
from cci.engine.meta import Hierarchy, effective_weights
from cci.engine.report import plain
from cci.engine.stages.run import Run, by_scope
from cci.engine.tables import numbers, texts


def normalise(run: Run, step: Normalise, values: pd.DataFrame) -> tuple[pd.DataFrame, list[str], pd.DataFrame]:
    """The scores of the indicators, which of them are constant, and the cells that were cut to the range."""
    options = {key: value for key, value in step.used().items() if key not in ("scope", "file", "bounds_file")}
    directions, file = run.hierarchy.directions, run.name("normalise.file")
    if step.bounds_file:
        options["bounds"] = normalisation.read_bounds(
            run.file("normalise.bounds_file"), indicators=directions.index, file=run.name("normalise.bounds_file")
        )
    if step.method in ("goalposts", "scaled"):
        table = run.file("normalise.file")
        options["posts"] = normalisation.read_goalposts(table, directions=directions, file=file)
    elif step.method == "distance_to_target":
        options["targets"] = normalisation.read_targets(
            run.file("normalise.file") if step.file else run.meta,
            indicators=directions.index,
            file=file if step.file else run.names["meta"],
        )
    elif step.method == "distance_to_reference" and run.units.several and step.scope == "all":
        raise run.config_error(
            "normalise", "scope", 'the unit of reference stands in every time of the data; write scope = "time".'
        )
    if (step.method == "change" or step.over == "time") and not run.units.several:
        raise run.config_error("normalise", "method", "this compares times, and the data hold one; choose another.")
    constant: list[str] = []
    clipped: list[pd.DataFrame] = []

    def scale(part: pd.DataFrame) -> pd.DataFrame:
        if step.method == "distance_to_reference" and run.units.several:
            options["reference"] = (step.reference, part.index.get_level_values(1)[0])
        found = normalisation.normalise(part, directions=directions, literal=run.settings.coinr, **options)
        constant.extend(found.constant)
        clipped.append(found.clipped)
        return found.values

    scores = by_scope(scale, values, step.scope, run.units.several)
    return scores, constant, pd.concat(clipped, ignore_index=True) if len(clipped) > 1 else clipped[0]


def normalised(run: Run, step: Normalise, values: pd.DataFrame) -> pd.DataFrame:
    scores, constant, clipped = normalise(run, step, values)
    run.keep("normalised", scores)
    if step.method == "min_max" and step.scope == "all" and not step.bounds_file:
        # For later editions to be scaled by: `bounds_file`.
        bounds = normalisation.bounds_of(values).dropna().sort_index()
        run.tables["bounds"] = bounds.rename_axis("iCode").reset_index()
    if step.bounds_file or step.method == "goalposts" or step.cap:
        run.tables["clipped_cells"] = clipped
        run.notes.report["clipped"] = {
            str(code): int(n) for code, n in clipped["indicator"].value_counts().sort_index().items()
        }
    run.notes.warn(
        "constant_indicator", "Indicators with one distinct value; they are missing for all units.", constant
    )
    return scores


def weighted(run: Run, step: Weights, values: pd.DataFrame) -> Hierarchy:
    """The hierarchy with its weights set as asked, level by level: those of a level rest on its scores."""
    hierarchy, found = run.hierarchy, {}
    if step.method == "file":
        given = given_weights(run)
        own = {run.hierarchy.parents.get(code, "") for code in given} - {""}
        if given and own and all(run.rule(code).method == "benefit_of_doubt" for code in own):
            raise run.config_error(
                "weights",
                "file",
                f"all its weights are of {', '.join(sorted(own))}, scored by benefit_of_doubt, where each unit has "
                "weights of its own; delete [weights] or take another aggregation.",
            )
        hierarchy = weighting.with_weights(hierarchy, given)
    for level in step.level:
        if not 1 <= level < hierarchy.top_level:
            raise run.config_error(
                "weights", "level", f"level {level} has no weights; choose 1 to {hierarchy.top_level - 1}."
            )
        _refuse_own_weights(run, step, level)
        elements = values
        if level > 1:
            elements = pd.concat([values, aggregated(run, values, hierarchy)], axis=1)
        weights = _weights_of(run, step, elements, hierarchy, level)
        hierarchy = weighting.with_weights(hierarchy, weights.weights)
        found[level] = plain({"details": weights.details.to_dict("index"), **weights.report})
    run.tables["weights"] = _weights_table(hierarchy)
    run.notes.report["weights"] = {"method": step.method, "levels": plain(found)}
    run.notes.report["hierarchy"]["effective_weights"] = effective_weights(hierarchy).to_dict()
    return hierarchy


def _refuse_own_weights(run: Run, step: Weights, level: int) -> None:
    """Weights of a level mean nothing where each unit finds its own."""
    by_unit = [code for code in run.hierarchy.aggregates if run.rule(code).method == "benefit_of_doubt"]
    if set(run.hierarchy.at_level(level + 1)) <= set(by_unit):
        raise run.config_error(
            "weights",
            "level",
            f"the aggregates above level {level} are scored by benefit_of_doubt, where each unit has weights of its "
            "own; take another level or another aggregation.",
        )
    if by_unit and step.method == "optimised":
        raise run.config_error(
            "weights",
            "method",
            f"optimised tries many weights, and benefit_of_doubt ({', '.join(by_unit)}) finds its own each time; use "
            "one of them.",
        )


def _weights_of(
    run: Run, step: Weights, elements: pd.DataFrame, hierarchy: Hierarchy, level: int
) -> weighting.Weighting:
    if step.method == "equal":
        return weighting.equal_weights(hierarchy, level=level)
    if step.method == "pca":
        return weighting.pca_weights(elements, hierarchy, level, variant=step.variant)
    if step.method == "entropy":
        return weighting.entropy_weights(elements, hierarchy, level)
    if step.method == "critic":
        return weighting.critic_weights(elements, hierarchy, level)
    return weighting.optimised_weights(
        elements[list(hierarchy.indicators)],
        hierarchy,
        run.rules,
        level=level,
        targets=step.targets or None,
        objective=step.objective,
        groups=run.own_rules,
    )


def given_weights(run: Run) -> dict[str, float]:
    """The weights of a file with the columns iCode and Weight; elements it does not name keep theirs."""
    table, file = run.file("weights.file"), run.name("weights.file")
    for column in ("iCode", "Weight"):
        if column not in table.columns:
            raise MetaError("the column is missing; weights need iCode, Weight.", file=file, row=1, column=column)
    codes = texts(table["iCode"])
    weights = numbers(table["Weight"], name="Weight", file=file, error=MetaError)
    for position, (code, weight) in enumerate(zip(codes, weights, strict=True)):
        column, message = "iCode", ""
        if code not in run.hierarchy.levels:
            message = f"the meta has no element {code!r}; correct the code or delete the row."
        elif code in codes[:position]:
            message = f"{code} stands twice; keep one row."
        elif not weight >= 0:
            column, message = "Weight", f"{code} needs a weight of 0 or more."
        if message:
            raise MetaError(message, file=file, row=position + 2, column=column)
    return dict(zip(codes, weights.tolist(), strict=True))


def _weights_table(hierarchy: Hierarchy) -> pd.DataFrame:
    shares = effective_weights(hierarchy)
    codes = list(shares.index)
    return pd.DataFrame(
        {
            "iCode": codes,
            "Level": [hierarchy.levels[code] for code in codes],
            "Parent": [hierarchy.parents.get(code, "") for code in codes],
            "Weight": hierarchy.weights[codes].to_numpy(),
            "EffectiveWeight": shares.to_numpy(),
        }
    )


def aggregated(run: Run, values: pd.DataFrame, hierarchy: Hierarchy) -> pd.DataFrame:
    """The scores by the rules of the run and the weights of a hierarchy."""
    return aggregation.aggregate(values, hierarchy, run.rules, groups=run.own_rules, **_literal(run))


def _literal(run: Run) -> dict[str, bool]:
    """Whether the aggregation repeats COINr's faults."""
    coinr = run.settings.coinr
    return {"exact_counts": not coinr, "skip_missing": not coinr, "pairwise": not coinr}


def scored(run: Run, values: pd.DataFrame) -> pd.DataFrame:
    scores, own = aggregation.aggregate_with_weights(
        values, run.hierarchy, run.rules, groups=run.own_rules, **_literal(run)
    )
    run.keep("scores", scores)
    if len(own.columns):
        run.tables["unit_weights"] = own
        run.notes.warn(
            "unit_weights",
            "Aggregates in which each unit has weights of its own, in the table unit_weights; effective weights do not "
            "say what counts in them.",
            [code for code in run.hierarchy.aggregates if run.rule(code).method == "benefit_of_doubt"],
        )
    return scores


def ranked(run: Run, step: Rank, scores: pd.DataFrame) -> None:
    times = pd.Series(0 if not run.units.several else scores.index.get_level_values(1), index=scores.index)
    run.keep("ranks", ranking.rank_within(scores, times, ties=step.ties, tolerance=step.tolerance), ranks=True)
    for column in step.groups:
        groups = run.units.groups(column).loc[scores.index]
        alone = [unit_name(unit) for unit in groups.index[groups.isna()]]
        run.notes.warn("no_group", f"Units without {column}; they have no rank within it.", alone)
        if run.units.several:
            groups = pd.Series(
                [None if g is None else (g, t) for g, t in zip(groups, times, strict=True)], index=groups.index
            )
        within = ranking.rank_within(scores, groups, ties=step.ties, tolerance=step.tolerance)
        run.keep(f"ranks_within_{column}", within, ranks=True)


def profiled(run: Run, step: Profiles, values: pd.DataFrame, observed: pd.DataFrame) -> None:
    parents = {code: run.hierarchy.parents[code] for code in run.hierarchy.indicators if code in run.hierarchy.parents}
    covered = run.stages["scores"][list(dict.fromkeys(parents.values()))].notna() if "scores" in run.stages else None
    run.tables["strengths"] = profiles.strengths_and_weaknesses(
        values,
        directions=pd.Series(1.0, index=values.columns),
        groups=run.units.groups(step.group).loc[values.index] if step.group else None,
        imputed=values.notna() & ~observed,
        covered=covered,
        parents=parents,
        **step.options(),
    )
    if "scores" in run.stages:
        run.tables["profiles"] = _profiles(run, step)


def _profiles(run: Run, step: Profiles) -> pd.DataFrame:
    """The scores of each unit from the top down, with its ranks, and those within its group where one is named."""
    scores, how = run.stages["scores"], run.settings.rank
    ties: dict[str, Any] = {} if how is None else {"ties": how.ties, "tolerance": how.tolerance}
    table = profiles.summary(scores, run.hierarchy, **ties)
    if step.group:
        groups = run.units.groups(step.group).loc[scores.index]
        within = profiles.summary(scores, run.hierarchy, groups=groups, **ties)
        table["group"] = groups.sort_index().repeat(scores.shape[1]).to_numpy()
        table["rank_in_group"], table["n_in_group"] = within["rank"], within["n_ranked"]
    return table

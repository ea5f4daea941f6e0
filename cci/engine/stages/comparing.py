"""Run the steps that set units beside others and beside their own past: peers, trends."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from cci.engine import peers, trends
from cci.engine.config import Peers, Trends
from cci.engine.errors import DataError, unit_name
from cci.engine.stages.run import Run


def peered(run: Run, step: Peers, scores: pd.DataFrame) -> None:
    """Compare scores within groups of the data, and with the units most alike."""
    if step.groups:
        groups = pd.DataFrame({column: run.units.groups(column).loc[scores.index] for column in step.groups})
        how = run.settings.rank
        ties: dict[str, Any] = {} if how is None else {"ties": how.ties, "tolerance": how.tolerance}
        run.tables["peers"] = _by_time(
            lambda part: peers.within_groups(part, _of(groups, part), min_size=step.min_size, **ties),
            run,
            scores,
        )
    if step.by:
        features = _features(run, step).loc[scores.index]
        nearest = _by_time(lambda part: peers.nearest_peers(_of(features, part), k=step.nearest), run, scores)
        run.tables["nearest_peers"] = nearest

        def against(part: pd.DataFrame) -> pd.DataFrame:
            found = nearest
            if run.units.several:
                found = nearest[nearest["Time"] == part.index.get_level_values(1)[0]]
            return peers.against_peers(_labelled(part), found, min_peers=step.min_peers, width=step.width)

        run.tables["against_peers"] = _by_time(against, run, scores)
        alone = features.index[features.isna().any(axis=1)]
        run.notes.warn(
            "no_peers",
            "Units with a gap in what peers are alike in; they have none.",
            [unit_name(unit) for unit in alone],
        )


def trended(run: Run, step: Trends) -> None:
    """Say how fast each unit moved on each indicator or score."""
    if not run.units.several:
        raise run.config_error("trends", "", "trends need several times, and the data hold one; delete [trends].")
    values = run.stages["scores"] if step.of == "scores" else run.entering
    literal = run.settings.coinr
    rates = trends.growth(values, literal=literal)
    changes = trends.percent_change(values, per=step.per, literal=literal)
    table = rates[["uCode"]].assign(element=rates["indicator"])
    for key in ("first", "last", "available", "growth"):
        table[key] = rates[key]
    run.tables["trends"] = table.assign(
        growth_note=rates["reason"], change=changes["change"], change_note=changes["reason"]
    )


def _features(run: Run, step: Peers) -> pd.DataFrame:
    """What units are alike in. Raises DataError for a logarithm of a value that is not above 0."""
    features = run.units.sizes(list(step.by))
    for column in step.logarithm:
        low = features.index[features[column] <= 0]
        if len(low):
            raise DataError(
                f"unit {unit_name(low[0])} has {features.loc[low[0], column]:g}, which has no logarithm; leave the "
                "cell empty, or the column out of logarithm in [peers].",
                column=column,
                unit=low[0],
            )
        features[column] = np.log(features[column])
    return features


def _by_time(function: Callable[[pd.DataFrame], pd.DataFrame], run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """Apply a comparison to the units of each time among themselves; the table then says which."""
    if not run.units.several:
        return function(table)
    times = table.index.get_level_values(1)
    parts = []
    for time in times.unique().sort_values():
        part = function(table[times == time])
        part["Time"] = time
        parts.append(part[["uCode", "Time", *(column for column in part if column not in ("uCode", "Time"))]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _of(table: pd.DataFrame, part: pd.DataFrame) -> pd.DataFrame:
    """The rows of the units of a part, labelled by uCode alone."""
    return _labelled(table.loc[part.index])


def _labelled(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis(table.index.get_level_values(0), axis=0)

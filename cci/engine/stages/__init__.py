"""The steps one after the other: each takes the stage before it, keeps its own, and tells the report."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from cci.engine import aggregation
from cci.engine.report import of_scores
from cci.engine.stages import comparing, preparation, scoring
from cci.engine.stages.run import Run

__all__ = ["Run", "applied", "run_steps"]


def run_steps(run: Run) -> None:
    """Run the steps in order."""
    settings, values = run.settings, run.units.values
    if settings.denominate:
        values = preparation.denominated(run, settings.denominate, values)
    if settings.screen:
        values = preparation.screened(run, settings.screen, values)
    observed = values.notna()
    if settings.impute:
        values = preparation.imputed(run, settings.impute, values)
    if settings.treat:
        values = preparation.treated(run, settings.treat, values)
    if settings.normalise:
        values = scoring.normalised(run, settings.normalise, values)
    if settings.weights:
        run.hierarchy = scoring.weighted(run, settings.weights, values)
    if settings.aggregate:
        scores = scoring.scored(run, values)
        coverage = run.keep("coverage", aggregation.coverage(observed & values.notna(), run.hierarchy))
        of_scores(run.notes, scores, coverage)
        if settings.rank:
            scoring.ranked(run, settings.rank, scores)
    if settings.profiles:
        scoring.profiled(run, settings.profiles, values, observed)
    if settings.peers:
        comparing.peered(run, settings.peers, run.stages["scores"])
    if settings.trends:
        comparing.trended(run, settings.trends)


def applied(run: Run) -> Callable[[str, Any, pd.DataFrame], pd.DataFrame]:
    """How the steps of a run are applied to other values, without records: for analyses that repeat them.

    The function takes the name of a step, its settings (None: the step is off) and the values.
    """

    def apply(name: str, step: Any, values: pd.DataFrame) -> pd.DataFrame:
        if step is None or (name == "impute" and step.method == "none"):
            return values
        with np.errstate(all="ignore"):
            if name == "impute":
                return preparation.impute(run, step, values).values
            if name == "treat":
                return preparation.treat(run, step, values)[0]
            return scoring.normalise(run, step, values)[0]

    return apply

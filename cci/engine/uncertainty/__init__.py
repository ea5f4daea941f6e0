"""How sure the ranks are, and which choice moves them: Monte Carlo over the settings of a run, and Sobol' indices."""

from cci.engine.uncertainty.analysis import Uncertainty, replay, uncertainty
from cci.engine.uncertainty.choices import Choices, SensitivityChoices, WeightChoice, read_choices, read_sensitivity
from cci.engine.uncertainty.draws import drawn_weights, given_weights
from cci.engine.uncertainty.ranks import neighbours, rank_rows, rank_statistics
from cci.engine.uncertainty.sensitivity import (
    Sensitivity,
    mean_rank_change,
    second_order_indices,
    sensitivity,
    sobol_design,
    sobol_indices,
    sobol_points,
)

__all__ = [
    "Choices",
    "Sensitivity",
    "SensitivityChoices",
    "Uncertainty",
    "WeightChoice",
    "drawn_weights",
    "given_weights",
    "mean_rank_change",
    "neighbours",
    "rank_rows",
    "rank_statistics",
    "read_choices",
    "read_sensitivity",
    "replay",
    "second_order_indices",
    "sensitivity",
    "sobol_design",
    "sobol_indices",
    "sobol_points",
    "uncertainty",
]

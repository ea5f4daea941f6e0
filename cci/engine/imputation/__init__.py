"""Fill gaps, once or many times: from other units, the unit itself, its past, or a model of all."""

from cci.engine.imputation.dispatch import METHODS, Imputation, impute
from cci.engine.imputation.multiple import (
    DRAW_METHODS,
    Draws,
    ImputationModel,
    imputation_draws,
    imputation_model,
)

__all__ = [
    "DRAW_METHODS",
    "METHODS",
    "Draws",
    "Imputation",
    "ImputationModel",
    "imputation_draws",
    "imputation_model",
    "impute",
]

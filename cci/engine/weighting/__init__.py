"""Weights of the elements: given, or found from the data."""

from cci.engine.weighting.dispersion import critic_weights, entropy_weights
from cci.engine.weighting.given import Weighting, equal_weights, with_weights
from cci.engine.weighting.optimised import OBJECTIVES, optimised_weights
from cci.engine.weighting.principal import VARIANTS, pca_weights

__all__ = [
    "OBJECTIVES",
    "VARIANTS",
    "Weighting",
    "critic_weights",
    "entropy_weights",
    "equal_weights",
    "optimised_weights",
    "pca_weights",
    "with_weights",
]

"""Tame outliers: pull in a few extreme points, or take a logarithm where that is not enough."""

from cci.engine.treatment.distribution import moments, passes, skew_and_kurtosis
from cci.engine.treatment.outliers import (
    MODES,
    Treatment,
    read_treatments,
    retreat,
    treat,
    treated_cells,
)
from cci.engine.treatment.transforms import TRANSFORMS, Transform, apply_transform, fitted, transformed
from cci.engine.treatment.winsorising import winsorise

__all__ = [
    "MODES",
    "TRANSFORMS",
    "Transform",
    "Treatment",
    "apply_transform",
    "fitted",
    "moments",
    "passes",
    "read_treatments",
    "retreat",
    "skew_and_kurtosis",
    "transformed",
    "treat",
    "treated_cells",
    "winsorise",
]

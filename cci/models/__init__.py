"""What it amounts to: methodologies, editions, scores, releases."""

from .edition import Edition, Explanation, Score, Standing
from .methodology import Methodology
from .release import Erratum, PreRelease, Release

__all__ = ["Edition", "Erratum", "Explanation", "Methodology", "PreRelease", "Release", "Score", "Standing"]

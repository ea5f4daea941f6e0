"""Scores of the quality label that enter the index: governance (G) and strategy (S)."""

from collections.abc import Mapping, Sequence
from typing import Any

from facts.expressions import Context

from .definitions import Criterion


def label_score(criteria: Sequence[Criterion], answers: Mapping[str, Any], context: Context) -> float:
    """Add the points of the first step that holds in each criterion; 0–100. A missing answer scores nothing."""
    points = 0
    for criterion in criteria:
        for condition, worth in criterion.steps:
            if condition.value(answers, context) is True:
                points += worth
                break
    return float(points)

"""The two partial indices beside the index: performance, and the capacity behind it (framework §12). Pure."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

PERFORM, CAPACITY = "PERFORM", "CAPACITY"
NAMES = {PERFORM: "Performance", CAPACITY: "Capacity"}
OUTCOMES = "O"


def partial_indices(pillars: np.ndarray, codes: Sequence[str], weights: np.ndarray, floor: float) -> np.ndarray:
    """Performance is the pillar of outcomes; capacity the geometric mean of the others, weights rescaled: (…, 2).

    pillars : (…, n_pillars), NaN = missing. Capacity needs all of its pillars, as the index needs all of them.

    >>> scores = np.array([[64.0, 25.0, 100.0], [np.nan, 0.0, 50.0]])
    >>> partial_indices(scores, ["O", "H", "S"], np.array([0.5, 0.25, 0.25]), 1.0).round(6).tolist()
    [[64.0, 50.0], [nan, 7.071068]]
    """
    outcome = [code == OUTCOMES for code in codes].index(True)
    others = [place for place in range(len(codes)) if place != outcome]
    share = weights[others] / weights[others].sum()
    logs = np.log(np.maximum(pillars[..., others], floor))
    return np.stack([pillars[..., outcome], np.exp((logs * share).sum(axis=-1))], axis=-1)


def with_partial(scores: pd.DataFrame, pillars: Sequence[str], weights: np.ndarray, floor: float) -> pd.DataFrame:
    """Scores with the columns PERFORM and CAPACITY. scores : columns by node, the pillars among them."""
    found = partial_indices(scores[list(pillars)].to_numpy(dtype=float), pillars, weights, floor)
    return scores.assign(**{PERFORM: found[:, 0], CAPACITY: found[:, 1]})


def with_partial_coverage(observed: pd.DataFrame, pillars: Sequence[str], weights: np.ndarray) -> pd.DataFrame:
    """Shares of the effective weight that was observed, with those of the partial indices."""
    inside = pd.Series(weights, index=list(pillars)).drop(OUTCOMES)
    capacity = (observed[inside.index] * inside).sum(axis=1) / inside.sum()
    return observed.assign(**{PERFORM: observed[OUTCOMES], CAPACITY: capacity})

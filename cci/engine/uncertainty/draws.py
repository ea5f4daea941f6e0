"""Draw the settings of every replicate before anything is computed, so that neither the number of workers nor the
size of a block can touch them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.errors import ConfigError, DataError
from cci.engine.meta import Hierarchy
from cci.engine.tables import FloatArray
from cci.engine.uncertainty.choices import Choices, WeightChoice

IntArray = NDArray[np.int64]
# Each source has random numbers of its own, by its place here: adding one leaves the draws of the others.
SOURCES = ("noise", "impute", "treat", "normalise", "aggregate", "indicators", "weights")


@dataclass(frozen=True)
class Design:
    """What each replicate uses: for every source a number, shape (n_replicates,), and what the numbers stand for.

    weights : the sets drawn or given, shape (n_sets, n_elements), elements in the order of the hierarchy.
    left_out : the sets of elements left out, same second axis, bool.
    """

    numbers: Mapping[str, IntArray]
    weights: FloatArray
    left_out: NDArray[np.bool_]
    elements: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers["weights"])

    def weights_of(self, rows: IntArray) -> FloatArray:
        """The weights of some replicates, (n, n_elements); NaN where the element is left out."""
        found = self.weights[self.numbers["weights"][rows]]
        found[self.left_out[self.numbers["indicators"][rows]]] = np.nan
        return found


def random(seed: int, source: str, number: int | None = None) -> np.random.Generator:
    """The random numbers of one source, or of one draw of it."""
    key = (SOURCES.index(source),) if number is None else (SOURCES.index(source), number)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


def drawn(
    choices: Choices,
    hierarchy: Hierarchy,
    below: Sequence[str],
    *,
    noise: bool = False,
    weight_sets: pd.DataFrame | None = None,
) -> Design:
    """Draw every replicate of an uncertainty analysis: each source by itself, each option as likely as the others.

    below : the elements that the target stands on. noise : the values are drawn anew in each replicate.
    The first replicates of a longer analysis are those of a shorter one with the same seed.
    """
    n = choices.replicates
    numbers = dict.fromkeys(SOURCES, np.zeros(n, dtype=np.int64))
    for step, options in choices.steps.items():
        numbers[step] = random(choices.seed, step).integers(len(options), size=n)
    if choices.impute_draws:
        numbers["impute"] = random(choices.seed, "impute").integers(choices.impute_draws, size=n)
    if noise:
        numbers["noise"] = np.arange(n)
    design = pools(choices, hierarchy, below, n, weight_sets=weight_sets)
    if len(design.left_out) > 1:
        numbers["indicators"] = np.arange(n)
    if choices.weights is not None and choices.weights.kind == "sets":
        numbers["weights"] = random(choices.seed, "weights").integers(len(design.weights), size=n)
    elif choices.weights is not None:
        numbers["weights"] = np.arange(n)
    return replace(design, numbers=numbers)


def fixed(hierarchy: Hierarchy) -> Design:
    """Nothing varied yet: the weights of the run, every element in use."""
    elements = (*hierarchy.indicators, *hierarchy.aggregates)
    weights = np.array([hierarchy.weights[list(elements)]], dtype=np.float64)
    return Design({}, weights, np.zeros((1, len(elements)), dtype=bool), elements)


def pools(
    choices: Choices,
    hierarchy: Hierarchy,
    below: Sequence[str],
    n: int,
    *,
    weight_sets: pd.DataFrame | None = None,
) -> Design:
    """Draw `n` sets of weights and of left-out indicators, where they are varied; else the one of the run."""
    design = fixed(hierarchy)
    elements, left_out = design.elements, design.left_out
    weights = design.weights
    if choices.weights is not None and choices.weights.kind == "sets":
        weights = given_weights(weight_sets, hierarchy)
    elif choices.weights is not None:
        weights = drawn_weights(choices.weights, hierarchy, below, n, random(choices.seed, "weights"))
    if choices.leave_out or choices.leave_out_share:
        indicators = sorted(code for code in below if hierarchy.levels[code] == 1)
        number = choices.leave_out or max(1, round(choices.leave_out_share * len(indicators)))
        if number >= len(indicators):
            raise ConfigError(
                f"{number} of {len(indicators)} indicators would leave none; leave out fewer.",
                table="uncertainty.indicators",
                key="leave_out",
            )
        order = random(choices.seed, "indicators").random((n, len(indicators))).argsort(axis=1)[:, :number]
        places = np.array([elements.index(code) for code in indicators])[order]
        left_out = np.zeros((n, len(elements)), dtype=bool)
        np.put_along_axis(left_out, places, True, axis=1)
    return Design({}, weights, left_out, elements)


def drawn_weights(
    choice: WeightChoice, hierarchy: Hierarchy, below: Sequence[str], n: int, rng: np.random.Generator
) -> FloatArray:
    """Draw sets of weights around those of the hierarchy, shape (n, n_elements), elements in its order.

    below : the elements whose weights count; the others keep theirs. Numbers are drawn set by set, within a set
    by code, so that neither the rows of the meta nor `n` changes what a set holds.
    """
    elements = (*hierarchy.indicators, *hierarchy.aggregates)
    weights = np.repeat(fixed(hierarchy).weights, n, axis=0)
    codes = sorted(below)
    places = np.array([elements.index(code) for code in codes], dtype=np.intp)
    base = weights[0, places]
    if choice.kind == "dirichlet":
        totals = {code: float(hierarchy.weights[hierarchy.components(code)].sum()) for code in hierarchy.aggregates}
        shares = base / np.array([totals[hierarchy.parents[code]] for code in codes])
        # Gamma variables are a Dirichlet's shares before they are divided by their sum, which scoring does.
        weights[:, places] = rng.standard_gamma(choice.concentration * shares, size=(n, len(codes)))
        return weights
    unknown = sorted(set(choice.factors) - {0} - {hierarchy.levels[code] for code in codes})
    if unknown:
        raise ConfigError(
            f"the target has no elements on level {unknown[0]} below it; correct the levels.",
            table="uncertainty.weights",
            key="levels",
        )
    everywhere = choice.factors.get(0, 0.0)
    factors = np.array([choice.factors.get(hierarchy.levels[code], everywhere) for code in codes])
    weights[:, places] = np.maximum(base * (1 + factors * rng.uniform(-1, 1, size=(n, len(codes)))), 0)
    return weights


def given_weights(sets: pd.DataFrame | None, hierarchy: Hierarchy, *, file: str = "weight sets") -> FloatArray:
    """Check a table of weight sets and return it, shape (n_sets, n_elements), elements in the hierarchy's order.

    sets : labelled by element code (or with a column iCode), one column per set; a column Level is not used.
    An element without a row keeps its weight. Raises DataError for an unknown element, and for a weight that
    is missing or negative.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 3, 1]}))
    >>> given_weights(pd.DataFrame({"iCode": ["b"], "w1": [2.0], "w2": [5.0]}), tree).tolist()
    [[1.0, 2.0, 1.0], [1.0, 5.0, 1.0]]
    """
    if sets is None:
        raise ConfigError(
            "the weight sets are not given; name their file.", table="uncertainty.weights", key="sets_file"
        )
    if "iCode" in sets.columns:
        sets = sets.set_index("iCode")
    sets = sets.drop(columns="Level", errors="ignore")
    elements = (*hierarchy.indicators, *hierarchy.aggregates)
    for row, code in enumerate(sets.index):
        if code not in elements or code in sets.index[:row]:
            what = (
                "stands twice; keep one row" if code in elements else "is no element of the hierarchy; delete the row"
            )
            raise DataError(f"{code} {what}.", file=file, row=row + 2, column="iCode")
    cells = sets.to_numpy(dtype=np.float64)
    wrong = np.argwhere(~(np.isfinite(cells) & (cells >= 0)))
    if wrong.size or not cells.shape[1]:
        row, column = wrong[0] if wrong.size else (0, 0)
        name = str(sets.columns[column]) if cells.shape[1] else None
        raise DataError(
            f"the weight of {sets.index[row]} must be a number, 0 or more."
            if name
            else "there is no set; add a column.",
            file=file,
            row=int(row) + 2,
            column=name,
        )
    weights: FloatArray = np.repeat(
        hierarchy.weights[list(elements)].to_numpy(dtype=np.float64)[None], cells.shape[1], axis=0
    )
    weights[:, [elements.index(code) for code in sets.index]] = cells.T
    return weights

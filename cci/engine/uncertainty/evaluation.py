"""Evaluate the replicates of a design: prepare each distinct table once, score and rank in blocks, on threads."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cci.engine.errors import EngineError
from cci.engine.tables import FloatArray
from cci.engine.uncertainty.draws import Design
from cci.engine.uncertainty.kernel import Layout, Tree, laid_out, score
from cci.engine.uncertainty.preparation import Preparation, times_of
from cci.engine.uncertainty.ranks import RankArray, rank_rows

# Cells of a block: few enough for it and its parts to stay in a cache, enough to outweigh the calls.
BLOCK = 2**17


@dataclass(frozen=True)
class Evaluated:
    """Ranks, shape (n_replicates, n_units), 0 for none; scores, same shape, where asked for; and for each
    replicate why it could not be computed, empty where it could."""

    ranks: RankArray
    scores: FloatArray | None
    problems: tuple[str, ...]

    @property
    def ok(self) -> NDArray[np.bool_]:
        return np.array([not problem for problem in self.problems], dtype=bool)


def evaluate(
    preparation: Preparation,
    trees: Sequence[Tree],
    design: Design,
    *,
    ties: str = "min",
    tolerance: float = 1e-9,
    keep_scores: bool = False,
    workers: int = 1,
    block: int | None = None,
) -> Evaluated:
    """Score and rank every replicate of a design.

    trees : one for each option of the aggregation. workers : threads. block : replicates scored together; by
    default as many as fit a core's cache. Neither changes a bit of the result.

    Replicates that share their values, imputation, treatment and normalisation share one table, prepared once;
    their weights are applied to it together.
    """
    index = preparation.values.index
    n_units, n = len(index), len(design)
    block = block or max(1, BLOCK // max(n_units, 1))
    kind = rank_rows(np.empty((0, n_units)), ties=ties).dtype
    ranks: RankArray = np.zeros((n, n_units), dtype=kind)
    scores = np.full((n, n_units), np.nan) if keep_scores else None
    problems = [""] * n
    times = times_of(index)
    numbers = np.stack([design.numbers[name] for name in ("noise", "impute", "treat", "normalise", "aggregate")])
    rows_of = _by_columns(numbers)
    tables: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for setting in rows_of:
        tables.setdefault(setting[:3], []).append(setting)

    def prepare(key: tuple[int, ...]) -> dict[tuple[int, ...], Layout | str]:
        """The layouts of one treated table, or why there is none."""
        found: dict[tuple[int, ...], Layout | str] = {}
        normalised: dict[int, FloatArray] = {}
        try:
            treated = preparation.treated(*key)
        except EngineError as exc:
            return dict.fromkeys(tables[key], str(exc))
        for setting in tables[key]:
            try:
                if setting[3] not in normalised:
                    normalised[setting[3]] = preparation.normalised(treated, setting[3])
                found[setting] = laid_out(normalised[setting[3]], trees[setting[4]], times)
            except EngineError as exc:
                found[setting] = str(exc)
        return found

    def compute(task: tuple[Layout, NDArray[np.int64]]) -> None:
        layout, rows = task
        found, failed = score(layout, design.weights_of(rows))
        infinite = np.isinf(found).any(axis=1)
        for position in np.flatnonzero((failed > 0) | infinite):
            problems[rows[position]] = _problem(layout.tree, int(failed[position]))
        good = (failed == 0) & ~infinite
        for places in times:
            # One time is the usual case, and a slice makes no copy.
            part = slice(None) if len(times) == 1 else places
            ranked = rank_rows(found[good][:, part], ties=ties, tolerance=tolerance)
            ranks[np.ix_(rows[good], places)] = ranked
        if scores is not None:
            scores[rows[good]] = found[good]

    with ThreadPoolExecutor(max_workers=workers) as pool:
        run: Callable[..., Iterable[Any]] = pool.map if workers > 1 else map
        keys = sorted(tables, key=lambda key: (key[1], key))  # a block of drawn gaps is made once
        # One treated table for each worker at a time, for the memory's sake; its replicates are shared by all.
        for start in range(0, len(keys), workers):
            tasks: list[tuple[Layout, NDArray[np.int64]]] = []
            for layouts in run(prepare, keys[start : start + workers]):
                for setting, layout in layouts.items():
                    rows = rows_of[setting]
                    if isinstance(layout, str):
                        for row in rows:
                            problems[row] = layout
                    else:
                        tasks += [(layout, rows[i : i + block]) for i in range(0, len(rows), block)]
            for _ in run(compute, tasks):
                pass
    return Evaluated(ranks, scores, tuple(problems))


def _by_columns(numbers: NDArray[np.int64]) -> dict[tuple[int, ...], NDArray[np.int64]]:
    """The replicates of each distinct column of settings."""
    order = np.lexsort(numbers[::-1])
    ordered = numbers[:, order]
    starts = np.flatnonzero(np.concatenate([[True], (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)]))
    parts = np.split(order, starts[1:])
    return {tuple(int(one) for one in numbers[:, rows[0]]): np.sort(rows) for rows in parts if rows.size}


def _problem(tree: Tree, number: int) -> str:
    if not number:
        return "scores become infinite"
    group = list(tree.groups.values())[number - 1]
    return f"{group.code}: a value that the {group.rule.method} cannot take, or weights that are all 0"

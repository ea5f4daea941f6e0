"""An edition of 6,000 clusters, stage by stage: from the tables of a snapshot to everything that is stored.

python -m bench edition            BENCH_RETURNS=1000000 (about 5,600 clusters); BENCH_DRAWS=1000; threads 1, 2 and 4

The tables are copies of the invented panel under other names, two rounds. Floor: the same columns summed and averaged
by cluster once with pandas; it scores, resamples and explains nothing.

Joint replicates: 1,000 draws of the pillar weights, each over one of the methodology's 200 replicates of the firms. On
threads of its own work: resampling, scoring of replicates, ranks of draws, indicators; OPENBLAS_NUM_THREADS=1 keeps the
library from opening more. Processor seconds stand beside the seconds that went by: on a busy machine only they compare.
"""

import os
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

STAGES = {
    "compute_round": "indicators of the round, and of the round before",
    "reliability": "reliability and standing",
    "score": "scores",
    "precision_of": "firms resampled × pillar weights drawn: errors, intervals",
    "robustness_of": "robustness of bands",
    "explain": "explanations",
    "coherence_of": "audit of coherence",
    "_digest": "digest",
}


Seconds = tuple[float, float]


def timed(took: dict[str, Seconds], name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The work, noting what it took: seconds that went by, and of all processors."""

    def run(*args: Any, **kwargs: Any) -> Any:
        start, busy = time.perf_counter(), time.process_time()
        try:
            return work(*args, **kwargs)
        finally:
            went, used = took[name]
            took[name] = went + time.perf_counter() - start, used + time.process_time() - busy

    return run


def with_draws(method: Any, draws: int) -> Any:
    """A copy of a methodology that draws the pillar weights so many times."""
    uncertainty = method.content["uncertainty"] | {"draws": draws}
    return replace(method, content=method.content | {"uncertainty": uncertainty})


def run() -> None:
    from bench.indicators import ROUNDS, fresh, tables_of
    from cci.methodology import load_method
    from cci.services import computing
    from facts.indicators.parallel import SETTING

    method = with_draws(load_method("1.0"), int(os.environ.get("BENCH_DRAWS", 1_000)))
    uncertainty = method.content["uncertainty"]
    returns = int(os.environ.get("BENCH_RETURNS", 1_000_000))
    tables = tables_of(returns)
    now = tables.units[tables.units["round"] == ROUNDS[-1]]
    numeric = now.select_dtypes("number").columns.difference(["round"])
    start = time.perf_counter()
    now.groupby("cluster")[list(numeric)].agg(["sum", "mean"])
    floor = time.perf_counter() - start
    took: dict[str, Seconds] = defaultdict(lambda: (0.0, 0.0))
    for name in STAGES:
        setattr(computing, name, timed(took, name, getattr(computing, name)))
    print(f"\nAn edition of {len(tables.codes):,} clusters from {len(now):,} returns, {os.cpu_count()} cores")
    print(f"{uncertainty['draws']:,} joint replicates over {uncertainty['replicates']} of the firms")
    alone = 0.0
    for threads in (1, 2, 4):
        os.environ[SETTING] = str(threads)
        took.clear()
        result = timed(took, "all", computing.compute_edition)(fresh(tables), ROUNDS[-1], method, "bench")
        whole, busy = took.pop("all")
        alone = alone or whole
        print(f"{threads} thread{'s' if threads > 1 else ' '}{'seconds':>60}{'processor':>11}")
        for name, words in STAGES.items():
            print(f"  {words:60}{took[name][0]:8.2f}{took[name][1]:11.2f}")
        went, used = (sum(column) for column in zip(*took.values(), strict=True))
        print(f"  {'the rest':60}{whole - went:8.2f}{busy - used:11.2f}")
        print(f"  {'all':60}{whole:8.2f}{busy:11.2f}  {whole / floor:.1f} × the floor ({floor:.2f} s)", end="")
        print(f"  gain {alone / whole:.2f}")
        print(f"  digest {result['digest'][:16]}, {len(result['ranks']):,} ranked")
    print(f"memory at its peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")

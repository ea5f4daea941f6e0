"""Benchmarks: see `python -m bench`."""

import time
from collections.abc import Callable


def best(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of the quickest of a few runs."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took)

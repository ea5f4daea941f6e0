"""Independent pieces of work on threads: NumPy leaves the interpreter to others while it computes."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

SETTING = "CCI_THREADS"
T = TypeVar("T")
R = TypeVar("R")


def threads() -> int:
    """How many threads to work on: the environment's CCI_THREADS, else one a core."""
    return max(1, int(os.environ.get(SETTING, 0)) or os.cpu_count() or 1)


def in_order(work: Callable[[T], R], pieces: Iterable[T], workers: int | None = None) -> Iterator[R]:
    """What `work` makes of each piece, in the order of the pieces, on so many threads; a few pieces ahead at most, so
    that memory does not grow with their number. How many threads there are changes no result.

    >>> list(in_order(lambda x: x * x, [3, 1, 2], workers=2))
    [9, 1, 4]
    """
    workers = workers or threads()
    if workers == 1:
        yield from map(work, pieces)
        return
    with ThreadPoolExecutor(workers) as pool:
        left = iter(pieces)
        running = [pool.submit(work, piece) for piece in islice(left, 2 * workers)]
        while running:
            done = running.pop(0).result()
            running += [pool.submit(work, piece) for piece in islice(left, 1)]
            yield done

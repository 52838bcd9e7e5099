"""Long tables, worked on some rows at a time in as many threads as there are cores."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_chunks(work: Callable[[slice], Result], n_rows: int, rows: int) -> list[Result]:
    """`work(rows)` for slices of at most so many rows, in order. Pays where `work` is numpy and scipy: these work
    without Python's lock.
    """
    starts = range(0, n_rows, rows)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda start: work(slice(start, min(start + rows, n_rows))), starts))

"""What can be wrong with the images of a catalog, found by opening each of them."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoobot.errors import ImageError
from zoobot.shared.fault_findings import Fault
from zoobot.shared.fault_kinds import CONSTANT, SAME_PIXELS, UNREADABLE, UNUSUAL, Kind
from zoobot.shared.images import ImageFacts, inspect_image

# Below this share of one size and mode, a catalog has no usual one: some surveys cut every galaxy to its own size.
_USUAL_SHARE = 0.9


@dataclass(frozen=True)
class _Opened:
    """One image: what it is, or why it cannot be read."""

    facts: ImageFacts | None
    problem: str = ""


def find_image_faults(
    column: str,
    file_locs: Sequence[str],
    rows: Sequence[int],
    workers: int | None,
    on_progress: Callable[[], Any] = lambda: None,
) -> Iterator[Fault]:
    """Open images, several at once.

    Args:
        column: that of the catalog which names them.
        file_locs: the paths.
        rows: position in the catalog of each.
        workers: how many are opened at once; by default one per core.
    """

    def open_one(path: str) -> _Opened:
        try:
            return _Opened(inspect_image(path))
        except ImageError as error:
            return _Opened(None, str(error))
        finally:
            on_progress()

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        opened = list(pool.map(open_one, file_locs))
    where = list(zip(rows, opened, strict=True))
    yield _fault(column, UNREADABLE, [(row, image.problem) for row, image in where if image.facts is None])
    known = [(row, image.facts) for row, image in where if image.facts is not None]
    yield _fault(
        column, CONSTANT, [(row, f"all {facts.lowest:g}") for row, facts in known if facts.lowest == facts.highest]
    )
    yield _fault(column, SAME_PIXELS, list(_find_same_pixels(known)))
    yield _fault(column, UNUSUAL, list(_find_unusual(known)))


def _find_same_pixels(known: Sequence[tuple[int, ImageFacts]]) -> Iterator[tuple[int, str]]:
    first: dict[bytes, int] = {}
    for row, facts in known:
        if facts.lowest != facts.highest and first.setdefault(facts.checksum, row) != row:
            yield row, f"as in row {first[facts.checksum] + 1:,}"


def _find_unusual(known: Sequence[tuple[int, ImageFacts]]) -> Iterator[tuple[int, str]]:
    kinds = Counter(facts.kind for _, facts in known)
    if not kinds:
        return
    usual, count = kinds.most_common(1)[0]
    if count >= _USUAL_SHARE * len(known):
        yield from ((row, f"{facts.kind}, most are {usual}") for row, facts in known if facts.kind != usual)


def _fault(column: str, kind: Kind, found: Sequence[tuple[int, str]]) -> Fault:
    rows = np.array([row for row, _ in found], np.int64)
    return Fault.of_column(kind, rows, column, [value for _, value in found])

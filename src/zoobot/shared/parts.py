"""Parts: what is made of a catalog's galaxies, in numbered Parquet files of so many galaxies each.

Parts are made by number, so that any process can make any of them: a run that was ended goes on with those that lack,
and several processes share them out (`shares.py`). What a part holds of each galaxy is an array of any shape.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.progress import Progress, TextColumn

from zoobot.errors import ImageError, OutputError, PredictionError
from zoobot.shared.catalogs import Catalog
from zoobot.shared.predictions import SPLIT_COLUMN, read_rejected
from zoobot.shared.shares import Share

logger = logging.getLogger(__name__)

Rejected = list[tuple[str, str, str]]
"""`(id_str, file_loc, reason)` of galaxies that a part lacks."""


@dataclass(frozen=True)
class MadeBatch:
    """What was made of some galaxies of one part.

    Args:
        rows: of the galaxies whose images can be read.
        values: `(galaxy, ...)`, what was made of each; empty, but of the same shape, where none can be read.
        problems: row -> what is wrong with its image.
    """

    rows: Sequence[int]
    values: npt.NDArray[np.float32]
    problems: Mapping[int, str]


class Parts:
    """The parts of one run.

    Args:
        folder: of the run.
        split: `id_str` -> where the model had that galaxy, for the column `model_split`.
        write: writes a part atomically: its path, its galaxies' table, their values, and those that it lacks. These
            must be found again by `predictions.read_rejected`.
    """

    def __init__(
        self,
        folder: Path,
        galaxies: Catalog,
        split: Mapping[str, str],
        part_size: int,
        write: Callable[[Path, pd.DataFrame, npt.NDArray[np.float32], Rejected], None],
    ) -> None:
        self.folder, self.galaxies, self.part_size = folder, galaxies, part_size
        self._split, self._write = split, write
        self._n_parts = -(-len(galaxies) // part_size)

    def path(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.parquet"

    def rows(self, number: int) -> range:
        return range(number * self.part_size, min((number + 1) * self.part_size, len(self.galaxies)))

    def find_made(self) -> list[int]:
        """Numbers of the parts that are there, whole."""
        return [number for number in range(self._n_parts) if self._is_made(number)]

    def find_missing(self, share: Share) -> list[int]:
        """Numbers of the parts that a share has yet to make."""
        missing = [number for number in range(self._n_parts) if share.has(number) and not self._is_made(number)]
        if share.of > 1:
            logger.info("This is %s: %d of its parts lack.", share, len(missing))
        return missing

    def count_missing(self) -> int:
        return self._n_parts - len(self.find_made())

    def make(
        self, numbers: Sequence[int], batches: Iterator[MadeBatch], doing: str, on_bad_image: str = "skip"
    ) -> None:
        """Write some parts.

        Args:
            batches: of the galaxies of these parts in order, none of which reaches from one part into the next.
            doing: for the progress bar: `Predicting`.
            on_bad_image: `skip`, or `stop` at the first batch with an image that cannot be read.

        Raises:
            ImageError: an image cannot be read, and that is to stop the run.
            OutputError: a part cannot be written.
        """
        columns = (*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"))
        with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task(doing, total=sum(len(self.rows(number)) for number in numbers), rate="")

            def show(count: int) -> None:
                progress.advance(task, count)
                speed = progress.tasks[task].speed
                progress.update(task, rate=f"{speed:,.0f} galaxies/s" if speed else "")

            for number in numbers:
                self._make_one(number, batches, on_bad_image, show)

    def _make_one(
        self, number: int, batches: Iterator[MadeBatch], on_bad_image: str, show: Callable[[int], Any]
    ) -> None:
        rows = self.rows(number)
        values: npt.NDArray[np.float32] | None = None
        problems: dict[int, str] = {}
        done = 0
        while done < len(rows):
            batch = next(batches)
            if batch.problems and on_bad_image == "stop":
                raise ImageError("\n".join(batch.problems.values()) + "\n--on-bad-image skip leaves out such galaxies.")
            if values is None:
                values = np.full((len(rows), *batch.values.shape[1:]), np.nan, np.float32)
            values[np.array(batch.rows, int) - rows[0]] = batch.values
            problems |= batch.problems
            count = len(batch.rows) + len(batch.problems)
            done += count
            show(count)
        if values is not None:
            self._write_one(number, values, problems)

    def _write_one(self, number: int, values: npt.NDArray[np.float32], problems: Mapping[int, str]) -> None:
        rows = self.rows(number)
        readable = ~np.isin(np.array(rows), list(problems))
        table, column = self.galaxies.read_rows(rows), self.galaxies.file_columns[0]
        table[SPLIT_COLUMN] = [self._split.get(galaxy, "") for galaxy in table["id_str"]]
        left_out = table.loc[~readable, ["id_str", column]].to_numpy().tolist()
        rejected = [
            (galaxy, file, problems[row]) for (galaxy, file), row in zip(left_out, sorted(problems), strict=True)
        ]
        try:
            self._write(self.path(number), table[readable], values[readable], rejected)
        except OSError as error:
            raise OutputError(
                f"'{self.path(number)}' cannot be written: {error.strerror}. The parts before it are there: make room, "
                "and the same command goes on."
            ) from error

    def _is_made(self, number: int) -> bool:
        """Whether a part is there, whole; a damaged one is made again."""
        if not self.path(number).is_file():
            return False
        try:
            read_rejected(self.path(number))
            return True
        except PredictionError as error:
            logger.warning("%s It is made again.", error)
            return False


@dataclass(frozen=True)
class PartBatches:
    """The rows of each batch, one batch after the other, none of which reaches from one part into the next."""

    parts: Sequence[range]
    batch_size: int

    def __iter__(self) -> Iterator[list[int]]:
        size = self.batch_size
        return (list(rows[first : first + size]) for rows in self.parts for first in range(0, len(rows), size))

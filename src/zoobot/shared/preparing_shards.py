"""Shards while they are prepared: images are read a few ahead, and written in the order of the catalog."""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from zoobot.config import PrepareSettings
from zoobot.errors import ImageError
from zoobot.shared.adjustments import to_square
from zoobot.shared.catalogs import Catalog
from zoobot.shared.images import ImageArray, read_untouched_jpeg, read_with_remarks
from zoobot.shared.model_folders import file_checksum
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.shards import SUFFIXES, Entry, Shape, ShardWriter, open_writer


@dataclass
class ShardRecord:
    """What is known of a finished shard, kept in a file until all are."""

    file: str
    bytes: int
    sha256: str
    rows: list[int]
    places: list[tuple[int, int]]
    rejected: list[tuple[int, str]]
    flagged: list[tuple[int, str]]
    enlarged: int


def record_path(folder: Path, number: int) -> Path:
    """The record of a finished shard, which stands beside it until all are."""
    return folder / f".shard-{number:05d}.json"


@dataclass(frozen=True)
class _Image:
    """A galaxy's image, ready to be written, or why there is none."""

    content: ImageArray | bytes | None = None
    shape: Shape = (0, 0, 0)
    is_enlarged: bool = False
    remark: str = ""
    problem: str = ""


class Preparing:
    """Writes the shards of one run."""

    def __init__(
        self,
        folder: Path,
        galaxies: Catalog,
        settings: PrepareSettings,
        shape: Shape,
        pool: ThreadPoolExecutor,
        on_progress: Callable[[], None],
    ) -> None:
        self._folder, self._settings, self._shape, self._pool = folder, settings, shape, pool
        self._on_progress = on_progress
        self._files, self._ids = galaxies.image_files, galaxies.id_str
        self._label_cols = galaxies.schema.label_cols if galaxies.schema else []
        self._votes = galaxies.table[self._label_cols].to_numpy(np.float64)

    def write_shard(self, number: int) -> None:
        """Write a shard, then its record: a shard without one is written anew by the next run."""
        size = self._settings.shard_size
        rows = range(number * size, min((number + 1) * size, len(self._files)))
        name = f"shard-{number:05d}{SUFFIXES[self._settings.format]}"
        record = ShardRecord(name, 0, "", [], [], [], [], 0)
        temporary = self._folder / f".{name}.partial"
        with temporary.open("wb") as file, open_writer(self._settings.format, file, self._shape) as writer:
            for row, image in self._read_in_order(rows):
                self._on_progress()
                self._add(writer, record, row, image)
        record.bytes, record.sha256 = temporary.stat().st_size, file_checksum(temporary)
        os.replace(temporary, self._folder / name)
        write_atomically(record_path(self._folder, number), json.dumps(asdict(record)))

    def _add(self, writer: ShardWriter, record: ShardRecord, row: int, image: _Image) -> None:
        if image.content is None:
            if self._settings.on_bad_image == "stop":
                raise ImageError(f"{image.problem}\n--on-bad-image drop leaves out such galaxies.")
            record.rejected.append((row, image.problem))
            return
        votes = dict(zip(self._label_cols, self._votes[row].tolist(), strict=True))
        record.places.append(writer.add(Entry(row, self._ids[row], votes, image.content, image.shape)))
        record.rows.append(row)
        record.enlarged += image.is_enlarged
        if image.remark:
            record.flagged.append((row, image.remark))

    def _read_in_order(self, rows: range) -> Iterator[tuple[int, _Image]]:
        """Images in the order of their rows, a few of them read ahead."""
        ahead = 4 * (self._settings.workers or os.cpu_count() or 1)
        waiting: deque[tuple[int, Future[_Image]]] = deque()
        try:
            for row in rows:
                future = self._pool.submit(_read_one, self._files[row], self._settings, self._shape[2])
                waiting.append((row, future))
                if len(waiting) > ahead:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _read_one(files: tuple[str, ...], settings: PrepareSettings, channels: int) -> _Image:
    try:
        if settings.pixels == "jpeg":
            if len(files) > 1:
                raise ImageError(f"'{files[0]}' is one of several bands, which --pixels jpeg cannot keep.")
            encoded, image = read_untouched_jpeg(files[0], settings.color)
            return _Image(encoded, image.shape)
        image, remarks = read_with_remarks(files, settings.reading)
    except ImageError as error:
        return _Image(problem=str(error))
    if image.shape[2] != channels:
        return _Image(problem=f"'{files[0]}' has {image.shape[2]} channels, most images have {channels}.")
    square = to_square(image, settings.image_size)
    is_enlarged = min(image.shape[:2]) < settings.image_size
    return _Image(np.ascontiguousarray(square), square.shape, is_enlarged, "; ".join(remarks))

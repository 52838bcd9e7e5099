"""A folder of prepared images: what it says of itself, and its images by row.

info.json         format, size, channels, reading, schema, counts, shards with their checksums, version
catalog.parquet   the galaxies in the order of their images: id_str, file_loc, votes and every other column
index.parquet     where each galaxy's bytes are: shard, offset, length (not for a store, which needs none)
shard-*           see `shards`
rejected.csv      galaxies that were left out, with the reason of each
flagged.csv       galaxies whose images look odd
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from zoobot.config import ImageSettings
from zoobot.errors import SettingError, ShardError
from zoobot.shared import shards
from zoobot.shared.images import ImageArray
from zoobot.shared.schemas import Schema

INFO, CATALOG, INDEX = "info.json", "catalog.parquet", "index.parquet"
VERSION = 1


class ShardInfo(BaseModel):
    """One shard: its file, how many galaxies and bytes it holds, and its checksum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    galaxies: int
    bytes: int
    sha256: str


class PreparedInfo(BaseModel):
    """What a prepared folder says of itself.

    Args:
        pixels: `raw` uint8, or the source's `jpeg` files.
        image_size: side of the images, in pixels; None for JPEG files, which keep their own.
        channels: of every image.
        bands: names of the bands where each had a file of its own, in the order of the channels; else empty.
        reading: how files became pixels, see `zoobot.config.ImageSettings`.
        schema_: the tree of the votes; None for galaxies without.
        enlarged: images that were smaller than `image_size`.
        tables: checksums of the Parquet files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    zoobot: str
    format: Literal["store", "tfrecord", "webdataset"]
    pixels: Literal["raw", "jpeg"]
    image_size: int | None
    channels: int
    bands: list[str]
    reading: dict[str, Any]
    tree: dict[str, Any] | None
    weighted_votes: bool
    galaxies: int
    rejected: int
    flagged: int
    enlarged: int
    shards: list[ShardInfo]
    tables: dict[str, str]

    @property
    def schema_of_votes(self) -> Schema | None:
        return None if self.tree is None else Schema.from_dict(self.tree)

    @property
    def image_settings(self) -> ImageSettings:
        return ImageSettings(**self.reading)


def is_prepared(path: str | Path) -> bool:
    """Whether a path is a folder of prepared images, finished or not."""
    folder = Path(path)
    return (folder / INFO).is_file() or (folder.is_dir() and any(folder.glob(".shard-*.json")))


def read_info(folder: str | Path) -> PreparedInfo:
    """What a prepared folder says of itself; `ShardError` if it is none, unfinished or damaged."""
    path = Path(folder)
    if not (path / INFO).is_file():
        if is_prepared(folder):
            raise ShardError(f"'{folder}' is not finished. Repeat the 'zoobot prepare' that began it.")
        what = "does not exist" if not path.exists() else "is no folder of prepared images: it has no info.json"
        raise ShardError(f"'{folder}' {what}. 'zoobot prepare' makes one.")
    try:
        info = PreparedInfo.model_validate_json((path / INFO).read_bytes())
        if any(Path(shard.file).name != shard.file for shard in info.shards):
            raise ShardError(f"'{path / INFO}' names shards outside of its folder.")
        return info
    except (OSError, ValidationError, SettingError) as error:
        raise ShardError(f"'{path / INFO}' is damaged, or of another version of zoobot: {error}") from error


class PreparedImages:
    """The images of a prepared folder, by position.

    Shards are mapped into memory when first read, in each process by itself.

    Raises:
        ShardError: a shard is missing or has another length than was written.
    """

    def __init__(self, folder: str | Path, info: PreparedInfo | None = None) -> None:
        self.folder = Path(folder)
        self.info = info or read_info(folder)
        self.color = self.info.image_settings.color
        self._rows = np.arange(self.info.galaxies)
        self._ends = list(accumulate(shard.galaxies for shard in self.info.shards))
        self._index = None if self.info.format == "store" else _read_index(self.folder, self.info)
        self._mapped: dict[int, npt.NDArray[np.uint8]] = {}
        for shard in self.info.shards:
            _refuse_wrong_length(self.folder / shard.file, shard.bytes)

    @property
    def channels(self) -> int:
        return self.info.channels

    def __len__(self) -> int:
        return len(self._rows)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": {}}

    @property
    def rows_in_folder(self) -> npt.NDArray[np.int64]:
        """`(galaxy,)`, where each image stands in the folder, counted through all shards."""
        return self._rows

    def rows(self, positions: npt.ArrayLike) -> "PreparedImages":
        """The same images in another order, or some of them."""
        chosen = object.__new__(PreparedImages)
        chosen.__dict__.update(self.__getstate__())
        chosen._rows = self._rows[np.asarray(positions)]
        return chosen

    def read(self, position: int) -> ImageArray:
        """One image, uint8 `(height, width, channel)`; that of a store is a part of its map, and read-only.

        Raises:
            ShardError, ImageError: its bytes are damaged.
        """
        row = int(self._rows[position])
        number = bisect_right(self._ends, row)
        shard = self._mapped.get(number)
        if shard is None:
            shard = self._map(number)
        if self._index is None:
            return shard[row - self._ends[number] + len(shard)]  # type: ignore[no-any-return]
        offset, length = self._index[row]
        path = self.folder / self.info.shards[number].file
        content = shard[offset : offset + length].tobytes()
        return shards.decode_entry(content, self.info.format, self.info.pixels, self.color, path, int(offset))

    def _map(self, number: int) -> npt.NDArray[np.uint8]:
        described = self.info.shards[number]
        shard = shards.map_shard(self.folder / described.file, self.info.format)
        if self.info.format == "store":
            size, channels = self.info.image_size, self.info.channels
            if shard.shape != (described.galaxies, size, size, channels):
                raise ShardError(f"'{self.folder / described.file}' holds {shard.shape}, not what info.json says.")
        self._mapped[number] = shard.view(np.ndarray)  # indexing a memmap object is slower
        return self._mapped[number]


def _read_index(folder: Path, info: PreparedInfo) -> npt.NDArray[np.int64]:
    """`(galaxy, 2)`: offset and length."""
    try:
        table = pq.read_table(folder / INDEX, columns=["offset", "length"])
        index: npt.NDArray[np.int64] = np.stack([column.to_numpy() for column in table.columns], axis=1)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise ShardError(f"'{folder / INDEX}' is damaged: {error}") from error
    if len(index) != info.galaxies:
        raise ShardError(f"'{folder / INDEX}' has {len(index):,} galaxies, info.json says {info.galaxies:,}.")
    return index


def _refuse_wrong_length(path: Path, expected: int) -> None:
    if not path.is_file():
        raise ShardError(f"The shard '{path}' is missing.")
    found = path.stat().st_size
    if found != expected:
        what = "is truncated" if found < expected else "is longer than it was"
        raise ShardError(
            f"The shard '{path}' {what}: it has {found:,} bytes of {expected:,}. Prepare the images again."
        )


def describe_difference(before: Sequence[str], now: Sequence[str]) -> str:
    """What one list of label columns has that the other lacks."""
    lacking = [name for name in before if name not in now]
    added = [name for name in now if name not in before]
    parts = [f"only in the folder: {', '.join(lacking)}"] if lacking else []
    parts += [f"only in the given schema: {', '.join(added)}"] if added else []
    return "; ".join(parts) or "the same columns, in another order or with other questions leading to each other"

"""Shards: files that hold the prepared images of many galaxies, with their names and votes.

    store        shard-00000.npy        one array, uint8 (galaxy, height, width, channel), read through a memory map
    tfrecord     shard-00000.tfrecord   one `tf.train.Example` per galaxy, see below
    webdataset   shard-00000.tar        two members per galaxy, ROW.npy or ROW.jpg, and ROW.json

The features of an example: `id_str` (bytes); `image` (bytes: uint8 pixels, row by row and channel last, or a JPEG
file); `shape` (three int64: height, width, channel); and one float for each label column, under its name. ROW is the
galaxy's row in the catalog, in nine digits; the JSON holds `id_str` and `votes`.
"""

import io
import json
import math
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np
import numpy.typing as npt

from zoobot.errors import ShardError
from zoobot.shared.images import ImageArray, decode_jpeg
from zoobot.shared.tfrecords import Feature, decode_example, encode_example, frame, unframe

SUFFIXES = {"store": ".npy", "tfrecord": ".tfrecord", "webdataset": ".tar"}
Shape = tuple[int, int, int]
"""Height, width, channel."""
_NPY_VERSION = (1, 0)
_TAR_BLOCK = 512


@dataclass(frozen=True)
class Entry:
    """One galaxy of a shard.

    Args:
        row: its row in the catalog.
        votes: by label column; empty for galaxies without.
        image: pixels `(height, width, channel)`, or the bytes of a JPEG file.
        shape: of the pixels.
    """

    row: int
    id_str: str
    votes: Mapping[str, float]
    image: ImageArray | bytes
    shape: Shape


class ShardWriter(Protocol):
    """Writes one shard to an open file; `add` returns where the galaxy's bytes begin and how many there are."""

    def add(self, entry: Entry) -> tuple[int, int]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_writer(shard_format: str, file: BinaryIO, shape: Shape) -> ShardWriter:
    """A writer of that format. `shape` is that of every image of a store."""
    if shard_format == "store":
        return StoreWriter(file, shape)
    return TFRecordWriter(file) if shard_format == "tfrecord" else TarWriter(file)


class _Closing:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()

    def finish(self) -> None:
        """Complete the file."""


class StoreWriter(_Closing):
    """A `.npy` file whose length is known, and filled in, at the end."""

    def __init__(self, file: BinaryIO, shape: Shape) -> None:
        self._file, self._shape, self._count = file, shape, 0
        self._write_header()

    def add(self, entry: Entry) -> tuple[int, int]:
        pixels = np.asarray(entry.image)
        if pixels.shape != self._shape or pixels.dtype != np.uint8:
            raise ShardError(f"A store of images {self._shape} cannot hold one of {pixels.shape}.")
        offset = self._file.tell()
        self._file.write(np.ascontiguousarray(pixels).data)
        self._count += 1
        return offset, pixels.nbytes

    def finish(self) -> None:
        self._file.seek(0)
        self._write_header()  # numpy leaves room for the first axis to grow

    def _write_header(self) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


class TFRecordWriter(_Closing):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, entry: Entry) -> tuple[int, int]:
        image = entry.image if isinstance(entry.image, bytes) else entry.image.tobytes()
        features: dict[str, Feature] = {
            "id_str": [entry.id_str.encode()],
            "image": [image],
            "shape": np.array(entry.shape, np.int64),
            **{label: np.array([votes], np.float32) for label, votes in entry.votes.items()},
        }
        record = frame(encode_example(features))
        offset = self._file.tell()
        self._file.write(record)
        return offset, len(record)


class TarWriter(_Closing):
    """USTAR, without times and owners: the same galaxies are the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def add(self, entry: Entry) -> tuple[int, int]:
        if isinstance(entry.image, bytes):
            suffix, content = "jpg", entry.image
        else:
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(entry.image), version=_NPY_VERSION)
            suffix, content = "npy", buffer.getvalue()
        offset = self._add(f"{entry.row:09d}.{suffix}", content)
        described = {"id_str": entry.id_str, "votes": dict(entry.votes)}
        self._add(f"{entry.row:09d}.json", json.dumps(described, ensure_ascii=False).encode())
        return offset, len(content)

    def finish(self) -> None:
        self._tar.close()

    def _add(self, name: str, content: bytes) -> int:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        member.mode = 0o644
        offset = self._tar.offset + _TAR_BLOCK
        self._tar.addfile(member, io.BytesIO(content))
        return offset


def map_shard(path: Path, shard_format: str) -> npt.NDArray[np.uint8]:
    """The shard as a read-only memory map: the images of a store, the bytes of other formats."""
    try:
        if shard_format == "store":
            mapped: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
            if mapped.dtype != np.uint8 or mapped.ndim != 4:
                raise ShardError(f"'{path}' holds {mapped.dtype} of shape {mapped.shape}, not uint8 images.")
            return mapped
        return np.memmap(path, np.uint8, mode="r")
    except ShardError:
        raise
    except Exception as error:  # numpy parses the header as Python
        raise ShardError(f"The shard '{path}' cannot be read: {error}") from error


def decode_entry(content: bytes, shard_format: str, pixels: str, color: bool, path: Path, offset: int) -> ImageArray:
    """The image of a galaxy from the bytes that a TFRecord or tar shard holds of it.

    Args:
        pixels: `raw` or `jpeg`.
        color: whether JPEG files are decoded to RGB.
        path, offset: where the bytes are from, for messages.

    Raises:
        ShardError: the bytes are damaged.
    """
    if shard_format == "tfrecord":
        features = decode_example(unframe(content, path, offset), path, ("image", "shape"))
        image, shape = features.get("image"), features.get("shape")
        if not isinstance(image, list) or len(image) != 1 or not isinstance(shape, np.ndarray) or len(shape) != 3:
            raise ShardError(f"The record at byte {offset:,} of '{path}' lacks the features 'image' and 'shape'.")
        return decode_pixels(image[0], tuple(int(length) for length in shape), pixels, color, path, offset)
    if pixels == "jpeg":
        return decode_jpeg(path, content, color)
    return _decode_npy(content, path, offset)


def decode_pixels(
    content: bytes, shape: tuple[int, ...], pixels: str, color: bool, path: Path, offset: int = 0
) -> ImageArray:
    """The image of the features `image` and `shape` of an example; the other arguments as of `decode_entry`."""
    return decode_jpeg(path, content, color) if pixels == "jpeg" else _reshape(content, shape, path, offset)


def _decode_npy(content: bytes, path: Path, offset: int) -> ImageArray:
    """The image of an `.npy` file; not `np.load`, which would take as much memory as a damaged header asks for."""
    stream = io.BytesIO(content)
    try:
        np.lib.format.read_magic(stream)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # numpy parses the header as Python
        raise ShardError(f"The image at byte {offset:,} of '{path}' is damaged: {error}") from error
    if dtype != np.uint8 or len(shape) != 3 or is_fortran:
        raise ShardError(f"The image at byte {offset:,} of '{path}' is no uint8 image.")
    return _reshape(content[stream.tell() :], shape, path, offset)


def _reshape(content: bytes, shape: tuple[int, ...], path: Path, offset: int) -> ImageArray:
    if min(shape) < 1 or len(content) != math.prod(shape):
        raise ShardError(f"The image at byte {offset:,} of '{path}' has {len(content):,} bytes, not those of {shape}.")
    return np.frombuffer(content, np.uint8).reshape(shape)

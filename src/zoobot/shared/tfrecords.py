"""TFRecord files and the examples in them, without TensorFlow.

A record is its length (uint64), the masked CRC-32C of that, the payload, and the masked CRC-32C of the payload. The
payload is a `tf.train.Example`: a protocol buffer that maps names to lists of bytes, float32 or int64.
https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

import os
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt

from zoobot.errors import ShardError

Feature = Sequence[bytes] | npt.NDArray[np.float32] | npt.NDArray[np.int64]

HEADER, FOOTER = 12, 4
"""Bytes of a record before and after its payload."""
_WRONG_LENGTH = "the length of the record at byte {:,} has a wrong checksum"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def frame(payload: bytes) -> bytes:
    """A record of a TFRecord file."""
    length = struct.pack("<Q", len(payload))
    return b"".join([length, _masked_crc(length), payload, _masked_crc(payload)])


def unframe(record: bytes, path: str | Path, offset: int) -> bytes:
    """The payload of one whole record; `ShardError` where a checksum is wrong. `offset` is for the message."""
    length = record[:8]
    if len(record) < HEADER or record[8:HEADER] != _masked_crc(length):
        raise ShardError(f"'{path}' is damaged: {_WRONG_LENGTH.format(offset)}.")
    payload = record[HEADER:-FOOTER]
    if len(payload) != struct.unpack("<Q", length)[0] or record[-FOOTER:] != _masked_crc(payload):
        raise ShardError(f"'{path}' is damaged: the record at byte {offset:,} has a wrong checksum.")
    return payload


def read_records(path: str | Path) -> Iterator[bytes]:
    """The payloads of a TFRecord file, each checked; `ShardError` where the file is damaged or ends too early."""
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        offset = 0
        while offset < size:
            header = file.read(HEADER)
            length = struct.unpack("<Q", header[:8])[0] if len(header) == HEADER else 0
            if len(header) == HEADER and header[8:] != _masked_crc(header[:8]):
                raise ShardError(f"'{path}' is damaged: {_WRONG_LENGTH.format(offset)}.")
            if offset + HEADER + length + FOOTER > size:
                raise ShardError(f"'{path}' is truncated: it ends within the record at byte {offset:,}.")
            yield unframe(header + file.read(length + FOOTER), path, offset)
            offset += HEADER + length + FOOTER


def encode_example(features: Mapping[str, Feature]) -> bytes:
    """Serialise a `tf.train.Example`, its features in the order of their names."""
    entries = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, _encode_feature(features[name]))) for name in sorted(features)
    )
    return _field(1, entries)


def decode_example(
    payload: bytes, path: str | Path = "a record", names: Collection[str] | None = None
) -> dict[str, Feature]:
    """The features of a serialised `tf.train.Example`, all or those of some names.

    Raises:
        ShardError: it is none. `path` is for the message.
    """
    found: dict[str, Feature] = {}
    try:
        for features in _fields(memoryview(payload), 1):
            for entry in _fields(features, 1):
                name = bytes(next(_fields(entry, 1), b"")).decode()
                if names is None or name in names:
                    found[name] = _decode_feature(next(_fields(entry, 2), memoryview(b"")))
        return found
    except (ValueError, IndexError, struct.error, OverflowError) as error:
        raise ShardError(f"'{path}' holds a record that is no tf.train.Example: {error}.") from error


def _open(path: str | Path) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ShardError(f"The shard '{path}' cannot be read: {error.strerror}.") from error


def _masked_crc(content: bytes) -> bytes:
    crc = google_crc32c.value(content)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _encode_feature(values: Feature) -> bytes:
    """The kind of list is the field's number: 1 bytes, 2 floats, 3 integers; numbers are packed."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return _field(2, _field(1, values.astype("<f4").tobytes()))
    if isinstance(values, np.ndarray):
        return _field(3, _field(1, b"".join(_varint(int(value) & 0xFFFFFFFFFFFFFFFF) for value in values)))
    return _field(1, b"".join(_field(1, value) for value in values))


def _decode_feature(feature: memoryview) -> Feature:
    for number, _, content in _parse(feature):
        if number == 1:
            return [bytes(value) for value in _fields(content, 1)]
        if number == 2:
            packed = b"".join(bytes(value) for _, _, value in _parse(content))
            return np.frombuffer(packed, "<f4").astype(np.float32)
        if number == 3:
            integers = [
                integer
                for _, kind, value in _parse(content)
                for integer in ([_read_varint(value, 0)[0]] if kind == _VARINT else _unpack(value))
            ]
            return np.array(integers, np.uint64).astype(np.int64)
    return []


def _field(number: int, content: bytes) -> bytes:
    return b"".join([_varint(number << 3 | _BYTES), _varint(len(content)), content])


def _fields(message: memoryview, number: int) -> Iterator[memoryview]:
    """The contents of the message's fields of that number, which must have a length."""
    return (content for found, kind, content in _parse(message) if found == number and kind == _BYTES)


def _parse(message: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Number, wire type and content of each field."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        kind, start = key & 7, position
        if kind == _VARINT:
            position = _read_varint(message, position)[1]
        elif kind == _BYTES:
            length, start = _read_varint(message, position)
            position = start + length
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")
        if position > len(message):
            raise ValueError("a field is longer than its message")
        yield key >> 3, kind, message[start:position]


def _unpack(packed: memoryview) -> Iterator[int]:
    position = 0
    while position < len(packed):
        integer, position = _read_varint(packed, position)
        yield integer


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """The number at a position, and the position behind it."""
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")

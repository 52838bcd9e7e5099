"""Preparing images: every file is decoded once and written into shards that are fast to read."""

import json
import logging
import os
import shutil
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import Progress

import zoobot
from zoobot.config import PrepareSettings
from zoobot.errors import CatalogError, ImageError, OutputError, SettingError, ShardError, ZoobotError
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.image_sources import refuse_wrong_stretch
from zoobot.shared.images import read_galaxy
from zoobot.shared.model_folders import file_checksum
from zoobot.shared.prepared_images import (
    CATALOG,
    INDEX,
    INFO,
    VERSION,
    PreparedImages,
    PreparedInfo,
    ShardInfo,
    is_prepared,
    read_info,
)
from zoobot.shared.preparing_shards import Preparing, ShardRecord, record_path
from zoobot.shared.run_folders import open_run, write_atomically
from zoobot.shared.schemas import Schema, load_schema
from zoobot.shared.shards import SUFFIXES, Shape
from zoobot.shared.shares import Share, claimed
from zoobot.shared.tables import write_table
from zoobot.shared.tfrecords import read_records

logger = logging.getLogger(__name__)

# Bytes beside the pixels of one galaxy: names, votes, headers and padding
_BYTES_BESIDE = {"store": 100, "tfrecord": 1500, "webdataset": 4000}
_IMAGES_TO_TRY = 100


@dataclass(frozen=True)
class PreparedFolder:
    """What `prepare` and `verify` return."""

    folder: Path
    info: PreparedInfo
    is_verified: bool = False

    def __str__(self) -> str:
        info = self.info
        size = "own size" if info.image_size is None else f"{info.image_size} x {info.image_size} pixels"
        channels = "1 channel" if info.channels == 1 else f"{info.channels} channels"
        amount = sum(shard.bytes for shard in info.shards) / 1e6
        lines = [
            f"Prepared {info.galaxies:,} galaxies: {self.folder}",
            f"Images:  {info.format}, {size}, {channels}, {amount:,.1f} MB in {len(info.shards):,} shards",
        ]
        if info.rejected:
            lines.append(f"Left out, with the reason of each, in {self.folder / 'rejected.csv'}: {info.rejected:,}")
        if info.flagged:
            lines.append(f"Odd, to be looked at, in {self.folder / 'flagged.csv'}: {info.flagged:,}")
        if info.enlarged:
            lines.append(f"Smaller than {info.image_size} pixels, enlarged: {info.enlarged:,}")
        if self.is_verified:
            lines.append("Every checksum is right.")
        return "\n".join(lines)


def prepare(
    catalog: str | Path | pd.DataFrame,
    schema: str | Path | Schema | None = None,
    output: str | Path | None = None,
    settings: PrepareSettings | None = None,
    *,
    verify: bool = False,
) -> PreparedFolder:
    """Decode every image of a catalog once and write shards. Called again, it goes on where it stopped.

    Args:
        catalog: a table (file or DataFrame) with `id_str`, `file_loc` and one column of votes per answer. With
            `verify`, a prepared folder.
        schema: the tree of the votes; None for galaxies without votes, to predict.
        output: a folder, see `zoobot.shared.prepared_images`.
        settings: see `zoobot.config.PrepareSettings`.
        verify: check the folder `catalog` instead, see `verify_folder`.

    Raises:
        CatalogError: the catalog is at fault.
        ImageError: no image can be read, or one cannot and `settings.on_bad_image` is `stop`.
        OutputError: `output` holds something else, or the disk has too little space.
    """
    settings = settings or PrepareSettings()
    if verify:
        others = schema is not None or output is not None or settings != PrepareSettings()
        if isinstance(catalog, pd.DataFrame) or others:
            raise SettingError("--verify checks a prepared folder: it takes that folder and nothing else.")
        return verify_folder(catalog)
    if output is None:
        raise SettingError("--output is missing: the folder to write.")
    if not isinstance(catalog, pd.DataFrame) and is_prepared(catalog):
        raise CatalogError(f"'{catalog}' is prepared already. Give the catalog that it was made from.")
    if schema is None and (settings.min_votes or settings.fill_missing_votes or settings.weighted_votes):
        raise SettingError("--min-votes, --fill-missing-votes and --weighted-votes are about votes: give --schema too.")
    tree = None if schema is None else load_schema(schema)
    galaxies = load_catalog(catalog, tree, settings)
    refuse_wrong_stretch(galaxies, settings.reading)
    inputs = {"catalog": galaxies.checksum(), "schema": tree and tree.to_dict()}
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
        with claimed(Share(), Path(output)):
            folder = open_run(output, "prepare", settings, inputs, makes="*shard-*")
            return _prepare(galaxies, settings, folder)
    except ZoobotError:
        raise
    except OSError as error:
        raise OutputError(
            f"'{output}' cannot be written: {error.strerror or error}. What is finished stays, and the same command "
            "goes on."
        ) from error


def _prepare(galaxies: Catalog, settings: PrepareSettings, folder: Path) -> PreparedFolder:
    if (folder / INFO).is_file():
        logger.warning("'%s' is prepared already.", folder)
        return PreparedFolder(folder, PreparedImages(folder).info)
    for leftover in folder.glob(".*.partial"):
        leftover.unlink()
    shape = _find_shape(galaxies, settings)
    starts = range(0, len(galaxies), settings.shard_size)
    todo = [number for number in range(len(starts)) if not record_path(folder, number).is_file()]
    _refuse_small_disk(folder, galaxies, settings, shape, len(todo) * settings.shard_size)
    with (
        Progress(disable=not sys.stderr.isatty()) as progress,
        ThreadPoolExecutor(settings.workers or os.cpu_count()) as pool,
    ):
        done = max(0, len(galaxies) - len(todo) * settings.shard_size)
        task = progress.add_task("Preparing", total=len(galaxies), completed=done)
        preparing = Preparing(folder, galaxies, settings, shape, pool, lambda: progress.advance(task))
        for number in todo:
            preparing.write_shard(number)
    return _finish(folder, galaxies, settings, shape[2], len(starts))


def verify_folder(folder: str | Path) -> PreparedFolder:
    """Check every checksum of a prepared folder.

    Raises:
        ShardError: something is missing, truncated or damaged; every such file is named.
    """
    info = read_info(folder)
    path = Path(folder)
    checksums = {shard.file: shard.sha256 for shard in info.shards} | info.tables
    faults = []
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        for name, checksum in progress.track(checksums.items(), description="Verifying"):
            if not (path / name).is_file():
                faults.append(f"'{path / name}' is missing.")
            elif file_checksum(path / name) != checksum:
                faults.append(_locate_damage(path, info, name))
    if faults:
        raise ShardError("\n".join([*faults, "Prepare the images again, into a new folder."]))
    return PreparedFolder(path, info, is_verified=True)


def _locate_damage(folder: Path, info: PreparedInfo, name: str) -> str:
    """What is wrong with a file whose checksum is."""
    expected = next((shard.bytes for shard in info.shards if shard.file == name), None)
    found = (folder / name).stat().st_size
    if expected is not None and found < expected:
        return f"'{folder / name}' is truncated: it has {found:,} bytes of {expected:,}."
    if name.endswith(SUFFIXES["tfrecord"]):
        try:
            deque(read_records(folder / name), maxlen=0)
        except ShardError as error:
            return str(error)
    return f"'{folder / name}' is damaged: its checksum is not the one that was written."


def _find_shape(galaxies: Catalog, settings: PrepareSettings) -> Shape:
    """The shape of every prepared image; its channels are those of the first that can be read."""
    problems = []
    for files in galaxies.image_files[:_IMAGES_TO_TRY]:
        try:
            channels = read_galaxy(files, settings.reading).shape[2]
            return settings.image_size, settings.image_size, channels
        except ImageError as error:
            problems.append(str(error))
    some = "first " if len(problems) < len(galaxies) else ""
    raise ImageError(f"None of the {some}{len(problems)} images can be read:\n{problems[0]}")


def _refuse_small_disk(folder: Path, galaxies: Catalog, settings: PrepareSettings, shape: Shape, most: int) -> None:
    n_galaxies = min(len(galaxies), most)
    size = float(np.prod(shape))
    if settings.pixels == "jpeg":
        some = [Path(files[0]) for files in galaxies.image_files[:: max(1, len(galaxies) // 1000)]]
        size = float(np.mean([path.stat().st_size for path in some if path.is_file()]))
    needed = n_galaxies * (size + _BYTES_BESIDE[settings.format])
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"'{folder}' needs about {needed / 1e9:,.1f} GB, and its disk has {free / 1e9:,.1f} GB free. Make room, or "
            "choose another disk or a smaller --image-size."
        )


def _finish(folder: Path, galaxies: Catalog, settings: PrepareSettings, channels: int, n_shards: int) -> PreparedFolder:
    """Write the tables and, last of all, `info.json`."""
    records = [ShardRecord(**json.loads(record_path(folder, number).read_bytes())) for number in range(n_shards)]
    rows = [row for record in records for row in record.rows]
    rejected = [line for record in records for line in record.rejected]
    flagged = [line for record in records for line in record.flagged]
    if not rows:
        raise ImageError(f"No image can be read. The first one: {rejected[0][1]}")
    table = galaxies.table.assign(**galaxies.absolute_files()).iloc[rows].reset_index(drop=True)
    write_table(table, folder / CATALOG)
    tables = [CATALOG]
    if settings.format != "store":
        _write_index(folder / INDEX, records)
        tables.append(INDEX)
    column = galaxies.file_columns[0]
    unreadable = [(galaxies.table["id_str"][row], galaxies.table[column][row], reason) for row, reason in rejected]
    listed = galaxies.list_rejected(unreadable)
    write_atomically(folder / "rejected.csv", listed.to_csv(index=False))
    odd = [(galaxies.table["id_str"][row], galaxies.table[column][row], remark) for row, remark in flagged]
    write_atomically(
        folder / "flagged.csv", pd.DataFrame(odd, columns=["id_str", column, "remark"]).to_csv(index=False)
    )
    info = PreparedInfo(
        version=VERSION,
        zoobot=zoobot.__version__,
        format=settings.format,
        pixels=settings.pixels,
        image_size=settings.image_size if settings.pixels == "raw" else None,
        channels=channels,
        bands=galaxies.bands,
        reading=settings.record_reading(),
        tree=None if galaxies.schema is None else galaxies.schema.to_dict(),
        weighted_votes=settings.weighted_votes,
        galaxies=len(rows),
        rejected=len(listed),
        flagged=len(flagged),
        enlarged=sum(record.enlarged for record in records),
        shards=[
            ShardInfo(file=record.file, galaxies=len(record.rows), bytes=record.bytes, sha256=record.sha256)
            for record in records
        ],
        tables={name: file_checksum(folder / name) for name in tables},
    )
    write_atomically(folder / INFO, info.model_dump_json(indent=2) + "\n")
    for number in range(n_shards):
        record_path(folder, number).unlink()
    return PreparedFolder(folder, info)


def _write_index(path: Path, records: list[ShardRecord]) -> None:
    table = pa.table(
        {
            "row": pa.array([row for record in records for row in record.rows], pa.int64()),
            "shard": pa.array([record.file for record in records for _ in record.rows]).dictionary_encode(),
            "offset": pa.array([offset for record in records for offset, _ in record.places], pa.int64()),
            "length": pa.array([length for record in records for _, length in record.places], pa.int64()),
        }
    )
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    write_atomically(path, buffer.getvalue().to_pybytes())

"""Catalogs: one row per galaxy, read from a table, checked against a schema, split by galaxy.

A catalog has `id_str` (unique), `file_loc` (absolute, or relative to the catalog's folder; or one file per band, in
columns `file_loc_g`, `file_loc_r` ...) and, for training and evaluation, one column of vote counts per answer, named as
in the schema. Other columns travel along.
"""

import dataclasses
import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from zoobot.config import CatalogSettings
from zoobot.errors import CatalogError, SettingError, closest, did_you_mean, quote
from zoobot.shared import campaigns
from zoobot.shared.catalog_faults import find_faults, find_file_columns
from zoobot.shared.fault_findings import Findings
from zoobot.shared.model_folders import file_checksum
from zoobot.shared.prepared_images import CATALOG, PreparedImages, describe_difference, is_prepared, read_info
from zoobot.shared.schemas import Schema, get_schema, load_schema
from zoobot.shared.tables import ParquetRows, is_parquet, read_columns, read_table, refuse_repeated_columns
from zoobot.shared.vote_faults import find_too_few_votes

logger = logging.getLogger(__name__)

BATCH_ROWS = 50_000
"""Rows that are checked at once: larger batches are slower, because the system maps fresh memory for them."""
SPLITS = ("train", "validation", "test")
_MEND = "Mend or replace the image."


@dataclass(frozen=True)
class Catalog:
    """A checked table of galaxies.

    Args:
        table: the rows, in their order, with a fresh index.
        folder: what a relative `file_loc` is relative to.
        schema: the tree of the vote columns; None where votes are not needed.
        source: what to call the catalog in messages.
        rejected: rows that were left out: `row` (from 1), `id_str`, `column`, `value`, `reason`, `remedy`.
        prepared: the images of a prepared folder, one per row; None where they are read from their files.
        parquet: the file of which `table` has only what is needed to find the images; None where it has all columns.
        positions: of the rows in that file; None where all of them are used.
    """

    table: pd.DataFrame
    folder: Path
    schema: Schema | None
    source: str
    rejected: pd.DataFrame
    prepared: PreparedImages | None = None
    parquet: ParquetRows | None = None
    positions: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.table)

    @property
    def id_str(self) -> list[str]:
        return [str(galaxy) for galaxy in self.table["id_str"]]

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return [str(name) for name in (self.table.columns if self.parquet is None else self.parquet.columns)]

    @property
    def file_columns(self) -> list[str]:
        """The columns that name images: `file_loc`, or one per band."""
        return find_file_columns(self.columns)

    @property
    def bands(self) -> list[str]:
        """Names of the bands where each has a file of its own, in the order of the channels; else empty."""
        if self.prepared is not None:
            return self.prepared.info.bands
        return [column.removeprefix("file_loc_") for column in self.file_columns if column != "file_loc"]

    def read_rows(self, rows: range) -> pd.DataFrame:
        """Some rows with all columns; `id_str` and image columns are text."""
        numbers = np.arange(rows.start, rows.stop)
        if self.parquet is None:
            return self.table.iloc[numbers].reset_index(drop=True)
        table = self.parquet.read(numbers if self.positions is None else self.positions[numbers])
        texts = ["id_str", *self.file_columns]
        return table.assign(**{name: table[name].astype(str) for name in texts})

    @property
    def image_files(self) -> list[tuple[str, ...]]:
        """Absolute paths of each galaxy's image: one file, or one per band."""
        return list(zip(*self.absolute_files().values(), strict=True))

    def absolute_files(self) -> dict[str, list[str]]:
        """Absolute paths by column, for a table that is to stand in another folder."""
        return {
            column: [os.path.join(self.folder, file) for file in self.table[column]] for column in self.file_columns
        }

    @property
    def votes(self) -> npt.NDArray[np.float64]:
        """`(galaxy, answer)`, the number of votes."""
        if self.schema is None:
            raise CatalogError(f"The catalog {self.source} was read without a schema, so it has no votes.")
        return self.table[self.schema.label_cols].to_numpy(np.float64)

    def rows(self, chosen: npt.ArrayLike) -> "Catalog":
        """The same catalog with some rows: a boolean mask or positions."""
        positions = np.asarray(chosen)
        positions = np.flatnonzero(positions) if positions.dtype == bool else positions
        table = self.table.iloc[positions].reset_index(drop=True)
        prepared = None if self.prepared is None else self.prepared.rows(positions)
        own = np.arange(len(self)) if self.positions is None else self.positions
        chosen_rows = None if self.parquet is None else own[positions]
        return dataclasses.replace(self, table=table, prepared=prepared, positions=chosen_rows)

    def list_rejected(self, images: Iterable[tuple[str, str, str]]) -> pd.DataFrame:
        """The rows that were left out, then images that cannot be read, given as `(id_str, file_loc, reason)`."""
        column = self.file_columns[0]
        lines = [
            {"row": "", "id_str": id_str, "column": column, "value": file_loc, "reason": reason, "remedy": _MEND}
            for id_str, file_loc, reason in images
        ]
        return pd.concat([self.rejected, pd.DataFrame(lines, columns=self.rejected.columns)], ignore_index=True)

    def checksum(self) -> str:
        """SHA-256 of what a run depends on: ids, image paths and votes; without a schema, every column."""
        if self.parquet is not None:
            return file_checksum(self.parquet.path) + f"-{len(self)}"
        if self.schema is None:
            checksum = hashlib.sha256(pd.util.hash_pandas_object(self.table, index=False).to_numpy().tobytes())
            checksum.update("\n".join(map(str, self.table.columns)).encode())
        else:
            checksum = hashlib.sha256("\n".join([*self.id_str, *self.schema.label_cols]).encode())
            checksum.update(self.votes.tobytes())
        checksum.update("\n".join(file for files in self.image_files for file in files).encode())
        if self.prepared is not None:
            checksum.update(self.prepared.info.model_dump_json().encode())
        return checksum.hexdigest()


def load_catalog(
    catalog: str | Path | pd.DataFrame,
    schema: Schema | None,
    settings: CatalogSettings | None = None,
    *,
    lean: bool = False,
) -> Catalog:
    """Read a table and check it.

    Args:
        catalog: a CSV, Parquet, FITS, VOTable or ECSV file, a table in memory, or a folder of prepared images.
        schema: whose vote columns must be there; None for a catalog to predict, which needs none.
        settings: what is done about blank, fractional and few votes.
        lean: without a schema, of a Parquet file or a prepared folder, hold only what is needed to find the images;
            `Catalog.read_rows` reads the rest when it is needed.

    Raises:
        CatalogError: every fault found, each with what to do; or images that were prepared for another schema.
        ShardError: the prepared folder is unfinished or damaged.
    """
    settings = settings or CatalogSettings()
    source = source_of(catalog)
    prepared = None
    if not isinstance(catalog, pd.DataFrame) and is_prepared(catalog):
        prepared = PreparedImages(catalog)
        catalog = prepared.folder / CATALOG
        if schema is not None:
            _refuse_other_schema(prepared, schema, source)
            settings = settings.model_copy(update={"weighted_votes": prepared.info.weighted_votes})
    parquet = None
    if isinstance(catalog, pd.DataFrame):
        table = catalog.reset_index(drop=True)
    elif lean and schema is None and is_parquet(catalog):
        parquet = ParquetRows(catalog)
        table = read_columns(catalog, ["id_str", *(() if prepared else find_file_columns(parquet.columns))])
    else:
        table = read_table(catalog)
    columns = list(table.columns) if parquet is None else parquet.columns
    bands = [str(name) for name in columns if str(name).startswith("file_loc_")]
    if "file_loc" in columns and bands:
        logger.warning("The catalog %s has file_loc, so its columns %s are not read as bands.", source, quote(bands))
    if not len(table):
        raise CatalogError(f"The catalog {source} is empty: it has no rows. Give it one row per galaxy.")
    refuse_repeated_columns(list(table.columns), source)
    if schema is not None and settings.fill_missing_votes:
        table = fill_missing_votes(table, schema)
    lines: list[pd.DataFrame] = []
    findings = Findings(lambda kind, rejected: lines.append(rejected) if kind.rejected else None)
    starts = range(0, len(table), BATCH_ROWS)
    batches = (table.iloc[start : start + BATCH_ROWS] for start in starts)
    find_faults(batches, schema, findings, weighted=settings.weighted_votes, min_votes=settings.min_votes)
    _stop_or_tell(find_column_faults(columns, schema), findings, source, settings.on_bad_row == "drop")
    dropped = findings.rows(rejected=True)
    kept = None
    if len(dropped):
        kept = np.setdiff1d(np.arange(len(table)), dropped)
        prepared = None if prepared is None else prepared.rows(kept)
        table = table.drop(dropped).reset_index(drop=True)
    for name in ("id_str", *find_file_columns(table.columns)):
        if not isinstance(table[name].dtype, pd.StringDtype):
            table[name] = table[name].astype(str)
    if parquet is not None:
        pa.default_memory_pool().release_unused()  # of the checks
    for column in schema.label_cols if schema else []:
        table[column] = pd.to_numeric(table[column])
    rejected = pd.concat(lines, ignore_index=True) if lines else no_rejected_rows()
    positions = None if parquet is None else kept
    checked = Catalog(table, folder_of(catalog), schema, source, rejected, prepared, parquet, positions)
    return checked if schema is None else _leave_out_few_votes(checked, schema, settings)


def load_schema_of(catalog: object, schema: str | Path | Schema | None) -> Schema:
    """The schema that is given, or else that of the prepared folder."""
    if schema is not None:
        return load_schema(schema)
    if isinstance(catalog, str | Path) and is_prepared(catalog):
        prepared = read_info(catalog).schema_of_votes
        if prepared is None:
            raise CatalogError(f"The images in '{catalog}' were prepared without votes. Prepare them with --schema.")
        return prepared
    raise SettingError("--schema is missing: a name ('zoobot schema list') or a YAML file.")


def _refuse_other_schema(prepared: PreparedImages, schema: Schema, source: str) -> None:
    there = prepared.info.schema_of_votes
    if there is None:
        raise CatalogError(f"The images in {source} were prepared without votes. Prepare them with --schema.")
    if there != schema:
        raise CatalogError(
            f"The images in {source} were prepared for the schema '{there.name}', not for '{schema.name}': "
            f"{describe_difference(there.label_cols, schema.label_cols)}. Leave out --schema, or prepare them again."
        )


def source_of(catalog: str | Path | pd.DataFrame) -> str:
    """What to call a catalog in messages."""
    return "in memory" if isinstance(catalog, pd.DataFrame) else f"'{catalog}'"


def folder_of(catalog: str | Path | pd.DataFrame) -> Path:
    """The folder to which a relative `file_loc` belongs: the catalog's own."""
    return Path.cwd() if isinstance(catalog, pd.DataFrame) else Path(catalog).resolve().parent


def no_rejected_rows() -> pd.DataFrame:
    """The columns in which bad rows are listed."""
    return pd.DataFrame(dtype=object, columns=["row", "id_str", "column", "value", "reason", "remedy"])


def refuse_missing_files(catalog: Catalog) -> None:
    """Raise `CatalogError` unless every image is there, with the first few that are not."""
    missing = [file for files in catalog.image_files for file in files if not Path(file).is_file()]
    if missing:
        count = f"{len(missing):,} of {len(catalog) * len(catalog.file_columns):,} images"
        raise CatalogError(
            f"{count} of the catalog {catalog.source} are missing, such as {quote(missing)}. A relative file_loc is "
            f"relative to the folder '{catalog.folder}'."
        )


def split_by_galaxy(id_str: Iterable[str], fractions: tuple[float, float, float], seed: int) -> npt.NDArray[np.str_]:
    """Assign each galaxy to `train`, `validation` or `test` by a hash of its `id_str` and the seed.

    The same galaxy lands in the same split whatever the order or the length of the catalog.
    """
    edges = np.cumsum(fractions)[:2]
    uniform = np.array([galaxy_hash(galaxy, seed) for galaxy in id_str], np.uint64) / 2.0**64
    return np.array(SPLITS)[np.searchsorted(edges, uniform, side="right")]


def galaxy_hash(id_str: str, seed: int) -> int:
    """A 64-bit number that follows from a galaxy's name and a seed alone (BLAKE2b)."""
    digest = hashlib.blake2b(id_str.encode(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "little")


def find_column_faults(columns: Sequence[str], schema: Schema | None) -> list[str]:
    """The columns that a table lacks, each with what to do."""
    names = [str(column) for column in columns]
    needed = {"id_str": "a unique name for each galaxy", "file_loc": "the path of each galaxy's image"}
    if find_file_columns(names):
        del needed["file_loc"]
    faults = [
        f"There is no column {column}.{did_you_mean(column, names)} Add one with {what}."
        for column, what in needed.items()
        if column not in names
    ]
    missing = [] if schema is None else [column for column in schema.label_cols if column not in names]
    return [*faults, _describe_missing_votes(missing, names, schema)] if schema and missing else faults


def _describe_missing_votes(missing: Sequence[str], names: Sequence[str], schema: Schema) -> str:
    others = [name for name in names if name not in schema.label_cols]
    near = [f"'{close}' for '{column}'" for column in missing if (close := closest(column, others))]
    fitting = [name for name in campaigns.trees if set(get_schema(name).label_cols) <= set(names)]
    return (
        f"{len(missing)} of the {len(schema.label_cols)} vote columns of the schema '{schema.name}' are missing: "
        f"{quote(missing)}."
        + (f" Is it {', '.join(near[:5])}?" if near else "")
        + (f" The table has all columns of the schema {quote(fitting, 3)}." if fitting else "")
        + " Rename the columns, choose another schema ('zoobot schema list'), or make a catalog of a published table "
        f"('zoobot catalog convert'). The other columns of the table are: {quote(others) or 'none'}."
    )


def fill_missing_votes(table: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The table with 0 for blank votes of the columns that it has; says how many."""
    columns = [column for column in schema.label_cols if column in table]
    blank = table[columns].isna()
    n_blank = int(blank.to_numpy().sum())
    if n_blank:
        galaxies = f"{blank.any(axis=1).sum():,}"
        logger.info("Read %s blank votes of %s galaxies as 0.", f"{n_blank:,}", galaxies)
    return table.assign(**{column: table[column].fillna(0) for column in columns if blank[column].any()})


def _stop_or_tell(column_faults: Sequence[str], findings: Findings, source: str, drop: bool) -> None:
    """Stop at columns or rows that cannot be used, or say which rows are left out."""
    faults = "\n".join(f"- {fault}" for fault in [*column_faults, *findings.sentences(rejected=True)])
    count = len(findings.rows(rejected=True))
    if not faults:
        return
    if drop and not column_faults and count < findings.n_rows:
        left_out = f"{count:,} of {findings.n_rows:,} rows of the catalog {source} are left out"
        logger.warning("%s (rejected.csv lists them):\n%s", left_out, faults)
        return
    hint = (
        "\n'zoobot catalog check' with --output FOLDER lists every bad row; where it can be given, --on-bad-row drop "
        "leaves them out."
    )
    raise CatalogError(f"The catalog {source} cannot be used:\n{faults}{hint if 0 < count < findings.n_rows else ''}")


def _leave_out_few_votes(catalog: Catalog, schema: Schema, settings: CatalogSettings) -> Catalog:
    if not settings.min_votes:
        return catalog
    enough = ~find_too_few_votes(catalog.votes, schema, settings.min_votes)
    asked = " or ".join(f"'{question.text}'" for question in schema.questions if question.always_asked)
    if not enough.any():
        raise CatalogError(
            f"No galaxy of the catalog {catalog.source} has {settings.min_votes} votes for {asked}. Lower --min-votes."
        )
    left_out = f"{(~enough).sum():,} of {len(enough):,} galaxies"
    logger.info("Left out %s with fewer than %s votes for %s.", left_out, settings.min_votes, asked)
    return catalog.rows(enough)

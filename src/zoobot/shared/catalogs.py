"""Catalogs: one row per galaxy, read from a table, checked against a schema, split by galaxy.

A catalog has `id_str` (unique), `file_loc` (absolute, or relative to the catalog's folder) and, for training and
evaluation, one column of vote counts per answer, named as in the schema. Other columns travel along.
"""

import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import CatalogCheckSettings, CatalogSettings
from zoobot.errors import CatalogError, did_you_mean
from zoobot.shared.schemas import Schema, load_schema

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
_ASTROPY_FORMATS = {".fits": "fits", ".fit": "fits", ".vot": "votable", ".xml": "votable", ".ecsv": "ascii.ecsv"}
_SUFFIXES = (".csv", ".csv.gz", ".parquet", *_ASTROPY_FORMATS)


@dataclass(frozen=True)
class Catalog:
    """A checked table of galaxies.

    Args:
        table: the rows, in their order, with a fresh index.
        folder: what a relative `file_loc` is relative to.
        schema: the tree of the vote columns; None where votes are not needed.
        source: what to call the catalog in messages.
    """

    table: pd.DataFrame
    folder: Path
    schema: Schema | None
    source: str

    def __len__(self) -> int:
        return len(self.table)

    @property
    def id_str(self) -> list[str]:
        return [str(galaxy) for galaxy in self.table["id_str"]]

    @property
    def file_locs(self) -> list[str]:
        """Absolute path of each image."""
        return [os.path.join(self.folder, file_loc) for file_loc in self.table["file_loc"]]

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
        return Catalog(table, self.folder, self.schema, self.source)

    def checksum(self) -> str:
        """SHA-256 of what a run depends on: ids, image paths and votes; without a schema, every column."""
        if self.schema is None:
            checksum = hashlib.sha256(pd.util.hash_pandas_object(self.table, index=False).to_numpy().tobytes())
            checksum.update("\n".join(map(str, self.table.columns)).encode())
        else:
            checksum = hashlib.sha256("\n".join([*self.id_str, *self.schema.label_cols]).encode())
            checksum.update(self.votes.tobytes())
        checksum.update("\n".join(self.file_locs).encode())
        return checksum.hexdigest()


@dataclass(frozen=True)
class CatalogSummary:
    """What a catalog holds: galaxies, and per question how many have votes and how many votes they have."""

    source: str
    n_galaxies: int
    questions: pd.DataFrame

    def __str__(self) -> str:
        return f"{self.source}: {self.n_galaxies:,} galaxies, no faults.\n\n" + self.questions.to_string(
            index=False, float_format=lambda number: f"{number:.1f}"
        )


def check(
    catalog: str | Path | pd.DataFrame, schema: str | Path | Schema, settings: CatalogCheckSettings | None = None
) -> CatalogSummary:
    """Check a catalog against a schema, without training anything.

    Raises:
        CatalogError: every fault found, each with what to do.
    """
    settings = settings or CatalogCheckSettings()
    checked = load_catalog(catalog, load_schema(schema), settings)
    if settings.files:
        refuse_missing_files(checked)
    return summarise(checked)


def load_catalog(
    catalog: str | Path | pd.DataFrame, schema: Schema | None, settings: CatalogSettings | None = None
) -> Catalog:
    """Read a table and check it.

    Args:
        catalog: a CSV, Parquet, FITS, VOTable or ECSV file, or a table in memory.
        schema: whose vote columns must be there; None for a catalog to predict, which needs none.
        settings: what is done about blank, fractional and few votes.

    Raises:
        CatalogError: every fault found, each with what to do.
    """
    settings = settings or CatalogSettings()
    if isinstance(catalog, pd.DataFrame):
        table, folder, source = catalog.copy(), Path.cwd(), "in memory"
    else:
        table, folder, source = read_table(catalog), Path(catalog).resolve().parent, f"'{catalog}'"
    table = table.reset_index(drop=True)
    if table.empty:
        raise CatalogError(f"The catalog {source} is empty: it has no rows. Give it one row per galaxy.")
    _refuse_repeated_columns(table, source)
    if schema is not None:
        _refuse_missing_columns(table, schema, source)
        table = _fill_missing_votes(table, schema, settings)
    faults = [*_find_id_faults(table), *_find_file_faults(table)]
    if schema is not None:
        faults += _find_vote_faults(table, schema, settings)
    if faults:
        raise CatalogError(f"The catalog {source} cannot be used:\n" + "\n".join(f"- {fault}" for fault in faults))
    table[["id_str", "file_loc"]] = table[["id_str", "file_loc"]].astype(str)
    checked = Catalog(table, folder, schema, source)
    return checked if schema is None else _leave_out_few_votes(checked, schema, settings)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV, Parquet, FITS, VOTable or ECSV table; `id_str` and `file_loc` of text formats stay text."""
    file = Path(path)
    name = file.name.lower()
    suffix = next((known for known in _SUFFIXES if name.endswith(known)), None)
    if file.is_dir():
        raise CatalogError(f"The catalog '{path}' is a folder. Give the table in it, such as catalog.csv.")
    if not file.is_file():
        raise CatalogError(f"There is no catalog '{path}'.")
    if suffix is None:
        raise CatalogError(f"The catalog '{path}' must end in one of {', '.join(_SUFFIXES)}.")
    try:
        if suffix == ".parquet":
            return pd.read_parquet(file)
        if suffix in _ASTROPY_FORMATS:
            return _read_with_astropy(file, _ASTROPY_FORMATS[suffix])
        table = pd.read_csv(file, converters={"id_str": str, "file_loc": str}, low_memory=False)
    except pd.errors.EmptyDataError:
        raise CatalogError(f"The catalog '{path}' is empty. Give it a header and one row per galaxy.") from None
    except Exception as error:  # each reader has its own family of errors
        raise CatalogError(f"The catalog '{path}' cannot be read as {suffix[1:]}: {error}") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the surplus for an index and shifts all columns
        raise CatalogError(f"The rows of the catalog '{path}' have more fields than its header: an extra comma?")
    return table


def refuse_missing_files(catalog: Catalog) -> None:
    """Raise `CatalogError` unless every image is there, with the first few that are not."""
    missing = [file for file in catalog.file_locs if not Path(file).is_file()]
    if missing:
        raise CatalogError(
            f"{len(missing):,} of {len(catalog):,} images of the catalog {catalog.source} are missing, such as "
            f"{_quote(missing)}. A relative file_loc is relative to the folder '{catalog.folder}'."
        )


def split_by_galaxy(id_str: Sequence[str], fractions: tuple[float, float, float], seed: int) -> npt.NDArray[np.str_]:
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


def summarise(catalog: Catalog) -> CatalogSummary:
    """Count galaxies and votes per question."""
    votes, rows = catalog.votes, []
    for question in catalog.schema.questions if catalog.schema else []:
        totals = votes[:, question.slice].sum(axis=1)
        asked = totals > 0
        median = float(np.median(totals[asked])) if asked.any() else 0.0
        total = float(totals.sum())
        rows.append((question.text, int(asked.sum()), int(total) if total.is_integer() else total, median))
    columns = ["question", "galaxies with votes", "votes", "median votes"]
    return CatalogSummary(catalog.source, len(catalog), pd.DataFrame(rows, columns=columns))


def _read_with_astropy(file: Path, table_format: str) -> pd.DataFrame:
    from astropy.table import Table
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # about units and other metadata, which are not used
        table = Table.read(file, format=table_format)
    table.convert_bytestring_to_unicode()
    flat = [name for name in table.colnames if table[name].ndim == 1]
    if len(flat) < len(table.colnames):
        nested = [name for name in table.colnames if name not in flat]
        logger.warning("Left out columns of '%s' that hold several values per row: %s.", file, _quote(nested))
    frame: pd.DataFrame = table[flat].to_pandas()
    return frame


def _refuse_repeated_columns(table: pd.DataFrame, source: str) -> None:
    repeated = list(table.columns[table.columns.duplicated()].unique())
    if repeated:
        raise CatalogError(f"The catalog {source} has several columns of one name: {_quote(repeated)}. Keep one each.")


def _refuse_missing_columns(table: pd.DataFrame, schema: Schema, source: str) -> None:
    missing = [column for column in schema.label_cols if column not in table.columns]
    if missing:
        others = [str(column) for column in table.columns if column not in schema.label_cols]
        hint = did_you_mean(missing[0], others)
        raise CatalogError(
            f"The catalog {source} lacks {len(missing)} of the {len(schema.label_cols)} vote columns of the schema "
            f"'{schema.name}': {_quote(missing)}.{hint} Rename the columns, or choose another schema "
            f"('zoobot schema list'). The other columns of the table are: {_quote(others) or 'none'}."
        )


def _fill_missing_votes(table: pd.DataFrame, schema: Schema, settings: CatalogSettings) -> pd.DataFrame:
    if not settings.fill_missing_votes:
        return table
    votes = table[schema.label_cols]
    n_blank = int(votes.isna().to_numpy().sum())
    logger.info("Read %s blank votes of %s galaxies as 0.", f"{n_blank:,}", f"{votes.isna().any(axis=1).sum():,}")
    table[schema.label_cols] = votes.fillna(0)
    return table


def _find_id_faults(table: pd.DataFrame) -> Iterator[str]:
    if "id_str" not in table.columns:
        yield "There is no column id_str. Add one with a unique name for each galaxy."
        return
    ids = table["id_str"]
    if pd.api.types.is_float_dtype(ids):
        yield "id_str was stored as a floating-point number, which loses digits. Write it as text."
        return
    blank = ids.isna() | (ids.astype(str).str.strip() == "")
    if blank.any():
        yield f"id_str is blank in {_count_rows(blank)}. Name each galaxy."
    names = ids.astype(str)
    repeated = names[names.duplicated() & ~blank].unique()
    if len(repeated):
        yield f"{len(repeated):,} id_str stand in more than one row, such as {_quote(repeated)}. Keep one row each."


def _find_file_faults(table: pd.DataFrame) -> Iterator[str]:
    if "file_loc" not in table.columns:
        yield "There is no column file_loc. Add one with the path of each galaxy's image."
        return
    blank = table["file_loc"].isna() | (table["file_loc"].astype(str).str.strip() == "")
    if blank.any():
        yield f"file_loc is blank in {_count_rows(blank)}. Give each galaxy the path of its image."


def _find_vote_faults(table: pd.DataFrame, schema: Schema, settings: CatalogSettings) -> Iterator[str]:
    columns = table[schema.label_cols]
    text = {name: example for name in schema.label_cols if (example := _find_text(columns[name])) is not None}
    if text:
        example = next(iter(text.values()))
        yield f"Votes must be numbers, but the columns {_quote(list(text))} hold text, such as {example!r}."
        return
    votes = columns.to_numpy(np.float64, na_value=np.nan)

    def fault(bad: npt.NDArray[np.bool_], what: str, remedy: str) -> Iterator[str]:
        if bad.any():
            names = np.array(schema.label_cols)[bad.any(axis=0)]
            yield f"Votes are {what} in {_count_rows(bad.any(axis=1))}, in the columns {_quote(names)}. {remedy}"

    blank = np.isnan(votes)
    yield from fault(blank, "blank (NaN)", "Fill them: --fill-missing-votes reads blanks as 0 votes.")
    yield from fault(np.isinf(votes), "infinite", "Give the number of volunteers.")
    yield from fault(votes < 0, "negative", "Give the number of volunteers, 0 or more.")
    if not settings.weighted_votes:
        fractional = np.isfinite(votes) & (votes != np.floor(votes))
        remedy = "Give counts rather than fractions of votes, or --weighted-votes if volunteers were weighted."
        yield from fault(fractional, "fractional", remedy)
    if not blank.any() and not votes.any():
        yield "All votes are 0: there is nothing to learn from."


def _find_text(votes: "pd.Series[Any]") -> Any:
    """A value that is no number, best one that looks like none; None where there is none, as in a column of blanks."""
    if pd.api.types.is_numeric_dtype(votes):
        return None
    texts = [value for value in votes.dropna() if not isinstance(value, Real)]
    words = (text for text in texts if pd.isna(pd.to_numeric(text, errors="coerce")))
    return next(words, texts[0] if texts else None)


def _leave_out_few_votes(catalog: Catalog, schema: Schema, settings: CatalogSettings) -> Catalog:
    if not settings.min_votes:
        return catalog
    first_questions = [question for question in schema.questions if question.always_asked]
    totals = np.stack([catalog.votes[:, question.slice].sum(axis=1) for question in first_questions])
    enough = totals.max(axis=0) >= settings.min_votes
    asked = " or ".join(f"'{question.text}'" for question in first_questions)
    if not enough.any():
        raise CatalogError(
            f"No galaxy of the catalog {catalog.source} has {settings.min_votes} votes for {asked}. Lower --min-votes."
        )
    left_out = f"{(~enough).sum():,} of {len(enough):,} galaxies"
    logger.info("Left out %s with fewer than %s votes for %s.", left_out, settings.min_votes, asked)
    return catalog.rows(enough)


def _count_rows(chosen: npt.ArrayLike) -> str:
    count = int(np.count_nonzero(chosen))
    return "1 row" if count == 1 else f"{count:,} rows"


def _quote(names: Sequence[Any] | npt.NDArray[Any], most: int = 5) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"

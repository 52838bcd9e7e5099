"""Tables on disk: CSV, Parquet, FITS, VOTable and ECSV, whole or in batches of rows."""

import csv
import gzip
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zoobot.errors import CatalogError, OutputError
from zoobot.shared.run_folders import write_atomically

logger = logging.getLogger(__name__)

_ASTROPY_FORMATS = {".fits": "fits", ".fit": "fits", ".vot": "votable", ".xml": "votable", ".ecsv": "ascii.ecsv"}
_READABLE = (".csv", ".csv.gz", ".parquet", *_ASTROPY_FORMATS)
_WRITABLE = (".csv", ".csv.gz", ".parquet")
_ROW_GROUP = 10_000
# Read as text, so that '000123' and 1237648720693755918 keep their digits.
_TEXT_COLUMNS = ("id_str", "file_loc")


def read_table(path: str | Path, text_columns: Sequence[str] = _TEXT_COLUMNS) -> pd.DataFrame:
    """Read a table; `text_columns` of text formats stay text.

    Raises:
        CatalogError: the file is missing, no table, or has two columns of one name.
    """
    return pd.concat(iter_table(path, None, text_columns), ignore_index=True)


def iter_table(
    path: str | Path,
    batch_rows: int | None,
    text_columns: Sequence[str] = _TEXT_COLUMNS,
    columns: Sequence[str] | None = None,
) -> Iterator[pd.DataFrame]:
    """The table of `read_table` in batches of so many rows, at least one; formats of astropy come in one.

    Args:
        columns: read no others, where the format can; some may be missing.
    """
    file, suffix = _find_table(path)
    with _explained(path, suffix):
        if suffix == ".parquet":
            yield from _iter_parquet(file, batch_rows, columns)
        elif suffix in _ASTROPY_FORMATS:
            yield _read_with_astropy(file, _ASTROPY_FORMATS[suffix])
        else:
            yield from _iter_csv(file, batch_rows, text_columns)


def read_column_names(path: str | Path) -> list[str]:
    """Names of a table's columns, in order."""
    file, suffix = _find_table(path)
    with _explained(path, suffix):
        if suffix == ".parquet":
            return list(pq.read_schema(file).names)
        if suffix in _ASTROPY_FORMATS:
            return list(_read_with_astropy(file, _ASTROPY_FORMATS[suffix]).columns)
        return _read_header(file)


def count_rows(path: str | Path) -> int | None:
    """Number of rows, where the format tells without reading them."""
    file, suffix = _find_table(path)
    with _explained(path, suffix):
        return int(pq.read_metadata(file).num_rows) if suffix == ".parquet" else None


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write CSV, gzipped CSV or Parquet, as the name ends, atomically and always to the same bytes.

    Raises:
        OutputError: the name ends otherwise, or the file cannot be written.
    """
    file = Path(path)
    suffix = _suffix_of(file, _WRITABLE)
    if suffix is None:
        raise OutputError(f"The table '{path}' must end in one of {', '.join(_WRITABLE)}.")
    if suffix == ".parquet":
        content = table.to_parquet(index=False, row_group_size=_ROW_GROUP)
    else:
        content = table.to_csv(index=False).encode()
    if suffix == ".csv.gz":
        content = gzip.compress(content, mtime=0)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
    except OSError as error:
        raise OutputError(f"The table '{path}' cannot be written: {error.strerror}.") from error
    return file


class ParquetRows:
    """The rows of a Parquet file, read when they are asked for.

    Raises:
        CatalogError: the file is missing or no Parquet table.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with _explained(path, ".parquet"):
            self._file = pq.ParquetFile(self.path)
        self.columns: list[str] = list(self._file.schema_arrow.names)
        groups = [self._file.metadata.row_group(number).num_rows for number in range(self._file.num_row_groups)]
        self._ends = np.cumsum(groups)
        self._cached: tuple[int, int, pa.Table] | None = None

    def read(self, positions: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Some rows, given in ascending order, with all columns."""
        first, last = np.searchsorted(self._ends, [positions[0], positions[-1]], side="right")
        if self._cached is None or self._cached[:2] != (first, last):
            with _explained(self.path, ".parquet"):
                self._cached = first, last, self._file.read_row_groups(list(range(first, last + 1)))
        start = self._ends[first - 1] if first else 0
        rows: pd.DataFrame = self._cached[2].take(pa.array(positions - start)).to_pandas()
        return rows


def read_columns(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Some columns of a Parquet file; those that it lacks are left out."""
    file, _ = _find_table(path)
    with _explained(path, ".parquet"):
        refuse_repeated_columns(pq.read_schema(file).names, f"'{file}'")
        return pd.read_parquet(file, columns=[name for name in pq.read_schema(file).names if name in columns])


def is_parquet(path: str | Path) -> bool:
    """Whether a file is named as a Parquet table, whose rows can be read when they are needed."""
    return str(path).lower().endswith(".parquet") and Path(path).is_file()


def as_strings(column: "pd.Series[Any]") -> pa.StringArray:
    """A column as Arrow strings; blank where there is nothing."""
    if pd.api.types.infer_dtype(column, skipna=True) != "string":
        column = column.astype(object).where(column.notna(), "").astype(str)
    return pc.fill_null(pa.array(column, pa.large_string(), from_pandas=True), "")


def as_objects(strings: pa.StringArray | pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Arrow strings as Python strings."""
    if isinstance(strings, pa.ChunkedArray):
        strings = strings.combine_chunks()
    return np.asarray(strings.to_numpy(zero_copy_only=False), dtype=object)


@contextmanager
def _explained(path: str | Path, suffix: str) -> Iterator[None]:
    """Whatever a reader raises becomes one `CatalogError` with the path."""
    try:
        yield
    except CatalogError:
        raise
    except pd.errors.EmptyDataError:
        raise CatalogError(f"The catalog '{path}' is empty. Give it a header and one row per galaxy.") from None
    except Exception as error:  # each reader has its own family of errors
        raise CatalogError(f"The catalog '{path}' cannot be read as {suffix[1:]}: {error}") from error


def refuse_repeated_columns(names: Sequence[str], source: str) -> None:
    """Raise `CatalogError` where two columns have one name."""
    repeated = sorted({str(name) for name in names if list(names).count(name) > 1})
    if repeated:
        raise CatalogError(
            f"The catalog {source} has several columns of one name: {', '.join(map(repr, repeated))}. Keep one each."
        )


def _find_table(path: str | Path) -> tuple[Path, str]:
    file = Path(path)
    if file.is_dir():
        raise CatalogError(
            f"The catalog '{path}' is a folder, but none of prepared images. Give a table, such as catalog.csv."
        )
    if not file.is_file():
        raise CatalogError(f"There is no catalog '{path}'.")
    suffix = _suffix_of(file, _READABLE)
    if suffix is None:
        raise CatalogError(f"The catalog '{path}' must end in one of {', '.join(_READABLE)}.")
    return file, suffix


def _suffix_of(file: Path, known: Sequence[str]) -> str | None:
    return next((suffix for suffix in known if file.name.lower().endswith(suffix)), None)


def _iter_parquet(file: Path, batch_rows: int | None, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(file) as parquet:
        refuse_repeated_columns(parquet.schema_arrow.names, f"'{file}'")
        if batch_rows is None or parquet.metadata.num_rows == 0:
            yield pd.read_parquet(file)
            return
        names = parquet.schema_arrow.names
        for batch in parquet.iter_batches(batch_rows, columns=[name for name in names if name in (columns or names)]):
            yield batch.to_pandas(split_blocks=True)  # without a copy


def _iter_csv(file: Path, batch_rows: int | None, text_columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    refuse_repeated_columns(_read_header(file), f"'{file}'")  # pandas would rename the second one without a word
    options: dict[str, Any] = {"converters": dict.fromkeys(text_columns, str), "low_memory": False}
    if batch_rows is None:
        batches = iter([pd.read_csv(file, **options)])
    else:
        batches = iter(pd.read_csv(file, chunksize=batch_rows, **options))
    for first, batch in enumerate(batches):
        if not first and not isinstance(batch.index, pd.RangeIndex):
            # pandas takes the surplus for an index and shifts all columns
            raise CatalogError(f"The rows of the catalog '{file}' have more fields than its header: an extra comma?")
        yield batch


def _read_header(file: Path) -> list[str]:
    with gzip.open(file, "rb") if file.name.lower().endswith(".gz") else file.open("rb") as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
        return next(csv.reader(text), [])


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
        logger.warning("Left out columns of '%s' that hold several values per row: %s.", file, ", ".join(nested))
    frame: pd.DataFrame = table[flat].to_pandas()
    return frame

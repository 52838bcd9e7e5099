"""Predictions as one table, for people and for other software.

    friendly         expected vote fractions, blank where the question would hardly be asked, and the likeliest answer
    advanced         fractions with intervals, expected votes, shares of volunteers asked, entropy
    concentrations   what the model predicts, sample by sample

Every column of the catalog comes along. CSV, Parquet and HDF5 are written part by part; a FITS table is made in memory.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from zoobot.config import ExportSettings
from zoobot.errors import OutputError
from zoobot.shared import mixtures
from zoobot.shared.dirichlet import spread_over_answers
from zoobot.shared.predictions import Predictions, iter_predictions

_SUFFIXES = {"csv": ".csv", "parquet": ".parquet", "hdf5": ".hdf5", "fits": ".fits"}


@dataclass(frozen=True)
class ExportedTable:
    """What an export returns."""

    path: Path
    n_galaxies: int

    def __str__(self) -> str:
        return f"Wrote {self.n_galaxies:,} galaxies: {self.path}"


@dataclass(frozen=True)
class Column:
    """What a column holds, for formats that can say so."""

    unit: str
    description: str


def export(
    predictions: str | Path, output: str | Path | None = None, settings: ExportSettings | None = None
) -> ExportedTable:
    """Write the predictions of a folder as one table.

    Args:
        predictions: a folder written by `zoobot predict`.
        output: the file; by default `TABLE.FORMAT` in that folder.
        settings: see `zoobot.config.ExportSettings`.

    Raises:
        PredictionError: no predictions there, or damaged ones.
        OutputError: the file cannot be written.
    """
    settings = settings or ExportSettings()
    path = Path(output) if output else Path(predictions) / f"{settings.table}{_SUFFIXES[settings.format]}"
    writers: dict[str, Callable[[Iterator[Predictions], Path, ExportSettings], int]] = {
        "csv": _write_csv,
        "parquet": _write_parquet,
        "hdf5": _write_hdf5,
        "fits": _write_fits,
    }
    parts = iter_predictions(predictions)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count = writers[settings.format](parts, temporary, settings)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return ExportedTable(path, count)


def to_table(predictions: Predictions, settings: ExportSettings | None = None) -> pd.DataFrame:
    """Predictions as a table with one row per galaxy: the catalog's columns, then those of `settings.table`."""
    settings = settings or ExportSettings()
    tables = {"friendly": _friendly, "advanced": _advanced, "concentrations": _concentrations}
    added = tables[settings.table](predictions, settings)
    ours = {f"{label}_fraction" for label in predictions.label_cols}
    travelling = predictions.table[[column for column in predictions.table if column not in ours]]
    return pd.concat([travelling.reset_index(drop=True), added], axis=1)


def describe_columns(predictions: Predictions, settings: ExportSettings) -> dict[str, Column]:
    """Unit and description of the columns that `to_table` adds."""
    schema, interval = predictions.schema, f"{settings.interval:.0%}"
    described = {}
    for question in schema.questions:
        asked = "expected share of volunteers who are asked this question"
        described[f"{question.text}_label"] = Column("", f"likeliest answer to: {question.display_text}")
        described[f"{question.text}_proportion_asked"] = Column("", asked)
        described[f"{question.text}_entropy"] = Column("", "entropy of one volunteer's answer, in nats")
        described[f"{question.text}_entropy_expected"] = Column("", "of it, in nats: volunteers disagree")
        described[f"{question.text}_mutual_information"] = Column("", "of it, in nats: samples and models disagree")
        for answer in question.answers:
            described |= {
                f"{answer.text}_fraction": Column("", "expected share of the volunteers asked who give this answer"),
                f"{answer.text}_low": Column("", f"lower end of the {interval} interval of the share"),
                f"{answer.text}_high": Column("", f"upper end of the {interval} interval of the share"),
                f"{answer.text}_expected_votes": Column("count", f"expected votes of {settings.volunteers} volunteers"),
            }
    return described


def _friendly(predictions: Predictions, settings: ExportSettings) -> pd.DataFrame:
    schema, fractions = predictions.schema, predictions.vote_fractions
    asked = schema.proportion_asked(fractions) >= settings.asked
    shown = np.where(spread_over_answers(asked, schema.question_index_groups), fractions, np.nan).astype(np.float32)
    columns: dict[str, Any] = {}
    for position, question in enumerate(schema.questions):
        names = np.array([answer.display_text for answer in question.answers], object)
        likeliest = names[fractions[:, question.slice].argmax(axis=1)]
        columns[f"{question.text}_label"] = np.where(asked[:, position], likeliest, "")
        columns |= {f"{answer.text}_fraction": shown[:, answer.index] for answer in question.answers}
    return pd.DataFrame(columns)


def _advanced(predictions: Predictions, settings: ExportSettings) -> pd.DataFrame:
    schema, concentrations = predictions.schema, predictions.concentrations
    groups, fractions = schema.question_index_groups, predictions.vote_fractions
    tail = (1 - settings.interval) / 2
    low, high = np.moveaxis(mixtures.quantiles(concentrations, groups, (tail, 1 - tail)), 2, 0)
    votes = mixtures.expected_votes(concentrations, schema, settings.volunteers)
    asked = schema.proportion_asked(fractions)
    entropy = mixtures.entropy(concentrations, groups)
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for position, question in enumerate(schema.questions):
        columns |= {
            f"{question.text}_proportion_asked": asked[:, position],
            f"{question.text}_entropy": entropy.total[:, position],
            f"{question.text}_entropy_expected": entropy.expected[:, position],
            f"{question.text}_mutual_information": entropy.mutual_information[:, position],
        }
        for answer in question.answers:
            columns |= {
                f"{answer.text}_fraction": fractions[:, answer.index],
                f"{answer.text}_low": low[:, answer.index],
                f"{answer.text}_high": high[:, answer.index],
                f"{answer.text}_expected_votes": votes[:, answer.index],
            }
    return pd.DataFrame(columns).astype(np.float32)


def _concentrations(predictions: Predictions, _: ExportSettings) -> pd.DataFrame:
    samples = predictions.concentrations.shape[2]
    endings = [""] if samples == 1 else [f"_{sample}" for sample in range(samples)]
    return pd.DataFrame(
        {
            f"{label}_concentration{ending}": predictions.concentrations[:, position, sample]
            for position, label in enumerate(predictions.label_cols)
            for sample, ending in enumerate(endings)
        }
    )


def _write_csv(parts: Iterator[Predictions], path: Path, settings: ExportSettings) -> int:
    count = 0
    for part in parts:
        to_table(part, settings).to_csv(path, mode="a" if count else "w", header=not count, index=False)
        count += len(part.table)
    return count


def _write_parquet(parts: Iterator[Predictions], path: Path, settings: ExportSettings) -> int:
    count, writer = 0, None
    try:
        for part in parts:
            table = pa.Table.from_pandas(to_table(part, settings), preserve_index=False)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table.cast(writer.schema))
            count += len(part.table)
    finally:
        if writer is not None:
            writer.close()
    return count


def _write_hdf5(parts: Iterator[Predictions], path: Path, settings: ExportSettings) -> int:
    """One dataset for each column; concentrations as `predictions (galaxy, answer, sample)` with `label_cols`."""
    import h5py

    count = 0
    with h5py.File(path, "w") as file:
        for part in parts:
            if settings.table == "concentrations":
                columns: dict[str, Any] = {name: part.table[name].to_numpy() for name in ("id_str",)}
                columns["predictions"] = part.concentrations
                if not count:
                    file["label_cols"] = part.label_cols
            else:
                table = to_table(part, settings)
                columns = {str(name): table[name].to_numpy() for name in table}
            for name, values in columns.items():
                _append(file, name.replace("/", "_"), values, h5py.string_dtype())
            count += len(part.table)
    return count


def _append(file: Any, name: str, values: npt.NDArray[Any], text: Any) -> None:
    if values.dtype.kind not in "biuf":
        values = np.array(["" if pd.isna(value) else str(value) for value in values], object)
    if name not in file:
        dtype = text if values.dtype == object else values.dtype
        file.create_dataset(name, data=values, dtype=dtype, maxshape=(None, *values.shape[1:]), chunks=True)
    else:
        length = len(file[name])
        file[name].resize(length + len(values), axis=0)
        file[name][length:] = values


def _write_fits(parts: Iterator[Predictions], path: Path, settings: ExportSettings) -> int:
    from astropy.io import fits
    from astropy.table import Table

    tables: list[pd.DataFrame] = []
    described: dict[str, Column] = {}
    for part in parts:
        tables.append(to_table(part, settings))
        described = described or describe_columns(part, settings)
    whole = pd.concat(tables, ignore_index=True)
    texts = _find_texts(whole)
    for name in texts:
        whole[name] = [_to_ascii("" if pd.isna(value) else str(value)) for value in whole[name]]
    table = Table.from_pandas(whole)
    for name in texts:
        table[name] = np.asarray(whole[name], dtype=f"S{max(1, *map(len, whole[name]))}")
    hdu = fits.table_to_hdu(table)
    hdu.header["EXTNAME"] = settings.table.upper()
    for number, name in enumerate(table.colnames, start=1):
        if name in described:
            hdu.header[f"TCOMM{number}"] = _to_ascii(described[name].description)  # TOPCAT shows it
            if described[name].unit:
                hdu.header[f"TUNIT{number}"] = described[name].unit
    with path.open("wb") as file:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(file)
    return len(whole)


def _find_texts(table: pd.DataFrame) -> Sequence[str]:
    return [str(name) for name in table if table[name].dtype.kind not in "biuf"]


def _to_ascii(text: str) -> str:
    """FITS knows ASCII only; other characters are escaped, so that names stay different."""
    return text.encode("ascii", "backslashreplace").decode()

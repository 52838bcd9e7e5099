"""Predictions on disk and in memory: concentrations `(galaxy, answer, sample)` with the names of galaxies and answers.

On disk a folder of Parquet parts. Each row holds `id_str`, the catalog's other columns, `model_split`, and for each
label column `<label>_concentration` (list of float32, one per sample) and `<label>_fraction` (float32, the mean over
samples of the expected vote fraction). The schema and the model's description are in each file's metadata.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from zoobot.errors import PredictionError
from zoobot.shared import dirichlet
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.schemas import Schema

SPLIT_COLUMN = "model_split"
"""Where the model had each galaxy: train, validation, test, or blank for a galaxy that was not in its catalog."""
METADATA_KEY = b"zoobot"


@dataclass(frozen=True)
class Predictions:
    """Predictions of one model for many galaxies.

    Args:
        table: `id_str`, `model_split`, the catalog's other columns and `<label>_fraction`; one row per galaxy.
        concentrations: `(galaxy, answer, sample)`, positive, rows as in `table`.
        schema: the tree that names the answers.
        model: the description of the model that made them, as in the model folder.
    """

    table: pd.DataFrame
    concentrations: npt.NDArray[np.float32]
    schema: Schema
    model: dict[str, Any]

    @property
    def label_cols(self) -> list[str]:
        return self.schema.label_cols

    @property
    def id_str(self) -> list[str]:
        return list(self.table["id_str"])

    @property
    def vote_fractions(self) -> npt.NDArray[np.float64]:
        """`(galaxy, answer)`, expected fraction of the votes of those asked; the mean over samples."""
        return expected_fractions(self.concentrations, self.schema)


def expected_fractions(concentrations: npt.ArrayLike, schema: Schema) -> npt.NDArray[np.float64]:
    """Mean vote fractions `(galaxy, answer)` of the mixture of samples `(galaxy, answer, sample)`."""
    fractions: npt.NDArray[np.float64] = dirichlet.mean(concentrations, schema.question_index_groups).mean(axis=2)
    return fractions


def write_part(
    path: Path,
    galaxies: pd.DataFrame,
    concentrations: npt.NDArray[np.float32],
    schema: Schema,
    model: Mapping[str, Any],
    rejected: Sequence[tuple[str, str, str]],
) -> None:
    """Write one part atomically.

    Args:
        path: the Parquet file.
        galaxies: `id_str` and the columns that travel along.
        concentrations: `(galaxy, answer, sample)`, rows as in `galaxies`.
        model: the model's description.
        rejected: `(id_str, file_loc, reason)` of the galaxies that this part lacks.
    """
    fractions = expected_fractions(concentrations, schema).astype(np.float32)
    table = pa.Table.from_pandas(galaxies.reset_index(drop=True), preserve_index=False)
    for position, label in enumerate(schema.label_cols):
        samples = concentrations[:, position, :].astype(np.float32)
        offsets = np.arange(len(samples) + 1, dtype=np.int32) * samples.shape[1]
        lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(samples.ravel()))
        table = table.append_column(f"{label}_concentration", lists)
        table = table.append_column(f"{label}_fraction", pa.array(fractions[:, position]))
    record = {"schema": schema.to_dict(), "model": dict(model), "rejected": list(rejected)}
    metadata = {**(table.schema.metadata or {}), METADATA_KEY: json.dumps(record).encode()}
    buffer = BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    write_atomically(path, buffer.getvalue())


def read_rejected(path: Path) -> list[tuple[str, str, str]]:
    """`(id_str, file_loc, reason)` of the galaxies that a part lacks."""
    return [tuple(row) for row in _read_record(path)["rejected"]]


def read_predictions(folder: str | Path) -> Predictions:
    """Read a folder of predictions.

    Raises:
        PredictionError: no predictions there, damaged parts, or parts of several models or trees.
    """
    schema, model, pieces = _open_parts(folder)
    tables, concentrations = zip(*pieces, strict=True)
    table = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return Predictions(table, np.concatenate(concentrations), schema, model)


def iter_predictions(folder: str | Path) -> Iterator[Predictions]:
    """The predictions of a folder, part by part; parts without galaxies are left out. Raises as `read_predictions`."""
    schema, model, pieces = _open_parts(folder)
    for table, concentrations in pieces:
        yield Predictions(table.to_pandas(), concentrations, schema, model)


def read_part(path: Path, schema: Schema) -> Predictions:
    """The predictions of one part."""
    table, concentrations = _read_part(path, schema)
    return Predictions(table.to_pandas(), concentrations, schema, _read_record(path)["model"])


def _open_parts(
    folder: str | Path,
) -> tuple[Schema, dict[str, Any], Iterator[tuple[pa.Table, npt.NDArray[np.float32]]]]:
    """The schema, the model and what `_read_part` makes of every part that holds galaxies, at least one."""
    parts = sorted(Path(folder).glob("part-*.parquet"))
    if not parts:
        raise PredictionError(
            f"There are no predictions in '{folder}' (files part-*.parquet). 'zoobot predict' makes them."
        )
    records = [_read_record(part) for part in parts]
    if any(record[key] != records[0][key] for record in records for key in ("schema", "model")):
        raise PredictionError(f"'{folder}' mixes predictions of several models. Keep one model's in one folder.")
    if records[0]["schema"] is None:
        raise PredictionError(f"'{folder}' holds embeddings or labels, not predictions of votes.")
    schema = Schema.from_dict(records[0]["schema"])
    with_galaxies = [part for part in parts if pq.read_metadata(part).num_rows]
    if not with_galaxies:
        raise PredictionError(f"The predictions in '{folder}' hold no galaxy: every image was rejected.")

    def pieces() -> Iterator[tuple[pa.Table, npt.NDArray[np.float32]]]:
        n_samples = None
        for part in with_galaxies:
            table, concentrations = _read_part(part, schema)
            if concentrations.shape[2] != (n_samples or concentrations.shape[2]):
                raise PredictionError(
                    f"The parts in '{folder}' differ in the number of samples. Predict into a new folder."
                )
            n_samples = concentrations.shape[2]
            yield table, concentrations

    return schema, records[0]["model"], pieces()


def write_csv(folder: Path) -> Path:
    """Write all parts of a folder as one `predictions.csv`; several samples of a concentration become their mean."""
    predictions = read_predictions(folder)
    concentrations = pd.DataFrame(
        predictions.concentrations.mean(axis=2),
        columns=[f"{label}_concentration" for label in predictions.label_cols],
    )
    path = folder / "predictions.csv"
    write_atomically(path, pd.concat([predictions.table, concentrations], axis=1).to_csv(index=False))
    return path


def _read_record(path: Path) -> dict[str, Any]:
    with named_if_damaged(path):
        record = json.loads(pq.read_schema(path).metadata[METADATA_KEY])
        return {key: record[key] for key in ("schema", "model", "rejected")}


def _read_part(path: Path, schema: Schema) -> tuple[pa.Table, npt.NDArray[np.float32]]:
    """The part without its concentrations, and these as `(galaxy, answer, sample)`."""
    names = [f"{label}_concentration" for label in schema.label_cols]
    with named_if_damaged(path):
        table = pq.read_table(path)
        columns = [table.column(name).combine_chunks().flatten().to_numpy() for name in names]
        concentrations = np.stack([column.reshape(len(table), -1 if len(table) else 1) for column in columns], axis=1)
        return table.drop_columns(names), concentrations


@contextmanager
def named_if_damaged(path: Path) -> Iterator[None]:
    """Errors of reading a part become one that names it."""
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise PredictionError(f"'{path}' is damaged, or was not written by zoobot.") from error

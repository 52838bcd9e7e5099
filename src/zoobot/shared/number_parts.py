"""Numbers of each galaxy on disk, one column for each: the features of an encoder, or predicted labels.

A folder of Parquet parts, as predictions of votes. Each row holds `id_str`, the catalog's other columns, `model_split`
and the numbers; what they are and where they come from is in each file's metadata.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
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
from zoobot.shared.parts import Rejected
from zoobot.shared.predictions import METADATA_KEY, named_if_damaged
from zoobot.shared.run_folders import write_atomically


@dataclass(frozen=True)
class Numbers:
    """Numbers of some galaxies.

    Args:
        table: `id_str`, `model_split` and the catalog's other columns; one row per galaxy.
        values: `(galaxy, number)`.
        names: of the numbers.
        model: what made them.
        kind: `embeddings` or `labels`.
    """

    table: pd.DataFrame
    values: npt.NDArray[np.float32]
    names: list[str]
    model: dict[str, Any]
    kind: str


def write_numbers(
    path: Path,
    galaxies: pd.DataFrame,
    values: npt.NDArray[Any],
    names: Sequence[str],
    kind: str,
    model: Mapping[str, Any],
    rejected: Rejected,
) -> None:
    """Write one part atomically; the numbers keep the type that `values` has."""
    table = pa.Table.from_pandas(galaxies.reset_index(drop=True), preserve_index=False)
    for place, name in enumerate(names):
        table = table.append_column(name, pa.array(values[:, place]))
    record = {"schema": None, "kind": kind, "names": list(names), "model": dict(model), "rejected": list(rejected)}
    metadata = {**(table.schema.metadata or {}), METADATA_KEY: json.dumps(record).encode()}
    buffer = BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    write_atomically(path, buffer.getvalue())


def read_numbers(folder: str | Path, kind: str) -> Numbers:
    """The numbers of all parts of a folder. Raises as `iter_numbers`."""
    parts = list(iter_numbers(folder, kind))
    table = pd.concat([part.table for part in parts], ignore_index=True)
    return Numbers(table, np.concatenate([part.values for part in parts]), parts[0].names, parts[0].model, kind)


def iter_numbers(folder: str | Path, kind: str) -> Iterator[Numbers]:
    """The numbers of a folder, part by part.

    Raises:
        PredictionError: there are none, of another kind, of several models, or damaged.
    """
    paths = sorted(Path(folder).glob("part-*.parquet"))
    if not paths:
        raise PredictionError(f"There are no {kind} in '{folder}' (files part-*.parquet). {_MADE_BY[kind]} makes them.")
    first: dict[str, Any] | None = None
    n_galaxies = 0
    for path in paths:
        with named_if_damaged(path):
            table = pq.read_table(path)
            record = json.loads(table.schema.metadata[METADATA_KEY])
        if record.get("kind") != kind:
            there = record.get("kind", "predictions of votes")
            raise PredictionError(f"'{folder}' holds {there}, not {kind}. {_MADE_BY[kind]} makes them.")
        first = first or record
        if (record["names"], record["model"]) != (first["names"], first["model"]):
            raise PredictionError(f"'{folder}' mixes {kind} of several models. Keep one model's in one folder.")
        with named_if_damaged(path):
            columns = [table.column(name).to_numpy() for name in record["names"]]
            values = np.stack(columns, axis=1).astype(np.float32)
            others = table.drop_columns(record["names"]).to_pandas()
        n_galaxies += len(others)
        if len(others):
            yield Numbers(others, values, record["names"], record["model"], kind)
    if not n_galaxies:
        raise PredictionError(f"The {kind} in '{folder}' hold no galaxy: every image was rejected.")


_MADE_BY = {"embeddings": "'zoobot embed'", "labels": "'zoobot predict', with a finetuned model,"}

"""Making numbers of every galaxy of a catalog, part by part: features or labels. Called again, it goes on.

A framework makes the numbers of batches of galaxies; see `parts.py`.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import EmbedSettings, PredictSettings
from zoobot.shared.catalogs import Catalog
from zoobot.shared.number_parts import write_numbers
from zoobot.shared.parts import MadeBatch, Parts, Rejected
from zoobot.shared.prediction_runs import PredictedCatalog, refuse_columns_that_cannot_travel
from zoobot.shared.predictions import read_rejected
from zoobot.shared.run_folders import open_run, write_atomically
from zoobot.shared.shares import claimed, find_share

MakeBatches = Callable[[Catalog, Sequence[range]], Iterator[MadeBatch]]


@dataclass(frozen=True)
class NumberRun:
    """What is made.

    Args:
        verb: `embed` or `predict`.
        doing: for the progress bar and the result: `Embedding`, `Embedded`.
        kind: `embeddings` or `labels`.
        names: of the numbers.
        dtype: in which they are written.
        model: what makes them, recorded with them; `weights_sha256` tells one from another.
        split: `id_str` -> where the model had that galaxy.
    """

    verb: str
    doing: tuple[str, str]
    kind: str
    names: list[str]
    dtype: type
    model: Mapping[str, Any]
    split: Mapping[str, str]


def make_numbers(
    run: NumberRun,
    make_batches: MakeBatches,
    galaxies: Catalog,
    output: str | Path,
    settings: EmbedSettings | PredictSettings,
    may_differ: frozenset[str] = frozenset(),
) -> PredictedCatalog:
    """Write the parts that lack.

    Args:
        make_batches: a catalog and the rows of the parts that lack -> numbers `(galaxy, number)` of its batches.
        may_differ: settings that do not change the parts.
    """
    share = find_share(settings.shard)
    refuse_columns_that_cannot_travel(galaxies, run.names)
    inputs = {"model": run.model["weights_sha256"], "catalog": galaxies.checksum()}
    may_differ |= {"on_bad_image", "on_bad_row", "shard"}
    folder = open_run(output, run.verb, settings, inputs, makes="part-*.parquet", may_differ=may_differ)

    def write(path: Path, table: pd.DataFrame, values: npt.NDArray[np.float32], rejected: Rejected) -> None:
        files = {name: [os.path.join(galaxies.folder, file) for file in table[name]] for name in galaxies.file_columns}
        table = table.assign(**files)  # absolute, so that galleries find the images
        write_numbers(path, table, values.astype(run.dtype), run.names, run.kind, run.model, rejected)

    parts = Parts(folder, galaxies, run.split, settings.part_size, write)
    with claimed(share, folder):
        missing = parts.find_missing(share)
        if missing:
            batches = make_batches(galaxies, [parts.rows(number) for number in missing])
            parts.make(missing, batches, run.doing[0], settings.on_bad_image)
    made = parts.find_made()
    rejected = [line for number in made for line in read_rejected(parts.path(number))]
    left_out = galaxies.list_rejected(rejected)
    n_missing = parts.count_missing()
    if not n_missing:
        write_atomically(folder / "rejected.csv", left_out.to_csv(index=False))
    count = sum(len(parts.rows(number)) for number in made) - len(rejected)
    return PredictedCatalog(folder, count, left_out, n_missing, done=run.doing[1])

"""Embeddings: features of galaxies on disk, their principal components, and what is compared of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from zoobot.errors import PredictionError, did_you_mean
from zoobot.shared.number_parts import iter_numbers, read_numbers
from zoobot.shared.principal_components import fit_components, load_components
from zoobot.shared.tables import is_parquet, read_table

FEATURE, COMPONENT = "feat_", "feat_pca_"
_TRAVELS = ("id_str", "ra", "dec", "file_loc")


@dataclass(frozen=True)
class Embeddings:
    """Features of galaxies.

    Args:
        table: `id_str` and the columns beside the features; one row per galaxy.
        features: `(galaxy, feature)`.
        model: what made them; empty for a table from elsewhere.
    """

    table: pd.DataFrame
    features: npt.NDArray[np.float32]
    model: dict[str, Any]

    def find(self, id_str: str) -> int:
        """The row of a galaxy; `PredictionError` if it is not there."""
        names = self.table["id_str"].astype(str)
        found = np.flatnonzero(names == id_str)
        if not len(found):
            raise PredictionError(f"There is no galaxy '{id_str}' in the embeddings.{did_you_mean(id_str, names)}")
        return int(found[0])


def read_embeddings(source: str | Path) -> Embeddings:
    """Read embeddings: a folder that `zoobot embed` wrote, or a table with `id_str` and `feat_...`.

    Published tables of representations are such tables: `id_str`, `ra`, `dec`, `feat_pca_0` ...

    Raises:
        PredictionError: there are none there, or some are not numbers.
    """
    if Path(source).is_dir():
        numbers = read_numbers(source, "embeddings")
        return Embeddings(numbers.table, numbers.values, numbers.model)
    table = pd.read_parquet(source) if is_parquet(source) and Path(source).is_file() else read_table(source)
    names = [str(name) for name in table.columns if str(name).startswith(FEATURE)]
    if not names or "id_str" not in table:
        lacking = "id_str" if names else f"columns {FEATURE}..."
        raise PredictionError(
            f"The table '{source}' has no {lacking}: it holds no embeddings. 'zoobot embed' makes them."
        )
    features = table[names].to_numpy(np.float32)
    wrong = ~np.isfinite(features).all(axis=1)
    if wrong.any():
        galaxy = table["id_str"][wrong].iloc[0]
        raise PredictionError(f"Features in '{source}' are no numbers, such as those of '{galaxy}'. Leave out its row.")
    return Embeddings(table.drop(columns=names), features, {})


def write_components(folder: Path, n_components: int | None, fitted: Path | None) -> tuple[Path, float]:
    """Write the principal components of the embeddings of a folder, part by part.

    Args:
        n_components: how many to fit, and to save beside the table; None to use those of `fitted`.
        fitted: a file of components that were saved.

    Returns:
        The table `pca_N.parquet` (`id_str`, `ra`, `dec` and `file_loc` where the catalog has them, `feat_pca_0` ...),
        and the share of the variance of the galaxies that they were fitted to.
    """
    if fitted is None:
        components = fit_components((part.values for part in iter_numbers(folder, "embeddings")), n_components or 1)
        components.save(folder / f"pca_{n_components}.npz")
    else:
        components = load_components(fitted)

    def tables() -> Iterator[pa.Table]:
        for part in iter_numbers(folder, "embeddings"):
            travels = part.table[[name for name in _TRAVELS if name in part.table]]
            values = components.transform(part.values)
            names = [f"{COMPONENT}{number}" for number in range(values.shape[1])]
            columns = pd.DataFrame(values, columns=names, index=travels.index)
            yield pa.Table.from_pandas(pd.concat([travels, columns], axis=1), preserve_index=False)

    path = folder / f"pca_{len(components.variance)}.parquet"
    temporary = path.with_name(f".{path.name}.partial")
    writer: pq.ParquetWriter | None = None
    for table in tables():
        writer = writer or pq.ParquetWriter(temporary, table.schema)
        writer.write_table(table.cast(writer.schema))
    if writer is not None:
        writer.close()
    temporary.replace(path)
    return path, components.share_of_variance

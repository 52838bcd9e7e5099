"""A map of an embedding: galaxies laid out by likeness (UMAP), thumbnails where they are. The verb `map`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import MapSettings
from zoobot.errors import PredictionError, require_extra
from zoobot.shared.embeddings import Embeddings, read_embeddings
from zoobot.shared.galleries import files_of, read_thumbnail
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.tables import write_table

Places = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EmbeddingMap:
    """The picture, and the table of each galaxy's place if one was asked for."""

    picture: Path
    table: Path | None

    def __str__(self) -> str:
        return f"Map: {self.picture}" + (f"\nTable: {self.table}" if self.table else "")


def draw_map(
    embeddings: str | Path, output: str | Path, table: str | Path | None = None, settings: MapSettings | None = None
) -> EmbeddingMap:
    """Lay galaxies out in a plane so that those that are alike are close, and draw some.

    UMAP (McInnes, Healy & Melville 2018, arXiv:1802.03426) keeps neighbours together; distances across the map mean
    little.

    Args:
        embeddings: a folder of `zoobot embed`, or a table of features.
        output: the picture: PNG.
        table: `id_str`, `x` and `y` of every galaxy, 0 to 1: CSV or Parquet.
        settings: see `zoobot.config.MapSettings`.

    Raises:
        MissingExtraError: umap-learn is not installed.
        PredictionError: there are no embeddings, or too few galaxies.
    """
    require_extra("umap", ["umap"])
    settings = settings or MapSettings()
    found = read_embeddings(embeddings)
    if len(found.table) <= settings.neighbours:
        raise PredictionError(
            f"A map with {settings.neighbours} neighbours needs more galaxies than that. '{embeddings}' has "
            f"{len(found.table)}: give fewer --neighbours."
        )
    places = _lay_out(found.features, settings)
    path = Path(output).with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, draw_thumbnails(found, places, settings.cells, settings.side))
    where = None
    if table is not None:
        own = pd.DataFrame({"id_str": found.table["id_str"], "x": places[:, 0], "y": places[:, 1]})
        where = write_table(own, table)
    return EmbeddingMap(path, where)


def draw_thumbnails(found: Embeddings, places: Places, cells: int, side: int) -> bytes:
    """A PNG of `cells` x `cells` thumbnails: in each cell the galaxy that is nearest its centre, if any is in it.

    Args:
        places: `(galaxy, 2)`, 0 to 1, from left to right and from the bottom up.
        side: of a thumbnail, in pixels.
    """
    canvas = np.full((cells * side, cells * side, 3), 255, np.uint8)
    files = files_of(found.table)
    for (column, row), galaxy in choose_galaxies(places, cells).items():
        image = read_thumbnail(files[galaxy], found.model, side) if files[galaxy] else None
        if image is not None:
            top = (cells - 1 - row) * side
            canvas[top : top + side, column * side : (column + 1) * side] = image
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(canvas[:, :, ::-1]))
    return encoded.tobytes()


def choose_galaxies(places: Places, cells: int) -> dict[tuple[int, int], int]:
    """`(column, row)` of each cell that has galaxies -> the one nearest its centre."""
    at = np.minimum((places * cells).astype(int), cells - 1)
    distances = np.linalg.norm(places * cells - (at + 0.5), axis=1)
    chosen: dict[tuple[int, int], int] = {}
    for galaxy in np.argsort(-distances, kind="stable"):
        chosen[int(at[galaxy, 0]), int(at[galaxy, 1])] = int(galaxy)
    return chosen


def _lay_out(features: npt.NDArray[np.float32], settings: MapSettings) -> Places:
    import umap

    make: Callable[..., Any] = umap.UMAP
    reducer = make(n_neighbors=settings.neighbours, metric="cosine", random_state=settings.seed, n_jobs=1, init="pca")
    found: Places = np.asarray(reducer.fit_transform(features - features.mean(axis=0)), np.float64)
    spread = np.ptp(found, axis=0)
    places: Places = (found - found.min(axis=0)) / np.where(spread > 0, spread, 1)
    return places

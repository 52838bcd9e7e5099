"""Galaxies like a given one, in a table and a gallery."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import SimilarSettings
from zoobot.errors import SettingError
from zoobot.shared.embeddings import Embeddings, read_embeddings
from zoobot.shared.galleries import write_gallery
from zoobot.shared.similarity import find_nearest
from zoobot.shared.tables import write_table


@dataclass(frozen=True)
class SimilarGalaxies:
    """What was found: `likeness` (1 is the same) beside the embeddings' own columns, the most alike first."""

    table: pd.DataFrame
    gallery: Path | None

    def __str__(self) -> str:
        page = f"\nGallery: {self.gallery}" if self.gallery else ""
        return self.table[["id_str", "likeness"]].to_string(index=False, float_format="%.3f") + page


def find_similar(
    embed_image: Callable[[Path, Embeddings], npt.NDArray[np.float32]],
    embeddings: str | Path,
    galaxy: str | None,
    image: str | Path | None,
    output: str | Path | None,
    gallery: str | Path | None,
    settings: SimilarSettings,
) -> SimilarGalaxies:
    """Find the galaxies most like one of them, or most like an image.

    Args:
        embed_image: the features of an image, `(1, feature)`, by the encoder of some embeddings.
        embeddings, galaxy, image, output, gallery, settings: see `zoobot.frameworks.similar`.
    """
    if (galaxy is None) == (image is None):
        raise SettingError("Give one galaxy: --id of one that is embedded, or --image with a file.")
    found = read_embeddings(embeddings)
    query = found.features[[found.find(galaxy)]] if galaxy is not None else embed_image(Path(str(image)), found)
    rows, likeness = find_nearest(found.features, query, settings.k + 1)
    table = found.table.iloc[rows[0]].assign(likeness=likeness[0]).reset_index(drop=True)
    if galaxy is not None:
        table = table[table["id_str"].astype(str) != galaxy].reset_index(drop=True)
    table = table.head(settings.k)
    if output is not None:
        write_table(table, Path(output))
    page = None
    if gallery is not None:
        title = f"Galaxies like {galaxy if galaxy is not None else Path(str(image)).name}"
        shown, words = table, [f"{value:.3f}" for value in table["likeness"]]
        if galaxy is not None:
            shown = pd.concat([found.table.iloc[[found.find(galaxy)]], table], ignore_index=True)
            words = ["the galaxy itself", *words]
        note = f"The {len(table):,} most alike of {len(found.table):,} galaxies; 1 is the same."
        page = write_gallery(Path(gallery), title, shown, words, found.model, note)
    return SimilarGalaxies(table, page)

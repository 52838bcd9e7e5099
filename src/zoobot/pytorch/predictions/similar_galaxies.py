"""Galaxies like a given one: the verb `similar`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import EmbedSettings, ImageSettings, SimilarSettings
from zoobot.errors import PredictionError, SettingError
from zoobot.pytorch.predictions.number_batches import number_batches
from zoobot.pytorch.training.representations import ZoobotEncoder, describe_encoder, encoder_for
from zoobot.shared.adjustments import Adjustments
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.embeddings import Embeddings, read_embeddings
from zoobot.shared.galleries import write_gallery
from zoobot.shared.image_catalogs import find_galaxies
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


def similar(
    embeddings: str | Path,
    galaxy: str | None = None,
    image: str | Path | None = None,
    output: str | Path | None = None,
    gallery: str | Path | None = None,
    settings: SimilarSettings | None = None,
) -> SimilarGalaxies:
    """Find the galaxies most like one of them, or most like an image.

    Args:
        embeddings: a folder of `zoobot embed`, or a table of features.
        galaxy: `id_str` of one of them; it is left out itself.
        image: or the path of an image, which the embeddings' own encoder then sees as it saw them.
        output: a table to write: CSV or Parquet.
        gallery: a page to write.
        settings: see `zoobot.config.SimilarSettings`.

    Raises:
        PredictionError: no embeddings, no such galaxy, or the encoder is not there any more.
        SettingError: neither or both of `galaxy` and `image` are given.
    """
    settings = settings or SimilarSettings()
    if (galaxy is None) == (image is None):
        raise SettingError("Give one galaxy: --id of one that is embedded, or --image with a file.")
    found = read_embeddings(embeddings)
    query = found.features[[found.find(galaxy)]] if galaxy is not None else _embed_image(Path(str(image)), found)
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


def _embed_image(image: Path, found: Embeddings) -> npt.NDArray[np.float32]:
    """`(1, feature)`, by the encoder of the embeddings."""
    if not found.model:
        raise PredictionError("These embeddings do not say which encoder made them, so an image cannot be compared.")
    galaxies = load_catalog(find_galaxies(image), None)
    seen = found.model["seen"]
    reading = {name: value for name, value in seen.items() if name in ImageSettings.model_fields}
    asked = EmbedSettings(image_size=seen["image_size"], crop_bounds=tuple(seen["crop_bounds"]), **reading)
    encoder, settings = encoder_for(found.model["source"], galaxies, asked)
    if describe_encoder(encoder, settings)["weights_sha256"] != found.model["weights_sha256"]:
        raise PredictionError(
            f"The encoder '{found.model['source']}' is not the one that made these embeddings: its weights differ. "
            "Embed the galaxies again."
        )
    adjustments = Adjustments(settings.image_size, settings.crop_bounds)
    n_features = found.features.shape[1]
    batches = number_batches(
        ZoobotEncoder(encoder.module), n_features, adjustments, settings.reading, galaxies, [range(1)], settings
    )
    batch = next(batches)
    if batch.problems:
        raise PredictionError("\n".join(batch.problems.values()))
    features: npt.NDArray[np.float32] = batch.values.astype(np.float16).astype(np.float32)
    return features

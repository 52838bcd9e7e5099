"""Writing the features of every galaxy of a catalog, with any framework, and seeing one more image as they were."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import CatalogSettings, EmbedSettings, ImageSettings
from zoobot.errors import ModelError, PredictionError
from zoobot.shared.adjustments import Adjustments
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.embeddings import FEATURE, Embeddings, write_components
from zoobot.shared.image_catalogs import find_galaxies
from zoobot.shared.model_folders import is_model_folder, read_model_folder
from zoobot.shared.number_runs import MakeBatches, NumberRun, make_numbers
from zoobot.shared.parts import MadeBatch
from zoobot.shared.prediction_runs import PredictedCatalog, find_split
from zoobot.shared.pretrained_encoders import PretrainedEncoder


@dataclass(frozen=True)
class EmbeddedCatalog:
    """What embedding returns.

    Args:
        embedded: the folder, how many galaxies, and what was left out.
        components: the table of principal components, if any were asked for.
        share_of_variance: that they hold.
    """

    embedded: PredictedCatalog
    components: Path | None = None
    share_of_variance: float | None = None

    @property
    def folder(self) -> Path:
        return self.embedded.folder

    def __str__(self) -> str:
        if self.components is None:
            return str(self.embedded)
        return f"{self.embedded}\nPrincipal components, {self.share_of_variance:.1%} of the variance: {self.components}"


def load_galaxies(catalog: str | Path | pd.DataFrame, settings: EmbedSettings) -> Catalog:
    """The galaxies to embed: a table, a prepared folder, a folder of images, a pattern or one image."""
    return load_catalog(find_galaxies(catalog), None, CatalogSettings(on_bad_row=settings.on_bad_row), lean=True)


def embed_with(
    described: Mapping[str, Any],
    n_features: int,
    make_batches: MakeBatches,
    galaxies: Catalog,
    output: str | Path,
    settings: EmbedSettings,
) -> EmbeddedCatalog:
    """Write the parts that lack of the features of an encoder.

    Args:
        described: see `describe_encoder`.
        make_batches: features `(galaxy, feature)` of batches of galaxies; called only where parts lack.
        galaxies, output, settings: as of `embed` in each framework, which tells what is raised.
    """
    source = described["source"]
    run = NumberRun(
        verb="embed",
        doing=("Embedding", "Embedded"),
        kind="embeddings",
        names=[f"{FEATURE}{number}" for number in range(n_features)],
        dtype=np.float16,
        model=described,
        split=find_split([read_model_folder(source)]) if is_model_folder(source) else {},
    )

    def make(galaxies: Catalog, parts: Sequence[range]) -> Iterator[MadeBatch]:
        for batch in make_batches(galaxies, parts):
            if np.abs(batch.values).max(initial=0) > np.finfo(np.float16).max:
                raise ModelError(f"Features of '{source}' are beyond the range of float16.")
            yield batch

    embedded = make_numbers(run, make, galaxies, output, settings, frozenset({"pca", "pca_from"}))
    if embedded.n_missing or (settings.pca is None and settings.pca_from is None):
        return EmbeddedCatalog(embedded)
    return EmbeddedCatalog(embedded, *write_components(embedded.folder, settings.pca, settings.pca_from))


def describe_encoder(
    encoder: PretrainedEncoder, framework: str, weights_sha256: str, settings: EmbedSettings
) -> dict[str, Any]:
    """What travels with every feature: which encoder, and how images were seen."""
    return {
        "framework": framework,
        "weights_sha256": weights_sha256,
        "source": str(Path(encoder.source).resolve()) if Path(encoder.source).exists() else encoder.source,
        "seen": {
            "image_size": settings.image_size,
            "crop_bounds": list(settings.crop_bounds),
            **settings.record_reading(),
        },
    }


def find_view(settings: EmbedSettings) -> Adjustments:
    """How each galaxy is seen: its central view."""
    return Adjustments(settings.image_size, settings.crop_bounds)


def settings_as_seen(found: Embeddings) -> EmbedSettings:
    """How the galaxies of some embeddings were seen; `PredictionError` where they do not say."""
    if not found.model:
        raise PredictionError("These embeddings do not say which encoder made them, so an image cannot be compared.")
    seen = found.model["seen"]
    reading = {name: value for name, value in seen.items() if name in ImageSettings.model_fields}
    return EmbedSettings(image_size=seen["image_size"], crop_bounds=tuple(seen["crop_bounds"]), **reading)


def take_only_features(batches: Iterator[MadeBatch], found: Embeddings, weights_sha256: str) -> npt.NDArray[np.float32]:
    """The features of one image, `(1, feature)`, as they would be written.

    Args:
        batches: of this image, by the encoder with these weights.

    Raises:
        PredictionError: the encoder is not the one that made the embeddings, or the image cannot be read.
    """
    if weights_sha256 != found.model["weights_sha256"]:
        raise PredictionError(
            f"The encoder '{found.model['source']}' is not the one that made these embeddings: its weights differ. "
            "Embed the galaxies again."
        )
    batch = next(batches)
    if batch.problems:
        raise PredictionError("\n".join(batch.problems.values()))
    features: npt.NDArray[np.float32] = batch.values.astype(np.float16).astype(np.float32)
    return features

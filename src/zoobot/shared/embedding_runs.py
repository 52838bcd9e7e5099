"""Writing the features of every galaxy of a catalog, with any framework, and seeing one more image as they were."""

from collections.abc import Callable, Iterator, Sequence
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
from zoobot.shared.image_sources import open_images
from zoobot.shared.model_folders import is_model_folder, read_model_folder
from zoobot.shared.number_runs import NumberRun, make_numbers
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


@dataclass(frozen=True)
class Encoders:
    """What a framework does with encoders, and with it the verb `embed`.

    Args:
        framework: `pytorch` or `tensorflow`.
        load: an encoder, from its source, the number of channels that are wanted if any, and the settings.
        is_name: whether an encoder is built for any number of channels.
        count_features: of an encoder's module, image size and channels.
        checksum: SHA-256 of the weights of a module.
        make_batches: features `(galaxy, feature)` of batches of galaxies, from the encoder, the number of features, the
            settings, the galaxies and the rows of the parts that lack.
    """

    framework: str
    load: Callable[[Any, int | None, EmbedSettings], PretrainedEncoder]
    is_name: Callable[[Any], bool]
    count_features: Callable[[Any, int, int], int]
    checksum: Callable[[Any], str]
    make_batches: Callable[[PretrainedEncoder, int, EmbedSettings, Catalog, Sequence[range]], Iterator[MadeBatch]]

    def embed(
        self, model: Any, catalog: str | Path | pd.DataFrame, output: str | Path, settings: EmbedSettings | None
    ) -> EmbeddedCatalog:
        """As `embed` of each framework, which tells what is raised."""
        asked = settings or EmbedSettings()
        galaxies = _load_galaxies(catalog, asked)
        encoder, settings = self._find(model, galaxies, asked)
        channels = open_images(galaxies, settings.reading).channels
        n_features = self.count_features(encoder.module, settings.image_size, channels)
        described = self._describe(encoder, settings)
        run = NumberRun(
            verb="embed",
            doing=("Embedding", "Embedded"),
            kind="embeddings",
            names=[f"{FEATURE}{number}" for number in range(n_features)],
            dtype=np.float16,
            model=described,
            split=find_split([read_model_folder(encoder.source)]) if is_model_folder(encoder.source) else {},
        )

        def make(galaxies: Catalog, parts: Sequence[range]) -> Iterator[MadeBatch]:
            for batch in self.make_batches(encoder, n_features, settings, galaxies, parts):
                if np.abs(batch.values).max(initial=0) > np.finfo(np.float16).max:
                    raise ModelError(f"Features of '{encoder.source}' are beyond the range of float16.")
                yield batch

        embedded = make_numbers(run, make, galaxies, output, settings, frozenset({"pca", "pca_from"}))
        if embedded.n_missing or (settings.pca is None and settings.pca_from is None):
            return EmbeddedCatalog(embedded)
        return EmbeddedCatalog(embedded, *write_components(embedded.folder, settings.pca, settings.pca_from))

    def embed_image(self, image: Path, found: Embeddings) -> npt.NDArray[np.float32]:
        """The features of an image `(1, feature)`, by the encoder of some embeddings, which sees it as it saw them.

        Raises:
            PredictionError: the encoder is not the one that made the embeddings, or the image cannot be read.
        """
        asked = _settings_as_seen(found)
        galaxies = _load_galaxies(image, asked)
        encoder, settings = self._find(found.model["source"], galaxies, asked)
        if self.checksum(encoder.module) != found.model["weights_sha256"]:
            raise PredictionError(
                f"The encoder '{found.model['source']}' is not the one that made these embeddings: its weights differ. "
                "Embed the galaxies again."
            )
        batch = next(self.make_batches(encoder, found.features.shape[1], settings, galaxies, [range(1)]))
        if batch.problems:
            raise PredictionError("\n".join(batch.problems.values()))
        features: npt.NDArray[np.float32] = batch.values.astype(np.float16).astype(np.float32)
        return features

    def _find(self, model: Any, galaxies: Catalog, settings: EmbedSettings) -> tuple[PretrainedEncoder, EmbedSettings]:
        """The encoder, and the settings with what it expects of these galaxies' images."""
        channels = open_images(galaxies, settings.reading).channels if self.is_name(model) else None
        encoder = self.load(model, channels, settings)
        adapted = encoder.adapt(settings)
        source = f"the catalog {galaxies.source}"
        encoder.refuse_other_channels(open_images(galaxies, adapted.reading).channels, source)
        encoder.refuse_other_bands(galaxies.bands, source)
        return encoder, adapted

    def _describe(self, encoder: PretrainedEncoder, settings: EmbedSettings) -> dict[str, Any]:
        """What travels with every feature: which encoder, and how images were seen."""
        return {
            "framework": self.framework,
            "weights_sha256": self.checksum(encoder.module),
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


def _load_galaxies(catalog: str | Path | pd.DataFrame, settings: EmbedSettings) -> Catalog:
    return load_catalog(find_galaxies(catalog), None, CatalogSettings(on_bad_row=settings.on_bad_row), lean=True)


def _settings_as_seen(found: Embeddings) -> EmbedSettings:
    """How the galaxies of some embeddings were seen; `PredictionError` where they do not say."""
    if not found.model:
        raise PredictionError("These embeddings do not say which encoder made them, so an image cannot be compared.")
    seen = found.model["seen"]
    reading = {name: value for name, value in seen.items() if name in ImageSettings.model_fields}
    return EmbedSettings(image_size=seen["image_size"], crop_bounds=tuple(seen["crop_bounds"]), **reading)

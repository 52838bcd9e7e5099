"""Representations: the features that an encoder finds in galaxies, for similarity, anomalies and models of your own."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
from safetensors.torch import save
from torch import Tensor, nn

from zoobot.config import CatalogSettings, EmbedSettings
from zoobot.errors import ModelError
from zoobot.pytorch.estimators.define_model import count_features, normalise
from zoobot.pytorch.estimators.encoders import is_timm_name, load_encoder
from zoobot.pytorch.estimators.model_folder import plain_weights
from zoobot.pytorch.predictions.number_batches import number_batches
from zoobot.shared.adjustments import Adjustments
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.embeddings import FEATURE, write_components
from zoobot.shared.image_catalogs import find_galaxies
from zoobot.shared.image_sources import open_images
from zoobot.shared.model_folders import is_model_folder, read_model_folder
from zoobot.shared.number_runs import NumberRun, make_numbers
from zoobot.shared.parts import MadeBatch
from zoobot.shared.prediction_runs import PredictedCatalog, find_split
from zoobot.shared.pretrained_encoders import PretrainedEncoder


class ZoobotEncoder(L.LightningModule):
    """An encoder alone, for Lightning's `trainer.predict` and for your own code.

    Args:
        encoder: images to features; `ZoobotEncoder.load_from_name` takes one from anywhere.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    @classmethod
    def load_from_name(cls, name: str | Path) -> "ZoobotEncoder":
        """An encoder from anywhere; see `zoobot.pytorch.estimators.encoders`."""
        return cls(load_encoder(name).module.eval())

    def forward(self, images: Tensor) -> Tensor:
        """Features `(galaxy, feature)` of images `(galaxy, channel, height, width)`, uint8 or float in 0-1."""
        features: Tensor = self.encoder(normalise(images))
        return features

    def predict_step(self, batch: Tensor | Sequence[Tensor], batch_idx: int) -> Tensor:
        """Features of images, with or without anything beside them."""
        features: Tensor = self(batch if isinstance(batch, Tensor) else batch[0])
        return features


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


def embed(
    model: str | Path | nn.Module,
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: EmbedSettings | None = None,
) -> EmbeddedCatalog:
    """Write the features of every galaxy's central view. Called again, it goes on where it stopped.

    Args:
        model: an encoder from anywhere, such as a model folder; see `zoobot.pytorch.estimators.encoders`.
        catalog: a table with `id_str` and `file_loc`, a folder of prepared images, a folder of images, a pattern or one
            image.
        output: a folder, which gets `part-*.parquet` with `feat_0`, `feat_1` ... as float16 beside the catalog's own
            columns, and the principal components that are asked for.
        settings: see `zoobot.config.EmbedSettings`.

    Raises:
        ModelError: there is no such encoder, or its features are beyond float16.
        SettingError: the images are not what the encoder expects.
        CatalogError, ImageError, OutputError: as in prediction.
    """
    asked = settings or EmbedSettings()
    galaxies = load_catalog(find_galaxies(catalog), None, CatalogSettings(on_bad_row=asked.on_bad_row), lean=True)
    encoder, settings = encoder_for(model, galaxies, asked)
    channels = open_images(galaxies, settings.reading).channels
    module = ZoobotEncoder(encoder.module)
    n_features = count_features(encoder.module, settings.image_size, channels)
    split = find_split([read_model_folder(str(model))]) if is_model_folder(model) else {}
    run = NumberRun(
        verb="embed",
        doing=("Embedding", "Embedded"),
        kind="embeddings",
        names=[f"{FEATURE}{number}" for number in range(n_features)],
        dtype=np.float16,
        model=describe_encoder(encoder, settings),
        split=split,
    )

    def make(galaxies: Catalog, parts: Sequence[range]) -> Iterator[MadeBatch]:
        seen = Adjustments(settings.image_size, settings.crop_bounds)
        for batch in number_batches(module, n_features, seen, settings.reading, galaxies, parts, settings):
            if np.abs(batch.values).max(initial=0) > np.finfo(np.float16).max:
                raise ModelError(f"Features of '{encoder.source}' are beyond the range of float16.")
            yield batch

    embedded = make_numbers(run, make, galaxies, output, settings, frozenset({"pca", "pca_from"}))
    if embedded.n_missing or (settings.pca is None and settings.pca_from is None):
        return EmbeddedCatalog(embedded)
    return EmbeddedCatalog(embedded, *write_components(embedded.folder, settings.pca, settings.pca_from))


def encoder_for(
    model: str | Path | nn.Module, galaxies: Catalog, settings: EmbedSettings
) -> tuple[PretrainedEncoder, EmbedSettings]:
    """The encoder, and the settings with what it expects of these galaxies' images."""
    channels = open_images(galaxies, settings.reading).channels if is_timm_name(model) else None
    wanted = settings.image_size if "image_size" in settings.model_fields_set else None
    encoder = load_encoder(model, channels=channels, image_size=wanted)
    adapted = encoder.adapt(settings)
    source = f"the catalog {galaxies.source}"
    encoder.refuse_other_channels(open_images(galaxies, adapted.reading).channels, source)
    encoder.refuse_other_bands(galaxies.bands, source)
    return replace(encoder, module=encoder.module.eval()), adapted


def describe_encoder(encoder: PretrainedEncoder, settings: EmbedSettings) -> dict[str, Any]:
    """What travels with every feature: which encoder, and how images were seen."""
    weights = hashlib.sha256(save(plain_weights(encoder.module))).hexdigest()
    return {
        "weights_sha256": weights,
        "source": str(Path(encoder.source).resolve()) if Path(encoder.source).exists() else encoder.source,
        "seen": {
            "image_size": settings.image_size,
            "crop_bounds": list(settings.crop_bounds),
            **settings.record_reading(),
        },
    }

"""Representations: the features that an encoder finds in galaxies, for similarity, anomalies and models of your own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import lightning as L
import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor, nn

from zoobot.config import EmbedSettings
from zoobot.pytorch.estimators.define_model import count_features, normalise
from zoobot.pytorch.estimators.encoders import is_timm_name, load_encoder
from zoobot.pytorch.estimators.model_folder import checksum_of
from zoobot.pytorch.predictions.number_batches import number_batches
from zoobot.shared.catalogs import Catalog
from zoobot.shared.embedding_runs import EmbeddedCatalog, Encoders, find_view
from zoobot.shared.embeddings import Embeddings
from zoobot.shared.parts import MadeBatch
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
    return _ENCODERS.embed(model, catalog, output, settings)


def embed_image(image: Path, found: Embeddings) -> npt.NDArray[np.float32]:
    """The features of an image `(1, feature)`, by the encoder of some embeddings, which sees it as it saw them.

    Raises:
        PredictionError: the encoder is not the one that made the embeddings, or the image cannot be read.
    """
    return _ENCODERS.embed_image(image, found)


def _load(model: str | Path | nn.Module, channels: int | None, settings: EmbedSettings) -> PretrainedEncoder:
    wanted = settings.image_size if "image_size" in settings.model_fields_set else None
    encoder = load_encoder(model, channels=channels, image_size=wanted)
    return replace(encoder, module=encoder.module.eval())


def _make_batches(
    encoder: PretrainedEncoder, n_features: int, settings: EmbedSettings, galaxies: Catalog, parts: Sequence[range]
) -> Iterator[MadeBatch]:
    module = ZoobotEncoder(encoder.module)
    return number_batches(module, n_features, find_view(settings), settings.reading, galaxies, parts, settings)


_ENCODERS = Encoders("pytorch", _load, is_timm_name, count_features, checksum_of, _make_batches)

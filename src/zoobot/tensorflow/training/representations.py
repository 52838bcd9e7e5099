"""Representations: the features that an encoder finds in galaxies, for similarity, anomalies and models of your own."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import EmbedSettings
from zoobot.shared.catalogs import Catalog
from zoobot.shared.embedding_runs import EmbeddedCatalog, Encoders, find_view
from zoobot.shared.embeddings import Embeddings
from zoobot.shared.parts import MadeBatch
from zoobot.shared.pretrained_encoders import PretrainedEncoder
from zoobot.tensorflow.estimators.define_model import count_features
from zoobot.tensorflow.estimators.encoders import checksum_of, is_name, load_encoder, scale_of
from zoobot.tensorflow.predictions.forward import find_features
from zoobot.tensorflow.predictions.view_batches import number_batches


def embed(
    model: str | Path | keras.Model,
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: EmbedSettings | None = None,
) -> EmbeddedCatalog:
    """Write the features of every galaxy's central view. Called again, it goes on where it stopped.

    Args:
        model: an encoder, such as a model folder; see `zoobot.tensorflow.estimators.encoders`.
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


def _load(model: str | Path | keras.Model, channels: int | None, settings: EmbedSettings) -> PretrainedEncoder:
    return load_encoder(model, channels=channels, image_size=settings.image_size, precision=settings.precision)


def _make_batches(
    encoder: PretrainedEncoder, n_features: int, settings: EmbedSettings, galaxies: Catalog, parts: Sequence[range]
) -> Iterator[MadeBatch]:
    say = partial(find_features, encoder.module, scale_of(encoder))
    seen, reading = find_view(settings), settings.reading
    return number_batches(encoder.module, say, n_features, seen, reading, galaxies, parts, settings)


_ENCODERS = Encoders("tensorflow", _load, is_name, count_features, checksum_of, _make_batches)

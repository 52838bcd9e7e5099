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
from zoobot.shared.embedding_runs import (
    EmbeddedCatalog,
    describe_encoder,
    embed_with,
    find_view,
    load_galaxies,
    settings_as_seen,
    take_only_features,
)
from zoobot.shared.embeddings import Embeddings
from zoobot.shared.image_sources import open_images
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
    asked = settings or EmbedSettings()
    galaxies = load_galaxies(catalog, asked)
    encoder, settings = encoder_for(model, galaxies, asked)
    channels = open_images(galaxies, settings.reading).channels
    n_features = count_features(encoder.module, settings.image_size, channels)
    described = describe_encoder(encoder, "tensorflow", checksum_of(encoder.module), settings)
    make = partial(_make_batches, encoder, n_features, settings)
    return embed_with(described, n_features, make, galaxies, output, settings)


def embed_image(image: Path, found: Embeddings) -> npt.NDArray[np.float32]:
    """The features of an image `(1, feature)`, by the encoder of some embeddings, which sees it as it saw them.

    Raises:
        PredictionError: the encoder is not there any more, or the image cannot be read.
    """
    asked = settings_as_seen(found)
    galaxies = load_galaxies(image, asked)
    encoder, settings = encoder_for(found.model["source"], galaxies, asked)
    batches = _make_batches(encoder, found.features.shape[1], settings, galaxies, [range(1)])
    return take_only_features(batches, found, checksum_of(encoder.module))


def encoder_for(
    model: str | Path | keras.Model, galaxies: Catalog, settings: EmbedSettings
) -> tuple[PretrainedEncoder, EmbedSettings]:
    """The encoder, and the settings with what it expects of these galaxies' images."""
    channels = open_images(galaxies, settings.reading).channels if is_name(model) else None
    encoder = load_encoder(model, channels=channels, image_size=settings.image_size, precision=settings.precision)
    adapted = encoder.adapt(settings)
    source = f"the catalog {galaxies.source}"
    encoder.refuse_other_channels(open_images(galaxies, adapted.reading).channels, source)
    encoder.refuse_other_bands(galaxies.bands, source)
    return encoder, adapted


def _make_batches(
    encoder: PretrainedEncoder, n_features: int, settings: EmbedSettings, galaxies: Catalog, parts: Sequence[range]
) -> Iterator[MadeBatch]:
    module, say = encoder.module, partial(find_features, encoder.module, scale_of(encoder))
    return number_batches(module, say, n_features, find_view(settings), settings.reading, galaxies, parts, settings)

"""The model: encoder -> dropout -> linear -> concentrations, one per answer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from zoobot.config import KerasTrainSettings
from zoobot.errors import ModelError, did_you_mean
from zoobot.shared.schemas import Schema
from zoobot.tensorflow.estimators.random_views import RandomViews
from zoobot.tensorflow.training.losses import calculate_multiquestion_loss

Tensor = Any
_BATCH_NORM_MOMENTUM = 0.9
"""Keras' encoders have 0.99 and 0.999, whose averages lag behind in trainings of a few thousand steps."""


class DirichletHead(layers.Layer):  # type: ignore[misc]
    """Features to concentrations: dropout, a linear layer, then `low + (high - low) * sigmoid`; always float32.

    Args:
        n_answers: number of answers of the decision tree.
        dropout: probability to drop a feature in training.
        bounds: lowest and highest concentration. Published models have 1 and 101 (Walmsley et al. 2022); a lower bound
            below 1 lets the model say that volunteers will agree, whichever way.
    """

    def __init__(self, n_answers: int, dropout: float, bounds: tuple[float, float]) -> None:
        super().__init__(dtype="float32", name="head")
        self.dropout = layers.Dropout(dropout, dtype="float32")
        self.linear = layers.Dense(n_answers, dtype="float32")
        self.low, self.high = bounds

    def build(self, shape: tuple[int | None, int]) -> None:
        self.linear.build(shape)

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """`(galaxy, feature)` to concentrations `(galaxy, answer)`."""
        logits = self.linear(self.dropout(features, training=training))
        return self.low + (self.high - self.low) * ops.sigmoid(logits)

    def start_from(self, concentrations: npt.ArrayLike) -> None:
        """Set the bias so that, before training, every galaxy gets about these concentrations `(answer,)`."""
        start = np.clip((np.asarray(concentrations, float) - self.low) / (self.high - self.low), 1e-4, 1 - 1e-4)
        self.linear.bias.assign(np.log(start / (1 - start)))


class ZoobotTree(keras.Model):  # type: ignore[misc]
    """A model that predicts how volunteers answer every question of a decision tree.

    Args:
        schema: the decision tree.
        settings: architecture, input, head and optimiser; see `zoobot.config.KerasTrainSettings`.
        encoder: your own encoder in place of `settings.architecture`: images `(galaxy, height, width, channel)`, float
            in 0-1, to features `(galaxy, feature)`.
        channels: of the images; by default 3 with `settings.color`, else 1.
        bands: their names, where each band has a file of its own.

    Raises:
        ModelError: unknown architecture, or an encoder whose output is not `(galaxy, feature)`.
    """

    def __init__(
        self,
        schema: Schema,
        settings: KerasTrainSettings | None = None,
        encoder: keras.Model | None = None,
        channels: int | None = None,
        bands: Sequence[str] = (),
    ) -> None:
        super().__init__(name="zoobot_tree")
        self.schema = schema
        self.settings = settings or KerasTrainSettings()
        self.channels = channels or (3 if self.settings.color else 1)
        self.bands = list(bands)
        self.has_own_encoder = encoder is not None
        self.views = RandomViews(self.settings.adjustments) if self.settings.augment_in_model else None
        with precision_of(self.settings.precision):
            self.encoder = build_encoder(self.settings, self.channels) if encoder is None else encoder
        self.scale = 255 if any(isinstance(layer, layers.Rescaling) for layer in self.encoder.layers) else 1
        self.head = DirichletHead(len(schema.answers), self.settings.dropout, self.settings.concentration_bounds)
        self.question_losses = [keras.metrics.Mean(name=f"question/{question.text}") for question in schema.questions]
        self.head.build((None, count_features(self.encoder, self.settings.image_size, self.channels)))
        self.built = True

    def call(self, images: Tensor, training: bool = False, random_views: bool | None = None) -> Tensor:
        """Concentrations `(galaxy, answer)` of images `(galaxy, height, width, channel)`, uint8 or float in 0-1.

        Args:
            random_views: with `augment_in_model`, whether images are cut at random; by default in training alone.
        """
        images = normalise(images)
        if self.views is not None:
            images = self.views(images, training=training if random_views is None else random_views)
        return self.head(self.encode(images, training=training), training=training)

    def encode(self, images: Tensor, training: bool = False) -> Tensor:
        """Features `(galaxy, feature)` of views in 0-1, `(galaxy, image_size, image_size, channel)`."""
        return self.encoder(images * self.scale, training=training)

    def draw_from(self, seed: int, epoch: int) -> None:
        """Let dropout, and views in the model, follow from the seed and the epoch: a run can go on after any."""
        dropouts = [layer for layer in [*self.encoder.layers, self.head.dropout] if isinstance(layer, layers.Dropout)]
        generators = [layer.seed_generator for layer in dropouts] + ([self.views.generator] if self.views else [])
        for number, generator in enumerate(generator for generator in generators if generator is not None):
            generator.state.assign(np.random.default_rng((seed, epoch, number)).integers(2**31, size=2))

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> dict[str, Any]:
        """Keras calls this with each batch: the loss of every question is a metric."""
        losses = ops.mean(calculate_multiquestion_loss(y, y_pred, self.schema.question_index_groups), axis=0)
        for metric, loss in zip(self.question_losses, ops.unstack(losses, len(self.question_losses)), strict=True):
            metric.update_state(loss, sample_weight=ops.shape(y)[0])
        results: dict[str, Any] = super().compute_metrics(x, y, y_pred, sample_weight)
        return results


def normalise(images: Tensor) -> Tensor:
    """uint8 images as float32 in 0-1; float images as they are."""
    images = ops.convert_to_tensor(images)
    if keras.backend.standardize_dtype(images.dtype) == "uint8":
        return ops.cast(images, "float32") / 255
    return images


def build_encoder(settings: KerasTrainSettings, channels: int) -> keras.Model:
    """A model of `keras.applications` without classifier and with untrained weights; `ModelError` for other names."""
    name, size = settings.architecture, settings.image_size
    if name not in list_architectures():
        raise ModelError(
            f"keras.applications has no architecture '{name}'.{did_you_mean(name, list_architectures())} "
            f"It has: {', '.join(list_architectures())}."
        )
    try:
        encoder = getattr(keras.applications, name)(
            include_top=False, weights=None, input_shape=(size, size, channels), pooling="avg"
        )
    except ValueError as error:
        raise ModelError(
            f"{name} cannot take images of {size} x {size} x {channels} (height, width, channel): {error}"
        ) from error
    for layer in encoder.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = _BATCH_NORM_MOMENTUM
    return encoder


def list_architectures() -> list[str]:
    """The names of all encoders of `keras.applications`."""
    return [name for name in dir(keras.applications) if name[0].isupper()]


def count_features(encoder: keras.Model, size: int, channels: int) -> int:
    """Length of the encoder's feature vector."""
    try:
        shape = encoder.compute_output_shape((1, size, size, channels))
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"The encoder cannot take images of {size} x {size} x {channels} (height, width, channel): {error}"
        ) from error
    if len(shape) != 2:
        raise ModelError(
            "An encoder must turn images (galaxy, height, width, channel) into features (galaxy, feature). This one "
            f"returns shape {tuple(shape)}: pool over the remaining dimensions."
        )
    return int(shape[1])


@contextmanager
def precision_of(precision: str) -> Iterator[None]:
    """Layers that are made meanwhile compute in a precision, as named in the settings."""
    before = keras.config.dtype_policy()
    policies = {"32": "float32", "16-mixed": "mixed_float16", "bf16-mixed": "mixed_bfloat16"}
    keras.config.set_dtype_policy(policies[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)

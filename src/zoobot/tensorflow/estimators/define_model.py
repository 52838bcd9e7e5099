"""The model: encoder -> dropout -> linear -> concentrations, one per answer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from zoobot.config import KerasTrainSettings
from zoobot.errors import ModelError
from zoobot.shared.schemas import Schema
from zoobot.tensorflow.estimators.random_views import RandomViews
from zoobot.tensorflow.estimators.recipes import Recipe, find_scale
from zoobot.tensorflow.training.losses import calculate_multiquestion_loss

Tensor = Any


class DirichletHead(layers.Layer):  # type: ignore[misc]
    """Features to concentrations: dropout, a linear layer, then `low + (high - low) * sigmoid`; always float32.

    Args:
        n_answers: number of answers of the decision tree.
        dropout: probability to drop a feature in training.
        bounds: lowest and highest concentration. Published models have 1 and 101 (Walmsley et al. 2022); a lower bound
            below 1 lets the model say that volunteers will agree, whichever way.
        seed: of the weights; None for any.
    """

    def __init__(self, n_answers: int, dropout: float, bounds: tuple[float, float], seed: int | None = None) -> None:
        super().__init__(dtype="float32", name="head")
        self.dropout = layers.Dropout(dropout, dtype="float32")
        self.linear = linear_layer(n_answers, seed)
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


class GalaxyModel(keras.Model):  # type: ignore[misc]
    """Images to predictions: an encoder, and a head that is called with its features.

    Args:
        encoder: views `(galaxy, height, width, channel)`, float in 0-1, to features `(galaxy, feature)`.
        head: features to predictions, with its dropout layer in `dropout`.
        image_size, channels: of the views.
        scale: what views in 0-1 are multiplied by for the encoder; by default its layers tell.
        views: what cuts views out of images, where the model does that itself.

    Raises:
        ModelError: an encoder that cannot take such views, or whose output is not `(galaxy, feature)`.
    """

    def __init__(
        self,
        encoder: keras.Model,
        head: keras.Layer,
        image_size: int,
        channels: int,
        scale: int | None = None,
        views: RandomViews | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.views = encoder, head, views
        self.scale = find_scale(encoder) if scale is None else scale
        self.n_features = count_features(encoder, image_size, channels)
        self.head.build((None, self.n_features))
        self.built = True

    def call(self, images: Tensor, training: bool = False, random_views: bool | None = None) -> Tensor:
        """Predictions of images `(galaxy, height, width, channel)`, uint8 or float in 0-1.

        Args:
            random_views: of a model that cuts views, whether these are random ones; by default in training alone.
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
        # Keras has no public name for all layers in a model; of these, the random ones have a generator
        everything = [*self.encoder._flatten_layers(), self.head.dropout]
        generators = [vars(layer).get("seed_generator") for layer in everything]
        generators += [self.views.generator] if self.views else []
        for number, generator in enumerate(generator for generator in generators if generator is not None):
            generator.state.assign(np.random.default_rng((seed, epoch, number)).integers(2**31, size=2))


class ZoobotTree(GalaxyModel):
    """A model that predicts how volunteers answer every question of a decision tree.

    Called with images, it gives concentrations `(galaxy, answer)`.

    Args:
        schema: the decision tree.
        settings: architecture, input, head and optimiser; see `zoobot.config.KerasTrainSettings`.
        encoder: your own encoder in place of `settings.architecture`: images `(galaxy, height, width, channel)`, float
            in 0-1, to features `(galaxy, feature)`.
        channels: of the images; by default 3 with `settings.color`, else 1.
        bands: their names, where each band has a file of its own.
        recipe: how to build `encoder` again; by default it is the one of `settings`, or with an encoder your own.

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
        recipe: Recipe | None = None,
    ) -> None:
        settings = settings or KerasTrainSettings()
        channels = channels or (3 if settings.color else 1)
        if encoder is None:
            recipe = recipe or Recipe(settings.architecture, channels, settings.image_size)
            with precision_of(settings.precision):
                encoder = recipe.build()
        super().__init__(
            encoder,
            DirichletHead(len(schema.answers), settings.dropout, settings.concentration_bounds),
            settings.image_size,
            channels,
            None if recipe is None else recipe.scale,
            RandomViews(settings.adjustments) if settings.augment_in_model else None,
        )
        self.schema, self.settings, self.channels, self.bands = schema, settings, channels, list(bands)
        self.recipe = recipe
        self.question_losses = [keras.metrics.Mean(name=f"question/{question.text}") for question in schema.questions]

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> dict[str, Any]:
        """Keras calls this with each batch: the loss of every question is a metric."""
        losses = ops.mean(calculate_multiquestion_loss(y, y_pred, self.schema.question_index_groups), axis=0)
        for metric, loss in zip(self.question_losses, ops.unstack(losses, len(self.question_losses)), strict=True):
            metric.update_state(loss, sample_weight=ops.shape(y)[0])
        results: dict[str, Any] = super().compute_metrics(x, y, y_pred, sample_weight)
        return results


def linear_layer(n_outputs: int, seed: int | None) -> layers.Dense:
    """A linear layer in float32, whose weights follow from the seed."""
    return layers.Dense(n_outputs, kernel_initializer=keras.initializers.GlorotUniform(seed), dtype="float32")


def normalise(images: Tensor) -> Tensor:
    """uint8 images as float32 in 0-1; float images as they are."""
    images = ops.convert_to_tensor(images)
    if keras.backend.standardize_dtype(images.dtype) == "uint8":
        return ops.cast(images, "float32") / 255
    return images


def count_features(encoder: keras.Model, size: int, channels: int) -> int:
    """Length of the encoder's feature vector."""
    try:
        if not encoder.built:
            encoder(np.zeros((1, size, size, channels), np.float32))
        shape = _find_output_shape(encoder, (1, size, size, channels))
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"The encoder cannot take images of {size} x {size} x {channels} (height, width, channel): {error}"
        ) from error
    if not isinstance(shape, tuple) or len(shape) != 2:
        raise ModelError(
            "An encoder must turn images (galaxy, height, width, channel) into features (galaxy, feature). This one "
            f"returns shape {shape}: pool over the remaining dimensions."
        )
    return int(shape[1])


def _find_output_shape(encoder: keras.Model, shape: tuple[int, ...]) -> Any:
    try:
        return encoder.compute_output_shape(shape)
    except NotImplementedError:  # a subclass of keras.Model need not say it
        return tuple(encoder(np.zeros(shape, np.float32)).shape)


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

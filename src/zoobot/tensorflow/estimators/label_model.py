"""A model of classes or numbers: encoder -> dropout -> linear, one output per class or number."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from zoobot.config import KerasFinetuneSettings
from zoobot.shared.label_columns import LabelTask
from zoobot.tensorflow.estimators.define_model import GalaxyModel, Tensor, linear_layer
from zoobot.tensorflow.estimators.random_views import RandomViews
from zoobot.tensorflow.estimators.recipes import Recipe


class LabelHead(layers.Layer):  # type: ignore[misc]
    """Features to probabilities of classes, or to numbers in their own units; always float32.

    Args:
        task: what is predicted.
        dropout: probability to drop a feature in training.
        seed: of the weights; None for any.
    """

    def __init__(self, task: LabelTask, dropout: float, seed: int | None = None) -> None:
        super().__init__(dtype="float32", name="head")
        self.task = task
        self.dropout = layers.Dropout(dropout, dtype="float32")
        self.linear = linear_layer(task.n_outputs, seed)

    def build(self, shape: tuple[int | None, int]) -> None:
        self.linear.build(shape)

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """`(galaxy, feature)` to `(galaxy, output)`."""
        outputs, task = self.linear(self.dropout(features, training=training)), self.task
        if task.kind == "classification":
            return ops.sigmoid(outputs) if task.multi_label else ops.softmax(outputs, axis=1)
        if task.unit_interval:
            return ops.sigmoid(outputs)
        return outputs * np.asarray(task.scales, np.float32) + np.asarray(task.centres, np.float32)


class LabelModel(GalaxyModel):
    """Predicts probabilities of classes, or numbers.

    Called with images, it gives predictions `(galaxy, output)`.

    Args:
        task: what is predicted.
        settings: input and head.
        encoder: images `(galaxy, height, width, channel)`, float in 0-1, to features `(galaxy, feature)`.
        channels, bands: of the images.
        recipe: how to build `encoder` again; None for your own.
    """

    def __init__(
        self,
        task: LabelTask,
        settings: KerasFinetuneSettings,
        encoder: keras.Model,
        channels: int,
        bands: Sequence[str] = (),
        recipe: Recipe | None = None,
    ) -> None:
        super().__init__(
            encoder,
            LabelHead(task, settings.dropout),
            settings.image_size,
            channels,
            None if recipe is None else recipe.scale,
            RandomViews(settings.adjustments) if settings.augment_in_model else None,
        )
        self.task, self.settings, self.channels, self.bands = task, settings, channels, list(bands)
        self.recipe = recipe

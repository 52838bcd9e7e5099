"""What the classes of `finetune` share: an encoder from anywhere, frozen blocks, optimiser and schedule."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from zoobot.errors import CatalogError
from zoobot.shared.finetuning_runs import FinetuneOptions, choose_source
from zoobot.shared.pretrained_encoders import PretrainedEncoder
from zoobot.tensorflow.estimators.define_model import GalaxyModel
from zoobot.tensorflow.estimators.encoders import load_encoder, scale_of
from zoobot.tensorflow.estimators.random_views import RandomViews
from zoobot.tensorflow.training.blocks import find_rates, freeze_all_but
from zoobot.tensorflow.training.optimizers import BlockwiseAdamW, WarmUpThenCosine


class Finetuneable(GalaxyModel):
    """What the three classes share.

    Called with images, it gives predictions `(galaxy, output)`: probabilities of classes, numbers, or concentrations.

    Args:
        build_head: makes the head, features to predictions.
        name: an encoder's name, as in `zoobot.tensorflow.estimators.encoders`.
        encoder: or the encoder itself.
        zoobot_checkpoint_loc: or a model folder.
        views: what cuts views out of images, where the model does that itself.
        arguments: see `FinetuneOptions`.
    """

    def __init__(
        self,
        build_head: Callable[[FinetuneOptions], keras.Layer],
        name: str | None,
        encoder: keras.Model | PretrainedEncoder | None,
        zoobot_checkpoint_loc: str | Path | None,
        views: RandomViews | None,
        arguments: dict[str, Any],
    ) -> None:
        options = FinetuneOptions(**arguments)
        source = choose_source(name, encoder, zoobot_checkpoint_loc)
        if not isinstance(source, PretrainedEncoder):
            source = load_encoder(source, image_size=options.image_size)
        size = source.expects.get("image_size", options.image_size)
        channels = source.channels or 3
        super().__init__(source.module, build_head(options), size, channels, scale_of(source), views)
        self.options, self.pretrained = options, replace(source, channels=channels)
        freeze_all_but(self.encoder, options.n_blocks)

    @abstractmethod
    def build_loss(self) -> keras.losses.Loss:
        """Of labels and predictions, for each galaxy."""

    @abstractmethod
    def refuse_wrong_labels(self, labels: npt.NDArray[Any]) -> None:
        """Raise `CatalogError` where labels are not what they must be."""

    def build_optimizer(self, steps_per_epoch: int, gradient_clip: float | None = None) -> keras.optimizers.Optimizer:
        """AdamW whose rates fall from the head down, by the options.

        Args:
            gradient_clip: largest norm of a step's gradient; by default there is none.
        """
        options = self.options
        rate: Any = options.learning_rate
        if options.cosine_schedule:
            rate = WarmUpThenCosine(
                rate,
                steps_per_epoch,
                options.warmup_epochs,
                options.max_cosine_epochs,
                options.max_learning_rate_reduction_factor,
            )
        of_variable = find_rates(self.head, self.encoder, options.n_blocks, options.lr_decay)
        fractions = [of_variable[id(variable)] for variable in self.trainable_variables]
        return BlockwiseAdamW(rate, fractions, options.weight_decay, gradient_clip)

    def refuse_other_images(self, images: npt.NDArray[Any]) -> None:
        """Raise `SettingError` unless a batch is such as the encoder expects."""
        bounds = (0, 1) if images.dtype == np.uint8 else (float(images.min()), float(images.max()))
        axes, is_cut = ("galaxy", "height", "width", "channel"), self.views is not None
        self.pretrained.refuse_other_images(images.shape, axes, bounds, any_size=is_cut)

    def checked(self, data: tf.data.Dataset, problems: list[Exception]) -> tf.data.Dataset:
        """Batches `(images, labels)` as they are; wrong labels stop them, and are noted in `problems`."""

        def check(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
            try:
                self.refuse_wrong_labels(labels)
            except CatalogError as error:
                problems.append(error)
                raise
            return labels

        def look(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            seen = tf.numpy_function(check, [labels], labels.dtype)
            seen.set_shape(labels.shape)
            return images, seen

        return data.map(look)

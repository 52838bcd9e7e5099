"""How an encoder is built without its weights: what a model folder records of it."""

import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import layers

from zoobot.errors import ModelError, did_you_mean

_BATCH_NORM_MOMENTUM = 0.9
"""Keras' encoders have 0.99 and 0.999, whose averages lag behind in trainings of a few thousand steps."""


@dataclass(frozen=True)
class Recipe:
    """How to build an encoder without its weights. Recorded in `config.json`.

    Args:
        architecture: a name of keras.applications.
        channels, image_size: of its images.
        of_photographs: for weights that were learned from photographs: images become RGB in the range of these.
    """

    architecture: str
    channels: int
    image_size: int
    of_photographs: bool = False

    @property
    def scale(self) -> int | None:
        """What images in 0-1 are multiplied by for this encoder; None where its layers tell (`find_scale`)."""
        return 255 if self.of_photographs else None

    def build(self) -> keras.Model:
        """The encoder with random weights; `ModelError` for an unknown name, or images that it cannot take."""
        return self._build(None)

    def load(self) -> keras.Model:
        """The encoder with its weights of photographs, which Keras downloads; `ModelError` where it cannot."""
        refuse_unknown_architecture(self.architecture)
        try:
            with warnings.catch_warnings():  # without its top layers, MobileNet's weights are for images of any size
                warnings.filterwarnings("ignore", ".*Weights for input shape.*")
                learned = self._build("imagenet")
        except ModelError:
            raise
        except Exception as error:  # the network fails in many ways
            raise ModelError(f"The weights of '{self.architecture}' cannot be downloaded or read: {error}") from error
        encoder = self.build()
        copy_weights(learned, encoder)
        _keep_rescaling_of(learned, encoder)
        return encoder

    def _build(self, weights: str | None) -> keras.Model:
        refuse_unknown_architecture(self.architecture)
        constructor = getattr(keras.applications, self.architecture)
        size, channels = self.image_size, self.channels
        images: dict[str, Any] = {"input_shape": (size, size, channels)}
        try:
            if self.of_photographs:
                images = {"input_tensor": self._to_photographs(keras.Input((size, size, channels)))}
            encoder = constructor(include_top=False, weights=weights, pooling="avg", **images)
        except ValueError as error:
            raise ModelError(
                f"{self.architecture} cannot take images of {size} x {size} x {channels} (height, width, channel): "
                f"{error}"
            ) from error
        if self.of_photographs:
            encoder = keras.Model(encoder.inputs[0], encoder.output)  # images alone, not in a list
        for layer in layers_of(encoder):
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = _BATCH_NORM_MOMENTUM
        return encoder

    def _to_photographs(self, images: Any) -> Any:
        """Images in 0-255 as the weights of photographs want them."""
        if self.channels not in (1, 3):
            raise ModelError(
                f"The weights of '{self.architecture}' are of photographs: they take greyscale or RGB images. Got "
                f"{self.channels} channels. Start from random weights with --no-pretrained."
            )
        rgb = images if self.channels == 3 else layers.Concatenate()([images, images, images])
        return _module_of(self.architecture).preprocess_input(rgb)


def refuse_unknown_architecture(name: str) -> None:
    """Raise `ModelError` unless keras.applications has an encoder of that name."""
    if name not in list_architectures():
        raise ModelError(
            f"keras.applications has no architecture '{name}'.{did_you_mean(name, list_architectures())} "
            f"It has: {', '.join(list_architectures())}."
        )


def list_architectures() -> list[str]:
    """The names of all encoders of `keras.applications`."""
    return [name for name in dir(keras.applications) if name[0].isupper()]


def layers_of(encoder: keras.Model) -> Iterator[keras.Layer]:
    """Its layers, in the order in which images go through them; of a model among them, that model's."""
    for layer in encoder.layers:
        if isinstance(layer, keras.Model) and layer.layers:
            yield from layers_of(layer)
        else:
            yield layer


def copy_weights(encoder: keras.Model, to: keras.Model) -> None:
    """Give an encoder the weights of another of the same make."""
    to.set_weights(encoder.get_weights())
    for layer in layers_of(to):
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()


def find_scale(encoder: keras.Model) -> int:
    """What images in 0-1 are multiplied by for an encoder: 255 where its own layers make 0-1 of 0-255."""
    return 255 if any(map(_takes_bytes, layers_of(encoder))) else 1


def _takes_bytes(layer: keras.Layer) -> bool:
    if isinstance(layer, layers.Rescaling):
        return bool(np.max(layer.scale) < 0.1)
    return isinstance(layer, layers.Normalization) and layer.input_mean is not None and np.max(layer.input_mean) > 1


def _module_of(architecture: str) -> ModuleType:
    """The module of keras.applications that has the architecture and says how its images are prepared."""
    modules = (value for value in vars(keras.applications).values() if inspect.ismodule(value))
    return next(module for module in modules if {architecture, "preprocess_input"} <= vars(module).keys())


def _keep_rescaling_of(learned: keras.Model, encoder: keras.Model) -> None:
    """EfficientNet has one layer more with weights of photographs, which rescales after its normalisation."""
    extra, known = (
        [layer for layer in layers_of(model) if isinstance(layer, layers.Rescaling)] for model in (learned, encoder)
    )
    for layer in extra[len(known) :]:
        normalisation = next(each for each in layers_of(encoder) if isinstance(each, layers.Normalization))
        mean, variance, *count = normalisation.get_weights()
        normalisation.set_weights([mean, variance / np.square(layer.scale), *count])
        normalisation.finalize_state()

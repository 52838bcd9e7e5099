"""Encoders to start from, with what they expect of images.

RUN/model         a model folder of zoobot, made with Keras
EfficientNetB0    any name of keras.applications, with its weights of photographs
a keras.Model     your own
"""

import hashlib
from pathlib import Path

import keras
import numpy as np

from zoobot.config import ImageSettings
from zoobot.errors import ModelError, SettingError, did_you_mean
from zoobot.shared.pretrained_encoders import PretrainedEncoder
from zoobot.tensorflow.estimators.define_model import precision_of
from zoobot.tensorflow.estimators.model_folder import load_any_model
from zoobot.tensorflow.estimators.recipes import Recipe, find_scale, list_architectures


def load_encoder(
    source: str | Path | keras.Model,
    *,
    channels: int | None = None,
    image_size: int = 224,
    pretrained: bool = True,
    precision: str = "32",
) -> PretrainedEncoder:
    """An encoder to start from; see the head of this file.

    Args:
        source: a name, a path or a model.
        channels, image_size: wanted of a name, which is built for them; 3 channels by default.
        pretrained: otherwise the encoder gets random weights; a model must be given with those that it shall have.
        precision: arithmetic of the encoder, as named in the settings.

    Raises:
        ModelError: there is no such encoder, or its weights cannot be downloaded.
    """
    if isinstance(source, keras.Model):
        if not pretrained:
            raise SettingError(
                "An encoder of your own comes as it is. Give it the weights that you want to start from."
            )
        return PretrainedEncoder(source, type(source).__name__, _channels_of(source), expects=_size_of(source))
    if not isinstance(source, str | Path):
        raise ModelError(f"An encoder must be a name, a folder or a keras.Model. Got {type(source).__name__} instead.")
    if is_name(source):
        recipe = Recipe(str(source), channels or 3, image_size, of_photographs=pretrained)
        with precision_of(precision):
            module = recipe.load() if pretrained else recipe.build()
        return PretrainedEncoder(module, str(source), recipe.channels, recipe, {"image_size": image_size})
    if not Path(source).is_dir():
        raise ModelError(
            f"There is no encoder '{source}' for Keras: it is no folder and no name of keras.applications."
            f"{did_you_mean(str(source), list_architectures())} Encoders of the Hugging Face hub, of timm and in "
            "checkpoints (.ckpt) are PyTorch's: leave out --framework tensorflow."
        )
    return _from_model_folder(Path(source), pretrained, precision)


def scale_of(encoder: PretrainedEncoder) -> int:
    """What images in 0-1 are multiplied by for an encoder."""
    known: int | None = None if encoder.recipe is None else encoder.recipe.scale
    return find_scale(encoder.module) if known is None else known


def checksum_of(encoder: keras.Model) -> str:
    """SHA-256 of an encoder's weights."""
    checksum = hashlib.sha256()
    for weights in encoder.get_weights():
        checksum.update(np.ascontiguousarray(weights).tobytes())
    return checksum.hexdigest()


def is_name(source: str | Path | keras.Model) -> bool:
    """Whether an encoder is one of keras.applications, which are built for any number of channels."""
    return isinstance(source, str) and source in list_architectures()


def _from_model_folder(folder: Path, pretrained: bool, precision: str) -> PretrainedEncoder:
    model = load_any_model(folder, precision)
    settings, module = model.settings, model.encoder
    if not pretrained and model.recipe is not None:
        with precision_of(precision):
            module = model.recipe.build()
    expects = {name: getattr(settings, name) for name in ("image_size", *ImageSettings.model_fields)}
    suggests = {name: getattr(settings, name) for name in ("crop_bounds", "max_shift", "aspect_bounds")}
    return PretrainedEncoder(module, str(folder), model.channels, model.recipe, expects, suggests, model.bands)


def _channels_of(encoder: keras.Model) -> int | None:
    """Channels that a model's input says; None where it does not."""
    shape = _input_shape_of(encoder)
    return None if shape is None else shape[-1]


def _size_of(encoder: keras.Model) -> dict[str, int]:
    """The image size that a model's input says, if it does."""
    shape = _input_shape_of(encoder)
    return {} if shape is None or shape[1] is None or shape[1] != shape[2] else {"image_size": shape[1]}


def _input_shape_of(encoder: keras.Model) -> tuple[int | None, ...] | None:
    shape = getattr(encoder, "input_shape", None)
    return shape if isinstance(shape, tuple) and len(shape) == 4 else None

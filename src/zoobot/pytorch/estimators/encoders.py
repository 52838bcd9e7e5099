"""Encoders from anywhere: images to features `(galaxy, feature)`, with what they expect of images.

    hf_hub:mwalmsley/zoobot-encoder-convnext_nano    a repository of the Hugging Face hub (`@revision` at its end)
    local-dir:FOLDER                                 the same layout in a folder
    convnext_nano, resnet50.a1_in1k ...              a model of timm, with its weights of photographs
    RUN/model                                        a model folder of zoobot
    CHECKPOINT.ckpt                                  a checkpoint of a Zoobot of version 1 or 2
    a torch.nn.Module                                your own

Galaxies are float in 0-1, as all Zoobot encoders had them; the weights of photographs expect standardised images, and
standardise them themselves.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from zoobot.config import ImageSettings
from zoobot.errors import ModelError, SettingError, did_you_mean
from zoobot.pytorch.estimators.checkpoints import read_checkpoint
from zoobot.pytorch.estimators.hub_layout import download, read_hub_layout
from zoobot.pytorch.estimators.model_folder import load_any_model
from zoobot.pytorch.estimators.recipes import Recipe
from zoobot.shared.pretrained_encoders import PretrainedEncoder

HUB, LOCAL, TIMM_ON_HUB = ("hf_hub:", "hf-hub:"), "local-dir:", "timm/"
_CHECKPOINTS = (".ckpt", ".pt", ".pth")


def load_encoder(
    source: str | Path | nn.Module,
    *,
    channels: int | None = None,
    image_size: int | None = None,
    pretrained: bool = True,
) -> PretrainedEncoder:
    """An encoder from anywhere; see the head of this file.

    Args:
        source: a name, a path or a module.
        channels: wanted of a timm name, which can have any number; 3 by default.
        image_size: wanted of a timm name of a transformer, which is built for one size.
        pretrained: otherwise the encoder gets random weights; a module must be given with those that it shall have.

    Raises:
        ModelError: there is no such encoder, it cannot be downloaded, or its file is damaged or holds code.
    """
    if isinstance(source, nn.Module):
        if not pretrained:
            raise SettingError(
                "An encoder of your own comes as it is. Give it the weights that you want to start from."
            )
        return PretrainedEncoder(source, type(source).__name__, _channels_of_module(source))
    text = str(source)
    if is_timm_name(text):
        name = text.split(":", 1)[1].removeprefix(TIMM_ON_HUB) if text.startswith(HUB) else text
        return _from_timm(name, channels or 3, image_size, pretrained)
    if text.startswith(HUB):
        found = _from_hub_layout(download(text.split(":", 1)[1]), text)
    elif text.startswith(LOCAL):
        found = _from_hub_layout(Path(text.split(":", 1)[1]), text)
    elif text.endswith(_CHECKPOINTS):
        found = _from_checkpoint(Path(text))
    else:
        found = _from_model_folder(Path(text))
    if pretrained or found.recipe is None:
        return found
    return PretrainedEncoder(
        found.recipe.build(), found.source, found.channels, found.recipe, found.expects, found.suggests, found.bands
    )


def is_timm_name(source: str | Path | nn.Module) -> bool:
    """Whether an encoder is one of timm's, which are built for any number of channels."""
    if isinstance(source, nn.Module):
        return False
    text = str(source)
    if text.startswith(HUB):
        return text.split(":", 1)[1].startswith(TIMM_ON_HUB)
    return not (text.startswith(LOCAL) or text.endswith(_CHECKPOINTS) or Path(text).is_dir())


def _from_timm(name: str, channels: int, image_size: int | None, pretrained: bool) -> PretrainedEncoder:
    if not timm.is_model(name):
        raise ModelError(
            f"There is no encoder '{name}': it is no folder, no checkpoint (.ckpt) and no name of timm."
            f"{did_you_mean(name, timm.list_models())} Others are given as hf_hub:OWNER/NAME or local-dir:FOLDER."
        )
    architecture = name.partition(".")[0]
    try:
        config: Any = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise ModelError(
            f"{error} Its weights: {', '.join(timm.list_pretrained(f'{architecture}.*')) or 'none'}."
        ) from error
    size, suggests = config.input_size[-1], {"image_size": config.input_size[-1]}
    expects: dict[str, Any] = {}
    options: dict[str, Any] = {}
    if config.fixed_input_size:  # transformers are built for one image size
        size = image_size or size
        options, expects = {"img_size": size}, {"image_size": size}
    mean, std = (_per_channel(list(values), channels) for values in (config.mean, config.std))
    recipe = Recipe(name, channels, options, mean, std)
    if not pretrained:
        return PretrainedEncoder(recipe.build(), name, channels, recipe, expects, suggests)
    if not config.has_weights:
        raise ModelError(
            f"timm has no weights for '{name}'. Start from random ones with --no-pretrained, or choose one of "
            "'python -c \"import timm; print(timm.list_pretrained())\"'."
        )
    try:
        module = timm.create_model(name, pretrained=True, in_chans=channels, num_classes=0, **options)
    except Exception as error:  # the network fails in many ways
        raise ModelError(f"The weights of '{name}' cannot be downloaded or read: {error}") from error
    return PretrainedEncoder(recipe.finish(module), name, channels, recipe, expects, suggests)


def _from_hub_layout(folder: Path, source: str) -> PretrainedEncoder:
    layout = read_hub_layout(folder, source)
    module, plain = _build_with(layout.weights, layout.architecture, layout.options, source)
    recipe = replace(plain, mean=layout.mean, std=layout.std)
    module = recipe.finish(module)
    expects = layout.expects or {"image_size": layout.image_size, "color": recipe.channels != 1}
    return PretrainedEncoder(module, source, recipe.channels, recipe, expects, layout.suggests, layout.bands)


def _from_checkpoint(path: Path) -> PretrainedEncoder:
    checkpoint = read_checkpoint(path)
    module, recipe = _build_with(checkpoint.weights, checkpoint.architecture, checkpoint.options, str(path))
    size = recipe.options.get("img_size", 224)  # as all Zoobots of versions 1 and 2
    expects = {"image_size": size, "color": recipe.channels != 1}
    return PretrainedEncoder(module, str(path), recipe.channels, recipe, expects)


def _from_model_folder(folder: Path) -> PretrainedEncoder:
    model = load_any_model(folder)
    expects = {name: getattr(model.settings, name) for name in ("image_size", *ImageSettings.model_fields)}
    suggests = {name: getattr(model.settings, name) for name in ("crop_bounds", "max_shift", "aspect_bounds")}
    return PretrainedEncoder(model.encoder, str(folder), model.channels, model.recipe, expects, suggests, model.bands)


def _build_with(
    weights: Mapping[str, Tensor], architecture: str, options: Mapping[str, Any], source: str
) -> tuple[nn.Module, Recipe]:
    """A timm model with these weights, whose first layer says how many channels it has."""
    stem = _name_of_first_layer(Recipe(architecture, 3, options).build())
    if stem not in weights:
        raise ModelError(f"The weights of '{source}' are not those of the architecture '{architecture}': no '{stem}'.")
    recipe = Recipe(architecture, weights[stem].shape[1], options)
    module = recipe.build()
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ModelError(f"The weights of '{source}' do not fit the architecture '{architecture}': {error}") from error
    return module, recipe


def _name_of_first_layer(module: nn.Module) -> str:
    """The name of the weights that meet the image: the first convolution's."""
    return next(name for name, weights in module.state_dict().items() if weights.ndim == 4)


def _channels_of_module(module: nn.Module) -> int | None:
    first = next((layer for layer in module.modules() if isinstance(layer, nn.Conv2d)), None)
    return None if first is None else first.in_channels


def _per_channel(values: list[float], channels: int) -> list[float]:
    """The values of three colours for any number of channels: their mean, unless there are three."""
    return values if len(values) == channels else [sum(values) / len(values)] * channels

"""How an encoder is built without its weights: what a model folder records of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from torch import Tensor, nn

from zoobot.config import TrainSettings
from zoobot.errors import ModelError, did_you_mean

# Zoobot says these itself, and a file from elsewhere must not name other files to read.
_NOT_OPTIONS = {"in_chans", "num_classes", "pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"}


class Standardised(nn.Module):
    """An encoder whose images are standardised before: `(image - mean) / std`, by channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.model((images - self.mean) / self.std)
        return features


@dataclass(frozen=True)
class Recipe:
    """How to build an encoder without its weights. Recorded in `config.json`.

    Args:
        architecture: a name of timm.
        channels: of its images.
        options: what else timm is told that shapes the architecture; anything else is left out.
        mean, std: by which images are standardised; None where they are not.
    """

    architecture: str
    channels: int
    options: Mapping[str, Any] = field(default_factory=dict)
    mean: list[float] | None = None
    std: list[float] | None = None

    def build(self) -> nn.Module:
        """The encoder with random weights; `ModelError` for an unknown name."""
        refuse_unknown_architecture(self.architecture)
        options = {name: value for name, value in self.options.items() if name not in _NOT_OPTIONS}
        try:
            module: nn.Module = timm.create_model(
                self.architecture, pretrained=False, in_chans=self.channels, num_classes=0, **options
            )
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            raise ModelError(f"timm cannot build '{self.architecture}' with {options}: {error}") from error
        return self.finish(module)

    def finish(self, module: nn.Module) -> nn.Module:
        """A timm model with what this recipe adds to it."""
        encoder = module if self.mean is None or self.std is None else Standardised(module, self.mean, self.std)
        return encoder.to(memory_format=torch.channels_last)  # 1.1 to 1.6 times faster: benchmarks/memory_format.py


def recipe_of(settings: TrainSettings, channels: int) -> Recipe:
    """The encoder that training from scratch builds."""
    refuse_unknown_architecture(settings.architecture)
    options = {}
    if timm.get_pretrained_cfg_value(settings.architecture, "fixed_input_size"):  # built for one image size
        options = {"img_size": settings.image_size}
    return Recipe(settings.architecture, channels, options)


def refuse_unknown_architecture(name: str) -> None:
    """Raise `ModelError` unless timm has an architecture of that name."""
    if not timm.is_model(name):
        raise ModelError(
            f"timm has no architecture '{name}'.{did_you_mean(name, timm.list_models())} "
            "'python -c \"import timm; print(timm.list_models())\"' lists the names."
        )

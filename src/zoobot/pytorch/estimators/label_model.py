"""A model of classes or numbers: encoder -> dropout -> linear, one output per class or number."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoobot.config import FinetuneSettings
from zoobot.pytorch.estimators.define_model import count_features, normalise
from zoobot.pytorch.estimators.recipes import Recipe
from zoobot.shared.label_columns import LabelTask


class LabelHead(nn.Module):
    """Features to outputs `(galaxy, output)`, in float32 whatever the encoder's precision."""

    def __init__(self, n_features: int, n_outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            outputs: Tensor = self.linear(self.dropout(features.to(self.linear.weight.dtype)))
            return outputs


class LabelModel(nn.Module):
    """Predicts probabilities of classes, or numbers.

    Args:
        task: what is predicted.
        settings: input and head.
        encoder: images `(galaxy, channel, height, width)`, float in 0-1, to features `(galaxy, feature)`.
        channels, bands: of the images.
        recipe: how to build `encoder` again; None for your own.
    """

    def __init__(
        self,
        task: LabelTask,
        settings: FinetuneSettings,
        encoder: nn.Module,
        channels: int,
        bands: Sequence[str] = (),
        recipe: Recipe | None = None,
    ) -> None:
        super().__init__()
        self.task, self.settings, self.encoder = task, settings, encoder
        self.channels, self.bands, self.recipe = channels, list(bands), recipe
        n_features = count_features(encoder, settings.image_size, channels)
        self.head = LabelHead(n_features, task.n_outputs, settings.dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Predictions `(galaxy, output)` of images, uint8 or float in 0-1; see `to_predictions`."""
        return to_predictions(self.task, self.head(self.encoder(normalise(images))))


def to_predictions(task: LabelTask, outputs: Tensor) -> Tensor:
    """Outputs of the head as probabilities of classes, or as numbers in their own units; `(galaxy, output)`."""
    if task.kind == "regression":
        if task.unit_interval:
            return torch.sigmoid(outputs)
        return outputs * outputs.new_tensor(task.scales) + outputs.new_tensor(task.centres)
    return torch.sigmoid(outputs) if task.multi_label else functional.softmax(outputs, dim=1)

"""What a finetuned model, and its encoder before it, say of the galaxies of a datamodule."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule, GalaxyLoader
from zoobot.pytorch.devices import find_device
from zoobot.pytorch.estimators.define_model import normalise
from zoobot.pytorch.estimators.label_model import LabelModel
from zoobot.shared.label_scores import score_probe, score_splits


def scores_of(model: LabelModel, data: GalaxyDataModule) -> dict[str, Any]:
    """Scores of the validation and test galaxies."""
    loaders = data.loaders_in_order()
    return score_splits(model.task, data.labels, lambda split: predict_loader(model, data, loaders[split]()))


def probe_of(model: LabelModel, data: GalaxyDataModule) -> dict[str, Any]:
    """Scores of a linear model on the features that the encoder has before any step."""
    encoder, loaders = _Features(model.encoder).eval(), data.loaders_in_order()
    scores = score_probe(model.task, data.labels, lambda split: predict_loader(encoder, data, loaders[split]()))
    model.encoder.train()
    return scores


class _Features(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.encoder(normalise(images))
        return features


@torch.inference_mode()
def predict_loader(model: nn.Module, data: GalaxyDataModule, loader: GalaxyLoader) -> npt.NDArray[np.float32]:
    """What a model says of the galaxies of a loader, `(galaxy, output)`, in their order."""
    device = find_device(data.settings.device)
    model.to(device)
    found = []
    for batch in loader:
        images, _ = data.on_after_batch_transfer(tuple(tensor.to(device) for tensor in batch), 0)
        found.append(model(images).float().cpu().numpy())
    model.cpu()
    return np.concatenate(found)

"""How good a finetuned model is on galaxies that it has not learned from, and a linear model beside it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule, GalaxyLoader
from zoobot.pytorch.devices import find_device
from zoobot.pytorch.estimators.define_model import normalise
from zoobot.pytorch.estimators.label_model import LabelModel
from zoobot.shared.label_columns import LabelTask
from zoobot.shared.label_metrics import score_classes, score_numbers
from zoobot.shared.linear_probes import predict_with_probe


def score_labels(model: LabelModel, data: GalaxyDataModule) -> dict[str, Any]:
    """Scores of the validation and test galaxies."""
    return {
        split: _score_task(model.task, data.labels[split], predict_loader(model, data, loader()))
        for split, loader in (("validation", data.val_dataloader), ("test", data.test_dataloader))
        if len(data.labels[split])
    }


def score_probe(model: LabelModel, data: GalaxyDataModule) -> dict[str, Any]:
    """Scores of a linear model on the features that the encoder has before any step."""
    encoder = _Features(model.encoder).eval()
    loaders = {"train": data.train_view_dataloader, "validation": data.val_dataloader, "test": data.test_dataloader}
    features = {
        split: predict_loader(encoder, data, loader()) for split, loader in loaders.items() if len(data.labels[split])
    }
    model.encoder.train()
    seen = features.pop("train")
    return {
        f"{split}, linear probe": _score_task(
            model.task, data.labels[split], predict_with_probe(model.task, seen, data.labels["train"], others)
        )
        for split, others in features.items()
    }


class _Features(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.encoder(normalise(images))
        return features


def _score_task(task: LabelTask, labels: npt.NDArray[Any], predictions: npt.NDArray[Any]) -> dict[str, Any]:
    if task.kind == "classification":
        return score_classes(labels, predictions, task.classes, task.multi_label)
    return score_numbers(labels, predictions, task.columns)


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

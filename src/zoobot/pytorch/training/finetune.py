"""Finetuning: a pretrained encoder with a new head, for classes, numbers or another decision tree.

    model = FinetuneableZoobotClassifier(num_classes=2, name="hf_hub:mwalmsley/zoobot-encoder-convnext_nano")
    trainer = get_trainer("RUN")
    trainer.fit(model, datamodule)

Batches are `(images, labels)`. Images are uint8 or float in 0-1, `(galaxy, channel, height, width)`. `zoobot finetune`
does all of it for a catalog; see `finetune_on_catalog`.

Only the head and the last `n_blocks` blocks of the encoder learn. The others are frozen: no step, no batch-norm
statistic and no stochastic depth changes what they do.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional

from zoobot.pytorch.estimators.define_model import DirichletHead
from zoobot.pytorch.estimators.label_model import LabelHead, to_predictions
from zoobot.pytorch.training import losses
from zoobot.pytorch.training.finetuneable import Finetuneable
from zoobot.pytorch.training.fitting import VALIDATION_LOSS
from zoobot.shared.finetuning_runs import (
    check_centres,
    check_class_weights,
    check_scales,
    refuse_unknown_loss,
    refuse_wrong_smoothing,
    refuse_wrong_tree,
)
from zoobot.shared.label_batches import refuse_wrong_labels, refuse_wrong_votes
from zoobot.shared.label_columns import LabelTask
from zoobot.shared.pretrained_encoders import PretrainedEncoder
from zoobot.shared.schemas import Schema


class FinetuneableZoobotClassifier(Finetuneable):
    """Learns classes.

    Args:
        num_classes: labels are 0 to `num_classes - 1` `(galaxy,)`, or shares of each class `(galaxy, class)`.
        label_smoothing: share of each label that is spread over all classes.
        class_weights: `(class,)`, how much a galaxy of each class counts.
        multi_label: each class is a yes or no of its own; labels are `(galaxy, class)`, 0 to 1.
        name, encoder, zoobot_checkpoint_loc, arguments: see `Finetuneable`.
    """

    def __init__(
        self,
        num_classes: int,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        multi_label: bool = False,
        *,
        name: str | None = None,
        encoder: nn.Module | PretrainedEncoder | None = None,
        zoobot_checkpoint_loc: str | Path | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(name, encoder, zoobot_checkpoint_loc, arguments)
        self.save_hyperparameters(ignore=["encoder"])
        checked = check_class_weights(class_weights, num_classes)
        refuse_wrong_smoothing(label_smoothing)
        self.task = LabelTask(
            "classification", ["label"], [str(number) for number in range(num_classes)], multi_label=multi_label
        )
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", torch.tensor(checked), persistent=False)
        self.head = LabelHead(self.n_features, num_classes, self.options.dropout_prob)

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        weights = self.get_buffer("class_weights")
        if self.task.multi_label:
            smoothed = labels.float() * (1 - self.label_smoothing) + self.label_smoothing / 2
            return functional.binary_cross_entropy_with_logits(outputs, smoothed, weights.expand_as(outputs))
        per_galaxy = functional.cross_entropy(
            outputs, labels, weights, label_smoothing=self.label_smoothing, reduction="none"
        )
        return per_galaxy.mean()

    def refuse_wrong_labels(self, labels: npt.NDArray[Any]) -> None:
        refuse_wrong_labels(labels, self.task)

    def predict(self, outputs: Tensor) -> Tensor:
        return to_predictions(self.task, outputs)


class FinetuneableZoobotRegressor(Finetuneable):
    """Learns one number or several.

    Args:
        loss: `mse` or `mae`, of numbers divided by their `scales`.
        unit_interval: numbers lie from 0 to 1, and so do predictions.
        num_targets: labels are `(galaxy, number)`; of one number also `(galaxy,)`.
        centres, scales: `(number,)`, a typical value and spread, from which the head starts; by default 0 and 1.
        name, encoder, zoobot_checkpoint_loc, arguments: see `Finetuneable`.
    """

    def __init__(
        self,
        loss: Literal["mse", "mae"] = "mse",
        unit_interval: bool = False,
        num_targets: int = 1,
        centres: Sequence[float] | None = None,
        scales: Sequence[float] | None = None,
        *,
        name: str | None = None,
        encoder: nn.Module | PretrainedEncoder | None = None,
        zoobot_checkpoint_loc: str | Path | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(name, encoder, zoobot_checkpoint_loc, arguments)
        self.save_hyperparameters(ignore=["encoder"])
        refuse_unknown_loss(loss)
        self.loss_name = loss
        columns = [f"label_{number}" for number in range(num_targets)]
        self.task = LabelTask(
            "regression",
            columns,
            unit_interval=unit_interval,
            centres=check_centres(centres, num_targets),
            scales=check_scales(scales, num_targets),
        )
        self.head = LabelHead(self.n_features, num_targets, self.options.dropout_prob)

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        predictions = self.predict(outputs)
        errors = labels.view_as(predictions) - predictions
        if not self.task.unit_interval:
            errors = errors / errors.new_tensor(self.task.scales)
        return errors.square().mean() if self.loss_name == "mse" else errors.abs().mean()

    def refuse_wrong_labels(self, labels: npt.NDArray[Any]) -> None:
        refuse_wrong_labels(labels, self.task)

    def predict(self, outputs: Tensor) -> Tensor:
        return to_predictions(self.task, outputs)


class FinetuneableZoobotTree(Finetuneable):
    """Learns the votes of a decision tree.

    Args:
        schema: the tree; labels are votes `(galaxy, answer)`.
        concentration_bounds: lowest and highest concentration.
        name, encoder, zoobot_checkpoint_loc, arguments: see `Finetuneable`.
    """

    head: DirichletHead

    def __init__(
        self,
        schema: Schema,
        concentration_bounds: tuple[float, float] = (0.05, 100.05),
        *,
        name: str | None = None,
        encoder: nn.Module | PretrainedEncoder | None = None,
        zoobot_checkpoint_loc: str | Path | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(name, encoder, zoobot_checkpoint_loc, arguments)
        self.save_hyperparameters(ignore=["encoder", "schema"])
        refuse_wrong_tree(schema, concentration_bounds)
        self.schema = schema
        self.head = DirichletHead(self.n_features, len(schema.answers), self.options.dropout_prob, concentration_bounds)

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        groups = self.schema.question_index_groups
        return losses.calculate_multiquestion_loss(labels, outputs, groups).sum(dim=1).mean()

    def refuse_wrong_labels(self, labels: npt.NDArray[Any]) -> None:
        refuse_wrong_votes(labels, len(self.schema.answers))

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs


def get_trainer(
    save_dir: str | Path,
    max_epochs: int = 100,
    patience: int = 10,
    accelerator: str = "auto",
    devices: int | str = "auto",
    **trainer_kwargs: Any,
) -> L.Trainer:
    """A Lightning trainer that stops early and keeps the best epoch.

    Args:
        save_dir: gets `checkpoints/best.ckpt`, the epoch with the best validation loss.
        max_epochs: at most.
        patience: stop after so many epochs without a better validation loss.
        trainer_kwargs: whatever else `lightning.Trainer` takes.
    """
    best = ModelCheckpoint(
        Path(save_dir) / "checkpoints", filename="best", monitor=VALIDATION_LOSS, enable_version_counter=False
    )
    callbacks = [EarlyStopping(VALIDATION_LOSS, patience=patience), best, *trainer_kwargs.pop("callbacks", [])]
    return L.Trainer(
        default_root_dir=save_dir,
        max_epochs=max_epochs,
        accelerator=accelerator,
        devices=devices,
        callbacks=callbacks,
        **trainer_kwargs,
    )

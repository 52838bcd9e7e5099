"""Finetuning: a pretrained encoder with a new head, for classes, numbers or another decision tree.

    model = FinetuneableZoobotClassifier(num_classes=2, name="hf_hub:mwalmsley/zoobot-encoder-convnext_nano")
    trainer = get_trainer("RUN")
    trainer.fit(model, datamodule)

Batches are `(images, labels)`. Images are uint8 or float in 0-1, `(galaxy, channel, height, width)`. `zoobot finetune`
does all of it for a catalog; see `finetune_on_catalog`.

Only the head and the last `n_blocks` blocks of the encoder learn. The others are frozen: no step, no batch-norm
statistic and no stochastic depth changes what they do.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from zoobot.config import Fraction, Settings
from zoobot.errors import CatalogError, SettingError
from zoobot.pytorch.estimators.define_model import DirichletHead, count_features, normalise
from zoobot.pytorch.estimators.encoders import PretrainedEncoder, load_encoder
from zoobot.pytorch.estimators.label_model import LabelHead, to_predictions
from zoobot.pytorch.training import losses
from zoobot.pytorch.training.blocks import find_blocks, freeze_all_but, parameter_groups
from zoobot.pytorch.training.fitting import VALIDATION_LOSS
from zoobot.shared.label_columns import LabelTask
from zoobot.shared.schemas import Schema

Batch = tuple[Tensor, Tensor]


class FinetuneOptions(Settings):
    """How a finetuned model learns: arguments of all three classes."""

    n_blocks: int = Field(0, ge=0)
    """Blocks of the encoder that learn, from the last; with 0 the head alone."""
    lr_decay: Fraction = 0.75
    """Learning rate of a block, as a fraction of that of the block after it."""
    learning_rate: float = Field(1e-4, gt=0)
    """Learning rate of the head."""
    weight_decay: float = Field(0.05, ge=0)
    """Weight decay, of weights only (not biases or norms)."""
    dropout_prob: float = Field(0.5, ge=0, lt=1)
    """Dropout before the head."""
    cosine_schedule: bool = False
    """Let the learning rate rise, then fall as a cosine."""
    warmup_epochs: int = Field(0, ge=0)
    """Under the cosine schedule, epochs in which the rate rises."""
    max_cosine_epochs: int = Field(100, ge=1)
    """Under the cosine schedule, the epoch at which it has fallen."""
    max_learning_rate_reduction_factor: Fraction = 0.01
    """Under the cosine schedule, the fraction of the rate that is left in the end."""
    image_size: int = Field(224, ge=1)
    """Side of the images, in pixels, where the encoder does not say."""
    seed: int = Field(42, ge=0)
    """Seed of the head's weights."""


class Finetuneable(L.LightningModule, ABC):
    """What the three classes share: an encoder from anywhere, frozen blocks, optimiser and steps.

    Args:
        name: an encoder's name, as in `zoobot.pytorch.estimators.encoders`.
        encoder: or the encoder itself.
        zoobot_checkpoint_loc: or a checkpoint of Zoobot, or a model folder.
        arguments: see `FinetuneOptions`.
    """

    head: nn.Module

    def __init__(
        self,
        name: str | None,
        encoder: nn.Module | PretrainedEncoder | None,
        zoobot_checkpoint_loc: str | Path | None,
        arguments: dict[str, Any],
    ) -> None:
        super().__init__()
        self.options = FinetuneOptions(**arguments)
        self.pretrained = _choose_encoder(name, encoder, zoobot_checkpoint_loc)
        self.encoder = self.pretrained.module.train()
        size = self.pretrained.expects.get("image_size", self.options.image_size)
        self.n_features = count_features(self.encoder, size, self.pretrained.channels or 3)
        blocks = find_blocks(self.encoder)
        self._frozen = freeze_all_but(blocks, self.options.n_blocks)
        self._trained = blocks[len(self._frozen) :]
        torch.manual_seed(self.options.seed)

    @abstractmethod
    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Mean over the galaxies of a batch."""

    @abstractmethod
    def refuse_wrong_labels(self, labels: Tensor) -> None:
        """Raise `CatalogError` where labels are not what they must be."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """What the head's outputs say: `(galaxy, output)`."""

    def forward(self, images: Tensor) -> Tensor:
        """Predictions `(galaxy, output)`: probabilities of classes, numbers, or concentrations."""
        return self.predict(self.head(self.encoder(normalise(images))))

    def train(self, mode: bool = True) -> "Finetuneable":
        """As of any module, but frozen blocks hold still."""
        super().train(mode)
        for block in self._frozen:
            block.hold_still()
        return self

    def on_train_epoch_start(self) -> None:
        self.train()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._step("train", batch, batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._step("validation", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._step("test", batch, batch_idx)

    def predict_step(self, batch: Tensor | Sequence[Tensor], batch_idx: int) -> Tensor:
        """Predictions for images, with or without labels beside them."""
        predictions: Tensor = self(batch if isinstance(batch, Tensor) else batch[0])
        return predictions

    def configure_optimizers(self) -> Any:
        options = self.options
        groups = parameter_groups(
            self.head, self._trained, options.learning_rate, options.lr_decay, options.weight_decay
        )
        optimizer = torch.optim.AdamW(groups)
        if not options.cosine_schedule:
            return optimizer
        per_epoch = max(1, int(self.trainer.estimated_stepping_batches) // max(1, self.trainer.max_epochs or 1))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: warm_up_then_cosine(
                step / per_epoch,
                options.warmup_epochs,
                options.max_cosine_epochs,
                options.max_learning_rate_reduction_factor,
            ),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _step(self, stage: str, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        if batch_idx == 0:
            self.pretrained.refuse_other_images(images)
        self.refuse_wrong_labels(labels)
        loss = self.loss(labels, self.head(self.encoder(normalise(images))))
        self.log(
            f"{stage}/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(images), sync_dist=True
        )
        return loss


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
        if class_weights is not None and len(class_weights) != num_classes:
            raise SettingError(f"class_weights must be {num_classes} numbers, one a class. Got {len(class_weights)}.")
        self.task = LabelTask(
            "classification", ["label"], [str(number) for number in range(num_classes)], multi_label=multi_label
        )
        self.label_smoothing = label_smoothing
        weights = torch.ones(num_classes) if class_weights is None else torch.tensor(list(class_weights)).float()
        self.register_buffer("class_weights", weights, persistent=False)
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

    def refuse_wrong_labels(self, labels: Tensor) -> None:
        n_classes = self.task.n_outputs
        if labels.ndim == 1 and not labels.is_floating_point() and not self.task.multi_label:
            if not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
                raise CatalogError(
                    f"Labels of {n_classes} classes must be whole numbers from 0 to {n_classes - 1}. Got "
                    f"{int(labels.min())} to {int(labels.max())} instead."
                )
            return
        if labels.ndim != 2 or labels.shape[1] != n_classes or not labels.is_floating_point():
            raise CatalogError(
                f"Labels must be whole numbers (galaxy,) or shares of {n_classes} classes (galaxy, class). Got the "
                f"shape {tuple(labels.shape)} of {labels.dtype} instead."
            )
        if not ((labels >= 0) & (labels <= 1)).all():
            raise CatalogError("Shares of classes must be from 0 to 1. Some labels are not, or are NaN.")

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
        if loss not in ("mse", "mae"):
            raise SettingError(f"loss must be 'mse' or 'mae'. Got '{loss}' instead.")
        self.loss_name = loss
        columns = [f"label_{number}" for number in range(num_targets)]
        self.task = LabelTask(
            "regression",
            columns,
            unit_interval=unit_interval,
            centres=list(centres or [0.0] * num_targets),
            scales=list(scales or [1.0] * num_targets),
        )
        self.head = LabelHead(self.n_features, num_targets, self.options.dropout_prob)

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        predictions = self.predict(outputs)
        errors = labels.view_as(predictions) - predictions
        if not self.task.unit_interval:
            errors = errors / errors.new_tensor(self.task.scales)
        return errors.square().mean() if self.loss_name == "mse" else errors.abs().mean()

    def refuse_wrong_labels(self, labels: Tensor) -> None:
        n_targets = self.task.n_outputs
        if labels.shape[1:] not in ((n_targets,), () if n_targets == 1 else (n_targets,)):
            raise CatalogError(f"Labels must be (galaxy, {n_targets}). Got the shape {tuple(labels.shape)} instead.")
        if not labels.isfinite().all():
            raise CatalogError("Labels must be finite numbers. Some are NaN or infinite: fill or leave them out.")
        if self.task.unit_interval and not ((labels >= 0) & (labels <= 1)).all():
            raise CatalogError("With unit_interval, labels must be from 0 to 1. Scale them, or leave it out.")

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
        self.schema = schema
        self.head = DirichletHead(self.n_features, len(schema.answers), self.options.dropout_prob, concentration_bounds)

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        groups = self.schema.question_index_groups
        return losses.calculate_multiquestion_loss(labels, outputs, groups).sum(dim=1).mean()

    def refuse_wrong_labels(self, labels: Tensor) -> None:
        n_answers = len(self.schema.answers)
        if labels.ndim != 2 or labels.shape[1] != n_answers or not (labels.isfinite() & (labels >= 0)).all():
            raise CatalogError(
                f"Labels must be votes (galaxy, {n_answers}) of 0 or more, without NaN. Got the shape "
                f"{tuple(labels.shape)}, from {labels.min():g}."
            )

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


def warm_up_then_cosine(epoch: float, warmup_epochs: int, last_epoch: int, lowest: float) -> float:
    """Fraction of the learning rate: it rises in a line until `warmup_epochs`, then falls to `lowest`."""
    if epoch < warmup_epochs:
        return max(epoch / warmup_epochs, 0.01)
    fall = min(1.0, (epoch - warmup_epochs) / max(1e-9, last_epoch - warmup_epochs))
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * fall)) / 2


def _choose_encoder(
    name: str | None, encoder: nn.Module | PretrainedEncoder | None, zoobot_checkpoint_loc: str | Path | None
) -> PretrainedEncoder:
    given = [source for source in (name, encoder, zoobot_checkpoint_loc) if source is not None]
    if len(given) != 1:
        raise SettingError(f"Give one of name, encoder and zoobot_checkpoint_loc. Got {len(given)} of them.")
    return given[0] if isinstance(given[0], PretrainedEncoder) else load_encoder(given[0])

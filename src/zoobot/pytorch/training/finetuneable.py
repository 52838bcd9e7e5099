"""What the classes of `finetune` share: an encoder from anywhere, frozen blocks, optimiser, schedule and steps."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from pydantic import Field
from torch import Tensor, nn

from zoobot.config import Fraction, Settings
from zoobot.errors import SettingError
from zoobot.pytorch.estimators.define_model import count_features, normalise
from zoobot.pytorch.estimators.encoders import PretrainedEncoder, load_encoder
from zoobot.pytorch.training.blocks import find_blocks, freeze_all_but, parameter_groups

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

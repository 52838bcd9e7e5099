"""What the classes of `finetune` share: an encoder from anywhere, frozen blocks, optimiser, schedule and steps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoobot.pytorch.estimators.define_model import count_features, normalise
from zoobot.pytorch.estimators.encoders import load_encoder
from zoobot.pytorch.training.blocks import find_blocks, freeze_all_but, parameter_groups
from zoobot.shared.finetuning_runs import FinetuneOptions, choose_source, warm_up_then_cosine
from zoobot.shared.pretrained_encoders import PretrainedEncoder

Batch = tuple[Tensor, Tensor]


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
    def refuse_wrong_labels(self, labels: npt.NDArray[Any]) -> None:
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

    def _refuse_other_images(self, images: Tensor) -> None:
        bounds = (0, 1) if images.dtype == torch.uint8 else (images.min().item(), images.max().item())
        self.pretrained.refuse_other_images(images.shape, ("galaxy", "channel", "height", "width"), bounds)

    def _step(self, stage: str, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        if batch_idx == 0:
            self._refuse_other_images(images)
        self.refuse_wrong_labels(labels.cpu().numpy())
        loss = self.loss(labels, self.head(self.encoder(normalise(images))))
        self.log(
            f"{stage}/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(images), sync_dist=True
        )
        return loss


def _choose_encoder(
    name: str | None, encoder: nn.Module | PretrainedEncoder | None, zoobot_checkpoint_loc: str | Path | None
) -> PretrainedEncoder:
    source = choose_source(name, encoder, zoobot_checkpoint_loc)
    return source if isinstance(source, PretrainedEncoder) else load_encoder(source)

"""The model: encoder -> dropout -> linear -> concentrations, one per answer."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
import numpy.typing as npt
import torch
from timm.optim import param_groups_weight_decay  # type: ignore[attr-defined]
from torch import Tensor, nn

from zoobot.config import TrainSettings
from zoobot.errors import ModelError
from zoobot.pytorch.estimators.recipes import Recipe, recipe_of
from zoobot.pytorch.training import losses
from zoobot.shared.schemas import Schema


class DirichletHead(nn.Module):
    """Features to concentrations: dropout, a linear layer, then `low + (high - low) * sigmoid`.

    Args:
        n_features: length of the encoder's feature vector.
        n_answers: number of answers of the decision tree.
        dropout: probability to drop a feature in training.
        bounds: lowest and highest concentration. Published models have 1 and 101 (Walmsley et al. 2022); a lower bound
            below 1 lets the model say that volunteers will agree, whichever way.
    """

    def __init__(self, n_features: int, n_answers: int, dropout: float, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(n_features, n_answers)
        self.low, self.high = bounds

    def forward(self, features: Tensor) -> Tensor:
        """`(galaxy, feature)` to concentrations `(galaxy, answer)`, in float32 whatever the encoder's precision."""
        with torch.autocast(features.device.type, enabled=False):
            logits = self.linear(self.dropout(features.to(self.linear.weight.dtype)))
            return self.low + (self.high - self.low) * torch.sigmoid(logits)

    @torch.no_grad()
    def start_from(self, concentrations: npt.ArrayLike) -> None:
        """Set the bias so that, before training, every galaxy gets about these concentrations `(answer,)`."""
        start = np.clip((np.asarray(concentrations, float) - self.low) / (self.high - self.low), 1e-4, 1 - 1e-4)
        self.linear.bias.copy_(torch.as_tensor(np.log(start / (1 - start))))


class ZoobotTree(L.LightningModule):
    """A model that predicts how volunteers answer every question of a decision tree.

    Args:
        schema: the decision tree.
        settings: architecture, input, head and optimiser; see `zoobot.config.TrainSettings`.
        encoder: your own encoder in place of `settings.architecture`: images `(galaxy, channel, height, width)` to
            features `(galaxy, feature)`.
        channels: of the images; by default 3 with `settings.color`, else 1.
        bands: their names, where each band has a file of its own.
        recipe: how to build `encoder` again, where that is known; a model folder then needs no help to load.

    Raises:
        ModelError: unknown architecture, or an encoder whose output is not `(galaxy, feature)`.
    """

    def __init__(
        self,
        schema: Schema,
        settings: TrainSettings | None = None,
        encoder: nn.Module | None = None,
        channels: int | None = None,
        bands: Sequence[str] = (),
        recipe: Recipe | None = None,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.settings = settings or TrainSettings()
        self.channels = channels or (3 if self.settings.color else 1)
        self.bands = list(bands)
        if encoder is None:
            recipe = recipe or recipe_of(self.settings, self.channels)
            encoder = recipe.build()
        self.encoder, self.recipe = encoder, recipe
        self.head = DirichletHead(
            count_features(self.encoder, self.settings.image_size, self.channels),
            len(schema.answers),
            self.settings.dropout,
            self.settings.concentration_bounds,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Concentrations `(galaxy, answer)` of images `(galaxy, channel, height, width)`, uint8 or float in 0-1."""
        concentrations: Tensor = self.head(self.encoder(normalise(images)))
        return concentrations

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self._log_loss("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self._log_loss("validation", batch)

    def configure_optimizers(self) -> Any:
        settings = self.settings
        parameters = param_groups_weight_decay(self, settings.weight_decay)
        optimizer_class = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.optimizer]
        # In mixed precision Lightning cannot clip gradients that a fused optimiser unscales by itself
        optimizer = optimizer_class(parameters, lr=settings.learning_rate, fused=settings.precision == "32")
        if settings.schedule == "constant":
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.learning_rate, total_steps=int(self.trainer.estimated_stepping_batches)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log_loss(self, stage: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, votes = batch
        per_question = losses.calculate_multiquestion_loss(votes, self(images), self.schema.question_index_groups)
        loss = per_question.sum(dim=1).mean()
        logged: dict[str, Tensor] = {f"{stage}/loss": loss}
        for question, question_loss in zip(self.schema.questions, per_question.mean(dim=0), strict=True):
            logged[f"{stage}/question/{question.text}"] = question_loss
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=len(votes), sync_dist=True)
        in_training = stage == "train"
        self.log(
            "loss",
            loss,
            prog_bar=True,
            logger=False,
            on_step=in_training,
            on_epoch=not in_training,
            sync_dist=not in_training,
        )
        return loss


def normalise(images: Tensor) -> Tensor:
    """uint8 images as float32 in 0-1; float images as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def count_features(encoder: nn.Module, size: int, channels: int) -> int:
    """Length of the encoder's feature vector, found by passing one blank image through it."""
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            features = encoder(torch.zeros(1, channels, size, size))
    except (RuntimeError, AssertionError) as error:  # timm asserts the sizes of transformers
        raise ModelError(
            f"The encoder cannot take images of {channels} x {size} x {size} (channel, height, width): {error}"
        ) from error
    finally:
        encoder.train(was_training)
    if features.ndim != 2:
        raise ModelError(
            "An encoder must turn images (galaxy, channel, height, width) into features (galaxy, feature). This one "
            f"returns shape {tuple(features.shape)}: pool over the remaining dimensions."
        )
    return int(features.shape[1])

"""Finetuning: a pretrained encoder with a new head, for classes, numbers or another decision tree.

    model = FinetuneableZoobotClassifier(num_classes=2, name="RUN/model")
    trainer = get_trainer("OWN")
    trainer.fit(model, (training, validation))

Training and validation data are `tf.data` of batches `(images, labels)`. Images are uint8 or float in 0-1, `(galaxy,
height, width, channel)`. `zoobot finetune --framework tensorflow` does all of it for a catalog; see
`finetune_on_catalog`.

Only the head and the last `n_blocks` blocks of the encoder learn. The others are frozen: no step, no batch-norm
statistic and no stochastic depth changes what they do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy.typing as npt

from zoobot.errors import OutputError, SettingError
from zoobot.shared.finetuning_runs import (
    FinetuneOptions,
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
from zoobot.shared.training_runs import loss_of_epoch
from zoobot.tensorflow.devices import compiles, find_device
from zoobot.tensorflow.estimators.define_model import DirichletHead
from zoobot.tensorflow.estimators.label_model import LabelHead
from zoobot.tensorflow.estimators.random_views import RandomViews
from zoobot.tensorflow.training.epochs import KeptEpochs
from zoobot.tensorflow.training.finetuneable import Finetuneable
from zoobot.tensorflow.training.fitting import OwnData, count_own_steps, explain_problems, fit
from zoobot.tensorflow.training.losses import ClassLoss, NumberLoss, get_multiquestion_loss
from zoobot.tensorflow.training.optimizers import scaled_for


class FinetuneableZoobotClassifier(Finetuneable):
    """Learns classes.

    Args:
        num_classes: labels are 0 to `num_classes - 1` `(galaxy,)`, or shares of each class `(galaxy, class)`.
        label_smoothing: share of each label that is spread over all classes.
        class_weights: `(class,)`, how much a galaxy of each class counts.
        multi_label: each class is a yes or no of its own; labels are `(galaxy, class)`, 0 to 1.
        name, encoder, zoobot_checkpoint_loc, views, arguments: see `Finetuneable`.
    """

    def __init__(
        self,
        num_classes: int,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        multi_label: bool = False,
        *,
        name: str | None = None,
        encoder: keras.Model | PretrainedEncoder | None = None,
        zoobot_checkpoint_loc: str | Path | None = None,
        views: RandomViews | None = None,
        **arguments: Any,
    ) -> None:
        weights = check_class_weights(class_weights, num_classes)
        refuse_wrong_smoothing(label_smoothing)
        classes = [str(number) for number in range(num_classes)]
        task = LabelTask("classification", ["label"], classes, multi_label=multi_label)
        super().__init__(partial(_label_head, task), name, encoder, zoobot_checkpoint_loc, views, arguments)
        self.task, self.label_smoothing = task, label_smoothing
        self.class_weights = weights

    def build_loss(self) -> keras.losses.Loss:
        return ClassLoss(self.task, self.class_weights, self.label_smoothing)

    def refuse_wrong_labels(self, labels: npt.NDArray[Any]) -> None:
        refuse_wrong_labels(labels, self.task)


class FinetuneableZoobotRegressor(Finetuneable):
    """Learns one number or several.

    Args:
        loss: `mse` or `mae`, of numbers divided by their `scales`.
        unit_interval: numbers lie from 0 to 1, and so do predictions.
        num_targets: labels are `(galaxy, number)`; of one number also `(galaxy,)`.
        centres, scales: `(number,)`, a typical value and spread, from which the head starts; by default 0 and 1.
        name, encoder, zoobot_checkpoint_loc, views, arguments: see `Finetuneable`.
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
        encoder: keras.Model | PretrainedEncoder | None = None,
        zoobot_checkpoint_loc: str | Path | None = None,
        views: RandomViews | None = None,
        **arguments: Any,
    ) -> None:
        refuse_unknown_loss(loss)
        task = LabelTask(
            "regression",
            [f"label_{number}" for number in range(num_targets)],
            unit_interval=unit_interval,
            centres=check_centres(centres, num_targets),
            scales=check_scales(scales, num_targets),
        )
        super().__init__(partial(_label_head, task), name, encoder, zoobot_checkpoint_loc, views, arguments)
        self.task, self.loss_name = task, loss

    def build_loss(self) -> keras.losses.Loss:
        return NumberLoss(self.task, self.loss_name)

    def refuse_wrong_labels(self, labels: npt.NDArray[Any]) -> None:
        refuse_wrong_labels(labels, self.task)


class FinetuneableZoobotTree(Finetuneable):
    """Learns the votes of a decision tree.

    Args:
        schema: the tree; labels are votes `(galaxy, answer)`.
        concentration_bounds: lowest and highest concentration.
        name, encoder, zoobot_checkpoint_loc, views, arguments: see `Finetuneable`.
    """

    def __init__(
        self,
        schema: Schema,
        concentration_bounds: tuple[float, float] = (0.05, 100.05),
        *,
        name: str | None = None,
        encoder: keras.Model | PretrainedEncoder | None = None,
        zoobot_checkpoint_loc: str | Path | None = None,
        views: RandomViews | None = None,
        **arguments: Any,
    ) -> None:
        def build_head(options: FinetuneOptions) -> DirichletHead:
            return DirichletHead(len(schema.answers), options.dropout_prob, concentration_bounds, options.seed)

        refuse_wrong_tree(schema, concentration_bounds)
        super().__init__(build_head, name, encoder, zoobot_checkpoint_loc, views, arguments)
        self.schema = schema

    def build_loss(self) -> keras.losses.Loss:
        return get_multiquestion_loss(self.schema.question_index_groups)

    def refuse_wrong_labels(self, labels: npt.NDArray[Any]) -> None:
        refuse_wrong_votes(labels, len(self.schema.answers))


@dataclass(frozen=True)
class Trainer:
    """Fits a finetuneable model to your own data, stops early and keeps the best epoch.

    Args:
        save_dir: gets `metrics.csv` and `checkpoints/`.
        max_epochs: at most.
        patience: stop after so many epochs without a better validation loss.
        device: `auto`, `cpu` or `gpu`.
    """

    save_dir: Path
    max_epochs: int
    patience: int
    device: str

    def fit(self, model: Finetuneable, data: OwnData) -> dict[str, list[Any]]:
        """Train from the model's weights, and leave it with those of the epoch with the best validation loss.

        Args:
            data: finite batches `(images, labels)` for training and for validation.

        Returns:
            The training curve, one value per epoch.

        Raises:
            CatalogError, SettingError: labels or images are not what they must be.
            OutputError: `save_dir` holds a run of `zoobot train` or `zoobot finetune`.
            ModelError: training diverged.
        """
        device, problems = find_device(self.device), list[Exception]()
        training, validation, steps = count_own_steps(data)
        for part in data:
            for images, labels in part.take(1):
                model.refuse_other_images(images.numpy())
                model.refuse_wrong_labels(labels.numpy())
        if (self.save_dir / "run.json").exists():
            raise OutputError(
                f"'{self.save_dir}' holds a run of zoobot, whose checkpoints stay. Choose another folder."
            )
        self.save_dir.mkdir(parents=True, exist_ok=True)
        for earlier in (*self.save_dir.glob("checkpoints/*.weights.h5"), self.save_dir / "checkpoints" / "state.json"):
            earlier.unlink(missing_ok=True)
        kept = KeptEpochs(self.save_dir, self.max_epochs, self.patience, model.options.seed)
        with keras.device(f"{device}:0"), explain_problems(problems):
            compile_for(model, steps, device)
            fit(model, kept, model.checked(training, problems), model.checked(validation, problems), steps)
        history = kept.history()
        loss_of_epoch(self.save_dir, history, kept.best_epoch or 0)
        model.load_weights(kept.best_path())
        return history


def get_trainer(
    save_dir: str | Path, max_epochs: int = 100, patience: int = 10, device: Literal["auto", "cpu", "gpu"] = "auto"
) -> Trainer:
    """What fits the classes of this file to your own data; see `Trainer`."""
    if min(max_epochs, patience) < 1:
        raise SettingError(f"max_epochs and patience must be 1 or more. Got {max_epochs} and {patience} instead.")
    return Trainer(Path(save_dir), max_epochs, patience, device)


def compile_for(model: Finetuneable, steps_per_epoch: int, device: str, gradient_clip: float | None = None) -> None:
    """Give a model its optimiser and loss."""
    optimizer = scaled_for(model.encoder, model.build_optimizer(steps_per_epoch, gradient_clip))
    model.compile(optimizer, model.build_loss(), jit_compile="auto" if compiles(device) else False)


def _label_head(task: LabelTask, options: FinetuneOptions) -> LabelHead:
    return LabelHead(task, options.dropout_prob, options.seed)

"""Finetuning with any framework: how much learns, which galaxies, what the run says."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from zoobot.config import AnyFinetuneSettings, Fraction, Settings
from zoobot.errors import CatalogError, SettingError
from zoobot.shared.catalog_splits import split_in_classes
from zoobot.shared.catalogs import Catalog, load_schema_of, split_by_galaxy
from zoobot.shared.label_columns import LabelTask
from zoobot.shared.schemas import Schema
from zoobot.shared.training_runs import say_training_time

logger = logging.getLogger(__name__)

_LABELS_PER_BLOCK = ((300, 1), (3_000, 2))
"""Up to so many training galaxies, so many blocks learn; of more, all."""


class FinetuneOptions(Settings):
    """How a finetuned model learns: arguments of the classes `Finetuneable...` of every framework."""

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


def options_of(settings: AnyFinetuneSettings, n_galaxies: int, blocks_there: int) -> FinetuneOptions:
    """How the verb `finetune` lets a model learn from so many galaxies."""
    n_blocks = settings.n_blocks
    if n_blocks is None:
        n_blocks = choose_n_blocks(n_galaxies, blocks_there, settings.pretrained)
    logger.info(
        "%d galaxies to learn from; blocks of the encoder that learn: %d of %d.", n_galaxies, n_blocks, blocks_there
    )
    return FinetuneOptions(
        n_blocks=n_blocks,
        lr_decay=settings.lr_decay,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        dropout_prob=settings.dropout,
        cosine_schedule=True,
        warmup_epochs=min(settings.warmup_epochs, settings.epochs - 1),
        max_cosine_epochs=settings.epochs,
        image_size=settings.image_size,
        seed=settings.seed,
    )


def choose_n_blocks(n_galaxies: int, blocks_there: int, pretrained: bool) -> int:
    """How many blocks of an encoder learn from so many galaxies; of one with random weights all do."""
    if not pretrained:
        return blocks_there
    return min(blocks_there, next((blocks for most, blocks in _LABELS_PER_BLOCK if n_galaxies <= most), blocks_there))


def refuse_too_many_blocks(n_blocks: int, blocks_there: int) -> None:
    """Raise `SettingError` where more blocks shall learn than an encoder has."""
    if n_blocks > blocks_there:
        raise SettingError(f"n_blocks must be at most {blocks_there}: the encoder has no more. Got {n_blocks} instead.")


def check_class_weights(weights: npt.ArrayLike | None, n_classes: int) -> list[float]:
    """The weight of each class, by default 1; `SettingError` unless each has one of 0 or more."""
    if n_classes < 1:
        raise SettingError(f"num_classes must be 1 or more. Got {n_classes} instead.")
    return _check_numbers("class_weights", weights, n_classes, 1.0, 0.0, "one of 0 or more a class")


def check_centres(centres: npt.ArrayLike | None, n_numbers: int) -> list[float]:
    """A typical value of each number, by default 0; `SettingError` unless each has one."""
    return _check_numbers("centres", centres, n_numbers, 0.0, -math.inf, "one a number to learn")


def check_scales(scales: npt.ArrayLike | None, n_numbers: int) -> list[float]:
    """The spread of each number, by default 1; `SettingError` unless each has one above 0."""
    least = math.ulp(0.0)
    return _check_numbers("scales", scales, n_numbers, 1.0, least, "one above 0 a number to learn")


def refuse_wrong_smoothing(label_smoothing: float) -> None:
    """Raise `SettingError` unless some share of a label is left."""
    if not 0 <= label_smoothing < 1:
        raise SettingError(f"label_smoothing must be from 0 to below 1. Got {label_smoothing:g} instead.")


def refuse_wrong_tree(schema: object, concentration_bounds: tuple[float, float]) -> None:
    """Raise `SettingError` unless these are a tree, and bounds of concentrations."""
    if not isinstance(schema, Schema):
        raise SettingError(f"schema must be a Schema, such as get_schema('gz2'). Got {schema!r} instead.")
    if not 0 < concentration_bounds[0] < concentration_bounds[1] < math.inf:
        raise SettingError(
            "concentration_bounds must be two numbers above 0, the smaller one first. "
            f"Got {concentration_bounds} instead."
        )


def refuse_unknown_loss(loss: str) -> None:
    """Raise `SettingError` unless a loss of numbers has that name."""
    if loss not in ("mse", "mae"):
        raise SettingError(f"loss must be 'mse' or 'mae'. Got '{loss}' instead.")


def choose_source(*sources: Any) -> Any:
    """The one of `name`, `encoder` and `zoobot_checkpoint_loc` that is given; `SettingError` unless it is one."""
    given = [source for source in sources if source is not None]
    if len(given) != 1:
        raise SettingError(f"Give one of name, encoder and zoobot_checkpoint_loc. Got {len(given)} of them.")
    return given[0]


def warm_up_then_cosine(epoch: float, warmup_epochs: int, last_epoch: int, lowest: float) -> float:
    """Fraction of the learning rate: it rises in a line until `warmup_epochs`, then falls to `lowest`."""
    if epoch < warmup_epochs:
        return max(epoch / warmup_epochs, 0.01)
    fall = min(1.0, (epoch - warmup_epochs) / max(1e-9, last_epoch - warmup_epochs))
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * fall)) / 2


def _check_numbers(
    name: str, given: npt.ArrayLike | None, n_numbers: int, default: float, least: float, wanted: str
) -> list[float]:
    numbers = [default] * n_numbers if given is None or not np.size(given) else np.asarray(given, float).tolist()
    if np.shape(numbers) != (n_numbers,) or not all(least <= number < math.inf for number in numbers):
        raise SettingError(f"{name} must be {n_numbers} numbers, {wanted}. Got {numbers} instead.")
    return numbers


def find_tree(catalog: Any, schema: Any, settings: AnyFinetuneSettings) -> Schema | None:
    """The tree to learn; None for another task, which takes no schema."""
    if schema is not None and settings.task != "tree":
        raise SettingError(f"--schema belongs to --task tree. Got the task {settings.task} instead.")
    return load_schema_of(catalog, schema) if settings.task == "tree" else None


def split_for(
    task: LabelTask, galaxies: Catalog, labels: npt.NDArray[Any], settings: AnyFinetuneSettings
) -> npt.NDArray[Any]:
    """The split of each galaxy, `(galaxy,)`; of one class each, every part gets its share of each class.

    Raises:
        CatalogError: no training galaxy is of some class.
    """
    if task.kind == "classification" and not task.multi_label:
        split = split_in_classes(galaxies.id_str, labels.argmax(axis=1), settings.split, settings.seed)
    else:
        split = split_by_galaxy(galaxies.id_str, settings.split, settings.seed)
    totals = labels[split == "train"].sum(axis=0)
    without = [name for name, total in zip(task.classes, totals, strict=False) if total == 0]
    if without:
        raise CatalogError(
            f"No training galaxy is of the class '{without[0]}': the catalog {galaxies.source} has too few of them for "
            f"the split {settings.split}. Add some, or change --split or --seed."
        )
    return split


def say_finetuned(folder: Path, metrics: Mapping[str, Any]) -> str:
    """A finetuned model in a few lines."""
    lines = [
        f"Model:           {folder}",
        f"Best epoch:      {metrics['best_epoch']} of {len(metrics['history']['epoch'])}",
        f"Validation loss: {metrics['validation_loss']:.3f}",
    ]
    lines += [f"  {name}: {loss:.3f}" for name, loss in metrics["validation_loss_of_baselines"].items()]
    lines += say_training_time(metrics)
    for split, scores in metrics.get("scores", {}).items():
        lines.append(f"Scores, {split}:")
        lines += [f"  {name.replace('_', ' ')}: {value:.3f}" for name, value in _numbers_of(scores)]
    return "\n".join(lines)


def _numbers_of(scores: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Scores that are one number, and those of each number of a regression."""
    plain = [(name, value) for name, value in scores.items() if isinstance(value, float)]
    return plain + [
        (f"{number}, {name}", value)
        for number, values in scores.get("of_number", {}).items()
        for name, value in values.items()
        if value is not None
    ]

"""How good a finetuned model is on galaxies that it has not learned from, and a linear model beside it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from zoobot.shared.label_columns import LabelTask
from zoobot.shared.label_metrics import score_classes, score_numbers
from zoobot.shared.linear_probes import predict_with_probe

Labels = Mapping[str, npt.NDArray[Any]]
"""Of the galaxies of `train`, `validation` and `test`, each `(galaxy, output)`."""
OfSplit = Callable[[str], npt.NDArray[Any]]
"""A split -> what a model says of its galaxies, in their order."""


def score_splits(task: LabelTask, labels: Labels, predict: OfSplit) -> dict[str, Any]:
    """Scores of the validation and test galaxies.

    Args:
        predict: predictions `(galaxy, output)`.
    """
    return {split: _score(task, labels[split], predict(split)) for split in _scored(labels)}


def score_probe(task: LabelTask, labels: Labels, encode: OfSplit) -> dict[str, Any]:
    """Scores of a linear model on the features that the encoder has before any step.

    Args:
        encode: features `(galaxy, feature)`, of central views.
    """
    seen = encode("train")
    return {
        f"{split}, linear probe": _score(
            task, labels[split], predict_with_probe(task, seen, labels["train"], encode(split))
        )
        for split in _scored(labels)
    }


def _scored(labels: Labels) -> list[str]:
    return [split for split in ("validation", "test") if len(labels[split])]


def _score(task: LabelTask, labels: npt.NDArray[Any], predictions: npt.NDArray[Any]) -> dict[str, Any]:
    if task.kind == "classification":
        return score_classes(labels, predictions, task.classes, task.multi_label)
    return score_numbers(labels, predictions, task.columns)

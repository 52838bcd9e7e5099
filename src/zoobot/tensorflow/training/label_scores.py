"""What a finetuned model, and its encoder before it, say of the galaxies of each split."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from zoobot.shared.images import ImageArray
from zoobot.shared.label_scores import score_probe, score_splits
from zoobot.tensorflow.datasets.galaxy_dataset import GalaxyBatches
from zoobot.tensorflow.estimators.label_model import LabelModel
from zoobot.tensorflow.predictions.forward import find_features, predict_numbers

Splits = Mapping[str, GalaxyBatches]
"""Of `train`, `validation` and `test`, in central views."""


def scores_of(model: LabelModel, splits: Splits) -> dict[str, Any]:
    """Scores of the validation and test galaxies."""
    return score_splits(model.task, _labels(splits), _over(splits, partial(predict_numbers, model)))


def probe_of(model: LabelModel, splits: Splits) -> dict[str, Any]:
    """Scores of a linear model on the features that the encoder has before any step."""
    encode = partial(find_features, model.encoder, model.scale)
    return score_probe(model.task, _labels(splits), _over(splits, encode))


def _labels(splits: Splits) -> dict[str, npt.NDArray[Any]]:
    return {split: batches.labels for split, batches in splits.items()}


def _over(splits: Splits, say: Callable[[ImageArray], npt.NDArray[Any]]) -> Callable[[str], npt.NDArray[Any]]:
    return lambda split: np.concatenate([say(views.numpy()) for views, _ in splits[split].in_order()])

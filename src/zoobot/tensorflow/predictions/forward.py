"""From views of galaxies to what a model says: one pass of the encoder, then as many heads as asked for."""

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from zoobot.config import PredictSettings
from zoobot.errors import ModelError
from zoobot.shared.dropout_masks import dropout_masks
from zoobot.shared.images import ImageArray
from zoobot.shared.prediction_runs import count_views
from zoobot.tensorflow.estimators.define_model import ZoobotTree
from zoobot.tensorflow.estimators.label_model import LabelModel


def forecast(
    model: ZoobotTree, views: ImageArray, galaxies: npt.NDArray[np.uint64], settings: PredictSettings
) -> npt.NDArray[np.float32]:
    """Samples of concentrations, `(galaxy, answer, sample)`.

    Args:
        views: `(galaxy x view, height, width, channel)`, the views of a galaxy side by side.
        galaxies: `(galaxy,)`, the numbers from which each galaxy's dropout follows.

    Raises:
        ModelError: the model predicts what is not a number.
    """
    n_views, by_dropout = count_views(settings), settings.samples > 1 and settings.sample_by != "views"
    features = find_features(model.encoder, model.scale, views).reshape(len(galaxies), n_views, -1)
    if by_dropout:
        features = features * dropout_masks(galaxies, settings.samples, features.shape[2], model.head.dropout.rate)
    samples = ops.convert_to_numpy(model.head(features.reshape(-1, features.shape[2])))
    concentrations: npt.NDArray[np.float32] = samples.reshape(len(galaxies), features.shape[1], -1).transpose(0, 2, 1)
    if not np.isfinite(concentrations).all():
        raise ModelError("The model predicts concentrations that are not numbers. Try --precision 32.")
    return concentrations


def predict_numbers(model: LabelModel, views: ImageArray) -> npt.NDArray[np.float32]:
    """Probabilities of classes, or numbers, `(galaxy, output)`, of one uint8 view of each galaxy."""
    features = find_features(model.encoder, model.scale, views)
    numbers: npt.NDArray[np.float32] = ops.convert_to_numpy(model.head(features))
    return numbers


def find_features(encoder: keras.Model, scale: int, views: ImageArray) -> npt.NDArray[np.float32]:
    """Features `(view, feature)` of uint8 views `(view, height, width, channel)`.

    Args:
        scale: what views in 0-1 are multiplied by for the encoder.
    """
    return np.asarray(encoder.predict_on_batch(views.astype(np.float32) / 255 * scale), np.float32)

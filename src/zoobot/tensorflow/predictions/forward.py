"""From views of galaxies to what a model says: one pass of the encoder, then as many heads as asked for."""

import numpy as np
import numpy.typing as npt
from keras import ops

from zoobot.config import PredictSettings
from zoobot.errors import ModelError
from zoobot.shared.dropout_masks import dropout_masks
from zoobot.shared.images import ImageArray
from zoobot.shared.prediction_runs import count_views
from zoobot.tensorflow.estimators.define_model import GalaxyModel, ZoobotTree
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
    features = find_features(model, views).reshape(len(galaxies), n_views, -1)
    if by_dropout:
        features = features * dropout_masks(galaxies, settings.samples, features.shape[2], model.head.dropout.rate)
    samples = ops.convert_to_numpy(model.head(features.reshape(-1, features.shape[2])))
    concentrations: npt.NDArray[np.float32] = samples.reshape(len(galaxies), features.shape[1], -1).transpose(0, 2, 1)
    if not np.isfinite(concentrations).all():
        raise ModelError("The model predicts concentrations that are not numbers. Try --precision 32.")
    return concentrations


def predict_numbers(model: LabelModel, views: ImageArray) -> npt.NDArray[np.float32]:
    """Probabilities of classes, or numbers, `(galaxy, output)`, of one view of each galaxy.

    Raises:
        ModelError: the model predicts what is not a number.
    """
    numbers: npt.NDArray[np.float32] = ops.convert_to_numpy(model.head(find_features(model, views)))
    if not np.isfinite(numbers).all():
        raise ModelError("The model gives what is not a number. Try --precision 32.")
    return numbers


def find_features(model: GalaxyModel, views: ImageArray) -> npt.NDArray[np.float32]:
    """Features `(view, feature)` of uint8 views `(view, height, width, channel)`."""
    return np.asarray(model.encoder.predict_on_batch(views.astype(np.float32) / 255 * model.scale), np.float32)

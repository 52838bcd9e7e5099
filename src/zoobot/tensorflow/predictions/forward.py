"""From views of galaxies to samples of concentrations: one pass of each encoder, then as many heads as asked for."""

import numpy as np
import numpy.typing as npt
from keras import ops

from zoobot.config import PredictSettings
from zoobot.errors import ModelError
from zoobot.shared.dropout_masks import dropout_masks
from zoobot.shared.images import ImageArray
from zoobot.shared.prediction_runs import count_views
from zoobot.tensorflow.estimators.define_model import ZoobotTree


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
    encoded = model.encoder.predict_on_batch(views.astype(np.float32) / 255 * model.scale)
    features = np.asarray(encoded, np.float32).reshape(len(galaxies), n_views, -1)
    if by_dropout:
        features = features * dropout_masks(galaxies, settings.samples, features.shape[2], model.head.dropout.rate)
    samples = ops.convert_to_numpy(model.head(features.reshape(-1, features.shape[2])))
    concentrations: npt.NDArray[np.float32] = samples.reshape(len(galaxies), features.shape[1], -1).transpose(0, 2, 1)
    if not np.isfinite(concentrations).all():
        raise ModelError("The model predicts concentrations that are not numbers. Try --precision 32.")
    return concentrations

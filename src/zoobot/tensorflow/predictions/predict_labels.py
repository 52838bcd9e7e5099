"""Predicting the classes or numbers that a model was finetuned on, for every galaxy of a catalog."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from zoobot.config import PredictSettings
from zoobot.shared.catalogs import Catalog
from zoobot.shared.label_runs import predict_labels_with
from zoobot.shared.model_folders import read_model_folder
from zoobot.shared.parts import MadeBatch
from zoobot.shared.prediction_runs import PredictedCatalog
from zoobot.tensorflow.estimators.label_model import LabelModel
from zoobot.tensorflow.estimators.model_folder import load_label_model
from zoobot.tensorflow.predictions.forward import predict_numbers
from zoobot.tensorflow.predictions.view_batches import number_batches


def predict_labels(
    model: str | Path,
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: PredictSettings | None = None,
    *,
    loaded: LabelModel | None = None,
) -> PredictedCatalog:
    """Predict probabilities of classes, or numbers. Called again, it goes on where it stopped.

    Args:
        model: the folder that finetuning left.
        catalog, output: as for predictions of votes.
        settings: see `zoobot.config.PredictSettings`; there is one sample.
        loaded: the model of that folder, for one with an encoder of your own.

    Raises:
        as `zoobot.tensorflow.predictions.predict_on_catalog.predict`.
    """
    settings = settings or PredictSettings()
    estimator = loaded or load_label_model(model, precision=settings.precision)

    def make(galaxies: Catalog, parts: Sequence[range]) -> Iterator[MadeBatch]:
        seen, say = estimator.settings, partial(predict_numbers, estimator)
        n_numbers = estimator.task.n_outputs
        return number_batches(
            estimator.encoder, say, n_numbers, seen.adjustments, seen.reading, galaxies, parts, settings
        )

    return predict_labels_with(read_model_folder(model), make, catalog, output, settings)

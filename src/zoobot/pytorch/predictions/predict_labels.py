"""Predicting the classes or numbers that a model was finetuned on, for every galaxy of a catalog."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from zoobot.config import CatalogSettings, PredictSettings
from zoobot.errors import ModelError, SettingError
from zoobot.pytorch.estimators.label_model import LabelModel
from zoobot.pytorch.estimators.model_folder import load_label_model
from zoobot.pytorch.predictions.number_batches import number_batches
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.image_catalogs import find_galaxies
from zoobot.shared.model_folders import read_model_folder
from zoobot.shared.number_parts import read_numbers
from zoobot.shared.number_runs import NumberRun, make_numbers
from zoobot.shared.parts import MadeBatch
from zoobot.shared.prediction_runs import PredictedCatalog, find_split, refuse_other_channels
from zoobot.shared.run_folders import write_atomically


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
        as `zoobot.pytorch.predictions.predict_on_catalog.predict`.
    """
    settings = settings or PredictSettings()
    if settings.samples > 1:
        raise SettingError("Samples are of models of votes. Leave out --samples: this model predicts labels.")
    if settings.engine == "onnx":
        raise ModelError("Only models of votes are exported as ONNX. Leave out --engine.")
    described = read_model_folder(model)
    estimator = loaded or load_label_model(model)
    galaxies = load_catalog(find_galaxies(catalog), None, CatalogSettings(on_bad_row=settings.on_bad_row), lean=True)
    refuse_other_channels(galaxies, described)
    names = estimator.task.output_columns
    run = NumberRun(
        verb="predict",
        doing=("Predicting", "Predicted"),
        kind="labels",
        names=names,
        dtype=np.float32,
        model=described.describe(),
        split=find_split([described]),
    )

    def make(galaxies: Catalog, parts: Sequence[range]) -> Iterator[MadeBatch]:
        reading, adjustments = estimator.settings.reading, estimator.settings.adjustments
        return number_batches(estimator, len(names), adjustments, reading, galaxies, parts, settings)

    done = make_numbers(run, make, galaxies, output, settings, frozenset({"slurm_script"}))
    if settings.format == "csv" and not done.n_missing:
        found = read_numbers(done.folder, "labels")
        table = pd.concat([found.table, pd.DataFrame(found.values, columns=found.names)], axis=1)
        write_atomically(done.folder / "predictions.csv", table.to_csv(index=False))
    return done

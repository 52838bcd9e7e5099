"""Predicting classes or numbers for every galaxy of a catalog, with any framework."""

from pathlib import Path

import numpy as np
import pandas as pd

from zoobot.config import CatalogSettings, PredictSettings
from zoobot.errors import ModelError, SettingError
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.image_catalogs import find_galaxies
from zoobot.shared.label_columns import LabelTask
from zoobot.shared.model_folders import ModelFolder
from zoobot.shared.number_parts import read_numbers
from zoobot.shared.number_runs import MakeBatches, NumberRun, make_numbers
from zoobot.shared.prediction_runs import PredictedCatalog, find_split, refuse_other_channels
from zoobot.shared.run_folders import write_atomically


def predict_labels_with(
    described: ModelFolder,
    make_batches: MakeBatches,
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: PredictSettings,
) -> PredictedCatalog:
    """Write the parts that lack of a model's probabilities of classes, or numbers.

    Args:
        make_batches: what the model says, `(galaxy, output)`; called only where parts lack.
        catalog, output, settings: as of `predict` in each framework, which tells what is raised.
    """
    if settings.samples > 1:
        raise SettingError("Samples are of models of votes. Leave out --samples: this model predicts labels.")
    if settings.engine == "onnx":
        raise ModelError("Only models of votes are exported as ONNX. Leave out --engine.")
    galaxies = load_catalog(find_galaxies(catalog), None, CatalogSettings(on_bad_row=settings.on_bad_row), lean=True)
    refuse_other_channels(galaxies, described)
    run = NumberRun(
        verb="predict",
        doing=("Predicting", "Predicted"),
        kind="labels",
        names=LabelTask(**described.config["task"]).output_columns,
        dtype=np.float32,
        model=described.describe(),
        split=find_split([described]),
    )
    done = make_numbers(run, make_batches, galaxies, output, settings, frozenset({"slurm_script"}))
    if settings.format == "csv" and not done.n_missing:
        found = read_numbers(done.folder, "labels")
        table = pd.concat([found.table, pd.DataFrame(found.values, columns=found.names)], axis=1)
        write_atomically(done.folder / "predictions.csv", table.to_csv(index=False))
    return done

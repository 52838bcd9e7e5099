"""Predicting galaxies with Keras: images in, concentrations and vote fractions out, part by part.

What knows no framework is in `zoobot.shared.prediction_runs`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import keras
import numpy as np
import pandas as pd

from zoobot.config import PredictSettings
from zoobot.errors import ModelError, SettingError
from zoobot.shared.adjustments import Key
from zoobot.shared.catalogs import Catalog
from zoobot.shared.model_folders import KERAS_WEIGHTS, ModelFolder, read_model_folder
from zoobot.shared.parts import MadeBatch
from zoobot.shared.prediction_runs import PredictedCatalog, count_views, predict_with, sample_keys, shows_random_views
from zoobot.shared.views import view_keys
from zoobot.tensorflow.devices import compiles, explain_out_of_memory, find_own_device
from zoobot.tensorflow.estimators.define_model import ZoobotTree
from zoobot.tensorflow.estimators.model_folder import load_model
from zoobot.tensorflow.predictions.forward import forecast
from zoobot.tensorflow.predictions.predict_labels import predict_labels
from zoobot.tensorflow.predictions.view_batches import read_batches


def predict(
    model: str | Path | Sequence[str | Path],
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: PredictSettings | None = None,
    *,
    loaded: ZoobotTree | None = None,
) -> PredictedCatalog:
    """Predict how volunteers would answer, for every galaxy. Called again, it goes on where it stopped.

    Args:
        model: a model folder, such as `RUN/model`, or several of one schema: their samples stand side by side. One that
            was finetuned on labels writes those; see `predict_labels`.
        catalog: a table with `id_str` and `file_loc`, a folder of prepared images, a folder of images, a pattern such
            as `"images/*.jpg"`, or one image. Every column of a table travels into the predictions.
        output: a folder, which gets `part-*.parquet` and `rejected.csv`; see `zoobot.shared.predictions`.
        settings: see `zoobot.config.PredictSettings`.
        loaded: the model of that folder, for one with an encoder of your own; otherwise it is loaded from the folder.

    Raises:
        ModelError, CatalogError: a model folder or the catalog is at fault; `loaded` is not the folder's model.
        SettingError: the images were prepared otherwise than those that the model was trained on; ONNX is asked for.
        ImageError: an image cannot be read and `settings.on_bad_image` is `stop`.
        OutputError: `output` holds other predictions, or another process is at work on the same share of them.
    """
    settings = settings or PredictSettings()
    if settings.engine != "auto":
        raise SettingError(f"--engine {settings.engine} is of PyTorch's models; this one was made with Keras.")
    folders = [model] if isinstance(model, str | Path) else list(model)
    described = [read_model_folder(folder) for folder in folders]
    if len(folders) == 1 and described[0].tree is None:
        if loaded is not None:
            raise SettingError("Give a model of labels to predict_labels(..., loaded=...).")
        return predict_labels(folders[0], catalog, output, settings)
    if loaded is None:
        models = [load_model(folder, precision=settings.precision) for folder in folders]
    else:
        _refuse_other_weights(loaded, described[0])
        models = [loaded]

    def forecast_parts(galaxies: Catalog, parts: Sequence[range]) -> Iterator[MadeBatch]:
        device = find_own_device(settings.device)
        for each in models:
            each.encoder.jit_compile = compiles(device)
        keys, adjustments = sample_keys(galaxies, settings), [each.settings.adjustments for each in models]

        def find_keys(rows: list[int]) -> list[list[Key | None]]:
            return view_keys(keys[rows], settings.seed, count_views(settings), shows_random_views(settings))

        wanted = list(dict.fromkeys(adjustments))
        for rows, views, problems in read_batches(
            galaxies, models[0].settings.reading, wanted, find_keys, parts, settings
        ):
            made = np.zeros((0, len(models[0].schema.answers), settings.samples * len(models)), np.float32)
            if rows:
                with keras.device(device), explain_out_of_memory(settings.batch_size):
                    samples = [
                        forecast(each, views[seen], keys[rows], settings)
                        for each, seen in zip(models, adjustments, strict=True)
                    ]
                made = np.concatenate(samples, axis=2)
            yield MadeBatch(rows, made, problems)

    return predict_with(described, forecast_parts, catalog, output, settings)


def _refuse_other_weights(loaded: ZoobotTree, described: ModelFolder) -> None:
    """Only the folder's own model is accepted."""
    with TemporaryDirectory() as folder:
        loaded.save_weights(Path(folder) / KERAS_WEIGHTS)
        own, weights = (_read_arrays(Path(where) / KERAS_WEIGHTS) for where in (folder, described.path))
    if own.keys() != weights.keys() or any(not np.array_equal(own[name], weights[name]) for name in weights):
        raise ModelError(f"The model given as 'loaded' is not that of '{described.path}': its weights differ.")


def _read_arrays(path: Path) -> dict[str, Any]:
    arrays: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
    return arrays

"""Predicting galaxies with PyTorch: images in, concentrations and vote fractions out, part by part.

What knows no framework is in `zoobot.shared.prediction_runs`.
"""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from zoobot.config import PredictSettings
from zoobot.errors import ModelError, SettingError
from zoobot.pytorch.datasets.galaxy_dataset import ImageBatch, ImageDataset, as_it_is
from zoobot.pytorch.devices import count_workers, explain_out_of_memory, find_device, find_own_device
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.model_folder import load_model
from zoobot.pytorch.estimators.onnx_model import OnnxEncoder, find_encoder
from zoobot.pytorch.predictions.forward import forecast
from zoobot.pytorch.predictions.predict_labels import predict_labels
from zoobot.shared.catalogs import Catalog
from zoobot.shared.image_sources import open_images
from zoobot.shared.model_folders import WEIGHTS, ModelFolder, read_model_folder
from zoobot.shared.parts import MadeBatch, PartBatches
from zoobot.shared.prediction_runs import PredictedCatalog, count_views, predict_with, sample_keys, shows_random_views


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
        SettingError: the images were prepared otherwise than those that the model was trained on.
        ImageError: an image cannot be read and `settings.on_bad_image` is `stop`.
        OutputError: `output` holds other predictions, or another process is at work on the same share of them.
    """
    settings = settings or PredictSettings()
    folders = [model] if isinstance(model, str | Path) else list(model)
    described = [read_model_folder(folder) for folder in folders]
    if len(folders) == 1 and described[0].tree is None:
        if loaded is not None:
            raise SettingError("Give a model of labels to predict_labels(..., loaded=...).")
        return predict_labels(folders[0], catalog, output, settings)
    models = [load_model(folder) for folder in folders] if loaded is None else [_copy_of(loaded, described[0])]

    def forecast_parts(galaxies: Catalog, parts: Sequence[range]) -> Iterator[MadeBatch]:
        device = find_own_device(settings.device)
        engine = "torch" if loaded is not None else settings.engine
        encoders = [find_encoder(folder.path, device, engine) for folder in described]
        ready = [model.to(device).eval() for model in models]
        for batch in load_batches(galaxies, ready, parts, settings):
            with explain_out_of_memory(settings.batch_size):
                concentrations = predict_batch(ready, batch, settings, device, encoders)
            yield MadeBatch(batch.rows, concentrations, batch.problems)

    return predict_with(described, forecast_parts, catalog, output, settings)


def load_batches(
    galaxies: Catalog, models: Sequence[ZoobotTree], parts: Sequence[range], settings: PredictSettings
) -> Iterator[ImageBatch]:
    """Batches of views, none of which reaches from one part into the next. Images are read once for all models."""
    dataset = ImageDataset(
        open_images(galaxies, models[0].settings.reading),
        [model.settings.adjustments for model in models],
        sample_keys(galaxies, settings),
        settings.seed,
        n_views=count_views(settings),
        is_random=shows_random_views(settings),
    )
    return iter(
        DataLoader(
            dataset,
            batch_sampler=PartBatches(parts, settings.batch_size),
            num_workers=count_workers(settings.workers, settings.device),
            pin_memory=find_device(settings.device).type == "cuda",
            collate_fn=as_it_is,
        )
    )


def predict_batch(
    models: Sequence[ZoobotTree],
    batch: ImageBatch,
    settings: PredictSettings,
    device: torch.device,
    encoders: Sequence[OnnxEncoder | None] = (None,),
) -> npt.NDArray[np.float32]:
    """Concentrations of the galaxies of a batch, `(galaxy, answer, model x sample)`.

    Args:
        encoders: for each model, what encodes in its place, if anything.
    """
    if not batch.rows:
        return np.zeros((0, len(models[0].schema.answers), settings.samples * len(models)), np.float32)
    on_device = {adjustments: views.to(device, non_blocking=True) for adjustments, views in batch.views.items()}
    samples = [
        forecast(model, on_device[model.settings.adjustments], batch.galaxies, settings, encode)
        for model, encode in zip(models, encoders, strict=True)
    ]
    return np.concatenate(samples, axis=2)


def _copy_of(loaded: ZoobotTree, described: ModelFolder) -> ZoobotTree:
    """A copy, so that the caller's model stays on its device; only the folder's own model is accepted."""
    weights = load_file(described.path / WEIGHTS)
    own = loaded.state_dict()
    if own.keys() != weights.keys() or any(not torch.equal(own[name].cpu(), weights[name]) for name in weights):
        raise ModelError(f"The model given as 'loaded' is not that of '{described.path}': its weights differ.")
    return copy.deepcopy(loaded)

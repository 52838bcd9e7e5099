"""Training from scratch with Keras: from a catalog, or your own datasets, to a model folder.

The learning rate and early stopping are as in PyTorch: under the `one-cycle` schedule the rate rises, then falls to 0
at the last epoch, and `patience` is off by default; under `constant` training ends after `patience` epochs without a
better validation loss. The epoch with the best validation loss is the one that is kept and returned.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import pandas as pd

from zoobot.config import KerasTrainSettings
from zoobot.errors import SettingError
from zoobot.shared.catalogs import Catalog, load_catalog, load_schema_of
from zoobot.shared.dirichlet import ConstantBaseline
from zoobot.shared.image_sources import open_images
from zoobot.shared.model_folders import read_model_folder
from zoobot.shared.run_folders import logged_to, open_run
from zoobot.shared.schemas import Schema
from zoobot.shared.training_runs import (
    SplitCatalog,
    announce,
    describe_training,
    leave_out_unreadable,
    read_as_prepared,
    say_trained,
    split_catalog,
)
from zoobot.shared.vote_scores import FREE_BASELINE, fit_baselines
from zoobot.tensorflow.datasets.galaxy_dataset import GalaxyBatches
from zoobot.tensorflow.devices import compiles, describe_device, explain_out_of_memory, find_device, find_place
from zoobot.tensorflow.estimators.define_model import ZoobotTree
from zoobot.tensorflow.estimators.model_folder import load_model, save_model
from zoobot.tensorflow.training.epochs import KeptEpochs
from zoobot.tensorflow.training.fitting import OwnData, count_own_steps, fit
from zoobot.tensorflow.training.losses import get_multiquestion_loss
from zoobot.tensorflow.training.optimizers import build_optimizer, scaled_for

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedModel:
    """What training returns: the best model, ready to predict, and its folder."""

    model: ZoobotTree
    folder: Path
    metrics: dict[str, Any]

    def __str__(self) -> str:
        return say_trained(self.folder, self.metrics)


def train(
    catalog: str | Path | pd.DataFrame | OwnData,
    schema: str | Path | Schema | None = None,
    output: str | Path | None = None,
    settings: KerasTrainSettings | None = None,
    *,
    encoder: keras.Model | None = None,
) -> TrainedModel:
    """Train a model from scratch on votes. Called again, it goes on where it stopped.

    Args:
        catalog: a table (file or DataFrame) with `id_str`, `file_loc` and one column of votes per answer, a folder of
            prepared images, or two finite `tf.data.Dataset` of your own, for training and validation, whose batches are
            `(images, votes)`: float in 0-1 or uint8 `(galaxy, height, width, channel)`, and `(galaxy, answer)`.
        schema: the decision tree: a name, a YAML file or a `Schema`. A prepared folder knows its own.
        output: the run's folder. The model folder is `output/model`.
        settings: see `zoobot.config.KerasTrainSettings`; the defaults are the preset `laptop`.
        encoder: your own encoder in place of `settings.architecture`: images to features `(galaxy, feature)`.

    Returns:
        The model of the epoch with the best validation loss.

    Raises:
        CatalogError, ImageError: the catalog or its images are at fault, found before the first epoch.
        SettingError: images are asked for otherwise than they were prepared.
        OutputError: `output` holds another run.
        DeviceMemoryError: a batch does not fit the GPU.
    """
    if output is None:
        raise SettingError("--output is missing: the folder of the run.")
    settings = settings or KerasTrainSettings()
    device = find_device(settings.device, settings.devices)
    tree = load_schema_of(catalog, schema)
    inputs: dict[str, Any] = {"schema": tree.to_dict()}
    channels, bands = None, list[str]()
    if encoder is not None:
        inputs["encoder"] = [f"{type(layer).__name__} {layer.count_params()}" for layer in encoder.layers]
    if isinstance(catalog, tuple):
        inputs["data"] = repr(catalog)
    else:
        galaxies = load_catalog(catalog, tree, settings)
        settings = read_as_prepared(galaxies, settings)
        inputs["catalog"] = galaxies.checksum()
        channels, bands = open_images(galaxies, settings.reading).channels, galaxies.bands
    keras.utils.set_random_seed(settings.seed % (2**32 - 1) + 1)  # tf.data shuffles by no epoch under a seed of 0
    place = find_place(device, settings.devices, encoder is not None)
    with place():
        model = ZoobotTree(tree, settings, encoder, channels, bands)
    run = open_run(output, "train", settings, inputs, makes="checkpoints/*.h5")
    folder = run / "model"
    if (folder / "config.json").is_file():
        logger.warning("'%s' is already trained: its model is returned as it is.", run)
        return TrainedModel(load_model(folder, encoder), folder, read_model_folder(folder).metrics)
    with logged_to(run / "log.txt"), explain_out_of_memory(settings.batch_size):
        kept = KeptEpochs(run, settings.epochs, settings.patience, settings.seed)
        if isinstance(catalog, tuple):
            training, validation, steps = count_own_steps(catalog)
            with place():
                compile_model(model, steps, device)
                fit(model, kept, training, validation, steps)
            return _finish(model, kept)
        readable = leave_out_unreadable(galaxies, settings, run, bool(kept.lines))
        split = split_catalog(readable, settings)
        announce(split.catalogs, settings)
        baselines = fit_baselines(split.catalogs["train"].votes, tree)
        model.head.start_from(baselines[FREE_BASELINE].concentrations)
        with place():
            _fit_catalogs(model, kept, split.catalogs, device)
        return _finish(model, kept, split, baselines)


def _fit_catalogs(
    model: ZoobotTree,
    kept: KeptEpochs,
    catalogs: dict[str, Catalog],
    device: str,
) -> None:
    training = GalaxyBatches(catalogs["train"], model.settings, model.settings.devices)
    validation = GalaxyBatches(catalogs["validation"], model.settings, model.settings.devices)
    compile_model(model, training.steps_per_epoch, device)
    with training.explain_problems(), validation.explain_problems():
        fit(model, kept, training.train(len(kept.lines)), validation.in_order(), training.steps_per_epoch)


def compile_model(model: ZoobotTree, steps_per_epoch: int, device: str) -> None:
    """Give a model its optimiser and loss."""
    settings = model.settings
    model.compile(
        scaled_for(model.encoder, build_optimizer(settings, settings.epochs * steps_per_epoch)),
        get_multiquestion_loss(model.schema.question_index_groups),
        jit_compile="auto" if compiles(device) else False,
    )


def _finish(
    model: ZoobotTree,
    kept: KeptEpochs,
    split: SplitCatalog | None = None,
    baselines: Mapping[str, ConstantBaseline] = MappingProxyType({}),
) -> TrainedModel:
    encoder = model.encoder if model.recipe is None else None
    best = ZoobotTree(model.schema, model.settings, encoder, model.channels, model.bands)
    best.load_weights(kept.best_path())
    validation = split.catalogs["validation"] if split else None
    galaxies = split.galaxies if split else pd.DataFrame({"id_str": [], "split": []}, dtype=object)
    metrics = describe_training(kept.run, kept.history(), kept.best_epoch or 0, baselines, validation, model.schema)
    devices = model.settings.devices
    hardware = describe_device(find_device(model.settings.device, devices), devices)
    save_model(best, kept.run / "model", metrics=metrics, galaxies=galaxies, hardware=hardware)
    return TrainedModel(best, kept.run / "model", metrics)

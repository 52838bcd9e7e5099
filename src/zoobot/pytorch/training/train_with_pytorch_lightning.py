"""Training from scratch: from a catalog, or your own LightningDataModule, to a model folder.

The learning rate and early stopping: under the `one-cycle` schedule the rate rises, then falls to 0 at the last epoch,
so training runs all its epochs and stopping early would waste the fall; `patience` is off by default. Under `constant`
training ends after `patience` epochs without a better validation loss. Under both, the epoch with the best validation
loss is the one that is kept and returned.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
from torch import nn

from zoobot.config import TrainSettings
from zoobot.errors import SettingError
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.devices import find_device
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.model_folder import load_model, save_model
from zoobot.pytorch.training.fitting import fit, is_begun, settings_for
from zoobot.shared.catalogs import load_catalog, load_schema_of
from zoobot.shared.dirichlet import ConstantBaseline
from zoobot.shared.image_sources import open_images
from zoobot.shared.model_folders import read_model_folder
from zoobot.shared.run_folders import logged_to, open_run
from zoobot.shared.schemas import Schema
from zoobot.shared.training_runs import announce, describe_training, leave_out_unreadable, say_trained
from zoobot.shared.vote_scores import FREE_BASELINE, fit_baselines

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
    catalog: str | Path | pd.DataFrame | L.LightningDataModule,
    schema: str | Path | Schema | None = None,
    output: str | Path | None = None,
    settings: TrainSettings | None = None,
    *,
    encoder: nn.Module | None = None,
) -> TrainedModel:
    """Train a model from scratch on votes. Called again, it goes on where it stopped.

    Args:
        catalog: a table (file or DataFrame) with `id_str`, `file_loc` and one column of votes per answer, a folder of
            prepared images, or your own LightningDataModule whose batches are `(images, votes)`: float in 0-1 or uint8
            `(galaxy, channel, height, width)`, and `(galaxy, answer)`.
        schema: the decision tree: a name, a YAML file or a `Schema`. A prepared folder knows its own.
        output: the run's folder. The model folder is `output/model`.
        settings: see `zoobot.config.TrainSettings`; the defaults are the preset `laptop`.
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
    settings = settings or TrainSettings()
    find_device(settings.device, settings.devices)
    tree = load_schema_of(catalog, schema)
    inputs: dict[str, Any] = {"schema": tree.to_dict()}
    channels, bands = None, list[str]()
    if encoder is not None:
        inputs["encoder"] = repr(encoder)
    if isinstance(catalog, L.LightningDataModule):
        _refuse_no_validation(catalog)
        inputs["data"] = f"{type(catalog).__qualname__}({dict(catalog.hparams)})"
    else:
        galaxies = load_catalog(catalog, tree, settings)
        settings = settings_for(galaxies, settings)
        inputs["catalog"] = galaxies.checksum()
        channels, bands = open_images(galaxies, settings.reading).channels, galaxies.bands
    L.seed_everything(settings.seed, verbose=False)
    model = ZoobotTree(tree, settings, encoder, channels, bands)
    run = open_run(output, "train", settings, inputs, makes="checkpoints/*.ckpt")
    folder = run / "model"
    if (folder / "config.json").is_file():
        logger.warning("'%s' is already trained: its model is returned as it is.", run)
        return TrainedModel(load_model(folder, encoder), folder, read_model_folder(folder).metrics)
    with logged_to(run / "log.txt"):
        if isinstance(catalog, L.LightningDataModule):
            return _fit(model, catalog, run)
        galaxies = leave_out_unreadable(galaxies, settings, run, is_begun(run))
        datamodule = GalaxyDataModule(galaxies, settings)
        announce(datamodule.catalogs, settings)
        return _fit(model, datamodule, run)


def _fit(model: ZoobotTree, datamodule: L.LightningDataModule, run: Path) -> TrainedModel:
    baselines: dict[str, ConstantBaseline] = {}
    if isinstance(datamodule, GalaxyDataModule):
        baselines = fit_baselines(datamodule.labels["train"], model.schema)
        model.head.start_from(baselines[FREE_BASELINE].concentrations)
    fitted = fit(model, datamodule, run, model.settings)
    validation = datamodule.catalogs["validation"] if isinstance(datamodule, GalaxyDataModule) else None
    metrics = describe_training(run, fitted.history, fitted.best_epoch, baselines, validation, model.schema)
    galaxies = pd.DataFrame({"id_str": [], "split": []}, dtype=object)
    if isinstance(datamodule, GalaxyDataModule):
        galaxies = datamodule.galaxies
    if fitted.is_first_process:
        save_model(model, run / "model", metrics=metrics, galaxies=galaxies, hardware=fitted.hardware)
    fitted.wait()
    return TrainedModel(model, run / "model", metrics)


def _refuse_no_validation(datamodule: L.LightningDataModule) -> None:
    if type(datamodule).val_dataloader is L.LightningDataModule.val_dataloader:
        raise SettingError(
            f"{type(datamodule).__name__} has no val_dataloader. Training keeps the epoch with the best validation "
            "loss, so give it one, with the same batches (images, votes)."
        )

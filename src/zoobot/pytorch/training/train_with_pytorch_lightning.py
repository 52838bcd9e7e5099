"""Training from scratch: from a catalog, or your own LightningDataModule, to a model folder.

The learning rate and early stopping: under the `one-cycle` schedule the rate rises, then falls to 0 at the last epoch,
so training runs all its epochs and stopping early would waste the fall; `patience` is off by default. Under `constant`
training ends after `patience` epochs without a better validation loss. Under both, the epoch with the best validation
loss is the one that is kept and returned.
"""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn

from zoobot.config import TrainSettings
from zoobot.errors import OutputError, SettingError
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.devices import explain_out_of_memory, find_device
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.model_folder import load_model, save_model
from zoobot.shared.catalogs import Catalog, load_catalog, load_schema_of
from zoobot.shared.dirichlet import ConstantBaseline
from zoobot.shared.image_sources import open_images
from zoobot.shared.metrics import FREE_BASELINE, fit_baselines
from zoobot.shared.model_folders import read_model_folder
from zoobot.shared.run_folders import logged_to, open_run
from zoobot.shared.schemas import Schema
from zoobot.shared.training_runs import (
    announce,
    announce_epoch,
    describe_training,
    leave_out_unreadable,
    read_as_prepared,
    say_trained,
)

logger = logging.getLogger(__name__)

VALIDATION_LOSS = "validation/loss"


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
        is_begun = _find_first_epoch(run / "checkpoints" / "last.ckpt") > 0
        datamodule = GalaxyDataModule(leave_out_unreadable(galaxies, settings, run, is_begun), tree, settings)
        announce(datamodule.catalogs, settings)
        return _fit(model, datamodule, run)


def settings_for(galaxies: Catalog, settings: TrainSettings) -> TrainSettings:
    """The settings, with the reading of prepared images where nothing else is asked for."""
    if settings.augment_on == "device":
        if galaxies.prepared is None:
            raise SettingError("--augment-on device needs prepared images ('zoobot prepare'), all of one size.")
        if galaxies.prepared.info.image_size is None:
            raise SettingError("--augment-on device needs images of one size. Prepare them with --pixels raw.")
    return read_as_prepared(galaxies, settings)


def _fit(model: ZoobotTree, datamodule: L.LightningDataModule, run: Path) -> TrainedModel:
    last = run / "checkpoints" / "last.ckpt"
    first_epoch = _find_first_epoch(last)
    if first_epoch:
        logger.info("Going on after epoch %d.", first_epoch)
    baselines: dict[str, ConstantBaseline] = {}
    if isinstance(datamodule, GalaxyDataModule):
        datamodule.first_epoch = first_epoch
        baselines = fit_baselines(datamodule.catalogs["train"].votes, model.schema)
        model.head.start_from(baselines[FREE_BASELINE].concentrations)
    with quiet_lightning(), explain_out_of_memory(model.settings.batch_size):
        trainer = build_trainer(model.settings, run)
        try:
            trainer.fit(model, datamodule, ckpt_path=str(last) if first_epoch else None, weights_only=True)
        except SIGTERMException:
            raise
        except SystemExit as stop:  # Lightning's answer to Ctrl-C, after which it no longer listens to another
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from stop
    trainer.strategy.barrier()
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["state_dict"])
    model.cpu().eval()
    history = _read_history(run)
    best_epoch = int(checkpoint["epoch"]) + 1
    validation = datamodule.catalogs["validation"] if isinstance(datamodule, GalaxyDataModule) else None
    metrics = describe_training(run, history, best_epoch, baselines, validation, model.schema)
    galaxies = pd.DataFrame({"id_str": [], "split": []}, dtype=object)
    if isinstance(datamodule, GalaxyDataModule):
        galaxies = datamodule.galaxies
    if trainer.is_global_zero:
        save_model(model, run / "model", metrics=metrics, galaxies=galaxies)
    trainer.strategy.barrier()
    return TrainedModel(model, run / "model", metrics)


def _find_first_epoch(last: Path) -> int:
    """The epoch at which the run goes on: 0 for a new one."""
    if not last.is_file():
        return 0
    checkpoint = torch.load(last, map_location="cpu", weights_only=True)
    # Lightning would forget the best epoch of a run that was moved, and overwrite it with a worse one
    for name, state in checkpoint["callbacks"].items():
        if name.startswith("ModelCheckpoint") and Path(state["dirpath"]).resolve() != last.parent.resolve():
            raise OutputError(
                f"The run in '{last.parents[1]}' was begun in '{Path(state['dirpath']).parent}'. Move it back there to "
                "go on with it, or start again in another folder."
            )
    return int(checkpoint["epoch"]) + 1


def _refuse_no_validation(datamodule: L.LightningDataModule) -> None:
    if type(datamodule).val_dataloader is L.LightningDataModule.val_dataloader:
        raise SettingError(
            f"{type(datamodule).__name__} has no val_dataloader. Training keeps the epoch with the best validation "
            "loss, so give it one, with the same batches (images, votes)."
        )


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its final name, then renames it.

    Lightning's own goes through the system's temporary folder: from another disk, a kill can leave half a file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.partial")
        torch.save(checkpoint, temporary)
        os.replace(temporary, target)


def build_trainer(settings: TrainSettings, run: Path) -> L.Trainer:
    show_bars = sys.stderr.isatty()
    callbacks: list[Callback] = [
        _checkpoint(run, "best", monitor=VALIDATION_LOSS),
        _checkpoint(run, "last"),
        EpochLines(),
    ]
    if settings.patience is not None:
        callbacks.append(EarlyStopping(VALIDATION_LOSS, patience=settings.patience))
    if show_bars:
        callbacks.append(TQDMProgressBar())
    return L.Trainer(
        default_root_dir=run,
        accelerator=settings.device,
        devices=settings.devices,
        precision=settings.precision,
        max_epochs=settings.epochs,
        gradient_clip_val=settings.gradient_clip,
        callbacks=callbacks,
        plugins=[AtomicCheckpoints()],
        logger=CSVLogger(run, name="logs"),
        log_every_n_steps=1,
        use_distributed_sampler=False,  # EpochOrder shares out the galaxies
        enable_model_summary=False,
        enable_progress_bar=show_bars,
    )


def _checkpoint(run: Path, name: str, monitor: str | None = None) -> ModelCheckpoint:
    """Keep one full checkpoint under one name: that of the best epoch, or without `monitor` of the last."""
    return ModelCheckpoint(run / "checkpoints", filename=name, monitor=monitor, enable_version_counter=False)


class EpochLines(Callback):
    """One line for each epoch in the log."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        metrics = trainer.callback_metrics
        announce_epoch(
            trainer.current_epoch + 1, trainer.max_epochs, float(metrics["train/loss"]), float(metrics[VALIDATION_LOSS])
        )


def _read_history(run: Path) -> dict[str, list[Any]]:
    """The training curve, one value per epoch, from the CSV logs of this run and of those that it continues.

    None where there is no finite number.
    """
    logs = sorted((run / "logs").glob("version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:]))
    lines = pd.concat([pd.read_csv(log) for log in logs if log.stat().st_size])
    columns = ["train/loss", VALIDATION_LOSS]
    by_epoch = lines.reindex(columns=["epoch", *columns]).groupby("epoch")[columns].last()
    finite = by_epoch.astype(object).where(np.isfinite(by_epoch), None)
    return {"epoch": (by_epoch.index + 1).tolist()} | {name: finite[name].tolist() for name in columns}


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice from the user's terminal: it is about settings that zoobot has chosen."""
    levels = {name: logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")}
    try:
        for name in levels:
            logging.getLogger(name).setLevel(logging.WARNING)
        with warnings.catch_warnings():
            # reading images in the main process is chosen on a CPU, where workers would only compete with the model
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            # --device cpu is a choice
            warnings.filterwarnings("ignore", ".*GPU available but not used.*")
            # Lightning 2.6 calls what torch 2.10 and later deprecate
            warnings.filterwarnings("ignore", ".*LeafSpec.*")
            # going on with a run is meant to find its checkpoints
            warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)

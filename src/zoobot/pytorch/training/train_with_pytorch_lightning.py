"""Training from scratch: from a catalog, or your own LightningDataModule, to a model folder.

The learning rate and early stopping: under the `one-cycle` schedule the rate rises, then falls to 0 at the last epoch,
so training runs all its epochs and stopping early would waste the fall; `patience` is off by default. Under `constant`
training ends after `patience` epochs without a better validation loss. Under both, the epoch with the best validation
loss is the one that is kept and returned.
"""

import logging
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
from rich.progress import Progress
from torch import nn

from zoobot.config import TrainSettings
from zoobot.errors import ImageError
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.devices import count_cores, explain_out_of_memory, find_device
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.model_folder import load_model, save_model
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.dirichlet import ConstantBaseline
from zoobot.shared.images import find_unreadable
from zoobot.shared.metrics import FREE_BASELINE, fit_baselines, galaxy_losses
from zoobot.shared.model_folders import read_model_folder
from zoobot.shared.run_folders import open_run
from zoobot.shared.schemas import Schema, load_schema

logger = logging.getLogger(__name__)

VALIDATION_LOSS = "validation/loss"


@dataclass(frozen=True)
class TrainedModel:
    """What training returns: the best model, ready to predict, and its folder."""

    model: ZoobotTree
    folder: Path
    metrics: dict[str, Any]

    def __str__(self) -> str:
        lines = [
            f"Model:           {self.folder}",
            f"Best epoch:      {self.metrics['best_epoch']} of {len(self.metrics['history']['epoch'])}",
            f"Validation loss: {self.metrics['validation_loss']:.3f} per galaxy",
        ]
        for name, loss in self.metrics["validation_loss_of_baselines"].items():
            lines.append(f"  {name}: {loss:.3f}")
        return "\n".join(lines)


def train(
    catalog: str | Path | pd.DataFrame | L.LightningDataModule,
    schema: str | Path | Schema,
    output: str | Path,
    settings: TrainSettings | None = None,
    *,
    encoder: nn.Module | None = None,
) -> TrainedModel:
    """Train a model from scratch on votes. Called again, it goes on where it stopped.

    Args:
        catalog: a table (file or DataFrame) with `id_str`, `file_loc` and one column of votes per answer, or your own
            LightningDataModule whose batches are `(images, votes)`: float in 0-1 or uint8 `(galaxy, channel, height,
            width)`, and `(galaxy, answer)`.
        schema: the decision tree: a name, a YAML file or a `Schema`.
        output: the run's folder. The model folder is `output/model`.
        settings: see `zoobot.config.TrainSettings`; the defaults are the preset `laptop`.
        encoder: your own encoder in place of `settings.architecture`: images to features `(galaxy, feature)`.

    Returns:
        The model of the epoch with the best validation loss.

    Raises:
        CatalogError, ImageError: the catalog or its images are at fault, found before the first epoch.
        OutputError: `output` holds another run.
        DeviceMemoryError: a batch does not fit the GPU.
    """
    settings = settings or TrainSettings()
    find_device(settings.device)
    tree = load_schema(schema)
    if isinstance(catalog, L.LightningDataModule):
        datamodule, checksum = catalog, type(catalog).__name__
    else:
        galaxies = load_catalog(catalog, tree, settings)
        checksum = galaxies.checksum()
    L.seed_everything(settings.seed, verbose=False)
    model = ZoobotTree(tree, settings, encoder)
    inputs = {"catalog": checksum, "schema": tree.to_dict()}
    run = open_run(output, "train", settings, inputs, makes="checkpoints/*.ckpt")
    model_folder = run / "model"
    if (model_folder / "config.json").is_file():
        logger.info("'%s' is already trained.", run)
        return TrainedModel(load_model(model_folder, encoder), model_folder, read_model_folder(model_folder).metrics)
    if not isinstance(catalog, L.LightningDataModule):
        datamodule = GalaxyDataModule(_with_readable_images(galaxies, settings), tree, settings)
        _announce(datamodule)
    return _fit(model, datamodule, run)


def _fit(model: ZoobotTree, datamodule: L.LightningDataModule, run: Path) -> TrainedModel:
    baselines: dict[str, ConstantBaseline] = {}
    if isinstance(datamodule, GalaxyDataModule):
        baselines = fit_baselines(datamodule.catalogs["train"].votes, model.schema)
        model.head.start_from(baselines[FREE_BASELINE].concentrations)
    with _quiet_lightning(), explain_out_of_memory(model.settings.batch_size):
        trainer = _build_trainer(model.settings, run)
        last = run / "checkpoints" / "last.ckpt"
        try:
            trainer.fit(model, datamodule, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
        except SystemExit as stop:  # Lightning's answer to Ctrl-C, after which it no longer listens to another
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from stop
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["state_dict"])
    model.cpu().eval()
    history = _read_history(run)
    metrics = {
        "best_epoch": int(checkpoint["epoch"]) + 1,
        "validation_loss": history[VALIDATION_LOSS][int(checkpoint["epoch"])],
        "validation_loss_of_baselines": _validation_losses(baselines, datamodule),
        "baselines": {name: baseline.concentrations.tolist() for name, baseline in baselines.items()},
        "history": history,
    }
    galaxies = pd.DataFrame({"id_str": [], "split": []}, dtype=object)
    if isinstance(datamodule, GalaxyDataModule):
        galaxies = datamodule.galaxies
    if trainer.is_global_zero:
        save_model(model, run / "model", metrics=metrics, galaxies=galaxies)
    return TrainedModel(model, run / "model", metrics)


def _build_trainer(settings: TrainSettings, run: Path) -> L.Trainer:
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
        metrics = trainer.callback_metrics
        logger.info(
            "Epoch %d of %s: training loss %.3f, validation loss %.3f",
            trainer.current_epoch + 1,
            trainer.max_epochs,
            metrics["train/loss"],
            metrics[VALIDATION_LOSS],
        )


def _with_readable_images(catalog: Catalog, settings: TrainSettings) -> Catalog:
    """Read every image once; stop with all that cannot be read, or leave them out."""
    workers = count_cores()
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("Checking images", total=len(catalog))
        unreadable = find_unreadable(catalog.file_locs, settings.color, workers, lambda: progress.advance(task))
    if not unreadable:
        return catalog
    reasons = "\n".join(f"- {reason}" for reason in unreadable.values())
    if settings.on_bad_image == "stop":
        raise ImageError(
            f"{len(unreadable):,} of {len(catalog):,} images cannot be read:\n{reasons}\n"
            "Mend or remove them, or leave their galaxies out with --on-bad-image drop."
        )
    logger.warning("Left out %s galaxies whose images cannot be read:\n%s", f"{len(unreadable):,}", reasons)
    readable = np.ones(len(catalog), bool)
    readable[list(unreadable)] = False
    if not readable.any():
        raise ImageError(f"None of the {len(catalog):,} images can be read.")
    return catalog.rows(readable)


def _announce(datamodule: GalaxyDataModule) -> None:
    settings = datamodule.settings
    counts = ", ".join(f"{len(part):,} {name}" for name, part in datamodule.catalogs.items())
    logger.info("Galaxies: %s (split %s, seed %s).", counts, settings.split, settings.seed)
    described = ", ".join(f"{name} {value}" for name, value in settings.model_dump(exclude={"preset"}).items())
    logger.info("Preset %s: %s.", settings.preset, described)


def _validation_losses(baselines: dict[str, ConstantBaseline], datamodule: L.LightningDataModule) -> dict[str, float]:
    if not isinstance(datamodule, GalaxyDataModule):
        return {}
    validation = datamodule.catalogs["validation"]
    return {
        name: float(galaxy_losses(validation.votes, baseline.concentrations[None], datamodule.schema).mean())
        for name, baseline in baselines.items()
    }


def _read_history(run: Path) -> dict[str, list[float]]:
    """The training curve, one value per epoch, from the CSV logs of this run and of those that it continues."""
    logs = sorted((run / "logs").glob("version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:]))
    lines = pd.concat([pd.read_csv(log) for log in logs])
    columns = ["train/loss", VALIDATION_LOSS]
    by_epoch = lines.groupby("epoch")[columns].last()
    return {"epoch": (by_epoch.index + 1).tolist()} | {name: by_epoch[name].tolist() for name in columns}


@contextmanager
def _quiet_lightning() -> Iterator[None]:
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

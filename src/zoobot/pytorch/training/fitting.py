"""Fitting a model with Lightning: its trainer, its checkpoints, its curve, and what comes before the first epoch.

Training from scratch and finetuning both go this way. An interrupted run goes on after its last finished epoch; the
epoch with the best validation loss is the one that is kept.
"""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

from zoobot.config import TorchSettings
from zoobot.errors import OutputError, SettingError
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.devices import describe_device, explain_out_of_memory, wait_for
from zoobot.shared.catalogs import Catalog
from zoobot.shared.training_curves import LEARNING_RATE, TIMING, EpochClock, set_timing_apart
from zoobot.shared.training_runs import announce_epoch, loss_of_epoch, read_as_prepared

logger = logging.getLogger(__name__)

VALIDATION_LOSS = "validation/loss"
AnyTorchSettings = TypeVar("AnyTorchSettings", bound=TorchSettings)


@dataclass(frozen=True)
class Fitted:
    """How a fit went.

    Args:
        best_epoch: the epoch with the best validation loss, from 1; the model has its weights.
        history: the training curve, one value per epoch.
        hardware: what computed.
        is_first_process: of those that share the GPUs of this machine; it alone writes.
        wait: until all of them are here.
    """

    best_epoch: int
    validation_loss: float
    history: dict[str, list[Any]]
    hardware: dict[str, Any]
    is_first_process: bool
    wait: Callable[[], Any]

    def to_dict(self) -> dict[str, Any]:
        """What a model folder records of it."""
        return {
            "best_epoch": self.best_epoch,
            "validation_loss": self.validation_loss,
            **set_timing_apart(self.history),
        }


def fit(model: L.LightningModule, datamodule: L.LightningDataModule, run: Path, settings: TorchSettings) -> Fitted:
    """Fit a model, or go on with it, and give it the weights of the best epoch, ready to predict on the CPU.

    Raises:
        ModelError: the validation loss is not a number.
        DeviceMemoryError: a batch does not fit the GPU.
    """
    last = run / "checkpoints" / "last.ckpt"
    first_epoch = find_first_epoch(last)
    if first_epoch:
        logger.info("Going on after epoch %d.", first_epoch)
    if isinstance(datamodule, GalaxyDataModule):
        datamodule.first_epoch = first_epoch
    with quiet_lightning(), explain_out_of_memory(settings.batch_size):
        trainer = build_trainer(settings, run)
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
    validation_loss = loss_of_epoch(run, history, best_epoch)
    hardware = describe_device(trainer.strategy.root_device, trainer.world_size)
    return Fitted(best_epoch, validation_loss, history, hardware, trainer.is_global_zero, trainer.strategy.barrier)


def find_first_epoch(last: Path) -> int:
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


def build_trainer(settings: TorchSettings, run: Path) -> L.Trainer:
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
    """One line for each epoch in the log, and its learning rate, duration and speed beside its losses."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._clock, self._images = EpochClock(), 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._images = 0
        self._clock.begin()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._images += len(batch[1]) * trainer.world_size

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        wait_for(pl_module.device)
        self._clock.end_training()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        metrics = trainer.callback_metrics
        training_loss, validation_loss = (float(metrics[name]) for name in ("train/loss", VALIDATION_LOSS))
        line = {"epoch": trainer.current_epoch, LEARNING_RATE: self._rate, **self._clock.read(self._images)}
        for run_logger in trainer.loggers:
            run_logger.log_metrics(line, trainer.global_step - 1)
        announce_epoch(trainer.current_epoch + 1, trainer.max_epochs, training_loss, validation_loss)


def settings_for(galaxies: Catalog, settings: AnyTorchSettings) -> AnyTorchSettings:
    """The settings, with the reading of prepared images where nothing else is asked for."""
    if settings.augment_on == "device":
        if galaxies.prepared is None:
            raise SettingError("--augment-on device needs prepared images ('zoobot prepare'), all of one size.")
        if galaxies.prepared.info.image_size is None:
            raise SettingError("--augment-on device needs images of one size. Prepare them with --pixels raw.")
    return read_as_prepared(galaxies, settings)


def is_begun(run: Path) -> bool:
    """Whether the run in a folder has finished an epoch."""
    return find_first_epoch(run / "checkpoints" / "last.ckpt") > 0


def _read_history(run: Path) -> dict[str, list[Any]]:
    """The training curve, one value per epoch, from the CSV logs of this run and of those that it continues.

    None where there is no finite number.
    """
    logs = sorted((run / "logs").glob("version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:]))
    lines = pd.concat([pd.read_csv(log) for log in logs if log.stat().st_size])
    columns = ["train/loss", VALIDATION_LOSS, LEARNING_RATE, *TIMING]
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

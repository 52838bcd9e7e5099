"""How fast this machine reads, trains and predicts, each as a share of what limits it."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from zoobot.config import BenchSettings, PredictSettings, TrainSettings
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.devices import find_device, wait_for
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.predictions.forward import autocast
from zoobot.pytorch.predictions.predict_on_catalog import load_batches, predict_batch
from zoobot.pytorch.training import losses
from zoobot.pytorch.training.fitting import EpochLines, build_trainer, quiet_lightning, settings_for
from zoobot.shared.catalogs import Catalog, load_catalog, load_schema_of
from zoobot.shared.image_sources import open_images
from zoobot.shared.run_folders import versions
from zoobot.shared.schemas import Schema
from zoobot.shared.speeds import (
    FEWEST_STEPS,
    Benchmark,
    Speed,
    measure_rate,
    measure_reading,
    prepare_sources,
    read_memory,
    read_most_memory,
    share_of,
)
from zoobot.shared.training_runs import count_cores

logger = logging.getLogger(__name__)


def bench(
    catalog: str | Path | pd.DataFrame,
    schema: str | Path | Schema | None = None,
    output: str | Path | None = None,
    settings: BenchSettings | None = None,
) -> Benchmark:
    """Measure decoding, loading, training and prediction on this machine, on some galaxies of a catalog.

    Args:
        catalog: a table with votes, or a prepared folder. Of a table, some galaxies are prepared in each format, too.
        schema: the tree; a prepared folder knows its own.
        output: a JSON file to write.
        settings: see `zoobot.config.BenchSettings`.

    Raises:
        CatalogError: the catalog is at fault.
        OutputError: `output` cannot be written.
    """
    settings = settings or BenchSettings()
    device = find_device(settings.device)
    tree = load_schema_of(catalog, schema)
    galaxies = load_catalog(catalog, tree)
    training = TrainSettings(
        **settings.model_dump(exclude={"seconds", "workers"}),
        epochs=1,
        split=(0.8, 0.2, 0.0),
        workers=settings.workers[0],
    )
    training = settings_for(galaxies, training)
    with tempfile.TemporaryDirectory() as folder:
        sources = prepare_sources(galaxies, tree, training, Path(folder))
        fewest = 2 * FEWEST_STEPS * training.batch_size
        sources = {name: catalog.rows(_repeat_rows(catalog, fewest)) for name, catalog in sources.items()}
        speeds = list(_measure_loading(sources, tree, training, settings))
        memory = {"before training": read_memory()}
        fastest = sources.get("store", next(iter(sources.values())))
        speeds += _measure_model(fastest, tree, training, settings, device, Path(folder))
        memory["after training"] = read_memory()
    memory["most"] = read_most_memory()
    name = torch.cuda.get_device_name() if device.type == "cuda" else str(device)
    machine = {"device": name, "cores": count_cores(), "versions": versions()}
    found = Benchmark(machine, settings.model_dump(mode="json"), speeds, memory)
    if output is not None:
        found.write(output)
    return found


def _repeat_rows(catalog: Catalog, fewest: int) -> npt.NDArray[np.int64]:
    """All rows, again and again where there are too few."""
    return np.resize(np.arange(len(catalog)), max(len(catalog), fewest))


def _measure_loading(
    sources: dict[str, Catalog], tree: Schema, training: TrainSettings, settings: BenchSettings
) -> Iterator[Speed]:
    for name, catalog in sources.items():
        images = open_images(catalog, training.reading)
        decoding = measure_reading(images, settings.seconds)
        yield Speed(f"{name}: read, one process", decoding)
        for workers in settings.workers:
            module = GalaxyDataModule(catalog, training.model_copy(update={"workers": workers}))
            counts = (len(batch[-1]) for batch in _endless(module.train_dataloader))
            rate = _rate(counts, settings.seconds, warm_up=5 + 3 * workers)  # workers have batches ready at the start
            yield share_of(f"{name}: training batches, {workers} workers", rate, f"{name}: read, one process", decoding)


def _measure_model(
    catalog: Catalog, tree: Schema, training: TrainSettings, settings: BenchSettings, device: torch.device, folder: Path
) -> Iterator[Speed]:
    images = open_images(catalog, training.reading)
    model = ZoobotTree(tree, training, channels=images.channels)
    step = _rate(_bare_steps(model, training, device), settings.seconds, device=device)
    yield Speed("model: training step on one batch", step)
    whole = _rate_of_training(model, catalog, training, settings, step, folder / "run")
    yield share_of("training", whole, "model: training step on one batch", step)
    model = model.to(device).eval()
    with torch.inference_mode():
        forward = _rate(_bare_predictions(model, training, device), settings.seconds, device=device)
    yield Speed("model: forward pass on one batch", forward)
    some = max(10 * FEWEST_STEPS, round(settings.seconds * forward / training.batch_size)) * training.batch_size
    part = catalog.rows(np.resize(np.arange(len(catalog)), some))
    predicting = PredictSettings(
        batch_size=training.batch_size, device=settings.device, precision=training.precision, workers=training.workers
    )
    batches = load_batches(part, [model], [range(len(part))], predicting)
    counts = (len(predict_batch([model], batch, predicting, device)) for batch in batches)
    for _ in range(FEWEST_STEPS):
        next(counts)
    start = time.perf_counter()
    count = sum(counts)
    whole = count / (time.perf_counter() - start)
    yield share_of("prediction", whole, "model: forward pass on one batch", forward)


def _rate_of_training(
    model: ZoobotTree,
    catalog: Catalog,
    training: TrainSettings,
    settings: BenchSettings,
    step: float,
    folder: Path,
) -> float:
    """Images per second of a real training between its first batches and its last."""
    steps = max(FEWEST_STEPS, round(settings.seconds * step / training.batch_size))
    per_epoch = len(GalaxyDataModule(catalog, training).train_dataloader())
    training = training.model_copy(update={"epochs": -(-steps // per_epoch)})
    model.settings = training
    clock = _Clock()
    with quiet_lightning():
        trainer = build_trainer(training, folder)
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        callbacks[:] = [clock if isinstance(callback, EpochLines) else callback for callback in callbacks]
        trainer.fit(model, GalaxyDataModule(catalog, training))
    return clock.rate()


class _Clock(Callback):
    """Images and seconds of the training batches after the first two of each epoch."""

    def __init__(self) -> None:
        self.images, self.seconds, self._start = 0, 0.0, 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 1:
            wait_for(pl_module.device)
            self._start = time.perf_counter()
        elif batch_idx > 1:
            self.images += len(batch[1])
        if batch_idx == trainer.num_training_batches - 1:
            wait_for(pl_module.device)
            self.seconds += time.perf_counter() - self._start

    def rate(self) -> float:
        return self.images / self.seconds


def _bare_steps(model: ZoobotTree, training: TrainSettings, device: torch.device) -> Iterator[int]:
    """Training steps of the model and its optimiser, without Lightning and always on the same batch."""
    model.to(device).train()
    images, votes = _random_batch(model, training, device)
    optimizer = torch.optim.AdamW(model.parameters(), training.learning_rate, fused=training.precision == "32")
    loss_of = losses.get_multiquestion_loss(model.schema.question_index_groups)
    while True:
        optimizer.zero_grad()
        with autocast(training.precision, device):
            loss = loss_of(votes, model(images))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
        optimizer.step()
        yield len(votes)


def _bare_predictions(model: ZoobotTree, training: TrainSettings, device: torch.device) -> Iterator[int]:
    images, votes = _random_batch(model, training, device)
    while True:
        with autocast(training.precision, device):
            model(images)
        yield len(votes)


def _random_batch(model: ZoobotTree, training: TrainSettings, device: torch.device) -> tuple[Tensor, Tensor]:
    size = training.image_size
    images = torch.randint(0, 256, (training.batch_size, size, size, model.channels), dtype=torch.uint8)
    votes = torch.randint(0, 10, (training.batch_size, len(model.schema.answers)))
    return images.permute(0, 3, 1, 2).to(device), votes.float().to(device)


def _rate(counts: Iterator[int], seconds: float, warm_up: int = 5, device: torch.device | None = None) -> float:
    return measure_rate(counts, seconds, warm_up, partial(wait_for, device))


def _endless(make: Callable[[], Any]) -> Iterator[Any]:
    loader = make()
    while True:
        yield from loader

"""How fast this machine reads, trains and predicts, each as a share of what limits it."""

import json
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from zoobot.config import BenchSettings, PredictSettings, PrepareSettings, TrainSettings
from zoobot.errors import OutputError
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.devices import find_device
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.predictions.forward import autocast
from zoobot.pytorch.predictions.predict_on_catalog import load_batches, predict_batch
from zoobot.pytorch.training import losses
from zoobot.pytorch.training.train_with_pytorch_lightning import (
    EpochLines,
    build_trainer,
    quiet_lightning,
    settings_for,
)
from zoobot.shared.catalogs import Catalog, load_catalog, load_schema_of
from zoobot.shared.image_sources import ImageSource, open_images
from zoobot.shared.images import ImageArray
from zoobot.shared.preparation import prepare
from zoobot.shared.run_folders import versions, write_atomically
from zoobot.shared.schemas import Schema
from zoobot.shared.training_runs import count_cores

logger = logging.getLogger(__name__)

_FORMATS = ("store", "tfrecord", "webdataset")
_SAMPLE = 2000
_FEWEST_STEPS = 8


@dataclass(frozen=True)
class Speed:
    """One line of the benchmark.

    Args:
        what: what was done.
        images_per_second: how fast.
        limit: what limits it, another line's `what`, if anything.
        share: of the limit's speed.
    """

    what: str
    images_per_second: float
    limit: str = ""
    share: float | None = None


@dataclass(frozen=True)
class Benchmark:
    """How fast this machine is.

    Args:
        machine: device, cores, versions.
        memory: MB of this process: the most that was used, and anonymous and shared memory before and after training.
    """

    machine: dict[str, Any]
    settings: dict[str, Any]
    speeds: list[Speed]
    memory: dict[str, float]

    def __str__(self) -> str:
        lines = [f"{'':44}{'images/s':>10}  share of its limit"]
        for speed in self.speeds:
            share = "" if speed.share is None else f"  {speed.share:4.0%} of {speed.limit}"
            lines.append(f"{speed.what:44}{speed.images_per_second:10,.0f}{share}")
        memory = ", ".join(f"{name} {megabytes:,.0f} MB" for name, megabytes in self.memory.items())
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items() if name != "versions")
        return "\n".join([*lines, "", f"Memory:  {memory}", f"Machine: {machine}"])

    def to_dict(self) -> dict[str, Any]:
        speeds = [vars(speed) for speed in self.speeds]
        return {"machine": self.machine, "settings": self.settings, "speeds": speeds, "memory": self.memory}


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
        sources: dict[str, Catalog] = {}
        if galaxies.prepared is not None:
            sources[galaxies.prepared.info.format] = galaxies
        else:
            sample = sources["files"] = galaxies.rows(np.arange(min(len(galaxies), _SAMPLE)))
            for name in _FORMATS:
                sources[name] = _prepare(sample, tree, training, Path(folder), name)
        fewest = 2 * _FEWEST_STEPS * training.batch_size
        sources = {name: catalog.rows(_repeat_rows(catalog, fewest)) for name, catalog in sources.items()}
        speeds = list(_measure_loading(sources, tree, training, settings))
        memory = {"before training": _read_memory()}
        fastest = sources.get("store", next(iter(sources.values())))
        speeds += _measure_model(fastest, tree, training, settings, device, Path(folder))
        memory["after training"] = _read_memory()
    memory["most"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    name = torch.cuda.get_device_name() if device.type == "cuda" else str(device)
    machine = {"device": name, "cores": count_cores(), "versions": versions()}
    found = Benchmark(machine, settings.model_dump(mode="json"), speeds, memory)
    if output is not None:
        try:
            write_atomically(Path(output), json.dumps(found.to_dict(), indent=2) + "\n")
        except OSError as error:
            raise OutputError(f"'{output}' cannot be written: {error.strerror}.") from error
    return found


def _repeat_rows(catalog: Catalog, fewest: int) -> npt.NDArray[np.int64]:
    """All rows, again and again where there are too few."""
    return np.resize(np.arange(len(catalog)), max(len(catalog), fewest))


def _prepare(sample: Catalog, tree: Schema, training: TrainSettings, folder: Path, name: str) -> Catalog:
    size = max(16, training.adjustments.reading_size)
    settings = PrepareSettings(format=name, image_size=size, **training.record_reading())
    table = sample.table.assign(**sample.absolute_files())
    return load_catalog(prepare(table, tree, folder / name, settings).folder, tree)


def _measure_loading(
    sources: dict[str, Catalog], tree: Schema, training: TrainSettings, settings: BenchSettings
) -> Iterator[Speed]:
    for name, catalog in sources.items():
        images = open_images(catalog, training.reading)
        decoding = _rate((1 for _ in map(_read_copy, repeat(images), cycle(range(len(catalog))))), settings.seconds)
        yield Speed(f"{name}: read, one process", decoding)
        for workers in settings.workers:
            module = GalaxyDataModule(catalog, tree, training.model_copy(update={"workers": workers}))
            counts = (len(batch[-1]) for batch in _endless(module.train_dataloader))
            rate = _rate(counts, settings.seconds, warm_up=5 + 3 * workers)  # workers have batches ready at the start
            yield _share(f"{name}: training batches, {workers} workers", rate, f"{name}: read, one process", decoding)


def _measure_model(
    catalog: Catalog, tree: Schema, training: TrainSettings, settings: BenchSettings, device: torch.device, folder: Path
) -> Iterator[Speed]:
    images = open_images(catalog, training.reading)
    model = ZoobotTree(tree, training, channels=images.channels)
    step = _rate(_bare_steps(model, training, device), settings.seconds, device=device)
    yield Speed("model: training step on one batch", step)
    whole = _rate_of_training(model, catalog, training, settings, step, folder / "run")
    yield _share("training", whole, "model: training step on one batch", step)
    model = model.to(device).eval()
    with torch.inference_mode():
        forward = _rate(_bare_predictions(model, training, device), settings.seconds, device=device)
    yield Speed("model: forward pass on one batch", forward)
    some = max(10 * _FEWEST_STEPS, round(settings.seconds * forward / training.batch_size)) * training.batch_size
    part = catalog.rows(np.resize(np.arange(len(catalog)), some))
    predicting = PredictSettings(
        batch_size=training.batch_size, device=settings.device, precision=training.precision, workers=training.workers
    )
    batches = load_batches(part, [model], [range(len(part))], predicting)
    counts = (len(predict_batch([model], batch, predicting, device)) for batch in batches)
    for _ in range(_FEWEST_STEPS):
        next(counts)
    start = time.perf_counter()
    count = sum(counts)
    whole = count / (time.perf_counter() - start)
    yield _share("prediction", whole, "model: forward pass on one batch", forward)


def _rate_of_training(
    model: ZoobotTree,
    catalog: Catalog,
    training: TrainSettings,
    settings: BenchSettings,
    step: float,
    folder: Path,
) -> float:
    """Images per second of a real training between its first batches and its last."""
    steps = max(_FEWEST_STEPS, round(settings.seconds * step / training.batch_size))
    per_epoch = len(GalaxyDataModule(catalog, model.schema, training).train_dataloader())
    training = training.model_copy(update={"epochs": -(-steps // per_epoch)})
    model.settings = training
    clock = _Clock()
    with quiet_lightning():
        trainer = build_trainer(training, folder)
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        callbacks[:] = [clock if isinstance(callback, EpochLines) else callback for callback in callbacks]
        trainer.fit(model, GalaxyDataModule(catalog, model.schema, training))
    return clock.rate()


class _Clock(Callback):
    """Images and seconds of the training batches after the first two of each epoch."""

    def __init__(self) -> None:
        self.images, self.seconds, self._start = 0, 0.0, 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 1:
            _wait(pl_module.device)
            self._start = time.perf_counter()
        elif batch_idx > 1:
            self.images += len(batch[1])
        if batch_idx == trainer.num_training_batches - 1:
            _wait(pl_module.device)
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


def _read_copy(images: ImageSource, position: int) -> ImageArray:
    """The image of a store is a part of its map: only a copy reads it."""
    return np.array(images.read(position))


def _rate(counts: Iterator[int], seconds: float, warm_up: int = 5, device: torch.device | None = None) -> float:
    """Images per second of work that is done by asking for the next number of images."""
    for _ in range(warm_up):
        next(counts)
    _wait(device)
    start, rounds, images = time.perf_counter(), 0, 0
    while rounds < _FEWEST_STEPS or time.perf_counter() < start + seconds:
        images += next(counts)
        rounds += 1
        _wait(device)
    return images / (time.perf_counter() - start)


def _wait(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def _endless(make: Callable[[], Any]) -> Iterator[Any]:
    loader = make()
    while True:
        yield from loader


def _share(what: str, rate: float, limit: str, limiting: float) -> Speed:
    return Speed(what, rate, limit, rate / limiting)


def _read_memory() -> float:
    """Anonymous and shared memory of this process, in MB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0.0
    values = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return sum(int(values[name].split()[0]) for name in ("RssAnon", "RssShmem")) / 1e3

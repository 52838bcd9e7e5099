"""How fast this machine reads, trains and predicts with Keras, each as a share of what limits it."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from zoobot.config import KerasBenchSettings, KerasTrainSettings
from zoobot.errors import SettingError
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
from zoobot.shared.training_runs import count_cores, read_as_prepared
from zoobot.tensorflow.datasets.galaxy_dataset import GalaxyBatches
from zoobot.tensorflow.devices import compiles, find_device
from zoobot.tensorflow.estimators.define_model import ZoobotTree
from zoobot.tensorflow.training.epochs import ProgressBar
from zoobot.tensorflow.training.train_with_keras import compile_model

_STEP, _PASS = "model: training step on one batch", "model: forward pass on one batch"


def bench(
    catalog: str | Path | pd.DataFrame,
    schema: str | Path | Schema | None = None,
    output: str | Path | None = None,
    settings: KerasBenchSettings | None = None,
) -> Benchmark:
    """Measure decoding, loading and training on this machine, on some galaxies of a catalog.

    Args:
        catalog: a table with votes, or a prepared folder. Of a table, some galaxies are prepared in each format, too.
        schema: the tree; a prepared folder knows its own.
        output: a JSON file to write.
        settings: see `zoobot.config.KerasBenchSettings`.

    Raises:
        CatalogError: the catalog is at fault.
        SettingError: Keras does not run on TensorFlow.
        OutputError: `output` cannot be written.
    """
    if keras.backend.backend() != "tensorflow":
        raise SettingError("zoobot bench measures Keras on TensorFlow. Unset KERAS_BACKEND.")
    settings = settings or KerasBenchSettings()
    device = find_device(settings.device)
    tree = load_schema_of(catalog, schema)
    galaxies = load_catalog(catalog, tree)
    training = read_as_prepared(galaxies, KerasTrainSettings(**settings.model_dump(exclude={"seconds"})))
    with tempfile.TemporaryDirectory() as folder:
        sources = prepare_sources(galaxies, tree, training, Path(folder))
        speeds = list(_measure_loading(sources, training, settings))
        memory = {"before training": read_memory()}
        fastest = sources.get("tfrecord", next(iter(sources.values())))
        speeds += _measure_model(fastest, tree, training, settings, device)
        memory |= {"after training": read_memory(), "most": read_most_memory()}
    machine = {"device": device, "cores": count_cores(), "versions": versions()}
    found = Benchmark(machine, settings.model_dump(mode="json"), speeds, memory)
    if output is not None:
        found.write(output)
    return found


def _measure_loading(
    sources: dict[str, Catalog], training: KerasTrainSettings, settings: KerasBenchSettings
) -> Iterator[Speed]:
    for name, catalog in sources.items():
        reading = measure_reading(open_images(catalog, training.reading), settings.seconds)
        yield Speed(f"{name}: read, one process", reading)
        batches = GalaxyBatches(catalog, training).train()
        rate = measure_rate((len(votes) for _, votes in batches), settings.seconds)
        yield share_of(f"{name}: training batches", rate, f"{name}: read, one process", reading)


def _measure_model(
    catalog: Catalog, tree: Schema, training: KerasTrainSettings, settings: KerasBenchSettings, device: str
) -> Iterator[Speed]:
    batches = GalaxyBatches(catalog, training)
    model = ZoobotTree(tree, training, channels=batches.images.channels)
    compile_model(model, batches.steps_per_epoch, device)
    images, votes = next(iter(batches.train()))
    step = measure_rate(_bare_steps(model, images, votes), settings.seconds)
    yield Speed(_STEP, step)
    clock = _Clock()
    steps = max(3 * FEWEST_STEPS, round(settings.seconds * step / training.batch_size))
    model.fit(batches.train(), steps_per_epoch=steps, callbacks=[ProgressBar(), clock], verbose=0, shuffle=False)
    # in one epoch of its own length, the batches are as large as those of training are in the mean
    yield share_of("training", clock.steps_per_second() * len(catalog) / batches.steps_per_epoch, _STEP, step)
    model.encoder.jit_compile = compiles(device)
    views = tf.cast(images[:, : training.image_size, : training.image_size], tf.float32)
    encode = tf.function(model.encode)
    yield Speed(_PASS, measure_rate(_bare_passes(encode, views), settings.seconds))


def _bare_steps(model: ZoobotTree, images: Any, votes: Any) -> Iterator[int]:
    """Keras' training step, always on the same batch, without callbacks."""
    same = iter(tf.data.Dataset.from_tensors((images, votes)).repeat())
    model.make_train_function()
    while True:
        np.asarray(model.train_function(same)["loss"])
        yield len(votes)


def _bare_passes(encode: Any, views: Any) -> Iterator[int]:
    while True:
        np.asarray(encode(views))
        yield len(views)


class _Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Seconds and number of the training steps after the first two."""

    def __init__(self) -> None:
        super().__init__()
        self._start = self._end = 0.0
        self._last = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._end, self._last = time.perf_counter(), batch
        if batch == 1:
            self._start = self._end

    def steps_per_second(self) -> float:
        return (self._last - 1) / (self._end - self._start)

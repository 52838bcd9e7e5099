"""What a benchmark of this machine says, whatever framework was measured."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoobot.config import AnyTrainSettings, PrepareSettings
from zoobot.errors import OutputError
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.image_sources import ImageSource
from zoobot.shared.images import ImageArray
from zoobot.shared.preparation import prepare
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.schemas import Schema

FEWEST_STEPS = 8
_FORMATS = ("store", "tfrecord", "webdataset")
_SAMPLE = 2000


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

    def write(self, output: str | Path) -> None:
        """Write a JSON file; `OutputError` where that cannot be."""
        try:
            write_atomically(Path(output), json.dumps(self.to_dict(), indent=2) + "\n")
        except OSError as error:
            raise OutputError(f"'{output}' cannot be written: {error.strerror}.") from error


def prepare_sources(galaxies: Catalog, tree: Schema, training: AnyTrainSettings, folder: Path) -> dict[str, Catalog]:
    """What is measured: a prepared folder alone, or some galaxies of a catalog as files and prepared in each format."""
    if galaxies.prepared is not None:
        return {galaxies.prepared.info.format: galaxies}
    sample = galaxies.rows(np.arange(min(len(galaxies), _SAMPLE)))
    return {"files": sample, **{name: _prepare(sample, tree, training, folder, name) for name in _FORMATS}}


def share_of(what: str, rate: float, limit: str, limiting: float) -> Speed:
    """A speed with its share of the one that limits it."""
    return Speed(what, rate, limit, rate / limiting)


def measure_reading(images: ImageSource, seconds: float) -> float:
    """Images per second that one process reads."""
    return measure_rate((1 for _ in map(_read_copy, repeat(images), cycle(range(len(images))))), seconds)


def measure_rate(
    counts: Iterator[int], seconds: float, warm_up: int = 5, wait: Callable[[], Any] = lambda: None
) -> float:
    """Images per second of work that is done by asking for the next number of images.

    Args:
        wait: until the device has done what it was given.
    """
    for _ in range(warm_up):
        next(counts)
    wait()
    start, rounds, images = time.perf_counter(), 0, 0
    while rounds < FEWEST_STEPS or time.perf_counter() < start + seconds:
        images += next(counts)
        rounds += 1
        wait()
    return images / (time.perf_counter() - start)


def read_memory() -> float:
    """Anonymous and shared memory of this process, in MB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0.0
    values = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return sum(int(values[name].split()[0]) for name in ("RssAnon", "RssShmem")) / 1e3


def read_most_memory() -> float:
    """The most that this process has used, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _prepare(sample: Catalog, tree: Schema, training: AnyTrainSettings, folder: Path, name: str) -> Catalog:
    size = max(16, training.adjustments.reading_size)
    settings = PrepareSettings(format=name, image_size=size, **training.record_reading())
    table = sample.table.assign(**sample.absolute_files())
    return load_catalog(prepare(table, tree, folder / name, settings).folder, tree)


def _read_copy(images: ImageSource, position: int) -> npt.NDArray[Any] | ImageArray:
    """The image of a store is a part of its map: only a copy reads it."""
    return np.array(images.read(position))

"""Whether memory grows while 200,000 galaxies of 64 pixels are prepared and trained on for an epoch.

    python benchmarks/memory.py [number of galaxies]

Anonymous and shared memory of the process and those that it starts, ten times on the way: in all, a page that several
processes share counted once (Pss_Anon + Pss_Shmem of /proc), and of the largest process (RssAnon + RssShmem). Images
are 500 simulated galaxies, each under many names.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from zoobot.config import PrepareSettings, TrainSettings
from zoobot.pytorch.training.train_with_pytorch_lightning import train
from zoobot.shared.preparation import prepare
from zoobot.shared.schemas import get_schema
from zoobot.shared.simulation import simulate_catalog

IMAGES, SIZE = 500, 64


def memory_of_family() -> tuple[float, float]:
    """MB of this process and its children together, and of the largest of them."""
    shared, largest = 0, 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            status = read_numbers(process / "status", ("Pid", "PPid", "RssAnon", "RssShmem"))
            if os.getpid() in (status["Pid"], status["PPid"]):
                largest = max(largest, status.get("RssAnon", 0) + status.get("RssShmem", 0))
                shared += sum(read_numbers(process / "smaps_rollup", ("Pss_Anon", "Pss_Shmem")).values())
        except (OSError, KeyError):
            continue
    return shared / 1e3, largest / 1e3


def read_numbers(file: Path, names: tuple[str, ...]) -> dict[str, int]:
    lines = (line.split() for line in file.read_text().splitlines())
    return {line[0][:-1]: int(line[1]) for line in lines if line and line[0][:-1] in names}


def watch(name: str, do: Callable[[], Any]) -> None:
    readings: list[tuple[float, float]] = []
    done = threading.Event()

    def read() -> None:
        while not done.wait(0.5):
            readings.append(memory_of_family())

    watcher = threading.Thread(target=read)
    watcher.start()
    start = time.perf_counter()
    do()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    edges = [len(readings) * part // 10 for part in range(11)]
    for kind, what in enumerate(("in all", "the largest")):
        most = [max(reading[kind] for reading in readings[first:end]) for first, end in pairwise(edges)]
        numbers = " ".join(f"{megabytes:6.0f}" for megabytes in most)
        print(f"{name:22}{what:12}{seconds:6.0f} s  {numbers}  MB", flush=True)


def main(n_galaxies: int) -> None:
    schema = get_schema("gz2")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        simulate_catalog(folder, schema, n_galaxies=IMAGES, image_size=SIZE)
        some = pd.read_csv(folder / "catalog.csv")
        table = pd.concat([some] * (n_galaxies // IMAGES), ignore_index=True)
        table["id_str"] = [f"galaxy-{row}" for row in range(len(table))]
        table.to_parquet(folder / "many.parquet", index=False)
        del table, some
        print(f"{n_galaxies:,} galaxies; the most memory in each tenth of the time")
        settings = PrepareSettings(image_size=SIZE)
        watch("prepare", lambda: prepare(folder / "many.parquet", schema, folder / "store", settings))
        for workers in (0, 2):
            training = TrainSettings(
                architecture="test_resnet", image_size=48, epochs=1, batch_size=256, workers=workers, device="cpu"
            )
            run = folder / f"run{workers}"
            watch(
                f"an epoch, {workers} workers",
                lambda training=training, run=run: train(folder / "store", None, run, training),  # type: ignore[misc]
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)

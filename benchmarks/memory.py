"""Whether memory grows while 200,000 galaxies of 64 pixels are prepared, trained on for an epoch, and predicted.

    python benchmarks/memory.py [number of galaxies]
    python benchmarks/memory.py predict [number of galaxies]    by default 10,000, then 1,000,000 of 16 pixels

Anonymous and shared memory of the process and those that it starts, ten times on the way: in all, a page that several
processes share counted once (Pss_Anon + Pss_Shmem of /proc), and of the largest process (RssAnon + RssShmem). Images
are 500 simulated galaxies, each under many names.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from zoobot.config import PredictSettings, PrepareSettings, TrainSettings
from zoobot.pytorch.predictions.predict_on_catalog import predict
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
        begun = time.perf_counter()
        while not done.wait(min(0.5, 0.02 + (time.perf_counter() - begun) / 100)):  # readings cost time: ever fewer
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
        most = [
            max((reading[kind] for reading in readings[first:end]), default=readings[-1][kind])
            for first, end in pairwise(edges)
        ]
        numbers = " ".join(f"{megabytes:6.0f}" for megabytes in most)
        print(f"{name:22}{what:12}{seconds:6.0f} s  {numbers}  MB", flush=True)


def predict_many(n_galaxies: int) -> None:
    """Prediction alone, in a process of its own, of tiny images that are made up."""
    schema = get_schema("gz2")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        simulate_catalog(folder, schema, n_galaxies=60, image_size=64)
        settings = TrainSettings(architecture="test_resnet", image_size=48, epochs=1, batch_size=16, device="cpu")
        model = train(folder / "catalog.csv", schema, folder / "run", settings).folder
        make = [sys.executable, __file__, "make", folder / "store", folder / "catalog.csv", str(n_galaxies)]
        subprocess.run(make, check=True)  # so that its memory is not counted
        predicting = PredictSettings(batch_size=512, device="cpu")
        watch(f"predict {n_galaxies:,}", lambda: predict(model, folder / "store", folder / "predictions", predicting))


def make_store(folder: Path, catalog: Path, n_galaxies: int) -> None:
    some = pd.read_csv(catalog)
    some["file_loc"] = [str(catalog.parent / file) for file in some["file_loc"]]
    table = pd.concat([some] * (n_galaxies // len(some) + 1), ignore_index=True)[:n_galaxies]
    table["id_str"] = [f"galaxy-{row}" for row in range(len(table))]
    prepare(table, "gz2", folder, PrepareSettings(image_size=16, shard_size=20_000))


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
    match sys.argv[1:]:
        case ["make", folder, catalog, count]:
            make_store(Path(folder), Path(catalog), int(count))
        case ["predict", count]:
            predict_many(int(count))
        case ["predict"]:
            for count in ("10000", "1000000"):
                subprocess.run([sys.executable, __file__, "predict", count], check=True)
        case given:
            main(int(given[0]) if given else 200_000)

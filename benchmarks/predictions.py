"""How fast predictions are made on a CPU, by torch and by ONNX Runtime, and how fast intervals follow from them.

python benchmarks/predictions.py [architecture] [image size]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from zoobot.config import TrainSettings
from zoobot.pytorch.estimators.define_model import ZoobotTree, normalise
from zoobot.pytorch.estimators.model_folder import save_model
from zoobot.pytorch.estimators.onnx_model import OnnxEncoder, export
from zoobot.shared import mixtures
from zoobot.shared.schemas import get_schema

BATCH, GALAXIES = 32, 100_000


def seconds(do: Callable[[], object], repeats: int) -> float:
    """The median of several times, after a warm-up."""
    do()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        do()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def compare_engines(architecture: str, image_size: int) -> None:
    schema = get_schema("decals")
    model = ZoobotTree(schema, TrainSettings(architecture=architecture, image_size=image_size)).eval()
    images = torch.randint(0, 256, (BATCH, 1, image_size, image_size), dtype=torch.uint8)
    no_split = pd.DataFrame({"id_str": [], "split": []}, dtype=object)
    metrics = {
        "best_epoch": 1,
        "validation_loss": 0.0,
        "validation_loss_of_baselines": {},
        "baselines": {},
        "history": {},
    }
    with tempfile.TemporaryDirectory() as made, torch.inference_mode():
        folder = Path(made) / "model"
        save_model(model, folder, metrics=metrics, galaxies=no_split)
        print(export(folder))
        onnx = OnnxEncoder(folder / "model.onnx")
        times = {
            "torch": seconds(lambda: model.encoder(normalise(images)), 7),
            "ONNX Runtime": seconds(lambda: onnx(images), 7),
        }
    print(f"\n{architecture}, {image_size} pixels, {torch.get_num_threads()} threads, batches of {BATCH}")
    for name, time_of_batch in times.items():
        print(f"{name:14}{BATCH / time_of_batch:8.1f} images/s  {times['torch'] / time_of_batch:5.1f} x")


def time_intervals() -> None:
    groups = get_schema("decals").question_index_groups
    rng = np.random.default_rng(0)
    print(f"\n90 % intervals of {GALAXIES:,} galaxies x 34 answers")
    for samples, share in ((1, 1), (5, 10)):
        concentrations = 0.05 + 100 * rng.beta(0.3, 3, (GALAXIES // share, 34, samples))
        start = time.perf_counter()
        mixtures.quantiles(concentrations, groups, (0.05, 0.95))
        print(
            f"{samples} samples: {(time.perf_counter() - start) * share:6.1f} s"
            + (f" (of {share} x a part)" if share > 1 else "")
        )


if __name__ == "__main__":
    compare_engines(
        sys.argv[1] if len(sys.argv) > 1 else "efficientnet_b0", int(sys.argv[2]) if len(sys.argv) > 2 else 224
    )
    time_intervals()

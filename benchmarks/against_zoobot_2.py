"""How fast galaxies are loaded and the loss is computed, against zoobot 2.9.0 with galaxy-datasets 0.0.25.

    python benchmarks/against_zoobot_2.py [catalog.csv] [--json results.json]

Both sides see the same JPEG files and make 224 pixel greyscale batches of 64 with their usual random views. The peer is
installed from the package index into `.venv-zoobot-2` (some minutes, once). Each side runs in a process of its own with
one thread, in turns, three times; a figure is the median of three. Without a catalog of the tree gz2, 424 x 424 pixel
images of simulated galaxies are used.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PEER = ["zoobot[pytorch]==2.9.0", "galaxy-datasets==0.0.25"]
# Workers have batches ready when the clock starts: the warm-up is longer than their queue
ROUNDS, WARM_UP, BATCHES, BATCH_SIZE, LOSS_BATCH = 3, 10, 15, 64, 128
GALAXIES = 2000
TREES = {"decals dr5, 34 answers": "decals", "gz-evo v1, 239 answers": "gz-evo-v1"}
TARGETS = {"train, files": 6, "train, store": 25, "predict, files": 4, "loss, decals": 4, "loss, gz-evo": 7}


def rate_of_batches(loader: Iterable[Any]) -> float:
    """Images per second after warm-up."""
    batches = iter(loader)
    for _ in range(WARM_UP):
        next(batches)
    start = time.perf_counter()
    for _ in range(BATCHES):
        next(batches)
    return BATCHES * BATCH_SIZE / (time.perf_counter() - start)


def rate_of_loss(step: Any) -> float:
    """Forward and backward passes per second."""
    for _ in range(5):
        step()
    repeats, start = 30, time.perf_counter()
    for _ in range(repeats):
        step()
    return repeats / (time.perf_counter() - start)


def measure_zoobot(catalog: Path, store: Path, trees: dict[str, Any]) -> dict[str, float]:
    import numpy as np
    import torch
    from torch.utils.data import DataLoader

    from zoobot.config import ImageSettings, TrainSettings
    from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
    from zoobot.pytorch.datasets.galaxy_dataset import ImageDataset, as_it_is
    from zoobot.pytorch.training.losses import get_multiquestion_loss
    from zoobot.shared.catalogs import load_catalog
    from zoobot.shared.image_sources import open_images
    from zoobot.shared.schemas import get_schema

    torch.set_num_threads(1)
    schema = get_schema("gz2")
    settings = {"image_size": 224, "batch_size": BATCH_SIZE, "device": "cpu", "split": (0.98, 0.01, 0.01)}
    settings |= {"crop_bounds": (1 / 1.4, 1 / 1.2), "max_shift": 0.1}
    found = {}
    for source, path in (("files", catalog), ("store", store)):
        galaxies = load_catalog(path, schema)
        for workers in (0, 2):
            module = GalaxyDataModule(galaxies, TrainSettings(**settings, workers=workers))
            found[f"train, {source}, {workers} workers"] = rate_of_batches(module.train_dataloader())
    images = open_images(load_catalog(catalog, None), ImageSettings())
    adjustments = TrainSettings(**settings).adjustments
    dataset = ImageDataset(images, [adjustments], np.zeros(len(images), np.uint64))
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, collate_fn=as_it_is)
    found["predict, files, 0 workers"] = rate_of_batches(loader)
    for name, tree in trees.items():
        groups, n_answers = tree["groups"], len(tree["labels"])
        loss = get_multiquestion_loss(groups)
        votes = torch.randint(0, 10, (LOSS_BATCH, n_answers)).float()
        concentrations = (torch.rand(LOSS_BATCH, n_answers) * 100 + 1).requires_grad_()
        found[f"loss, {name}"] = rate_of_loss(lambda: loss(votes, concentrations).backward())  # noqa: B023
    return found


def measure_peer(catalog: Path, trees: dict[str, Any]) -> dict[str, float]:
    import pandas as pd
    import torch
    from galaxy_datasets.pytorch.galaxy_datamodule import CatalogDataModule
    from galaxy_datasets.transforms import default_view_config, get_galaxy_transform, minimal_view_config

    from zoobot.pytorch.training import losses

    torch.set_num_threads(1)
    table = pd.read_csv(catalog)
    table["file_loc"] = [str(catalog.parent / file) for file in table["file_loc"]]
    labels = [name for name in table if name not in ("id_str", "file_loc") and table[name].dtype.kind in "if"]
    views = [default_view_config(), minimal_view_config()]
    for view in views:
        view.greyscale = True
    transforms = [get_galaxy_transform(view) for view in views]
    found = {}
    for workers in (0, 2):
        module = CatalogDataModule(
            labels, *transforms, train_catalog=table, val_catalog=table[:9], batch_size=BATCH_SIZE, num_workers=workers
        )
        module.setup("fit")
        found[f"train, files, {workers} workers"] = rate_of_batches(module.train_dataloader())
    module = CatalogDataModule(None, *transforms, predict_catalog=table, batch_size=BATCH_SIZE, num_workers=0)
    module.setup("predict")
    found["predict, files, 0 workers"] = rate_of_batches(module.predict_dataloader())
    for name, tree in trees.items():
        loss = losses.CustomMultiQuestionLoss(tree["pairs"], losses.get_dirichlet_neg_log_prob)
        votes = {label: torch.randint(0, 10, (LOSS_BATCH,)) for label in tree["labels"]}
        concentrations = (torch.rand(LOSS_BATCH, len(tree["labels"])) * 100 + 1).requires_grad_()
        step = lambda: loss(concentrations, votes).sum(dim=1).mean().backward()  # noqa: B023, E731
        found[f"loss, {name}"] = rate_of_loss(step)
    return found


def repeat_rows(catalog: Path, work: Path) -> Path:
    """A catalog of enough galaxies, the same images under several names where there are too few."""
    import pandas as pd

    from zoobot.shared.catalogs import load_catalog

    galaxies = load_catalog(catalog, None)
    table = galaxies.table.assign(**galaxies.absolute_files())
    copies = [
        table.assign(id_str=[f"{name}-{copy}" for name in table["id_str"]])
        for copy in range(-(-GALAXIES // len(table)))
    ]
    pd.concat(copies)[:GALAXIES].to_csv(work / "catalog.csv", index=False)
    return work / "catalog.csv"


def install_peer(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not (folder / "installed").is_file():
        print(f"Installing {', '.join(PEER)} into {folder} ...")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEER], check=True)
        (folder / "installed").touch()
    return python


def run_side(python: str | Path, side: str, catalog: Path, store: Path, trees: Path) -> dict[str, float]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [python, __file__, catalog, "--side", side, "--store", store, "--trees", trees]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **threads, "CUDA_VISIBLE_DEVICES": ""}, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(catalog: Path, work: Path) -> dict[str, dict[str, float]]:
    from zoobot.config import PrepareSettings
    from zoobot.shared.preparation import prepare
    from zoobot.shared.schemas import get_schema

    trees = {}
    for name, tree in TREES.items():
        schema = get_schema(tree)
        pairs = {
            question.text: [answer.text[len(question.text) :] for answer in question.answers]
            for question in schema.questions
        }
        trees[name] = {"pairs": pairs, "groups": schema.question_index_groups, "labels": schema.label_cols}
    (work / "trees.json").write_text(json.dumps(trees))
    catalog = repeat_rows(catalog, work)
    prepare(catalog, "gz2", work / "store", PrepareSettings())
    peer = install_peer(Path(__file__).parents[1] / ".venv-zoobot-2")
    rounds: dict[str, list[dict[str, float]]] = {"zoobot": [], "peer": []}
    for number in range(ROUNDS):
        print(f"Round {number + 1} of {ROUNDS} ...", flush=True)
        for side, python in (("zoobot", sys.executable), ("peer", peer)):
            rounds[side].append(run_side(python, side, catalog, work / "store", work / "trees.json"))
    medians = {
        side: {name: statistics.median(found[name] for found in results) for name in results[0]}
        for side, results in rounds.items()
    }
    rows = {}
    for name, ours in medians["zoobot"].items():
        theirs = medians["peer"][name.replace("store", "files")]
        rows[name] = {"zoobot": ours, "zoobot 2.9.0": theirs, "ratio": ours / theirs, "target": find_target(name)}
    return rows


def find_target(name: str) -> float:
    target = next(ratio for start, ratio in TARGETS.items() if name.startswith(start))
    return 0.6 * target if name.endswith("2 workers") else target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog", type=Path, nargs="?")
    parser.add_argument("--json", type=Path)
    for name in ("--side", "--store", "--trees"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        trees = json.loads(Path(given.trees).read_text())
        measured = (
            measure_zoobot(given.catalog, Path(given.store), trees)
            if given.side == "zoobot"
            else measure_peer(given.catalog, trees)
        )
        print(json.dumps(measured))
        return
    with tempfile.TemporaryDirectory() as work:
        catalog = given.catalog
        if catalog is None:
            from zoobot.shared.schemas import get_schema
            from zoobot.shared.simulation import simulate_catalog

            simulate_catalog(Path(work) / "galaxies", get_schema("gz2"), n_galaxies=1000, image_size=424)
            catalog = Path(work) / "galaxies" / "catalog.csv"
        rows = compare(catalog, Path(work))
    print(f"\n{'':32}{'zoobot':>12}{'2.9.0':>12}{'ratio':>9}{'target':>9}   images/s; losses/s")
    for name, row in rows.items():
        print(f"{name:32}" + f"{row['zoobot']:12.0f}{row['zoobot 2.9.0']:12.0f}{row['ratio']:9.1f}{row['target']:9.1f}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""How long evaluating many galaxies takes, bootstrap, calibration and report included, and how much memory.

    python benchmarks/evaluation.py [MILLIONS]

Galaxies with the 34 answers of the tree decals are simulated: concentrations, votes of 40 volunteers who walk the tree,
and predictions that know the concentrations. There are no images, so galleries show none.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from zoobot.shared.predictions import SPLIT_COLUMN, write_part
from zoobot.shared.schemas import Schema, get_schema
from zoobot.shared.vote_scores import fit_baselines

PART = 50_000
VOLUNTEERS = 40


def simulate(schema: Schema, n_galaxies: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Concentrations and votes, `(galaxy, answer)`; as many volunteers answer a question as were led to it."""
    concentrations = (rng.gamma(0.5, 10, (n_galaxies, len(schema.answers))) + 0.1).astype(np.float32)
    votes = np.zeros(concentrations.shape, np.int64)
    for question in schema.asking_order:
        parents = [votes[:, answer.index] for answer in question.asked_after]
        asked = sum(parents) if parents else np.full(n_galaxies, VOLUNTEERS)
        fractions = rng.gamma(concentrations[:, question.slice].astype(float)) + 1e-12
        votes[:, question.slice] = rng.multinomial(asked, fractions / fractions.sum(axis=1, keepdims=True))
    return concentrations, votes


def write(folder: Path, millions: float) -> None:
    schema = get_schema("decals")
    rng = np.random.default_rng(0)
    tables = []
    (folder / "predictions").mkdir()
    for number in range(int(millions * 1e6) // PART):
        concentrations, votes = simulate(schema, PART, rng)
        ids = [f"galaxy_{number * PART + row:08d}" for row in range(PART)]
        if not number:
            model = describe(schema, votes)
        galaxies = pd.DataFrame({"id_str": ids, SPLIT_COLUMN: "test"})
        part = folder / "predictions" / f"part-{number:05d}.parquet"
        write_part(part, galaxies, concentrations[:, :, None], schema, model, [])
        table = pd.DataFrame(votes, columns=schema.label_cols)
        tables.append(table.assign(id_str=ids, file_loc=[f"{name}.jpg" for name in ids]))
    pd.concat(tables).assign(magnitude=lambda table: rng.uniform(14, 18, len(table))).to_parquet(
        folder / "catalog.parquet"
    )


def describe(schema: Schema, votes: np.ndarray) -> dict:
    baselines = {name: fit.concentrations.tolist() for name, fit in fit_baselines(votes, schema).items()}
    config = {
        "framework": "none",
        "architecture": "simulated",
        "settings": {"image_size": 64, "color": False},
        "versions": {"zoobot": "none"},
        "split": {"seed": 0, "galaxies": {"test": 1}},
    }
    history = {"epoch": [], "train/loss": [], "validation/loss": []}
    return {"weights_sha256": "0" * 64, "config": config, "metrics": {"baselines": baselines, "history": history}}


def main(millions: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, millions)
        command = [
            Path(sys.executable).with_name("zoobot"),
            "evaluate",
            folder / "predictions",
            folder / "catalog.parquet",
        ]
        started = time.perf_counter()
        subprocess.run([*map(str, command), "--output", folder / "report", "--by", "magnitude"], check=True)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(f"{millions:g} million galaxies x 34 answers: {seconds:.0f} s, {peak:.1f} GiB at most")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1)

"""What a pretrained start is worth: the same network from pretrained and from random weights, on few labelled galaxies.

    python benchmarks/finetuning.py catalog.csv --label label_name --from RUN/model --output OUT

Scores the galaxies that are not labelled, with intervals from a bootstrap over them, beside a linear model of raw
pixels; and says how often the nearest galaxies of each are of its class. About five minutes on two cores.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from zoobot.config import EmbedSettings, FinetuneSettings, PredictSettings
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.pytorch.training.finetune_on_catalog import finetune
from zoobot.pytorch.training.representations import embed
from zoobot.shared.embeddings import read_embeddings
from zoobot.shared.images import read_image
from zoobot.shared.label_columns import LabelTask
from zoobot.shared.linear_probes import predict_with_probe
from zoobot.shared.number_parts import read_numbers
from zoobot.shared.similarity import find_nearest

N_NEAREST, N_BOOTSTRAPS = 10, 10_000
PIXELS, CROP = 16, 0.3
"""Of the raw pixels: the best of several, for the linear model as for the nearest galaxies."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--label", required=True)
    parser.add_argument("--from", dest="encoder", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--labelled", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    n_galaxies = len(pd.read_csv(given.catalog))
    training = 0.8 * given.labelled / n_galaxies
    rest = 1 - given.labelled / n_galaxies
    common = {"label": [given.label], "split": (training, 1 - rest - training, rest), "seed": given.seed}
    starts = {
        "pretrained": FinetuneSettings(**common),
        "pretrained, all blocks": FinetuneSettings(**common, n_blocks=5),
        # the best of several learning rates and lengths; nothing was chosen for the others
        "random weights": FinetuneSettings(**common, pretrained=False, learning_rate=2e-3, epochs=100),
    }
    right: dict[str, np.ndarray] = {}
    for name, settings in starts.items():
        folder = given.output / name.replace(", ", "-").replace(" ", "-")
        model = finetune(given.catalog, given.encoder, folder / "RUN", settings).folder
        predict(model, given.catalog, folder / "P", PredictSettings())
        found = read_numbers(folder / "P", "labels")
        table = found.table
        classes = sorted(set(table[given.label].astype(str)))
        true = table[given.label].astype(str).map(classes.index).to_numpy()
        is_test = (table["model_split"] == "test").to_numpy()
        right[name] = (found.values.argmax(axis=1) == true)[is_test]
        in_words = {of: round(float(right[name][true[is_test] == place].mean()), 2) for place, of in enumerate(classes)}
        print(name, "found of each class:", in_words)
    pixels = np.stack([read_pixels(file) for file in table["file_loc"]])
    task = LabelTask("classification", [given.label], classes)
    probe = predict_with_probe(task, pixels[~is_test], np.eye(len(classes))[true[~is_test]], pixels[is_test])
    right["linear probe on raw pixels"] = probe.argmax(axis=1) == true[is_test]
    right["the commonest class"] = true[is_test] == np.bincount(true).argmax()
    print(f"{(~is_test).sum()} labelled, {is_test.sum()} to predict")
    for name, one in right.items():
        print(f"accuracy, {name}: {say(one)}; pretrained better by {say(right['pretrained'] * 1.0 - one)}")
    embed(given.encoder, given.catalog, given.output / "E", EmbedSettings())
    features = read_embeddings(given.output / "E").features
    shares = {name: share_alike(values, true) for name, values in (("embedding", features), ("raw pixels", pixels))}
    for name, of_galaxy in shares.items():
        by_class = {of: round(float(of_galaxy[true == place].mean()), 2) for place, of in enumerate(classes)}
        print(f"same class among the {N_NEAREST} nearest, {name}: {say(of_galaxy)} {by_class}")
    print("by chance:", round(float(((np.bincount(true) / len(true)) ** 2).sum()), 3))


def read_pixels(file: str) -> np.ndarray:
    """The central part of the grey image, reduced to few pixels; `(pixel,)`, 0-1."""
    image = read_image(file)[:, :, 0].astype(np.float32) / 255
    top, left = (round(side * (1 - CROP) / 2) for side in image.shape)
    centre = image[top : image.shape[0] - top, left : image.shape[1] - left]
    return cv2.resize(centre, (PIXELS, PIXELS), interpolation=cv2.INTER_AREA).ravel()


def share_alike(features: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Of each galaxy's nearest, the share of its class, `(galaxy,)`."""
    rows, _ = find_nearest(features, features, N_NEAREST + 1)
    others = [[row for row in found if row != place][:N_NEAREST] for place, found in enumerate(rows)]
    return (true[np.array(others)] == true[:, None]).mean(axis=1)


def say(values: np.ndarray) -> str:
    """The mean and its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(N_BOOTSTRAPS)]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()

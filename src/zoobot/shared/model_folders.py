"""The model folder: what training leaves behind and everything else starts from, without the weights' framework.

    weights.safetensors    the weights (model.weights.h5 in TensorFlow)
    config.json            framework, architecture, preprocessing, settings, versions, hardware, how galaxies were split
    schema.json            the decision tree; of a model of labels there is none, and config.json holds its task
    metrics.json           losses, baselines, the training curve, how long each epoch took
    galaxies.parquet       id_str and split of every galaxy of the training catalog
    temperatures.json      what 'zoobot calibrate' found, where it was called
    README.md              the model card

No pickle: reading one runs no code.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from zoobot.config import ImageSettings
from zoobot.errors import ModelError
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.schemas import Schema
from zoobot.shared.training_curves import say_timing

WEIGHTS = "weights.safetensors"
TEMPERATURES = "temperatures.json"
KERAS_WEIGHTS = "model.weights.h5"
OWN_ENCODER = "own encoder"
"""The architecture of a model with an encoder of the user's own."""
_CONFIG = ("framework", "architecture", "settings", "versions", "split")
_METRICS = ("best_epoch", "validation_loss", "validation_loss_of_baselines", "baselines", "history")


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk, its weights aside.

    Args:
        tree: the decision tree; None for a model that was finetuned on classes or numbers.
        config: framework, architecture, settings, versions, split.
        metrics: losses, baselines and the training curve.
        galaxies: `id_str` and `split`; empty where training did not say how galaxies were split.
    """

    path: Path
    tree: Schema | None
    config: dict[str, Any]
    metrics: dict[str, Any]
    galaxies: pd.DataFrame

    @property
    def schema(self) -> Schema:
        """The decision tree; `ModelError` for a model of labels."""
        if self.tree is None:
            raise ModelError(
                f"The model in '{self.path}' answers no decision tree: it was finetuned on "
                f"{', '.join(self.config['task']['columns'])}. 'zoobot predict' and 'zoobot embed' take it alone."
            )
        return self.tree

    @property
    def weights(self) -> str:
        """The name of the file of weights."""
        return KERAS_WEIGHTS if self.config["framework"] == "tensorflow" else WEIGHTS

    @property
    def reading(self) -> ImageSettings:
        """How files became the pixels that the model was trained on."""
        preprocessing = self.config["preprocessing"]
        return ImageSettings(
            **{name: preprocessing[name] for name in ImageSettings.model_fields if name in preprocessing}
        )

    @property
    def channels(self) -> int:
        """Of the images that the model was trained on."""
        return int(self.config["preprocessing"]["channels"])

    @property
    def bands(self) -> list[str]:
        """Their names, where each had a file of its own."""
        return list(self.config["preprocessing"]["bands"])

    def describe(self, calibrated: bool = False) -> dict[str, Any]:
        """What travels with every prediction of the model: where it comes from and how it was trained.

        Args:
            calibrated: also what predictions are divided by, where the folder has it: `calibration`, with the
                `temperatures` of each question and the number of `samples` that they were fitted for.

        Raises:
            ModelError: the weights are missing; the temperatures are damaged or were fitted for other weights.
        """
        try:
            checksum = file_checksum(self.path / self.weights)
        except OSError as error:
            raise ModelError(f"The weights in '{self.path}' cannot be read: {error.strerror}.") from error
        description = {"weights_sha256": checksum, "config": self.config, "metrics": self.metrics}
        if calibrated and (self.path / TEMPERATURES).is_file():
            description["calibration"] = self._read_calibration(checksum)
        return description

    def _read_calibration(self, checksum: str) -> dict[str, Any]:
        path = self.path / TEMPERATURES
        remedy = "'zoobot calibrate' writes it anew; --no-calibrated predicts without it."
        try:
            record = json.loads(path.read_text())
            temperatures = {name: float(fitted["temperature"]) for name, fitted in record["questions"].items()}
            fitted_for, samples = record["weights_sha256"], int(record["samples"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"'{path}' is damaged. {remedy}") from error
        if fitted_for != checksum:
            raise ModelError(f"'{path}' was fitted for other weights than the model's. {remedy}")
        is_whole = temperatures.keys() == {question.text for question in self.schema.questions}
        if not is_whole or not all(0 < temperature < math.inf for temperature in temperatures.values()):
            raise ModelError(f"'{path}' is damaged. {remedy}")
        return {"samples": samples, "temperatures": temperatures}


def write_model_folder(
    path: Path, tree: Schema | None, config: Mapping[str, Any], metrics: Mapping[str, Any], galaxies: pd.DataFrame
) -> None:
    """Write everything but the weights into an existing folder."""
    contents = {"config.json": config, "metrics.json": metrics}
    if tree is not None:
        contents["schema.json"] = tree.to_dict()
    for name, content in contents.items():
        write_atomically(path / name, json.dumps(content, indent=2, allow_nan=False) + "\n")
    galaxies.to_parquet(path / "galaxies.parquet", index=False)
    card = _label_model_card(config, metrics) if tree is None else _model_card(tree, config, metrics)
    write_atomically(path / "README.md", card)


def is_model_folder(path: object) -> bool:
    """Whether something is the path of a model folder."""
    return isinstance(path, str | Path) and (Path(path) / "config.json").is_file()


def read_model_folder(folder: str | Path) -> ModelFolder:
    """Read everything but the weights; `ModelError` if the folder is no model folder."""
    path = Path(folder)
    if not path.is_dir():
        what = "is a file" if path.is_file() else "does not exist"
        raise ModelError(f"'{folder}' is no model folder: it {what}. Give the folder that training left, RUN/model.")
    if not (path / "config.json").is_file():
        inside = path / "model"
        hint = f" Did you mean '{inside}'?" if (inside / "config.json").is_file() else ""
        raise ModelError(f"'{folder}' is no model folder: it has no config.json.{hint}")
    try:
        config, metrics = (json.loads((path / name).read_text()) for name in ("config.json", "metrics.json"))
        tree = None if "task" in config else json.loads((path / "schema.json").read_text())
        galaxies = pd.read_parquet(path / "galaxies.parquet")
    except (OSError, ValueError) as error:
        raise ModelError(f"The model folder '{folder}' is damaged: {error}") from error
    lacking = [key for key in _CONFIG if key not in config] + [key for key in _METRICS if key not in metrics]
    if lacking:
        raise ModelError(f"The model folder '{folder}' is damaged: its JSON files lack {', '.join(lacking)}.")
    return ModelFolder(path, None if tree is None else Schema.from_dict(tree), config, metrics, galaxies)


def refuse_other_framework(model: ModelFolder, framework: str) -> None:
    """Raise `ModelError` unless a model was made with that framework."""
    made_with = model.config["framework"]
    if made_with != framework:
        raise ModelError(
            f"The model in '{model.path}' was made with {made_with}, not {framework}. Where a command has --framework, "
            f"give --framework {made_with}."
        )


def refuse_own_encoder(model: ModelFolder, is_given: bool) -> None:
    """Raise `ModelError` where a model has an encoder of the user's own, and none is given."""
    if model.config["architecture"] == OWN_ENCODER and not is_given:
        raise ModelError(
            f"The model in '{model.path}' has an encoder of your own, which zoobot cannot build. In Python, give it to "
            "load_model(folder, encoder=...) and the model to predict(...)."
        )


def refuse_tree(model: ModelFolder) -> None:
    """Raise `ModelError` unless a model predicts labels."""
    if model.tree is not None:
        raise ModelError(f"The model in '{model.path}' answers the decision tree '{model.tree.name}', not labels.")


def file_checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _label_model_card(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    settings, versions, task = config["settings"], config["versions"], config["task"]
    counts = ", ".join(f"{count:,} {split}" for split, count in config["split"]["galaxies"].items())
    color = "RGB" if settings["color"] else "greyscale"
    scores = "\n".join(
        f"- {split}, {name.replace('_', ' ')}: {value:.3f}"
        for split, scores in metrics.get("scores", {}).items()
        for name, value in scores.items()
        if isinstance(value, float)
    )
    learned = ", ".join(task["columns"])
    classes = f": {', '.join(task['classes'])}" if task["classes"] else ""
    return f"""# A model of {learned}

Given an image of a galaxy, it predicts {learned} ({task["kind"]}{classes}).

- Encoder: {config["architecture"]}, input {settings["image_size"]} x {settings["image_size"]} pixels, {color}
- Started from: {config["started_from"]}
- Galaxies: {counts or "not recorded"}
- Best epoch: {metrics["best_epoch"]}, validation loss {metrics["validation_loss"]:.3f}
- Training time: {say_timing(metrics, config) or "not recorded"}
- Made with zoobot {versions["zoobot"]}, {config["framework"]}, Python {versions["python"]}

Predict with `zoobot predict MODEL CATALOG --output PREDICTIONS`. The predictions hold for images like those of the
training catalog: the same survey, scale and processing.

## Scores

{scores or "- none"}
"""


def _model_card(schema: Schema, config: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    settings, versions = config["settings"], config["versions"]
    counts = ", ".join(f"{count:,} {split}" for split, count in config["split"]["galaxies"].items())
    color = "RGB" if settings["color"] else "greyscale"
    questions = "\n".join(
        f"- {question.text}: {', '.join(answer.short_text for answer in question.answers)}"
        for question in schema.questions
    )
    return f"""# A model of Galaxy Zoo volunteers' votes

Given an image of a galaxy, it predicts how volunteers answer each question of the tree `{schema.name}`, as the
concentrations of a Dirichlet-multinomial distribution over their votes.

- Encoder: {config["architecture"]}, input {settings["image_size"]} x {settings["image_size"]} pixels, {color}
- Galaxies: {counts or "not recorded"}
- Best epoch: {metrics["best_epoch"]}, validation loss {metrics["validation_loss"]:.3f} per galaxy
- Concentrations: {settings["concentration_bounds"][0]:g} to {settings["concentration_bounds"][1]:g}
- Training time: {say_timing(metrics, config) or "not recorded"}
- Made with zoobot {versions["zoobot"]}, {config["framework"]}, Python {versions["python"]}

Predict with `zoobot predict MODEL CATALOG --output PREDICTIONS`. The predictions hold for images like those of the
training catalog: the same survey, scale and processing.

## Questions

{questions}
"""

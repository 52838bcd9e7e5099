"""Which framework does a job: the one that made a model. It is imported only then, and never both in one process."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from zoobot.config import PredictSettings
from zoobot.errors import ModelError, SettingError

FRAMEWORKS = ("pytorch", "tensorflow")


def predict_paths(paths: Sequence[Path], output: str | Path, settings: PredictSettings | None = None) -> Any:
    """`predict` of the models' framework, with models and data in one list, the data last.

    Returns:
        The predicted catalog; or the script that `settings.slurm_script` asks for.

    Raises:
        MissingExtraError: the models' framework is not installed.
        ModelError: models of both frameworks.
        Others: see `predict` in each framework.
    """
    from zoobot.shared.shares import slurm_script

    if len(paths) < 2:
        raise SettingError(f"Give a model and what to predict: zoobot predict RUN/model DATA. Got '{paths[0]}' alone.")
    framework = find_framework(paths[:-1])
    if settings is not None and settings.slurm_script:
        return slurm_script(paths, output, settings, settings.slurm_script)
    room = import_room(framework, "predictions.predict_on_catalog")
    return room.predict(paths[:-1], paths[-1], output, settings)


def choose_framework(wanted: str | None, model: object = None) -> str:
    """The framework that is wanted; by default the one that made `model`, if that is a model folder, or PyTorch."""
    from zoobot.shared.model_folders import is_model_folder

    if wanted is not None:
        return wanted
    return find_framework([str(model)]) if is_model_folder(model) else FRAMEWORKS[0]


def find_framework(models: Sequence[str | Path]) -> str:
    """The framework that made all of some models; `ModelError` for a folder that is none, or models of both."""
    from zoobot.shared.model_folders import read_model_folder

    made_with = {str(model): str(read_model_folder(model).config["framework"]) for model in models}
    for model, framework in made_with.items():
        if framework not in FRAMEWORKS:
            raise ModelError(f"The model in '{model}' was made with '{framework}', which zoobot does not know.")
    if len(set(made_with.values())) > 1:
        each = ", ".join(f"'{model}' with {framework}" for model, framework in made_with.items())
        raise ModelError(f"The models were made with different frameworks: {each}. Predict with each by itself.")
    return next(iter(made_with.values()))


def import_room(framework: str, module: str) -> ModuleType:
    """A module of a framework's room; `MissingExtraError` with the command that helps where it is not installed."""
    return importlib.import_module(f"zoobot.{framework}.{module}")

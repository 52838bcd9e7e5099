"""Saving a Keras model to a model folder and loading it again. No pickle, no code: weights alone."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import pandas as pd

from zoobot.config import KerasFinetuneSettings, KerasTrainSettings
from zoobot.errors import ModelError, SettingError
from zoobot.shared.label_columns import LabelTask
from zoobot.shared.model_folders import (
    KERAS_WEIGHTS,
    OWN_ENCODER,
    ModelFolder,
    read_model_folder,
    refuse_other_framework,
    refuse_own_encoder,
    refuse_tree,
    write_model_folder,
)
from zoobot.shared.run_folders import replace_folder
from zoobot.shared.training_runs import describe_model
from zoobot.tensorflow.estimators.define_model import ZoobotTree, precision_of
from zoobot.tensorflow.estimators.label_model import LabelModel
from zoobot.tensorflow.estimators.recipes import Recipe


def save_model(
    model: ZoobotTree | LabelModel,
    folder: Path,
    *,
    metrics: Mapping[str, Any],
    galaxies: pd.DataFrame,
    started_from: str = "random weights",
    hardware: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write the model folder, whole or not at all.

    Args:
        model: without an optimiser, whose state is not of the model.
        metrics: must hold `best_epoch` and `validation_loss`.
        galaxies: `id_str` and `split` of the training catalog; empty if not known.
        started_from: where the encoder's weights came from.
        hardware: what the model was trained on, if known.
    """
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    model.save_weights(temporary / KERAS_WEIGHTS)
    recipe = model.recipe
    architecture = OWN_ENCODER if recipe is None else recipe.architecture
    config = {
        **describe_model("tensorflow", architecture, model.settings, model.channels, model.bands, galaxies, hardware),
        "encoder": None if recipe is None else asdict(recipe),
        "started_from": started_from,
    }
    if isinstance(model, LabelModel):
        config["task"] = asdict(model.task)
    tree = model.schema if isinstance(model, ZoobotTree) else None
    write_model_folder(temporary, tree, config, metrics, galaxies)
    replace_folder(temporary, folder)


def load_model(folder: str | Path, encoder: keras.Model | None = None, precision: str = "32") -> ZoobotTree:
    """Load the model of a model folder, ready to predict.

    Args:
        encoder: for a model that was trained with your own encoder, an encoder of the same make; its weights are
            replaced by the folder's.
        precision: arithmetic of the encoder, as named in the settings.

    Raises:
        ModelError: no model folder, damaged, made by another framework, weights that do not fit, or a model of labels.
    """
    described = _read(folder, encoder)
    schema = described.schema
    with _faults_named(folder):
        settings = KerasTrainSettings(**described.config["settings"]).model_copy(update={"precision": precision})
        recipe = None if encoder is not None else _find_recipe(described)
        model = ZoobotTree(schema, settings, encoder, described.channels, described.bands, recipe)
        model.load_weights(described.path / KERAS_WEIGHTS)
    return model


def load_label_model(folder: str | Path, encoder: keras.Model | None = None, precision: str = "32") -> LabelModel:
    """Load a model of classes or numbers, ready to predict; as `load_model`."""
    described = _read(folder, encoder)
    refuse_tree(described)
    with _faults_named(folder):
        settings = KerasFinetuneSettings(**described.config["settings"]).model_copy(update={"precision": precision})
        task, recipe = LabelTask(**described.config["task"]), None
        if encoder is None:
            recipe = Recipe(**described.config["encoder"])
            with precision_of(precision):
                encoder = recipe.build()
        model = LabelModel(task, settings, encoder, described.channels, described.bands, recipe)
        model.load_weights(described.path / KERAS_WEIGHTS)
    return model


def load_any_model(folder: str | Path, precision: str = "32") -> ZoobotTree | LabelModel:
    """Load a model of votes or of labels."""
    load = load_model if read_model_folder(folder).tree is not None else load_label_model
    return load(folder, precision=precision)


def _read(folder: str | Path, encoder: keras.Model | None) -> ModelFolder:
    described = read_model_folder(folder)
    refuse_other_framework(described, "tensorflow")
    refuse_own_encoder(described, encoder is not None)
    return described


def _find_recipe(described: ModelFolder) -> Recipe | None:
    """How to build the encoder; folders of the first versions do not say it, and need not."""
    recipe = described.config.get("encoder")
    return None if recipe is None else Recipe(**recipe)


@contextmanager
def _faults_named(folder: str | Path) -> Iterator[None]:
    try:
        yield
    except (SettingError, KeyError, TypeError) as error:
        raise ModelError(f"The model in '{folder}' was made by another version of zoobot: {error}") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        first_line = str(error).partition("\n")[0]
        raise ModelError(f"The weights in '{folder}' are missing or do not fit the model: {first_line}") from error

"""Saving a Keras model to a model folder and loading it again. No pickle, no code: weights alone."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from zoobot.config import KerasTrainSettings
from zoobot.errors import ModelError, SettingError
from zoobot.shared.model_folders import (
    KERAS_WEIGHTS,
    OWN_ENCODER,
    read_model_folder,
    refuse_other_framework,
    refuse_own_encoder,
    write_model_folder,
)
from zoobot.shared.run_folders import replace_folder
from zoobot.shared.training_runs import describe_model
from zoobot.tensorflow.estimators.define_model import ZoobotTree


def save_model(model: ZoobotTree, folder: Path, *, metrics: Mapping[str, Any], galaxies: pd.DataFrame) -> None:
    """Write the model folder, whole or not at all.

    Args:
        model: without an optimiser, whose state is not of the model.
        metrics: must hold `best_epoch` and `validation_loss`.
        galaxies: `id_str` and `split` of the training catalog; empty if not known.
    """
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    model.save_weights(temporary / KERAS_WEIGHTS)
    architecture = OWN_ENCODER if model.has_own_encoder else model.settings.architecture
    config = describe_model("tensorflow", architecture, model.settings, model.channels, model.bands, galaxies)
    write_model_folder(temporary, model.schema, config, metrics, galaxies)
    replace_folder(temporary, folder)


def load_model(folder: str | Path, encoder: keras.Model | None = None, precision: str = "32") -> ZoobotTree:
    """Load the model of a model folder, ready to predict.

    Args:
        encoder: for a model that was trained with your own encoder, an encoder of the same make; its weights are
            replaced by the folder's.
        precision: arithmetic of the encoder, as named in the settings.

    Raises:
        ModelError: no model folder, damaged, made by another framework, or weights that do not fit.
    """
    described = read_model_folder(folder)
    refuse_other_framework(described, "tensorflow")
    refuse_own_encoder(described, encoder is not None)
    try:
        settings = KerasTrainSettings(**described.config["settings"]).model_copy(update={"precision": precision})
        model = ZoobotTree(described.schema, settings, encoder, described.channels, described.bands)
        model.load_weights(described.path / KERAS_WEIGHTS)
    except (SettingError, KeyError) as error:
        raise ModelError(f"The model in '{folder}' was made by another version of zoobot: {error}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"The weights in '{folder}' are missing or do not fit the model: {error}") from error
    return model

"""Saving a PyTorch model to a model folder and loading it again. No pickle: loading runs no code."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from zoobot.config import TrainSettings
from zoobot.errors import ModelError, SettingError
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.shared.model_folders import (
    OWN_ENCODER,
    WEIGHTS,
    read_model_folder,
    refuse_other_framework,
    refuse_own_encoder,
    write_model_folder,
)
from zoobot.shared.run_folders import replace_folder, write_atomically
from zoobot.shared.training_runs import describe_model


def save_model(model: ZoobotTree, folder: Path, *, metrics: Mapping[str, Any], galaxies: pd.DataFrame) -> None:
    """Write the model folder, whole or not at all.

    Args:
        metrics: must hold `best_epoch` and `validation_loss`.
        galaxies: `id_str` and `split` of the training catalog; empty if not known.
    """
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_atomically(temporary / WEIGHTS, save(weights))
    architecture = OWN_ENCODER if model.has_own_encoder else model.settings.architecture
    config = describe_model("pytorch", architecture, model.settings, model.channels, model.bands, galaxies)
    write_model_folder(temporary, model.schema, config, metrics, galaxies)
    replace_folder(temporary, folder)


def load_model(folder: str | Path, encoder: nn.Module | None = None) -> ZoobotTree:
    """Load the model of a model folder, ready to predict.

    Args:
        encoder: for a model that was trained with your own encoder, an encoder of the same make; its weights are
            replaced by the folder's.

    Raises:
        ModelError: no model folder, damaged, made by another framework, or weights that do not fit.
    """
    described = read_model_folder(folder)
    refuse_other_framework(described, "pytorch")
    refuse_own_encoder(described, encoder is not None)
    try:
        settings = TrainSettings(**described.config["settings"])
        preprocessing = described.config["preprocessing"]
        model = ZoobotTree(described.schema, settings, encoder, preprocessing["channels"], preprocessing["bands"])
        model.load_state_dict(load_file(described.path / WEIGHTS))
    except (SettingError, KeyError) as error:
        raise ModelError(f"The model in '{folder}' was made by another version of zoobot: {error}") from error
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The weights in '{folder}' are missing or do not fit the model: {error}") from error
    return model.eval()

"""Saving a PyTorch model to a model folder and loading it again. No pickle: loading runs no code."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from zoobot.config import FinetuneSettings, TorchSettings, TrainSettings
from zoobot.errors import ModelError, SettingError
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.label_model import LabelModel
from zoobot.pytorch.estimators.recipes import Recipe
from zoobot.shared.label_columns import LabelTask
from zoobot.shared.model_folders import (
    OWN_ENCODER,
    WEIGHTS,
    ModelFolder,
    read_model_folder,
    refuse_other_framework,
    refuse_own_encoder,
    refuse_tree,
    write_model_folder,
)
from zoobot.shared.run_folders import replace_folder, write_atomically
from zoobot.shared.schemas import Schema
from zoobot.shared.training_runs import describe_model


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
        metrics: must hold `best_epoch` and `validation_loss`.
        galaxies: `id_str` and `split` of the training catalog; empty if not known.
        started_from: where the encoder's weights came from.
        hardware: what the model was trained on, if known.
    """
    recipe = model.recipe
    architecture = OWN_ENCODER if recipe is None else recipe.architecture
    config = {
        **describe_model("pytorch", architecture, model.settings, model.channels, model.bands, galaxies, hardware),
        "encoder": None if recipe is None else asdict(recipe),
        "started_from": started_from,
    }
    tree: Schema | None = None
    if isinstance(model, ZoobotTree):
        tree = model.schema
    else:
        config["task"] = asdict(model.task)
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write_atomically(temporary / WEIGHTS, save(plain_weights(model)))
    write_model_folder(temporary, tree, config, metrics, galaxies)
    replace_folder(temporary, folder)


def load_model(folder: str | Path, encoder: nn.Module | None = None) -> ZoobotTree:
    """Load the model of a model folder, ready to predict.

    Args:
        encoder: for a model that was trained with your own encoder, an encoder of the same make; its weights are
            replaced by the folder's.

    Raises:
        ModelError: no model folder, damaged, made by another framework, weights that do not fit, or a model of labels.
    """
    described = _read(folder, encoder)
    schema = described.schema
    with _faults_named(folder):
        settings = TrainSettings(**described.config["settings"])
        model = ZoobotTree(schema, settings, encoder, **_find_preprocessing(described, settings))
        model.load_state_dict(load_file(described.path / WEIGHTS))
    return model.eval()


def load_label_model(folder: str | Path, encoder: nn.Module | None = None) -> LabelModel:
    """Load a model of classes or numbers, ready to predict; as `load_model`."""
    described = _read(folder, encoder)
    refuse_tree(described)
    with _faults_named(folder):
        settings = FinetuneSettings(**described.config["settings"])
        task = LabelTask(**described.config["task"])
        found = _find_preprocessing(described, settings)
        model = LabelModel(task, settings, found["recipe"].build() if encoder is None else encoder, **found)
        model.load_state_dict(load_file(described.path / WEIGHTS))
    return model.eval()


def load_any_model(folder: str | Path) -> ZoobotTree | LabelModel:
    """Load a model of votes or of labels."""
    return load_model(folder) if read_model_folder(folder).tree is not None else load_label_model(folder)


def plain_weights(module: nn.Module) -> dict[str, Tensor]:
    """Weights as safetensors wants them: on the CPU, each in one piece."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}


def checksum_of(module: nn.Module) -> str:
    """SHA-256 of an encoder's weights."""
    return hashlib.sha256(save(plain_weights(module))).hexdigest()


def _read(folder: str | Path, encoder: nn.Module | None) -> ModelFolder:
    described = read_model_folder(folder)
    refuse_other_framework(described, "pytorch")
    refuse_own_encoder(described, encoder is not None)
    return described


def _find_preprocessing(described: ModelFolder, settings: TorchSettings) -> dict[str, Any]:
    """Channels, bands and recipe; folders of the first versions have no recipe, and need none."""
    preprocessing, recipe = described.config["preprocessing"], described.config.get("encoder")
    return {
        "channels": preprocessing["channels"],
        "bands": preprocessing["bands"],
        "recipe": None if recipe is None else Recipe(**recipe),
    }


@contextmanager
def _faults_named(folder: str | Path) -> Iterator[None]:
    try:
        yield
    except (SettingError, KeyError, TypeError) as error:
        raise ModelError(f"The model in '{folder}' was made by another version of zoobot: {error}") from error
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The weights in '{folder}' are missing or do not fit the model: {error}") from error

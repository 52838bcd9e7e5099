"""Sharing a model on the Hugging Face hub: its encoder in the layout of timm, and the whole model folder beside it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from safetensors.torch import save
from torch import nn

from zoobot.config import ImageSettings, PushSettings
from zoobot.errors import ModelError, OutputError, SettingError
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.hub_layout import CONFIG, OWN_KEY, WEIGHTS, first_line
from zoobot.pytorch.estimators.label_model import LabelModel
from zoobot.pytorch.estimators.model_folder import load_any_model, plain_weights
from zoobot.pytorch.estimators.recipes import Recipe, Standardised
from zoobot.shared.model_folders import read_model_folder
from zoobot.shared.run_folders import write_atomically

MODEL = "zoobot-model"
"""The model folder inside a repository."""


@dataclass(frozen=True)
class PushedModel:
    """What was written, and where it was sent; None after a dry run."""

    folder: Path
    address: str | None

    def __str__(self) -> str:
        sent = f"Sent to {self.address}" if self.address else "Nothing was sent"
        return f"Wrote {self.folder}: the encoder for timm, the model folder in {MODEL}/, a card. {sent}."


def push(model: str | Path, name: str, output: str | Path, settings: PushSettings | None = None) -> PushedModel:
    """Write a model as a repository of the hub, and send it there.

    `hf_hub:OWNER/NAME` is then an encoder for zoobot, which knows what its images must be, and for timm.

    Args:
        model: a model folder.
        name: `OWNER/NAME`.
        output: a folder for what is sent: `config.json` and `model.safetensors` of the encoder, `zoobot-model/`,
            `README.md`.
        settings: see `zoobot.config.PushSettings`.

    Raises:
        ModelError: no model folder, an encoder of your own, or the hub cannot be reached.
        OutputError: `output` holds something.
    """
    settings = settings or PushSettings()
    if name.count("/") != 1 or not all(name.split("/")):
        raise SettingError(f"The repository must be OWNER/NAME. Got '{name}' instead.")
    described = read_model_folder(model)
    estimator = load_any_model(model)
    if estimator.recipe is None:
        raise ModelError(f"The model in '{model}' has an encoder of your own, which others cannot build.")
    folder = Path(output)
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise OutputError(f"'{folder}' is not empty. Choose a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    _write_encoder(estimator, estimator.recipe, folder)
    shutil.copytree(described.path, folder / MODEL)
    card = (described.path / "README.md").read_text()
    write_atomically(folder / "README.md", _hub_card(card, name))
    return PushedModel(folder, None if settings.dry_run else _send(folder, name, settings.private))


def _write_encoder(estimator: ZoobotTree | LabelModel, recipe: Recipe, folder: Path) -> None:
    encoder = estimator.encoder
    plain: nn.Module = encoder.model if isinstance(encoder, Standardised) else encoder
    settings, size = estimator.settings, estimator.settings.image_size
    known: Any = timm.get_pretrained_cfg(recipe.architecture)
    config: dict[str, Any] = {
        "architecture": recipe.architecture,
        "num_classes": 0,
        "pretrained_cfg": {
            "input_size": [recipe.channels, size, size],
            "fixed_input_size": known.fixed_input_size,
            "mean": recipe.mean or [0.0] * recipe.channels,
            "std": recipe.std or [1.0] * recipe.channels,
            "num_classes": 0,
            "pool_size": known.pool_size,
            "first_conv": known.first_conv,
            "classifier": known.classifier,
        },
        "model_args": {"in_chans": recipe.channels, **recipe.options},
    }
    config[OWN_KEY] = {
        "expects": {
            "image_size": size,
            **{name: settings.model_dump(mode="json")[name] for name in ImageSettings.model_fields},
        },
        "suggests": {name: list(getattr(settings, name)) for name in ("crop_bounds", "aspect_bounds")},
        "bands": estimator.bands,
        "mean": recipe.mean,
        "std": recipe.std,
    }
    write_atomically(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    write_atomically(folder / WEIGHTS, save(plain_weights(plain)))


def _hub_card(card: str, name: str) -> str:
    return f"""---
library_name: timm
tags:
- zoobot
- astronomy
- galaxy-morphology
---
{card}
## Use it

    zoobot finetune catalog.csv --from hf_hub:{name} --label ring --output RUN

or `timm.create_model("hf_hub:{name}", pretrained=True)`, with images from 0 to 1. The whole model is in
`{MODEL}/`: `zoobot predict {MODEL} catalog.csv --output PREDICTIONS` after a download.
"""


def _send(folder: Path, name: str, private: bool) -> str:
    import huggingface_hub

    try:
        api = huggingface_hub.HfApi()
        api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder)
    except Exception as error:  # the network fails in many ways
        raise ModelError(
            f"'{name}' cannot be sent to the hub: {first_line(error)} What would be sent is in '{folder}'. Sign in "
            "with 'hf auth login', and try again in a new folder."
        ) from error
    return f"https://huggingface.co/{name}"

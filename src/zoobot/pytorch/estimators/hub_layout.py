"""Encoders in the layout of the Hugging Face hub, as timm writes it: `config.json` and `model.safetensors`.

Repositories that zoobot pushed also say in `config.json`, under `zoobot`, what their images must be.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from zoobot.errors import ModelError

CONFIG, WEIGHTS, PICKLED_WEIGHTS = "config.json", "model.safetensors", "pytorch_model.bin"
OWN_KEY = "zoobot"


@dataclass(frozen=True)
class HubLayout:
    """What such a folder holds.

    Args:
        options: what timm is told beside the architecture.
        weights: of the encoder, without classifier.
        image_size: side of its images, in pixels.
        mean, std: by which images are standardised, if zoobot wrote so.
        expects, suggests, bands: of images, where zoobot wrote the folder; see `PretrainedEncoder`.
    """

    architecture: str
    options: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    image_size: int
    mean: list[float] | None = None
    std: list[float] | None = None
    expects: Mapping[str, Any] = field(default_factory=dict)
    suggests: Mapping[str, Any] = field(default_factory=dict)
    bands: list[str] = field(default_factory=list)


def read_hub_layout(folder: Path, source: str) -> HubLayout:
    """Read such a folder; `ModelError` where it is none, or damaged."""
    if not (folder / CONFIG).is_file():
        raise ModelError(f"'{source}' is no encoder: there is no '{folder / CONFIG}'.")
    try:
        config = json.loads((folder / CONFIG).read_text())
        described = config.get("pretrained_cfg", config)  # older files have no such part
        own = config.get(OWN_KEY, {})
        architecture, image_size = config["architecture"], int(described["input_size"][-1])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"'{folder / CONFIG}' is damaged, or not in the layout of timm: {error!r}.") from error
    classifier = described.get("classifier") or ()
    classifiers = tuple(f"{name}." for name in ([classifier] if isinstance(classifier, str) else classifier))
    weights = {name: tensor for name, tensor in _read_weights(folder).items() if not name.startswith(classifiers)}
    options = config.get("model_args") or {}
    return HubLayout(
        architecture,
        options,
        weights,
        image_size,
        own.get("mean"),
        own.get("std"),
        own.get("expects", {}),
        own.get("suggests", {}),
        own.get("bands", []),
    )


def download(name: str) -> Path:
    """The folder of a repository `OWNER/NAME` or `OWNER/NAME@REVISION`, from the hub or what was downloaded before."""
    import huggingface_hub

    repository, _, revision = name.partition("@")
    try:
        return Path(
            huggingface_hub.snapshot_download(
                repository, revision=revision or None, allow_patterns=[CONFIG, WEIGHTS, PICKLED_WEIGHTS]
            )
        )
    except Exception as error:  # the network fails in many ways
        raise ModelError(
            f"'hf_hub:{name}' cannot be downloaded: {first_line(error)} Check the name and the network; on a machine "
            "without one, copy the repository's files there and give local-dir:FOLDER."
        ) from error


def first_line(error: Exception) -> str:
    """What an error of the network says first, as a sentence."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith(".") else f"{line}."


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        if (folder / WEIGHTS).is_file():
            return load_file(folder / WEIGHTS)
        weights = torch.load(folder / PICKLED_WEIGHTS, map_location="cpu", weights_only=True)
        return dict(weights.get("state_dict", weights))
    except FileNotFoundError:
        raise ModelError(f"There are no weights in '{folder}': neither {WEIGHTS} nor {PICKLED_WEIGHTS}.") from None
    except Exception as error:  # torch and safetensors raise many types on damaged files
        kind = "damaged" if isinstance(error, SafetensorError) else "damaged, or holds code"
        raise ModelError(f"The weights in '{folder}' cannot be read: the file is {kind}.") from error

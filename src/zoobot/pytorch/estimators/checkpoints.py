"""Checkpoints of Zoobot versions 1 and 2: Lightning files with the weights `encoder.*` and `head.*`.

They are read as tensors and plain values. A file that holds anything else is refused: loading never runs code.
"""

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoobot.errors import ModelError

_ENCODER = "encoder."
_OLD_NAMES = {"efficientnet": "efficientnet_b0"}


@dataclass(frozen=True)
class Checkpoint:
    """An encoder out of a checkpoint.

    Args:
        architecture: a name of timm.
        options: what else timm was told.
        weights: of the encoder.
    """

    architecture: str
    options: Mapping[str, Any]
    weights: Mapping[str, Tensor]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the encoder of a checkpoint; `ModelError` where there is none, or the file holds more than plain values."""
    if not path.is_file():
        raise ModelError(f"There is no checkpoint '{path}'.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other protocols of pickle, just before refusing them
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        if "Unsupported" in str(error) or "WeightsUnpickler" in str(error):
            raise ModelError(
                f"The checkpoint '{path}' holds more than tensors and plain values, and is not loaded: that could run "
                "code. Save its state_dict and hyper_parameters alone, where you trust it."
            ) from error
        raise ModelError(f"The checkpoint '{path}' is damaged, or none of torch.") from error
    try:
        state, settings = content["state_dict"], content.get("hyper_parameters", {})
        weights = {name.removeprefix(_ENCODER): tensor for name, tensor in state.items() if name.startswith(_ENCODER)}
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The checkpoint '{path}' has no state_dict: it is none of Lightning.") from error
    if not weights:
        raise ModelError(f"The checkpoint '{path}' has no weights 'encoder.*': it is none of a Zoobot.")
    name = settings.get("architecture_name")
    if not isinstance(name, str):
        raise ModelError(
            f"The checkpoint '{path}' does not say its architecture (hyper_parameters: architecture_name). Build the "
            "encoder with timm, load its weights, and give it as a module."
        )
    return Checkpoint(_OLD_NAMES.get(name, name), dict(settings.get("timm_kwargs") or {}), weights)

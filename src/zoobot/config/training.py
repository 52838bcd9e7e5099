"""How models are trained from scratch."""

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from zoobot.config.learning import KerasSettings, LearnSettings, TorchSettings

PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {},
    # Walmsley et al. 2022, MNRAS 509, 3966, section 4: any 224 x 224 of an image reduced to 300 x 300 pixels
    "decals": {
        "architecture": "efficientnet_b0",
        "image_size": 224,
        "crop_bounds": (0.7467, 0.7467),
        "max_shift": 0.1267,
        "aspect_bounds": (1.0, 1.0),
        "batch_size": 128,
        "epochs": 200,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "schedule": "constant",
        "patience": 10,
        "dropout": 0.2,
        "concentration_bounds": (1.0, 101.0),
    },
}
KERAS_PRESETS = {**PRESETS, "decals": {**PRESETS["decals"], "architecture": "EfficientNetB0"}}


class AnyTrainSettings(LearnSettings):
    """What training from scratch takes in every framework."""

    _presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    preset: Literal["laptop", "decals"] = "laptop"
    """A set of defaults: laptop (small and quick), decals (Walmsley et al. 2022). Any value can be set alone."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    """Optimiser."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """Learning rate over time: one-cycle rises, then falls to 0 at the last epoch."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: dict[str, Any]) -> dict[str, Any]:
        preset = values.get("preset", "laptop")
        return {**(cls._presets.get(preset, {}) if isinstance(preset, str) else {}), **values}


class TrainSettings(AnyTrainSettings, TorchSettings):
    """How a model is trained with PyTorch. The defaults are the preset `laptop`."""

    architecture: str = "resnet18"
    """Encoder: any model name of timm."""


class KerasTrainSettings(AnyTrainSettings, KerasSettings):
    """How a model is trained with Keras. The defaults are the preset `laptop`."""

    _presets: ClassVar[dict[str, dict[str, Any]]] = KERAS_PRESETS
    architecture: str = "EfficientNetB0"
    """Encoder: any name of keras.applications."""

"""How the speed of a machine is measured."""

from typing import Annotated, Literal

from pydantic import Field

from zoobot.config.images import ImageSettings
from zoobot.config.values import Device, Precision


class BenchSettings(ImageSettings):
    """How the speed of this machine is measured."""

    architecture: str = "resnet18"
    """Encoder: any model name of timm."""
    image_size: int = Field(96, ge=48, le=4096)
    """Side of the model's square input, in pixels."""
    batch_size: int = Field(32, ge=1)
    """Galaxies per batch."""
    workers: list[Annotated[int, Field(ge=0)]] = Field([0, 1, 2], min_length=1)
    """Processes that read images; repeatable. The first is also used in training and prediction."""
    augment_on: Literal["cpu", "device"] = "cpu"
    """Where images are cut and resampled."""
    device: Device = "auto"
    """Where to train and predict."""
    precision: Precision = "32"
    """Arithmetic of the encoder."""
    seconds: float = Field(3.0, gt=0)
    """How long each thing is measured."""


class KerasBenchSettings(ImageSettings):
    """How the speed of this machine with Keras is measured."""

    architecture: str = "EfficientNetB0"
    """Encoder: any name of keras.applications."""
    image_size: int = Field(96, ge=48, le=4096)
    """Side of the model's square input, in pixels."""
    batch_size: int = Field(32, ge=1)
    """Galaxies per batch."""
    augment_in_model: bool = False
    """Cut and resample whole batches in layers at the front of the model, instead of while reading."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train."""
    precision: Precision = "32"
    """Arithmetic of the encoder."""
    seconds: float = Field(3.0, gt=0)
    """How long each thing is measured."""

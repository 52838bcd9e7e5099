"""How models learn, from scratch or finetuned: what every framework takes, and what each takes beside it."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from zoobot.config.catalogs import CatalogSettings
from zoobot.config.images import ImageSettings
from zoobot.config.values import Device, Fraction, Precision, check_bounds, check_fractions

if TYPE_CHECKING:
    from zoobot.shared.adjustments import Adjustments


class LearnSettings(CatalogSettings, ImageSettings):
    """What training and finetuning have in common in every framework: what is seen, and how long."""

    image_size: int = Field(96, ge=48, le=4096)
    """Side of the model's square input, in pixels."""
    crop_bounds: tuple[float, float] = (0.6, 0.8)
    """Smallest and largest side of the square cut from each image, as a fraction of its shorter side."""
    max_shift: Fraction = 0.05
    """Largest offset of the cut's centre in training, as a fraction of the image's shorter side."""
    aspect_bounds: tuple[float, float] = (0.9, 1.1)
    """Smallest and largest width : height of what is cut in training."""
    augmentations: Literal["none", "astro"] = "none"
    """In training, also imitate sky and telescope: sources, missing data, gradients, seeing, noise and distortion."""
    batch_size: int = Field(32, ge=1)
    """Galaxies per training step, on each device."""
    epochs: int = Field(100, ge=1)
    """Passes over the training galaxies, at most."""
    learning_rate: float = Field(2e-3, gt=0)
    """Learning rate; its peak under the one-cycle schedule."""
    weight_decay: float = Field(0.05, ge=0)
    """Weight decay, of weights only (not biases or norms)."""
    patience: int | None = Field(None, ge=1)
    """Stop after so many epochs without a better validation loss. Meant for the constant schedule."""
    gradient_clip: float = Field(1.0, gt=0)
    """Largest norm of a step's gradient."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Dropout before the head."""
    concentration_bounds: tuple[float, float] = (0.05, 100.05)
    """Smallest and largest concentration; published models have 1 101."""
    split: tuple[Fraction, Fraction, Fraction] = (0.7, 0.1, 0.2)
    """Fractions of galaxies for training, validation and test."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the split, the weights and every random view."""
    devices: int = Field(1, ge=1)
    """Number of GPUs of this machine."""
    precision: Precision = "32"
    """Arithmetic of the encoder; the loss is always float32."""
    on_bad_image: Literal["stop", "drop"] = "stop"
    """What to do before the first epoch about images that cannot be read."""

    @model_validator(mode="after")
    def _check_pairs(self) -> "LearnSettings":
        check_bounds("crop_bounds", self.crop_bounds, 0.0, 1.0)
        check_bounds("aspect_bounds", self.aspect_bounds, 0.0, 10.0)
        check_bounds("concentration_bounds", self.concentration_bounds, 0.0, 1e6)
        if self.concentration_bounds[0] == self.concentration_bounds[1]:
            raise ValueError(f"concentration_bounds must differ. Got {self.concentration_bounds} instead.")
        check_fractions(self.split)
        return self

    @property
    def adjustments(self) -> "Adjustments":
        """What is done to each image."""
        from zoobot.shared.adjustments import Adjustments  # OpenCV: not for --help

        return Adjustments(
            image_size=self.image_size,
            crop_bounds=self.crop_bounds,
            max_shift=self.max_shift,
            aspect_bounds=self.aspect_bounds,
            augmentations=self.augmentations,
        )


class TorchSettings(LearnSettings):
    """Where PyTorch reads images and learns."""

    augment_on: Literal["cpu", "device"] = "cpu"
    """Where images are cut and resampled: by the processes that read them, or whole batches on the GPU."""
    workers: int | None = Field(None, ge=0)
    """Processes that read images; by default one per core, 8 at most, with a CUDA GPU, else none."""
    device: Device = "auto"
    """Where to train."""

    @model_validator(mode="after")
    def _check_where(self) -> "TorchSettings":
        if self.augmentations == "astro" and self.augment_on == "device":
            raise ValueError("augmentations astro are made on the CPU. Leave out augment_on device.")
        return self


class KerasSettings(LearnSettings):
    """Where Keras reads images and learns."""

    augment_in_model: bool = False
    """Cut and resample whole batches in layers at the front of the model, instead of while reading."""
    workers: int | None = Field(None, ge=1)
    """Batches that are read at once; by default one per core."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train."""

    @model_validator(mode="after")
    def _check_where(self) -> "KerasSettings":
        if self.augmentations == "astro" and self.augment_in_model:
            raise ValueError("augmentations astro are made while reading. Leave out augment_in_model.")
        return self

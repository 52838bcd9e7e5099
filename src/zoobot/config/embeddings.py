"""How galaxies become features, and what is found in features."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from zoobot.config.images import ImageSettings
from zoobot.config.settings import Settings
from zoobot.config.values import Device, Precision, check_bounds


class EmbedSettings(ImageSettings):
    """How galaxies become features. What the encoder expects of images need not be given."""

    image_size: int = Field(224, ge=48, le=4096)
    """Side of the square input, in pixels; where the encoder was made for one size, that."""
    crop_bounds: tuple[float, float] = (0.6, 0.8)
    """The mean of these is the side of the central square that is seen, as a fraction of the image's shorter side."""
    pca: int | None = Field(None, ge=1)
    """Also write so many principal components, in pca_N.parquet, and what makes them, in pca_N.npz."""
    pca_from: Path | None = None
    """Make the principal components with this file, so that they can be compared with those of other galaxies."""
    shard: str | None = None
    """Embed one share of the parts, as I/N, such as 3/8. Under torchrun and srun each process takes its own."""
    batch_size: int = Field(64, ge=1)
    """Galaxies per step."""
    on_bad_row: Literal["stop", "drop"] = "stop"
    """What to do about rows that cannot be used: stop, or leave them out and list them in rejected.csv."""
    on_bad_image: Literal["skip", "stop"] = "skip"
    """List unreadable images in rejected.csv and go on, or stop at the first."""
    part_size: int = Field(10_000, ge=1)
    """Galaxies in one Parquet file; also how many are held in memory."""
    workers: int | None = Field(None, ge=0)
    """Processes that read images; by default one per core, 8 at most, with a CUDA GPU, else none."""
    device: Device = "auto"
    """Where to embed."""
    precision: Precision = "32"
    """Arithmetic of the encoder."""

    @model_validator(mode="after")
    def _check_crop(self) -> "EmbedSettings":
        check_bounds("crop_bounds", self.crop_bounds, 0.0, 1.0)
        if self.pca is not None and self.pca_from is not None:
            raise ValueError("pca fits components and pca_from uses those of a file. Give one of them.")
        return self


class SimilarSettings(Settings):
    """How similar galaxies are found."""

    k: int = Field(20, ge=1)
    """How many."""


class AnomalySettings(Settings):
    """How unusual galaxies are found."""

    neighbours: int = Field(10, ge=1)
    """Nearest galaxies whose mean distance counts."""
    shown: int = Field(60, ge=1)
    """Galaxies in the gallery."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the isolation forest."""


class MapSettings(Settings):
    """How a map of an embedding is drawn."""

    neighbours: int = Field(15, ge=2)
    """Nearest galaxies that are kept together."""
    cells: int = Field(30, ge=2, le=200)
    """Thumbnails along each side."""
    side: int = Field(48, ge=8, le=512)
    """Side of a thumbnail, in pixels."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the layout."""

"""How images are read, and how they are prepared."""

from typing import Any, Literal

from pydantic import Field, model_validator

from zoobot.config.catalogs import CatalogSettings
from zoobot.config.settings import Settings
from zoobot.config.values import Name

Stretch = Literal["linear", "percentile", "zscale", "asinh", "lupton"]
# Which stretch each parameter belongs to; see `zoobot.shared.stretches`.
STRETCH_PARAMETERS: dict[str, tuple[Stretch, ...]] = {
    "value_range": ("linear", "asinh"),
    "percentiles": ("percentile",),
    "contrast": ("zscale",),
    "softening": ("asinh", "lupton"),
    "lupton_range": ("lupton",),
}


class ImageSettings(Settings):
    """How image files become pixels of 0 to 255. Recorded with prepared images and with models."""

    color: bool = False
    """Keep colours: RGB, or each band of FITS images as a channel. Otherwise one grey channel."""
    stretch: Stretch | None = None
    """How brightness in FITS images becomes grey: linear, percentile, zscale, asinh or lupton (three bands to RGB)."""
    value_range: tuple[float, float] | None = None
    """Brightness that becomes black and white under linear and asinh; by default each image's darkest and brightest."""
    percentiles: tuple[float, float] = (0.5, 99.5)
    """Percentiles of each image that become black and white under percentile."""
    contrast: float = Field(0.25, gt=0, le=1)
    """Contrast under zscale."""
    softening: float | None = Field(None, gt=0)
    """Under asinh, the fraction of the range that stays linear; under lupton, Q. By default 0.02 and 8."""
    lupton_range: tuple[float, float] = (0.0, 0.2)
    """Brightness that becomes black under lupton, and the width of the linear part above it (nanomaggies: 0 0.2)."""
    hdu: list[Name] = []
    """Extension of FITS files to read, by name or number; repeated, each is a band. By default the first image."""

    @model_validator(mode="after")
    def _check_stretch(self) -> "ImageSettings":
        for name, stretches in STRETCH_PARAMETERS.items():
            is_given = getattr(self, name) != type(self).model_fields[name].default
            if is_given and self.stretch not in stretches:
                belongs, instead = " or ".join(stretches), self.stretch or "none"
                raise ValueError(f"{name} belongs to the stretch {belongs}. Got the stretch {instead} instead.")
        for name, bounds in (("value_range", self.value_range), ("percentiles", self.percentiles)):
            if bounds is not None and not bounds[0] < bounds[1]:
                raise ValueError(f"{name} must be two numbers, the smaller one first. Got {bounds} instead.")
        if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise ValueError(f"percentiles must be two numbers from 0 to 100. Got {self.percentiles} instead.")
        if self.lupton_range[1] <= 0:
            raise ValueError(f"The second number of lupton_range must be above 0. Got {self.lupton_range} instead.")
        return self

    @property
    def reading(self) -> "ImageSettings":
        """These settings alone."""
        return ImageSettings(**self.record_reading())

    def record_reading(self) -> dict[str, Any]:
        """Those of these settings that apply, to be kept beside what was made with them."""
        names = set(ImageSettings.model_fields) - {
            name for name, where in STRETCH_PARAMETERS.items() if self.stretch not in where
        }
        return self.model_dump(mode="json", include=names)


class PrepareSettings(CatalogSettings, ImageSettings):
    """How images are prepared: decoded once, into files that are fast to read."""

    format: Literal["store", "tfrecord", "webdataset"] = "store"
    """Files to write: a memory-mapped store, TFRecords, or tar files for WebDataset."""
    image_size: int = Field(300, ge=16, le=4096)
    """Side of the prepared images, in pixels: the central square, reduced by averaging."""
    pixels: Literal["raw", "jpeg"] = "raw"
    """Write pixels, or keep the bytes of JPEG files as they are, at their own size (tfrecord and webdataset)."""
    shard_size: int = Field(2048, ge=1)
    """Galaxies in one file."""
    on_bad_image: Literal["drop", "stop"] = "drop"
    """List images that cannot be read in rejected.csv and go on, or stop at the first."""
    workers: int | None = Field(None, ge=1)
    """Images that are read at once; by default one per core."""

    @model_validator(mode="after")
    def _check_pixels(self) -> "PrepareSettings":
        if self.pixels == "jpeg" and self.format == "store":
            raise ValueError("pixels jpeg needs the format tfrecord or webdataset: a store holds pixels.")
        if self.pixels == "jpeg" and self.stretch:
            raise ValueError("pixels jpeg keeps files as they are, so no stretch can be given.")
        if self.pixels == "jpeg" and self.image_size != type(self).model_fields["image_size"].default:
            raise ValueError("pixels jpeg keeps files at their own size, so no image_size can be given.")
        return self

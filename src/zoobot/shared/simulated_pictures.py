"""Pictures of simulated galaxies: their light through a telescope, stretched to a colour image as cutouts are."""

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.errors import SettingError
from zoobot.shared.simulated_galaxies import REFERENCE_SIZE, Galaxy
from zoobot.shared.simulated_light import (
    FloatImage,
    add_companion,
    add_field,
    coloured,
    galaxy_light,
    rotate,
    sky_offsets,
)

_SKY_LEVEL = 1.2
_LINEAR_BELOW = 4.0
_WHITE_AT = 900.0


def render_galaxy(
    parameters: "Galaxy | Mapping[str, Any] | pd.Series[Any]", image_size: int = REFERENCE_SIZE
) -> npt.NDArray[np.uint8]:
    """The picture of one galaxy, (image_size, image_size, 3) uint8 in the order red, green, blue.

    `parameters` is a `Galaxy`, a mapping, or one row of `draw_galaxies`; the same row gives the same bytes.
    The sky noise per pixel grows as the pixels shrink, as it does for a fixed exposure.
    """
    if image_size < 16:
        raise SettingError(
            f"The 'image_size' parameter of render_galaxy must be at least 16. Got {image_size} instead."
        )
    galaxy = _as_galaxy(parameters)
    random = np.random.default_rng(galaxy.noise_seed)
    light = galaxy_light(galaxy, image_size, random)
    add_companion(light, galaxy, random)
    add_field(light, galaxy, random)
    light = _convolve(light, galaxy.psf_fwhm * image_size)
    _add_artifact(light, galaxy, random)
    noise = image_size / REFERENCE_SIZE * np.sqrt(1 + np.maximum(light, 0) / 60)
    light += noise * random.standard_normal(light.shape, dtype=np.float32)
    if galaxy.artifact == "corrupted":
        _corrupt(light, galaxy.artifact_strength, random)
    return _stretch(light)


def _as_galaxy(parameters: "Galaxy | Mapping[str, Any] | pd.Series[Any]") -> Galaxy:
    """With Python's own numbers: those of numpy would turn float32 images into float64."""
    row: Mapping[Any, Any] = parameters._asdict() if isinstance(parameters, tuple) else dict(parameters)
    values = (row[name] for name in Galaxy._fields)
    return Galaxy(*(value.item() if isinstance(value, np.generic) else value for value in values))


def _convolve(light: FloatImage, fwhm: float) -> FloatImage:
    """88 % of the light in a Gaussian core of `fwhm` pixels, 12 % in wings 2.2 times as wide."""
    sigma = fwhm / 2.355
    core = cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    wings = cv2.GaussianBlur(core, (0, 0), math.sqrt(2.2**2 - 1) * sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.addWeighted(core, 0.88, wings, 0.12, 0), np.float32)


def _add_artifact(light: FloatImage, galaxy: Galaxy, random: np.random.Generator) -> None:
    """A bright star with diffraction spikes, or the trail of a satellite."""
    if galaxy.artifact not in ("star", "trail"):
        return
    right, down = sky_offsets(light.shape[0], *random.uniform(-0.12, 0.12, 2).tolist())
    along, across = rotate(right, down, random.uniform(0, 180))
    if galaxy.artifact == "trail":
        glow = 120 * np.exp(-0.5 * (across / random.uniform(0.006, 0.015)) ** 2)
    else:
        reach = 0.3 * galaxy.artifact_strength
        glow = 900 * (1 + (along**2 + across**2) / 0.03**2) ** -1.4
        for length, width in ((along, across), (across, along)):
            glow += 150 * np.exp(-((width / 0.005) ** 2) - np.abs(length) / reach)
    light += coloured(galaxy.artifact_strength * glow, random.uniform(-0.4, 0.6))


def _corrupt(light: FloatImage, strength: float, random: np.random.Generator) -> None:
    """Part of the stamp is empty, and bands of rows are out of place or saturated."""
    size = light.shape[0]
    np.rot90(light, int(random.integers(4)))[int(size * (1 - 0.6 * strength)) :] = -_SKY_LEVEL
    for start in random.integers(0, size, int(2 + 6 * strength)):
        saturated = random.random() < 0.3
        band = slice(start, start + 1 + size // (128 if saturated else 24))
        light[band] = 60.0 if saturated else np.roll(light[band], random.integers(size), axis=1)


def _stretch(light: FloatImage) -> npt.NDArray[np.uint8]:
    """Survey-like colour image that keeps the colours of bright pixels (Lupton et al. 2004, PASP 116, 133).

    Each band is multiplied by f(I) / I: I is the mean of the bands, f(I) = asinh(I / 4) / asinh(900 / 4).
    """
    bands = np.moveaxis(light + _SKY_LEVEL, 2, 0)
    mean = np.maximum((bands[0] + bands[1] + bands[2]) / 3, 1e-3)
    bright = np.arcsinh(mean / _LINEAR_BELOW) / math.asinh(_WHITE_AT / _LINEAR_BELOW)
    image = np.maximum(bands, 0) * (bright / mean)
    image /= np.maximum(image.max(axis=0), 1)
    return np.ascontiguousarray(np.moveaxis(np.rint(image * 255).astype(np.uint8), 0, 2))

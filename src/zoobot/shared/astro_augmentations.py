"""Augmentations that imitate what the sky and the telescope do to an image, each by itself or all in turn.

The ideas are those that the package AstroAugmentations made known for optical images: sources in front of the galaxy,
missing data, a brightness gradient, the point-spread function and noise, and elastic distortion. Images are uint8
`(height, width, channel)`, any number of channels; lengths follow the image's side. Every effect takes a random
generator, so that one seed gives one image.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from zoobot.shared.images import ImageArray
from zoobot.shared.light_profiles import FloatImage, sersic_profile

Effect = Callable[[ImageArray, np.random.Generator], ImageArray]

PROBABILITY = 0.25
"""How often `augment` applies each effect: to an image 1.75 of the seven, on average."""


def distort(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Elastic distortion: pixels move by up to 2.5 % of the side, smoothly over an eighth; the border is mirrored."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    reach = np.float32(rng.uniform(0.005, 0.025) * min(height, width))
    coarse = rng.uniform(-1, 1, (2, 8, 8)).astype(np.float32) * reach
    x, y = (cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in coarse)
    moved = [
        cv2.remap(np.ascontiguousarray(channel), columns + x, rows + y, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT_101)
        for channel in np.moveaxis(image, 2, 0)
    ]
    return np.asarray(np.stack(moved, axis=2), np.uint8)


def add_sersic_source(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Superimpose another galaxy: a Sersic profile of index 0.8 to 4, anywhere.

    Its half-light radius is 2 to 8 % of the side; there it has 5 to 40 % of the image's highest brightness.
    """
    radius = rng.uniform(0.02, 0.08) * min(image.shape[:2])
    index = rng.uniform(0.8, 4)
    along, across = _turned_offsets(image, rng)
    radii = np.hypot(along, across / np.float32(rng.uniform(0.3, 1))) + np.float32(0.5)
    at_radius = sersic_profile(np.array([radius], np.float32), radius, index)
    return _add_light(image, sersic_profile(radii, radius, index) / at_radius * rng.uniform(0.05, 0.4), rng)


def add_gaussian_source(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Superimpose a star: a Gaussian of 0.6 to 2 % of the side, anywhere, 0.3 to 1.5 times as bright as the image."""
    along, across = _turned_offsets(image, rng)
    width = np.float32(rng.uniform(0.006, 0.02) * min(image.shape[:2]))
    return _add_light(image, np.exp(-(along**2 + across**2) / (2 * width**2)) * rng.uniform(0.3, 1.5), rng)


def add_brightness_gradient(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Scattered light: a ramp across the image, in any direction, from 0 to 5 to 25 % of the full range."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    right, down = np.linspace(0, np.cos(angle), width), np.linspace(0, np.sin(angle), height)
    across = right + down[:, np.newaxis]
    ramp = (across - across.min()) / (np.ptp(across) or 1) * rng.uniform(0.05, 0.25) * 255
    return _to_grey(image + ramp[:, :, np.newaxis])


def blur_with_psf(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Poorer seeing: a Gaussian point-spread function of 0.4 to 1.5 % of the side."""
    width = rng.uniform(0.004, 0.015) * min(image.shape[:2])
    blurred = [cv2.GaussianBlur(np.ascontiguousarray(channel), (0, 0), width) for channel in np.moveaxis(image, 2, 0)]
    return np.asarray(np.stack(blurred, axis=2), np.uint8)


def add_noise(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Gaussian noise of 1 to 5 % of the full range, independent in every channel."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return _to_grey(image + noise * np.float32(rng.uniform(0.01, 0.05) * 255))


def drop_rectangles(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Missing data: one to three rectangles of up to a quarter of the side, black, each in one channel or in all."""
    height, width, channels = image.shape
    dropped = image.copy()
    for _ in range(rng.integers(1, 4)):
        tall, wide = (max(1, int(rng.uniform(0.02, 0.25) * side)) for side in (height, width))
        top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
        channel = rng.integers(0, channels + 1)
        where = slice(None) if channel == channels else channel
        dropped[top : top + tall, left : left + wide, where] = 0
    return dropped


EFFECTS: dict[str, Effect] = {
    "distort": distort,
    "add_sersic_source": add_sersic_source,
    "add_gaussian_source": add_gaussian_source,
    "add_brightness_gradient": add_brightness_gradient,
    "blur_with_psf": blur_with_psf,
    "add_noise": add_noise,
    "drop_rectangles": drop_rectangles,
}
"""In the order in which they happen between the galaxy and the file."""


def augment(
    images: ImageArray,
    seeds: Sequence[int | Sequence[int]],
    effects: Sequence[Effect] = tuple(EFFECTS.values()),
    probability: float = PROBABILITY,
) -> ImageArray:
    """Augment a batch: each image gets each effect with a probability.

    Args:
        images: uint8 `(galaxy, height, width, channel)`; not changed.
        seeds: one for each galaxy, numbers of 0 or more; one seed gives one image, whatever the batch.
        effects: in the order in which they are applied.
        probability: of each effect, 0 to 1.

    Returns:
        uint8 of the same shape.
    """
    augmented = np.empty_like(images)
    for place, (image, seed) in enumerate(zip(images, seeds, strict=True)):
        rng = np.random.default_rng(seed)
        for effect in effects:
            if rng.random() < probability:
                image = effect(image, rng)
        augmented[place] = image
    return augmented


def _turned_offsets(image: ImageArray, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    """Distances from a random place along and across a random direction, in pixels."""
    height, width = image.shape[:2]
    right = np.arange(width, dtype=np.float32) - np.float32(rng.uniform(0, width))
    down = (np.arange(height, dtype=np.float32) - np.float32(rng.uniform(0, height)))[:, np.newaxis]
    angle = rng.uniform(0, np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return right * cosine + down * sine, down * cosine - right * sine


def _add_light(image: ImageArray, light: npt.NDArray[Any], rng: np.random.Generator) -> ImageArray:
    """Add a source of a random colour; `light` is in units of the image's highest brightness."""
    colour = rng.uniform(0.6, 1, size=(image.shape[2],)) * max(int(image.max()), 30)
    return _to_grey(image + light[:, :, np.newaxis] * colour.astype(np.float32))


def _to_grey(values: npt.NDArray[Any]) -> ImageArray:
    grey: ImageArray = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return grey

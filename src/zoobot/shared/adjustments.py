"""Adjustments of an image on its way to a model: one affine resampling, random in training, fixed otherwise.

Rotation, flips, zoom crop, offset and aspect ratio are composed into one matrix, so that every pixel is interpolated
once. The matrix follows from `(seed, epoch, galaxy)` alone, so that any one view can be made again. Before, detail that
is too fine for the input is averaged away.
"""

import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from zoobot.shared.astro_augmentations import augment
from zoobot.shared.images import ImageArray

Matrix = npt.NDArray[np.float64]
Key = tuple[int, int, int]
"""`(seed, epoch, galaxy)`: what a random view follows from."""

_MOST_CHANNELS = 4
"""OpenCV's warp and resize take no more at once."""
_SAMPLED_WELL = 1.1
"""Pixels of image for one of input up to which bilinear sampling needs no averaging before it."""


@dataclass(frozen=True)
class Adjustments:
    """How images are cut and resampled.

    Args:
        image_size: side of the model's square input, in pixels.
        crop_bounds: smallest and largest side of the square cut from the image, as a fraction of the image's
            shorter side. Training draws between them; otherwise their mean is cut from the centre.
        max_shift: largest offset of the cut's centre in training, along each axis, as a fraction of the image's
            shorter side.
        aspect_bounds: smallest and largest width : height of what is cut in training.
        augmentations: what is done to the view in training, besides: `none`, or `astro_augmentations`.
    """

    image_size: int
    crop_bounds: tuple[float, float] = (1.0, 1.0)
    max_shift: float = 0.0
    aspect_bounds: tuple[float, float] = (1.0, 1.0)
    augmentations: Literal["none", "astro"] = "none"

    @property
    def reading_size(self) -> int:
        """Shorter side, in pixels, of an image whose mean crop has one pixel for each pixel of input.

        A larger one holds detail that is not seen, a smaller one lacks some.
        """
        return round(self.image_size / (sum(self.crop_bounds) / 2))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def smooth(image: ImageArray, reading_size: int) -> ImageArray:
    """Average away detail of `(height, width, channel)` that an image of `reading_size` could not hold.

    First the means of whole blocks of pixels, then a Gaussian for the rest: what is left can be sampled at any point
    without aliasing. Reducing by the fraction itself takes OpenCV longer than decoding.
    """
    scale = min(image.shape[:2]) / reading_size
    block = int(scale)
    if block > 1:
        height, width = image.shape[0] // block, image.shape[1] // block
        top, left = (image.shape[0] - height * block) // 2, (image.shape[1] - width * block) // 2
        whole = image[top : top + height * block, left : left + width * block]
        image = _resize(whole, (width, height), cv2.INTER_AREA)
        scale /= block
    if scale < _SAMPLED_WELL:
        return image
    sigma = math.sqrt(scale**2 - 1) / 2
    side = 3 if sigma < 0.6 else 5
    return _with_channel(cv2.GaussianBlur(image, (side, side), sigma, borderType=cv2.BORDER_REFLECT_101))


def to_square(image: ImageArray, size: int) -> ImageArray:
    """The central square of `(height, width, channel)`, reduced by area averaging or enlarged to `size` pixels."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side == size:
        return square
    return _resize(square, (size, size), cv2.INTER_AREA if side > size else cv2.INTER_LINEAR)


def draw_uniform(key: Key) -> tuple[float, ...]:
    """Six numbers from 0 to 1 that follow from a key: BLAKE2b, in a tenth of the time of a numpy generator."""
    digest = hashlib.blake2b(struct.pack("<3Q", *key), digest_size=48).digest()
    return tuple(number / 2**64 for number in struct.unpack("<6Q", digest))


def random_matrix(adjustments: Adjustments, shape: tuple[int, ...], draws: Sequence[float]) -> Matrix:
    """A random view of an image of that shape: `(2, 3)`, from input pixels to image pixels `(x, y)`.

    Args:
        draws: six numbers from 0 to 1: crop, angle, flip, offset along x and y, aspect.
    """
    crop = _between(adjustments.crop_bounds, draws[0])
    angle = 2 * math.pi * draws[1]
    flip = 1.0 if draws[2] < 0.5 else -1.0  # with a rotation by any angle, one flip gives all of them
    shift = [adjustments.max_shift * (2 * draw - 1) for draw in draws[3:5]]
    low, high = adjustments.aspect_bounds
    stretch = math.exp(_between((math.log(low), math.log(high)), draws[5]) / 2)
    cosine, sine = math.cos(angle), math.sin(angle)
    linear = (cosine * flip * stretch, -sine / stretch, sine * flip * stretch, cosine / stretch)
    return _matrix(adjustments, shape, crop, linear, shift)


def central_matrix(adjustments: Adjustments, shape: tuple[int, ...]) -> Matrix:
    """The same view for every image of that shape: the mean crop, centred, upright."""
    return _matrix(adjustments, shape, sum(adjustments.crop_bounds) / 2, (1.0, 0.0, 0.0, 1.0), (0.0, 0.0))


def warp(image: ImageArray, matrix: Matrix, view: ImageArray) -> None:
    """Resample `(height, width, channel)` into `view`, `(image_size, image_size, channel)`; the border is mirrored."""
    if view.shape[2] > _MOST_CHANNELS:
        for some in _groups(view.shape[2]):
            part = np.empty_like(view[:, :, some], order="C")
            warp(np.ascontiguousarray(image[:, :, some]), matrix, part)
            view[:, :, some] = part
        return
    cv2.warpAffine(
        image,
        matrix,
        view.shape[1::-1],
        dst=view,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def choose_matrix(adjustments: Adjustments, shape: tuple[int, ...], key: Key | None) -> Matrix:
    """The matrix of the random view that follows from `key`; of the central view without one."""
    if key is None:
        return central_matrix(adjustments, shape)
    return random_matrix(adjustments, shape, draw_uniform(key))


def adjust(
    image: ImageArray, adjustments: Adjustments, key: Key | None = None, view: ImageArray | None = None
) -> ImageArray:
    """One model input `(image_size, image_size, channel)` from one image.

    Args:
        image: `(height, width, channel)`.
        key: `(seed, epoch, galaxy)` for the random view of training; the central view without it.
        view: where to put it, such as a place in a batch.
    """
    smoothed = smooth(image, adjustments.reading_size)
    if view is None:
        view = np.empty((adjustments.image_size, adjustments.image_size, image.shape[2]), np.uint8)
    if key is None and smoothed.shape == view.shape and sum(adjustments.crop_bounds) == 2:
        view[...] = smoothed  # the whole image as it is
        return view
    if not smoothed.flags.writeable:
        # part of a memory map: a copy in order, then turning what is in the processor's cache, takes half the time
        smoothed = smoothed.copy()
    warp(smoothed, choose_matrix(adjustments, smoothed.shape, key), view)
    if key is not None and adjustments.augmentations == "astro":
        view[...] = augment(view[np.newaxis], [key])[0]
    return view


def _matrix(
    adjustments: Adjustments,
    shape: tuple[int, ...],
    crop: float,
    linear: tuple[float, float, float, float],
    shift: Sequence[float],
) -> Matrix:
    """Plain numbers: for so few of them numpy takes longer than the rest of a view."""
    height, width = shape[:2]
    shorter = min(height, width)
    scale = crop * shorter / adjustments.image_size
    xx, xy, yx, yy = (scale * part for part in linear)
    centre = (adjustments.image_size - 1) / 2
    x = (width - 1) / 2 + shift[0] * shorter - (xx + xy) * centre
    y = (height - 1) / 2 + shift[1] * shorter - (yx + yy) * centre
    return np.array([[xx, xy, x], [yx, yy, y]])


def _between(bounds: tuple[float, float], draw: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * draw


def _resize(image: ImageArray, size: tuple[int, int], interpolation: int) -> ImageArray:
    """To `(width, height)`."""
    if image.shape[2] <= _MOST_CHANNELS:
        return _with_channel(cv2.resize(image, size, interpolation=interpolation))
    parts = [np.ascontiguousarray(image[:, :, some]) for some in _groups(image.shape[2])]
    return np.concatenate([_resize(part, size, interpolation) for part in parts], axis=2)


def _with_channel(image: npt.NDArray[Any]) -> ImageArray:
    return image[:, :, np.newaxis] if image.ndim == 2 else image


def _groups(channels: int) -> list[slice]:
    return [slice(first, first + _MOST_CHANNELS) for first in range(0, channels, _MOST_CHANNELS)]

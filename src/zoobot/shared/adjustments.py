"""Adjustments of an image on its way to a model: one affine resampling, random in training, fixed otherwise.

Rotation, flips, zoom crop, offset and aspect ratio are composed into one matrix, so that every pixel is interpolated
once. The matrix follows from `(seed, epoch, galaxy)` alone, so that any one view can be made again.
"""

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from zoobot.shared.images import ImageArray

Matrix = npt.NDArray[np.float64]
Key = tuple[int, int, int]
"""`(seed, epoch, galaxy)`: what a random view follows from."""

_MOST_CHANNELS = 4
"""OpenCV's warp and resize take no more at once."""


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
    """

    image_size: int
    crop_bounds: tuple[float, float] = (1.0, 1.0)
    max_shift: float = 0.0
    aspect_bounds: tuple[float, float] = (1.0, 1.0)

    @property
    def reading_size(self) -> int:
        """Shorter side, in pixels, to which a larger image is reduced before it is cut.

        A mean crop then has about one pixel of image for each pixel of input: no aliasing, no lost detail.
        """
        return round(self.image_size / (sum(self.crop_bounds) / 2))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def reduce_image(image: ImageArray, reading_size: int) -> ImageArray:
    """Shrink `(height, width, channel)` by area averaging, until its shorter side is `reading_size` pixels.

    A smaller image is returned as it is.
    """
    height, width = image.shape[:2]
    scale = reading_size / min(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _resize(image, size, cv2.INTER_AREA)


def to_square(image: ImageArray, size: int) -> ImageArray:
    """The central square of `(height, width, channel)`, reduced by area averaging or enlarged to `size` pixels."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side == size:
        return square
    return _resize(square, (size, size), cv2.INTER_AREA if side > size else cv2.INTER_LINEAR)


def random_matrix(adjustments: Adjustments, shape: tuple[int, ...], rng: np.random.Generator) -> Matrix:
    """A random view of an image of that shape: `(2, 3)`, from input pixels to image pixels `(x, y)`."""
    crop = rng.uniform(*adjustments.crop_bounds)
    angle = rng.uniform(0, 2 * np.pi)
    flip = rng.choice((-1.0, 1.0))  # with a rotation by any angle, one flip gives all of them
    shift = rng.uniform(-adjustments.max_shift, adjustments.max_shift, size=2)
    stretch = np.sqrt(np.exp(rng.uniform(*np.log(adjustments.aspect_bounds))))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return _matrix(adjustments, shape, crop, rotation @ np.diag([flip * stretch, 1 / stretch]), shift)


def central_matrix(adjustments: Adjustments, shape: tuple[int, ...]) -> Matrix:
    """The same view for every image of that shape: the mean crop, centred, upright."""
    return _matrix(adjustments, shape, sum(adjustments.crop_bounds) / 2, np.eye(2), np.zeros(2))


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
    return random_matrix(adjustments, shape, np.random.default_rng(key))


def adjust(
    image: ImageArray, adjustments: Adjustments, key: Key | None = None, view: ImageArray | None = None
) -> ImageArray:
    """One model input `(image_size, image_size, channel)` from one image.

    Args:
        image: `(height, width, channel)`.
        key: `(seed, epoch, galaxy)` for the random view of training; the central view without it.
        view: where to put it, such as a place in a batch.
    """
    reduced = reduce_image(image, adjustments.reading_size)
    if view is None:
        view = np.empty((adjustments.image_size, adjustments.image_size, image.shape[2]), np.uint8)
    if key is None and reduced.shape == view.shape and sum(adjustments.crop_bounds) == 2:
        view[...] = reduced  # the whole image as it is
        return view
    warp(reduced, choose_matrix(adjustments, reduced.shape, key), view)
    return view


def _matrix(
    adjustments: Adjustments, shape: tuple[int, ...], crop: float, linear: Matrix, shift: npt.NDArray[np.float64]
) -> Matrix:
    height, width = shape[:2]
    shorter = min(height, width)
    scaled = linear * (crop * shorter / adjustments.image_size)
    image_centre = np.array([(width - 1) / 2, (height - 1) / 2]) + shift * shorter
    input_centre = (adjustments.image_size - 1) / 2
    return np.column_stack([scaled, image_centre - scaled @ np.full(2, input_centre)])


def _resize(image: ImageArray, size: tuple[int, int], interpolation: int) -> ImageArray:
    """To `(width, height)`."""
    if image.shape[2] <= _MOST_CHANNELS:
        resized = np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
        return resized[:, :, np.newaxis] if resized.ndim == 2 else resized
    parts = [np.ascontiguousarray(image[:, :, some]) for some in _groups(image.shape[2])]
    return np.concatenate([_resize(part, size, interpolation) for part in parts], axis=2)


def _groups(channels: int) -> list[slice]:
    return [slice(first, first + _MOST_CHANNELS) for first in range(0, channels, _MOST_CHANNELS)]

"""Views: what a model sees of galaxies, whole batches at once, from image files and prepared folders alike."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zoobot.errors import ImageError, ShardError
from zoobot.shared.adjustments import Adjustments, Key, adjust, choose_matrix, smooth, to_square
from zoobot.shared.image_sources import ImageSource
from zoobot.shared.images import ImageArray


def render(
    images: ImageSource,
    positions: Sequence[int],
    adjustments: Adjustments,
    keys: Sequence[Key] | None = None,
    batch: ImageArray | None = None,
) -> ImageArray:
    """Views of some galaxies, uint8 `(galaxy, image_size, image_size, channel)`.

    Args:
        positions: of the galaxies among the images.
        keys: what each galaxy's random view follows from; central views without.
        batch: where to put them, in place of a new array.

    Raises:
        ImageError, ShardError: an image cannot be read.
    """
    size = adjustments.image_size
    if batch is None:
        batch = np.empty((len(positions), size, size, images.channels), np.uint8)
    for place, position in enumerate(positions):
        adjust(images.read(position), adjustments, keys[place] if keys else None, batch[place])
    return batch


def render_readable(
    images: ImageSource, positions: Sequence[int], adjustments: Adjustments
) -> tuple[list[int], ImageArray, dict[int, str]]:
    """Positions and central views of those galaxies whose images can be read; what is wrong with the others."""
    size = adjustments.image_size
    batch = np.empty((len(positions), size, size, images.channels), np.uint8)
    readable: list[int] = []
    problems: dict[int, str] = {}
    for position in positions:
        try:
            adjust(images.read(position), adjustments, None, batch[len(readable)])
            readable.append(position)
        except (ImageError, ShardError) as error:
            problems[position] = str(error)
    return readable, batch[: len(readable)], problems


def read_squares(
    images: ImageSource, positions: Sequence[int], adjustments: Adjustments, keys: Sequence[Key] | None
) -> tuple[ImageArray, npt.NDArray[np.float32]]:
    """Whole images of one size and the matrices of their views, for a device that resamples them itself.

    Returns:
        uint8 `(galaxy, size, size, channel)`, the central squares, smoothed; and `(galaxy, 2, 3)`, from input pixels to
        image pixels `(x, y)`.
    """
    read = [smooth(images.read(position), adjustments.reading_size) for position in positions]
    size = min(read[0].shape[:2])
    squares = np.empty((len(positions), size, size, images.channels), np.uint8)
    matrices = np.empty((len(positions), 2, 3), np.float32)
    for place, image in enumerate(read):
        squares[place] = to_square(image, size)
        matrices[place] = choose_matrix(adjustments, (size, size), keys[place] if keys else None)
    return squares, matrices

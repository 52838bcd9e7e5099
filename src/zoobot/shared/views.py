"""Views: what a model sees of galaxies, whole batches at once, from image files and prepared folders alike."""

from collections.abc import Iterable, Sequence

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


def read_reduced(images: ImageSource, positions: Sequence[int], reading_size: int) -> ImageArray:
    """Whole images as squares of `reading_size`, for a model that cuts views out of them itself.

    Returns:
        uint8 `(galaxy, reading_size, reading_size, channel)`.
    """
    squares = [to_square(smooth(images.read(position), reading_size), reading_size) for position in positions]
    return np.stack(squares)


def render_readable(
    images: ImageSource,
    positions: Sequence[int],
    adjustments: Sequence[Adjustments],
    keys: Sequence[Sequence[Key | None]],
) -> tuple[list[int], list[ImageArray], dict[int, str]]:
    """Views of those galaxies whose images can be read, each read once.

    Args:
        adjustments: several ways to see each image.
        keys: of each galaxy, one for each of its views: a random one that follows from it, or None for the central one.

    Returns:
        The positions that can be read; for each of the `adjustments` their views, `(galaxy x view, image_size,
        image_size, channel)`; and position -> what is wrong with the others.
    """
    n_views = len(keys[0])
    batches = [
        np.empty((len(positions) * n_views, each.image_size, each.image_size, images.channels), np.uint8)
        for each in adjustments
    ]
    readable: list[int] = []
    problems: dict[int, str] = {}
    for position, own_keys in zip(positions, keys, strict=True):
        try:
            image = images.read(position)
        except (ImageError, ShardError) as error:
            problems[position] = str(error)
            continue
        for batch, each in zip(batches, adjustments, strict=True):
            for view, key in enumerate(own_keys):
                adjust(image, each, key, batch[len(readable) * n_views + view])
        readable.append(position)
    return readable, [batch[: len(readable) * n_views] for batch in batches], problems


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


def view_keys(
    galaxies: Iterable[int] | npt.NDArray[np.uint64], seed: int, n_views: int, is_random: bool
) -> list[list[Key | None]]:
    """For each galaxy, given as the number its views follow from, their keys; None for the central one."""
    return [[(seed, view, int(galaxy)) if is_random else None for view in range(n_views)] for galaxy in galaxies]

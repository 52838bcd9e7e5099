"""Batches of views to predict, read by threads ahead of the model."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import keras
import numpy as np
import numpy.typing as npt

from zoobot.config import EmbedSettings, ImageSettings, PredictSettings
from zoobot.errors import ModelError
from zoobot.shared.adjustments import Adjustments, Key
from zoobot.shared.catalogs import Catalog
from zoobot.shared.image_sources import open_images
from zoobot.shared.images import ImageArray
from zoobot.shared.parts import MadeBatch, PartBatches
from zoobot.shared.training_runs import count_cores
from zoobot.shared.views import render_readable
from zoobot.tensorflow.devices import compiles, explain_out_of_memory, find_own_device

Views = tuple[list[int], dict[Adjustments, ImageArray], dict[int, str]]
"""Rows that can be read, their views by how images are adjusted, and row -> what is wrong with others."""
FindKeys = Callable[[list[int]], list[list[Key | None]]]
"""Rows -> for each galaxy, the keys of its views; None for the central one."""


def number_batches(
    encoder: keras.Model,
    say: Callable[[ImageArray], npt.NDArray[np.float32]],
    n_numbers: int,
    adjustments: Adjustments,
    reading: ImageSettings,
    galaxies: Catalog,
    parts: Sequence[range],
    settings: EmbedSettings | PredictSettings,
) -> Iterator[MadeBatch]:
    """Numbers of each galaxy's central view, `(galaxy, number)`, batch by batch.

    Args:
        encoder: which `say` runs.
        say: uint8 views `(galaxy, height, width, channel)` to numbers.

    Raises:
        ModelError: it says something that is not a number.
    """
    device = find_own_device(settings.device)
    encoder.jit_compile = compiles(device)
    for rows, views, problems in read_batches(galaxies, reading, [adjustments], _central, parts, settings):
        numbers = np.zeros((0, n_numbers), np.float32)
        if rows:
            with keras.device(device), explain_out_of_memory(settings.batch_size):
                numbers = say(views[adjustments])
            if not np.isfinite(numbers).all():
                raise ModelError("The model gives what is not a number. Try --precision 32.")
        yield MadeBatch(rows, numbers, problems)


def read_batches(
    galaxies: Catalog,
    reading: ImageSettings,
    adjustments: Sequence[Adjustments],
    find_keys: FindKeys,
    parts: Sequence[range],
    settings: EmbedSettings | PredictSettings,
) -> Iterator[Views]:
    """Batches of views, none of which reaches from one part into the next. Images are read once for all models."""
    images = open_images(galaxies, reading)

    def read(rows: list[int]) -> Views:
        readable, batches, problems = render_readable(images, rows, adjustments, find_keys(rows))
        return readable, dict(zip(adjustments, batches, strict=True)), problems

    workers = settings.workers or count_cores()
    waiting: deque[Future[Views]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for rows in PartBatches(parts, settings.batch_size):
            waiting.append(pool.submit(read, rows))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _central(rows: list[int]) -> list[list[Key | None]]:
    return [[None]] * len(rows)

"""Batches of views to predict, read by threads ahead of the model."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from zoobot.config import PredictSettings
from zoobot.shared.adjustments import Adjustments
from zoobot.shared.catalogs import Catalog
from zoobot.shared.image_sources import open_images
from zoobot.shared.images import ImageArray
from zoobot.shared.parts import PartBatches
from zoobot.shared.prediction_runs import count_views, sample_keys, shows_random_views
from zoobot.shared.training_runs import count_cores
from zoobot.shared.views import render_readable, view_keys
from zoobot.tensorflow.estimators.define_model import ZoobotTree
from zoobot.tensorflow.estimators.label_model import LabelModel

Views = tuple[list[int], dict[Adjustments, ImageArray], dict[int, str]]
"""Rows that can be read, their views by how images are adjusted, and row -> what is wrong with others."""


def read_batches(
    galaxies: Catalog, models: Sequence[ZoobotTree | LabelModel], parts: Sequence[range], settings: PredictSettings
) -> Iterator[Views]:
    """Batches of views, none of which reaches from one part into the next. Images are read once for all models."""
    images, keys = open_images(galaxies, models[0].settings.reading), sample_keys(galaxies, settings)
    adjustments = list(dict.fromkeys(model.settings.adjustments for model in models))

    def read(rows: list[int]) -> Views:
        of_views = view_keys(keys[rows], settings.seed, count_views(settings), shows_random_views(settings))
        readable, batches, problems = render_readable(images, rows, adjustments, of_views)
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

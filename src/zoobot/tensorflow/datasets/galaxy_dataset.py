"""Galaxies as `tf.data`: batches of views and votes, from image files, prepared folders and TFRecord shards.

Each view of training follows from the seed, the epoch and the galaxy, as in PyTorch. Views are cut by OpenCV in the
threads of `tf.data`; records are read, checked and shuffled by TensorFlow.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from zoobot.config import KerasSettings
from zoobot.errors import ImageError, ShardError
from zoobot.shared.catalogs import Catalog, galaxy_hash
from zoobot.shared.image_sources import ImageSource, open_images
from zoobot.shared.images import ImageArray
from zoobot.shared.label_columns import balance
from zoobot.shared.prepared_images import PreparedImages
from zoobot.shared.shards import decode_pixels
from zoobot.shared.training_runs import count_cores, draw_epoch, edges_of_batches
from zoobot.shared.views import read_reduced, render

_SHUFFLED = 2048
"""Records among which the next one is drawn, besides the order of the shards."""
_AT_ONCE = 4
"""Shards that are read by turns."""
_NO_EPOCH = -1
"""Of central views."""

Integers = npt.NDArray[np.int64]
_Rows = tuple[Integers, Integers]
"""The epoch of each galaxy's view, and its row."""


class GalaxyBatches:
    """Batches of one split of a catalog: uint8 `(galaxy, height, width, channel)` and votes `(galaxy, answer)`.

    Args:
        catalog: with votes, unless there are `labels`.
        settings: adjustments, batch size, seed and workers.
        n_devices: among which batches are shared out: those of training evenly, others so that each has a galaxy.
        labels: `(galaxy, output)` to learn in the place of votes.
        balanced: show the galaxies of each class equally often in training; `labels` are then one-hot.

    Raises:
        SettingError: images are wanted otherwise than they were prepared.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: KerasSettings,
        n_devices: int = 1,
        labels: npt.NDArray[Any] | None = None,
        balanced: bool = False,
    ) -> None:
        self.catalog, self.settings = catalog, settings
        self.images = open_images(catalog, settings.reading)
        self.problems: list[Exception] = []
        self._galaxies = np.array([galaxy_hash(galaxy, settings.seed) for galaxy in catalog.id_str], np.uint64)
        self.labels = (catalog.votes if labels is None else labels).astype(np.float32)
        self._weights = self.labels @ balance(self.labels) if balanced else None
        self._workers, self._n_devices = settings.workers or count_cores(), n_devices
        share = -(-len(catalog) // n_devices)
        self._edges = [n_devices * edge for edge in edges_of_batches(share, settings.batch_size)]

    @property
    def steps_per_epoch(self) -> int:
        return len(self._edges) - 1

    def train(self, first_epoch: int = 0) -> tf.data.Dataset:
        """Epoch after epoch without end, each of `steps_per_epoch` batches of random views."""
        prepared = _find_records(self.catalog)
        if prepared is not None and self._weights is None:
            epochs = tf.data.Dataset.counter(first_epoch).flat_map(partial(self._stream_epoch, prepared))
            return self._finish(epochs, partial(self._read_records, prepared))

        def rows() -> Iterator[_Rows]:
            for epoch in count(first_epoch):
                drawn = draw_epoch(len(self.catalog), self.settings.seed, epoch, self._weights)
                rows, epochs = (np.resize(each, self._edges[-1]) for each in drawn)
                for first, end in pairwise(self._edges):
                    yield epochs[first:end], rows[first:end]

        return self._finish(_generate(rows), self._read_rows)

    def in_order(self) -> tf.data.Dataset:
        """Every galaxy once, in batches of central views."""
        n_galaxies, n_at_once = len(self.catalog), self._n_devices * self.settings.batch_size
        # several devices get batches of once to twice the size: one without a galaxy would spoil the mean loss
        n_batches = -(-n_galaxies // n_at_once) if self._n_devices == 1 else max(1, n_galaxies // n_at_once)
        edges = edges_of_batches(n_galaxies, -(-n_galaxies // n_batches))

        def rows() -> Iterator[_Rows]:
            for first, end in pairwise(edges):
                yield np.full(end - first, _NO_EPOCH), np.arange(first, end)

        return self._finish(_generate(rows), self._read_rows).apply(tf.data.experimental.assert_cardinality(n_batches))

    @contextmanager
    def explain_problems(self) -> Iterator[None]:
        """Turn an error of `tf.data` into that of zoobot which caused it."""
        try:
            yield
        except tf.errors.DataLossError as error:
            raise ShardError(f"The shards of {self.catalog.source} are damaged: {error.message}") from error
        except tf.errors.OpError as error:
            if self.problems:
                raise self.problems[0] from error
            raise

    def _stream_epoch(self, prepared: PreparedImages, epoch: tf.Tensor) -> tf.data.Dataset:
        """Batches `(epochs, positions, records)` of one epoch."""
        shards = prepared.info.shards
        paths = [str(prepared.folder / shard.file) for shard in shards]
        starts = np.cumsum([0, *(shard.galaxies for shard in shards)])[:-1]
        positions = np.full(prepared.info.galaxies, -1)
        positions[prepared.rows_in_folder] = np.arange(len(self.catalog))
        position_of = tf.constant(positions)
        seed = epoch * 1_000_003 + self.settings.seed

        def read_shard(path: tf.Tensor, start: tf.Tensor) -> tf.data.Dataset:
            records = tf.data.TFRecordDataset(path).enumerate(start)
            located = records.map(lambda row, record: (tf.gather(position_of, row), record))
            return located.filter(lambda position, record: position >= 0)

        shuffled = tf.data.Dataset.from_tensor_slices((paths, starts)).shuffle(len(paths), seed)
        records = shuffled.interleave(read_shard, _AT_ONCE).shuffle(min(_SHUFFLED, len(self.catalog)), seed)
        padded = records.repeat().take(self._edges[-1])
        return self._to_batches(padded).map(
            lambda position, record: (tf.fill(tf.shape(position), epoch), position, record)
        )

    def _to_batches(self, records: tf.data.Dataset) -> tf.data.Dataset:
        sizes = tf.constant(np.diff(self._edges), tf.int64)
        batch_of = tf.constant(np.repeat(np.arange(len(self._edges) - 1), np.diff(self._edges)), tf.int64)
        largest = int(np.diff(self._edges).max())
        return (
            records.enumerate()
            .group_by_window(
                lambda number, _: tf.gather(batch_of, number),
                lambda _, window: window.batch(largest),
                window_size_func=lambda batch: tf.gather(sizes, batch),
            )
            .map(lambda _, batch: batch)
        )

    def _read_records(
        self, prepared: PreparedImages, epochs: tf.Tensor, positions: tf.Tensor, records: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        features = {"image": tf.io.FixedLenFeature([], tf.string), "shape": tf.io.FixedLenFeature([3], tf.int64)}
        parsed = tf.io.parse_example(records, features)

        def read(
            epochs: Integers, positions: Integers, encoded: Sequence[bytes], shapes: npt.NDArray[np.int64]
        ) -> ImageArray:
            images = [
                decode_pixels(content, tuple(shape), prepared.info.pixels, prepared.color, prepared.folder)
                for content, shape in zip(encoded, shapes.tolist(), strict=True)
            ]
            return self._view(_InMemory(images, prepared.channels), range(len(images)), epochs, positions)

        return self._call(read, epochs, positions, parsed["image"], parsed["shape"]), self._find_labels(positions)

    def _read_rows(self, epochs: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def read(epochs: Integers, rows: Integers) -> ImageArray:
            return self._view(self.images, rows.tolist(), epochs, rows)

        return self._call(read, epochs, rows), self._find_labels(rows)

    def _find_labels(self, positions: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.constant(self.labels), positions)

    def _view(self, images: ImageSource, where: Sequence[int], epochs: Integers, positions: Integers) -> ImageArray:
        """Random views of each epoch, central ones for no epoch, or whole images for a model that cuts them itself."""
        adjustments = self.settings.adjustments
        if self.settings.augment_in_model:
            return read_reduced(images, where, adjustments.reading_size)
        if epochs[0] == _NO_EPOCH:
            return render(images, where, adjustments, None)
        seed, galaxies = self.settings.seed, self._galaxies[positions].tolist()
        keys = [(seed, epoch, galaxy) for epoch, galaxy in zip(epochs.tolist(), galaxies, strict=True)]
        return render(images, where, adjustments, keys)

    def _call(self, read: Callable[..., ImageArray], *given: tf.Tensor) -> tf.Tensor:
        """The images that a Python function reads."""

        def read_and_note_problems(*given: npt.NDArray[np.int64]) -> ImageArray:
            try:
                return read(*given)
            except (ImageError, ShardError) as error:
                self.problems.append(error)
                raise

        images = tf.numpy_function(read_and_note_problems, given, tf.uint8, stateful=False)
        adjustments = self.settings.adjustments
        size = adjustments.reading_size if self.settings.augment_in_model else adjustments.image_size
        images.set_shape([None, size, size, self.images.channels])
        return images

    def _finish(self, batches: tf.data.Dataset, read: Callable[..., tuple[tf.Tensor, tf.Tensor]]) -> tf.data.Dataset:
        options = tf.data.Options()
        # what is read from Python cannot be cut into files for several devices
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return batches.map(read, self._workers, deterministic=True).prefetch(2).with_options(options)


class _InMemory:
    """The images of one batch, by their place in it."""

    def __init__(self, images: Sequence[ImageArray], channels: int) -> None:
        self._images, self.channels = images, channels

    def __len__(self) -> int:
        return len(self._images)

    def read(self, position: int) -> ImageArray:
        return self._images[position]


def _find_records(catalog: Catalog) -> PreparedImages | None:
    """The TFRecord shards of a catalog, unless some galaxy is wanted twice."""
    prepared = catalog.prepared
    if prepared is None or prepared.info.format != "tfrecord":
        return None
    return prepared if len(np.unique(prepared.rows_in_folder)) == len(catalog) else None


def _generate(rows: Callable[[], Iterator[_Rows]]) -> tf.data.Dataset:
    signature = (tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None,), tf.int64))
    return tf.data.Dataset.from_generator(rows, output_signature=signature)

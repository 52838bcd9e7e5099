"""Galaxies as PyTorch datasets that give whole batches: images read, adjusted and with their votes or other labels.

A `DataLoader` asks for a batch at once (`__getitems__`) and must leave it as it is: `collate_fn=as_it_is`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed
from torch.utils.data import Dataset, Sampler

from zoobot.config import ImageSettings
from zoobot.shared.adjustments import Adjustments, Key
from zoobot.shared.catalogs import Catalog, galaxy_hash
from zoobot.shared.image_sources import ImageSource, open_images
from zoobot.shared.images import ImageArray
from zoobot.shared.training_runs import draw_epoch, edges_of_batches
from zoobot.shared.views import read_squares, render, render_readable, view_keys

RandomView = tuple[int, int]
"""`(epoch, row)`: asks the dataset for the random view of a galaxy in that epoch."""
Batch = TypeVar("Batch")


class GalaxyDataset(Dataset[tuple[Tensor, ...]]):
    """Images and labels of a catalog: votes, classes or numbers.

    `dataset[row]` is the central view; `dataset[epoch, row]` the random view that follows from the seed, the epoch and
    the galaxy's `id_str`. Each is `(image, labels)`: uint8 `(channel, height, width)` and float32 `(answer,)`. A batch
    has a dimension more, the first.

    Args:
        catalog: its images are read from their files, or from its prepared folder.
        adjustments: how images are cut and resampled.
        reading: how files become pixels.
        seed: of the random views.
        labels: `(galaxy, answer)`; by default the votes.
        whole_images: give `(image, matrix, labels)` instead, with images not yet cut; see `views_on_device`.

    Raises:
        ImageError, ShardError: an image cannot be read.
    """

    def __init__(
        self,
        catalog: Catalog,
        adjustments: Adjustments,
        reading: ImageSettings | None = None,
        seed: int = 0,
        labels: npt.NDArray[Any] | None = None,
        whole_images: bool = False,
    ) -> None:
        self.images = open_images(catalog, reading or ImageSettings())
        self._labels = torch.as_tensor(catalog.votes if labels is None else labels, dtype=torch.float32)
        self._galaxies = np.array([galaxy_hash(galaxy, seed) for galaxy in catalog.id_str], np.uint64)
        self.adjustments = adjustments
        self.seed = seed
        self.whole_images = whole_images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, view: int | RandomView) -> tuple[Tensor, ...]:
        return tuple(tensor[0] for tensor in self.__getitems__([view]))

    def __getitems__(self, views: Sequence[int | RandomView]) -> tuple[Tensor, ...]:
        """A batch; all of its views are random, or none."""
        rows, keys = self._find(views)
        if self.whole_images:
            squares, matrices = read_squares(self.images, rows, self.adjustments, keys)
            return to_channel_first(squares), torch.from_numpy(matrices), self._labels[rows]
        return to_channel_first(render(self.images, rows, self.adjustments, keys)), self._labels[rows]

    def _find(self, views: Sequence[int | RandomView]) -> tuple[list[int], list[Key] | None]:
        rows = [view[1] if isinstance(view, tuple) else view for view in views]
        keys = [(self.seed, view[0], int(self._galaxies[view[1]])) for view in views if isinstance(view, tuple)]
        return rows, keys or None


@dataclass(frozen=True)
class ImageBatch:
    """Galaxies to predict.

    Args:
        rows: of the galaxies whose images can be read.
        galaxies: `(galaxy,)`, a number that follows from each one's name and the seed.
        views: by how images are adjusted, uint8 `(galaxy x view, channel, height, width)`.
        problems: row -> what is wrong with its image.
    """

    rows: list[int]
    galaxies: npt.NDArray[np.uint64]
    views: dict[Adjustments, Tensor]
    problems: dict[int, str]

    def pin_memory(self) -> "ImageBatch":
        """The loader calls this where batches go to a GPU."""
        return replace(self, views={adjustments: views.pin_memory() for adjustments, views in self.views.items()})


class ImageDataset(Dataset[ImageBatch]):
    """Images to predict, each read once for all views and models.

    Args:
        adjustments: all ways in which images are wanted.
        galaxies: `(galaxy,)`, the numbers from which random views follow.
        n_views: of each galaxy.
        is_random: random views, otherwise central ones.
    """

    def __init__(
        self,
        images: ImageSource,
        adjustments: Sequence[Adjustments],
        galaxies: npt.NDArray[np.uint64],
        seed: int = 0,
        n_views: int = 1,
        is_random: bool = False,
    ) -> None:
        self.images, self.adjustments, self.galaxies = images, list(dict.fromkeys(adjustments)), galaxies
        self.seed, self.n_views, self.is_random = seed, n_views, is_random

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> ImageBatch:
        return self.__getitems__([row])

    def __getitems__(self, rows: Sequence[int]) -> ImageBatch:
        keys = view_keys(self.galaxies[rows], self.seed, self.n_views, self.is_random)
        readable, batches, problems = render_readable(self.images, rows, self.adjustments, keys)
        views = dict(zip(self.adjustments, map(to_channel_first, batches), strict=True))
        return ImageBatch(readable, self.galaxies[readable], views, problems)


class EpochOrder(Sampler[RandomView]):
    """Every galaxy once per epoch, in an order that follows from the seed and the epoch.

    With `weights` `(galaxy,)`, as many are drawn, each as often as its weight says on average; a galaxy that comes
    again in an epoch comes in another view. With several processes each takes its share; the shares are of one length.
    A run that goes on begins with `first_epoch`: Lightning asks for the first batches before it sets the epoch.
    """

    def __init__(
        self, n_galaxies: int, seed: int, first_epoch: int = 0, weights: npt.NDArray[np.float64] | None = None
    ) -> None:
        self.n_galaxies, self.seed, self.weights = n_galaxies, seed, weights
        self._epoch = first_epoch

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-self.n_galaxies // _rank_and_world_size()[1])

    def __iter__(self) -> Iterator[RandomView]:
        rank, world_size = _rank_and_world_size()
        rows, epochs = (
            np.resize(drawn, len(self) * world_size)[rank::world_size].tolist()
            for drawn in draw_epoch(self.n_galaxies, self.seed, self._epoch, self.weights)
        )
        return zip(epochs, rows, strict=True)


class EvenBatches(Sampler[list[RandomView]]):
    """Batches that differ in size by one galaxy at most: a last batch of one would upset batch norm."""

    def __init__(self, sampler: EpochOrder, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.batch_size)

    def __iter__(self) -> Iterator[list[RandomView]]:
        views = iter(self.sampler)
        for first, end in pairwise(edges_of_batches(len(self.sampler), self.batch_size)):
            yield list(islice(views, end - first))


def as_it_is(batch: Batch) -> Batch:
    """A batch that the dataset has put together already."""
    return batch


def to_channel_first(images: ImageArray) -> Tensor:
    """`(galaxy, height, width, channel)` to `(galaxy, channel, height, width)`, in torch's channels-last format."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _rank_and_world_size() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1

"""Galaxies as a PyTorch dataset: images read from their files, adjusted, with their votes."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor, distributed
from torch.utils.data import Dataset, Sampler

from zoobot.errors import ImageError
from zoobot.shared import adjustments as adjusting
from zoobot.shared.adjustments import Adjustments
from zoobot.shared.catalogs import Catalog, galaxy_hash
from zoobot.shared.images import read_image

RandomView = tuple[int, int]
"""`(epoch, row)`: asks the dataset for the random view of a galaxy in that epoch."""


class GalaxyDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images and votes of a catalog.

    `dataset[row]` is the central view; `dataset[epoch, row]` the random view that follows from the seed, the epoch and
    the galaxy's `id_str`. Each is `(image, votes)`: uint8 `(channel, height, width)` and float32 `(answer,)`.

    Raises:
        ImageError: an image cannot be read.
    """

    def __init__(self, catalog: Catalog, adjustments: Adjustments, seed: int = 0) -> None:
        # Arrow keeps strings in one buffer: worker processes share it instead of copying it one reference at a time
        self._file_locs = pa.array(catalog.file_locs, pa.large_string())
        self._votes = torch.as_tensor(catalog.votes, dtype=torch.float32)
        self._galaxies = np.array([galaxy_hash(galaxy, seed) for galaxy in catalog.id_str], np.uint64)
        self.adjustments = adjustments
        self.seed = seed

    def __len__(self) -> int:
        return len(self._file_locs)

    def __getitem__(self, view: int | RandomView) -> tuple[Tensor, Tensor]:
        if isinstance(view, tuple):
            epoch, row = view
            key = (self.seed, epoch, int(self._galaxies[row]))
        else:
            row, key = view, None
        image = read_image(self._file_locs[row].as_py(), self.adjustments.color)
        return to_tensor(adjusting.adjust(image, self.adjustments, key)), self._votes[row]


class ImageDataset(Dataset[tuple[int, Tensor | str]]):
    """Images to predict: `(row, image)`, or `(row, what is wrong)` for one that cannot be read."""

    def __init__(self, file_locs: Sequence[str], adjustments: Adjustments) -> None:
        self._file_locs = pa.array(file_locs, pa.large_string())
        self.adjustments = adjustments

    def __len__(self) -> int:
        return len(self._file_locs)

    def __getitem__(self, row: int) -> tuple[int, Tensor | str]:
        try:
            image = read_image(self._file_locs[row].as_py(), self.adjustments.color)
        except ImageError as error:
            return row, str(error)
        return row, to_tensor(adjusting.adjust(image, self.adjustments))


class EpochOrder(Sampler[RandomView]):
    """Every galaxy once per epoch, in an order that follows from the seed and the epoch.

    With several processes each takes its share; the shares are of one length. A run that goes on begins with
    `first_epoch`: Lightning asks for the first batches before it sets the epoch.
    """

    def __init__(self, n_galaxies: int, seed: int, first_epoch: int = 0) -> None:
        self.n_galaxies, self.seed = n_galaxies, seed
        self._epoch = first_epoch

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-self.n_galaxies // _rank_and_world_size()[1])

    def __iter__(self) -> Iterator[RandomView]:
        order = np.random.default_rng((self.seed, self._epoch)).permutation(self.n_galaxies)
        rank, world_size = _rank_and_world_size()
        share = np.resize(order, len(self) * world_size)[rank::world_size]
        return iter([(self._epoch, int(row)) for row in share])


class EvenBatches(Sampler[list[RandomView]]):
    """Batches that differ in size by one galaxy at most: a last batch of one would upset batch norm."""

    def __init__(self, sampler: EpochOrder, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.batch_size)

    def __iter__(self) -> Iterator[list[RandomView]]:
        views = list(self.sampler)
        edges = np.linspace(0, len(views), len(self) + 1).round().astype(int)
        for first, end in pairwise(edges):
            yield views[first:end]


def to_tensor(image: npt.NDArray[np.uint8]) -> Tensor:
    """`(height, width, channel)` to `(channel, height, width)`."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def _rank_and_world_size() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1

"""Galaxies for Lightning: training, validation and test loaders from one catalog or prepared folder."""

from collections.abc import Callable
from typing import Any

import lightning as L
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import DataLoader

from zoobot.config import TorchSettings
from zoobot.pytorch.datasets.galaxy_dataset import EpochOrder, EvenBatches, GalaxyDataset, as_it_is
from zoobot.pytorch.datasets.views_on_device import warp_on_device
from zoobot.pytorch.devices import count_workers, find_device
from zoobot.shared.catalogs import Catalog
from zoobot.shared.label_columns import balance
from zoobot.shared.training_runs import split_catalog

GalaxyLoader = DataLoader[tuple[Tensor, ...]]


class GalaxyDataModule(L.LightningDataModule):
    """Reads the images of a catalog, from their files or prepared, and splits its galaxies.

    Args:
        catalog: galaxies, with votes unless there are `labels`.
        settings: split, seed, adjustments, batch size and workers.
        labels: `(galaxy, output)` to learn in the place of votes.
        split: `(galaxy,)`, `train`, `validation` or `test`; by default it follows from each `id_str` and the seed.
        balanced: show the galaxies of each class equally often in training; `labels` are then one-hot.

    Raises:
        CatalogError: too few galaxies, so that a split would have none.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: TorchSettings,
        labels: npt.NDArray[Any] | None = None,
        split: npt.NDArray[Any] | None = None,
        balanced: bool = False,
    ) -> None:
        super().__init__()
        self.settings, self.balanced = settings, balanced
        self.first_epoch = 0
        """Where a run that goes on begins."""
        divided = split_catalog(catalog, settings, labels, split)
        self.catalogs, self.labels, self.galaxies = divided.catalogs, divided.labels, divided.galaxies

    def train_dataloader(self) -> GalaxyLoader:
        dataset = self._dataset("train")
        labels = self.labels["train"]
        weights = labels @ balance(labels) if self.balanced else None
        order = EpochOrder(len(dataset), self.settings.seed, self.first_epoch, weights)
        return self._loader(dataset, batch_sampler=EvenBatches(order, self.settings.batch_size))

    def val_dataloader(self) -> GalaxyLoader:
        return self._loader(self._dataset("validation"), batch_size=self.settings.batch_size)

    def train_view_dataloader(self) -> GalaxyLoader:
        """The training galaxies in their order, each in its central view."""
        return self._loader(self._dataset("train"), batch_size=self.settings.batch_size)

    def test_dataloader(self) -> GalaxyLoader:
        return self._loader(self._dataset("test"), batch_size=self.settings.batch_size)

    def loaders_in_order(self) -> dict[str, Callable[[], GalaxyLoader]]:
        """For each split, what loads the central view of each of its galaxies."""
        return {
            "train": self.train_view_dataloader,
            "validation": self.val_dataloader,
            "test": self.test_dataloader,
        }

    def _dataset(self, split: str) -> GalaxyDataset:
        settings = self.settings
        return GalaxyDataset(
            self.catalogs[split],
            settings.adjustments,
            settings.reading,
            settings.seed,
            self.labels[split],
            whole_images=settings.augment_on == "device",
        )

    def on_after_batch_transfer(self, batch: tuple[Tensor, ...], dataloader_idx: int) -> tuple[Tensor, ...]:
        """Lightning calls this with each batch on its device: there, whole images are cut and resampled."""
        if self.settings.augment_on == "cpu":
            return batch
        images, matrices, votes = batch
        return warp_on_device(images, matrices, self.settings.image_size), votes

    def _loader(self, dataset: GalaxyDataset, **batching: object) -> GalaxyLoader:
        workers = count_workers(self.settings.workers, self.settings.device)
        return DataLoader(
            dataset,
            collate_fn=as_it_is,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=find_device(self.settings.device).type == "cuda",
            **batching,  # type: ignore[arg-type]
        )

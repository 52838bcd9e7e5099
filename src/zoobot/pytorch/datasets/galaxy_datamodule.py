"""Galaxies for Lightning: training, validation and test loaders from one catalog."""

import lightning as L
import pandas as pd
from torch import Tensor
from torch.utils.data import DataLoader

from zoobot.config import TrainSettings
from zoobot.errors import CatalogError
from zoobot.pytorch.datasets.galaxy_dataset import EpochOrder, EvenBatches, GalaxyDataset
from zoobot.pytorch.devices import count_workers, find_device
from zoobot.shared.catalogs import SPLITS, Catalog, split_by_galaxy
from zoobot.shared.schemas import Schema

GalaxyLoader = DataLoader[tuple[Tensor, Tensor]]


class GalaxyDataModule(L.LightningDataModule):
    """Reads the images of a catalog from their files and splits its galaxies.

    Args:
        catalog: galaxies with votes for the answers of `schema`.
        settings: split, seed, adjustments, batch size and workers.

    Raises:
        CatalogError: too few galaxies, so that a split would have none.
    """

    def __init__(self, catalog: Catalog, schema: Schema, settings: TrainSettings) -> None:
        super().__init__()
        self.schema = schema
        self.settings = settings
        self.first_epoch = 0
        """Where a run that goes on begins."""
        split = split_by_galaxy(catalog.id_str, settings.split, settings.seed)
        self.catalogs = {name: catalog.rows(split == name) for name in SPLITS}
        self.galaxies = pd.DataFrame({"id_str": catalog.id_str, "split": split.astype(object)})
        for name, fraction in zip(SPLITS, settings.split, strict=True):
            if fraction > 0 and not len(self.catalogs[name]):
                raise CatalogError(
                    f"The catalog {catalog.source} has {len(catalog)} galaxies, too few for the split "
                    f"{settings.split}: no {name} galaxy. Give it more galaxies, or change --split."
                )

    def train_dataloader(self) -> GalaxyLoader:
        dataset = self._dataset("train")
        order = EpochOrder(len(dataset), self.settings.seed, self.first_epoch)
        return self._loader(dataset, batch_sampler=EvenBatches(order, self.settings.batch_size))

    def val_dataloader(self) -> GalaxyLoader:
        return self._loader(self._dataset("validation"), batch_size=self.settings.batch_size)

    def test_dataloader(self) -> GalaxyLoader:
        return self._loader(self._dataset("test"), batch_size=self.settings.batch_size)

    def _dataset(self, split: str) -> GalaxyDataset:
        return GalaxyDataset(self.catalogs[split], self.settings.adjustments, self.settings.seed)

    def _loader(self, dataset: GalaxyDataset, **batching: object) -> GalaxyLoader:
        workers = count_workers(self.settings.workers, self.settings.device)
        return DataLoader(
            dataset,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=find_device(self.settings.device).type == "cuda",
            **batching,  # type: ignore[arg-type]
        )

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from zoobot.config import ImageSettings
from zoobot.errors import CatalogError, ImageError
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.datasets.galaxy_dataset import EpochOrder, EvenBatches, GalaxyDataset, as_it_is
from zoobot.shared.adjustments import Adjustments, adjust
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.images import read_image
from zoobot.shared.label_columns import balance
from zoobot.shared.schemas import get_schema


@pytest.fixture
def catalog(simulated):
    return load_catalog(simulated / "catalog.csv", get_schema("gz2"))


@pytest.mark.parametrize("color", [False, True])
def test_an_image_comes_channel_first_with_its_votes(catalog, color):
    dataset = GalaxyDataset(catalog, Adjustments(48), ImageSettings(color=color))
    image, votes = dataset[3]
    expected = adjust(read_image(catalog.image_files[3][0], color), dataset.adjustments)
    assert image.shape == (3 if color else 1, 48, 48)
    assert image.dtype == torch.uint8
    np.testing.assert_array_equal(image.numpy(), expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(votes, catalog.votes[3])


def test_a_view_follows_from_seed_epoch_and_galaxy_not_from_the_row(catalog):
    adjustments = Adjustments(48)
    dataset, backwards = (
        GalaxyDataset(catalog, adjustments),
        GalaxyDataset(catalog.rows(np.arange(len(catalog))[::-1]), adjustments),
    )
    view = dataset[2, 5][0]
    assert torch.equal(view, dataset[2, 5][0])
    assert torch.equal(view, backwards[2, len(catalog) - 6][0])
    assert not torch.equal(view, dataset[3, 5][0])
    assert not torch.equal(view, GalaxyDataset(catalog, adjustments, seed=1)[2, 5][0])


def test_views_are_the_same_from_worker_processes(catalog):
    dataset = GalaxyDataset(catalog, Adjustments(48))

    def first_batch(workers):
        order = EpochOrder(len(dataset), seed=0)
        batches = EvenBatches(order, 8)
        return next(iter(DataLoader(dataset, batch_sampler=batches, num_workers=workers, collate_fn=as_it_is)))

    for alone, helped in zip(first_batch(0), first_batch(1), strict=True):
        assert torch.equal(alone, helped)


def test_an_epoch_has_every_galaxy_once_in_an_order_of_its_own():
    order = EpochOrder(20, seed=0)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    assert sorted(first) == [(0, row) for row in range(20)]
    assert sorted(second) == [(1, row) for row in range(20)]
    assert [row for _, row in first] != [row for _, row in second]


@pytest.mark.parametrize(
    ("n_galaxies", "batch_size", "sizes"), [(65, 32, {21, 22}), (5, 32, {5}), (3, 1, {1}), (33, 32, {16, 17})]
)
def test_batches_are_even(n_galaxies, batch_size, sizes):
    batches = EvenBatches(EpochOrder(n_galaxies, seed=0), batch_size)
    made = list(batches)
    assert len(made) == len(batches)
    assert {len(batch) for batch in made} == sizes
    assert sorted(row for batch in made for _, row in batch) == list(range(n_galaxies))


def test_processes_share_the_galaxies(monkeypatch):
    shares = []
    for rank in range(3):
        monkeypatch.setattr("zoobot.pytorch.datasets.galaxy_dataset._rank_and_world_size", lambda rank=rank: (rank, 3))
        shares.append([row for _, row in EpochOrder(20, seed=0)])
    assert {len(share) for share in shares} == {7}
    assert set().union(*shares) == set(range(20))


def test_splits_are_disjoint_and_complete(catalog, tiny):
    splits = GalaxyDataModule(catalog, tiny).catalogs
    ids = [galaxy for part in splits.values() for galaxy in part.id_str]
    assert sorted(ids) == sorted(catalog.id_str)


def test_too_few_galaxies(catalog, tiny):
    with pytest.raises(CatalogError, match=r"1 galaxies, too few for the split .*: no \w+ galaxy. Give it more"):
        GalaxyDataModule(catalog.rows(np.array([0])), tiny)


def test_an_unreadable_image_names_its_path(catalog, tmp_path):
    (tmp_path / "bad.jpg").write_text("not an image")
    catalog.table.loc[0, "file_loc"] = str(tmp_path / "bad.jpg")
    with pytest.raises(ImageError, match=r"bad\.jpg' is not an image"):
        GalaxyDataset(catalog, Adjustments(48))[0]


def test_balanced_sampling_shows_classes_equally_often_and_repeats_in_other_views():
    labels = np.eye(2, dtype=np.float32)[[0] * 95 + [1] * 5]
    order = EpochOrder(100, seed=3, weights=labels @ balance(labels))
    views = []
    for epoch in range(20):
        order.set_epoch(epoch)
        drawn = list(order)
        assert len(set(drawn)) == len(drawn) == 100
        views += drawn
    rare = sum(row >= 95 for _, row in views)
    assert rare == pytest.approx(1000, abs=4 * np.sqrt(500))
    order.set_epoch(0)
    assert list(order) == views[:100]

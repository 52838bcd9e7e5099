import numpy as np
import pytest
import tensorflow as tf

from zoobot.config import PrepareSettings
from zoobot.errors import ImageError, ShardError
from zoobot.shared.adjustments import adjust
from zoobot.shared.catalogs import galaxy_hash, load_catalog
from zoobot.shared.images import read_image
from zoobot.shared.preparation import prepare
from zoobot.shared.schemas import get_schema
from zoobot.tensorflow.datasets.galaxy_dataset import GalaxyBatches

GZ2 = get_schema("gz2")
SOURCES = ["files", "store", "raw tfrecord", "jpeg tfrecord"]


@pytest.fixture(scope="module")
def catalogs(simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    found = {"files": load_catalog(simulated / "catalog.csv", GZ2)}
    for name, chosen in {
        "store": {"image_size": 64},
        "raw tfrecord": {"format": "tfrecord", "image_size": 64},
        "jpeg tfrecord": {"format": "tfrecord", "pixels": "jpeg"},
    }.items():
        settings = PrepareSettings(shard_size=16, **chosen)
        made = prepare(simulated / "catalog.csv", GZ2, folder / name.replace(" ", "-"), settings)
        found[name] = load_catalog(made.folder, GZ2)
    return found


def read_epochs(batches, count, first_epoch=0):
    """Images and votes of some epochs, each sorted by galaxy, and the sizes of their batches."""
    made = iter(batches.train(first_epoch))
    epochs, sizes = [], set()
    for _ in range(count):
        pieces = [next(made) for _ in range(batches.steps_per_epoch)]
        sizes |= {len(votes) for _, votes in pieces}
        epochs.append([np.concatenate([np.asarray(piece[part]) for piece in pieces]) for part in (0, 1)])
    return epochs, sizes


def find_rows(votes, catalog):
    """The rows of a catalog whose votes these are."""
    known = {row.tobytes(): number for number, row in enumerate(catalog.votes.astype(np.float32))}
    assert len(known) == len(catalog)
    return [known[row.tobytes()] for row in votes]


@pytest.mark.parametrize("source", SOURCES)
def test_an_epoch_has_every_galaxy_once_with_its_view_and_votes(catalogs, simulated, tiny, source):
    catalog = catalogs[source].rows(np.arange(5, 50))
    batches = GalaxyBatches(catalog, tiny)
    (first, second), sizes = read_epochs(batches, 2)
    assert sizes == {15}
    orders = []
    for epoch, (images, votes) in enumerate((first, second)):
        rows = find_rows(votes, catalog)
        orders.append(rows)
        assert sorted(rows) == list(range(45))
        for image, row in zip(images[:10], rows, strict=False):
            key = (tiny.seed, epoch, galaxy_hash(catalog.id_str[row], tiny.seed))
            pixels = read_image(simulated / "images" / f"{catalog.id_str[row]}.jpg")
            np.testing.assert_array_equal(image, adjust(pixels, tiny.adjustments, key))
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


@pytest.mark.parametrize("source", ["files", "raw tfrecord"])
def test_a_run_that_goes_on_sees_what_an_uninterrupted_one_sees(catalogs, tiny, source):
    tf.keras.utils.set_random_seed(1)
    batches = GalaxyBatches(catalogs[source], tiny)
    whole, resumed = read_epochs(batches, 2)[0][1], read_epochs(batches, 1, first_epoch=1)[0][0]
    for expected, found in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_devices_share_every_batch_evenly(catalogs, tiny):
    for source in ("files", "raw tfrecord"):
        batches = GalaxyBatches(catalogs[source].rows(np.arange(59)), tiny, n_devices=2)
        (epoch,), sizes = read_epochs(batches, 1)
        assert all(size % 2 == 0 for size in sizes)
        assert len(set(find_rows(epoch[1], catalogs[source]))) == 59


@pytest.mark.parametrize("source", ["files", "raw tfrecord"])
def test_labels_in_the_place_of_votes(catalogs, tiny, source):
    catalog = catalogs[source].rows(np.arange(5, 50))
    (epoch,), _ = read_epochs(GalaxyBatches(catalog, tiny, labels=np.arange(45.0)[:, None]), 1)
    (voted,), _ = read_epochs(GalaxyBatches(catalog, tiny), 1)
    assert epoch[1][:, 0].tolist() == find_rows(voted[1], catalog)


@pytest.mark.parametrize("source", ["files", "raw tfrecord"])
def test_rare_classes_are_shown_as_often_and_each_time_in_another_view(catalogs, tiny, source):
    labels = np.eye(2)[[0] * 3 + [1] * 57]
    epochs, sizes = read_epochs(GalaxyBatches(catalogs[source], tiny, labels=labels, balanced=True), 20)
    assert sizes == {15}
    shares = [labels[:, 0].mean() for _, labels in epochs]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)
    images, shown = epochs[0]
    rare = [image.tobytes() for image, label in zip(images, shown, strict=True) if label[0]]
    assert len(rare) > 20
    assert len(set(rare)) == len(rare)


@pytest.mark.parametrize("source", SOURCES)
def test_validation_is_in_order_and_central(catalogs, simulated, tiny, source):
    catalog = catalogs[source]
    images, votes = (np.concatenate(part) for part in zip(*GalaxyBatches(catalog, tiny).in_order(), strict=True))
    np.testing.assert_array_equal(votes, catalog.votes.astype(np.float32))
    pixels = read_image(simulated / "images" / f"{catalog.id_str[7]}.jpg")
    np.testing.assert_array_equal(images[7], adjust(pixels, tiny.adjustments))


def test_tensorflow_reads_the_records_by_itself(catalogs):
    catalog = catalogs["raw tfrecord"]
    features = {
        "id_str": tf.io.FixedLenFeature([], tf.string),
        "image": tf.io.FixedLenFeature([], tf.string),
        "shape": tf.io.FixedLenFeature([3], tf.int64),
        **{label: tf.io.FixedLenFeature([], tf.float32) for label in GZ2.label_cols},
    }
    paths = sorted(str(path) for path in catalog.prepared.folder.glob("*.tfrecord"))
    parsed = [tf.io.parse_single_example(record, features) for record in tf.data.TFRecordDataset(paths)]
    assert [each["id_str"].numpy().decode() for each in parsed] == catalog.id_str
    pixels = tf.reshape(tf.io.decode_raw(parsed[9]["image"], tf.uint8), parsed[9]["shape"])
    np.testing.assert_array_equal(pixels, catalog.prepared.read(9))
    assert [float(parsed[9][label]) for label in GZ2.label_cols] == catalog.votes[9].tolist()


def test_whole_images_for_a_model_that_cuts_them(catalogs, tiny):
    settings = tiny.model_copy(update={"augment_in_model": True})
    for source in SOURCES:
        images, _ = next(iter(GalaxyBatches(catalogs[source], settings).train()))
        assert images.shape == (15, 69, 69, 1)


def test_a_damaged_record_is_told(catalogs, tiny, tmp_path):
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(catalogs["raw tfrecord"].prepared.folder, folder)
    shard = sorted(folder.glob("*.tfrecord"))[1]
    content = bytearray(shard.read_bytes())
    content[500] ^= 1
    shard.write_bytes(content)
    batches = GalaxyBatches(load_catalog(folder, GZ2), tiny)
    told = pytest.raises(ShardError, match=r"The shards of .*damaged.* are damaged: .*corrupted record")
    with told, batches.explain_problems():
        read_epochs(batches, 1)


def test_an_unreadable_image_names_its_path(catalogs, tiny, tmp_path):
    catalog = catalogs["files"].rows(np.arange(20))
    (tmp_path / "bad.jpg").write_text("not an image")
    catalog.table.loc[3, "file_loc"] = str(tmp_path / "bad.jpg")
    batches = GalaxyBatches(catalog, tiny)
    with pytest.raises(ImageError, match=r"bad\.jpg' is not an image"), batches.explain_problems():
        read_epochs(batches, 1)

"""Prepared folders give back what they were made of, always the same bytes, and damage is found and named."""

import contextlib
import dataclasses
import io
import itertools
import json
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from zoobot.config import ImageSettings, PrepareSettings
from zoobot.errors import CatalogError, ImageError, OutputError, SettingError, ShardError
from zoobot.shared import preparation, preparing_shards
from zoobot.shared.adjustments import Adjustments, to_square
from zoobot.shared.catalogs import load_catalog, load_schema_of
from zoobot.shared.image_sources import open_images
from zoobot.shared.images import read_image
from zoobot.shared.preparation import prepare, verify_folder
from zoobot.shared.prepared_images import PreparedImages, read_info
from zoobot.shared.schemas import Schema, get_schema
from zoobot.shared.shares import Share, claimed
from zoobot.shared.tfrecords import decode_example, read_records
from zoobot.shared.views import read_squares, render

FORMATS = ["store", "tfrecord", "webdataset"]
GZ2 = get_schema("gz2")
SMALL = {"image_size": 48, "shard_size": 25}


@pytest.fixture(scope="module", params=FORMATS)
def folder(request, simulated, tmp_path_factory):
    """60 simulated galaxies of 64 pixels, prepared at 48 in three shards."""
    output = tmp_path_factory.mktemp(request.param) / "prepared"
    prepare(simulated / "catalog.csv", "gz2", output, PrepareSettings(format=request.param, **SMALL))
    return output


def make_catalog(folder, images, **columns):
    """A catalog without votes of images given as arrays (PNG) or bytes (JPEG or FITS by their start)."""
    files = []
    for number, image in enumerate(images):
        suffix = "png" if isinstance(image, np.ndarray) else "fits" if image.startswith(b"SIMPLE") else "jpg"
        files.append(folder / f"{number}.{suffix}")
        if isinstance(image, bytes):
            files[-1].write_bytes(image)
        else:
            Image.fromarray(image).save(files[-1])
    ids = [f"J0.{number}" for number in range(len(files))]
    return pd.DataFrame({"id_str": ids, "file_loc": list(map(str, files)), **columns})


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "run.json"}


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 16
    path.write_bytes(content)


def shards_of(folder):
    return sorted(folder.glob("shard-*"))


# --- what a folder holds ---


def test_images_votes_and_columns_are_those_of_the_catalog(folder, simulated):
    catalog = load_catalog(simulated / "catalog.csv", GZ2)
    prepared = load_catalog(folder, GZ2)
    images = open_images(prepared, ImageSettings())
    assert prepared.id_str == catalog.id_str
    assert prepared.image_files == catalog.image_files
    np.testing.assert_array_equal(prepared.votes, catalog.votes)
    assert set(catalog.table.columns) == set(prepared.table.columns)
    for row in (0, 24, 25, 59):
        np.testing.assert_array_equal(images.read(row), to_square(read_image(catalog.image_files[row][0]), 48))
    assert load_schema_of(folder, None) == GZ2


def test_rows_travel_with_their_images(folder):
    prepared = load_catalog(folder, GZ2)
    chosen = prepared.rows(np.array([50, 3, 30])).rows(np.array([True, False, True]))
    for row, original in enumerate((50, 30)):
        np.testing.assert_array_equal(chosen.prepared.read(row), prepared.prepared.read(original))


def test_the_same_input_gives_the_same_bytes_whatever_the_workers(folder, simulated, tmp_path):
    settings = PrepareSettings(format=read_info(folder).format, workers=3, **SMALL)
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "again", settings)
    assert bytes_of(tmp_path / "again") == bytes_of(folder)


def test_tar_members_are_those_that_webdataset_expects(simulated, tmp_path):
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(format="webdataset", **SMALL))
    catalog = load_catalog(simulated / "catalog.csv", GZ2)
    with tarfile.open(tmp_path / "p" / "shard-00001.tar") as tar:
        names = tar.getnames()
        assert names[:4] == ["000000025.npy", "000000025.json", "000000026.npy", "000000026.json"]
        described = json.load(tar.extractfile("000000025.json"))
        pixels = np.load(io.BytesIO(tar.extractfile("000000025.npy").read()))
    assert described == {
        "id_str": catalog.id_str[25],
        "votes": dict(zip(GZ2.label_cols, catalog.votes[25], strict=True)),
    }
    np.testing.assert_array_equal(pixels, PreparedImages(tmp_path / "p").read(25))


def test_tfrecord_features_are_named_as_documented(simulated, tmp_path):
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(format="tfrecord", **SMALL))
    features = decode_example(next(read_records(tmp_path / "p" / "shard-00000.tfrecord")))
    assert set(features) == {"id_str", "image", "shape", *GZ2.label_cols}
    assert features["shape"].tolist() == [48, 48, 1]
    assert len(features["image"][0]) == 48 * 48


def test_store_is_a_plain_numpy_file(simulated, tmp_path):
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(color=True, **SMALL))
    array = np.load(tmp_path / "p" / "shard-00002.npy")
    assert (array.shape, array.dtype) == ((10, 48, 48, 3), np.uint8)


@pytest.mark.parametrize("shard_format", ["tfrecord", "webdataset"])
@pytest.mark.parametrize("color", [False, True])
def test_jpeg_files_are_kept_byte_for_byte(simulated, tmp_path, shard_format, color):
    settings = PrepareSettings(format=shard_format, pixels="jpeg", color=color)
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", settings)
    catalog = load_catalog(simulated / "catalog.csv", GZ2)
    source = Path(catalog.image_files[7][0])
    assert source.read_bytes() in shards_of(tmp_path / "p")[0].read_bytes()
    np.testing.assert_array_equal(PreparedImages(tmp_path / "p").read(7), read_image(source, color))
    verify_folder(tmp_path / "p")


def test_jpeg_files_that_readers_show_differently_are_refused(tmp_path):
    def save(image, **options):
        image.save(tmp_path / "x.jpg", **options)
        return (tmp_path / "x.jpg").read_bytes()

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, turned, cmyk = save(noise), save(noise, exif=exif), save(noise.convert("CMYK"))
    png = np.zeros((20, 30, 3), np.uint8)
    done = prepare(
        make_catalog(tmp_path, [plain, turned, cmyk, png]),
        None,
        tmp_path / "p",
        PrepareSettings(format="tfrecord", pixels="jpeg"),
    )
    assert (done.info.galaxies, done.info.rejected) == (1, 3)
    reasons = pd.read_csv(tmp_path / "p" / "rejected.csv")["reason"]
    assert "EXIF orientation 6" in reasons[0]
    assert "(CMYK, " in reasons[1]
    assert "no JPEG file" in reasons[2]


def test_several_files_are_bands(tmp_path):
    bands = np.random.default_rng(0).integers(0, 256, (2, 5, 16, 16), np.uint8)
    table = make_catalog(tmp_path, [], file_loc=[])
    columns = {}
    for band, name in enumerate("ugriz"):
        (tmp_path / name).mkdir()
        columns[f"file_loc_{name}"] = make_catalog(tmp_path / name, list(bands[:, band]))["file_loc"]
    table = pd.DataFrame({"id_str": ["a", "b"], **columns})
    done = prepare(table, None, tmp_path / "p", PrepareSettings(image_size=16, color=True))
    assert (done.info.channels, done.info.bands) == (5, list("ugriz"))
    np.testing.assert_array_equal(PreparedImages(tmp_path / "p").read(1), bands[1].transpose(1, 2, 0))


def test_any_size_becomes_one_and_what_is_enlarged_is_counted(tmp_path):
    images = [np.full(shape, 90, np.uint8) for shape in ((60, 90), (20, 20), (48, 48), (7, 300))]
    done = prepare(make_catalog(tmp_path, images), None, tmp_path / "p", PrepareSettings(image_size=48))
    assert done.info.enlarged == 2
    assert "Smaller than 48 pixels, enlarged: 2" in str(done)
    assert (np.load(tmp_path / "p" / "shard-00000.npy") == 90).all()


# --- bad images ---


def test_bad_images_are_listed_and_odd_ones_flagged(tmp_path):
    rng = np.random.default_rng(0)
    good = rng.integers(0, 256, (20, 20), np.uint8)
    images = [good, b"\xff\xd8\xffbroken", np.full((20, 20), 7, np.uint8), good]
    table = make_catalog(tmp_path, images, mass=[1.0, 2.0, 3.0, 4.0])
    done = prepare(table, None, tmp_path / "p", PrepareSettings(image_size=16, shard_size=2))
    assert (done.info.galaxies, done.info.rejected, done.info.flagged) == (3, 1, 1)
    rejected, flagged = (pd.read_csv(tmp_path / "p" / name) for name in ("rejected.csv", "flagged.csv"))
    assert rejected["id_str"].tolist() == ["J0.1"]
    assert "is damaged or cut off" in rejected["reason"][0]
    assert flagged[["id_str", "remark"]].to_numpy().tolist() == [["J0.2", "all pixels are alike (7)"]]
    prepared = load_catalog(tmp_path / "p", None)
    assert prepared.table["mass"].tolist() == [1.0, 3.0, 4.0]
    np.testing.assert_array_equal(prepared.prepared.read(2), to_square(good[:, :, None], 16))
    with pytest.raises(ImageError, match="--on-bad-image drop leaves out"):
        prepare(table, None, tmp_path / "q", PrepareSettings(image_size=16, on_bad_image="stop"))
    with pytest.raises(ImageError, match=r"None of the 1 images can be read:\n'.*1\.jpg'"):
        prepare(table[1:2], None, tmp_path / "r", PrepareSettings(image_size=16))


def test_image_of_other_bands_is_rejected(tmp_path):
    cubes = []
    for bands in (3, 3, 2):
        fits.PrimaryHDU(np.random.default_rng(0).normal(size=(bands, 20, 20))).writeto(
            tmp_path / "x.fits", overwrite=True
        )
        cubes.append((tmp_path / "x.fits").read_bytes())
    settings = PrepareSettings(image_size=16, color=True, stretch="linear")
    done = prepare(make_catalog(tmp_path, cubes), None, tmp_path / "p", settings)
    assert (done.info.channels, done.info.rejected) == (3, 1)
    assert "has 2 channels, most images have 3" in pd.read_csv(tmp_path / "p" / "rejected.csv")["reason"][0]


# --- damage ---


def test_every_flipped_bit_is_found_and_its_file_named(folder, simulated, tmp_path):
    settings = PrepareSettings(format=read_info(folder).format, **SMALL)
    copy = prepare(simulated / "catalog.csv", GZ2, tmp_path / "copy", settings).folder
    shard = shards_of(copy)[1]
    for position in (3, 1000, shard.stat().st_size - 5):
        flip(shard, position)
        with pytest.raises(ShardError, match=r"'.*shard-00001.*' is damaged"):
            verify_folder(copy)
        flip(shard, position)
    assert verify_folder(copy).is_verified
    flip(copy / "catalog.parquet", 200)
    with pytest.raises(ShardError, match=r"catalog\.parquet' is damaged"):
        verify_folder(copy)


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=200))
@example(0, bytes(200))
@example(60, b"999999999")
def test_noise_in_a_shard_gives_images_or_one_of_our_errors(folder, tmp_path_factory, place, noise):
    copy = tmp_path_factory.getbasetemp() / f"noise-{folder.parent.name}"
    if not copy.is_dir():
        shutil.copytree(folder, copy)
    shard, original = shards_of(copy)[0], shards_of(folder)[0].read_bytes()
    shard.write_bytes((original[:place] + noise + original[place + len(noise) :])[: len(original)])
    images = PreparedImages(copy)
    for row in range(3):
        with contextlib.suppress(ShardError):
            assert images.read(row).dtype == np.uint8


def test_damage_of_a_tfrecord_is_found_on_reading(simulated, tmp_path):
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(format="tfrecord", **SMALL))
    flip(tmp_path / "p" / "shard-00000.tfrecord", 500)
    with pytest.raises(ShardError, match=r"shard-00000\.tfrecord' is damaged: the record at byte 0 "):
        PreparedImages(tmp_path / "p").read(0)


def test_truncated_and_missing_shards_are_named(folder, simulated, tmp_path):
    settings = PrepareSettings(format=read_info(folder).format, **SMALL)
    copy = prepare(simulated / "catalog.csv", GZ2, tmp_path / "copy", settings).folder
    shard = shards_of(copy)[2]
    shard.write_bytes(shard.read_bytes()[:-100])
    size = shard.stat().st_size
    for reader in (PreparedImages, verify_folder):
        with pytest.raises(ShardError, match=rf"shard-00002.*is truncated: it has {size:,} bytes of {size + 100:,}"):
            reader(copy)
    shard.unlink()
    for reader in (PreparedImages, verify_folder):
        with pytest.raises(ShardError, match=r"shard-00002.*' is missing"):
            reader(copy)


def test_folder_that_is_none_or_damaged_says_so(folder, simulated, tmp_path):
    with pytest.raises(ShardError, match=r"does not exist\. 'zoobot prepare' makes one"):
        verify_folder(tmp_path / "none")
    with pytest.raises(ShardError, match="is no folder of prepared images"):
        verify_folder(tmp_path)
    (tmp_path / "info.json").write_text((folder / "info.json").read_text().replace("shard-00000", "../shard-00000"))
    with pytest.raises(ShardError, match="names shards outside of its folder"):
        verify_folder(tmp_path)
    (tmp_path / "info.json").write_text("{}")
    with pytest.raises(ShardError, match="is damaged, or of another version of zoobot"):
        load_catalog(tmp_path, None)


# --- going on, and refusing ---


def test_interrupted_preparation_goes_on(folder, simulated, tmp_path, monkeypatch):
    settings = PrepareSettings(format=read_info(folder).format, **SMALL)
    count = itertools.count()
    read_one = preparing_shards._read_one

    def stop_at_40(*arguments):
        if next(count) == 40:
            raise KeyboardInterrupt
        return read_one(*arguments)

    monkeypatch.setattr(preparing_shards, "_read_one", stop_at_40)
    with pytest.raises(KeyboardInterrupt):
        prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", settings)
    with pytest.raises(ShardError, match=r"is not finished\. Repeat the 'zoobot prepare' that began it"):
        load_catalog(tmp_path / "p", GZ2)
    first = shards_of(tmp_path / "p")
    assert [path.name[:11] for path in first] == ["shard-00000"]
    written = first[0].stat().st_mtime_ns
    with pytest.raises(OutputError, match="image_size: 48 there, 32 now"):
        prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", settings.model_copy(update={"image_size": 32}))
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", settings)
    assert first[0].stat().st_mtime_ns == written
    assert bytes_of(tmp_path / "p") == bytes_of(folder)


def test_two_at_once_and_a_finished_folder_that_lacks_a_shard_are_refused(simulated, tmp_path):
    (tmp_path / "p").mkdir()
    with (
        claimed(Share(), tmp_path / "p"),
        pytest.raises(OutputError, match=r"Another process is at work in '.*p'\. Wait"),
    ):
        prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(**SMALL))
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(**SMALL))
    shards_of(tmp_path / "p")[1].unlink()
    with pytest.raises(ShardError, match=r"shard-00001\.npy' is missing"):
        prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(**SMALL))


def test_a_disk_that_is_full_in_the_middle_loses_nothing(simulated, tmp_path, monkeypatch):
    replace, count = preparation.os.replace, itertools.count()

    def fill(source, target):
        if str(target).endswith(".npy") and next(count) == 1:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(preparation.os, "replace", fill)
    with pytest.raises(OutputError, match=r"' cannot be written: No space left on device\. What is finished stays"):
        prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(**SMALL))
    assert prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(**SMALL)).info.galaxies == 60
    verify_folder(tmp_path / "p")


def test_fits_and_other_images_do_not_mix(tmp_path):
    table = pd.DataFrame({"id_str": ["a", "b"], "file_loc": ["a.fits", "b.jpg"]})
    with pytest.raises(SettingError, match=r"has FITS images, such as '.*a\.fits', and others, such as '.*b\.jpg'"):
        prepare(table, None, tmp_path / "p", PrepareSettings(stretch="asinh"))


def test_settings_that_do_nothing_are_refused(folder, simulated, tmp_path):
    with pytest.raises(SettingError, match="takes that folder and nothing else"):
        prepare(folder, settings=PrepareSettings(image_size=64), verify=True)
    with pytest.raises(SettingError, match="are about votes: give --schema too"):
        prepare(simulated / "catalog.csv", None, tmp_path / "p", PrepareSettings(min_votes=5))


def test_bands_are_recorded_and_a_prepared_folder_can_be_checked(folder, simulated, zoobot):
    assert read_info(folder).bands == []
    assert load_catalog(folder, None).bands == []
    assert zoobot("catalog", "check", folder, "--schema", "gz2").code == 0


def test_finished_preparation_is_returned_as_it_is(folder, simulated, caplog):
    settings = PrepareSettings(format=read_info(folder).format, **SMALL)
    with pytest.raises(OutputError, match="shard_size: 25 there, 26 now"):
        prepare(simulated / "catalog.csv", GZ2, folder, settings.model_copy(update={"shard_size": 26}))
    before = [path.stat().st_mtime_ns for path in shards_of(folder)]
    assert prepare(simulated / "catalog.csv", GZ2, folder, settings).info == read_info(folder)
    assert [path.stat().st_mtime_ns for path in shards_of(folder)] == before
    assert "is prepared already" in caplog.text


def test_too_small_a_disk_is_found_before_anything_is_written(simulated, tmp_path, monkeypatch):
    usage = dataclasses.make_dataclass("Usage", ["free"])
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda _: usage(100_000))
    with pytest.raises(OutputError, match=r"needs about 0\.0 GB, and its disk has 0\.0 GB free. Make room"):
        prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(**SMALL))
    assert not shards_of(tmp_path / "p")
    assert not list((tmp_path / "p").glob(".*"))


def test_another_schema_is_refused_with_the_difference(folder):
    with pytest.raises(
        CatalogError, match=r"prepared for the schema 'gz2', not for 'decals': only in the folder: bar_yes"
    ):
        load_catalog(folder, get_schema("decals"))
    with pytest.raises(CatalogError, match="with other questions leading to each other"):
        load_catalog(folder, ask_last_question_of_everybody())


def ask_last_question_of_everybody():
    pairs = GZ2.to_dict()["question_answer_pairs"]
    return Schema(pairs, {**GZ2.to_dict()["dependencies"], list(pairs)[-1]: None})


def test_folder_without_votes_cannot_train(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
    prepare(make_catalog(tmp_path, [image]), None, tmp_path / "p", PrepareSettings(image_size=16))
    for load in (lambda: load_catalog(tmp_path / "p", GZ2), lambda: load_schema_of(tmp_path / "p", None)):
        with pytest.raises(CatalogError, match=r"were prepared without votes\. Prepare them with --schema"):
            load()


def test_images_read_otherwise_are_refused(folder):
    with pytest.raises(SettingError, match="- color: False there, True wanted"):
        open_images(load_catalog(folder, None), ImageSettings(color=True))


def test_stretch_must_fit_the_files(simulated, tmp_path):
    with pytest.raises(SettingError, match="Stretches and extensions are of FITS images"):
        prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(stretch="asinh"))
    table = pd.DataFrame({"id_str": ["a"], "file_loc": ["a.fits"]})
    with pytest.raises(SettingError, match=r"has FITS images, such as '.*a\.fits', which need a stretch"):
        prepare(table, None, tmp_path / "p", PrepareSettings())


def test_commands(simulated, tmp_path, zoobot):
    output = tmp_path / "p"
    done = zoobot("prepare", simulated / "catalog.csv", "--schema", "gz2", "--output", output, "--image-size", 48)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(
        f"Prepared 60 galaxies: {output}\nImages:  store, 48 x 48 pixels, 1 channel, 0.1 MB in 1 shards"
    )
    assert "Every checksum is right." in zoobot("prepare", "--verify", output).out
    flip(output / "shard-00000.npy", 400)
    failed = zoobot("prepare", "--verify", output)
    assert failed.code == 1
    assert "shard-00000.npy' is damaged" in failed.err
    assert zoobot("prepare", simulated / "catalog.csv").code == 2
    assert "is prepared already" in zoobot("prepare", output, "--output", tmp_path / "q").err
    refused = zoobot("prepare", simulated / "catalog.csv", "--output", tmp_path / "q", "--pixels", "jpeg")
    assert refused.code == 2
    assert "pixels jpeg needs the format tfrecord or webdataset" in refused.err


# --- views of both ---


def test_views_of_a_folder_at_the_images_own_size_are_those_of_the_files(simulated, tmp_path):
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(image_size=64))
    adjustments = Adjustments(40, crop_bounds=(0.6, 0.8), max_shift=0.1, aspect_bounds=(0.9, 1.1))
    sources = [
        open_images(load_catalog(path, GZ2), ImageSettings()) for path in (simulated / "catalog.csv", tmp_path / "p")
    ]
    keys = [(0, 1, row) for row in range(20)]
    for chosen in (keys, None):
        files, prepared = (render(source, range(20), adjustments, chosen) for source in sources)
        np.testing.assert_array_equal(files, prepared)


def test_views_of_a_smaller_folder_have_the_same_distribution(simulated, tmp_path):
    """The matrices are drawn alike; only the detail of the images is less."""
    prepare(simulated / "catalog.csv", GZ2, tmp_path / "p", PrepareSettings(image_size=57))
    adjustments = Adjustments(40, crop_bounds=(0.6, 0.8), max_shift=0.1, aspect_bounds=(0.9, 1.1))
    assert adjustments.reading_size == 57
    files, prepared = (
        render(
            open_images(load_catalog(path, GZ2), ImageSettings()),
            range(60),
            adjustments,
            [(0, 0, row) for row in range(60)],
        )
        for path in (simulated / "catalog.csv", tmp_path / "p")
    )
    difference = np.abs(files.astype(int) - prepared)
    assert difference.mean() < 2
    np.testing.assert_allclose(files.mean(axis=(1, 2, 3)), prepared.mean(axis=(1, 2, 3)), atol=1)


def test_whole_images_and_matrices_give_the_same_views(simulated):
    adjustments = Adjustments(40, crop_bounds=(0.6, 0.8))
    images = open_images(load_catalog(simulated / "catalog.csv", GZ2), ImageSettings())
    keys = [(0, 0, row) for row in range(5)]
    squares, matrices = read_squares(images, range(5), adjustments, keys)
    views = render(images, range(5), adjustments, keys)
    for square, matrix, view in zip(squares, matrices, views, strict=True):
        warped = cv2.warpAffine(
            square, matrix, (40, 40), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
        )
        np.testing.assert_allclose(warped.astype(int), view[:, :, 0], atol=1)

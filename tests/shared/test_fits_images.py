"""FITS images against arrays that astropy wrote; stretches against their formulas."""

import contextlib
import gzip
import io
import re

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import example, given
from hypothesis import strategies as st

from zoobot.config import ImageSettings
from zoobot.errors import ImageError, SettingError
from zoobot.shared.fits_images import read_bands
from zoobot.shared.images import read_galaxy, read_with_remarks
from zoobot.shared.stretches import stretch

BANDS = np.random.default_rng(0).normal(size=(20, 30, 3)).astype(np.float32)  # height, width, band
FIRST = np.moveaxis(BANDS, 2, 0)
LINEAR = ImageSettings(stretch="linear", color=True)


def encode(*hdus):
    primary = [] if isinstance(hdus[0], fits.PrimaryHDU) else [fits.PrimaryHDU()]
    buffer = io.BytesIO()
    fits.HDUList([*primary, *hdus]).writeto(buffer)
    return buffer.getvalue()


def read(content, *hdu):
    return read_bands("a.fits", content, hdu)


# --- what is read ---


@pytest.mark.parametrize(
    "content",
    [
        encode(fits.PrimaryHDU(FIRST)),
        encode(fits.PrimaryHDU(BANDS)),
        encode(fits.PrimaryHDU(FIRST[np.newaxis])),
        encode(fits.ImageHDU(FIRST)),
        gzip.compress(encode(fits.PrimaryHDU(FIRST))),
        encode(fits.CompImageHDU(FIRST, compression_type="GZIP_2", quantize_level=0)),
    ],
    ids=["bands first", "bands last", "axis of one", "extension", "gzip", "tiles"],
)
def test_bands_are_read_from_every_kind_of_file(content):
    np.testing.assert_array_equal(read(content), BANDS)


def test_extensions_are_bands_by_name_and_number():
    content = encode(fits.ImageHDU(FIRST[0], name="G"), fits.ImageHDU(FIRST[1], name="MASK"), fits.ImageHDU(FIRST[2]))
    np.testing.assert_array_equal(read(content), BANDS[:, :, :1])
    np.testing.assert_array_equal(read(content, "3", "g"), BANDS[:, :, [2, 0]])
    with pytest.raises(ImageError, match=re.escape("has no extension 'r'. It has: 0 'PRIMARY', 1 'G', 2 'MASK', 3 ''")):
        read(content, "r")
    with pytest.raises(ImageError, match=r"The extension '0' of 'a\.fits' holds no image"):
        read(content, "0")


def test_one_file_per_band(tmp_path):
    files = []
    for band in range(3):
        files.append(tmp_path / f"{band}.fits")
        files[-1].write_bytes(encode(fits.PrimaryHDU(FIRST[band])))
    (tmp_path / "all.fits").write_bytes(encode(fits.PrimaryHDU(FIRST)))
    np.testing.assert_array_equal(read_galaxy(files, LINEAR), read_galaxy([tmp_path / "all.fits"], LINEAR))
    (tmp_path / "other.fits").write_bytes(encode(fits.PrimaryHDU(FIRST[0, :9])))
    with pytest.raises(ImageError, match="differ in size: 30 x 20, 30 x 9 pixels"):
        read_galaxy([files[0], tmp_path / "other.fits"], LINEAR)


def test_masked_pixels_get_the_median_and_are_remarked(tmp_path):
    pixels = np.arange(100.0, dtype=np.float32).reshape(10, 10)
    pixels[:2] = np.nan
    pixels[2, 0] = np.inf
    (tmp_path / "a.fits").write_bytes(encode(fits.PrimaryHDU(pixels)))
    image, remarks = read_with_remarks([tmp_path / "a.fits"], LINEAR)
    assert remarks == ["21% of the pixels are masked (NaN)"]
    finite = pixels[np.isfinite(pixels)]
    expected = np.rint((np.median(finite) - finite.min()) / np.ptp(finite) * 255)
    assert (image[:2] == expected).all()


@pytest.mark.parametrize(
    ("pixels", "remarks"),
    [
        (np.where(np.arange(100).reshape(10, 10) < 30, 0, 1.0), ["30% of the pixels are exactly 0, perhaps missing"]),
        (np.full((10, 10), 7.0), ["all pixels are alike (0)"]),
        (np.arange(100.0).reshape(10, 10), []),
    ],
)
def test_odd_images_are_remarked(tmp_path, pixels, remarks):
    (tmp_path / "a.fits").write_bytes(encode(fits.PrimaryHDU(pixels)))
    assert read_with_remarks([tmp_path / "a.fits"], LINEAR)[1] == remarks


# --- what is refused ---


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encode(fits.PrimaryHDU(FIRST))[:-5000], "is truncated: its image needs 10,080 bytes, the file has 6,520."),
        (encode(fits.PrimaryHDU())[:2880], "is a FITS file without an image"),
        (encode(fits.PrimaryHDU(np.zeros((4, 5, 5, 5)))), "holds an array of shape (4, 5, 5, 5)."),
        (encode(fits.PrimaryHDU(np.zeros((5, 5, 5)))), "which is shorter: its bands."),
        (encode(fits.PrimaryHDU(FIRST))[:900], "starts as a FITS file but cannot be read"),
        (gzip.compress(b"nothing"), "is a gzip file, but not of a FITS image"),
        (gzip.compress(encode(fits.PrimaryHDU(FIRST)))[:500], "starts as a FITS file but cannot be read"),
        (b"SIMPLE  =" + bytes(3000), "starts as a FITS file but cannot be read"),
    ],
)
def test_file_without_a_whole_image_is_refused_with_its_path(content, message):
    with pytest.raises(ImageError, match=re.escape(message)) as caught:
        read(content)
    assert str(caught.value).startswith("'a.fits' ")


def test_image_of_nan_and_image_without_a_stretch_are_refused(tmp_path):
    (tmp_path / "a.fits").write_bytes(encode(fits.PrimaryHDU(np.full((5, 5), np.nan))))
    with pytest.raises(ImageError, match="has no finite pixel in band 1"):
        read_galaxy([tmp_path / "a.fits"], LINEAR)
    with pytest.raises(ImageError, match="which needs a stretch"):
        read_galaxy([tmp_path / "a.fits"], ImageSettings())


@given(st.binary(max_size=200), st.integers(0, 5000))
@example(b"SIMPLE  =", 0)
def test_damage_anywhere_gives_pixels_or_one_of_our_errors(noise, place):
    content = bytearray(encode(fits.PrimaryHDU(FIRST)))
    content[place : place + len(noise)] = noise
    with contextlib.suppress(ImageError):
        assert read(bytes(content)).ndim == 3


# --- stretches ---


def test_stretches_follow_their_formulas():
    def scaled(low, high):
        return np.clip((BANDS.astype(float) - low) / (high - low), 0, 1)

    def close(reading, expected):
        np.testing.assert_allclose(stretch(BANDS, reading), 255 * expected, atol=0.51)

    low, high = BANDS.min(axis=(0, 1)).astype(float), BANDS.max(axis=(0, 1)).astype(float)
    close(ImageSettings(stretch="linear"), scaled(low, high))
    close(ImageSettings(stretch="linear", value_range=(-1, 2)), scaled(-1, 2))
    percentiles = np.percentile(BANDS.astype(float), (5, 95), axis=(0, 1))
    close(ImageSettings(stretch="percentile", percentiles=(5, 95)), scaled(*percentiles))
    asinh = ImageSettings(stretch="asinh", value_range=(0, 2), softening=0.1)
    close(asinh, np.arcsinh(scaled(0, 2) / 0.1) / np.arcsinh(10))


def test_lupton_keeps_colour_and_shows_the_last_band_as_red():
    """Lupton et al. 2004: all bands are scaled by one function of their mean."""
    faint = np.full((4, 4, 3), [0.01, 0.02, 0.04], np.float32)
    red, green, blue = stretch(faint, ImageSettings(stretch="lupton", lupton_range=(0, 0.5)))[0, 0].astype(float)
    np.testing.assert_allclose([red / green, green / blue], 2, rtol=0.2)
    with pytest.raises(ImageError, match=r"lupton needs three bands, blue to red\. This image has 2"):
        stretch(faint[:, :, :2], ImageSettings(stretch="lupton"))


def test_zscale_shows_faint_structure():
    """A bright star takes the range of linear; zscale ignores it."""
    rng = np.random.default_rng(0)
    sky = rng.normal(0, 1, (100, 100, 1)).astype(np.float32)
    sky[50, 50] = 1e5
    assert stretch(sky, ImageSettings(stretch="linear")).std() < 3
    assert stretch(sky, ImageSettings(stretch="zscale")).std() > 10


@pytest.mark.parametrize("name", ["linear", "percentile", "zscale", "asinh"])
def test_constant_image_is_black(name):
    assert not stretch(np.full((8, 8, 2), 3.0, np.float32), ImageSettings(stretch=name)).any()


def test_grey_is_the_mean_of_the_bands(tmp_path):
    (tmp_path / "a.fits").write_bytes(encode(fits.PrimaryHDU(FIRST)))
    grey = read_galaxy([tmp_path / "a.fits"], ImageSettings(stretch="linear"))
    np.testing.assert_allclose(grey[:, :, 0], read_galaxy([tmp_path / "a.fits"], LINEAR).mean(axis=2), atol=0.51)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"percentiles": (1, 99)}, "percentiles belongs to the stretch percentile. Got the stretch none instead."),
        ({"stretch": "zscale", "softening": 1}, "softening belongs to the stretch asinh or lupton. Got the stretch"),
        ({"stretch": "linear", "value_range": (2, 1)}, "value_range must be two numbers, the smaller one first."),
        ({"stretch": "percentile", "percentiles": (-1, 50)}, "percentiles must be two numbers from 0 to 100."),
        ({"stretch": "lupton", "lupton_range": (0, 0)}, "The second number of lupton_range must be above 0."),
    ],
)
def test_parameters_of_another_stretch_are_refused(values, message):
    with pytest.raises(SettingError, match=re.escape(message)):
        ImageSettings(**values)


def test_real_cutouts_are_read_or_refused_with_a_reason(shared_data):
    folder = shared_data / "decals_fits"
    asinh = ImageSettings(stretch="asinh", color=True)
    assert read_with_remarks([folder / "example_a.fits"], asinh)[0].shape == (424, 424, 3)
    assert "exactly 0" in read_with_remarks([folder / "example_bad_pix.fits"], asinh)[1][0]
    with pytest.raises(ImageError, match=r"example_incomplete\.fits' is truncated"):
        read_galaxy([folder / "example_incomplete.fits"], asinh)

"""Every picture becomes the array that Pillow sees; what is no whole picture is refused with its path."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from zoobot.config import ImageSettings
from zoobot.errors import ImageError
from zoobot.shared.image_sources import FileImages, find_unreadable
from zoobot.shared.images import read_image

MODES = ["L", "RGB", "RGBA", "LA", "P", "1", "I;16", "CMYK"]


def draw_picture(height=37, width=52):
    """A smooth galaxy-like colour image, so that JPEG loses little."""
    y, x = np.mgrid[:height, :width]
    light = np.exp(-(((x - width / 2) / 15) ** 2) - ((y - height / 2) / 9) ** 2)
    return np.stack([40 + 200 * light, 30 + 120 * light, 60 + 2.0 * x], axis=2).astype(np.uint8)


def save(path, mode="RGB", picture=None, **options):
    image = Image.fromarray(draw_picture() if picture is None else picture)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif mode != "RGB":
        image = image.convert(mode)
    image.save(path, **({"quality": 95} if str(path).endswith("jpg") else {}), **options)
    return path


def png_header(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + start + struct.pack(">I", 1000) + b"IDAT" + bytes(40)


# --- what is read ---


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize(
    ("mode", "suffix"),
    [(mode, "png") for mode in MODES if mode != "CMYK"] + [(mode, "jpg") for mode in ("L", "RGB", "CMYK")],
)
def test_every_kind_of_picture_reads_as_pillow_sees_it(tmp_path, mode, suffix, color):
    path = save(tmp_path / f"galaxy.{suffix}", mode)
    image = read_image(path, color)
    assert (image.shape, image.dtype) == ((37, 52, 3 if color else 1), np.uint8)
    assert image.flags.c_contiguous
    with Image.open(path) as opened:
        seen = Image.fromarray((np.asarray(opened) // 257).astype(np.uint8)) if mode == "I;16" else opened
        expected = np.asarray(seen.convert("RGB").convert("RGB" if color else "L"), int)
    difference = np.abs(image.reshape(expected.shape).astype(int) - expected)
    assert difference.max() <= (3 if suffix == "jpg" else 1)  # the two round luma and chroma differently
    assert difference.mean() < 0.6


def test_lossless_colours_are_exact_and_in_the_order_red_green_blue(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", picture=picture), color=True), picture)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (424, 424), (300, 2)])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_any_size_is_read(tmp_path, shape, suffix):
    path = save(tmp_path / f"a.{suffix}", picture=np.full((*shape, 3), 77, np.uint8))
    assert read_image(path).shape == (*shape, 1)
    assert read_image(path, color=True).tolist() == np.full((*shape, 3), 77).tolist()


def test_format_follows_from_the_content_not_the_name(tmp_path):
    save(tmp_path / "a.png", picture=np.full((4, 4, 3), 9, np.uint8))
    (tmp_path / "a.jpeg").write_bytes((tmp_path / "a.png").read_bytes())
    assert (read_image(tmp_path / "a.jpeg") == 9).all()


def test_progressive_jpeg_and_trailing_bytes_are_read(tmp_path):
    plain = read_image(save(tmp_path / "a.jpg"), color=True)
    progressive = read_image(save(tmp_path / "b.jpg", progressive=True), color=True)
    np.testing.assert_allclose(progressive, plain, atol=3)
    (tmp_path / "c.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + bytes(500))
    np.testing.assert_allclose(read_image(tmp_path / "c.jpg", color=True), plain, atol=3)


def test_file_of_several_pictures_gives_the_first(tmp_path):
    """MPO: a JPEG with others behind it, as phones and 3-D cameras write them."""
    others = Image.fromarray(draw_picture()[::-1])
    Image.fromarray(draw_picture()).save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[others])
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg", color=True).astype(int), draw_picture(), atol=25)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("mode", "suffix"), [("L", "jpg"), ("RGB", "jpg"), ("CMYK", "jpg"), ("RGB", "png")])
def test_picture_is_turned_by_its_orientation_tag(tmp_path, mode, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{suffix}", mode, exif=exif)
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"), int)
    np.testing.assert_allclose(read_image(path, color=True).astype(int), expected, atol=6)


def test_real_galaxies_read_as_pillow_sees_them(shared_data):
    for path in sorted((shared_data / "gz2" / "images").glob("*.jpg"))[:5]:
        with Image.open(path) as opened:
            expected = np.asarray(opened.convert("RGB"), int)
        np.testing.assert_allclose(read_image(path, color=True).astype(int), expected, atol=3)


# --- what is refused ---


def damage_middle(encoded):
    start = len(encoded) // 2
    return encoded[:start] + bytes(reversed(encoded[start : start + 60])) + encoded[start + 60 :]


def encode(suffix):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    Image.fromarray(noise).save(buffer, {"jpg": "JPEG", "png": "PNG"}[suffix])
    return buffer.getvalue()


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty (0 bytes)."),
        (b"<html>404</html>", "is not an image that zoobot can read (JPEG, PNG or FITS)."),
        (b"GIF89a", "is not an image that zoobot can read (JPEG, PNG or FITS)."),
        (encode("jpg")[:20], "starts as a JPEG or PNG file, but its header is damaged or cut off."),
        (encode("jpg")[:-1200], "cannot be decoded, perhaps it is truncated"),
        (encode("jpg")[:-2], "cannot be decoded, perhaps it is truncated"),
        (encode("png")[:-2000], "cannot be decoded, perhaps it is truncated"),
        (encode("png")[:40], "starts as a JPEG or PNG file, but its header is damaged or cut off."),
        (damage_middle(encode("png")), "cannot be decoded: it is damaged"),
        (png_header(20_000, 10_000), "has 20000 x 10000 pixels, more than the 100 megapixels that an image of one"),
        (png_header(2**31 - 1, 2**31 - 1), "has 2147483647 x 2147483647 pixels, more than the 100 megapixels"),
    ],
)
def test_file_that_is_no_whole_picture_is_refused_with_its_path(tmp_path, content, message, color):
    path = tmp_path / "galaxy.img"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=re.escape(message)) as caught:
        read_image(path, color)
    assert str(caught.value).startswith(f"'{path}' ")


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"^There is no file '.*none\.png'\.$"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match=r"' cannot be read: Is a directory\.$"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match=r"' cannot be read: "):
        read_image(tmp_path / ("x" * 300))


def test_picture_of_100_megapixels_is_allowed_without_a_warning(tmp_path):
    """Pillow warns from 89 megapixels on. This one lacks its pixels, so that nothing large is decoded."""
    (tmp_path / "a.png").write_bytes(png_header(10_000, 10_000))
    with pytest.raises(ImageError, match="cannot be decoded, perhaps it is truncated"):
        read_image(tmp_path / "a.png")


def test_giant_is_refused_before_a_pixel_is_decoded(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr("zoobot.shared.images.cv2.imdecode", refuse)
    monkeypatch.setattr(Image.Image, "convert", refuse)
    (tmp_path / "a.png").write_bytes(png_header(50_000, 50_000) + b"IEND\xaeB`\x82")
    with pytest.raises(ImageError, match="50000 x 50000 pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_find_unreadable_returns_positions_and_reasons(tmp_path, workers):
    good = save(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    seen = []
    paths = [good, tmp_path / "empty.png", str(good), tmp_path / "none.png"]
    images = FileImages([[path] for path in paths], ImageSettings())
    found = find_unreadable(images, workers, lambda: seen.append(1))
    assert found == {1: f"'{tmp_path / 'empty.png'}' is empty (0 bytes).", 3: f"There is no file '{paths[3]}'."}
    assert len(seen) == 4

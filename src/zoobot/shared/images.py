"""A galaxy's image file, or one file per band, to one array `(height, width, channel)`, channel last, also for grey.

OpenCV decodes JPEG and PNG; Pillow reads the header first and whatever OpenCV cannot (CMYK, files with an odd ending).
FITS files are read by `fits_images` and turned into grey values by `stretches`.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageOps
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from zoobot.config import ImageSettings
from zoobot.errors import ImageError
from zoobot.shared.fits_images import FITS_SIGNATURE, FITS_SUFFIXES, GZIP_SIGNATURE, fill_masked, join_bands, read_bands
from zoobot.shared.stretches import stretch

ImageArray = npt.NDArray[np.uint8]

# Images are small, readers are many, and OpenCV's own threads would hang the processes that a data loader forks.
cv2.setNumThreads(1)

READABLE_SUFFIXES = (".jpg", ".jpeg", ".png", *FITS_SUFFIXES)
MAX_PIXELS = 100_000_000
# An intact file ends in its format's end marker. OpenCV fills what a truncated file lacks with grey and says nothing.
_END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_JPEG_SIGNATURE, _PNG_SIGNATURE = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_EXIF_ORIENTATION = 0x0112
_OPENCV_MODES = {"L", "RGB", "RGBA", "LA", "P", "1", "I", "I;16"}


def read_galaxy(files: Sequence[str | Path], reading: ImageSettings) -> ImageArray:
    """Read a galaxy's image.

    Args:
        files: its one file, JPEG, PNG or FITS; or one file per band, all FITS or none.
        reading: colour, and how FITS images are stretched.

    Returns:
        `uint8`, `(height, width, channel)`: one grey channel, or with `reading.color` RGB or the bands. Grey is the
        luma of JPEG and PNG images and the mean of stretched bands.

    Raises:
        ImageError: a file is missing, damaged or no image; bands differ in size; a FITS image without a stretch.
    """
    return _read(files, reading)[0]


def read_with_remarks(files: Sequence[str | Path], reading: ImageSettings) -> tuple[ImageArray, list[str]]:
    """`read_galaxy`, and what looks odd about the image: masked, missing or all alike."""
    image, remarks = _read(files, reading)
    return image, [*remarks, f"all pixels are alike ({image.flat[0]})"] if image.min() == image.max() else remarks


def _read(files: Sequence[str | Path], reading: ImageSettings) -> tuple[ImageArray, list[str]]:
    encoded = [_read_bytes(path) for path in files]
    are_fits = [content.startswith((FITS_SIGNATURE, GZIP_SIGNATURE)) for content in encoded]
    if all(are_fits):
        return _read_fits(files, encoded, reading)
    if len(files) == 1:
        return _decode(files[0], encoded[0], reading.color), []
    if any(are_fits):
        raise ImageError(f"'{files[0]}' and the files of its other bands must be all FITS or all JPEG or PNG.")
    bands = [_decode(path, content, color=False) for path, content in zip(files, encoded, strict=True)]
    return _to_channels(join_bands(files[0], bands), reading), []


def read_image(path: str | Path, color: bool = False) -> ImageArray:
    """Read a JPEG or PNG file, turned upright if its EXIF orientation says so.

    Args:
        path: the file; any size up to 100 megapixels; greyscale, RGB or RGBA (alpha is dropped).
        color: RGB if true; otherwise greyscale (ITU-R BT.601 luma).

    Returns:
        `uint8`, `(height, width, 3)` if `color`, else `(height, width, 1)`.

    Raises:
        ImageError: the file is missing, empty, truncated, too large or no image. The message names the path.
    """
    return _decode(path, _read_bytes(path), color)


def decode_jpeg(path: str | Path, encoded: bytes, color: bool) -> ImageArray:
    """`read_image` of the bytes of a JPEG file; `path` is where they are from, for messages."""
    if not encoded.startswith(_JPEG_SIGNATURE):
        raise ImageError(f"'{path}' holds an image that is no JPEG file.")
    return _decode(path, encoded, color)


def read_untouched_jpeg(path: str | Path, color: bool) -> tuple[bytes, ImageArray]:
    """The bytes of a JPEG file that is read as any reader would read it, and what it decodes to.

    Raises:
        ImageError: it is no JPEG file, damaged, CMYK, or turned by its EXIF orientation.
    """
    encoded = _read_bytes(path)
    image = decode_jpeg(path, encoded, color)
    with _open(encoded) as header:
        mode, size, orientation = header.mode, header.size, header.getexif().get(_EXIF_ORIENTATION, 1)
    if mode not in ("L", "RGB") or orientation != 1 or size != image.shape[1::-1]:
        raise ImageError(
            f"'{path}' is a JPEG file ({mode}, EXIF orientation {orientation}) that readers show differently. "
            "Prepare it with --pixels raw."
        )
    return encoded, image


@dataclass(frozen=True)
class ImageFacts:
    """What an image file holds, without its pixels.

    Args:
        mode: as Pillow names it: L, RGB, RGBA, P, CMYK ...; or FITS and its bands.
        lowest, highest: of all pixels and channels.
        checksum: of the pixels.
    """

    height: int
    width: int
    mode: str
    lowest: float
    highest: float
    checksum: bytes

    @property
    def kind(self) -> str:
        return f"{self.width} x {self.height} {self.mode}"


def inspect_image(path: str | Path) -> ImageFacts:
    """Read an image as `read_image` does, and say what it holds; `ImageError` where it cannot be read."""
    encoded = _read_bytes(path)
    if encoded.startswith((FITS_SIGNATURE, GZIP_SIGNATURE)):
        values: npt.NDArray[Any] = fill_masked(path, read_bands(path, encoded))[0]
        mode = f"FITS of {values.shape[2]} bands"
    else:
        mode = _read_header(path, encoded)[1]
        values = _decode(path, encoded, color=True)
    height, width = values.shape[:2]
    checksum = hashlib.blake2b(values.tobytes(), digest_size=16).digest()
    return ImageFacts(height, width, mode, float(values.min()), float(values.max()), checksum)


def _read_fits(
    files: Sequence[str | Path], encoded: Sequence[bytes], reading: ImageSettings
) -> tuple[ImageArray, list[str]]:
    if reading.stretch is None:
        raise ImageError(f"'{files[0]}' is a FITS image, which needs a stretch, such as --stretch asinh.")
    filled = [
        fill_masked(path, read_bands(path, content, reading.hdu)) for path, content in zip(files, encoded, strict=True)
    ]
    bands = join_bands(files[0], [band for band, _ in filled])
    return _to_channels(stretch(bands, reading), reading), [remark for _, remarks in filled for remark in remarks]


def _to_channels(bands: ImageArray, reading: ImageSettings) -> ImageArray:
    if reading.color or bands.shape[2] == 1:
        return bands
    grey: ImageArray = np.rint(bands.mean(axis=2, keepdims=True)).astype(np.uint8)
    return grey


def _decode(path: str | Path, encoded: bytes, color: bool) -> ImageArray:
    image_format, mode, (width, height) = _read_header(path, encoded)
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"'{path}' has {width} x {height} pixels, more than the {MAX_PIXELS // 1_000_000} megapixels that an "
            "image of one galaxy may have. Cut out the galaxy."
        )
    if mode in _OPENCV_MODES and _END_MARKERS[image_format] in encoded[-64:]:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB if color else cv2.IMREAD_GRAYSCALE)
    else:
        image = _decode_with_pillow(path, encoded, color)
    if image is None:
        raise ImageError(f"'{path}' starts as a {image_format} file but cannot be decoded: it is damaged.")
    decoded: ImageArray = np.asarray(image, np.uint8)
    return decoded if color else decoded[:, :, np.newaxis]


def _read_bytes(path: str | Path) -> bytes:
    try:
        encoded = Path(path).read_bytes()
    except FileNotFoundError:
        raise ImageError(f"There is no file '{path}'.") from None
    except OSError as error:
        raise ImageError(f"'{path}' cannot be read: {error.strerror}.") from error
    if not encoded:
        raise ImageError(f"'{path}' is empty (0 bytes).")
    return encoded


def _open(encoded: bytes) -> ImageFile:
    """Read the header, without decoding a pixel; not `Image.open`, which warns of images above 89 megapixels."""
    return (PngImageFile if encoded.startswith(_PNG_SIGNATURE) else JpegImageFile)(io.BytesIO(encoded))


def _read_header(path: str | Path, encoded: bytes) -> tuple[str, str, tuple[int, int]]:
    """Format, mode and size."""
    if not encoded.startswith((_PNG_SIGNATURE, _JPEG_SIGNATURE)):
        raise ImageError(f"'{path}' is not an image that zoobot can read (JPEG, PNG or FITS).")
    try:
        with _open(encoded) as header:
            return str(header.format), header.mode, header.size
    except Exception as error:  # Pillow's parsers raise many types on damaged headers
        raise ImageError(f"'{path}' starts as a JPEG or PNG file, but its header is damaged or cut off.") from error


def _decode_with_pillow(path: str | Path, encoded: bytes, color: bool) -> ImageArray:
    try:
        with _open(encoded) as image:
            upright = ImageOps.exif_transpose(image.convert("RGB"))
            return np.asarray(upright.convert("RGB" if color else "L"))
    except Exception as error:
        raise ImageError(f"'{path}' cannot be decoded, perhaps it is truncated: {error}.") from error

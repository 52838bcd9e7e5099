"""One image file to one array `(height, width, channel)`, channel last, also for greyscale.

OpenCV decodes; Pillow reads the header first and whatever OpenCV cannot (CMYK, files with an odd ending).
"""

import hashlib
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from zoobot.errors import ImageError

ImageArray = npt.NDArray[np.uint8]

# Images are small, readers are many, and OpenCV's own threads would hang the processes that a data loader forks.
cv2.setNumThreads(1)

READABLE_SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_PIXELS = 100_000_000
# An intact file ends in its format's end marker. OpenCV fills what a truncated file lacks with grey and says nothing.
_END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_JPEG_SIGNATURE, _PNG_SIGNATURE = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_OPENCV_MODES = {"L", "RGB", "RGBA", "LA", "P", "1", "I", "I;16"}


def read_image(path: str | Path, color: bool = False) -> ImageArray:
    """Read a JPEG or PNG file.

    Args:
        path: the file; any size up to 100 megapixels; greyscale, RGB or RGBA (alpha is dropped).
        color: RGB if true; otherwise greyscale (ITU-R BT.601 luma).

    Returns:
        `uint8`, `(height, width, 3)` if `color`, else `(height, width, 1)`.

    Raises:
        ImageError: the file is missing, empty, truncated, too large or no image. The message names the path.
    """
    return _decode(path, _read_bytes(path), color)


@dataclass(frozen=True)
class ImageFacts:
    """What an image file holds, without its pixels.

    Args:
        mode: as Pillow names it: L, RGB, RGBA, P, CMYK ...
        lowest, highest: of all pixels and channels.
        checksum: of the pixels.
    """

    height: int
    width: int
    mode: str
    lowest: int
    highest: int
    checksum: bytes

    @property
    def kind(self) -> str:
        return f"{self.width} x {self.height} {self.mode}"


def inspect_image(path: str | Path) -> ImageFacts:
    """Read an image as `read_image` does, and say what it holds; `ImageError` where it cannot be read."""
    encoded = _read_bytes(path)
    _, mode, (width, height) = _read_header(path, encoded)
    pixels = _decode(path, encoded, color=True)
    checksum = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
    return ImageFacts(height, width, mode, int(pixels.min()), int(pixels.max()), checksum)


def find_unreadable(
    paths: Iterable[str | Path], color: bool, workers: int, on_progress: Callable[[], Any] = lambda: None
) -> dict[int, str]:
    """Read every file once; position -> what is wrong, for those that cannot be read."""

    def problem(path: str | Path) -> str | None:
        try:
            read_image(path, color)
        except ImageError as error:
            return str(error)
        finally:
            on_progress()
        return None

    with ThreadPoolExecutor(max(1, workers)) as pool:
        problems = enumerate(pool.map(problem, paths))
        return {position: message for position, message in problems if message is not None}


def _decode(path: str | Path, encoded: bytes, color: bool) -> ImageArray:
    image_format, mode, (width, height) = _read_header(path, encoded)
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"'{path}' has {width} x {height} pixels, more than the {MAX_PIXELS // 1_000_000} megapixels that an "
            "image of one galaxy may have. Cut out the galaxy."
        )
    if mode in _OPENCV_MODES and _END_MARKERS[image_format] in encoded[-64:]:
        flag = cv2.IMREAD_COLOR_RGB if color else cv2.IMREAD_GRAYSCALE
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
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
        raise ImageError(f"'{path}' is not an image that zoobot can read (JPEG or PNG).")
    try:
        with _open(encoded) as header:
            return str(header.format), header.mode, header.size
    except Exception as error:  # Pillow's parsers raise many types on damaged headers
        raise ImageError(f"'{path}' starts as a JPEG or PNG file, but its header is damaged or cut off.") from error


def _decode_with_pillow(path: str | Path, encoded: bytes, color: bool) -> ImageArray:
    try:
        with _open(encoded) as image:
            return np.asarray(image.convert("RGB").convert("RGB" if color else "L"))
    except Exception as error:
        raise ImageError(f"'{path}' cannot be decoded, perhaps it is truncated: {error}.") from error

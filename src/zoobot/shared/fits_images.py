"""FITS files to bands of brightness: plain, gzipped or tile-compressed; images, cubes and extensions."""

import gzip
import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from zoobot.errors import ImageError

FloatImage = npt.NDArray[np.float32]

FITS_SUFFIXES = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz")
FITS_SIGNATURE, GZIP_SIGNATURE = b"SIMPLE  =", b"\x1f\x8b"
MAX_VALUES = 400_000_000
"""Pixels of all bands together: what fits into 1.6 GB."""
_MAX_BYTES = 8 * MAX_VALUES
# Shares of a band's pixels from which an image is worth a second look
_MASKED_SHARE, _ZERO_SHARE = 0.1, 0.2
# What silences astropy's warnings changes the state of all threads
_one_at_a_time = Lock()


def is_fits(path: str | Path) -> bool:
    """Whether a file is named as a FITS file."""
    return str(path).lower().endswith(FITS_SUFFIXES)


def read_bands(path: str | Path, encoded: bytes, hdu: Sequence[str] = ()) -> FloatImage:
    """Decode a FITS file.

    Args:
        path: what to call it in messages.
        encoded: what it holds.
        hdu: extensions to read, by name or number, one or more bands each; without, the first that holds an image.

    Returns:
        `(height, width, band)`, NaN and infinities where the file has them. The first row is the file's first, which
        astronomers draw at the bottom.

    Raises:
        ImageError: no FITS file, truncated, no image, or a cube whose bands cannot be told from its pixels.
    """
    from astropy.io import fits

    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encoded = _decompress(path, encoded)
            with fits.open(io.BytesIO(encoded), memmap=False) as hdus:
                images = [_find_hdu(path, hdus, name) for name in hdu] or [_find_first_image(path, hdus)]
                bands = [_read_hdu(path, image, len(encoded)) for image in images]
        except ImageError:
            raise
        except Exception as error:  # astropy raises many types on damaged files
            raise ImageError(f"'{path}' starts as a FITS file but cannot be read: {error}.") from error
    return join_bands(path, bands)


def join_bands(path: str | Path, bands: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Bands of equal size behind each other, `(height, width, band)`."""
    sizes = sorted({f"{band.shape[1]} x {band.shape[0]}" for band in bands})
    if len(sizes) > 1:
        raise ImageError(f"The bands of '{path}' differ in size: {', '.join(sizes)} pixels. Resample them to one.")
    return np.concatenate(bands, axis=2)


def fill_masked(path: str | Path, bands: FloatImage) -> tuple[FloatImage, list[str]]:
    """Give pixels that are NaN or infinite their band's median; says what looks odd about the image."""
    remarks = []
    masked = ~np.isfinite(bands)
    if masked.any():
        for channel in range(bands.shape[2]):
            if masked[:, :, channel].all():
                raise ImageError(f"'{path}' has no finite pixel in band {channel + 1}.")
        bands = np.where(masked, np.nanmedian(np.where(masked, np.nan, bands), axis=(0, 1)), bands)
        share = masked.mean(axis=(0, 1)).max()
        if share >= _MASKED_SHARE:
            remarks.append(f"{share:.0%} of the pixels are masked (NaN)")
    zeros = (bands == 0).mean(axis=(0, 1)).max()
    if zeros >= _ZERO_SHARE:
        remarks.append(f"{zeros:.0%} of the pixels are exactly 0, perhaps missing")
    return bands, remarks


def _decompress(path: str | Path, encoded: bytes) -> bytes:
    if not encoded.startswith(GZIP_SIGNATURE):
        return encoded
    with gzip.GzipFile(fileobj=io.BytesIO(encoded)) as stream:
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ImageError(f"'{path}' is larger than {_MAX_BYTES // 10**9} GB once decompressed. Cut out the galaxy.")
    if not content.startswith(FITS_SIGNATURE):
        raise ImageError(f"'{path}' is a gzip file, but not of a FITS image.")
    return content


def _find_hdu(path: str | Path, hdus: Any, name: str) -> Any:
    try:
        hdu = hdus[int(name) if name.isdecimal() else name]
    except (KeyError, IndexError):
        there = ", ".join(f"{number} '{hdu.name}'" for number, hdu in enumerate(hdus))
        raise ImageError(f"'{path}' has no extension '{name}'. It has: {there}.") from None
    if not _holds_image(hdu):
        raise ImageError(f"The extension '{name}' of '{path}' holds no image.")
    return hdu


def _find_first_image(path: str | Path, hdus: Any) -> Any:
    for hdu in hdus:
        if _holds_image(hdu):
            return hdu
    raise ImageError(f"'{path}' is a FITS file without an image.")


def _holds_image(hdu: Any) -> bool:
    return bool(hdu.is_image) and len(hdu.shape) >= 2 and math.prod(hdu.shape) > 0


def _read_hdu(path: str | Path, hdu: Any, n_bytes: int) -> FloatImage:
    from astropy.io import fits

    if math.prod(hdu.shape) > MAX_VALUES:
        raise ImageError(f"'{path}' has an image of {hdu.shape} pixels, too large for one galaxy. Cut out the galaxy.")
    begins = hdu.fileinfo()["datLoc"]
    if not isinstance(hdu, fits.CompImageHDU) and begins + hdu.size > n_bytes:
        raise ImageError(
            f"'{path}' is truncated: its image needs {begins + hdu.size:,} bytes, the file has {n_bytes:,}."
        )
    return _with_bands_last(path, np.asarray(hdu.data, np.float32))


def _with_bands_last(path: str | Path, pixels: FloatImage) -> FloatImage:
    """A cube's band axis is the first or the last, and shorter than the others."""
    if pixels.ndim > 2:
        kept = tuple(axis for axis, length in enumerate(pixels.shape[:-2]) if length == 1)
        pixels = pixels.squeeze(kept)
    if pixels.ndim == 2:
        return pixels[:, :, np.newaxis]
    if pixels.ndim == 3:
        first, middle, last = pixels.shape
        if first < min(middle, last):
            return np.moveaxis(pixels, 0, 2)
        if last < min(first, middle):
            return pixels
    raise ImageError(
        f"'{path}' holds an array of shape {pixels.shape}. An image has two axes, and a cube a third, first or last, "
        "which is shorter: its bands."
    )

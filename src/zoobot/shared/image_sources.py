"""Where the images of a catalog come from: its files, or a prepared folder. Both are read by position."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from zoobot.config import ImageSettings
from zoobot.errors import ImageError, SettingError
from zoobot.shared.catalogs import Catalog
from zoobot.shared.fits_images import is_fits
from zoobot.shared.images import ImageArray, read_galaxy


class ImageSource(Protocol):
    """Images by position, uint8 `(height, width, channel)`."""

    @property
    def channels(self) -> int: ...

    def __len__(self) -> int: ...

    def read(self, position: int) -> ImageArray: ...


class FileImages:
    """Images read from their files, each time anew.

    Args:
        image_files: of each galaxy, its file or one per band.
        reading: how files become pixels.

    Raises:
        ImageError: the number of bands is not known, because no file can be read.
    """

    def __init__(self, image_files: Sequence[Sequence[str | Path]], reading: ImageSettings) -> None:
        # Arrow keeps strings in one buffer: worker processes share it instead of copying it one reference at a time
        columns = zip(*image_files, strict=True)
        self._columns = [pa.array(map(str, column), pa.large_string()) for column in columns]
        self._reading = reading
        self.channels = self._find_channels()

    def __len__(self) -> int:
        return len(self._columns[0])

    def read(self, position: int) -> ImageArray:
        """Raises `ImageError` where a file cannot be read, or has other bands than the first galaxy."""
        files = self._files(position)
        image = read_galaxy(files, self._reading)
        if image.shape[2] != self.channels:
            raise ImageError(f"'{files[0]}' has {image.shape[2]} bands, the first galaxy has {self.channels}.")
        return image

    def _files(self, position: int) -> list[str]:
        return [column[position].as_py() for column in self._columns]

    def _find_channels(self) -> int:
        """Those of the first image that can be read, where the files decide."""
        if not self._reading.color:
            return 1
        if len(self._columns) == 1 and not is_fits(self._files(0)[0]):
            return 3
        for position in range(len(self)):
            try:
                return int(read_galaxy(self._files(position), self._reading).shape[2])
            except ImageError as error:
                problem = error
        raise problem


def open_images(catalog: Catalog, reading: ImageSettings) -> ImageSource:
    """The images of a catalog; `SettingError` where they are not what `reading` says."""
    if catalog.prepared is None:
        refuse_wrong_stretch(catalog, reading)
        return FileImages(catalog.image_files, reading)
    refuse_other_reading(reading, catalog.prepared.info.image_settings, catalog.source)
    return catalog.prepared


def find_unreadable(images: ImageSource, workers: int, on_progress: Callable[[], Any] = lambda: None) -> dict[int, str]:
    """Read every image once; position -> what is wrong, for those that cannot be read."""

    def problem(position: int) -> str | None:
        try:
            images.read(position)
        except ImageError as error:
            return str(error)
        finally:
            on_progress()
        return None

    with ThreadPoolExecutor(max(1, workers)) as pool:
        problems = enumerate(pool.map(problem, range(len(images))))
        return {position: message for position, message in problems if message is not None}


def refuse_wrong_stretch(catalog: Catalog, reading: ImageSettings) -> None:
    """FITS images need a stretch, and other images have no use for one."""
    fits = other = None
    for files in catalog.image_files:
        fits = fits or next((file for file in files if is_fits(file)), None)
        other = other or next((file for file in files if not is_fits(file)), None)
    if fits and other:
        raise SettingError(
            f"The catalog {catalog.source} has FITS images, such as '{fits}', and others, such as '{other}', whose "
            "channels mean different things. Give a catalog of each."
        )
    if fits is not None and reading.stretch is None:
        raise SettingError(
            f"The catalog {catalog.source} has FITS images, such as '{fits}', which need a stretch: prepare them or "
            "train with one, such as --stretch asinh."
        )
    if fits is None and (reading.stretch or reading.hdu):
        raise SettingError(
            f"Stretches and extensions are of FITS images, and the catalog {catalog.source} has none. (A model that "
            "was trained on FITS images predicts FITS images.)"
        )


def refuse_other_reading(wanted: ImageSettings, there: ImageSettings, source: str) -> None:
    """Raise `SettingError` with the difference, unless both readings are the same."""
    names = ImageSettings.model_fields
    differences = [
        f"- {name}: {getattr(there, name)} there, {getattr(wanted, name)} wanted"
        for name in names
        if getattr(there, name) != getattr(wanted, name)
    ]
    if differences:
        raise SettingError(
            f"The prepared images in {source} are not what is wanted:\n"
            + "\n".join(differences)
            + "\nGive images that were made so, or prepare them again with the wanted settings."
        )

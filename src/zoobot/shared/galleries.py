"""Galleries: a self-contained page of thumbnails with a line or two under each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from zoobot.config import ImageSettings
from zoobot.errors import ImageError
from zoobot.shared.adjustments import to_square
from zoobot.shared.catalog_faults import find_file_columns
from zoobot.shared.images import ImageArray, read_galaxy
from zoobot.shared.pages import image_as_data, render_page
from zoobot.shared.run_folders import write_atomically

_SIDE = 160
_COLORS = 3


@dataclass(frozen=True)
class Tile:
    """One galaxy of a gallery: its thumbnail as a data address (blank if it cannot be read), its name, and words."""

    thumbnail: str
    name: str
    words: str


def write_gallery(
    path: Path, title: str, table: pd.DataFrame, words: Sequence[str], model: dict[str, Any], note: str = ""
) -> Path:
    """Write a page of the galaxies of a table.

    Args:
        table: `id_str` and image columns with absolute paths.
        words: of each galaxy.
        model: what made the embeddings; says how files become pixels.
        note: under the title.
    """
    tiles = [
        Tile(_draw_thumbnail(files, model), str(name), text)
        for files, name, text in zip(files_of(table), table["id_str"], words, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render_page("gallery.html", title=title, note=note, tiles=tiles))
    return path


def read_thumbnail(files: Sequence[str], model: dict[str, Any], side: int = _SIDE) -> ImageArray | None:
    """The central square of a galaxy's image, uint8 `(side, side, 3 or 1)`; None if it cannot be read."""
    seen = {name: value for name, value in model.get("seen", {}).items() if name in ImageSettings.model_fields}
    reading = ImageSettings(**seen)
    if not reading.stretch:
        reading = reading.model_copy(update={"color": True})  # people see colours, even where the encoder does not
    try:
        image = to_square(read_galaxy(files, reading), side)
    except (ImageError, OSError):
        return None
    return image if image.shape[2] in (1, _COLORS) else image[:, :, :1]


def files_of(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """The image of each galaxy: one file, one per band, or none where the table does not say."""
    columns = find_file_columns([str(name) for name in table.columns])
    if not columns or not set(columns) <= set(table.columns):
        return [()] * len(table)
    return list(zip(*(table[column].astype(str) for column in columns), strict=True))


def _draw_thumbnail(files: Sequence[str], model: dict[str, Any]) -> str:
    image = read_thumbnail(files, model) if files else None
    return "" if image is None else image_as_data(image)

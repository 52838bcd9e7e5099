"""What can be predicted: a catalog, a prepared folder, a folder of images, a pattern, one image."""

from pathlib import Path

import pandas as pd

from zoobot.errors import CatalogError
from zoobot.shared.images import READABLE_SUFFIXES
from zoobot.shared.prepared_images import is_prepared

_ONE_IMAGE = (".jpg", ".jpeg", ".png")


def find_galaxies(data: str | Path | pd.DataFrame) -> str | Path | pd.DataFrame:
    """A catalog: the one given, or one of the images in a folder (and below it), of a pattern, or of one JPEG or PNG.

    The `id_str` of an image is its path in the folder, or its name, without the ending.

    Raises:
        CatalogError: no image there, or two of one name.
    """
    if isinstance(data, pd.DataFrame) or is_prepared(data):
        return data
    path, text = Path(data), str(data)
    if path.is_dir():
        images = sorted(file for file in path.rglob("*") if _is_image(file))
        return _to_catalog(images, path, f"the folder '{data}'")
    if path.is_file():
        return _to_catalog([path], path.parent, "") if text.lower().endswith(_ONE_IMAGE) else data
    if any(character in text for character in "*?["):
        root = Path(path.anchor) if path.is_absolute() else Path()
        images = sorted(file for file in root.glob(str(path.relative_to(root))) if _is_image(file))
        return _to_catalog(images, None, f"'{data}'")
    return data


def _is_image(file: Path) -> bool:
    return file.name.lower().endswith(READABLE_SUFFIXES) and not file.name.startswith(".") and file.is_file()


def _to_catalog(images: list[Path], folder: Path | None, source: str) -> pd.DataFrame:
    if not images:
        raise CatalogError(f"There is no image in {source}. Images end in one of {', '.join(READABLE_SUFFIXES)}.")
    names = [_without_suffix(file.relative_to(folder).as_posix() if folder else file.name) for file in images]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise CatalogError(
            f"Several images in {source} have the name '{repeated}'. Give a catalog with an id_str each."
        )
    return pd.DataFrame({"id_str": names, "file_loc": [str(file.resolve()) for file in images]})


def _without_suffix(name: str) -> str:
    suffix = next(
        suffix for suffix in sorted(READABLE_SUFFIXES, key=len, reverse=True) if name.lower().endswith(suffix)
    )
    return name[: -len(suffix)]

"""Mapping files: YAML that says what a table or an export calls a catalog's columns; bundled, or the user's own."""

from pathlib import Path
from typing import Any, Literal

from zoobot.errors import CatalogError, SchemaError, did_you_mean
from zoobot.shared.schema_files import SUFFIXES, read_yaml
from zoobot.shared.schemas import Schema, load_schema

Source = Literal["tables", "zooniverse"]
_FOLDER = Path(__file__).parent / "mappings"


def list_mappings(source: Source) -> list[str]:
    """The names of the bundled mappings: of published tables, or of exports of the Zooniverse."""
    return sorted(file.stem for file in (_FOLDER / source).glob("*.yaml"))


def read_mapping(mapping: str | Path, source: Source, example: str) -> tuple[Path, dict[Any, Any]]:
    """The file of a mapping, by its bundled name or its path, and what it holds.

    Args:
        example: lines that such a file has, for the message.

    Raises:
        CatalogError: there is no such mapping, or it is no YAML of keys and values.
    """
    path = _find_file(mapping, source)
    try:
        content = read_yaml(path)
    except SchemaError as error:
        raise CatalogError(str(error).replace("The schema file", "The mapping", 1)) from error
    if not isinstance(content, dict):
        raise CatalogError(f"The mapping '{mapping}' must hold lines such as {example}. Got {content!r} instead.")
    return path, content


def load_schema_of(path: Path, schema: str) -> Schema:
    """The tree that a mapping names: a published one, or a file beside the mapping."""
    try:
        return load_schema(path.parent / schema if Path(schema).suffix in SUFFIXES else schema)
    except SchemaError as error:
        raise CatalogError(f"The mapping '{path}' cannot be used: {error}") from error


def _find_file(mapping: str | Path, source: Source) -> Path:
    path = Path(mapping)
    if path.suffix not in SUFFIXES:
        bundled = list_mappings(source)
        if str(mapping) not in bundled:
            raise CatalogError(
                f"There is no mapping '{mapping}'.{did_you_mean(str(mapping), bundled)} Give one of "
                f"{', '.join(bundled)}, or a YAML file of your own."
            )
        return _FOLDER / source / f"{mapping}.yaml"
    if not path.is_file():
        raise CatalogError(f"There is no mapping file '{mapping}'.")
    return path

"""What a command is, and the inputs that several of them take."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from zoobot.config import Settings


@dataclass(frozen=True)
class Command:
    """One verb: its function gets the inputs by name and, where the verb has any, the settings."""

    verb: str
    function: str
    summary: str
    example: str
    details: str = ""
    inputs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    settings: type[Settings] | None = None
    group: str | None = None
    with_keras: tuple[str, type[Settings]] | None = None
    """Its function and settings with `--framework tensorflow`, where a verb is done by either framework."""


def argument(help: str) -> Any:
    """An input that is known by its place."""
    return typer.Argument(help=help, show_default=False)


def option(help: str, default: Any = ...) -> Any:
    """An input that is known by its name; without a default it must be given."""
    return typer.Option(default, help=help, show_default=default not in (..., None))


CATALOG = (Path, argument("Table with id_str, file_loc and votes: CSV, Parquet, FITS, VOTable or ECSV."))
SCHEMA = (str, option("Decision tree: a name ('zoobot schema list') or a YAML file."))
OUTPUT = (Path, option("Folder to write; new, empty, or that of the same command."))

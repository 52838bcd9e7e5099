"""The errors that zoobot raises on purpose.

Each one also inherits the builtin that a caller would expect, and its message says what was given, what was
expected and what to do. The command line prints the message of a `ZoobotError` and exits with 1.
"""

import importlib.util
from collections.abc import Iterable
from typing import Any


class ZoobotError(Exception):
    """Every error that zoobot raises on purpose is one of these."""


class SchemaError(ZoobotError, ValueError):
    """A decision tree is malformed, or none has that name."""


class CatalogError(ZoobotError, ValueError):
    """A catalog cannot be read, or does not fit its schema."""


class ImageError(ZoobotError, ValueError):
    """An image file cannot be read as an image."""


class ShardError(ZoobotError, ValueError):
    """Prepared images are damaged, or not what they must be."""


class SettingError(ZoobotError, ValueError):
    """A setting has a value that it cannot have."""


class OutputError(ZoobotError, FileExistsError):
    """An output folder already holds something else."""


class ModelError(ZoobotError, ValueError):
    """A model folder, an architecture or a model's output is not what it must be."""


class PredictionError(ZoobotError, ValueError):
    """Predictions cannot be read, or do not fit the catalog."""


class DeviceMemoryError(ZoobotError, MemoryError):
    """The GPU's memory does not hold one batch."""


class MissingExtraError(ZoobotError, ImportError):
    """A part of zoobot needs packages that are not installed."""


def require_extra(extra: str, modules: Iterable[str]) -> None:
    """Raise `MissingExtraError` with the command that helps, unless all `modules` can be imported."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"zoobot.{extra} needs {', '.join(missing)}, which is not installed. "
            f'In the folder of zoobot\'s source, run: pip install -e ".[{extra}]"'
        )


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """`" Did you mean 'gz2'?"`, or nothing where no allowed name is close to `given`."""
    close = closest(given, allowed)
    return f" Did you mean '{close}'?" if close else ""


def closest(given: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that is most like `given`, if any is like it at all."""
    import difflib

    return next(iter(difflib.get_close_matches(given, list(allowed), n=1)), None)


def quote(names: Iterable[Any], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    shown = ", ".join(f"'{name}'" for name in every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most:,} more"

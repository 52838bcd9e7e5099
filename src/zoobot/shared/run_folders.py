"""Folders that a verb writes: what was asked for is recorded first, and another run never overwrites it."""

import json
import logging
import os
import platform
import reprlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import zoobot
from zoobot.config import Settings
from zoobot.errors import OutputError

RECORD = "run.json"
_DECISIVE = (
    *("numpy", "scipy", "pandas", "opencv-python-headless"),
    *("torch", "timm", "lightning"),
    *("tensorflow", "tensorflow-cpu", "keras", "jax"),
)
# A run may go on with another device or other reading processes.
_MAY_DIFFER = frozenset({"workers", "device"})


def open_run(
    output: str | Path,
    verb: str,
    settings: Settings,
    inputs: Mapping[str, Any],
    *,
    makes: str = "[!.]*",
    may_differ: frozenset[str] = frozenset(),
) -> Path:
    """Make the folder of a run, or go on with the same run.

    Args:
        output: the folder; new, empty, or that of the same run.
        verb: `train`, `predict`, ...
        settings: the resolved settings, recorded in `run.json`.
        inputs: what else the result depends on, such as checksums.
        makes: a pattern of the files that a run makes. A run that made none yet (it failed at the start, say) gives
            way to another.
        may_differ: settings that do not change what is already made.

    Raises:
        OutputError: the folder holds something else, and the message shows the difference; or it cannot be written.
    """
    folder = Path(output)
    asked = {"verb": verb, "settings": settings.model_dump(mode="json"), "inputs": dict(inputs)}
    asked = json.loads(json.dumps(asked))
    try:
        there = list(folder.iterdir()) if folder.is_dir() else []
        foreign = folder.is_file() or any(not path.name.startswith(".") for path in there)
        if (folder / RECORD).is_file():
            differences = _find_differences(folder, asked, _MAY_DIFFER | may_differ)
            if not differences:
                return folder
            if any(path.name != RECORD for path in folder.glob(makes)):
                raise OutputError(
                    f"'{folder}' holds another run:\n" + "\n".join(differences) + "\nChoose another output folder, or "
                    "repeat the command that made it to go on with that run."
                )
        elif foreign:
            raise OutputError(f"'{folder}' exists and is no run of zoobot. Choose an empty or a new folder.")
        folder.mkdir(parents=True, exist_ok=True)
        record = {**asked, "versions": versions(), "started": datetime.now(UTC).isoformat(timespec="seconds")}
        write_atomically(folder / RECORD, json.dumps(record, indent=2) + "\n")
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"The output folder '{folder}' cannot be written: {error.strerror}.") from error
    return folder


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Append what zoobot logs meanwhile to a file of the run folder, with the time of each line."""
    ours = logging.getLogger("zoobot")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level)
        ours.removeHandler(handler)
        handler.close()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, then rename it: it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_folder(temporary: Path, folder: Path) -> None:
    """Put a finished folder in the place of an older one."""
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(temporary, folder)


def versions() -> dict[str, str]:
    """Versions of Python, zoobot and the packages that decide its numbers, where installed."""
    found = {"python": platform.python_version(), "zoobot": zoobot.__version__}
    for package in (
        "numpy",
        "scipy",
        "pandas",
        "opencv-python-headless",
        "torch",
        "timm",
        "lightning",
        "tensorflow",
        "tensorflow-cpu",
        "keras",
        "jax",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _find_differences(folder: Path, asked: Mapping[str, Any], may_differ: frozenset[str]) -> list[str]:
    """One line for each setting or input that the recorded run had otherwise; another verb's folder is refused."""
    try:
        recorded = json.loads((folder / RECORD).read_text())
        verb = recorded["verb"]
        before, now = ({**record["settings"], **record["inputs"]} for record in (recorded, asked))
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"'{folder / RECORD}' is damaged. Choose another output folder.") from error
    if verb != asked["verb"]:
        raise OutputError(
            f"'{folder}' was written by 'zoobot {verb}', not by 'zoobot {asked['verb']}'. Choose another output folder."
        )
    return [
        f"- {name}: {reprlib.repr(before.get(name))} there, {reprlib.repr(now.get(name))} now"
        for name in {**before, **now}
        if name not in may_differ and before.get(name) != now.get(name)
    ]

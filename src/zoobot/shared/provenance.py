"""What a result was made with, and from what: enough to make it again."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import zoobot
from zoobot.shared.run_folders import versions
from zoobot.shared.training_runs import count_cores


def describe_machine() -> dict[str, str]:
    """The machine and its software: processor, cores, system, versions, and the commit of a checked-out zoobot."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": find_processor(),
        "cores": str(os.cpu_count()),
        "commit of zoobot": _commit() or "not a git checkout",
        **versions(),
    }


def describe_hardware(gpu: str | None, devices: int) -> dict[str, Any]:
    """What a model is trained on: the `device`, how many `devices` of its kind, and `cores` of the processor.

    Args:
        gpu: its name; None where the processor itself computes.
    """
    return {"device": gpu or find_processor(), "devices": devices, "cores": count_cores()}


def find_processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of the folder that zoobot is imported from, `+` where files differ from it; None without git."""
    folder = Path(zoobot.__file__).parent
    try:
        described = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--exclude=*", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        inside = subprocess.run(
            ["git", "-C", str(folder), "ls-files", "--error-unmatch", "__init__.py"], capture_output=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() if inside.returncode == 0 else None

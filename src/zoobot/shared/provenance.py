"""What a result was made with, and from what: enough to make it again."""

import os
import platform
import subprocess
from pathlib import Path

import zoobot
from zoobot.shared.run_folders import versions


def describe_machine() -> dict[str, str]:
    """The machine and its software: processor, cores, system, versions, and the commit of a checked-out zoobot."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "commit of zoobot": _commit() or "not a git checkout",
        **versions(),
    }


def _processor() -> str:
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

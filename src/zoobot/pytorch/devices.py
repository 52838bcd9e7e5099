"""Where to compute, with how many helpers, and what to say when the device's memory is too small."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch

from zoobot.errors import DeviceMemoryError, SettingError


def find_device(device: str) -> torch.device:
    """The torch device of `auto`, `cpu`, `gpu` or `mps`; `SettingError` where this machine has none."""
    if device == "auto":
        device = "gpu" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    available = {"cpu": True, "gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[device]:
        found = ", ".join(name for name, there in available.items() if there)
        raise SettingError(f"--device {device}: torch finds no such device on this machine. It has: {found}.")
    return torch.device("cuda" if device == "gpu" else device)


def count_workers(workers: int | None, device: str) -> int:
    """Processes that read images. On a CPU none by default: the model itself keeps every core busy."""
    if workers is not None:
        return workers
    return 0 if find_device(device).type == "cpu" else min(count_cores(), 8)


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def prepare_worker(worker: int) -> None:
    """One thread in each reading process: they share the cores already."""
    cv2.setNumThreads(1)


@contextmanager
def explain_out_of_memory(batch_size: int) -> Iterator[None]:
    """Turn a GPU's out-of-memory error into one that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            f"The GPU's memory does not hold a batch of {batch_size} images. Try --batch-size {max(1, batch_size // 2)}"
            ", or a smaller --image-size or --architecture."
        ) from error

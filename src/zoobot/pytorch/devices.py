"""Where to compute, with how many helpers, and what to say when the device's memory is too small."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from zoobot.errors import DeviceMemoryError, SettingError
from zoobot.shared.provenance import describe_hardware, find_processor
from zoobot.shared.shares import find_local_rank
from zoobot.shared.training_runs import count_cores


def find_device(device: str, devices: int = 1) -> torch.device:
    """The torch device of `auto`, `cpu`, `gpu` or `mps`; `SettingError` where this machine has none, or too few."""
    if device == "auto":
        device = "gpu" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    available = {"cpu": True, "gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[device]:
        found = ", ".join(name for name, there in available.items() if there)
        raise SettingError(f"--device {device}: torch finds no such device on this machine. It has: {found}.")
    n_gpus = torch.cuda.device_count() if device == "gpu" else 0
    if devices > max(1, n_gpus):
        raise SettingError(f"--devices {devices} asks for so many GPUs; on this machine torch can use {n_gpus}.")
    return torch.device("cuda" if device == "gpu" else device)


def find_own_device(device: str, environment: Mapping[str, str] = os.environ) -> torch.device:
    """The device of this process: under torchrun and srun, each process of a machine takes its own GPU."""
    found = find_device(device)
    if found.type != "cuda":
        return found
    return torch.device("cuda", find_local_rank(environment) % torch.cuda.device_count())


def describe_device(device: torch.device, devices: int) -> dict[str, Any]:
    """What a model folder says of what it was trained on."""
    if device.type == "cuda":
        return describe_hardware(torch.cuda.get_device_name(device), devices)
    return describe_hardware(f"GPU of {find_processor()}" if device.type == "mps" else None, devices)


def wait_for(device: torch.device | None) -> None:
    """Wait until a GPU has done what it was given."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def count_workers(workers: int | None, device: str) -> int:
    """Processes that read images. Without a CUDA GPU none by default: the model itself keeps every core busy."""
    if workers is not None:
        return workers
    return min(count_cores(), 8) if find_device(device).type == "cuda" else 0


@contextmanager
def explain_out_of_memory(batch_size: int) -> Iterator[None]:
    """Turn a GPU's out-of-memory error into one that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        remedy = f"Try --batch-size {batch_size // 2}." if batch_size > 1 else "It needs a smaller model or image size."
        raise DeviceMemoryError(f"The GPU's memory does not hold a batch of {batch_size} images. {remedy}") from error

"""Where Keras computes, and what to say when the device's memory is too small."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from typing import Any

import keras
import tensorflow as tf

from zoobot.errors import DeviceMemoryError, SettingError
from zoobot.shared.provenance import describe_hardware
from zoobot.shared.shares import find_local_rank


def find_device(device: str, devices: int = 1) -> str:
    """`cpu` or `gpu`, for `auto` what is there; `SettingError` where this machine has none, or too few."""
    n_gpus = count_gpus()
    if device == "auto":
        device = "gpu" if n_gpus else "cpu"
    if device not in ("cpu", "gpu") or (device == "gpu" and not n_gpus):
        found = "cpu, gpu" if n_gpus else "cpu"
        raise SettingError(f"--device {device}: Keras finds no such device on this machine. It has: {found}.")
    if devices > max(1, n_gpus if device == "gpu" else 0):
        raise SettingError(f"--devices {devices} asks for so many GPUs; on this machine Keras can use {n_gpus}.")
    return device


def find_own_device(device: str) -> str:
    """The device of this process, such as `gpu:1`: under torchrun and srun, each of a machine takes its own GPU."""
    found = find_device(device)
    return f"gpu:{find_local_rank() % count_gpus()}" if found == "gpu" else "cpu:0"


def describe_device(device: str, devices: int) -> dict[str, Any]:
    """What a model folder says of what it was trained on.

    Args:
        device: `cpu` or `gpu`.
    """
    if device == "cpu":
        return describe_hardware(None, devices)
    gpus = tf.config.list_physical_devices("GPU")  # where another backend computes, TensorFlow may see none
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name") if gpus else None
    return describe_hardware(name or "GPU", devices)


def compiles(device: str) -> bool:
    """Whether XLA compiles a model: on a CPU, TensorFlow would compile for half a minute and run no faster."""
    return keras.backend.backend() != "tensorflow" or not device.startswith("cpu")


def count_gpus() -> int:
    """GPUs that the backend can use."""
    if keras.backend.backend() == "tensorflow":
        return len(tf.config.list_physical_devices("GPU"))
    return sum(not name.startswith("cpu") for name in keras.distribution.list_devices())


def find_place(device: str, devices: int, has_own_encoder: bool) -> Callable[[], AbstractContextManager[Any]]:
    """Contexts in which a model is made and trained: on one device, or shared out among several.

    Raises:
        SettingError: several devices, and Keras does not run on TensorFlow, or the encoder is there already.
    """
    if devices == 1:
        return partial(keras.device, f"{device}:0")
    if has_own_encoder:
        raise SettingError("An encoder of your own learns on the device where it is. Leave out devices.")
    if keras.backend.backend() != "tensorflow":
        raise SettingError(f"--devices {devices} needs Keras on TensorFlow. Unset KERAS_BACKEND.")
    return _find_strategy(device, devices).scope  # type: ignore[no-any-return]


@cache
def _find_strategy(device: str, devices: int) -> tf.distribute.Strategy:
    """One for all trainings of a process: two would mix up what their devices say to each other."""
    return tf.distribute.MirroredStrategy([f"{device}:{number}" for number in range(devices)])


@contextmanager
def explain_out_of_memory(batch_size: int) -> Iterator[None]:
    """Turn a GPU's out-of-memory error into one that says what to change."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        remedy = f"Try --batch-size {batch_size // 2}." if batch_size > 1 else "It needs a smaller model or image size."
        raise DeviceMemoryError(f"The GPU's memory does not hold a batch of {batch_size} images. {remedy}") from error

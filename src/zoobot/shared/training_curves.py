"""The training curve, one value per epoch: the names of its columns, the clock of an epoch, and what a run says of it.

Losses and learning rates are those of any run of the same settings; how long it took depends on the machine, and stands
apart from them.
"""

from collections.abc import Mapping
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any

LEARNING_RATE = "learning rate"
"""Of the last step of an epoch; where parts of the model have their own, the largest."""
SECONDS = "seconds"
"""By the clock, from the beginning of an epoch to the end of its validation. Checkpoints are written after that."""
IMAGES_PER_SECOND = "images per second"
"""Images that an epoch learned from, on all devices, over the seconds before its validation. Waiting for images counts,
and so does what starts up in the first epoch."""
TIMING = (SECONDS, IMAGES_PER_SECOND)


class EpochClock:
    """Times one epoch after another."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """An epoch begins."""
        self._start = self._trained = perf_counter()

    def end_training(self) -> None:
        """Its training is over, its validation begins."""
        self._trained = perf_counter()

    def read(self, images: int) -> dict[str, float]:
        """The columns of an epoch that ends now, and has learned from so many images."""
        seconds, training = perf_counter() - self._start, self._trained - self._start
        return {SECONDS: round(seconds, 3), IMAGES_PER_SECOND: round(images / training, 2)}


def set_timing_apart(curve: Mapping[str, list[Any]]) -> dict[str, dict[str, list[Any]]]:
    """What `metrics.json` says of a curve: `history`, which the same run has again, and `timing`, which it has not."""
    return {
        "history": {name: values for name, values in curve.items() if name not in TIMING},
        "timing": {name: curve[name] for name in TIMING},
    }


def say_timing(metrics: Mapping[str, Any], config: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Such as `6 min 31 s, 1,240 images/s`: of all epochs, and of the median one; empty where an epoch's is not known.

    Args:
        config: of the model folder, to say on what: `..., on 2 x NVIDIA H100, 16 processor cores`.
    """
    seconds, rates = (metrics.get("timing", {}).get(name, []) for name in TIMING)
    if not seconds or None in [*seconds, *rates]:
        return ""
    rate = median(rates)  # the first epoch alone compiles and starts processes
    said = f"{say_duration(sum(seconds))}, {rate:,.{0 if rate >= 10 else 1}f} images/s"
    hardware = config.get("hardware")
    if not hardware:
        return said
    several = f"{hardware['devices']} x " if hardware["devices"] > 1 else ""
    return f"{said}, on {several}{hardware['device']}, {hardware['cores']} processor cores"


def say_duration(seconds: float) -> str:
    """Such as `8.1 s`, `6 min 31 s` or `26 h 3 min`."""
    if seconds < 59.5:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

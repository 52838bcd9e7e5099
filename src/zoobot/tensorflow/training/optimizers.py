"""Optimisers and learning rates, those of the PyTorch room."""

import math
from typing import Any

import keras
from keras import ops

from zoobot.config import KerasTrainSettings

_RISES_FOR = 0.3
_FIRST, _LAST = 1 / 25, 1 / 25e4
"""Rates at the first and last step, as a share of the highest: those of torch's OneCycleLR."""


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A rate that rises to its peak and falls again, each along half a cosine (Smith & Topin 2019, SPIE 11006)."""

    def __init__(self, peak: float, steps: int) -> None:
        self.peak, self.steps = peak, steps

    def __call__(self, step: Any) -> Any:
        top, end = max(_RISES_FOR * self.steps - 1, 1e-9), max(self.steps - 1, 1)
        step = ops.cast(step, "float32")
        rising = _along_cosine(_FIRST, 1.0, step / top)
        falling = _along_cosine(1.0, _LAST, (step - top) / (end - top))
        return self.peak * ops.where(step < top, rising, falling)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps}


def build_optimizer(settings: KerasTrainSettings, steps: int) -> keras.optimizers.Optimizer:
    """The optimiser of some settings, for so many steps in all. Biases and norms do not decay."""
    rate = settings.learning_rate if settings.schedule == "constant" else OneCycle(settings.learning_rate, steps)
    optimizer_class = {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam}[settings.optimizer]
    decay = settings.weight_decay or None
    optimizer = optimizer_class(rate, weight_decay=decay, global_clipnorm=settings.gradient_clip, epsilon=1e-8)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _along_cosine(start: float, end: float, share: Any) -> Any:
    return end + (start - end) / 2 * (1 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))

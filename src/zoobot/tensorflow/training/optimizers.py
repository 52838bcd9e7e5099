"""Optimisers and learning rates, those of the PyTorch room."""

import math
from collections.abc import Sequence
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


class WarmUpThenCosine(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A rate that rises in a line, then falls as a cosine; see `zoobot.shared.finetuning_runs.warm_up_then_cosine`.

    Args:
        peak: its highest value.
        lowest: the fraction of it that is left at `last_epoch`.
    """

    def __init__(self, peak: float, steps_per_epoch: int, warmup_epochs: int, last_epoch: int, lowest: float) -> None:
        self.peak, self.steps_per_epoch = peak, steps_per_epoch
        self.warmup_epochs, self.last_epoch, self.lowest = warmup_epochs, last_epoch, lowest

    def __call__(self, step: Any) -> Any:
        epoch = ops.cast(step, "float32") / self.steps_per_epoch
        rising = ops.maximum(epoch / max(self.warmup_epochs, 1), 0.01)
        fall = (epoch - self.warmup_epochs) / max(1e-9, self.last_epoch - self.warmup_epochs)
        return self.peak * ops.where(epoch < self.warmup_epochs, rising, _along_cosine(1.0, self.lowest, fall))

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))


class BlockwiseAdamW(keras.optimizers.Adam):  # type: ignore[misc]
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) with a learning rate for each variable.

    Weights decay; biases and norms do not.

    Args:
        rate: the learning rate, or its schedule.
        fractions: of that rate, one for each trainable variable of the model, in their order.
        weight_decay: per step, times the variable's learning rate.
        gradient_clip: largest norm of the whole gradient.
    """

    def __init__(self, rate: Any, fractions: Sequence[float], weight_decay: float, gradient_clip: float | None) -> None:
        super().__init__(rate, global_clipnorm=gradient_clip, epsilon=1e-8)
        self.fractions, self.decay = list(fractions), weight_decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Keras calls this with each variable."""
        rate = self.fractions[self._get_variable_index(variable)] * ops.cast(learning_rate, variable.dtype)
        if len(variable.shape) > 1:
            self.assign_sub(variable, variable * rate * self.decay)
        super().update_step(gradient, variable, rate)


def build_optimizer(settings: KerasTrainSettings, steps: int) -> keras.optimizers.Optimizer:
    """The optimiser of some settings, for so many steps in all. Biases and norms do not decay."""
    rate = settings.learning_rate if settings.schedule == "constant" else OneCycle(settings.learning_rate, steps)
    optimizer_class = {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam}[settings.optimizer]
    decay = settings.weight_decay or None
    optimizer = optimizer_class(rate, weight_decay=decay, global_clipnorm=settings.gradient_clip, epsilon=1e-8)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def scaled_for(encoder: keras.Model, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimiser, with a scaled loss where the encoder computes in float16, in which small gradients would be 0."""
    return keras.optimizers.LossScaleOptimizer(optimizer) if encoder.compute_dtype == "float16" else optimizer


def _along_cosine(start: float, end: float, share: Any) -> Any:
    return end + (start - end) / 2 * (1 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))

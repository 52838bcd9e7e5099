"""Views of a whole batch in the model itself, with the distribution of `zoobot.shared.adjustments`."""

import math
from typing import Any

import keras
from keras import layers, ops

from zoobot.shared.adjustments import Adjustments

Tensor = Any


class RandomViews(layers.Layer):  # type: ignore[misc]
    """Cuts views out of square images: random ones in training, otherwise the central one.

    One affine resampling, as in `zoobot.shared.adjustments`; there a view follows from `(seed, epoch, galaxy)`, here
    from the layer's own generator.
    """

    def __init__(self, adjustments: Adjustments) -> None:
        super().__init__(dtype="float32", name="random_views")
        self.adjustments = adjustments
        self.generator = keras.random.SeedGenerator()

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """`(galaxy, size, size, channel)` to `(galaxy, image_size, image_size, channel)`; the border is mirrored."""
        view_size = self.adjustments.image_size
        if images.shape[1] < view_size:
            images = ops.image.resize(images, (view_size, view_size))
        size, count = images.shape[1], ops.shape(images)[0]
        transforms = self._draw(count, size) if training else ops.tile(self._centre(size), (count, 1))
        warped = ops.image.affine_transform(images, transforms, "bilinear", "reflect")
        return warped[:, :view_size, :view_size]

    def _draw(self, count: Tensor, size: int) -> Tensor:
        chosen = self.adjustments

        def uniform(low: float, high: float) -> Tensor:
            return keras.random.uniform((count,), low, high, seed=self.generator)

        low, high = (math.log(bound) for bound in chosen.aspect_bounds)
        stretch = ops.exp(uniform(low, high) / 2)
        angle = uniform(0, 2 * math.pi)
        flip = ops.sign(uniform(-1, 1))
        scale = uniform(*chosen.crop_bounds) * size / chosen.image_size
        shift_x, shift_y = (uniform(-chosen.max_shift, chosen.max_shift) * size for _ in range(2))
        cosine, sine = ops.cos(angle), ops.sin(angle)
        return self._transforms(
            size,
            (scale * cosine * flip * stretch, -scale * sine / stretch),
            (scale * sine * flip * stretch, scale * cosine / stretch),
            shift_x,
            shift_y,
        )

    def _centre(self, size: int) -> Tensor:
        scale = ops.full((1,), sum(self.adjustments.crop_bounds) / 2 * size / self.adjustments.image_size)
        zero = ops.zeros((1,))
        return self._transforms(size, (scale, zero), (zero, scale), zero, zero)

    def _transforms(
        self, size: int, to_x: tuple[Tensor, Tensor], to_y: tuple[Tensor, Tensor], shift_x: Tensor, shift_y: Tensor
    ) -> Tensor:
        """`(galaxy, 8)`, from view pixels to image pixels."""
        (xx, xy), (yx, yy) = to_x, to_y
        centre = (self.adjustments.image_size - 1) / 2
        x = (size - 1) / 2 + shift_x - (xx + xy) * centre
        y = (size - 1) / 2 + shift_y - (yx + yy) * centre
        return ops.stack([xx, xy, x, yx, yy, y, ops.zeros_like(x), ops.zeros_like(x)], axis=1)

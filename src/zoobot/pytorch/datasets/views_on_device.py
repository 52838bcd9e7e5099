"""The views of a whole batch at once, on its device: the same matrices as on the CPU, resampled by torch."""

import torch
from torch import Tensor
from torch.nn import functional


def warp_on_device(images: Tensor, matrices: Tensor, image_size: int) -> Tensor:
    """Resample images with one matrix each; equals `zoobot.shared.adjustments.warp` but for its rounding.

    Args:
        images: uint8 `(galaxy, channel, height, width)`.
        matrices: `(galaxy, 2, 3)`, from input pixels to image pixels `(x, y)`.
        image_size: side of the views, in pixels.

    Returns:
        float32 in 0-1, `(galaxy, channel, image_size, image_size)`; the border is mirrored.
    """
    height, width = images.shape[2:]
    # torch counts from -1 at the centre of the first pixel to 1 at the centre of the last
    to_unit = torch.tensor([2 / (width - 1), 2 / (height - 1)], device=images.device).view(1, 2, 1)
    linear, offset = matrices[:, :, :2], matrices[:, :, 2:]
    half = (image_size - 1) / 2
    centre = linear.sum(dim=2, keepdim=True) * half + offset
    theta = torch.cat([linear * half * to_unit, centre * to_unit - 1], dim=2)
    size = [len(images), images.shape[1], image_size, image_size]
    grid = functional.affine_grid(theta, size, align_corners=True)
    pixels = images.float() / 255
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=True)

"""From views of galaxies to samples of concentrations: one pass of each encoder, then as many heads as asked for."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoobot.config import PredictSettings
from zoobot.errors import ModelError
from zoobot.pytorch.estimators.define_model import ZoobotTree, normalise
from zoobot.shared.dropout_masks import dropout_masks
from zoobot.shared.prediction_runs import count_views

_AUTOCAST = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which a model computes in `precision`, as named in the settings."""
    return torch.autocast(device.type, _AUTOCAST.get(precision), precision != "32")


@torch.inference_mode()
def forecast(
    model: ZoobotTree,
    views: Tensor,
    galaxies: npt.NDArray[np.uint64],
    settings: PredictSettings,
    encode: Callable[[Tensor], Tensor] | None = None,
) -> npt.NDArray[np.float32]:
    """Samples of concentrations, `(galaxy, answer, sample)`.

    Args:
        views: `(galaxy x view, channel, height, width)` on the model's device, the views of a galaxy side by side.
        galaxies: `(galaxy,)`, the numbers from which each galaxy's dropout follows.
        encode: uint8 images to features, in the place of the model's own encoder.

    Raises:
        ModelError: the model predicts what is not a number.
    """
    n_views, by_dropout = count_views(settings), settings.samples > 1 and settings.sample_by != "views"
    with autocast(settings.precision, views.device):
        features = (model.encoder(normalise(views)) if encode is None else encode(views)).float()
    features = features.view(len(galaxies), n_views, -1)
    if by_dropout:
        masks = dropout_masks(galaxies, settings.samples, features.shape[2], model.head.dropout.p)
        features = features * torch.from_numpy(masks).to(features.device)
    concentrations = model.head(features.flatten(0, 1)).view(len(galaxies), features.shape[1], -1)
    if not concentrations.isfinite().all():
        raise ModelError("The model predicts concentrations that are not numbers. Try --precision 32.")
    found: npt.NDArray[np.float32] = concentrations.transpose(1, 2).float().cpu().numpy()
    return found

"""From views of galaxies to samples of concentrations: one pass of each encoder, then as many heads as asked for."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoobot.config import PredictSettings
from zoobot.errors import ModelError, SettingError
from zoobot.pytorch.estimators.define_model import ZoobotTree, normalise
from zoobot.shared.dropout_masks import dropout_masks

_AUTOCAST = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which a model computes in `precision`, as named in the settings."""
    return torch.autocast(device.type, _AUTOCAST.get(precision), precision != "32")


def count_views(settings: PredictSettings) -> int:
    """Views of each galaxy that a model sees: one in the centre, or a random one for each sample."""
    return 1 if settings.samples == 1 or settings.sample_by == "dropout" else settings.samples


def refuse_equal_samples(models: Sequence[ZoobotTree], settings: PredictSettings) -> None:
    """Raise `SettingError` where samples of dropout are asked of a model that has none."""
    without = [model for model in models if model.head.dropout.p == 0]
    if settings.samples > 1 and settings.sample_by == "dropout" and without:
        raise SettingError(
            "The model was trained with dropout 0, so its samples of dropout are all alike. Give --sample-by views."
        )


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

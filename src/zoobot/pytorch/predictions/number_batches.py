"""Numbers of whole batches of galaxies: what a module says of the central view of each."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from zoobot.config import EmbedSettings, ImageSettings, PredictSettings
from zoobot.errors import ModelError
from zoobot.pytorch.datasets.galaxy_dataset import ImageDataset, as_it_is
from zoobot.pytorch.devices import count_workers, explain_out_of_memory, find_own_device
from zoobot.pytorch.predictions.forward import autocast
from zoobot.shared.adjustments import Adjustments
from zoobot.shared.catalogs import Catalog
from zoobot.shared.image_sources import open_images
from zoobot.shared.parts import MadeBatch, PartBatches


@torch.inference_mode()
def number_batches(
    module: nn.Module,
    n_numbers: int,
    adjustments: Adjustments,
    reading: ImageSettings,
    galaxies: Catalog,
    parts: Sequence[range],
    settings: EmbedSettings | PredictSettings,
) -> Iterator[MadeBatch]:
    """What `module` makes of uint8 images, `(galaxy, number)`, batch by batch.

    Raises:
        ModelError: it makes something that is not a number.
    """
    device = find_own_device(settings.device)
    module = module.to(device).eval()
    images = open_images(galaxies, reading)
    loader = DataLoader(
        ImageDataset(images, [adjustments], np.zeros(len(galaxies), np.uint64)),
        batch_sampler=PartBatches(parts, settings.batch_size),
        num_workers=count_workers(settings.workers, settings.device),
        pin_memory=device.type == "cuda",
        collate_fn=as_it_is,
    )
    for batch in loader:
        numbers = np.zeros((0, n_numbers), np.float32)
        if batch.rows:
            views = batch.views[adjustments].to(device, non_blocking=True)
            with explain_out_of_memory(settings.batch_size), autocast(settings.precision, device):
                numbers = module(views).float().cpu().numpy()
            if not np.isfinite(numbers).all():
                raise ModelError("The model gives what is not a number. Try --precision 32.")
        yield MadeBatch(batch.rows, numbers, batch.problems)

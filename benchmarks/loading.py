"""How fast images become model inputs, in one process: zoobot's single affine resampling against torchvision's.

    python benchmarks/loading.py [folder of JPEG files]

Without a folder, 424 x 424 pixel images of simulated galaxies are used.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from zoobot.shared.adjustments import Adjustments, adjust
from zoobot.shared.images import read_image
from zoobot.shared.schemas import get_schema
from zoobot.shared.simulation import simulate_catalog

ADJUSTMENTS = Adjustments(224, crop_bounds=(0.7, 0.8))
TORCHVISION = v2.Compose(
    [
        v2.RandomHorizontalFlip(),
        v2.RandomRotation(180, interpolation=v2.InterpolationMode.BILINEAR),
        v2.RandomResizedCrop(224, scale=(0.49, 0.64), ratio=(0.9, 1.1), antialias=True),
    ]
)


def rate(name: str, make: Callable[[Path, int], object], paths: list[Path]) -> None:
    make(paths[0], 0)
    start = time.perf_counter()
    for row, path in enumerate(paths):
        make(path, row)
    print(f"{name:44}{len(paths) / (time.perf_counter() - start):8.0f} images/s")


def main(folder: Path) -> None:
    paths = sorted(folder.glob("*.jpg"))[:500]
    torch.set_num_threads(1)
    print(f"{len(paths)} images, greyscale to {ADJUSTMENTS.image_size} pixels")
    rate("read", lambda path, row: read_image(path), paths)
    rate("read, central view", lambda path, row: adjust(read_image(path), ADJUSTMENTS), paths)
    rate("read, random view", lambda path, row: adjust(read_image(path), ADJUSTMENTS, (0, 0, row)), paths)
    rate("torchvision: read", lambda path, row: decode_image(str(path), ImageReadMode.GRAY), paths)
    rate(
        "torchvision: read, random view",
        lambda path, row: TORCHVISION(decode_image(str(path), ImageReadMode.GRAY)),
        paths,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            simulate_catalog(Path(made), get_schema("gz2"), n_galaxies=100, image_size=424)
            main(Path(made) / "images")

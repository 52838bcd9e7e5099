"""Bytes per second of the store's loader, whole images in random order into one batch, against a plain copy of them.

python benchmarks/store_bandwidth.py PREPARED    (a store made by zoobot prepare)
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from zoobot.shared.adjustments import Adjustments
from zoobot.shared.prepared_images import PreparedImages
from zoobot.shared.views import render

BATCH = 64


def fastest(do: Callable[[], None], repeats: int = 20) -> float:
    """Seconds of the fastest of several rounds: warm cache, no other work."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        do()
        times.append(time.perf_counter() - start)
    return min(times)


def main(folder: str) -> None:
    images = PreparedImages(folder)
    size, channels = images.info.image_size or 0, images.channels
    count = min(len(images), 1000) // BATCH * BATCH
    order = np.random.default_rng(0).permutation(len(images))[:count].tolist()
    batch = np.empty((BATCH, size, size, channels), np.uint8)
    flat = np.stack([images.read(row) for row in order])

    def load() -> None:
        for first in range(0, count, BATCH):
            render(images, order[first : first + BATCH], Adjustments(size), None, batch)

    def copy() -> None:
        for first in range(0, count, BATCH):
            np.copyto(batch, flat[first : first + BATCH])

    loaded, copied = (flat.nbytes / fastest(do) / 1e9 for do in (load, copy))
    print(f"loader {loaded:.1f} GB/s, copy {copied:.1f} GB/s: {loaded / copied:.2f} of it")


if __name__ == "__main__":
    main(sys.argv[1])

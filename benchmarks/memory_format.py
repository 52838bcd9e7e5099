"""How fast encoders train on this machine, channel first against channel last in memory.

python benchmarks/memory_format.py [architecture ...]
"""

import sys
import time

import timm
import torch

IMAGE_SIZE, BATCH_SIZE, REPEATS = 96, 32, 6


def images_per_second(architecture: str, memory_format: torch.memory_format) -> float:
    """The best of several training steps, so that other work on the machine counts little."""
    model = timm.create_model(architecture, in_chans=1, num_classes=30).to(memory_format=memory_format)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    images = torch.rand(BATCH_SIZE, 1, IMAGE_SIZE, IMAGE_SIZE)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return BATCH_SIZE / min(times)


def main(architectures: list[str]) -> None:
    print(f"{'images per second':28}{'channel first':>15}{'channel last':>15}")
    for architecture in architectures:
        rates = [images_per_second(architecture, form) for form in (torch.contiguous_format, torch.channels_last)]
        print(f"{architecture:28}{rates[0]:15.0f}{rates[1]:15.0f}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["resnet18", "regnety_002", "efficientnet_b0", "resnet50", "convnext_atto"])

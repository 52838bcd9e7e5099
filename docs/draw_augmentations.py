"""Draws augmentations.jpg: one simulated galaxy under each astronomical augmentation.

python docs/draw_augmentations.py
"""

from pathlib import Path

import numpy as np

from zoobot.shared.astro_augmentations import EFFECTS, augment
from zoobot.shared.pages import new_figure
from zoobot.shared.simulation import draw_galaxies, render_galaxy

GALAXY, SIZE = 4, 160
SEEDS = {"distort": 3, "add_sersic_source": 15, "add_gaussian_source": 4, "add_brightness_gradient": 1}


def main() -> None:
    galaxy = render_galaxy(draw_galaxies(GALAXY + 1, seed=0).iloc[GALAXY], SIZE)
    pictures = {"as it is": galaxy}
    for name, effect in EFFECTS.items():
        pictures[name] = effect(galaxy, np.random.default_rng(SEEDS.get(name, 0)))
    pictures |= {f"augment, seed {seed}": augment(galaxy[np.newaxis], [seed])[0] for seed in (1, 4)}
    figure = new_figure(10, 4.4)
    for position, (name, picture) in enumerate(pictures.items(), start=1):
        axes = figure.add_subplot(2, 5, position)
        axes.imshow(picture)
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    figure.savefig(Path(__file__).parent / "augmentations.jpg", dpi=110, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main()

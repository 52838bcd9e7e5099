"""How the demo does the main job."""

from typing import Literal

from pydantic import Field

from zoobot.config.settings import Settings


class DemoSettings(Settings):
    """The main job on simulated galaxies."""

    galaxies: int = Field(2000, ge=50)
    """Galaxies to simulate."""
    tree: Literal["decals", "gz2"] = "decals"
    """Decision tree of the simulated volunteers."""
    epochs: int = Field(20, ge=1)
    """Passes over the training galaxies."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the galaxies, the volunteers and the training."""

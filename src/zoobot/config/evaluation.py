"""How models are calibrated by votes, and scored against them."""

from pathlib import Path

from pydantic import Field

from zoobot.config.catalogs import CatalogSettings
from zoobot.config.values import Name


class CalibrateSettings(CatalogSettings):
    """How a model's temperatures are fitted."""

    min_galaxies: int = Field(100, ge=1)
    """A question with votes for fewer validation galaxies keeps the temperature 1."""


class EvaluateSettings(CatalogSettings):
    """How predictions are compared with votes."""

    include_seen: bool = False
    """Score also the galaxies that the model was trained on, labelled 'seen in training'."""
    votes_for_fractions: int = Field(5, ge=1)
    """A question's vote fractions are compared for galaxies with at least so many votes for it."""
    by: list[Name] = []
    """Column of the catalog, such as magnitude or survey, by which scores are given too; repeatable."""
    compare: list[Path] = []
    """Other predictions of the same galaxies to compare with; repeatable."""
    resamples: int = Field(200, ge=20)
    """Resamples of the bootstrap."""
    gallery: int = Field(24, ge=0)
    """Galaxies of a random choice shown in the report; other galleries show at most so many."""
    seed: int = Field(0, ge=0)
    """Seed of the bootstrap, of randomised calibration and of the galaxies shown."""

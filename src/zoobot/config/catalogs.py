"""How catalogs are read, checked and split, and how they are made of other tables."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from zoobot.config.settings import Settings
from zoobot.config.values import Fraction, Name, check_fractions


class VoteSettings(Settings):
    """How a catalog's votes are read."""

    min_votes: int = Field(0, ge=0)
    """Leave out galaxies with fewer votes than this for every question that is asked of everybody."""
    fill_missing_votes: bool = False
    """Read blank votes as 0, as in catalogs joined from several campaigns."""
    weighted_votes: bool = False
    """Accept fractional votes: volunteers were weighted."""


class CatalogSettings(VoteSettings):
    """How a catalog is read."""

    on_bad_row: Literal["stop", "drop"] = "stop"
    """What to do about rows that cannot be used: stop, or leave them out and list them in rejected.csv."""


class CatalogCheckSettings(VoteSettings):
    """How a catalog is checked."""

    files: bool = True
    """Look whether every image is there."""
    open_images: bool = False
    """Open every image too: finds unreadable, truncated, constant and repeated ones."""
    workers: int | None = Field(None, ge=1)
    """Processes that open images; by default one per core."""


class SplitSettings(Settings):
    """How a catalog is split into training, validation and test tables."""

    split: tuple[Fraction, Fraction, Fraction] = (0.7, 0.1, 0.2)
    """Fractions of galaxies for training, validation and test."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the split."""
    stratify: str | None = None
    """Column whose values each table gets in equal shares; numbers are cut into ten classes of equal size."""
    group_by: str | None = None
    """Column that tells which rows show the same galaxy; these stay in one table."""
    format: Literal["csv", "parquet"] = "csv"
    """Format of the three tables."""

    @model_validator(mode="after")
    def _check_split(self) -> "SplitSettings":
        check_fractions(self.split)
        return self


class ConvertSettings(Settings):
    """How a published table becomes a catalog."""

    id_col: str | None = None
    """Column of the table that names each galaxy; by default the mapping's own."""
    file_template: str | None = None
    """Image of each galaxy, filled from the row's own columns, such as '{asset_id}.jpg' or '{name[:4]}/{name}.png'."""
    image_folder: Path | None = None
    """Folder of the images, put before what the template gives; a relative one is meant from where you are."""
    total_votes: str | None = None
    """Volunteers per galaxy, a column or a number: needed where the table has vote fractions but no counts."""


class ZooniverseSettings(Settings):
    """How raw volunteer answers become votes."""

    workflow_id: list[Name] = []
    """Count these workflows only; repeatable. By default all."""
    not_logged_in: Literal["keep", "drop"] = "keep"
    """What to do about volunteers who were not logged in."""
    weight_col: str | None = None
    """Column with a weight for each answer; votes are then sums of weights."""
    since: str | None = None
    """Count answers from this time on: a date, or date and time (UTC)."""
    until: str | None = None
    """Count answers before this time: a date, or date and time (UTC)."""
    file_template: str | None = None
    """Image of each galaxy, filled from the subject's own fields, such as '{subject_id}.jpg'."""

"""Predicting a catalog with any framework: what is refused, which parts lack, what they say of their models.

A framework reads its models from the folders, and makes samples of concentrations of batches of galaxies.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from zoobot.config import CatalogSettings, PredictSettings
from zoobot.errors import CatalogError, ModelError, SettingError
from zoobot.shared.answers_in_words import describe_way
from zoobot.shared.catalogs import Catalog, galaxy_hash, load_catalog
from zoobot.shared.image_catalogs import find_galaxies
from zoobot.shared.image_sources import open_images
from zoobot.shared.model_folders import ModelFolder
from zoobot.shared.parts import MadeBatch, Parts, Rejected
from zoobot.shared.predictions import SPLIT_COLUMN, Predictions, read_part, read_rejected, write_csv, write_part
from zoobot.shared.run_folders import open_run, write_atomically
from zoobot.shared.schemas import Schema
from zoobot.shared.shares import claimed, find_share
from zoobot.shared.temperatures import divide_by_temperatures

logger = logging.getLogger(__name__)

_FEW = 10
"""So many galaxies are told in words."""

Forecast = Callable[[Catalog, Sequence[range]], Iterator[MadeBatch]]
"""A catalog and the rows of the parts that lack -> concentrations `(galaxy, answer, model x sample)` of its batches."""


@dataclass(frozen=True)
class PredictedCatalog:
    """What prediction returns.

    Args:
        folder: where the predictions are.
        n_predicted: galaxies with predictions, of all shares that are finished.
        rejected: rows and images that were left out.
        n_missing: parts that other shares have yet to make.
        in_words: the answers for a few galaxies.
        done: what was done.
    """

    folder: Path
    n_predicted: int
    rejected: pd.DataFrame
    n_missing: int = 0
    in_words: str = ""
    done: str = "Predicted"

    def __str__(self) -> str:
        lines = [*([self.in_words, ""] if self.in_words else [])]
        lines.append(f"{self.done} {self.n_predicted:,} galaxies: {self.folder}")
        if len(self.rejected):
            lines.append(
                f"Left out, with the reason of each, in {self.folder / 'rejected.csv'}: {len(self.rejected):,}"
            )
        if self.n_missing:
            lines.append(f"Other shares have yet to make {self.n_missing:,} parts.")
        return "\n".join(lines)


def predict_with(
    models: Sequence[ModelFolder],
    forecast: Forecast,
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: PredictSettings,
) -> PredictedCatalog:
    """Write the parts that lack of the predictions of one or several models.

    Args:
        forecast: what the models say; called only where parts lack.
        catalog, output, settings: as of `predict` in each framework, which tells what is raised.
    """
    share = find_share(settings.shard)
    _refuse_other_models(models)
    _refuse_equal_samples(models, settings)
    data = find_galaxies(catalog)
    galaxies = load_catalog(data, None, CatalogSettings(on_bad_row=settings.on_bad_row), lean=True)
    refuse_other_channels(galaxies, models[0])
    label_cols = models[0].schema.label_cols
    written = [f"{label}_{kind}" for label in label_cols for kind in ("concentration", "fraction")]
    refuse_columns_that_cannot_travel(galaxies, written)
    descriptions = [model.describe(settings.calibrated) for model in models]
    _tell_other_samples(models, descriptions, settings)
    description = _combine(descriptions)
    calibrations = [described.get("calibration") for described in descriptions]
    inputs = {
        "model": description["weights_sha256"],
        "catalog": galaxies.checksum(),
        "calibration": calibrations if any(calibrations) else None,
    }
    may_differ = frozenset({"on_bad_image", "on_bad_row", "shard", "slurm_script", "calibrated"})
    folder = open_run(output, "predict", settings, inputs, makes="part-*.parquet", may_differ=may_differ)
    schema = models[0].schema
    temperatures = _find_temperatures(descriptions, schema, settings.samples)

    def write(path: Path, table: pd.DataFrame, concentrations: npt.NDArray[np.float32], rejected: Rejected) -> None:
        calibrated = divide_by_temperatures(concentrations, temperatures, schema.question_index_groups)
        write_part(path, table, calibrated, schema, description, rejected)

    parts = Parts(folder, galaxies, find_split(models), settings.part_size, write)
    with claimed(share, folder):
        missing = parts.find_missing(share)
        if missing:
            batches = forecast(galaxies, [parts.rows(number) for number in missing])
            parts.make(missing, batches, "Predicting", settings.on_bad_image)
    return _finish(parts, partial(read_part, schema=schema), settings, shows_answers=data is not catalog)


def count_views(settings: PredictSettings) -> int:
    """Views of each galaxy that a model sees: one in the centre, or a random one for each sample."""
    return 1 if settings.samples == 1 or settings.sample_by == "dropout" else settings.samples


def sample_keys(galaxies: Catalog, settings: PredictSettings) -> npt.NDArray[np.uint64]:
    """`(galaxy,)`, the numbers that each galaxy's samples follow from; zeros where there is one sample alone."""
    keys = np.zeros(len(galaxies), np.uint64)
    if settings.samples > 1:
        keys[:] = [galaxy_hash(str(galaxy), settings.seed) for galaxy in galaxies.table["id_str"]]
    return keys


def shows_random_views(settings: PredictSettings) -> bool:
    """Whether samples are of random views, rather than of the central one."""
    return settings.samples > 1 and settings.sample_by != "dropout"


def find_split(models: Sequence[ModelFolder]) -> dict[str, str]:
    """Where a model had each galaxy that it met. Of several models, what one learned from is not held out."""
    split: dict[str, str] = {}
    for name in ("test", "validation", "train"):
        for folder in models:
            galaxies = folder.galaxies
            split |= dict.fromkeys(galaxies["id_str"][galaxies["split"] == name], name)
    return split


def refuse_other_channels(galaxies: Catalog, model: ModelFolder) -> None:
    """Raise `SettingError` where a catalog's images have other channels or bands than the model was trained on."""
    channels = open_images(galaxies, model.reading).channels
    if channels != model.channels:
        raise SettingError(
            f"The model was trained on images of {model.channels} bands; those of the catalog {galaxies.source} "
            f"have {channels}."
        )
    if galaxies.bands != model.bands:
        wanted, there = (", ".join(bands) or "one file" for bands in (model.bands, galaxies.bands))
        raise SettingError(
            f"The model was trained on the bands {wanted}, in this order; the catalog {galaxies.source} has {there}. "
            "Order its columns file_loc_... so."
        )


def _finish(
    parts: Parts, read: Callable[[Path], Predictions], settings: PredictSettings, shows_answers: bool
) -> PredictedCatalog:
    made = parts.find_made()
    rejected = [line for number in made for line in read_rejected(parts.path(number))]
    left_out = parts.galaxies.list_rejected(rejected)
    n_missing = parts.count_missing()
    if not n_missing:  # the share that ends last writes what is of all
        write_atomically(parts.folder / "rejected.csv", left_out.to_csv(index=False))
        if settings.format == "csv":
            write_csv(parts.folder)
    count = sum(len(parts.rows(number)) for number in made) - len(rejected)
    in_words = ""
    if shows_answers and 0 < count <= _FEW and not n_missing:
        pieces = [read(parts.path(number)) for number in made]
        in_words = "\n\n".join(_say_answers(piece) for piece in pieces if len(piece.table))
    return PredictedCatalog(parts.folder, count, left_out, n_missing, in_words)


def _say_answers(predictions: Predictions) -> str:
    galaxies = zip(predictions.id_str, predictions.vote_fractions, strict=True)
    return "\n\n".join(f"{galaxy}\n{describe_way(predictions.schema, fractions)}" for galaxy, fractions in galaxies)


def _refuse_other_models(models: Sequence[ModelFolder]) -> None:
    first = models[0]
    for other in models[1:]:
        pair = f"The models in '{first.path}' and '{other.path}'"
        if other.schema != first.schema:
            raise ModelError(f"{pair} answer different trees. Predict with each by itself.")
        if (other.reading, other.channels, other.bands) != (first.reading, first.channels, first.bands):
            raise ModelError(f"{pair} read images differently (colour, stretch). Predict with each by itself.")


def _refuse_equal_samples(models: Sequence[ModelFolder], settings: PredictSettings) -> None:
    without = [model for model in models if model.config["settings"].get("dropout") == 0]
    if settings.samples > 1 and settings.sample_by == "dropout" and without:
        raise SettingError(
            "The model was trained with dropout 0, so its samples of dropout are all alike. Give --sample-by views."
        )


def _find_temperatures(
    descriptions: Sequence[Mapping[str, Any]], schema: Schema, n_samples: int
) -> npt.NDArray[np.float64]:
    """`(question, model x sample)`, each model's own; 1 for a model that was not calibrated."""
    ones = {"temperatures": dict.fromkeys((question.text for question in schema.questions), 1.0)}
    of_models = [described.get("calibration", ones)["temperatures"] for described in descriptions]
    table = np.array([[temperatures[question.text] for question in schema.questions] for temperatures in of_models])
    return table.repeat(n_samples, axis=0).T


def _tell_other_samples(
    models: Sequence[ModelFolder], descriptions: Sequence[Mapping[str, Any]], settings: PredictSettings
) -> None:
    for model, described in zip(models, descriptions, strict=True):
        fitted_for = described.get("calibration", {}).get("samples", settings.samples)
        if fitted_for != settings.samples:
            logger.warning(
                "The temperatures in '%s' were fitted for --samples %d, not %d, which spread otherwise.",
                model.path,
                fitted_for,
                settings.samples,
            )


def _combine(descriptions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first model's description; with others, the checksum is of all, and theirs are beside it."""
    if len(descriptions) == 1:
        return descriptions[0]
    checksums = [str(description["weights_sha256"]) for description in descriptions]
    return {**descriptions[0], "weights_sha256": "+".join(checksums), "others": descriptions[1:]}


def refuse_columns_that_cannot_travel(galaxies: Catalog, written: Collection[str]) -> None:
    """Raise `CatalogError` where a catalog has columns that are to be `written`, or that Parquet cannot hold."""
    clashing = [column for column in galaxies.columns if column in {SPLIT_COLUMN, *written}]
    if clashing:
        raise CatalogError(
            f"The catalog {galaxies.source} already has columns that predictions write, such as '{clashing[0]}'. "
            "Rename or remove them."
        )
    try:
        pa.Table.from_pandas(galaxies.table)
    except pa.ArrowException as error:
        raise CatalogError(
            f"The catalog {galaxies.source} has a column of mixed values, which Parquet cannot hold: {error}. "
            "Give each column values of one kind, or remove it."
        ) from error

"""Predicting a catalog: images in, concentrations and vote fractions out, part by part."""

import copy
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import torch
from rich.progress import Progress
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from zoobot.config import CatalogSettings, PredictSettings
from zoobot.errors import CatalogError, ImageError, ModelError, SettingError
from zoobot.pytorch.datasets.galaxy_dataset import ImageDataset, as_it_is
from zoobot.pytorch.devices import count_workers, explain_out_of_memory, find_device
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.model_folder import load_model
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.image_sources import open_images
from zoobot.shared.model_folders import WEIGHTS, ModelFolder, read_model_folder
from zoobot.shared.predictions import SPLIT_COLUMN, read_rejected, write_csv, write_part
from zoobot.shared.run_folders import open_run, write_atomically

logger = logging.getLogger(__name__)

_AUTOCAST = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


@dataclass(frozen=True)
class PredictedCatalog:
    """What prediction returns: where the predictions are, how many, and the rows and images that were left out."""

    folder: Path
    n_predicted: int
    rejected: pd.DataFrame

    def __str__(self) -> str:
        lines = [f"Predicted {self.n_predicted:,} galaxies: {self.folder}"]
        if len(self.rejected):
            lines.append(
                f"Left out, with the reason of each, in {self.folder / 'rejected.csv'}: {len(self.rejected):,}"
            )
        return "\n".join(lines)


def predict(
    model: str | Path,
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: PredictSettings | None = None,
    *,
    loaded: ZoobotTree | None = None,
) -> PredictedCatalog:
    """Predict how volunteers would answer, for every galaxy of a catalog. Called again, it goes on where it stopped.

    Args:
        model: a model folder, such as `RUN/model`.
        catalog: a table with `id_str` and `file_loc`, or a folder of prepared images; every other column travels into
            the predictions.
        output: a folder, which gets `part-*.parquet` and `rejected.csv`; see `zoobot.shared.predictions`.
        settings: see `zoobot.config.PredictSettings`.
        loaded: the model of that folder, for one with an encoder of your own; otherwise it is loaded from the folder.

    Raises:
        ModelError, CatalogError: the model folder or the catalog is at fault; `loaded` is not the folder's model.
        SettingError: the images were prepared otherwise than those that the model was trained on.
        ImageError: an image cannot be read and `settings.on_bad_image` is `stop`.
        OutputError: `output` holds other predictions.
    """
    settings = settings or PredictSettings()
    described = read_model_folder(model)
    estimator = load_model(model) if loaded is None else _copy_of(loaded, described)
    description = described.describe()
    galaxies = load_catalog(catalog, None, CatalogSettings(on_bad_row=settings.on_bad_row))
    _refuse_other_channels(galaxies, estimator)
    _refuse_columns_that_cannot_travel(galaxies, described)
    travelling = _add_split(galaxies.table, described)
    inputs = {"model": description["weights_sha256"], "catalog": galaxies.checksum()}
    may_differ = frozenset({"on_bad_image", "on_bad_row"})
    folder = open_run(output, "predict", settings, inputs, makes="part-*.parquet", may_differ=may_differ)
    device = find_device(settings.device)
    estimator = estimator.to(device).eval()
    starts = range(0, len(galaxies), settings.part_size)
    rejected: list[tuple[str, str, str]] = []
    with (
        Progress(disable=not sys.stderr.isatty()) as progress,
        explain_out_of_memory(settings.batch_size),
    ):
        task = progress.add_task("Predicting", total=len(galaxies))
        for number, start in enumerate(starts):
            path = folder / f"part-{number:05d}.parquet"
            rows = np.arange(start, min(start + settings.part_size, len(galaxies)))
            if not path.is_file():
                part = galaxies.rows(rows)
                concentrations, problems = predict_part(estimator, part, settings, device)
                readable = ~np.isin(np.arange(len(part)), list(problems))
                write_part(
                    path,
                    travelling.iloc[rows[readable]],
                    concentrations[readable],
                    described.schema,
                    description,
                    [
                        (part.table["id_str"][row], part.table[part.file_columns[0]][row], problem)
                        for row, problem in problems.items()
                    ],
                )
            rejected += read_rejected(path)
            progress.advance(task, len(rows))
    left_out = galaxies.list_rejected(rejected)
    write_atomically(folder / "rejected.csv", left_out.to_csv(index=False))
    if settings.format == "csv":
        write_csv(folder)
    return PredictedCatalog(folder, len(galaxies) - len(rejected), left_out)


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which a model computes in `precision`, as named in the settings."""
    return torch.autocast(device.type, _AUTOCAST.get(precision), precision != "32")


@torch.inference_mode()
def predict_part(
    estimator: ZoobotTree, part: Catalog, settings: PredictSettings, device: torch.device
) -> tuple[npt.NDArray[np.float32], dict[int, str]]:
    """Concentrations `(galaxy, answer, 1)`, and row -> what is wrong for the images that cannot be read."""
    concentrations = np.full((len(part), len(estimator.schema.answers), 1), np.nan, np.float32)
    problems: dict[int, str] = {}
    for rows, images, unreadable in _load_batches(part, estimator, settings):
        if unreadable and settings.on_bad_image == "stop":
            raise ImageError("\n".join(unreadable.values()) + "\n--on-bad-image skip leaves out such galaxies.")
        problems |= unreadable
        if len(rows):
            with autocast(settings.precision, device):
                predicted = estimator(images.to(device, non_blocking=True))
            if not predicted.isfinite().all():
                raise ModelError("The model predicts concentrations that are not numbers. Try --precision 32.")
            concentrations[rows, :, 0] = predicted.float().cpu().numpy()
    return concentrations, problems


def _load_batches(
    part: Catalog, estimator: ZoobotTree, settings: PredictSettings
) -> Iterator[tuple[list[int], Tensor, dict[int, str]]]:
    yield from DataLoader(
        ImageDataset(open_images(part, estimator.settings.reading), estimator.settings.adjustments),
        batch_size=settings.batch_size,
        num_workers=count_workers(settings.workers, settings.device),
        collate_fn=as_it_is,
    )


def _refuse_other_channels(galaxies: Catalog, estimator: ZoobotTree) -> None:
    channels = open_images(galaxies, estimator.settings.reading).channels
    if channels != estimator.channels:
        raise SettingError(
            f"The model was trained on images of {estimator.channels} bands; those of the catalog {galaxies.source} "
            f"have {channels}."
        )


def _copy_of(loaded: ZoobotTree, described: ModelFolder) -> ZoobotTree:
    """A copy, so that the caller's model stays on its device; only the folder's own model is accepted."""
    weights = load_file(described.path / WEIGHTS)
    own = loaded.state_dict()
    if own.keys() != weights.keys() or any(not torch.equal(own[name].cpu(), weights[name]) for name in weights):
        raise ModelError(f"The model given as 'loaded' is not that of '{described.path}': its weights differ.")
    return copy.deepcopy(loaded)


def _add_split(table: pd.DataFrame, described: ModelFolder) -> pd.DataFrame:
    """Note beside each galaxy where the model had it; blank for galaxies that it never met."""
    split = dict(zip(described.galaxies["id_str"], described.galaxies["split"], strict=True))
    return table.assign(**{SPLIT_COLUMN: [split.get(galaxy, "") for galaxy in table["id_str"]]})


def _refuse_columns_that_cannot_travel(galaxies: Catalog, described: ModelFolder) -> None:
    written = {SPLIT_COLUMN} | {
        f"{label}_{kind}" for label in described.schema.label_cols for kind in ("concentration", "fraction")
    }
    clashing = [str(column) for column in galaxies.table.columns if column in written]
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

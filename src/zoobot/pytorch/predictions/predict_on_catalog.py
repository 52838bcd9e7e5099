"""Predicting galaxies: images in, concentrations and vote fractions out, part by part.

Parts are made by number, so that any process can make any of them: a run that was ended goes on with those that lack,
and several processes share them out (`shared/shares.py`).
"""

import copy
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import torch
from rich.progress import Progress, TextColumn
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Sampler

from zoobot.config import CatalogSettings, PredictSettings
from zoobot.errors import CatalogError, ImageError, ModelError, OutputError, PredictionError, SettingError
from zoobot.pytorch.datasets.galaxy_dataset import ImageBatch, ImageDataset, as_it_is
from zoobot.pytorch.devices import count_workers, explain_out_of_memory, find_device, find_own_device
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.model_folder import load_model
from zoobot.pytorch.estimators.onnx_model import OnnxEncoder, find_encoder
from zoobot.pytorch.predictions.forward import count_views, forecast, refuse_equal_samples
from zoobot.shared.answers_in_words import describe_way
from zoobot.shared.catalogs import Catalog, galaxy_hash, load_catalog
from zoobot.shared.image_catalogs import find_galaxies
from zoobot.shared.image_sources import open_images
from zoobot.shared.model_folders import WEIGHTS, ModelFolder, read_model_folder
from zoobot.shared.predictions import SPLIT_COLUMN, Predictions, read_part, read_rejected, write_csv, write_part
from zoobot.shared.run_folders import open_run, write_atomically
from zoobot.shared.shares import Share, claimed, find_share, slurm_script

logger = logging.getLogger(__name__)

_FEW = 10
"""So many galaxies are told in words."""


@dataclass(frozen=True)
class PredictedCatalog:
    """What prediction returns.

    Args:
        folder: where the predictions are.
        n_predicted: galaxies with predictions, of all shares that are finished.
        rejected: rows and images that were left out.
        n_missing: parts that other shares have yet to make.
        in_words: the answers for a few galaxies.
    """

    folder: Path
    n_predicted: int
    rejected: pd.DataFrame
    n_missing: int = 0
    in_words: str = ""

    def __str__(self) -> str:
        lines = [*([self.in_words, ""] if self.in_words else [])]
        lines.append(f"Predicted {self.n_predicted:,} galaxies: {self.folder}")
        if len(self.rejected):
            lines.append(
                f"Left out, with the reason of each, in {self.folder / 'rejected.csv'}: {len(self.rejected):,}"
            )
        if self.n_missing:
            lines.append(f"Other shares have yet to make {self.n_missing:,} parts.")
        return "\n".join(lines)


def predict_paths(
    paths: Sequence[Path], output: str | Path, settings: PredictSettings | None = None
) -> PredictedCatalog | str:
    """`predict` with models and data in one list, the data last; or the script that `slurm_script` asks for."""
    if len(paths) < 2:
        raise SettingError(f"Give a model and what to predict: zoobot predict RUN/model DATA. Got '{paths[0]}' alone.")
    if settings is not None and settings.slurm_script:
        for model in paths[:-1]:
            read_model_folder(model)
        return slurm_script(paths, output, settings, settings.slurm_script)
    return predict(paths[:-1], paths[-1], output, settings)


def predict(
    model: str | Path | Sequence[str | Path],
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: PredictSettings | None = None,
    *,
    loaded: ZoobotTree | None = None,
) -> PredictedCatalog:
    """Predict how volunteers would answer, for every galaxy. Called again, it goes on where it stopped.

    Args:
        model: a model folder, such as `RUN/model`, or several of one schema: their samples stand side by side.
        catalog: a table with `id_str` and `file_loc`, a folder of prepared images, a folder of images, a pattern such
            as `"images/*.jpg"`, or one image. Every column of a table travels into the predictions.
        output: a folder, which gets `part-*.parquet` and `rejected.csv`; see `zoobot.shared.predictions`.
        settings: see `zoobot.config.PredictSettings`.
        loaded: the model of that folder, for one with an encoder of your own; otherwise it is loaded from the folder.

    Raises:
        ModelError, CatalogError: a model folder or the catalog is at fault; `loaded` is not the folder's model.
        SettingError: the images were prepared otherwise than those that the model was trained on.
        ImageError: an image cannot be read and `settings.on_bad_image` is `stop`.
        OutputError: `output` holds other predictions, or another process is at work on the same share of them.
    """
    settings = settings or PredictSettings()
    share = find_share(settings.shard)
    folders = [model] if isinstance(model, str | Path) else list(model)
    described = [read_model_folder(folder) for folder in folders]
    models = [load_model(folder) for folder in folders] if loaded is None else [_copy_of(loaded, described[0])]
    _refuse_other_models(described, models)
    refuse_equal_samples(models, settings)
    data = find_galaxies(catalog)
    galaxies = load_catalog(data, None, CatalogSettings(on_bad_row=settings.on_bad_row), lean=True)
    _refuse_other_channels(galaxies, models[0])
    _refuse_columns_that_cannot_travel(galaxies, described[0])
    description = _describe(described)
    inputs = {"model": description["weights_sha256"], "catalog": galaxies.checksum()}
    may_differ = frozenset({"on_bad_image", "on_bad_row", "shard", "slurm_script"})
    folder = open_run(output, "predict", settings, inputs, makes="part-*.parquet", may_differ=may_differ)
    with claimed(share, folder), explain_out_of_memory(settings.batch_size):
        run = _Run(folder, galaxies, _find_split(described), described[0], description, settings)
        missing = [number for number in range(run.n_parts) if share.has(number) and not run.is_made(number)]
        if share.of > 1:
            logger.info("This is %s: %d of its parts lack.", share, len(missing))
        device = find_own_device(settings.device)
        engine = "torch" if loaded is not None else settings.engine
        encoders = [find_encoder(folder.path, device, engine) for folder in described] if missing else []
        _write_parts(run, [model.to(device).eval() for model in models], encoders, missing, device)
    return _finish(run, share, shows_answers=data is not catalog)


class _Run:
    """The parts of one run."""

    def __init__(
        self,
        folder: Path,
        galaxies: Catalog,
        split: Mapping[str, str],
        described: ModelFolder,
        description: dict[str, Any],
        settings: PredictSettings,
    ) -> None:
        self.folder, self.galaxies, self.settings = folder, galaxies, settings
        self.schema, self._description, self._split = described.schema, description, split
        self.n_parts = -(-len(galaxies) // settings.part_size)

    def path(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.parquet"

    def rows(self, number: int) -> range:
        size = self.settings.part_size
        return range(number * size, min((number + 1) * size, len(self.galaxies)))

    def is_made(self, number: int) -> bool:
        """Whether a part is there, whole; a damaged one is made again."""
        if not self.path(number).is_file():
            return False
        try:
            read_rejected(self.path(number))
            return True
        except PredictionError as error:
            logger.warning("%s It is made again.", error)
            return False

    def write(self, number: int, concentrations: npt.NDArray[np.float32], problems: dict[int, str]) -> None:
        """Write a part. `problems`: row of the catalog -> what is wrong with its image."""
        rows = self.rows(number)
        readable = ~np.isin(np.array(rows), list(problems))
        table, column = self.galaxies.read_rows(rows), self.galaxies.file_columns[0]
        table[SPLIT_COLUMN] = [self._split.get(galaxy, "") for galaxy in table["id_str"]]
        left_out = table.loc[~readable, ["id_str", column]].to_numpy().tolist()
        try:
            write_part(
                self.path(number),
                table[readable],
                concentrations[readable],
                self.schema,
                self._description,
                [(galaxy, file, problems[row]) for (galaxy, file), row in zip(left_out, sorted(problems), strict=True)],
            )
        except OSError as error:
            raise OutputError(
                f"'{self.path(number)}' cannot be written: {error.strerror}. The parts before it are there: make room, "
                "and the same command goes on."
            ) from error


def _write_parts(
    run: _Run,
    models: Sequence[ZoobotTree],
    encoders: Sequence[OnnxEncoder | None],
    missing: Sequence[int],
    device: torch.device,
) -> None:
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
        total = sum(len(run.rows(number)) for number in missing)
        task = progress.add_task("Predicting", total=total, rate="")
        batches = load_batches(run.galaxies, models, [run.rows(number) for number in missing], run.settings)
        for number in missing:
            rows = run.rows(number)
            samples = run.settings.samples * len(models)
            concentrations = np.full((len(rows), len(run.schema.answers), samples), np.nan, np.float32)
            problems: dict[int, str] = {}
            done = 0
            while done < len(rows):
                batch = next(batches)
                places = np.array(batch.rows, int) - rows[0]
                concentrations[places] = predict_batch(models, batch, run.settings, device, encoders)
                problems |= batch.problems
                done += len(batch.rows) + len(batch.problems)
                progress.advance(task, len(batch.rows) + len(batch.problems))
                speed = progress.tasks[task].speed
                progress.update(task, rate=f"{speed:,.0f} galaxies/s" if speed else "")
            run.write(number, concentrations, problems)


def load_batches(
    galaxies: Catalog, models: Sequence[ZoobotTree], parts: Sequence[range], settings: PredictSettings
) -> Iterator[ImageBatch]:
    """Batches of views, none of which reaches from one part into the next. Images are read once for all models."""
    keys = np.zeros(len(galaxies), np.uint64)
    if settings.samples > 1:
        keys[:] = [galaxy_hash(str(galaxy), settings.seed) for galaxy in galaxies.table["id_str"]]
    dataset = ImageDataset(
        open_images(galaxies, models[0].settings.reading),
        [model.settings.adjustments for model in models],
        keys,
        settings.seed,
        n_views=count_views(settings),
        is_random=settings.samples > 1 and settings.sample_by != "dropout",
    )
    return iter(
        DataLoader(
            dataset,
            batch_sampler=_PartBatches(parts, settings.batch_size),
            num_workers=count_workers(settings.workers, settings.device),
            pin_memory=find_device(settings.device).type == "cuda",
            collate_fn=as_it_is,
        )
    )


class _PartBatches(Sampler[list[int]]):
    """The rows of each batch, none of which reaches from one part into the next."""

    def __init__(self, parts: Sequence[range], batch_size: int) -> None:
        self.parts, self.batch_size = parts, batch_size

    def __len__(self) -> int:
        return sum(-(-len(rows) // self.batch_size) for rows in self.parts)

    def __iter__(self) -> Iterator[list[int]]:
        size = self.batch_size
        return (list(rows[first : first + size]) for rows in self.parts for first in range(0, len(rows), size))


def predict_batch(
    models: Sequence[ZoobotTree],
    batch: ImageBatch,
    settings: PredictSettings,
    device: torch.device,
    encoders: Sequence[OnnxEncoder | None] = (None,),
) -> npt.NDArray[np.float32]:
    """Concentrations of the galaxies of a batch, `(galaxy, answer, model x sample)`.

    Args:
        encoders: for each model, what encodes in its place, if anything.
    """
    if batch.problems and settings.on_bad_image == "stop":
        raise ImageError("\n".join(batch.problems.values()) + "\n--on-bad-image skip leaves out such galaxies.")
    if not batch.rows:
        return np.zeros((0, len(models[0].schema.answers), settings.samples * len(models)), np.float32)
    on_device = {adjustments: views.to(device, non_blocking=True) for adjustments, views in batch.views.items()}
    samples = [
        forecast(model, on_device[model.settings.adjustments], batch.galaxies, settings, encode)
        for model, encode in zip(models, encoders, strict=True)
    ]
    return np.concatenate(samples, axis=2)


def _finish(run: _Run, share: Share, shows_answers: bool) -> PredictedCatalog:
    made = [number for number in range(run.n_parts) if run.is_made(number)]
    rejected = [line for number in made for line in read_rejected(run.path(number))]
    left_out = run.galaxies.list_rejected(rejected)
    n_missing = run.n_parts - len(made)
    if not n_missing:  # the share that ends last writes what is of all
        write_atomically(run.folder / "rejected.csv", left_out.to_csv(index=False))
        if run.settings.format == "csv":
            write_csv(run.folder)
    count = sum(len(run.rows(number)) for number in made) - len(rejected)
    in_words = ""
    if shows_answers and 0 < count <= _FEW and not n_missing:
        parts = [read_part(run.path(number), run.schema) for number in made]
        in_words = "\n\n".join(_say_answers(part) for part in parts if len(part.table))
    return PredictedCatalog(run.folder, count, left_out, n_missing, in_words)


def _say_answers(predictions: Predictions) -> str:
    galaxies = zip(predictions.id_str, predictions.vote_fractions, strict=True)
    return "\n\n".join(f"{galaxy}\n{describe_way(predictions.schema, fractions)}" for galaxy, fractions in galaxies)


def _refuse_other_models(described: Sequence[ModelFolder], models: Sequence[ZoobotTree]) -> None:
    first, readings = described[0], [(model.settings.record_reading(), model.channels, model.bands) for model in models]
    for other, reading in zip(described[1:], readings[1:], strict=True):
        pair = f"The models in '{first.path}' and '{other.path}'"
        if other.schema != first.schema:
            raise ModelError(f"{pair} answer different trees. Predict with each by itself.")
        if reading != readings[0]:
            raise ModelError(f"{pair} read images differently (colour, stretch). Predict with each by itself.")


def _describe(described: Sequence[ModelFolder]) -> dict[str, Any]:
    """The first model's description; with others, the checksum is of all, and theirs are beside it."""
    descriptions = [folder.describe() for folder in described]
    if len(descriptions) == 1:
        return descriptions[0]
    checksums = [str(description["weights_sha256"]) for description in descriptions]
    return {**descriptions[0], "weights_sha256": "+".join(checksums), "others": descriptions[1:]}


def _refuse_other_channels(galaxies: Catalog, estimator: ZoobotTree) -> None:
    channels = open_images(galaxies, estimator.settings.reading).channels
    if channels != estimator.channels:
        raise SettingError(
            f"The model was trained on images of {estimator.channels} bands; those of the catalog {galaxies.source} "
            f"have {channels}."
        )
    if galaxies.bands != estimator.bands:
        wanted, there = (", ".join(bands) or "one file" for bands in (estimator.bands, galaxies.bands))
        raise SettingError(
            f"The model was trained on the bands {wanted}, in this order; the catalog {galaxies.source} has {there}. "
            "Order its columns file_loc_... so."
        )


def _copy_of(loaded: ZoobotTree, described: ModelFolder) -> ZoobotTree:
    """A copy, so that the caller's model stays on its device; only the folder's own model is accepted."""
    weights = load_file(described.path / WEIGHTS)
    own = loaded.state_dict()
    if own.keys() != weights.keys() or any(not torch.equal(own[name].cpu(), weights[name]) for name in weights):
        raise ModelError(f"The model given as 'loaded' is not that of '{described.path}': its weights differ.")
    return copy.deepcopy(loaded)


def _find_split(described: Sequence[ModelFolder]) -> dict[str, str]:
    """Where a model had each galaxy that it met. Of several models, what one learned from is not held out."""
    split: dict[str, str] = {}
    for name in ("test", "validation", "train"):
        for folder in described:
            galaxies = folder.galaxies
            split |= dict.fromkeys(galaxies["id_str"][galaxies["split"] == name], name)
    return split


def _refuse_columns_that_cannot_travel(galaxies: Catalog, described: ModelFolder) -> None:
    written = {SPLIT_COLUMN} | {
        f"{label}_{kind}" for label in described.schema.label_cols for kind in ("concentration", "fraction")
    }
    clashing = [column for column in galaxies.columns if column in written]
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

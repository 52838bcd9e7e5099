"""Training with any framework: what is refused, which galaxies learn, what the run and its model folder say."""

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.progress import Progress

from zoobot.config import AnyTrainSettings, ImageSettings, LearnSettings
from zoobot.errors import CatalogError, ImageError, ModelError, OutputError
from zoobot.shared.catalogs import SPLITS, Catalog, split_by_galaxy
from zoobot.shared.dirichlet import ConstantBaseline
from zoobot.shared.image_sources import find_unreadable, open_images, refuse_other_reading
from zoobot.shared.run_folders import versions, write_atomically
from zoobot.shared.schemas import Schema
from zoobot.shared.training_curves import say_timing, set_timing_apart
from zoobot.shared.vote_scores import galaxy_losses

logger = logging.getLogger(__name__)

Chosen = TypeVar("Chosen", bound=LearnSettings)


@dataclass(frozen=True)
class SplitCatalog:
    """A catalog's galaxies, split.

    Args:
        catalogs: of `train`, `validation` and `test`.
        labels: of the same: what is learned, `(galaxy, output)`.
        galaxies: `id_str` and `split` of all.
    """

    catalogs: dict[str, Catalog]
    labels: dict[str, npt.NDArray[Any]]
    galaxies: pd.DataFrame


def split_catalog(
    catalog: Catalog,
    settings: LearnSettings,
    labels: npt.NDArray[Any] | None = None,
    split: npt.NDArray[Any] | None = None,
) -> SplitCatalog:
    """Split galaxies by the hash of their names; `CatalogError` where a split would have none.

    Args:
        labels: `(galaxy, output)` to learn in the place of votes.
        split: `(galaxy,)`, the split of each, if it is known already.
    """
    if split is None:
        split = split_by_galaxy(catalog.id_str, settings.split, settings.seed)
    catalogs = {name: catalog.rows(split == name) for name in SPLITS}
    for name, fraction in zip(SPLITS, settings.split, strict=True):
        if fraction > 0 and not len(catalogs[name]):
            raise CatalogError(
                f"The catalog {catalog.source} has {len(catalog)} galaxies, too few for the split "
                f"{settings.split}: no {name} galaxy. Give it more galaxies, or change --split."
            )
    learned = catalog.votes if labels is None else labels
    return SplitCatalog(
        catalogs,
        {name: learned[split == name] for name in SPLITS},
        pd.DataFrame({"id_str": catalog.id_str, "split": split.astype(object)}),
    )


def read_as_prepared(galaxies: Catalog, settings: Chosen) -> Chosen:
    """The settings, with the reading of prepared images where nothing else is asked for.

    Raises:
        SettingError: images are asked for otherwise than they were prepared.
    """
    if galaxies.prepared is None:
        return settings
    info = galaxies.prepared.info
    there = info.image_settings
    asked = {name: getattr(settings, name) for name in ImageSettings.model_fields}
    defaults = ImageSettings()
    given = {name: value for name, value in asked.items() if value != getattr(defaults, name)}
    refuse_other_reading(there.model_copy(update=given), there, galaxies.source)
    reading_size = settings.adjustments.reading_size
    if info.image_size is not None and info.image_size < reading_size:
        logger.warning(
            "The prepared images have %d pixels, and this model would see detail of %d: for sharper views, prepare "
            "them with --image-size %d.",
            info.image_size,
            reading_size,
            reading_size,
        )
    return settings.model_copy(update={name: getattr(there, name) for name in ImageSettings.model_fields})


def leave_out_unreadable(catalog: Catalog, settings: LearnSettings, run: Path, is_begun: bool) -> Catalog:
    """Read every image file once; stop at those that cannot be read, or leave them out. Prepared images were read.

    `rejected.csv` lists them, and the rows of the catalog that were left out.

    Args:
        is_begun: whether the run has learned from images already, so that others cannot be read now.
    """
    unreadable: dict[int, str] = {}
    if catalog.prepared is None:
        with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("Checking images", total=len(catalog))
            source = open_images(catalog, settings.reading)
            unreadable = find_unreadable(source, count_cores(), lambda: progress.advance(task))
    rows = list(unreadable)
    images = catalog.table.loc[rows, ["id_str", catalog.file_columns[0]]].assign(reason=list(unreadable.values()))
    record = run / "rejected.csv"
    listed = catalog.list_rejected(images.itertuples(index=False)).to_csv(index=False)
    if is_begun and (not record.is_file() or record.read_text() != listed):
        raise OutputError(
            f"Other images can be read now than when the run in '{run}' was begun ('{record}' lists those that could "
            "not). Restore them to go on with it, or start again in another folder."
        )
    write_atomically(record, listed)
    if not rows:
        return catalog
    count = f"{len(rows):,} of {len(catalog):,} images cannot be read"
    reasons = "\n".join(f"- {reason}" for reason in unreadable.values())
    if settings.on_bad_image == "stop" or len(rows) == len(catalog):
        raise ImageError(
            f"{count}:\n{reasons}\n"
            "Mend or remove them, or leave their galaxies out with --on-bad-image drop. A relative file_loc is "
            f"relative to the folder '{catalog.folder}'. The list is also in '{record}'."
        )
    logger.warning("%s; their galaxies are left out:\n%s", count, reasons)
    return catalog.rows(np.setdiff1d(np.arange(len(catalog)), rows))


def announce(catalogs: Mapping[str, Catalog], settings: LearnSettings) -> None:
    """Log how many galaxies learn, and with which settings."""
    counts = ", ".join(f"{len(part):,} {name}" for name, part in catalogs.items())
    logger.info("Galaxies: %s (split %s, seed %s).", counts, settings.split, settings.seed)
    reading = settings.record_reading()
    others = settings.model_dump(exclude={"preset", *ImageSettings.model_fields})
    described = ", ".join(f"{name} {value}" for name, value in {**others, **reading}.items())
    preset = f" (preset {settings.preset} where not given)" if isinstance(settings, AnyTrainSettings) else ""
    logger.info("Settings%s: %s.", preset, described)


def announce_epoch(epoch: int, epochs: int | None, training_loss: float, validation_loss: float) -> None:
    """Log the losses of a finished epoch, counted from 1."""
    logger.info(
        "Epoch %d of %s: training loss %.3f, validation loss %.3f", epoch, epochs, training_loss, validation_loss
    )


def loss_of_epoch(run: Path, history: Mapping[str, list[Any]], epoch: int) -> float:
    """The validation loss of an epoch, counted from 1; `ModelError` where it is not a number."""
    loss: float | None = dict(zip(history["epoch"], history["validation/loss"], strict=True))[epoch]
    if loss is None:
        raise ModelError(
            f"Training in '{run}' diverged: the validation loss is not a number. Start again in another folder with a "
            "lower --learning-rate, or with --precision 32."
        )
    return loss


def describe_training(
    run: Path,
    history: Mapping[str, list[Any]],
    best_epoch: int,
    baselines: Mapping[str, ConstantBaseline],
    validation: Catalog | None,
    schema: Schema,
) -> dict[str, Any]:
    """What `metrics.json` of the model folder holds.

    Args:
        history: the training curve: `epoch`, from 1, `train/loss`, `validation/loss` and the columns of
            `training_curves`; None where there is no finite number.
        validation: the validation galaxies; None where they are not known.

    Raises:
        ModelError: the validation loss of the best epoch is not a number.
    """
    return {
        "best_epoch": best_epoch,
        "validation_loss": loss_of_epoch(run, history, best_epoch),
        **describe_baselines(baselines, None if validation is None else validation.votes, schema),
        **set_timing_apart(history),
    }


def describe_baselines(
    baselines: Mapping[str, ConstantBaseline], votes: npt.NDArray[Any] | None, schema: Schema | None
) -> dict[str, Any]:
    """What `metrics.json` says of them.

    Args:
        votes: `(galaxy, answer)` of the validation galaxies, on which their mean losses are given; None if not known.
    """
    losses = {
        name: galaxy_losses(votes, baseline.concentrations[None], schema).mean()
        for name, baseline in baselines.items()
        if votes is not None and schema is not None
    }
    return {
        "validation_loss_of_baselines": {name: float(loss) for name, loss in losses.items()},
        "baselines": {name: baseline.concentrations.tolist() for name, baseline in baselines.items()},
    }


def say_trained(folder: Path, metrics: Mapping[str, Any]) -> str:
    """A trained model in a few lines."""
    lines = [
        f"Model:           {folder}",
        f"Best epoch:      {metrics['best_epoch']} of {len(metrics['history']['epoch'])}",
        f"Validation loss: {metrics['validation_loss']:.3f} per galaxy",
    ]
    lines += [f"  {name}: {loss:.3f}" for name, loss in metrics["validation_loss_of_baselines"].items()]
    return "\n".join([*lines, *say_training_time(metrics)])


def say_training_time(metrics: Mapping[str, Any]) -> list[str]:
    """The line on how long training took, where that is known."""
    timing = say_timing(metrics)
    return [f"Training time:   {timing}"] if timing else []


def describe_model(
    framework: str,
    architecture: str,
    settings: LearnSettings,
    channels: int,
    bands: list[str],
    galaxies: pd.DataFrame,
    hardware: Mapping[str, Any],
) -> dict[str, Any]:
    """What `config.json` of the model folder holds.

    Args:
        galaxies: `id_str` and `split` of the training catalog; empty if not known.
        hardware: what the model was trained on (`provenance.describe_hardware`); empty if not known.
    """
    return {
        "framework": framework,
        "architecture": architecture,
        "preprocessing": {
            **settings.adjustments.to_dict(),
            **settings.record_reading(),
            "channels": channels,
            "bands": bands,
        },
        "settings": settings.model_dump(mode="json"),
        "versions": versions(),
        "hardware": dict(hardware),
        "split": {
            "seed": settings.seed,
            "fractions": list(settings.split),
            "galaxies": galaxies["split"].value_counts().to_dict(),
        },
    }


def draw_epoch(
    n_galaxies: int, seed: int, epoch: int, weights: npt.NDArray[np.float64] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The training galaxies of an epoch, in an order that follows from the seed and the epoch.

    Args:
        weights: `(galaxy,)`; as many galaxies are then drawn, each as often as its weight says on average.

    Returns:
        The rows, and for each the epoch of its view: this one, moved on by 2^32 each time that a galaxy comes again, so
        that it comes in another view.
    """
    rng = np.random.default_rng((seed, epoch))
    if weights is None:
        return rng.permutation(n_galaxies), np.full(n_galaxies, epoch)
    rows = rng.choice(n_galaxies, n_galaxies, p=weights / weights.sum())
    times_before = pd.Series(rows).groupby(rows).cumcount().to_numpy(np.int64)
    return rows, epoch + (times_before << 32)


def edges_of_batches(n_galaxies: int, batch_size: int) -> list[int]:
    """Where batches begin and the last ends, in size alike but for one galaxy: one alone would upset batch norm."""
    n_batches = -(-n_galaxies // batch_size)
    edges: list[int] = np.linspace(0, n_galaxies, n_batches + 1).round().astype(int).tolist()
    return edges


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

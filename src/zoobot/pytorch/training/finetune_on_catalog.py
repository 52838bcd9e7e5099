"""Finetuning on a catalog: from an encoder, galaxies and their labels to a model folder. The verb `finetune`."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
from torch import nn

from zoobot.config import FinetuneSettings, TorchSettings, TrainSettings
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.devices import find_device
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.encoders import is_timm_name, load_encoder
from zoobot.pytorch.estimators.label_model import LabelModel
from zoobot.pytorch.estimators.model_folder import checksum_of, load_any_model, save_model
from zoobot.pytorch.training.blocks import find_blocks
from zoobot.pytorch.training.finetune import (
    FinetuneableZoobotClassifier,
    FinetuneableZoobotRegressor,
    FinetuneableZoobotTree,
)
from zoobot.pytorch.training.finetuneable import Finetuneable
from zoobot.pytorch.training.fitting import fit, is_begun, settings_for
from zoobot.pytorch.training.label_scores import probe_of, scores_of
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.finetuning_runs import find_tree, options_of, refuse_too_many_blocks, say_finetuned, split_for
from zoobot.shared.image_sources import open_images
from zoobot.shared.label_columns import LabelTask, balance, read_labels
from zoobot.shared.model_folders import read_model_folder
from zoobot.shared.pretrained_encoders import PretrainedEncoder
from zoobot.shared.run_folders import logged_to, open_run
from zoobot.shared.schemas import Schema
from zoobot.shared.training_runs import announce, describe_baselines, leave_out_unreadable
from zoobot.shared.vote_scores import FREE_BASELINE, fit_baselines

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinetunedModel:
    """What finetuning returns: the best model, ready to predict, its folder and its scores."""

    model: ZoobotTree | LabelModel
    folder: Path
    metrics: dict[str, Any]

    def __str__(self) -> str:
        return say_finetuned(self.folder, self.metrics)


def finetune(
    catalog: str | Path | pd.DataFrame,
    encoder: str | Path | nn.Module,
    output: str | Path,
    settings: FinetuneSettings,
    schema: str | Path | Schema | None = None,
) -> FinetunedModel:
    """Finetune a pretrained encoder on a catalog. Called again, it goes on where it stopped.

    Args:
        catalog: a table with `id_str`, `file_loc` and the columns to learn, or a folder of prepared images.
        encoder: from anywhere; see `zoobot.pytorch.estimators.encoders`.
        output: the run's folder. The model folder is `output/model`.
        settings: see `zoobot.config.FinetuneSettings`. What the encoder expects of images is taken from it.
        schema: for the task `tree`, the decision tree.

    Returns:
        The model of the epoch with the best validation loss. Classes are split so that each part has its share of each.

    Raises:
        ModelError: there is no such encoder.
        CatalogError, ImageError: the catalog, its labels or its images are at fault, found before the first epoch.
        SettingError: a setting or the images are not what the encoder expects.
        OutputError: `output` holds another run.
    """
    find_device(settings.device, settings.devices)
    tree = find_tree(catalog, schema, settings)
    galaxies = load_catalog(catalog, tree, settings)
    L.seed_everything(settings.seed, verbose=False)
    pretrained, settings = _adapt(encoder, galaxies, settings)
    if tree is None:
        read_labels(galaxies.table, settings, galaxies.source)
    inputs: dict[str, Any] = {
        "encoder": pretrained.source,
        "encoder_sha256": checksum_of(pretrained.module),
        "catalog": galaxies.checksum(),
        "schema": None if tree is None else tree.to_dict(),
    }
    run = open_run(output, "finetune", settings, inputs, makes="checkpoints/*.ckpt")
    folder = run / "model"
    if (folder / "config.json").is_file() and pretrained.recipe is not None:
        logger.warning("'%s' is already finetuned: its model is returned as it is.", run)
        return FinetunedModel(load_any_model(folder), folder, read_model_folder(folder).metrics)
    with logged_to(run / "log.txt"):
        galaxies = leave_out_unreadable(galaxies, settings, run, is_begun(run))
        if tree is not None:
            return _Finetuning(pretrained, settings, GalaxyDataModule(galaxies, settings), run).learn_tree(tree)
        task, labels = read_labels(galaxies.table, settings, galaxies.source)
        split = split_for(task, galaxies, labels, settings)
        data = GalaxyDataModule(galaxies, settings, labels, split, settings.balanced_sampling)
        return _Finetuning(pretrained, settings, data, run).learn_labels(task)


def _adapt(
    encoder: str | Path | nn.Module, galaxies: Catalog, settings: FinetuneSettings
) -> tuple[PretrainedEncoder, FinetuneSettings]:
    """The encoder, and the settings with what it expects; a timm name is built for the catalog's channels and size."""
    wanted = settings.image_size if "image_size" in settings.model_fields_set else None
    channels = None
    if is_timm_name(encoder):
        reading = settings.reading if galaxies.prepared is None else galaxies.prepared.info.image_settings
        channels = open_images(galaxies, reading).channels
    pretrained = load_encoder(encoder, channels=channels, image_size=wanted, pretrained=settings.pretrained)
    adapted = settings_for(galaxies, pretrained.adapt(settings))
    channels = open_images(galaxies, adapted.reading).channels
    pretrained.refuse_other_channels(channels, f"the catalog {galaxies.source}")
    pretrained.refuse_other_bands(galaxies.bands, f"the catalog {galaxies.source}")
    refuse_too_many_blocks(adapted.n_blocks or 0, len(find_blocks(pretrained.module)))
    return replace(pretrained, channels=channels), adapted


@dataclass(frozen=True)
class _Finetuning:
    """One run, once its data are checked."""

    pretrained: PretrainedEncoder
    settings: FinetuneSettings
    data: GalaxyDataModule
    run: Path

    def _arguments(self) -> dict[str, Any]:
        """For the classes of `finetune`, which have the names of Zoobot."""
        announce(self.data.catalogs, self.data.settings)
        n_galaxies, blocks_there = len(self.data.labels["train"]), len(find_blocks(self.pretrained.module))
        return {"encoder": self.pretrained, **options_of(self.settings, n_galaxies, blocks_there).model_dump()}

    def learn_tree(self, tree: Schema) -> FinetunedModel:
        bounds, labels = self.settings.concentration_bounds, self.data.labels
        learner = FinetuneableZoobotTree(tree, bounds, **self._arguments())
        baselines = fit_baselines(labels["train"], tree)
        learner.head.start_from(baselines[FREE_BASELINE].concentrations)
        common = {name: getattr(self.settings, name) for name in TorchSettings.model_fields}
        recipe = self.pretrained.recipe
        settings = TrainSettings(**common, **({} if recipe is None else {"architecture": recipe.architecture}))
        model = ZoobotTree(
            tree, settings, learner.encoder, self.pretrained.channels, self.data.catalogs["train"].bands, recipe
        )
        return self._fit(learner, model, describe_baselines(baselines, labels["validation"], tree))

    def learn_labels(self, task: LabelTask) -> FinetunedModel:
        settings, labels, arguments = self.settings, self.data.labels["train"], self._arguments()
        task = task.scaled_to(labels)
        learner: FinetuneableZoobotClassifier | FinetuneableZoobotRegressor
        if task.kind == "classification":
            weights = balance(labels).tolist() if settings.class_weights == "balanced" else None
            learner = FinetuneableZoobotClassifier(
                task.n_outputs, settings.label_smoothing, weights, task.multi_label, **arguments
            )
        else:
            learner = FinetuneableZoobotRegressor(
                settings.loss, settings.unit_interval, task.n_outputs, task.centres, task.scales, **arguments
            )
        model = LabelModel(
            task,
            settings,
            learner.encoder,
            self.pretrained.channels or 3,
            self.data.catalogs["train"].bands,
            self.pretrained.recipe,
        )
        probe = probe_of(model, self.data) if settings.linear_probe else {}
        return self._fit(learner, model, describe_baselines({}, None, None), probe)

    def _fit(
        self,
        learner: Finetuneable,
        model: ZoobotTree | LabelModel,
        of_baselines: dict[str, Any],
        probe: dict[str, Any] | None = None,
    ) -> FinetunedModel:
        fitted = fit(learner, self.data, self.run, self.settings)
        model.head.load_state_dict(learner.head.state_dict())
        model.eval()
        metrics: dict[str, Any] = {**fitted.to_dict(), **of_baselines}
        if isinstance(model, LabelModel):
            metrics["scores"] = {**scores_of(model, self.data), **(probe or {})}
        folder = self.run / "model"
        if fitted.is_first_process:
            source = self.pretrained.source if self.settings.pretrained else "random weights"
            save_model(
                model,
                folder,
                metrics=metrics,
                galaxies=self.data.galaxies,
                started_from=source,
                hardware=fitted.hardware,
            )
        fitted.wait()
        return FinetunedModel(model, folder, metrics)

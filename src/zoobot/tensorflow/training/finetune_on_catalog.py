"""Finetuning on a catalog: from an encoder, galaxies and their labels to a model folder. The verb `finetune`."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from zoobot.config import KerasFinetuneSettings, KerasSettings, KerasTrainSettings
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.finetuning_runs import find_tree, options_of, refuse_too_many_blocks, say_finetuned, split_for
from zoobot.shared.image_sources import open_images
from zoobot.shared.label_columns import LabelTask, balance, read_labels
from zoobot.shared.model_folders import read_model_folder
from zoobot.shared.pretrained_encoders import PretrainedEncoder
from zoobot.shared.run_folders import logged_to, open_run
from zoobot.shared.schemas import Schema
from zoobot.shared.training_curves import set_timing_apart
from zoobot.shared.training_runs import (
    SplitCatalog,
    announce,
    describe_baselines,
    leave_out_unreadable,
    loss_of_epoch,
    read_as_prepared,
    split_catalog,
)
from zoobot.shared.vote_scores import FREE_BASELINE, fit_baselines
from zoobot.tensorflow.datasets.galaxy_dataset import GalaxyBatches
from zoobot.tensorflow.devices import compiles, describe_device, explain_out_of_memory, find_device, find_place
from zoobot.tensorflow.estimators.define_model import ZoobotTree, count_features, precision_of
from zoobot.tensorflow.estimators.encoders import checksum_of, is_name, load_encoder
from zoobot.tensorflow.estimators.label_model import LabelModel
from zoobot.tensorflow.estimators.model_folder import load_any_model, save_model
from zoobot.tensorflow.estimators.random_views import RandomViews
from zoobot.tensorflow.estimators.recipes import copy_weights
from zoobot.tensorflow.training.blocks import find_blocks
from zoobot.tensorflow.training.epochs import KeptEpochs
from zoobot.tensorflow.training.finetune import (
    FinetuneableZoobotClassifier,
    FinetuneableZoobotRegressor,
    FinetuneableZoobotTree,
    compile_for,
)
from zoobot.tensorflow.training.finetuneable import Finetuneable
from zoobot.tensorflow.training.fitting import fit
from zoobot.tensorflow.training.label_scores import probe_of, scores_of

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
    encoder: str | Path | keras.Model,
    output: str | Path,
    settings: KerasFinetuneSettings,
    schema: str | Path | Schema | None = None,
) -> FinetunedModel:
    """Finetune a pretrained encoder on a catalog. Called again, it goes on where it stopped.

    Args:
        catalog: a table with `id_str`, `file_loc` and the columns to learn, or a folder of prepared images.
        encoder: a model folder, a name of keras.applications or your own; see `zoobot.tensorflow.estimators.encoders`.
        output: the run's folder. The model folder is `output/model`.
        settings: see `zoobot.config.KerasFinetuneSettings`. What the encoder expects of images is taken from it.
        schema: for the task `tree`, the decision tree.

    Returns:
        The model of the epoch with the best validation loss. Classes are split so that each part has its share of each.

    Raises:
        ModelError: there is no such encoder.
        CatalogError, ImageError: the catalog, its labels or its images are at fault, found before the first epoch.
        SettingError: a setting or the images are not what the encoder expects.
        OutputError: `output` holds another run.
        DeviceMemoryError: a batch does not fit the GPU.
    """
    device = find_device(settings.device, settings.devices)
    tree = find_tree(catalog, schema, settings)
    galaxies = load_catalog(catalog, tree, settings)
    keras.utils.set_random_seed(settings.seed % (2**32 - 1) + 1)  # tf.data shuffles by no epoch under a seed of 0
    pretrained, settings = _adapt(encoder, galaxies, settings)
    place = find_place(device, settings.devices, pretrained.recipe is None)
    if tree is None:
        read_labels(galaxies.table, settings, galaxies.source)
    inputs: dict[str, Any] = {
        "encoder": pretrained.source,
        "encoder_sha256": checksum_of(pretrained.module),
        "catalog": galaxies.checksum(),
        "schema": None if tree is None else tree.to_dict(),
    }
    run = open_run(output, "finetune", settings, inputs, makes="checkpoints/*.h5")
    folder = run / "model"
    if (folder / "config.json").is_file() and pretrained.recipe is not None:
        logger.warning("'%s' is already finetuned: its model is returned as it is.", run)
        return FinetunedModel(load_any_model(folder), folder, read_model_folder(folder).metrics)
    with logged_to(run / "log.txt"), explain_out_of_memory(settings.batch_size):
        kept = KeptEpochs(run, settings.epochs, settings.patience, settings.seed)
        galaxies = leave_out_unreadable(galaxies, settings, run, bool(kept.lines))
        if tree is not None:
            data = split_catalog(galaxies, settings)
            return _Finetuning(pretrained, settings, data, kept, device, place).learn_tree(tree)
        task, labels = read_labels(galaxies.table, settings, galaxies.source)
        data = split_catalog(galaxies, settings, labels, split_for(task, galaxies, labels, settings))
        return _Finetuning(pretrained, settings, data, kept, device, place).learn_labels(task)


def _adapt(
    encoder: str | Path | keras.Model, galaxies: Catalog, settings: KerasFinetuneSettings
) -> tuple[PretrainedEncoder, KerasFinetuneSettings]:
    """The encoder, and the settings with what it expects; a name is built for the catalog's channels."""
    reading = settings.reading if galaxies.prepared is None else galaxies.prepared.info.image_settings
    pretrained = load_encoder(
        encoder,
        channels=open_images(galaxies, reading).channels if is_name(encoder) else None,
        image_size=settings.image_size,
        pretrained=settings.pretrained,
        precision=settings.precision,
    )
    adapted = read_as_prepared(galaxies, pretrained.adapt(settings))
    channels = open_images(galaxies, adapted.reading).channels
    pretrained.refuse_other_channels(channels, f"the catalog {galaxies.source}")
    pretrained.refuse_other_bands(galaxies.bands, f"the catalog {galaxies.source}")
    if adapted.n_blocks is not None:
        count_features(pretrained.module, adapted.image_size, channels)  # which builds it
        refuse_too_many_blocks(adapted.n_blocks, len(find_blocks(pretrained.module)))
    return replace(pretrained, channels=channels), adapted


@dataclass(frozen=True)
class _Finetuning:
    """One run, once its data are checked."""

    pretrained: PretrainedEncoder
    settings: KerasFinetuneSettings
    data: SplitCatalog
    kept: KeptEpochs
    device: str
    place: Callable[[], AbstractContextManager[Any]]

    def _arguments(self) -> dict[str, Any]:
        """For the classes of `finetune`, which have the names of Zoobot."""
        settings = self.settings
        announce(self.data.catalogs, settings)
        options = options_of(settings, len(self.data.labels["train"]), len(find_blocks(self.pretrained.module)))
        views = RandomViews(settings.adjustments) if settings.augment_in_model else None
        return {"encoder": self._learning_encoder(), "views": views, **options.model_dump()}

    def _learning_encoder(self) -> PretrainedEncoder:
        """The encoder itself, or where several devices learn a copy that is on all of them."""
        if self.settings.devices == 1:
            return self.pretrained
        with precision_of(self.settings.precision):
            there = self.pretrained.recipe.build()
        copy_weights(self.pretrained.module, there)
        return replace(self.pretrained, module=there)

    def learn_tree(self, tree: Schema) -> FinetunedModel:
        labels, recipe = self.data.labels, self.pretrained.recipe
        baselines = fit_baselines(labels["train"], tree)
        with self.place():
            learner = FinetuneableZoobotTree(tree, self.settings.concentration_bounds, **self._arguments())
        learner.head.start_from(baselines[FREE_BASELINE].concentrations)
        common = {name: getattr(self.settings, name) for name in KerasSettings.model_fields}
        settings = KerasTrainSettings(**common, **({} if recipe is None else {"architecture": recipe.architecture}))
        model = ZoobotTree(
            tree, settings, self.pretrained.module, self.pretrained.channels, self.data.catalogs["train"].bands, recipe
        )
        self._fit(learner, model)
        return self._finish(model, describe_baselines(baselines, labels["validation"], tree))

    def learn_labels(self, task: LabelTask) -> FinetunedModel:
        settings, labels = self.settings, self.data.labels["train"]
        task = task.scaled_to(labels)
        with self.place():
            learner = self._build_learner(task)
        model = LabelModel(
            task,
            settings,
            self.pretrained.module,
            self.pretrained.channels or 3,
            self.data.catalogs["train"].bands,
            self.pretrained.recipe,
        )
        model.encoder.jit_compile = compiles(self.device)
        central = settings.model_copy(update={"augment_in_model": False})
        splits = {
            name: GalaxyBatches(galaxies, central, labels=self.data.labels[name])
            for name, galaxies in self.data.catalogs.items()
        }
        probe = probe_of(model, splits) if settings.linear_probe else {}
        self._fit(learner, model)
        scores = {"scores": scores_of(model, splits) | probe}
        return self._finish(model, describe_baselines({}, None, None) | scores)

    def _build_learner(self, task: LabelTask) -> Finetuneable:
        settings, labels, arguments = self.settings, self.data.labels["train"], self._arguments()
        if task.kind == "classification":
            weights = balance(labels).tolist() if settings.class_weights == "balanced" else None
            return FinetuneableZoobotClassifier(
                task.n_outputs, settings.label_smoothing, weights, task.multi_label, **arguments
            )
        return FinetuneableZoobotRegressor(
            settings.loss, settings.unit_interval, task.n_outputs, task.centres, task.scales, **arguments
        )

    def _fit(self, learner: Finetuneable, model: ZoobotTree | LabelModel) -> None:
        """Train what is left of the epochs, and give the model the weights of the best."""
        settings, catalogs, labels, kept = self.settings, self.data.catalogs, self.data.labels, self.kept
        training = GalaxyBatches(
            catalogs["train"], settings, settings.devices, labels["train"], settings.balanced_sampling
        )
        validation = GalaxyBatches(catalogs["validation"], settings, settings.devices, labels["validation"])
        with self.place(), training.explain_problems(), validation.explain_problems():
            compile_for(learner, training.steps_per_epoch, self.device, settings.gradient_clip)
            steps = training.steps_per_epoch
            fit(learner, kept, training.train(len(kept.lines)), validation.in_order(), steps)
        model.load_weights(kept.best_path())

    def _finish(self, model: ZoobotTree | LabelModel, also: dict[str, Any]) -> FinetunedModel:
        kept, history, best_epoch = self.kept, self.kept.history(), self.kept.best_epoch or 0
        metrics = {
            "best_epoch": best_epoch,
            "validation_loss": loss_of_epoch(kept.run, history, best_epoch),
            **set_timing_apart(history),
            **also,
        }
        folder = kept.run / "model"
        source = self.pretrained.source if self.settings.pretrained else "random weights"
        save_model(
            model,
            folder,
            metrics=metrics,
            galaxies=self.data.galaxies,
            started_from=source,
            hardware=describe_device(self.device, self.settings.devices),
        )
        return FinetunedModel(model, folder, metrics)

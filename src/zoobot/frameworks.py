"""Which framework does a job: the one that made a model. It is imported only then, and never both in one process."""

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from zoobot.config import PredictSettings, SimilarSettings
from zoobot.errors import ModelError, SettingError

FRAMEWORKS = {"pytorch": "torch", "tensorflow": "keras"}
"""The package that tells whether each is installed; the first is taken where nothing else decides."""


def predict_paths(paths: Sequence[Path], output: str | Path, settings: PredictSettings | None = None) -> Any:
    """`predict` of the models' framework, with models and data in one list, the data last.

    Returns:
        The predicted catalog; or the script that `settings.slurm_script` asks for.

    Raises:
        MissingExtraError: the models' framework is not installed.
        ModelError: models of both frameworks.
        Others: see `predict` in each framework.
    """
    from zoobot.shared.shares import slurm_script

    if len(paths) < 2:
        raise SettingError(f"Give a model and what to predict: zoobot predict RUN/model DATA. Got '{paths[0]}' alone.")
    framework = find_framework(paths[:-1])
    if settings is not None and settings.slurm_script:
        return slurm_script(paths, output, settings, settings.slurm_script)
    room = import_room(framework, "predictions.predict_on_catalog")
    return room.predict(paths[:-1], paths[-1], output, settings)


def similar(
    embeddings: str | Path,
    galaxy: str | None = None,
    image: str | Path | None = None,
    output: str | Path | None = None,
    gallery: str | Path | None = None,
    settings: SimilarSettings | None = None,
) -> Any:
    """Find the galaxies most like one of them, or most like an image.

    Args:
        embeddings: a folder of `zoobot embed`, or a table of features.
        galaxy: `id_str` of one of them; it is left out itself.
        image: or the path of an image, which the embeddings' own encoder then sees as it saw them.
        output: a table to write: CSV or Parquet.
        gallery: a page to write.
        settings: see `zoobot.config.SimilarSettings`.

    Returns:
        `SimilarGalaxies`, whose `table` has a column `likeness`, the most alike first.

    Raises:
        PredictionError: no embeddings, no such galaxy, or the encoder is not there any more.
        SettingError: neither or both of `galaxy` and `image` are given.
        MissingExtraError: of an image, the encoder's framework is not installed.
    """
    from zoobot.shared.similar_galaxies import find_similar

    def embed_image(image: Path, found: Any) -> Any:
        room = import_room(found.model.get("framework", "pytorch"), "training.representations")
        return room.embed_image(image, found)

    return find_similar(embed_image, embeddings, galaxy, image, output, gallery, settings or SimilarSettings())


def choose_framework(wanted: str | None, model: object = None) -> str:
    """The framework that is wanted; by default the one that made `model`, if that is a folder.

    Otherwise the one that is installed, PyTorch before TensorFlow.
    """
    if wanted is not None:
        return wanted
    if isinstance(model, str | Path) and Path(model).is_dir():
        return find_framework([model])
    installed = [framework for framework, package in FRAMEWORKS.items() if importlib.util.find_spec(package)]
    return next(iter([*installed, *FRAMEWORKS]))


def find_framework(models: Sequence[str | Path]) -> str:
    """The framework that made all of some models; `ModelError` for a folder that is none, or models of both."""
    from zoobot.shared.model_folders import read_model_folder

    made_with = {str(model): str(read_model_folder(model).config["framework"]) for model in models}
    for model, framework in made_with.items():
        if framework not in FRAMEWORKS:
            raise ModelError(f"The model in '{model}' was made with '{framework}', which zoobot does not know.")
    if len(set(made_with.values())) > 1:
        each = ", ".join(f"'{model}' with {framework}" for model, framework in made_with.items())
        raise ModelError(f"The models were made with different frameworks: {each}. Predict with each by itself.")
    return next(iter(made_with.values()))


def import_room(framework: str, module: str) -> ModuleType:
    """A module of a framework's room; `MissingExtraError` with the command that helps where it is not installed."""
    return importlib.import_module(f"zoobot.{framework}.{module}")

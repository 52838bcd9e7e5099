"""Temperatures: one number per question that makes a model as sure of its predictions as it should be.

Concentrations `a` divided by a temperature `T` expect the same vote fractions, with another spread: above 1 the model
was over-confident, below 1 it was not confident enough. `T` is what makes the votes of validation galaxies most likely.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar

from zoobot.config import CalibrateSettings
from zoobot.errors import OutputError, PredictionError
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.dirichlet import FloatArray, spread_over_answers
from zoobot.shared.model_folders import TEMPERATURES, ModelFolder, read_model_folder
from zoobot.shared.predictions import SPLIT_COLUMN, Predictions, read_predictions
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.schemas import Schema
from zoobot.shared.vote_scores import question_losses

_LARGEST = 20.0
"""Temperatures are sought from 1 / 20 to 20."""
_STEP = 0.05
"""Of the logarithm of a temperature, for the differences that its error follows from."""


@dataclass(frozen=True)
class Temperature:
    """The temperature of one question.

    Args:
        temperature: what concentrations are divided by; 1 where too few galaxies have votes to fit it.
        error: its standard error, over galaxies; None where it was not fitted, or lies at the limit of what is sought.
        loss_before, loss_after: negative log-likelihood per galaxy with votes, in nats; None where there is none.
        galaxies: with votes for the question.
    """

    temperature: float
    error: float | None
    loss_before: float | None
    loss_after: float | None
    galaxies: int

    def __str__(self) -> str:
        value = f"{self.temperature:.3f}" + (f" ± {self.error:.3f}" if self.error is not None else "")
        before, after = ("–" if loss is None else f"{loss:.4f}" for loss in (self.loss_before, self.loss_after))
        return f"{value:16}{before:>12}{after:>12}{self.galaxies:>10,}"


@dataclass(frozen=True)
class Calibration:
    """What `zoobot calibrate` returns.

    Args:
        path: the file in the model folder.
        questions: question -> its temperature.
        n_galaxies: validation galaxies with predictions and in the catalog.
        n_validation: all validation galaxies of the model.
        min_galaxies: with fewer, a question keeps the temperature 1.
    """

    path: Path
    questions: dict[str, Temperature]
    n_galaxies: int
    n_validation: int
    min_galaxies: int

    def __str__(self) -> str:
        width = max(map(len, self.questions)) + 2
        lines = [f"{'':{width}}{'temperature':16}{'loss before':>12}{'loss after':>12}{'galaxies':>10}"]
        for question, fitted in self.questions.items():
            note = ""
            if fitted.galaxies < self.min_galaxies:
                note = f"   kept at 1: fewer than {self.min_galaxies:,} galaxies with votes"
            elif fitted.error is not None and abs(fitted.temperature - 1) < 2 * fitted.error:
                note = "   1 is within two standard errors"
            lines.append(f"{question:{width}}{fitted}{note}")
        of = f"{self.n_galaxies:,} of the model's {self.n_validation:,} validation galaxies"
        lines.append(f"Fitted on {of}: {self.path}")
        lines.append("'zoobot predict' applies them from now on; --no-calibrated leaves them out.")
        return "\n".join(lines)


def calibrate(
    model: str | Path,
    predictions: str | Path,
    catalog: str | Path | pd.DataFrame,
    settings: CalibrateSettings | None = None,
) -> Calibration:
    """Fit a model's temperatures and leave them in its folder, from where prediction takes them.

    Args:
        model: a model folder, such as `RUN/model`.
        predictions: a folder of this model's predictions, made without temperatures, of its validation galaxies;
            others may be among them.
        catalog: a table with the votes; galaxies are joined by `id_str`.
        settings: see `zoobot.config.CalibrateSettings`.

    Raises:
        PredictionError: predictions of another model, with temperatures already, or without validation galaxies.
        ModelError, CatalogError: the model folder or the catalog is at fault.
        OutputError: the model folder cannot be written.
    """
    settings = settings or CalibrateSettings()
    folder = read_model_folder(model)
    made = read_predictions(predictions)
    checksum = folder.describe()["weights_sha256"]
    _refuse_predictions(made, predictions, folder, checksum)
    galaxies = load_catalog(catalog, made.schema, settings)
    validation = np.flatnonzero(made.table[SPLIT_COLUMN] == "validation")
    names = np.array(made.id_str)[validation]
    rows = pd.Index(galaxies.id_str).get_indexer(pd.Index(names))
    if (rows < 0).all():
        raise PredictionError(
            f"None of the {len(names):,} validation galaxies in '{predictions}', such as '{names[0]}', is in the "
            f"catalog {galaxies.source}, which has such as '{galaxies.id_str[0]}'."
        )
    votes, concentrations = galaxies.votes[rows[rows >= 0]], made.concentrations[validation[rows >= 0]]
    fitted = fit_temperatures(votes, concentrations, made.schema, settings.min_galaxies)
    n_validation = int((folder.galaxies["split"] == "validation").sum())
    record = {
        "weights_sha256": checksum,
        "samples": concentrations.shape[2],
        "galaxies": len(votes),
        "questions": {question: asdict(temperature) for question, temperature in fitted.items()},
    }
    path = _write(folder.path / TEMPERATURES, record)
    return Calibration(path, fitted, len(votes), n_validation, settings.min_galaxies)


def fit_temperatures(
    votes: npt.ArrayLike, concentrations: npt.ArrayLike, schema: Schema, min_galaxies: int = 100
) -> dict[str, Temperature]:
    """The temperature of each question that makes votes `(galaxy, answer)` most likely.

    Args:
        concentrations: `(galaxy, answer, sample)`; the likelihood is that of the mixture of samples.
        min_galaxies: a question for which fewer have votes keeps the temperature 1.
    """
    counts, samples = np.asarray(votes, float), np.asarray(concentrations, float)
    fitted = {}
    for question in schema.questions:
        columns = question.slice
        voted = counts[:, columns].sum(axis=1) > 0
        alone = Schema({question.text: schema.question_answer_pairs[question.text]}, {question.text: None})
        fitted[question.text] = _fit_question(counts[voted, columns], samples[voted, columns], alone, min_galaxies)
    return fitted


def divide_by_temperatures(
    concentrations: npt.NDArray[Any], temperatures: npt.ArrayLike, question_index_groups: Sequence[tuple[int, int]]
) -> npt.NDArray[Any]:
    """Concentrations `(galaxy, answer, sample)`, each divided by the temperature `(question, sample)` of its own."""
    divisors = spread_over_answers(np.asarray(temperatures)[np.newaxis], question_index_groups)
    divided: npt.NDArray[Any] = concentrations / divisors.astype(concentrations.dtype)
    return divided


def _fit_question(votes: FloatArray, concentrations: FloatArray, alone: Schema, min_galaxies: int) -> Temperature:
    """The fit to the galaxies with votes for a question, which is the only one of the schema `alone`."""

    def losses(log_temperature: float) -> FloatArray:
        return question_losses(votes, concentrations / np.exp(log_temperature), alone)[:, 0]

    def loss(log_temperature: float) -> float:
        return float(losses(log_temperature).mean())

    before = loss(0.0) if len(votes) else None
    if len(votes) < min_galaxies or before is None:
        return Temperature(1.0, None, before, before, len(votes))
    steps = np.linspace(-np.log(_LARGEST), np.log(_LARGEST), 9)  # 1 is the middle one: no fit is worse than none
    best = int(np.argmin([loss(step) for step in steps]))
    bracket = steps[max(best - 1, 0)], steps[min(best + 1, len(steps) - 1)]
    found = minimize_scalar(loss, bounds=bracket, method="bounded", options={"xatol": 1e-4}).x
    at = min(found, steps[best], key=loss)
    temperature = float(np.exp(at))
    below, there, above = (losses(at + step) for step in (-_STEP, 0.0, _STEP))
    return Temperature(temperature, _find_error(temperature, below, there, above), before, loss(at), len(votes))


def _find_error(temperature: float, below: FloatArray, there: FloatArray, above: FloatArray) -> float | None:
    """Standard error of a fitted temperature, from each galaxy's loss at three temperatures, one `_STEP` apart.

    Galaxies need not follow the model for it to hold (the sandwich estimator).
    """
    slopes = (above - below) / (2 * _STEP)
    curvature = (below - 2 * there + above).mean() / _STEP**2
    is_minimum = below.mean() > there.mean() < above.mean()
    return float(temperature * slopes.std() / np.sqrt(len(slopes)) / curvature) if is_minimum else None


def _refuse_predictions(made: Predictions, where: str | Path, folder: ModelFolder, checksum: str) -> None:
    if made.model["weights_sha256"] != checksum:
        raise PredictionError(
            f"The predictions in '{where}' are not those of the model in '{folder.path}' alone. Predict its validation "
            "galaxies with it."
        )
    if "calibration" in made.model:
        raise PredictionError(
            f"The predictions in '{where}' were made with temperatures already. Predict the validation galaxies with "
            "--no-calibrated."
        )
    if not (made.table[SPLIT_COLUMN] == "validation").any():
        raise PredictionError(
            f"None of the {len(made.table):,} galaxies in '{where}' is a validation galaxy of the model. Predict the "
            "catalog that it was trained on."
        )


def _write(path: Path, record: dict[str, Any]) -> Path:
    try:
        write_atomically(path, json.dumps(record, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror or error}.") from error
    return path

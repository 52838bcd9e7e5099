"""How good predictions are: the loss of each question and the error of vote fractions, against constant baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import EvaluateSettings
from zoobot.errors import PredictionError
from zoobot.shared import dirichlet
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.dirichlet import ConstantBaseline
from zoobot.shared.predictions import SPLIT_COLUMN, Predictions, read_predictions
from zoobot.shared.schemas import Schema, load_schema

FloatArray = npt.NDArray[np.float64]

MODEL = "model"
FREE_BASELINE = "free constant baseline"
PUBLISHED_BASELINE = "constant baseline in the published range"

HELD_OUT = "held out"
SEEN = "seen in training"
NOT_RECORDED = "split not recorded"


def fit_baselines(votes: npt.ArrayLike, schema: Schema) -> dict[str, ConstantBaseline]:
    """Both constant baselines, fitted to votes `(galaxy, answer)`: any positive concentrations, and 1 to 101."""
    groups = schema.question_index_groups
    return {
        FREE_BASELINE: dirichlet.fit_constant(votes, groups),
        PUBLISHED_BASELINE: dirichlet.fit_constant(votes, groups, dirichlet.PUBLISHED_BOUNDS),
    }


def question_losses(votes: npt.ArrayLike, concentrations: npt.ArrayLike, schema: Schema) -> FloatArray:
    """Negative log-likelihood of votes `(galaxy, answer)`: `(galaxy, question)`.

    Concentrations are `(galaxy, answer)`, or `(galaxy, answer, sample)`: then the likelihood is the mean over samples.
    """
    samples = np.atleast_3d(np.asarray(concentrations, float))
    log_likelihoods = [
        dirichlet.multiquestion_log_likelihood(votes, samples[..., sample], schema.question_index_groups)
        for sample in range(samples.shape[2])
    ]
    mean_likelihood: FloatArray = np.logaddexp.reduce(log_likelihoods, axis=0) - np.log(len(log_likelihoods))
    return -mean_likelihood


def galaxy_losses(votes: npt.ArrayLike, concentrations: npt.ArrayLike, schema: Schema) -> FloatArray:
    """The loss of each galaxy, `(galaxy,)`: the sum over questions."""
    losses: FloatArray = question_losses(votes, concentrations, schema).sum(axis=1)
    return losses


def fraction_errors(votes: npt.ArrayLike, fractions: npt.ArrayLike, schema: Schema, min_votes: int = 5) -> FloatArray:
    """Absolute error of vote fractions, the mean over a question's answers: `(galaxy, question)`.

    NaN where a galaxy has fewer than `min_votes` votes for the question.
    """
    groups = schema.question_index_groups
    errors = np.abs(dirichlet.vote_fractions(votes, groups) - np.asarray(fractions))
    n_answers = np.array([last - first + 1 for first, last in groups])
    means: FloatArray = dirichlet.sum_by_question(np.nan_to_num(errors), groups) / n_answers
    return np.where(dirichlet.sum_by_question(votes, groups) >= min_votes, means, np.nan)


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error; NaN where galaxies are too few."""

    value: float
    error: float

    def __str__(self) -> str:
        value, error = ("–" if np.isnan(number) else f"{number:.3f}" for number in (self.value, self.error))
        return f"{value} ± {error}"

    def to_dict(self) -> dict[str, float | None]:
        numbers = {"value": self.value, "standard_error": self.error}
        return {name: None if np.isnan(number) else number for name, number in numbers.items()}


@dataclass(frozen=True)
class Scores:
    """The scores of one set of galaxies, for the model and each baseline.

    Args:
        n_galaxies: galaxies scored.
        loss: name -> loss per galaxy, the sum over questions; standard error over galaxies.
        gain: baseline -> its loss minus the model's, paired by galaxy.
        error: name -> mean absolute error of vote fractions, the mean over questions; bootstrap over galaxies.
        questions: one row per question: galaxies with votes, loss and error of the model and each baseline.
    """

    n_galaxies: int
    loss: dict[str, Estimate]
    gain: dict[str, Estimate]
    error: dict[str, Estimate]
    questions: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        def plain(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
            return {name: estimate.to_dict() for name, estimate in estimates.items()}

        return {
            "galaxies": self.n_galaxies,
            "loss_per_galaxy": plain(self.loss),
            "gain_over": plain(self.gain),
            "vote_fraction_error": plain(self.error),
            "questions": self.questions.replace({np.nan: None}).to_dict(orient="records"),
        }


@dataclass(frozen=True)
class Evaluation:
    """Predictions compared with votes.

    Args:
        scores: kind of galaxies (held out, seen in training) -> their scores; those seen in training come last.
        catalog: the scored galaxies, with votes.
        fractions: `(galaxy, answer)`, the predicted vote fractions of those galaxies.
        kinds: `(galaxy,)`, the kind of each.
        counts: how many galaxies were left out, and why.
        n_unknown: how many of the held-out galaxies were not in the model's own catalog at all.
        model: the description of the model.
    """

    scores: dict[str, Scores]
    catalog: Catalog
    schema: Schema
    fractions: FloatArray
    kinds: npt.NDArray[np.str_]
    counts: dict[str, int]
    n_unknown: int
    model: dict[str, Any]
    settings: EvaluateSettings

    def to_dict(self) -> dict[str, Any]:
        return {
            "scores": {kind: scores.to_dict() for kind, scores in self.scores.items()},
            "left_out": self.counts,
            "held_out_but_not_in_the_training_catalog": self.n_unknown,
            "weights_sha256": self.model["weights_sha256"],
        }

    def __str__(self) -> str:
        lines = []
        for kind, scores in self.scores.items():
            lines.append(f"{scores.n_galaxies:,} galaxies, {kind} (value ± standard error)")
            for name, loss in scores.loss.items():
                gain = scores.gain.get(name)
                against = f"   model better by {gain}" if gain else ""
                lines.append(f"  loss per galaxy, {name}: {loss}{against}")
            for name, error in scores.error.items():
                lines.append(f"  mean absolute error of vote fractions, {name}: {error}")
        if self.n_unknown:
            lines.append(
                f"of the held-out galaxies, {self.n_unknown:,} were not in the model's training catalog at all"
            )
        lines += [f"left out: {count:,} galaxies {reason}" for reason, count in self.counts.items() if count]
        return "\n".join(lines)


def evaluate(
    predictions: str | Path | Predictions,
    catalog: str | Path | pd.DataFrame,
    settings: EvaluateSettings | None = None,
    *,
    schema: str | Path | Schema | None = None,
) -> Evaluation:
    """Score predictions against votes, by default only of galaxies that the model never saw.

    Args:
        predictions: a folder that `zoobot predict` wrote, or what `read_predictions` returned.
        catalog: a table with votes; galaxies are joined by `id_str`.
        schema: given, it must be the schema of the predictions.

    Raises:
        PredictionError: no galaxy in common, or none that the model never saw.
        CatalogError: the catalog does not fit the schema of the predictions.
    """
    settings = settings or EvaluateSettings()
    if not isinstance(predictions, Predictions):
        predictions = read_predictions(predictions)
    if schema is not None and load_schema(schema) != predictions.schema:
        raise PredictionError(
            f"The predictions are for the tree '{predictions.schema.name}', which is not the schema asked for. "
            "Leave --schema out."
        )
    votes_catalog = load_catalog(catalog, predictions.schema, settings)
    rows, predicted_rows = _join(votes_catalog, predictions)
    splits = predictions.table[SPLIT_COLUMN].to_numpy(dtype=object)[predicted_rows]
    kinds = _find_kinds(splits, predictions)
    chosen = np.isin(kinds, [HELD_OUT, NOT_RECORDED]) | settings.include_seen
    if not chosen.any():
        raise PredictionError(
            f"The model was trained on all {len(kinds):,} galaxies that have both predictions and votes. Evaluate "
            "on others, or score these too with --include-seen."
        )
    scored = votes_catalog.rows(rows[chosen])
    concentrations = predictions.concentrations[predicted_rows[chosen]]
    kinds_scored = kinds[chosen]
    baselines = predictions.model["metrics"]["baselines"]
    scores = {
        kind: _score(scored.votes[here], concentrations[here], baselines, predictions.schema, settings)
        for kind in (HELD_OUT, NOT_RECORDED, SEEN)
        for here in [kinds_scored == kind]
        if here.any()
    }
    counts = {
        "seen in training or used to choose the best epoch (--include-seen scores them)": int((~chosen).sum()),
        "of the catalog without predictions": len(votes_catalog) - len(rows),
        "with predictions but not in the catalog, or with too few votes there": len(predictions.table) - len(rows),
    }
    fractions = predictions.vote_fractions[predicted_rows[chosen]]
    n_unknown = int(((kinds == HELD_OUT) & (splits == "")).sum())
    return Evaluation(
        scores, scored, predictions.schema, fractions, kinds_scored, counts, n_unknown, predictions.model, settings
    )


def _join(catalog: Catalog, predictions: Predictions) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows of the catalog and of the predictions that belong to the same galaxies."""
    row_of = {galaxy: row for row, galaxy in enumerate(predictions.id_str)}
    pairs = [(row, row_of[galaxy]) for row, galaxy in enumerate(catalog.id_str) if galaxy in row_of]
    if not pairs:
        raise PredictionError(
            f"The predictions and the catalog {catalog.source} have no id_str in common (such as "
            f"'{predictions.id_str[0]}' and '{catalog.id_str[0]}')."
        )
    rows, predicted_rows = np.array(pairs).T
    return rows, predicted_rows


def _find_kinds(splits: npt.NDArray[np.object_], predictions: Predictions) -> npt.NDArray[np.str_]:
    if not predictions.model["config"]["split"]["galaxies"]:
        return np.full(len(splits), NOT_RECORDED)
    return np.where(np.isin(splits, ["train", "validation"]), SEEN, HELD_OUT)


def _score(
    votes: FloatArray,
    concentrations: npt.NDArray[np.float32],
    baselines: Mapping[str, list[float]],
    schema: Schema,
    settings: EvaluateSettings,
) -> Scores:
    groups = schema.question_index_groups
    candidates = {MODEL: np.asarray(concentrations, float)} | {
        name: np.broadcast_to(np.array(constant)[None, :, None], (len(votes), len(constant), 1))
        for name, constant in baselines.items()
    }
    losses = {name: question_losses(votes, a, schema) for name, a in candidates.items()}
    errors = {
        name: fraction_errors(votes, dirichlet.mean(a, groups).mean(axis=2), schema, settings.votes_for_fractions)
        for name, a in candidates.items()
    }
    asked = dirichlet.sum_by_question(votes, groups)
    questions = pd.DataFrame({"question": [question.text for question in schema.questions]})
    questions["galaxies with votes"] = (asked > 0).sum(axis=0)
    questions[f"galaxies with {settings.votes_for_fractions} votes"] = (asked >= settings.votes_for_fractions).sum(0)
    for name in candidates:
        questions[f"loss, {name}"] = losses[name].mean(axis=0)
        questions[f"error, {name}"] = _nanmean(errors[name], axis=0)
    totals = {name: loss.sum(axis=1) for name, loss in losses.items()}
    rng = np.random.default_rng(settings.seed)
    return Scores(
        n_galaxies=len(votes),
        loss={name: _mean_of(total) for name, total in totals.items()},
        gain={name: _mean_of(total - totals[MODEL]) for name, total in totals.items() if name != MODEL},
        error={name: _mean_over_questions(error, rng) for name, error in errors.items()},
        questions=questions,
    )


def _mean_of(values: FloatArray) -> Estimate:
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return Estimate(float(values.mean()), float(error))


def _mean_over_questions(errors: FloatArray, rng: np.random.Generator, resamples: int = 200) -> Estimate:
    """Mean over galaxies, then over the questions that have any, with a bootstrap over galaxies."""
    n_galaxies = len(errors)
    known = (~np.isnan(errors)).astype(float)
    filled = np.nan_to_num(errors)

    def average(repeats: npt.NDArray[Any]) -> float:
        counts = repeats @ known
        means = (repeats @ filled)[counts > 0] / counts[counts > 0]
        return float(means.mean()) if len(means) else np.nan

    drawn = (np.bincount(rng.integers(n_galaxies, size=n_galaxies), minlength=n_galaxies) for _ in range(resamples))
    resampled = np.array([average(repeats.astype(float)) for repeats in drawn])
    resampled = resampled[~np.isnan(resampled)]
    error = resampled.std() if n_galaxies > 1 and len(resampled) else np.nan
    return Estimate(average(np.ones(n_galaxies)), float(error))


def _nanmean(values: FloatArray, axis: int) -> FloatArray:
    """Mean of what is not NaN; NaN, without a warning, where nothing is."""
    known = ~np.isnan(values)
    totals, counts = np.where(known, values, 0).sum(axis=axis), known.sum(axis=axis)
    means: FloatArray = np.divide(totals, counts, out=np.full(np.shape(totals), np.nan), where=counts > 0)
    return means

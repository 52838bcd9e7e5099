"""The scores of one set of galaxies, with their uncertainties.

Skill is the share of what could be learned that was: 0 for the best constant prediction, 1 for the saturated bound,
where every galaxy's own vote fractions are predicted with certainty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import EvaluateSettings
from zoobot.shared import dirichlet
from zoobot.shared.bootstrap import interval, resampled_means, standard_error
from zoobot.shared.calibration import Calibration, calibrate
from zoobot.shared.classification import Classification, classify
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.schemas import Schema
from zoobot.shared.searches import Searches, search_all
from zoobot.shared.volunteer_noise import Panels, compare_with_panels, noise_floor
from zoobot.shared.vote_scores import (
    FREE_BASELINE,
    MODEL,
    SATURATED,
    fit_baselines,
    fraction_residuals,
    known_means,
    mean_of_answers,
    question_losses,
    saturated_losses,
)


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
class Evidence:
    """What is known of each galaxy that was scored: every score is a mean of some of this.

    Args:
        losses: name (model, baselines, saturated bound) -> `(galaxy, question)`.
        residuals: name -> `(galaxy, answer)` float32, predicted less observed vote fraction; NaN with few votes.
    """

    losses: dict[str, FloatArray]
    residuals: dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Scores:
    """The scores of one set of galaxies, for the model and each baseline.

    Args:
        n_galaxies: galaxies scored.
        loss: name -> loss per galaxy, the sum over questions; standard error over galaxies.
        gain: baseline -> its loss minus the model's, paired by galaxy.
        skill: share of the way from the free constant baseline (0) to the saturated bound (1); bootstrap.
        error: name -> mean absolute error of vote fractions, the mean over questions; bootstrap over galaxies.
        questions: one row per question: galaxies with votes, loss and error of the model and each baseline, skill.
        answers: one row per answer: bias, mean absolute error and RMSE with 95 % intervals and noise floors.
        classification, searches: see their modules.
        panels, calibration: see their modules; None for weighted votes, which are no counts.
        evidence: galaxy by galaxy.
    """

    n_galaxies: int
    loss: dict[str, Estimate]
    gain: dict[str, Estimate]
    skill: Estimate
    error: dict[str, Estimate]
    questions: pd.DataFrame
    answers: pd.DataFrame
    classification: Classification
    searches: Searches
    panels: Panels | None
    calibration: Calibration | None
    evidence: Evidence

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table, by the name of its file."""
        tables = {
            "questions": self.questions,
            "vote_fractions": self.answers,
            "classification": self.classification.table,
            "searches": self.searches.table,
        }
        if self.calibration is not None and self.panels is not None:
            tables |= {"calibration": self.calibration.table, "reliability": self.calibration.reliability}
            tables |= {"worth_in_volunteers": self.panels.table}
        return tables

    def to_dict(self) -> dict[str, Any]:
        def plain(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
            return {name: estimate.to_dict() for name, estimate in estimates.items()}

        confusions: dict[str, dict[str, Any]] = {}
        for (question, galaxies), confusion in self.classification.confusions.items():
            confusions.setdefault(question, {})[galaxies] = confusion.tolist()
        return {
            "galaxies": self.n_galaxies,
            "loss_per_galaxy": plain(self.loss),
            "gain_over": plain(self.gain),
            "skill": self.skill.to_dict(),
            "vote_fraction_error": plain(self.error),
            "confusion_matrices": confusions,
            **{name: plain_rows(table) for name, table in self.tables.items()},
        }


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table for JSON: None where a number is unknown."""
    return table.astype(object).where(table.notna(), None).to_dict(orient="records")  # type: ignore[return-value]


def score(
    votes: FloatArray,
    concentrations: npt.NDArray[np.float32],
    fractions: FloatArray,
    baselines: Mapping[str, list[float]],
    schema: Schema,
    settings: EvaluateSettings,
) -> Scores:
    """The scores of some galaxies.

    Args:
        votes, fractions: `(galaxy, answer)`, observed and expected.
        concentrations: `(galaxy, answer, sample)`.
        baselines: name -> constant concentrations `(answer,)`; none for a model that was trained on data of the user's
            own making, and then those that fit these very votes.
    """
    min_votes = settings.votes_for_fractions
    if not baselines:
        baselines = {name: fit.concentrations.tolist() for name, fit in fit_baselines(votes, schema).items()}
    evidence = _gather(votes, concentrations, fractions, baselines, schema, min_votes)
    means, resampled = _resample(evidence, schema, settings)
    totals = {name: loss.sum(axis=1) for name, loss in evidence.losses.items()}
    are_counts = bool((votes == np.rint(votes)).all())
    return Scores(
        n_galaxies=len(votes),
        loss={name: _mean_of(totals[name]) for name in (MODEL, *baselines, SATURATED)},
        gain={name: _mean_of(totals[name] - totals[MODEL]) for name in baselines},
        skill=Estimate(float(_skill(means)), standard_error(_skill(resampled))),
        error={
            name: Estimate(
                float(_over_questions(means, name, schema)[0]),
                standard_error(_over_questions(resampled, name, schema)),
            )
            for name in (MODEL, *baselines)
        },
        questions=_tabulate_questions(votes, evidence, means, resampled, schema, min_votes),
        answers=_tabulate_answers(votes, evidence, means, resampled, schema, settings),
        classification=classify(votes, fractions, schema, min_votes),
        searches=search_all(votes, fractions, schema, min_votes),
        panels=compare_with_panels(votes, fractions, schema, settings.seed) if are_counts else None,
        calibration=calibrate(votes, concentrations, fractions, schema, settings.seed) if are_counts else None,
        evidence=evidence,
    )


def _gather(
    votes: FloatArray,
    concentrations: npt.NDArray[np.float32],
    fractions: FloatArray,
    baselines: Mapping[str, list[float]],
    schema: Schema,
    min_votes: int,
) -> Evidence:
    losses = {MODEL: question_losses(votes, concentrations, schema)}
    residuals = {MODEL: fraction_residuals(votes, fractions, schema, min_votes).astype(np.float32)}
    for name, constant in baselines.items():
        same = np.broadcast_to(np.array(constant), votes.shape)
        losses[name] = question_losses(votes, same, schema)
        expected = dirichlet.mean(np.array([constant]), schema.question_index_groups)
        residuals[name] = fraction_residuals(votes, expected, schema, min_votes).astype(np.float32)
    losses[SATURATED] = saturated_losses(votes, schema)
    return Evidence(losses, residuals)


def _absolute(residuals: npt.NDArray[np.float32], rows: slice) -> FloatArray:
    return np.abs(residuals[rows]).astype(float)


Means = dict[tuple[str, str], FloatArray]
"""(what, of whom) -> means over galaxies, `(..., question or answer)`."""


def _resample(evidence: Evidence, schema: Schema, settings: EvaluateSettings) -> tuple[Means, Means]:
    """Every mean that scores are made of, and the same of resampled galaxies, with paired weights."""
    columns: dict[tuple[str, str], Callable[[slice], FloatArray]] = {}
    for name, losses in evidence.losses.items():
        columns["loss", name] = losses.__getitem__
    for name, residuals in evidence.residuals.items():
        columns["absolute", name] = partial(_absolute, residuals)
    of_model = evidence.residuals[MODEL]
    columns["bias", MODEL] = of_model.__getitem__  # type: ignore[assignment]
    columns["square", MODEL] = lambda rows: np.square(of_model[rows], dtype=float)
    n_galaxies = len(of_model)
    means, resampled = resampled_means(
        lambda rows: np.hstack([column(rows) for column in columns.values()]),
        n_galaxies,
        settings.seed,
        settings.resamples,
    )
    n_questions, n_answers = len(schema.questions), len(schema.answers)
    edges = np.cumsum([n_questions if what == "loss" else n_answers for what, _ in columns])[:-1]
    parts = zip(columns, np.split(means[np.newaxis], edges, axis=1), np.split(resampled, edges, axis=1), strict=True)
    of_all, of_resamples = {}, {}
    for key, mean, again in parts:
        of_all[key], of_resamples[key] = mean, again
    return of_all, of_resamples


def _skill(means: Means, question: int | None = None) -> FloatArray:
    """`(baseline - model) / (baseline - saturated)`; NaN where there was nothing to learn."""
    model, baseline, bound = (
        means["loss", name].sum(axis=1) if question is None else means["loss", name][:, question]
        for name in (MODEL, FREE_BASELINE, SATURATED)
    )
    skill: FloatArray = np.divide(
        baseline - model, baseline - bound, out=np.full(len(model), np.nan), where=baseline > bound
    )
    return skill if len(skill) > 1 else skill[0]


def _over_questions(means: Means, name: str, schema: Schema) -> FloatArray:
    """Mean absolute error, the mean over the questions that have any, `(resample,)`."""
    return known_means(mean_of_answers(means["absolute", name], schema))


def _tabulate_questions(
    votes: FloatArray, evidence: Evidence, means: Means, resampled: Means, schema: Schema, min_votes: int
) -> pd.DataFrame:
    asked = dirichlet.sum_by_question(votes, schema.question_index_groups)
    table = pd.DataFrame({"question": [question.text for question in schema.questions]})
    table["galaxies with votes"] = (asked > 0).sum(axis=0)
    table[f"galaxies with {min_votes} votes"] = (asked >= min_votes).sum(axis=0)
    for name in evidence.residuals:
        table[f"loss, {name}"] = means["loss", name][0]
        table[f"error, {name}"] = mean_of_answers(means["absolute", name], schema)[0]
    table[f"loss, {SATURATED}"] = means["loss", SATURATED][0]
    table["skill"] = [float(_skill(means, question)) for question in range(len(table))]
    bounds = [interval(np.atleast_1d(_skill(resampled, question))) for question in range(len(table))]
    table[["skill, low", "skill, high"]] = np.array(bounds)
    return table


def _tabulate_answers(
    votes: FloatArray,
    evidence: Evidence,
    means: Means,
    resampled: Means,
    schema: Schema,
    settings: EvaluateSettings,
) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "question": [answer.question.text for answer in schema.answers],
            "answer": [answer.short_text for answer in schema.answers],
            "galaxies": (~np.isnan(evidence.residuals[MODEL])).sum(axis=0),
        }
    )
    measures: dict[str, Callable[[Means], FloatArray]] = {
        "bias": lambda of: of["bias", MODEL],
        "MAE": lambda of: of["absolute", MODEL],
        "RMSE": lambda of: np.sqrt(of["square", MODEL]),
    }
    for name, measure in measures.items():
        table[name] = measure(means)[0]
        table[[f"{name}, low", f"{name}, high"]] = np.array([interval(column) for column in measure(resampled).T])
    return pd.concat([table, noise_floor(votes, schema, settings.votes_for_fractions, settings.seed)], axis=1)


def _mean_of(values: FloatArray) -> Estimate:
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return Estimate(float(values.mean()), float(error))

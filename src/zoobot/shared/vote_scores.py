"""Votes against predictions, galaxy by galaxy: the loss of each question and the error of each vote fraction.

Constant baselines and the saturated bound are what the loss of a model lies between.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlogy

from zoobot.shared import dirichlet
from zoobot.shared.dirichlet import ConstantBaseline, FloatArray
from zoobot.shared.row_chunks import in_chunks
from zoobot.shared.schemas import Schema

MODEL = "model"
FREE_BASELINE = "free constant baseline"
PUBLISHED_BASELINE = "constant baseline in the published range"
SATURATED = "saturated bound"
_CHUNK = 4096


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
    counts, samples = np.asarray(votes, float), np.atleast_3d(np.asarray(concentrations))

    def work(rows: slice) -> FloatArray:
        log_likelihoods = [
            dirichlet.multiquestion_log_likelihood(counts[rows], sample, schema.question_index_groups)
            for sample in np.moveaxis(samples[rows].astype(float), 2, 0)
        ]
        mean_likelihood: FloatArray = np.logaddexp.reduce(log_likelihoods, axis=0) - np.log(len(log_likelihoods))
        return -mean_likelihood

    return np.concatenate(in_chunks(work, len(counts), _CHUNK))


def galaxy_losses(votes: npt.ArrayLike, concentrations: npt.ArrayLike, schema: Schema) -> FloatArray:
    """The loss of each galaxy, `(galaxy,)`: the sum over questions."""
    losses: FloatArray = question_losses(votes, concentrations, schema).sum(axis=1)
    return losses


def saturated_losses(votes: npt.ArrayLike, schema: Schema) -> FloatArray:
    """The smallest loss that any concentrations can have, `(galaxy, question)`: that of the observed fractions."""
    k, groups = np.asarray(votes, float), schema.question_index_groups
    n = dirichlet.sum_by_question(k, groups)
    per_answer = dirichlet.sum_by_question(xlogy(k, k) - gammaln(k + 1), groups)
    losses: FloatArray = -(gammaln(n + 1) + per_answer - xlogy(n, n))
    return losses


def fraction_residuals(votes: npt.ArrayLike, fractions: npt.ArrayLike, schema: Schema, min_votes: int) -> FloatArray:
    """Predicted less observed vote fractions, `(galaxy, answer)`; NaN where a question has fewer than `min_votes`."""
    groups = schema.question_index_groups
    enough = dirichlet.sum_by_question(votes, groups) >= min_votes
    residuals = np.asarray(fractions) - dirichlet.vote_fractions(votes, groups)
    return np.where(dirichlet.spread_over_answers(enough, groups), residuals, np.nan)


def fraction_errors(votes: npt.ArrayLike, fractions: npt.ArrayLike, schema: Schema, min_votes: int = 5) -> FloatArray:
    """Absolute error of vote fractions, the mean over a question's answers: `(galaxy, question)`.

    NaN where a galaxy has fewer than `min_votes` votes for the question.
    """
    return mean_of_answers(np.abs(fraction_residuals(votes, fractions, schema, min_votes)), schema)


def mean_of_answers(values: FloatArray, schema: Schema) -> FloatArray:
    """The mean over each question's answers: `(..., answer)` to `(..., question)`."""
    groups = schema.question_index_groups
    means: FloatArray = dirichlet.sum_by_question(values, groups) / [last - first + 1 for first, last in groups]
    return means


def known_means(values: FloatArray) -> FloatArray:
    """The mean of each row over what is not NaN; NaN, without a warning, where nothing is."""
    known = ~np.isnan(values)
    totals, counts = np.where(known, values, 0).sum(axis=1), known.sum(axis=1)
    means: FloatArray = np.divide(totals, counts, out=np.full(len(values), np.nan), where=counts > 0)
    return means

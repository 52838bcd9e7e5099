"""The statistics of votes, in numpy: the truth that every framework's loss is held to.

A galaxy's volunteers answer a question with votes `k_1 ... k_m`, `n` in all. Given concentrations `a_1 ... a_m`,
with sum `A`, the votes are Dirichlet-multinomial (Walmsley et al. 2022, MNRAS 509, 3966, section 4.1):

    log p(k | n, a) = lgamma(n+1) + lgamma(A) - lgamma(n+A) + sum_i [lgamma(k_i+a_i) - lgamma(a_i) - lgamma(k_i+1)]

Ten of twenty votes are a firmer label than one of two: both have the same vote fraction, but the first is far less
likely under concentrations that are off. Fractional (weighted) votes are allowed throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

FloatArray = npt.NDArray[np.float64]
PUBLISHED_BOUNDS = (1.0, 101.0)
"""Range of the concentrations of the published models (Walmsley et al. 2022): 100 * sigmoid + 1."""


def log_likelihood(votes: npt.ArrayLike, concentrations: npt.ArrayLike) -> FloatArray:
    """Dirichlet-multinomial log-likelihood of one question's votes.

    Args:
        votes: `(..., answer)`, at least 0.
        concentrations: `(..., answer)`, positive.

    Returns:
        `(...)`, exactly 0 where there are no votes.
    """
    k, a = np.broadcast_arrays(np.asarray(votes, float), np.asarray(concentrations, float))
    return multiquestion_log_likelihood(
        k.reshape(-1, k.shape[-1]), a.reshape(-1, a.shape[-1]), [(0, k.shape[-1] - 1)]
    ).reshape(k.shape[:-1])


def multiquestion_log_likelihood(
    votes: npt.ArrayLike, concentrations: npt.ArrayLike, question_index_groups: Sequence[tuple[int, int]]
) -> FloatArray:
    """Dirichlet-multinomial log-likelihood of every question at once.

    Args:
        votes: `(galaxy, answer)`, at least 0.
        concentrations: `(galaxy, answer)`, positive.
        question_index_groups: first and last column of each question, both included, side by side.

    Returns:
        `(galaxy, question)`, exactly 0 where a galaxy has no votes for a question.
    """
    k, a = np.broadcast_arrays(np.asarray(votes, float), np.asarray(concentrations, float))
    n, total = sum_by_question(k, question_index_groups), sum_by_question(a, question_index_groups)
    per_answer = gammaln(k + a) - gammaln(a) - gammaln(k + 1)
    per_question: FloatArray = (
        gammaln(n + 1) + gammaln(total) - gammaln(n + total) + sum_by_question(per_answer, question_index_groups)
    )
    return per_question


def sum_by_question(values: npt.ArrayLike, question_index_groups: Sequence[tuple[int, int]]) -> npt.NDArray[Any]:
    """Sum `(galaxy, answer, ...)` over each question's answers: `(galaxy, question, ...)`."""
    first_columns = [first for first, _ in question_index_groups]
    summed: npt.NDArray[Any] = np.add.reduceat(np.asarray(values), first_columns, axis=1)
    return summed


def spread_over_answers(values: npt.ArrayLike, question_index_groups: Sequence[tuple[int, int]]) -> npt.NDArray[Any]:
    """Repeat `(galaxy, question, ...)` for each of a question's answers: `(galaxy, answer, ...)`."""
    return np.repeat(np.asarray(values), [last - first + 1 for first, last in question_index_groups], axis=1)


def vote_fractions(votes: npt.ArrayLike, question_index_groups: Sequence[tuple[int, int]]) -> FloatArray:
    """Votes `(galaxy, answer, ...)` as fractions of their question's votes; NaN where it has none."""
    counts = np.asarray(votes, float)
    totals = spread_over_answers(sum_by_question(counts, question_index_groups), question_index_groups)
    fractions: FloatArray = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    return fractions


def mean(concentrations: npt.ArrayLike, question_index_groups: Sequence[tuple[int, int]]) -> FloatArray:
    """Expected vote fraction of each answer, `a_i / A`.

    Args:
        concentrations: `(galaxy, answer)` or `(galaxy, answer, sample)`, positive.

    Returns:
        The same shape, 0 to 1; a question's answers sum to 1.
    """
    a = np.asarray(concentrations, float)
    totals = sum_by_question(a, question_index_groups)
    return np.asarray(a / spread_over_answers(totals, question_index_groups), float)


def variance(
    concentrations: npt.ArrayLike,
    question_index_groups: Sequence[tuple[int, int]],
    total_votes: npt.ArrayLike = np.inf,
) -> FloatArray:
    """Variance of the vote fraction of each answer.

    With `m = a/A`, the fraction among infinitely many volunteers (Dirichlet) has variance `m (1-m) / (A+1)`; the
    fraction among `n` volunteers (Dirichlet-multinomial) `m (1-m) (A+n) / (n (A+1))`.

    Args:
        concentrations: `(galaxy, answer)` or `(galaxy, answer, sample)`, positive.
        total_votes: number of volunteers `n`, a scalar or `(galaxy, question, ...)`; infinitely many by default.
    """
    a = np.asarray(concentrations, float)
    totals = sum_by_question(a, question_index_groups)
    inverse_n = 1 / np.broadcast_to(np.asarray(total_votes, float), totals.shape)
    scale = spread_over_answers((1 + totals * inverse_n) / (totals + 1), question_index_groups)
    m = mean(a, question_index_groups)
    variances: FloatArray = m * (1 - m) * scale
    return variances


@dataclass(frozen=True)
class ConstantBaseline:
    """The best that can be said of any galaxy without looking at it: one set of concentrations for all.

    `concentrations` is `(answer,)`. A model must predict held-out votes clearly better than this.
    """

    concentrations: FloatArray
    bounds: tuple[float, float] | None


def fit_constant(
    votes: npt.ArrayLike,
    question_index_groups: Sequence[tuple[int, int]],
    bounds: tuple[float, float] | None = None,
) -> ConstantBaseline:
    """Concentrations, the same for every galaxy, that make these votes most likely.

    Args:
        votes: `(galaxy, answer)`, at least 0.
        bounds: lowest and highest concentration allowed; any positive one (1e-4 to 1e5) by default.

    A question without votes gets concentrations of 1, clipped to the bounds.
    """
    counts = np.asarray(votes, float)
    low, high = bounds or (1e-4, 1e5)
    fitted = [_fit_question(counts[:, first : last + 1], low, high) for first, last in question_index_groups]
    return ConstantBaseline(np.concatenate(fitted), bounds)


def _fit_question(votes: FloatArray, low: float, high: float) -> FloatArray:
    k, repeats = np.unique(votes[votes.sum(axis=1) > 0], axis=0, return_counts=True)
    if not len(k):
        return np.clip(np.ones(votes.shape[1]), low, high)
    n = k.sum(axis=1)
    weight = repeats / repeats.sum()

    def loss_and_gradient(log_a: FloatArray) -> tuple[float, FloatArray]:
        a = np.exp(log_a)
        loss = -weight @ log_likelihood(k, a)
        slope = digamma(a.sum()) - digamma(n + a.sum())
        gradient = -weight @ (slope[:, None] + digamma(k + a) - digamma(a))
        return float(loss), gradient * a

    fractions = weight @ (k / n[:, None])
    start = np.log(np.clip(2 * fractions + 0.01, low, high))
    fit = minimize(
        loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=[(np.log(low), np.log(high))] * len(start)
    )
    return np.asarray(np.exp(fit.x), float)

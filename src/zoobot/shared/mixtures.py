"""What concentrations say about vote fractions and votes, as a mixture over samples and models.

Each sample of a galaxy's concentrations says that the fraction of volunteers who give answer `i` is
`Beta(a_i, A - a_i)`, with `A` the sum over the question's answers (the marginal of a Dirichlet distribution). Several
samples, of dropout, augmentation or models, are equally likely: the fraction's distribution is their mixture.

Concentrations are `(galaxy, answer, sample)` throughout; fractions are among the volunteers who are asked the question.
Long tables are worked on in chunks, in as many threads as there are cores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincc, betaincinv, betaln, expit, gammaln, logit, xlog1py, xlogy

from zoobot.errors import SettingError
from zoobot.shared import dirichlet
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.row_chunks import in_chunks
from zoobot.shared.schemas import Schema

Groups = Sequence[tuple[int, int]]

_CHUNK = 2_000
_TOLERANCE = 1e-6
"""Of a quantile's logit: relative to the quantile, or to what it lacks of 1."""


def mean(concentrations: npt.ArrayLike, question_index_groups: Groups) -> FloatArray:
    """Expected vote fractions, `(galaxy, answer)`."""
    fractions: FloatArray = dirichlet.mean(_samples(concentrations), question_index_groups).mean(axis=2)
    return fractions


def variance(
    concentrations: npt.ArrayLike, question_index_groups: Groups, total_votes: npt.ArrayLike = np.inf
) -> FloatArray:
    """Variance of the vote fraction, `(galaxy, answer)`: the samples' mean variance, and the variance of their means.

    Args:
        total_votes: number of volunteers, a scalar or `(galaxy, question)`; infinitely many by default.
    """
    samples = _samples(concentrations)
    n = np.asarray(total_votes, float)
    within = dirichlet.variance(samples, question_index_groups, n[..., np.newaxis] if n.ndim else n)
    spread: FloatArray = within.mean(axis=2) + dirichlet.mean(samples, question_index_groups).var(axis=2)
    return spread


def quantiles(concentrations: npt.ArrayLike, question_index_groups: Groups, probabilities: npt.ArrayLike) -> FloatArray:
    """Quantiles of the vote fraction under the mixture, `(galaxy, answer, probability)`.

    The fraction below which the mixture's own distribution holds that probability, to one part in a million. With one
    sample, the quantiles of a Beta distribution.

    Args:
        probabilities: such as `(0.05, 0.95)` for a 90 % interval; above 0 and below 1.
    """
    wanted = _check_probabilities(probabilities)

    def of_chunk(a: FloatArray, b: FloatArray) -> FloatArray:
        if a.shape[2] == 1:
            return betaincinv(a, b, wanted)  # type: ignore[no-any-return]
        return np.stack([_solve_mixture(a, b, probability) for probability in wanted], axis=2)

    return _in_chunks(concentrations, question_index_groups, of_chunk, len(wanted))


def median_of_sample_quantiles(
    concentrations: npt.ArrayLike, question_index_groups: Groups, probabilities: npt.ArrayLike
) -> FloatArray:
    """The median over samples of each sample's own quantile, `(galaxy, answer, probability)`.

    What published catalogs give. It leaves out that samples disagree: such intervals are too narrow. See `quantiles`.
    """
    wanted = _check_probabilities(probabilities)

    def of_chunk(a: FloatArray, b: FloatArray) -> FloatArray:
        return np.stack([np.median(betaincinv(a, b, probability), axis=2) for probability in wanted], axis=2)

    return _in_chunks(concentrations, question_index_groups, of_chunk, len(wanted))


def probability_at_least(concentrations: npt.ArrayLike, question_index_groups: Groups, fraction: float) -> FloatArray:
    """Probability that at least this fraction of (infinitely many) volunteers give the answer, `(galaxy, answer)`."""
    if not 0 <= fraction <= 1:
        raise SettingError(f"The 'fraction' parameter must be from 0 to 1. Got {fraction} instead.")
    return _in_chunks(
        concentrations, question_index_groups, lambda a, b: betaincc(a, b, fraction).mean(axis=2, keepdims=True), 1
    )[:, :, 0]


def vote_probabilities(concentrations: npt.ArrayLike, question_index_groups: Groups, total_votes: int) -> FloatArray:
    """Probability that 0, 1 ... `total_votes` of so many volunteers give the answer: `(galaxy, answer, votes)`.

    Beta-binomial for each sample, `C(n, k) B(k + a, n - k + b) / B(a, b)`, and their mixture.
    """
    if total_votes < 0:
        raise SettingError(f"The 'total_votes' parameter must be 0 or more. Got {total_votes} instead.")
    votes = np.arange(total_votes + 1)
    ways = gammaln(total_votes + 1) - gammaln(votes + 1) - gammaln(total_votes - votes + 1)

    def of_chunk(a: FloatArray, b: FloatArray) -> FloatArray:
        a, b = a[..., np.newaxis], b[..., np.newaxis]
        probabilities: FloatArray = np.exp(ways + betaln(votes + a, total_votes - votes + b) - betaln(a, b)).mean(
            axis=2
        )
        return probabilities

    return _in_chunks(concentrations, question_index_groups, of_chunk, total_votes + 1)


def expected_votes(concentrations: npt.ArrayLike, schema: Schema, volunteers: float) -> FloatArray:
    """Votes for each answer if so many volunteers walk the tree from its start, `(galaxy, answer)`.

    The mean over samples of volunteers x proportion asked x fraction.
    """
    fractions = dirichlet.mean(_samples(concentrations), schema.question_index_groups)
    asked = dirichlet.spread_over_answers(schema.proportion_asked(fractions), schema.question_index_groups)
    votes: FloatArray = volunteers * (asked * fractions).mean(axis=2)
    return votes


@dataclass(frozen=True)
class Entropy:
    """How uncertain one volunteer's answer is, in nats, `(galaxy, question)` each.

    Args:
        total: entropy of the expected fractions.
        expected: the samples' mean entropy: volunteers disagree (aleatoric).
        mutual_information: the rest: samples disagree (epistemic; Houlsby et al. 2011, arXiv:1112.5745). 0 with one.
    """

    total: FloatArray
    expected: FloatArray
    mutual_information: FloatArray


def entropy(concentrations: npt.ArrayLike, question_index_groups: Groups) -> Entropy:
    """Entropy of the next volunteer's answer to each question, and what it is made of."""
    fractions = dirichlet.mean(_samples(concentrations), question_index_groups)
    of_mean, of_samples = (
        -dirichlet.sum_by_question(xlogy(values, values), question_index_groups)
        for values in (fractions.mean(axis=2), fractions)
    )
    expected = of_samples.mean(axis=2)
    return Entropy(of_mean, expected, np.maximum(of_mean - expected, 0))


def _samples(concentrations: npt.ArrayLike) -> FloatArray:
    samples = np.asarray(concentrations, float)
    if samples.ndim != 3 or samples.shape[2] == 0:
        raise SettingError(f"Concentrations must be (galaxy, answer, sample). Got the shape {samples.shape} instead.")
    return samples


def _check_probabilities(probabilities: npt.ArrayLike) -> FloatArray:
    wanted = np.atleast_1d(np.asarray(probabilities, float))
    if not ((wanted > 0) & (wanted < 1)).all():
        raise SettingError(f"Probabilities of quantiles must be above 0 and below 1. Got {wanted.tolist()} instead.")
    return wanted


def _in_chunks(
    concentrations: npt.ArrayLike,
    question_index_groups: Groups,
    of_chunk: Callable[[FloatArray, FloatArray], FloatArray],
    n_values: int,
) -> FloatArray:
    """`of_chunk(a, b)` of each answer's Beta parameters, `(galaxy, answer, sample)`, for some galaxies at a time."""
    samples = _samples(concentrations)
    found = np.empty((*samples.shape[:2], n_values))

    def work(rows: slice) -> None:
        a = samples[rows]
        totals = dirichlet.sum_by_question(a, question_index_groups)
        found[rows] = of_chunk(a, dirichlet.spread_over_answers(totals, question_index_groups) - a)

    in_chunks(work, len(samples), _CHUNK)
    return found


def _solve_mixture(a: FloatArray, b: FloatArray, probability: float) -> FloatArray:
    """The quantile of each mixture of Betas over the last axis: Newton's steps inside a bracket that shrinks.

    The bracket begins between the samples' own smallest and largest quantile, where the mixture's must lie. Steps are
    of the quantile's logit: concentrations far below 1 have quantiles like 1e-20.
    """
    own = np.clip(betaincinv(a, b, probability), 1e-300, 1 - 1e-16)
    shape = own.shape[:-1]
    low, high = logit(own.min(axis=-1).ravel()), logit(own.max(axis=-1).ravel())
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    log_beta = betaln(a, b)
    at = (low + high) / 2
    active = np.flatnonzero(high - low > _TOLERANCE)
    while len(active):
        before, some_a, some_b = at[active], a[active], b[active]
        x = expit(before)[:, np.newaxis]
        excess = betainc(some_a, some_b, x).mean(axis=1) - probability
        high[active] = np.where(excess >= 0, before, high[active])
        low[active] = np.where(excess <= 0, before, low[active])
        density = np.exp(xlogy(some_a, x) + xlog1py(some_b, -x) - log_beta[active]).mean(axis=1)
        newton = before - excess / np.maximum(density, 1e-300)
        inside = (newton > low[active]) & (newton < high[active])
        at[active] = np.where(inside, newton, (low[active] + high[active]) / 2)
        is_done = (inside & (np.abs(newton - before) < _TOLERANCE)) | (high[active] - low[active] < _TOLERANCE)
        active = active[~is_done]
    solved: FloatArray = expit(at).reshape(shape)
    return solved

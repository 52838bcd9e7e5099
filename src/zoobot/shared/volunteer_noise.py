"""What votes of so few volunteers can tell: the smallest error that any predictor can have against them, and how many
volunteers a model is worth.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import gammaln, xlog1py, xlogy

from zoobot.shared import dirichlet
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.schemas import Question, Schema

MANY_VOTES = 30
"""Votes for a question from which a galaxy's volunteers are parted into judges and panel."""
PANELS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15)
"""Volunteers of the panels that a model is compared with; at most half of `MANY_VOTES`."""
_MOST_GALAXIES = 20_000
_FEWEST_GALAXIES = 20


def binomial_deviation(fraction: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Mean absolute difference of `k / n` from `fraction`, for binomial `k`, exactly (De Moivre 1730).

    `E|k - n p| = 2 m C(n, m) p^m (1 - p)^(n - m + 1)` with `m = floor(n p) + 1`.
    """
    p, total = np.asarray(fraction, float), np.asarray(n, float)
    m = np.minimum(np.floor(total * p) + 1, total)
    log_ways = gammaln(total + 1) - gammaln(m + 1) - gammaln(total - m + 1)
    deviation: FloatArray = 2 * m * np.exp(log_ways + xlogy(m, p) + xlog1py(total - m + 1, -p)) / total
    return deviation


def noise_floor(votes: FloatArray, schema: Schema, min_votes: int, seed: int) -> pd.DataFrame:
    """Mean absolute error and RMSE, per answer, that knowing each galaxy's true fractions would leave.

    - RMSE: `k (n - k) / (n^2 (n - 1))` estimates `p (1 - p) / n` without bias, for whatever `p`.
    - Mean absolute error: that of a binomial count around `p`, with `p` drawn, for each galaxy, from the Dirichlet
      posterior of its votes under the constant distribution that fits all of them best.

    Only galaxies with at least `min_votes` votes (and two) count; NaN where there are none, and for weighted votes.
    """
    groups = schema.question_index_groups
    rng = np.random.default_rng((seed, 3))
    some = votes[rng.permutation(len(votes))[:_MOST_GALAXIES]]
    prior = dirichlet.fit_constant(some, groups).concentrations
    floors = np.full((len(schema.answers), 2), np.nan)
    are_counts = (votes == np.rint(votes)).all()
    for question in schema.questions if are_counts else []:
        k = votes[:, question.slice]
        k = k[k.sum(axis=1) >= max(min_votes, 2)]
        if len(k):
            n = k.sum(axis=1, keepdims=True)
            p = rng.gamma(k + prior[question.slice]) + 1e-300
            p /= p.sum(axis=1, keepdims=True)
            floors[question.slice, 0] = binomial_deviation(p, n).mean(axis=0)
            floors[question.slice, 1] = np.sqrt((k * (n - k) / (n**2 * (n - 1))).mean(axis=0))
    return pd.DataFrame(floors, columns=["MAE, noise floor", "RMSE, noise floor"])


@dataclass(frozen=True)
class Panels:
    """A model against panels of volunteers, on galaxies with many votes for a question.

    Args:
        table: one row per question: galaxies, the model's mean absolute error, and the number of volunteers whose
            own fractions would be off by as much, NaN where too few galaxies have many votes. Where even the largest
            panel does worse than the model, or a single volunteer does better, that panel, and `bound` says `at least`
            or `at most`.
        errors: `(question, panel)`, the mean absolute error of each of `PANELS`.
    """

    table: pd.DataFrame
    errors: FloatArray


def compare_with_panels(votes: FloatArray, fractions: FloatArray, schema: Schema, seed: int) -> Panels:
    """How many volunteers the model is worth: half of each galaxy's volunteers judge, some of the others compete.

    Model and panel are held to the same judges, so that the judges' own noise weighs on both alike.
    """
    rng = np.random.default_rng((seed, 4))
    rows, errors = [], []
    for question in schema.questions:
        row, of_panels = _compare_question(votes[:, question.slice], fractions[:, question.slice], question, rng)
        rows.append(row)
        errors.append(of_panels)
    return Panels(pd.DataFrame(rows), np.array(errors))


def _compare_question(
    votes: FloatArray, fractions: FloatArray, question: Question, rng: np.random.Generator
) -> tuple[dict[str, object], FloatArray]:
    many = np.flatnonzero(votes.sum(axis=1) >= MANY_VOTES)
    many = np.sort(rng.permutation(many)[:_MOST_GALAXIES])
    row = {"question": question.text, "galaxies": len(many), "MAE": np.nan, "volunteers": np.nan, "bound": ""}
    if len(many) < _FEWEST_GALAXIES:
        return row, np.full(len(PANELS), np.nan)
    counts = votes[many].astype(np.int64)
    others = draw_votes(counts, counts.sum(axis=1) // 2, rng)
    judges = _fractions(counts - others)
    error = float(np.abs(fractions[many] - judges).mean())
    drawn = (draw_votes(others, np.full(len(many), size), rng) for size in PANELS)
    of_panels = np.array([np.abs(_fractions(panel) - judges).mean() for panel in drawn])
    # larger panels do better but for chance: the curve that is matched only falls
    falling = np.minimum.accumulate(of_panels)
    worth = float(np.interp(-error, -falling, PANELS))
    bound = "at least" if error < falling[-1] else "at most" if error > falling[0] else ""
    return {**row, "MAE": error, "volunteers": worth, "bound": bound}, of_panels


def draw_votes(
    votes: npt.NDArray[np.int64], n_drawn: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The votes of some of each galaxy's volunteers, drawn without replacement: `(galaxy, answer)`."""
    left, wanted = votes.sum(axis=1), n_drawn.copy()
    drawn = np.zeros_like(votes)
    for answer in range(votes.shape[1]):
        left = left - votes[:, answer]
        drawn[:, answer] = rng.hypergeometric(votes[:, answer], left, wanted)
        wanted = wanted - drawn[:, answer]
    return drawn


def _fractions(votes: npt.NDArray[np.int64]) -> FloatArray:
    return np.asarray(votes / votes.sum(axis=1, keepdims=True), float)

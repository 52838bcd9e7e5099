"""Whether the predicted uncertainty is right, for every answer: does as much chance as predicted show in the votes?

Given a galaxy's total votes for a question, the votes for one answer are Beta-binomial under each sample of the
concentrations, and their mixture over samples. If that is right, the randomised probability integral transform

    u = P(K < k) + v P(K = k),   v uniform in 0..1

of the observed votes `k` is uniform, however few votes there are (Czado, Gneiting & Held 2009,
doi:10.1111/j.1541-0420.2009.01191.x). Intervals in whole votes would hold more than they promise: with three votes,
nothing but 0 to 3 is a 90 % interval. A central interval of `u` holds what it promises.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaln, ndtri

from zoobot.shared import dirichlet
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.row_chunks import in_chunks
from zoobot.shared.schemas import Answer, Schema

LEVELS = (0.5, 0.8, 0.9, 0.95)
PIT_BINS = 20
RELIABILITY_BINS = 10
FEWEST = 30
"""Galaxies below which no verdict is given."""
ERROR_RATE = 0.05
"""Probability that any of the verdicts of one evaluation is wrong, if every prediction is right."""
NO_FAULT, TOO_FEW = "no fault found", "too few galaxies"
OVER_CONFIDENT, UNDER_CONFIDENT, TOO_HIGH, TOO_LOW = "over-confident", "under-confident", "too high", "too low"

_CHUNK = 4096


@dataclass(frozen=True)
class Calibration:
    """Calibration of every answer.

    Args:
        table: one row per answer: galaxies with votes for its question, coverage of central intervals with standard
            error, spread and mean of `u` in units that should be 1 and 0.5, calibration error, verdict.
        pit: `(answer, bin)`, the share of galaxies in each of 20 bins of `u`, times 20: 1 everywhere if right.
        reliability: one row per answer and bin of predicted fraction: galaxies, mean predicted and observed fraction,
            standard error of the latter.
        pit_of_galaxies: `(galaxy, answer)` float32, `u`; NaN without votes.
    """

    table: pd.DataFrame
    pit: FloatArray
    reliability: pd.DataFrame
    pit_of_galaxies: npt.NDArray[np.float32]


def vote_tails(
    votes: npt.ArrayLike, total_votes: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """`P(K < k)` and `P(K = k)` under the mixture of Beta-binomials: `(galaxy,)` each.

    Args:
        votes: `k`, `(galaxy,)`, whole numbers.
        total_votes: `n`, `(galaxy,)`, whole numbers, at least `k`.
        a, b: `(galaxy, sample)`, the answer's concentration, and the sum of those of the question's other answers.
    """
    order = np.argsort(-np.asarray(votes), kind="stable")
    k, n = np.asarray(votes, float)[order], np.asarray(total_votes, float)[order, np.newaxis]
    a, b = np.asarray(a, float)[order], np.asarray(b, float)[order]
    log_p = betaln(a, n + b) - betaln(a, b)  # of no votes; each step adds the log of p(j + 1) / p(j)
    below = np.zeros(len(k))
    for j in range(int(k.max(initial=0))):
        active = np.searchsorted(-k, -j)  # those with k > j stand first
        some = slice(None, active)
        below[some] += np.exp(log_p[some]).mean(axis=1)
        log_p[some] += np.log((n[some] - j) * (j + a[some]) / ((j + 1) * (n[some] - j - 1 + b[some])))
    back = np.argsort(order, kind="stable")
    return np.minimum(below, 1)[back], np.exp(log_p).mean(axis=1)[back]


def transform(
    votes: FloatArray, concentrations: npt.NDArray[np.floating], schema: Schema, seed: int
) -> npt.NDArray[np.float32]:
    """The randomised probability integral transform `u`, `(galaxy, answer)`; NaN where a question has no votes.

    Args:
        votes: `(galaxy, answer)`, whole numbers.
        concentrations: `(galaxy, answer, sample)`.
    """
    groups = schema.question_index_groups

    def work(rows: slice) -> npt.NDArray[np.float32]:
        k, samples = votes[rows], np.asarray(concentrations[rows], float)
        n = dirichlet.spread_over_answers(dirichlet.sum_by_question(k, groups), groups)
        rest = dirichlet.spread_over_answers(dirichlet.sum_by_question(samples, groups), groups) - samples
        v = np.random.default_rng((seed, rows.start, 1)).random(k.shape)
        for question in schema.questions:
            if len(question.answers) == 2:  # yes and no say the same: one is as far above as the other is below
                v[:, question.end_index] = 1 - v[:, question.start_index]
        asked = n > 0
        u = np.full(k.shape, np.nan, np.float32)
        below, at = vote_tails(k[asked], n[asked], samples[asked], rest[asked])
        u[asked] = np.clip(below + v[asked] * at, 0, 1)
        return u

    return np.concatenate(in_chunks(work, len(votes), _CHUNK))


def calibrate(
    votes: FloatArray, concentrations: npt.NDArray[np.floating], fractions: FloatArray, schema: Schema, seed: int
) -> Calibration:
    """Calibration of every answer; `fractions` are the expected ones, `(galaxy, answer)`."""
    u = transform(votes, concentrations, schema, seed)
    observed = dirichlet.vote_fractions(votes, schema.question_index_groups)
    threshold = float(-ndtri(ERROR_RATE / (2 * 2 * len(schema.answers))))  # two sides, two tests of each answer
    rows, histograms, reliability = [], [], []
    for answer in schema.answers:
        asked = ~np.isnan(u[:, answer.index])
        of_answer = u[asked, answer.index].astype(float)
        counts = np.histogram(of_answer, PIT_BINS, (0, 1))[0]
        histograms.append(counts * PIT_BINS / len(of_answer) if len(of_answer) else np.full(PIT_BINS, np.nan))
        curve = _reliability(answer, fractions[asked, answer.index], observed[asked, answer.index])
        reliability.append(curve)
        rows.append({**_describe(answer, of_answer, threshold), **_calibration_error(curve)})
    return Calibration(pd.DataFrame(rows), np.array(histograms), pd.concat(reliability, ignore_index=True), u)


def _describe(answer: Answer, u: FloatArray, threshold: float) -> dict[str, object]:
    n = len(u)
    row: dict[str, object] = {"question": answer.question.text, "answer": answer.short_text, "galaxies": n}
    for level in LEVELS:
        held = float((np.abs(u - 0.5) <= level / 2).mean()) if n else np.nan
        row[f"{level:.0%} interval holds"] = held
        row[f"{level:.0%} interval, standard error"] = np.sqrt(level * (1 - level) / n) if n else np.nan
    # under the uniform distribution, 12 (u - 1/2)^2 has mean 1 and variance 4/5, u has mean 1/2 and variance 1/12
    spread, mean = (12 * ((u - 0.5) ** 2).mean(), u.mean()) if n else (np.nan, np.nan)
    spread_error, mean_error = (np.sqrt(0.8 / n), np.sqrt(1 / 12 / n)) if n else (np.nan, np.nan)
    row |= {"spread": spread, "spread, standard error": spread_error}
    row |= {"mean": mean, "mean, standard error": mean_error}
    row["verdict"] = _judge(n, (spread - 1) / spread_error, (mean - 0.5) / mean_error, threshold)
    return row


def _judge(n: int, spread: float, mean: float, threshold: float) -> str:
    """In words, from how many standard errors the spread and the mean are off."""
    if n < FEWEST:
        return TOO_FEW
    faults = [OVER_CONFIDENT] if spread > threshold else [UNDER_CONFIDENT] if spread < -threshold else []
    # votes above what was predicted push u up: the prediction is too low
    faults += [TOO_LOW] if mean > threshold else [TOO_HIGH] if mean < -threshold else []
    return ", ".join(faults) or NO_FAULT


def _reliability(answer: Answer, predicted: FloatArray, observed: FloatArray) -> pd.DataFrame:
    bins = np.minimum((predicted * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    n = np.bincount(bins, minlength=RELIABILITY_BINS)
    filled = np.flatnonzero(n)

    def average(values: FloatArray) -> FloatArray:
        return np.bincount(bins, values, RELIABILITY_BINS)[filled] / n[filled]

    excess = average((observed - predicted) ** 2) - average(observed - predicted) ** 2
    return pd.DataFrame(
        {
            "question": answer.question.text,
            "answer": answer.short_text,
            "galaxies": n[filled],
            "predicted": average(predicted),
            "observed": average(observed),
            "standard error": np.sqrt(np.maximum(excess, 0) / n[filled]),
        }
    )


def _calibration_error(curve: pd.DataFrame) -> dict[str, float]:
    """Mean distance of observed from predicted fractions over the bins, by galaxies; and what noise alone would give.

    The distance of a mean from its expectation is on average sqrt(2 / pi) of its standard error.
    """
    if not len(curve):
        return {"calibration error": np.nan, "calibration error of noise": np.nan}
    weights = curve["galaxies"] / curve["galaxies"].sum()
    return {
        "calibration error": float((weights * (curve["observed"] - curve["predicted"]).abs()).sum()),
        "calibration error of noise": float((weights * curve["standard error"] * np.sqrt(2 / np.pi)).sum()),
    }

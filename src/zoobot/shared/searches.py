"""Searching for galaxies with an answer: how complete and how pure a list of the best candidates is.

A galaxy is one of those searched for where the question is relevant (`classification.find_relevant`) and more than half
of its votes are for the answer. Candidates are ordered by the share of all volunteers who are expected to give it: the
product of fractions along the tree.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.shared import dirichlet
from zoobot.shared.classification import count_volunteers, find_relevant
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.schemas import Schema

FIRST = (10, 100, 1000)
"""Lengths of lists of the best candidates."""
BEST, PURE = "best F1", "90 % pure"
_PURITY = 0.9
_POINTS = 200


@dataclass(frozen=True)
class Search:
    """A search for one answer, from the strictest threshold to the loosest; at most some 200 points of each curve.

    Args:
        thresholds: on the expected share of volunteers.
        purity: of the galaxies above each threshold.
        completeness: share of those searched for that are above it; also the true positive rate of the ROC.
        false_positive_rate: share of the others that are above it.
    """

    thresholds: FloatArray
    purity: FloatArray
    completeness: FloatArray
    false_positive_rate: FloatArray


@dataclass(frozen=True)
class Searches:
    """Searches for every answer.

    Args:
        table: one row per answer: galaxies, those searched for, area under the ROC, average precision, purity of the
            first 10, 100 and 1,000, and two thresholds: that of the best F1, and the loosest with purity of 90 %.
        curves: answer -> its search; only answers of which there are galaxies with and without.
    """

    table: pd.DataFrame
    curves: dict[str, Search]


def search_all(votes: FloatArray, fractions: FloatArray, schema: Schema, min_votes: int) -> Searches:
    """Search for every answer, among the galaxies with at least `min_votes` volunteers.

    Args:
        votes: `(galaxy, answer)`.
        fractions: `(galaxy, answer)`, expected.
    """
    relevant = find_relevant(votes, schema, min_votes)
    groups = schema.question_index_groups
    seen = count_volunteers(votes, schema) >= min_votes
    shares = dirichlet.spread_over_answers(schema.proportion_asked(fractions), groups) * fractions
    more_than_half = np.nan_to_num(dirichlet.vote_fractions(votes, groups)) > 0.5
    wanted = more_than_half & dirichlet.spread_over_answers(relevant, groups)
    rows, curves = [], {}
    for answer in schema.answers:
        found, share = wanted[seen, answer.index], shares[seen, answer.index]
        row: dict[str, object] = {"question": answer.question.text, "answer": answer.short_text}
        row |= {"galaxies": len(found), "searched for": int(found.sum())}
        if 0 < found.sum() < len(found):
            curve, scores = search(found, share)
            curves[answer.text] = curve
            row |= scores
        rows.append(row)
    columns = ["question", "answer", "galaxies", "searched for", *_score_names()]
    return Searches(pd.DataFrame(rows).reindex(columns=columns), curves)


def _score_names() -> list[str]:
    lists = [f"purity of the first {n:,}" for n in FIRST]
    return ["area under ROC", "average precision", *lists, *_threshold_names(BEST), *_threshold_names(PURE)]


def _threshold_names(which: str) -> list[str]:
    return [f"{what}, {which}" for what in ("threshold", "purity", "completeness")]


def _purity_of_first(k: int, n: npt.NDArray[np.intp], right: npt.NDArray[np.intp]) -> float:
    """Of `k` candidates; where equal ones stand at its end, what drawing some of them gives on average."""
    return float(np.interp(k, np.append(0, n), np.append(0, right)) / k) if k <= n[-1] else float("nan")


def search(wanted: npt.NDArray[np.bool_], share: FloatArray) -> tuple[Search, dict[str, float]]:
    """The curve of a search and its scores.

    Args:
        wanted: `(galaxy,)`, which are searched for; some are and some are not.
        share: `(galaxy,)`, larger for better candidates.
    """
    order = np.argsort(-share, kind="stable")
    found = np.cumsum(wanted[order])
    ends = np.append(np.flatnonzero(np.diff(share[order])), len(order) - 1)  # equal candidates come together
    n, right = ends + 1, found[ends]
    purity, completeness = right / n, right / found[-1]
    false_rate = (n - right) / (len(order) - found[-1])
    thresholds = share[order][ends]
    area = float(np.trapezoid(np.append(0, completeness), np.append(0, false_rate)))
    scores = {
        "area under ROC": area,
        "average precision": float(np.diff(completeness, prepend=0) @ purity),
        **{f"purity of the first {k:,}": _purity_of_first(k, n, right) for k in FIRST},
    }
    best = int(np.argmax(2 * right / (n + found[-1])))
    pure = np.flatnonzero(purity >= _PURITY)
    for which, points in ((BEST, [best]), (PURE, pure[-1:])):
        values = [thresholds[points], purity[points], completeness[points]]
        found_there = [float(value[0]) if len(value) else np.nan for value in values]
        scores |= dict(zip(_threshold_names(which), found_there, strict=True))
    some = np.unique(np.linspace(0, len(ends) - 1, _POINTS).astype(int))
    return Search(thresholds[some], purity[some], completeness[some], false_rate[some]), scores

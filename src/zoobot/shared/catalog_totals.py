"""How many votes a catalog's questions have, and whether they were asked as the tree says."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.errors import quote
from zoobot.shared import campaigns
from zoobot.shared.dirichlet import sum_by_question
from zoobot.shared.fault_kinds import MAX_VOTES
from zoobot.shared.schemas import Question, Schema, get_schema
from zoobot.shared.vote_faults import question_of_volunteers

FloatArray = npt.NDArray[np.float64]

_SAMPLED_ROWS = 5000
_FEWEST_GALAXIES = 20


class VoteTotals:
    """The votes of a catalog, counted batch by batch in little memory.

    Attributes:
        n_galaxies: rows seen.
        answers: `(answer,)`, votes of all galaxies.
        sample: votes of up to a few thousand galaxies, evenly from the whole catalog.
        histograms: for each question, number of galaxies with 0, 1, 2 ... votes for it (rounded, where weighted).
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.n_galaxies = 0
        self.answers = np.zeros(len(schema.answers))
        self.histograms = [np.zeros(1, np.int64) for _ in schema.questions]
        self.sample = np.zeros((0, len(schema.answers)))
        self._stride = 1  # each galaxy whose number is a multiple of it is in the sample

    def add(self, votes: FloatArray) -> None:
        """Count a batch `(galaxy, answer)`; what is no number of votes counts as 0."""
        with np.errstate(invalid="ignore"):
            if not (votes.min() >= 0 and votes.max() <= MAX_VOTES):
                votes = np.where((votes >= 0) & (votes <= MAX_VOTES), votes, 0)
        self._add_to_sample(votes)
        self.n_galaxies += len(votes)
        self.answers += votes.sum(axis=0)
        totals = np.rint(sum_by_question(votes, self.schema.question_index_groups)).astype(np.int64)
        for position, known in enumerate(self.histograms):
            counts = np.bincount(totals[:, position], minlength=len(known))
            counts[: len(known)] += known
            self.histograms[position] = counts

    def _add_to_sample(self, votes: FloatArray) -> None:
        chosen = votes[-self.n_galaxies % self._stride :: self._stride]
        self.sample = np.concatenate([self.sample, chosen])
        while len(self.sample) > _SAMPLED_ROWS:
            self.sample = self.sample[::2].copy()
            self._stride *= 2

    def to_table(self) -> pd.DataFrame:
        """One row per question: galaxies with votes, votes, and the median number of votes of these galaxies."""
        rows = []
        for question, counts in zip(self.schema.questions, self.histograms, strict=True):
            total = float(self.answers[question.slice].sum())
            votes = int(total) if total.is_integer() else round(total, 3)
            rows.append((question.text, int(counts[1:].sum()), votes, _median_above_0(counts)))
        return pd.DataFrame(rows, columns=["question", "galaxies with votes", "votes", "median votes"])


def _median_above_0(counts: npt.NDArray[np.int64]) -> float:
    """Median of the numbers above 0, from how often each occurs."""
    reached = np.cumsum(counts[1:])
    if not len(reached) or not reached[-1]:
        return 0.0
    middle = np.array([(reached[-1] - 1) // 2, reached[-1] // 2])
    return float(np.mean(np.searchsorted(reached, middle, side="right") + 1))


@dataclass(frozen=True)
class Suggestion:
    """A question whose votes look as if other answers led to it than the tree says.

    Args:
        parents: the answers that seem to lead to it.
        as_declared, as_suggested: mean absolute difference, per galaxy, between the question's votes and those of the
            answers that lead to it: by the tree, and by `parents`.
        votes, declared_votes, suggested_votes: mean per galaxy.
        n_galaxies: galaxies looked at.
        trees: published trees with the catalog's columns where these answers lead to the question.
    """

    question: Question
    parents: list[str]
    as_declared: float
    as_suggested: float
    votes: float
    declared_votes: float
    suggested_votes: float
    n_galaxies: int
    trees: list[str]

    def __str__(self) -> str:
        declared = " or ".join(parent.text for parent in self.question.asked_after) or "everybody"
        suggested = " or ".join(self.parents)
        return (
            f"'{self.question.text}' looks asked after {suggested}, not after {declared}: in {self.n_galaxies:,} "
            f"galaxies it has {self.votes:.2f} votes on average, {suggested} {self.suggested_votes:.2f} "
            f"(off by {self.as_suggested:.2f} per galaxy), {declared} {self.declared_votes:.2f} "
            f"(off by {self.as_declared:.2f})." + (f" The schema {quote(self.trees, 3)} says so." if self.trees else "")
        )


def suggest_parents(totals: VoteTotals, columns: list[str]) -> list[Suggestion]:
    """Questions whose votes follow other answers much more closely than those that the tree says.

    Args:
        columns: all columns of the catalog, to find published trees that fit it.
    """
    schema, votes = totals.schema, totals.sample
    asked = sum_by_question(votes, schema.question_index_groups)
    found = (
        _suggest(question, schema, votes, asked[:, position], columns)
        for position, question in enumerate(schema.questions)
    )
    return [suggestion for suggestion in found if suggestion is not None]


def _suggest(
    question: Question, schema: Schema, votes: FloatArray, total: FloatArray, columns: list[str]
) -> Suggestion | None:
    leading = _leading_answers(question, schema)
    if not leading or (total > 0).sum() < _FEWEST_GALAXIES:
        return None
    declared = votes[:, leading].sum(axis=1)
    rows = (total > 0) | (declared > 0)
    if question.always_asked:
        rows &= declared > 0  # a galaxy of another campaign
    if rows.sum() < _FEWEST_GALAXIES:
        return None
    total, declared, votes = total[rows], declared[rows], votes[rows]
    best = min(_candidates(question, schema), key=lambda answers: _difference(total, votes[:, answers]), default=None)
    if best is None:
        return None
    as_declared, as_suggested = float(np.abs(total - declared).mean()), _difference(total, votes[:, best])
    clear = as_declared > 0.02 * total.mean() and as_suggested < min(0.25 * as_declared, 0.15 * total.mean())
    if not clear:
        return None
    parents = [schema.label_cols[index] for index in best]
    return Suggestion(
        question,
        parents,
        as_declared,
        as_suggested,
        votes=float(total.mean()),
        declared_votes=float(declared.mean()),
        suggested_votes=float(votes[:, best].sum(axis=1).mean()),
        n_galaxies=len(total),
        trees=_find_trees(question, parents, columns),
    )


def _leading_answers(question: Question, schema: Schema) -> list[int]:
    """The answers that lead to a question by the tree; all of the first question's where everybody is asked."""
    first = question_of_volunteers(question, schema) if question.always_asked else None
    return [answer.index for answer in (first.answers if first else question.asked_after)]


def _difference(total: FloatArray, led: FloatArray) -> float:
    return float(np.abs(total - led.sum(axis=1)).mean())


def _candidates(question: Question, schema: Schema) -> Iterator[list[int]]:
    """Answers that could lead to a question: each other one, and all but one of a question; none that it leads to."""
    below = {question.text}
    for other in schema.asking_order:
        if any(parent.question.text in below for parent in other.asked_after):
            below.add(other.text)
    for other in schema.questions:
        if other.text not in below:
            indices = [answer.index for answer in other.answers]
            yield from ([index] for index in indices)
            if len(indices) > 2:
                yield from ([index for index in indices if index != left_out] for left_out in indices)


def _find_trees(question: Question, parents: list[str], columns: list[str]) -> list[str]:
    fitting = []
    for name in campaigns.trees:
        tree = get_schema(name)
        if set(tree.label_cols) <= set(columns) and question.text in tree.question_answer_pairs:
            asked_after = [parent.text for parent in tree.get_question(question.text).asked_after]
            if sorted(asked_after) == sorted(parents):
                fitting.append(name)
    return fitting

"""The likeliest answer against the volunteers' own, question by question, as in Walmsley et al. 2022, Table 1.

A galaxy counts for a question where it is *relevant*: at least half of its volunteers were asked, and enough of them.
Twice: for all relevant galaxies, and for those whose volunteers are *confident*, with a fraction above 0.8 for one
answer. A galaxy whose volunteers are tied between two answers has no observed answer, and is left out.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.shared import dirichlet
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.schemas import Question, Schema

ALL, CONFIDENT = "all", "confident"
CONFIDENT_FRACTION = 0.8
RELEVANT_SHARE = 0.5


@dataclass(frozen=True)
class Classification:
    """Answers named right and wrong.

    Args:
        table: one row per question and set of galaxies (`all`, `confident`): count, tied, accuracy, the share of the
            commonest answer, and precision, recall and F1, weighted by the observed answers and macro.
        confusions: (question, set of galaxies) -> `(observed answer, predicted answer)`, numbers of galaxies.
        correct: `(galaxy, question)`, 1 where the relevant galaxy's answer is named, 0 where another, else NaN.
    """

    table: pd.DataFrame
    confusions: dict[tuple[str, str], npt.NDArray[np.int64]]
    correct: FloatArray


def count_volunteers(votes: FloatArray, schema: Schema) -> FloatArray:
    """Volunteers of each galaxy, `(galaxy,)`: the most votes for a question that everybody is asked."""
    totals = dirichlet.sum_by_question(votes, schema.question_index_groups)
    everybody = [position for position, question in enumerate(schema.questions) if question.always_asked]
    volunteers: FloatArray = totals[:, everybody].max(axis=1)
    return volunteers


def find_relevant(votes: FloatArray, schema: Schema, min_votes: int) -> npt.NDArray[np.bool_]:
    """Where at least half of a galaxy's volunteers, and at least `min_votes`, answered: `(galaxy, question)`."""
    totals = dirichlet.sum_by_question(votes, schema.question_index_groups)
    enough = totals >= RELEVANT_SHARE * count_volunteers(votes, schema)[:, np.newaxis]
    relevant: npt.NDArray[np.bool_] = enough & (totals >= max(min_votes, 1e-9))
    return relevant


def classify(votes: FloatArray, fractions: FloatArray, schema: Schema, min_votes: int) -> Classification:
    """Compare the answer with most votes `(galaxy, answer)` with the one of the largest predicted fraction."""
    relevant = find_relevant(votes, schema, min_votes)
    correct = np.full((len(votes), len(schema.questions)), np.nan)
    rows, confusions = [], {}
    for position, question in enumerate(schema.questions):
        here = np.flatnonzero(relevant[:, position])
        counts = votes[here][:, question.slice]
        most = counts.max(axis=1, initial=0)
        tied = (counts == most[:, np.newaxis]).sum(axis=1) > 1
        observed, predicted = counts.argmax(axis=1), fractions[here][:, question.slice].argmax(axis=1)
        correct[here[~tied], position] = (observed == predicted)[~tied]
        is_confident = most > CONFIDENT_FRACTION * counts.sum(axis=1)
        for name, chosen in ((ALL, ~tied), (CONFIDENT, is_confident)):
            confusion = _confuse(observed[chosen], predicted[chosen], len(question.answers))
            confusions[question.text, name] = confusion
            rows.append(_describe(question, name, confusion, int(tied.sum()) if name == ALL else 0))
    return Classification(pd.DataFrame(rows), confusions, correct)


def _confuse(observed: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp], n_answers: int) -> npt.NDArray[np.int64]:
    pairs = np.bincount(observed * n_answers + predicted, minlength=n_answers**2)
    return pairs.reshape(n_answers, n_answers)


def _describe(question: Question, name: str, confusion: npt.NDArray[np.int64], tied: int) -> dict[str, object]:
    right, observed, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    total = int(confusion.sum())
    scores = {
        "precision": _divide(right, predicted),
        "recall": _divide(right, observed),
        "F1": _divide(2 * right, observed + predicted),
    }
    occurs = (observed + predicted) > 0
    return {
        "question": question.text,
        "galaxies": name,
        "count": total,
        "tied": tied,
        "accuracy": right.sum() / total if total else np.nan,
        "commonest answer": observed.max() / total if total else np.nan,
        **{f"{kind}, weighted": score @ observed / total if total else np.nan for kind, score in scores.items()},
        **{f"{kind}, macro": score[occurs].mean() if total else np.nan for kind, score in scores.items()},
    }


def _divide(parts: npt.NDArray[np.int64], wholes: npt.NDArray[np.int64]) -> FloatArray:
    """0 where the whole is 0: an answer that is never predicted has precision 0."""
    shares: FloatArray = np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)
    return shares

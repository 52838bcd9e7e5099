"""Galaxies to look at: what the model is sure of, what it is not, where it errs, and a random choice."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from zoobot.config import ImageSettings
from zoobot.errors import ImageError
from zoobot.shared import dirichlet, mixtures
from zoobot.shared.catalogs import Catalog
from zoobot.shared.images import read_galaxy
from zoobot.shared.metrics import SEEN, Evaluation
from zoobot.shared.pages import image_as_data
from zoobot.shared.schemas import Question, Schema
from zoobot.shared.vote_scores import MODEL, SATURATED

_THUMBNAIL_SIZE = 160
_PER_ANSWER = 4


@dataclass(frozen=True)
class Card:
    """One galaxy: its image as a data address (None where it cannot be read), and what there is to say of it."""

    id_str: str
    image: str | None
    seen: bool
    note: str = ""
    questions: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Gallery:
    """Galaxies chosen in one way."""

    title: str
    note: str
    cards: list[Card]
    is_detailed: bool = False


def build_galleries(evaluation: Evaluation) -> list[Gallery]:
    """The galleries of a report, at most `settings.gallery` galaxies in each; none if that is 0."""
    most = evaluation.settings.gallery
    if not most:
        return []
    thumbnails = _Thumbnails(evaluation.catalog)
    kind, scores = evaluation.main
    shown = np.flatnonzero(evaluation.kinds == kind)
    fractions = evaluation.fractions[shown]
    first = next(question for question in evaluation.schema.questions if question.always_asked)
    concentrations = evaluation.concentrations[shown][:, first.slice]
    entropy = mixtures.entropy(concentrations, [(0, len(first.answers) - 1)])
    excess = (scores.evidence.losses[MODEL] - scores.evidence.losses[SATURATED]).sum(axis=1)
    by_entropy = np.argsort(-entropy.total[:, 0], kind="stable")
    strip = by_entropy[::-1][np.linspace(0, len(shown) - 1, min(most, 12, len(shown))).astype(int)]

    def cards(rows: npt.NDArray[np.intp], values: npt.NDArray[np.float64], what: str) -> list[Card]:
        notes = [f"{what} {values[row]:.2f}" for row in rows]
        return [_card(evaluation, thumbnails, shown[row], note) for row, note in zip(rows, notes, strict=True)]

    everyone = np.arange(len(evaluation.catalog))
    rng = np.random.default_rng(evaluation.settings.seed)
    random = np.sort(rng.permutation(everyone)[:most])
    few = min(most, 12)
    return [
        Gallery(
            "Largest errors",
            "Galaxies whose votes were least expected: loss above the saturated bound, in nats. Bars: predicted vote "
            "fraction. Red mark: the volunteers' own.",
            [
                _card(evaluation, thumbnails, shown[row], f"{excess[row]:.1f} nats", detailed=True)
                for row in np.argsort(-excess, kind="stable")[:few]
            ],
            is_detailed=True,
        ),
        Gallery(
            "From certain to uncertain",
            f"Evenly spaced in the entropy of the predicted answer to '{first.text}', in nats.",
            cards(strip, entropy.total[:, 0], "entropy"),
        ),
        Gallery(
            "Most uncertain",
            f"Largest entropy of the predicted answer to '{first.text}', in nats.",
            cards(by_entropy[:few], entropy.total[:, 0], "entropy"),
        ),
        *_most_confident(evaluation, thumbnails, shown, fractions),
        Gallery(
            "A random choice",
            "Bars: predicted vote fraction. Red mark: the volunteers' own.",
            [_card(evaluation, thumbnails, row, detailed=True) for row in random],
            is_detailed=True,
        ),
    ]


def _most_confident(
    evaluation: Evaluation,
    thumbnails: "_Thumbnails",
    shown: npt.NDArray[np.intp],
    fractions: npt.NDArray[np.float64],
) -> list[Gallery]:
    """For each question, the galaxies of which most volunteers are expected to give each of its answers."""
    schema = evaluation.schema
    asked = dirichlet.spread_over_answers(schema.proportion_asked(fractions), schema.question_index_groups)
    shares = asked * fractions
    per_answer = min(_PER_ANSWER, evaluation.settings.gallery)
    galleries = []
    for question in schema.questions:
        best = [
            _card(evaluation, thumbnails, shown[row], f"{answer.short_text} {shares[row, answer.index]:.2f}")
            for answer in question.answers
            for row in np.argsort(-shares[:, answer.index], kind="stable")[:per_answer]
        ]
        note = "Of all volunteers, the expected share that gives the answer."
        galleries.append(Gallery(f"Most confident: {question.text}", note, best))
    return galleries


def _card(evaluation: Evaluation, thumbnails: "_Thumbnails", row: int, note: str = "", detailed: bool = False) -> Card:
    return Card(
        str(evaluation.catalog.table["id_str"][row]),
        thumbnails[row],
        bool(evaluation.kinds[row] == SEEN),
        note,
        _describe_questions(evaluation, row) if detailed else [],
    )


def _describe_questions(evaluation: Evaluation, row: int) -> list[dict[str, Any]]:
    """Predicted and observed fractions of the questions that most volunteers reached."""
    votes = evaluation.catalog.table[evaluation.schema.label_cols].iloc[row].to_numpy(float)
    observed = dirichlet.vote_fractions(votes[np.newaxis], evaluation.schema.question_index_groups)[0]
    return [
        {
            "text": question.text,
            "n_votes": f"{votes[question.slice].sum():g}",
            "answers": [
                {
                    "text": answer.short_text,
                    "predicted": float(evaluation.fractions[row, answer.index]),
                    "observed": float(observed[answer.index]),
                }
                for answer in question.answers
            ],
        }
        for question in _most_reached_questions(evaluation.schema, votes)
    ]


def _most_reached_questions(schema: Schema, votes: npt.NDArray[np.float64], most: int = 2) -> Sequence[Question]:
    """Of the questions that everybody is asked the one with most votes, and of the others those with most votes."""
    totals = {question.text: votes[question.slice].sum() for question in schema.questions}
    by_votes = sorted(schema.questions, key=lambda question: -totals[question.text])
    first = next(question for question in by_votes if question.always_asked)
    others = [question for question in by_votes if not question.always_asked and totals[question.text] > 0]
    return [first, *others[: most - 1]]


class _Thumbnails:
    """Small images by row of the catalog, each read once; None where it cannot be read."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._made = catalog, dict[int, str | None]()

    def __getitem__(self, row: int) -> str | None:
        if row not in self._made:
            try:
                self._made[row] = _encode(_read(self._catalog, row))
            except ImageError:
                self._made[row] = None
        return self._made[row]


def _read(catalog: Catalog, row: int) -> npt.NDArray[np.uint8]:
    if catalog.prepared is not None:
        return catalog.prepared.read(row)
    files = [os.path.join(catalog.folder, catalog.table[column][row]) for column in catalog.file_columns]
    return read_galaxy(files, ImageSettings(color=True, stretch="percentile"))  # stretches are of FITS images alone


def _encode(image: npt.NDArray[np.uint8]) -> str:
    if image.shape[2] != 3:
        image = np.rint(image.mean(axis=2, keepdims=True)).astype(np.uint8).repeat(3, axis=2)
    scale = _THUMBNAIL_SIZE / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return image_as_data(small)

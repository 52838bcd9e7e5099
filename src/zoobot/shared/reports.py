"""An evaluation as one self-contained HTML page, CSV tables and JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from zoobot.config import EvaluateSettings, ImageSettings
from zoobot.errors import ImageError
from zoobot.shared import dirichlet
from zoobot.shared.images import read_galaxy
from zoobot.shared.metrics import FREE_BASELINE, MODEL, PUBLISHED_BASELINE, SEEN, Evaluation
from zoobot.shared.metrics import evaluate as evaluate_predictions
from zoobot.shared.pages import as_data, figure_as_data, literal_text, new_figure, render_page
from zoobot.shared.predictions import read_predictions
from zoobot.shared.run_folders import open_run, write_atomically
from zoobot.shared.schemas import Question, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = {MODEL: "#1f6f8b", FREE_BASELINE: "#d98324", PUBLISHED_BASELINE: "#9a9a9a"}
_THUMBNAIL_SIZE = 192


def evaluate(
    predictions: str | Path,
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: EvaluateSettings | None = None,
    *,
    schema: str | Path | Schema | None = None,
) -> Evaluation:
    """Score predictions against votes (`metrics.evaluate`) and write the report into `output`."""
    settings = settings or EvaluateSettings()
    loaded = read_predictions(predictions)
    evaluation = evaluate_predictions(loaded, catalog, settings, schema=schema)
    inputs = {
        "weights": evaluation.model["weights_sha256"],
        "predictions": str(Path(predictions).resolve()),
        "catalog": evaluation.catalog.checksum(),
    }
    write_report(evaluation, open_run(output, "evaluate", settings, inputs))
    return evaluation


def write_report(evaluation: Evaluation, folder: Path) -> Path:
    """Write `report.html`, `metrics.json` and one CSV table of questions per kind of galaxies; returns the page."""
    for kind, scores in evaluation.scores.items():
        name = f"questions_{kind.replace(' ', '_')}.csv"
        write_atomically(folder / name, scores.questions.to_csv(index=False))
    write_atomically(folder / "metrics.json", json.dumps(evaluation.to_dict(), indent=2) + "\n")
    page = folder / "report.html"
    write_atomically(page, _render(evaluation))
    return page


def _render(evaluation: Evaluation) -> str:
    with literal_text():
        figures = {
            "history": figure_as_data(plot_history(evaluation)),
            "losses": figure_as_data(plot_losses(evaluation)),
            "fractions": figure_as_data(plot_fractions(evaluation)),
        }
    return render_page(
        "report.html",
        evaluation=evaluation,
        config=evaluation.model["config"],
        figures=figures,
        gallery=_build_gallery(evaluation),
        votes_for_fractions=evaluation.settings.votes_for_fractions,
        left_out={reason: count for reason, count in evaluation.counts.items() if count},
    )


def plot_history(evaluation: Evaluation) -> "Figure":
    """Training and validation loss of every epoch, with the baselines' validation losses."""
    from matplotlib.ticker import MaxNLocator

    metrics = evaluation.model["metrics"]
    history = metrics["history"]
    figure = new_figure(7.5, 3.8)
    axes = figure.add_subplot()
    axes.plot(history["epoch"], history["train/loss"], color="#b0b0b0", label="training (random views)")
    axes.plot(history["epoch"], history["validation/loss"], color=_COLORS[MODEL], label="validation")
    axes.plot(metrics["best_epoch"], metrics["validation_loss"], "o", color=_COLORS[MODEL], label="kept")
    for name, loss in metrics["validation_loss_of_baselines"].items():
        axes.axhline(loss, color=_COLORS[name], linestyle="--", linewidth=1, label=name)
    axes.set(xlabel="epoch", ylabel="loss per galaxy (nats)", xlim=(0.5, max(history["epoch"]) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure


def plot_losses(evaluation: Evaluation) -> "Figure":
    """Loss of each question, for the model and the baselines; of held-out galaxies where there are any."""
    kind, scores = next(iter(evaluation.scores.items()))
    questions = scores.questions
    names = [name for name in _COLORS if f"loss, {name}" in questions]
    figure = new_figure(7.5, 0.6 + 0.42 * len(questions))
    axes = figure.add_subplot()
    height = 0.8 / len(names)
    for position, name in enumerate(names):
        rows = np.arange(len(questions)) + (position - (len(names) - 1) / 2) * height
        axes.barh(rows, questions[f"loss, {name}"], height, color=_COLORS[name], label=name)
    axes.set_yticks(np.arange(len(questions)), questions["question"], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"mean loss per galaxy (nats), {kind}")
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=len(names))
    return figure


def plot_fractions(evaluation: Evaluation) -> "Figure":
    """Predicted against observed vote fractions of every answer, one panel per question.

    Of held-out galaxies where there are any.
    """
    questions = evaluation.schema.questions
    columns = min(3, len(questions))
    figure = new_figure(4.2 * columns, 3.3 * -(-len(questions) // columns))
    for position, question in enumerate(questions):
        axes = figure.add_subplot(-(-len(questions) // columns), columns, position + 1)
        _plot_question_fractions(axes, evaluation, question)
    return figure


def _plot_question_fractions(axes: Any, evaluation: Evaluation, question: Question) -> None:
    votes = evaluation.catalog.votes[:, question.slice]
    kind = next(iter(evaluation.scores))
    enough = (votes.sum(axis=1) >= evaluation.settings.votes_for_fractions) & (evaluation.kinds == kind)
    observed = votes[enough] / votes[enough].sum(axis=1, keepdims=True)
    predicted = evaluation.fractions[enough][:, question.slice]
    size = float(np.clip(1500 / max(1, len(observed)), 4, 12))
    for answer in question.answers:
        column = answer.index - question.start_index
        axes.scatter(observed[:, column], predicted[:, column], s=size, alpha=0.6, label=answer.short_text, lw=0)
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.7)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_title(f"{question.text}\n{enough.sum():,} galaxies, {kind}", fontsize=9)
    axes.set_xlabel("observed vote fraction", fontsize=8)
    axes.set_ylabel("predicted vote fraction", fontsize=8)
    axes.tick_params(labelsize=7)
    if enough.any():
        axes.legend(
            fontsize=7, markerscale=2, frameon=False, loc="upper left", bbox_to_anchor=(1, 1), handletextpad=0.1
        )
    else:
        axes.text(0.5, 0.5, "no galaxy with\nenough votes", ha="center", va="center", fontsize=8)


def _build_gallery(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Random galaxies with the predicted and observed fractions of the questions that most volunteers reached."""
    n_galaxies = len(evaluation.catalog)
    rng = np.random.default_rng(evaluation.settings.seed)
    rows = np.sort(rng.permutation(n_galaxies)[: evaluation.settings.gallery])
    votes, image_files = evaluation.catalog.votes, evaluation.catalog.image_files
    observed = dirichlet.vote_fractions(votes, evaluation.schema.question_index_groups)
    return [
        {
            "id_str": evaluation.catalog.table["id_str"][row],
            "seen": evaluation.kinds[row] == SEEN,
            "image": _thumbnail(image_files[row]),
            "questions": [
                {
                    "text": question.text,
                    "n_votes": f"{votes[row, question.slice].sum():g}",
                    "answers": [
                        {
                            "text": answer.short_text,
                            "predicted": float(evaluation.fractions[row, answer.index]),
                            "observed": float(observed[row, answer.index]),
                        }
                        for answer in question.answers
                    ],
                }
                for question in _most_reached_questions(evaluation.schema, votes[row])
            ],
        }
        for row in rows
    ]


def _most_reached_questions(schema: Schema, votes: np.ndarray[Any, Any], most: int = 2) -> Sequence[Question]:
    """Of the questions that everybody is asked the one with most votes, and of the others those with most votes."""
    totals = {question.text: votes[question.slice].sum() for question in schema.questions}
    by_votes = sorted(schema.questions, key=lambda question: -totals[question.text])
    first = next(question for question in by_votes if question.always_asked)
    others = [question for question in by_votes if not question.always_asked and totals[question.text] > 0]
    return [first, *others[: most - 1]]


def _thumbnail(files: Sequence[str]) -> str | None:
    """The image as a data address, or nothing where it cannot be read; FITS images by their percentiles."""
    try:
        image = read_galaxy(files, ImageSettings(color=True, stretch="percentile"))
    except ImageError:
        return None
    if image.shape[2] != 3:
        image = np.rint(image.mean(axis=2, keepdims=True)).astype(np.uint8).repeat(3, axis=2)
    scale = _THUMBNAIL_SIZE / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    encoded = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return as_data("image/jpeg", encoded.tobytes())

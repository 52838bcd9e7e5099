"""The figures of an evaluation: each a function of the evaluation, for the report and for papers.

Colours are those of Okabe & Ito (2008), which colour-blind readers tell apart; lines differ in their dashes too.
"""

from collections.abc import Callable, Iterator
from itertools import cycle
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zoobot.shared.calibration import LEVELS, PIT_BINS
from zoobot.shared.classification import ALL, CONFIDENT
from zoobot.shared.metrics import Evaluation
from zoobot.shared.pages import new_figure
from zoobot.shared.schemas import Answer, Question
from zoobot.shared.training_curves import LEARNING_RATE
from zoobot.shared.volunteer_noise import PANELS
from zoobot.shared.vote_scores import FREE_BASELINE, MODEL, PUBLISHED_BASELINE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, GREY = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
    "#f0e442",
    "#7a7a7a",
)
_OF = {MODEL: BLUE, FREE_BASELINE: ORANGE, PUBLISHED_BASELINE: GREY}
_LINES = [
    {"color": color, "linestyle": dashes}
    for dashes in ("-", "--", ":")
    for color in (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, "black")
]
_SMALL = 8
_FEWEST_IN_BIN = 5


def plot_history(evaluation: Evaluation) -> "Figure | None":
    """Training and validation loss of every epoch, with the baselines' validation losses; below, the learning rate."""
    from matplotlib.ticker import MaxNLocator

    metrics = evaluation.model["metrics"]
    history = metrics["history"]
    if not history["epoch"]:
        return None
    rates = history.get(LEARNING_RATE, [])
    has_rates = len(rates) > 1 and any(rates)
    figure = new_figure(7.5, 5.2 if has_rates else 3.8)
    heights = [2.5, 1] if has_rates else [1]
    panels = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    axes = panels[0]
    axes.plot(history["epoch"], history["train/loss"], ".-", color=GREY, label="training (random views)")
    axes.plot(history["epoch"], history["validation/loss"], ".-", color=BLUE, label="validation")
    axes.plot(metrics["best_epoch"], metrics["validation_loss"], "o", color=BLUE, label="kept")
    for name, loss in metrics["validation_loss_of_baselines"].items():
        axes.axhline(loss, color=_OF[name], linestyle="--", linewidth=1, label=f"{name},\nvalidation")
    axes.set(ylabel="loss per galaxy (nats)", xlim=(0.5, max(history["epoch"]) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend(frameon=False, fontsize=_SMALL, loc="upper left", bbox_to_anchor=(1.01, 1))
    for panel in panels[1:]:
        panel.plot(history["epoch"], rates, ".-", color="black")
        panel.set(ylabel="learning rate", ylim=(0, None))
    panels[-1].set_xlabel("epoch")
    return figure


def plot_skill(evaluation: Evaluation) -> "Figure":
    """Skill of each question, with 95 % intervals."""
    kind, scores = evaluation.main
    table = scores.questions
    figure = new_figure(7.5, 1 + 0.32 * len(table))
    axes = figure.add_subplot()
    _plot_intervals(axes, table["skill"], table["skill, low"], table["skill, high"])
    axes.axvline(0, color=ORANGE, linestyle="--", linewidth=1)
    names = [f"{name} ({n:,})" for name, n in zip(table["question"], table["galaxies with votes"], strict=True)]
    axes.set_yticks(np.arange(len(table)), names, fontsize=_SMALL)
    axes.invert_yaxis()
    axes.set_xlabel(f"skill: 0 constant baseline, 1 saturated bound ({kind}; galaxies with votes)")
    return figure


def plot_errors(evaluation: Evaluation) -> "Figure":
    """Mean absolute error of each answer's vote fraction with 95 % interval, and what few volunteers alone make."""
    kind, scores = evaluation.main
    table = scores.answers
    figure = new_figure(7.5, 1 + 0.24 * len(table))
    axes = figure.add_subplot()
    _plot_intervals(axes, table["MAE"], table["MAE, low"], table["MAE, high"], label="model")
    places = np.arange(len(table))
    axes.plot(table["MAE, noise floor"], places, "|", color=VERMILION, markersize=9, mew=2, label="noise floor")
    names = [f"{row.question}: {row.answer} ({row.galaxies:,})" for row in table.itertuples()]
    axes.set_yticks(places, names, fontsize=_SMALL - 1)
    axes.invert_yaxis()
    axes.set_xlim(0, None)
    axes.set_xlabel(f"mean absolute error of vote fraction ({kind}; number of galaxies)")
    figure.legend(frameon=False, fontsize=_SMALL, loc="outside upper center", ncols=2)
    return figure


def plot_fractions(evaluation: Evaluation) -> "Figure":
    """Predicted against observed vote fractions, one panel per answer."""
    kind, scores = evaluation.main
    rows = evaluation.kinds == kind
    residuals = scores.evidence.residuals[MODEL]
    fractions = evaluation.fractions[rows]

    def draw(axes: Any, answer: Answer) -> None:
        known = ~np.isnan(residuals[:, answer.index])
        predicted = fractions[known, answer.index]
        observed = predicted - residuals[known, answer.index]
        if len(predicted):
            axes.hexbin(
                observed, predicted, gridsize=20, extent=(0, 1, 0, 1), bins="log", cmap=_dark_blues(), mincnt=1, lw=0.1
            )
        axes.plot([0, 1], [0, 1], color=VERMILION, linewidth=0.8)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), yticks=(0, 0.5, 1), aspect="equal")
        _entitle(axes, answer, len(predicted))

    return _one_panel_per_answer(evaluation, draw, "observed vote fraction", "predicted vote fraction")


def plot_panels(evaluation: Evaluation) -> "Figure | None":
    """The model's error against that of panels of volunteers, one line per question."""
    panels = evaluation.main[1].panels
    if panels is None or panels.table["MAE"].isna().all():
        return None
    known = np.flatnonzero(panels.table["MAE"].notna())
    columns = min(3, len(known))
    figure = new_figure(2.9 * columns, 2.5 * -(-len(known) // columns))
    for position, index in enumerate(known):
        row = panels.table.iloc[index]
        axes = figure.add_subplot(-(-len(known) // columns), columns, position + 1)
        axes.plot(PANELS, panels.errors[index], "o-", color=ORANGE, markersize=3, label="panel of volunteers")
        axes.axhline(row["MAE"], color=BLUE, label="model")
        worth = f"{row['bound']} {row['volunteers']:.1f}".strip()
        axes.set_title(f"{row['question']}\n{row['galaxies']:,} galaxies, worth {worth} volunteers", fontsize=_SMALL)
        axes.set_ylim(0, None)
        axes.tick_params(labelsize=_SMALL - 1)
    figure.supxlabel("volunteers on the panel", fontsize=_SMALL + 1)
    figure.supylabel("mean absolute error of vote fractions", fontsize=_SMALL + 1)
    _common_legend(figure)
    return figure


def plot_confusions(evaluation: Evaluation, galaxies: str) -> "Figure":
    """Confusion matrices of every question, as counts and as shares of each observed answer.

    Args:
        galaxies: `all` relevant ones, or those whose volunteers are `confident`.
    """
    questions = evaluation.schema.questions
    confusions = evaluation.main[1].classification.confusions
    sizes = [0.9 + 0.3 * len(question.answers) for question in questions]
    figure = new_figure(9.5, sum(sizes))
    panels = figure.subplots(len(questions), 2, squeeze=False, height_ratios=sizes)
    for (counts_axes, shares_axes), question in zip(panels, questions, strict=True):
        counts = confusions[question.text, galaxies]
        totals = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
        _draw_matrix(counts_axes, shares, [[f"{n:,}" for n in row] for row in counts], question)
        texts = [[f"{n:.2f}" if total else "–" for n in row] for row, total in zip(shares, totals[:, 0], strict=True)]
        _draw_matrix(shares_axes, shares, texts, question)
        counts_axes.set_title(f"{question.text}: {counts.sum():,} galaxies", fontsize=_SMALL)
        shares_axes.set_title("share of each observed answer", fontsize=_SMALL)
    figure.supxlabel("predicted answer", fontsize=_SMALL + 1)
    figure.supylabel("observed answer", fontsize=_SMALL + 1)
    return figure


def plot_pit(evaluation: Evaluation) -> "Figure | None":
    """Randomised PIT histograms, one panel per answer: flat if the uncertainty is right."""
    calibration = evaluation.main[1].calibration
    if calibration is None:
        return None
    edges = np.linspace(0, 1, PIT_BINS + 1)

    def draw(axes: Any, answer: Answer) -> None:
        n = int(calibration.table["galaxies"][answer.index])
        if n:
            axes.stairs(calibration.pit[answer.index], edges, color=BLUE, linewidth=1)
            # of a flat histogram, 95 % of the bars
            half = 1.96 * np.sqrt((PIT_BINS - 1) / n)
            axes.axhspan(max(0, 1 - half), 1 + half, color="black", alpha=0.12, lw=0, zorder=0)
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set(xlim=(0, 1), ylim=(0, None))
        _entitle(axes, answer, n, calibration.table["verdict"][answer.index])

    return _one_panel_per_answer(evaluation, draw, "randomised PIT", "density")


def plot_coverage(evaluation: Evaluation) -> "Figure | None":
    """How many observed votes fall into central intervals of 50, 80, 90 and 95 %, one row per answer."""
    calibration = evaluation.main[1].calibration
    if calibration is None:
        return None
    table = calibration.table
    figure = new_figure(8.5, 1 + 0.24 * len(table))
    panels = figure.subplots(1, len(LEVELS), sharey=True, squeeze=False)[0]
    for axes, level in zip(panels, LEVELS, strict=True):
        held, error = table[f"{level:.0%} interval holds"], table[f"{level:.0%} interval, standard error"]
        _plot_intervals(axes, held, held - 1.96 * error, held + 1.96 * error)
        axes.axvline(level, color=VERMILION, linewidth=1)
        axes.set_title(f"{level:.0%} intervals", fontsize=_SMALL)
        axes.tick_params(labelsize=_SMALL - 1)
    names = [f"{row.question}: {row.answer} ({row.galaxies:,})" for row in table.itertuples()]
    panels[0].set_yticks(np.arange(len(table)), names, fontsize=_SMALL - 1)
    panels[0].invert_yaxis()
    figure.supxlabel("share of galaxies whose votes are inside", fontsize=_SMALL + 1)
    return figure


def plot_reliability(evaluation: Evaluation) -> "Figure | None":
    """Mean observed against mean predicted fraction of galaxies with like predictions, one panel per question."""
    calibration = evaluation.main[1].calibration
    if calibration is None:
        return None
    curves = calibration.reliability

    def draw(axes: Any, question: Question) -> None:
        axes.plot([0, 1], [0, 1], color="black", linewidth=0.7)
        for answer, line in zip(question.answers, cycle(_LINES), strict=False):
            of_answer = (curves["question"] == question.text) & (curves["answer"] == answer.short_text)
            curve = curves[of_answer & (curves["galaxies"] >= _FEWEST_IN_BIN)]
            style = {**line, "marker": "o", "markersize": 2.5, "linewidth": 1, "elinewidth": 0.6}
            axes.errorbar(
                curve["predicted"], curve["observed"], curve["standard error"], label=answer.short_text, **style
            )
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")

    return _one_panel_per_question(evaluation, draw, "predicted vote fraction", "observed vote fraction")


def plot_roc(evaluation: Evaluation) -> "Figure":
    """ROC of the search for each answer, one panel per question."""
    return _plot_searches(evaluation, "false_positive_rate", "completeness", "false positive rate", "completeness")


def plot_purity(evaluation: Evaluation) -> "Figure":
    """Purity against completeness of the search for each answer, one panel per question."""
    return _plot_searches(evaluation, "completeness", "purity", "completeness", "purity")


def plot_posteriors(evaluation: Evaluation) -> "Figure":
    """What is predicted for four galaxies: the fraction's density, and the volunteers' votes.

    Of the question that everybody is asked; the galaxies are evenly spaced in its first answer's expected fraction.
    """
    from scipy.special import betaln, xlog1py, xlogy

    kind, _ = evaluation.main
    rows = np.flatnonzero(evaluation.kinds == kind)
    question = next(question for question in evaluation.schema.questions if question.always_asked)
    first = evaluation.fractions[rows, question.start_index]
    chosen = rows[np.argsort(first, kind="stable")[np.linspace(0, len(rows) - 1, min(4, len(rows))).astype(int)]]
    figure = new_figure(9.5, 2.9)
    panels = figure.subplots(1, len(chosen), squeeze=False)[0]
    all_votes = evaluation.catalog.rows(chosen).votes
    grid = np.linspace(0.0025, 0.9975, 400)[:, np.newaxis]
    for axes, row, votes_of_row in zip(panels, chosen, all_votes, strict=True):
        samples = evaluation.concentrations[row, question.slice].astype(float)
        votes = votes_of_row[question.slice]
        for offset, (answer, line) in enumerate(zip(question.answers, cycle(_LINES), strict=False)):
            a, b = samples[offset], samples.sum(axis=0) - samples[offset]
            density = np.exp(xlogy(a - 1, grid) + xlog1py(b - 1, -grid) - betaln(a, b)).mean(axis=1)
            axes.plot(grid, density / density.max(), label=answer.short_text, linewidth=1.2, **line)
            if votes.sum():
                share = votes[offset] / votes.sum()
                axes.plot([share], [1.04], marker="v", color=line["color"], clip_on=False)
        axes.set_title(f"{evaluation.catalog.table['id_str'][row]}\n{votes.sum():g} votes", fontsize=_SMALL, pad=12)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), yticks=[])
        axes.tick_params(labelsize=_SMALL - 1)
    figure.supxlabel(f"vote fraction: {question.text} (curves: predicted; triangles: observed)", fontsize=_SMALL + 1)
    panels[0].set_ylabel("density (of each its largest)", fontsize=_SMALL)
    _common_legend(figure)
    return figure


def plot_strata(table: pd.DataFrame, kind: str) -> "Figure":
    """Error, accuracy, skill and coverage in the strata of one column, over all questions."""
    together = table[table["question"] == "all"]
    names = [f"{row.stratum} ({row.galaxies:,})" for row in together.itertuples()]
    places = np.arange(len(together))
    figure = new_figure(9, 1.2 + 0.32 * len(together))
    panels = figure.subplots(1, 4, sharey=True, squeeze=False)[0]
    error, spread = together["error"], 1.96 * together["error, standard error"]
    _plot_intervals(panels[0], error, error - spread, error + spread)
    for axes, column in zip(panels[1:], ("accuracy", "skill", "90% interval holds"), strict=True):
        axes.plot(together[column], places, "o", color=BLUE, markersize=4)
    panels[3].axvline(0.9, color=VERMILION, linewidth=1)
    titles = ("mean absolute error", "accuracy", "skill", "90 % intervals hold")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontsize=_SMALL)
        axes.tick_params(labelsize=_SMALL - 1)
        axes.margins(x=0.15)
    panels[0].set_yticks(places, names, fontsize=_SMALL)
    panels[0].set_ylim(len(together) - 0.5, -0.5)
    panels[0].set_ylabel(together["column"].iloc[0], fontsize=_SMALL)
    figure.supxlabel(f"all questions together ({kind}; number of galaxies)", fontsize=_SMALL + 1)
    return figure


def all_figures(evaluation: Evaluation) -> Iterator[tuple[str, "Figure"]]:
    """Every figure of an evaluation that has something to show, with the name of its file; one at a time."""
    makers: dict[str, Callable[[], Figure | None]] = {
        "training": lambda: plot_history(evaluation),
        "skill": lambda: plot_skill(evaluation),
        "errors": lambda: plot_errors(evaluation),
        "fractions": lambda: plot_fractions(evaluation),
        "volunteers": lambda: plot_panels(evaluation),
        "confusion": lambda: plot_confusions(evaluation, ALL),
        "confusion_confident": lambda: plot_confusions(evaluation, CONFIDENT),
        "pit": lambda: plot_pit(evaluation),
        "coverage": lambda: plot_coverage(evaluation),
        "reliability": lambda: plot_reliability(evaluation),
        "roc": lambda: plot_roc(evaluation),
        "purity": lambda: plot_purity(evaluation),
        "posteriors": lambda: plot_posteriors(evaluation),
    }
    for name, make in makers.items():
        figure = make()
        if figure is not None:
            yield name, figure


def _plot_searches(evaluation: Evaluation, x: str, y: str, x_label: str, y_label: str) -> "Figure":
    searches = evaluation.main[1].searches

    def draw(axes: Any, question: Question) -> None:
        for answer, line in zip(question.answers, cycle(_LINES), strict=False):
            curve = searches.curves.get(answer.text)
            n = int(searches.table["searched for"][answer.index])
            if curve is not None:
                axes.plot(getattr(curve, x), getattr(curve, y), label=f"{answer.short_text} ({n:,})", lw=1.2, **line)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")

    return _one_panel_per_question(evaluation, draw, x_label, y_label)


def _one_panel_per_answer(
    evaluation: Evaluation, draw: Callable[[Any, Answer], None], x_label: str, y_label: str
) -> "Figure":
    answers = evaluation.schema.answers
    columns = min(6, len(answers))
    rows = -(-len(answers) // columns)
    figure = _grid(rows, columns, (1.75, 1.95), (1.25, 1.3))
    for answer in answers:
        axes = figure.add_subplot(rows, columns, answer.index + 1)
        draw(axes, answer)
        axes.set_xticks((0, 0.5, 1))
        axes.tick_params(labelsize=_SMALL - 2)
    figure.supxlabel(f"{x_label} ({evaluation.main[0]})", fontsize=_SMALL + 1)
    figure.supylabel(y_label, fontsize=_SMALL + 1)
    return figure


def _one_panel_per_question(
    evaluation: Evaluation, draw: Callable[[Any, Question], None], x_label: str, y_label: str
) -> "Figure":
    questions = evaluation.schema.questions
    columns = min(3, len(questions))
    figure = _grid(-(-len(questions) // columns), columns, (3.9, 2.9), (2.3, 2.3))
    for position, question in enumerate(questions):
        axes = figure.add_subplot(-(-len(questions) // columns), columns, position + 1)
        draw(axes, question)
        axes.set_title(question.text, fontsize=_SMALL)
        axes.tick_params(labelsize=_SMALL - 1)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=_SMALL - 1, frameon=False, loc="upper left", bbox_to_anchor=(1, 1), handlelength=1.8)
        else:
            axes.text(0.5, 0.5, "too few galaxies", ha="center", va="center", fontsize=_SMALL)
    figure.supxlabel(f"{x_label} ({evaluation.main[0]})", fontsize=_SMALL + 1)
    figure.supylabel(y_label, fontsize=_SMALL + 1)
    return figure


def _grid(rows: int, columns: int, pitch: tuple[float, float], panel: tuple[float, float]) -> "Figure":
    """A figure for panels of one size, placed by hand: finding the places takes longer than drawing.

    Args:
        pitch: inches from one panel to the next.
        panel: width and height of a panel, in inches.
    """
    left, top, bottom = 0.7, pitch[1] - panel[1], 0.55
    width = left + pitch[0] * (columns - 1) + max(panel[0] + 0.2, pitch[0] - 0.3)
    height = bottom + pitch[1] * rows
    figure = new_figure(width, height, layout=None)
    figure.subplots_adjust(
        left=left / width,
        right=(left + pitch[0] * (columns - 1) + panel[0]) / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=pitch[0] / panel[0] - 1,
        hspace=pitch[1] / panel[1] - 1,
    )
    return figure


def _dark_blues() -> Any:
    """Blues without the palest, which a single galaxy would have."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.35, 1, 256)))


def _entitle(axes: Any, answer: Answer, n: int, note: str = "") -> None:
    count = f"{n:,} galaxies" + (f": {note}" if note else "")
    lines = [fill(text, 30) for text in (answer.question.text, answer.short_text, count)]
    axes.set_title("\n".join(lines), fontsize=_SMALL - 2)


def _draw_matrix(axes: Any, shares: Any, texts: list[list[str]], question: Question) -> None:
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            color = "white" if shares[row][column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=_SMALL, color=color)
    names = [answer.short_text for answer in question.answers]
    axes.set_xticks(range(len(names)), names, fontsize=_SMALL - 1)
    axes.set_yticks(range(len(names)), names, fontsize=_SMALL - 1)


def _plot_intervals(axes: Any, values: Any, low: Any, high: Any, label: str | None = None) -> None:
    """Values with their intervals, from top to bottom; what is unknown is left out."""
    places = np.arange(len(values))
    axes.hlines(places, low, high, color=BLUE, linewidth=1.5)
    axes.plot(values, places, "o", color=BLUE, markersize=4, label=label)


def _common_legend(figure: "Figure") -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=_SMALL, loc="outside upper center", ncols=len(labels))

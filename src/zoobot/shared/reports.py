"""An evaluation as one self-contained HTML page, figures (PNG and PDF), tables (CSV and LaTeX) and one JSON."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from zoobot.config import EvaluateSettings
from zoobot.shared import report_figures
from zoobot.shared.comparisons import Comparison, compare
from zoobot.shared.metrics import Evaluation
from zoobot.shared.metrics import evaluate as evaluate_predictions
from zoobot.shared.pages import as_data, literal_text, render_page
from zoobot.shared.predictions import read_predictions
from zoobot.shared.provenance import describe_machine
from zoobot.shared.report_galleries import build_galleries
from zoobot.shared.run_folders import open_run, write_atomically
from zoobot.shared.schema_drawings import to_svg
from zoobot.shared.schemas import Schema
from zoobot.shared.scores import plain_rows
from zoobot.shared.strata import score_strata
from zoobot.shared.training_curves import say_timing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KEY_COLUMNS = {
    "questions": ["question", "galaxies with votes", "loss, model", "loss, free constant baseline", "skill"],
    "vote_fractions": ["question", "answer", "galaxies", "bias", "MAE", "MAE, noise floor", "RMSE"],
    "calibration": ["question", "answer", "galaxies", "90% interval holds", "spread", "calibration error", "verdict"],
}
"""What of wide tables is shown on the page and set in LaTeX; CSV has all columns."""


@dataclass(frozen=True)
class Report:
    """What is written beside the evaluation itself.

    Args:
        strata: column of the catalog -> scores by its values.
        comparison: with other predictions, if any were given.
        provenance: what the evaluation was made with and from.
    """

    strata: dict[str, pd.DataFrame]
    comparison: Comparison | None
    provenance: dict[str, Any]


def evaluate(
    predictions: str | Path,
    catalog: str | Path | pd.DataFrame,
    output: str | Path,
    settings: EvaluateSettings | None = None,
    *,
    schema: str | Path | Schema | None = None,
) -> Evaluation:
    """Score predictions against votes (`metrics.evaluate`) and write the report into `output`.

    Raises:
        PredictionError, CatalogError: see `metrics.evaluate`; or predictions to compare with do not fit, or the catalog
            lacks a column of `settings.by`.
        OutputError: `output` holds something else.
    """
    settings = settings or EvaluateSettings()
    started = time.perf_counter()
    loaded = read_predictions(predictions)
    evaluation = evaluate_predictions(loaded, catalog, settings, schema=schema)
    others = [(str(folder), read_predictions(folder)) for folder in settings.compare]
    inputs = {
        "weights": evaluation.model["weights_sha256"],
        "predictions": str(Path(predictions).resolve()),
        "catalog": evaluation.catalog.checksum(),
        **{f"weights of {name}": other.model["weights_sha256"] for name, other in others},
    }
    comparison = compare(evaluation, others, str(predictions), settings) if others else None
    report = build_report(evaluation, comparison, {**inputs, "seconds to evaluate": time.perf_counter() - started})
    write_report(evaluation, open_run(output, "evaluate", settings, inputs), report)
    return evaluation


def build_report(
    evaluation: Evaluation, comparison: Comparison | None = None, inputs: Mapping[str, Any] | None = None
) -> Report:
    """The strata that the settings ask for, and the provenance."""
    scores = evaluation.main[1]
    galaxies = evaluation.catalog.rows(evaluation.kinds == evaluation.main[0])
    strata = {column: score_strata(galaxies, column, scores, evaluation.schema) for column in evaluation.settings.by}
    config = evaluation.model["config"]
    provenance = {
        "evaluation": {**describe_machine(), **dict(inputs or {})},
        "settings of the evaluation": evaluation.settings.model_dump(mode="json"),
        "model": {
            "weights_sha256": evaluation.model["weights_sha256"],
            "framework": config["framework"],
            "architecture": config["architecture"],
            **{f"version of {name}": version for name, version in config["versions"].items()},
            **{f"galaxies, {name}": count for name, count in config["split"]["galaxies"].items()},
            "seed of the split": config["split"]["seed"],
            **{f"{name}, training": value for name, value in config.get("hardware", {}).items()},
        },
        "settings of the training": config["settings"],
    }
    return Report(strata, comparison, provenance)


def write_report(evaluation: Evaluation, folder: Path, report: Report | None = None) -> Path:
    """Write `report.html`, `metrics.json`, `figures/` and `tables/`; returns the page."""
    report = report or build_report(evaluation)
    for name in ("figures", "tables"):
        (folder / name).mkdir(exist_ok=True)
    tables = _collect_tables(evaluation, report)
    for name, table in tables.items():
        write_atomically(folder / "tables" / f"{name}.csv", table.to_csv(index=False))
        write_atomically(folder / "tables" / f"{name}.tex", to_latex(_key_columns(name, table)))
    content = {
        **evaluation.to_dict(),
        "strata": {column: plain_rows(table) for column, table in report.strata.items()},
        "comparison": plain_rows(report.comparison.table) if report.comparison else None,
        "provenance": report.provenance,
    }
    write_atomically(folder / "metrics.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    with literal_text():
        figures = {name: _save(figure, folder / "figures" / name) for name, figure in _figures(evaluation, report)}
    page = folder / "report.html"
    write_atomically(page, _render(evaluation, report, figures))
    return page


def to_latex(table: pd.DataFrame) -> str:
    """A table in LaTeX (booktabs), with escaped texts and a dash for what is unknown."""
    shown = table.rename(columns=str)
    return str(shown.to_latex(index=False, escape=True, na_rep="--", float_format="%.3f", longtable=len(table) > 40))


def _collect_tables(evaluation: Evaluation, report: Report) -> dict[str, pd.DataFrame]:
    tables = {
        f"{name}_{kind.replace(' ', '_')}": table
        for kind, scores in evaluation.scores.items()
        for name, table in scores.tables.items()
    }
    tables |= {f"by_{_as_file_name(column)}": table for column, table in report.strata.items()}
    if report.comparison is not None:
        tables["comparison"] = report.comparison.table
    return tables


def _as_file_name(column: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in column)


def _key_columns(name: str, table: pd.DataFrame) -> pd.DataFrame:
    columns = next((columns for start, columns in _KEY_COLUMNS.items() if name.startswith(start)), list(table))
    return table[columns]


def _figures(evaluation: Evaluation, report: Report) -> "list[tuple[str, Figure]]":
    kind = evaluation.main[0]
    strata = [
        (f"by_{_as_file_name(column)}", report_figures.plot_strata(table, kind))
        for column, table in report.strata.items()
    ]
    return [*report_figures.all_figures(evaluation), *strata]


def _save(figure: "Figure", path: Path) -> str:
    """Write a figure as PNG and PDF, without dates; returns the PNG as a data address."""
    png, pdf = BytesIO(), BytesIO()
    figure.savefig(png, format="png", dpi=130, metadata={"Software": None})
    figure.set_layout_engine("none")  # laid out once, not anew for the other format
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    write_atomically(path.with_name(path.name + ".png"), png.getvalue())
    write_atomically(path.with_name(path.name + ".pdf"), pdf.getvalue())
    return as_data("image/png", png.getvalue())


def _render(evaluation: Evaluation, report: Report, figures: Mapping[str, str]) -> str:
    kind, scores = evaluation.main
    config = evaluation.model["config"]
    votes = evaluation.catalog.votes[evaluation.kinds == kind]
    return render_page(
        "report.html",
        evaluation=evaluation,
        report=report,
        kind=kind,
        scores=scores,
        config=config,
        training_time=say_timing(evaluation.model["metrics"], config),
        figures=figures,
        tables={name: _key_columns(name, table) for name, table in scores.tables.items()},
        galleries=build_galleries(evaluation),
        tree=Markup(to_svg(evaluation.schema, votes.sum(axis=0))),
        strata_figures={column: figures[f"by_{_as_file_name(column)}"] for column in report.strata},
        votes_for_fractions=evaluation.settings.votes_for_fractions,
        volunteers=_describe_votes(votes, evaluation.schema),
    )


def _describe_votes(votes: np.ndarray[Any, Any], schema: Schema) -> pd.DataFrame:
    """Of each question: galaxies with votes, and the quartiles of their number."""
    rows = []
    for question in schema.questions:
        totals = votes[:, question.slice].sum(axis=1)
        asked = totals[totals > 0]
        quartiles = np.percentile(asked, (25, 50, 75)) if len(asked) else (np.nan,) * 3
        row = {"question": question.text, "galaxies with votes": len(asked), "share": len(asked) / len(votes)}
        rows.append(row | dict(zip(("votes, 25 %", "median", "75 %"), quartiles, strict=True)))
    return pd.DataFrame(rows)

"""Checking a catalog: one pass over its rows, a summary for the terminal, a page and tables of bad rows."""

import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from markupsafe import Markup
from rich.progress import Progress

from zoobot.config import CatalogCheckSettings
from zoobot.errors import CatalogError
from zoobot.shared import catalogs
from zoobot.shared.catalog_faults import find_faults, find_file_columns
from zoobot.shared.catalog_images import find_image_faults
from zoobot.shared.catalog_totals import Suggestion, VoteTotals, suggest_parents
from zoobot.shared.fault_findings import Fault, Findings
from zoobot.shared.fault_kinds import FEW_VOTES, NO_FILE, Kind
from zoobot.shared.pages import figure_as_data, literal_text, new_figure, render_page
from zoobot.shared.prepared_images import CATALOG, is_prepared
from zoobot.shared.run_folders import open_run, write_atomically
from zoobot.shared.schema_drawings import to_svg
from zoobot.shared.schemas import Schema, load_schema
from zoobot.shared.tables import as_objects, count_rows, iter_table, read_column_names, refuse_repeated_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OTHER_TREE = (
    "If these questions were really asked so, give a tree that says it: 'zoobot schema show {tree} --output tree.yaml' "
    "writes one to change, and 'zoobot schema list' shows the published ones."
)


class RejectedCatalogError(CatalogError):
    """A catalog has rows or columns that cannot be used; `report` says which."""

    def __init__(self, report: "CatalogReport") -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class CatalogReport:
    """What a catalog holds and what is wrong with it.

    Args:
        source: what to call the catalog.
        columns: names of its columns.
        column_faults: what is wrong with columns; then no row can be used.
        findings: what is wrong with rows.
        totals: votes of each question.
        suggestions: questions that look asked after other answers than the tree says.
        page: the HTML page, where an output folder was given.
    """

    source: str
    schema: Schema
    columns: list[str]
    column_faults: list[str]
    findings: Findings
    totals: VoteTotals
    suggestions: list[Suggestion] = field(default_factory=list)
    page: Path | None = None

    @property
    def n_rejected(self) -> int:
        """Rows that cannot be used: all of them where a column is at fault."""
        return self.findings.n_rows if self.column_faults else len(self.findings.rows(rejected=True))

    @property
    def rejections(self) -> list[str]:
        """What keeps columns or rows from being used, one sentence each."""
        return [*self.column_faults, *self.findings.sentences(rejected=True)]

    @property
    def warnings(self) -> list[str]:
        """What looks odd but can be used, one sentence each."""
        remedy = [_OTHER_TREE.format(tree=self.schema.name)] if self.suggestions else []
        return [*self.findings.sentences(rejected=False), *map(str, self.suggestions), *remedy]

    def __str__(self) -> str:
        galaxies = f"{self.source}: {self.findings.n_rows:,} galaxies, "
        verdict = f"{self.n_rejected:,} cannot be used." if self.rejections else "no faults."
        lines = [galaxies + verdict]
        for title, sentences in (("Rejected", self.rejections), ("Warnings", self.warnings)):
            lines += ["", f"{title}:", *(f"- {sentence}" for sentence in sentences)] if sentences else []
        table = self.totals.to_table().to_string(index=False, float_format=lambda number: f"{number:.1f}")
        lines += ["", table]
        lines += ["", f"Report: {self.page}"] if self.page else []
        return "\n".join(lines)


def check(
    catalog: str | Path | pd.DataFrame,
    schema: str | Path | Schema,
    output: str | Path | None = None,
    settings: CatalogCheckSettings | None = None,
) -> CatalogReport:
    """Check a catalog against a schema, without training anything.

    Args:
        catalog: a table (file or DataFrame) with `id_str`, `file_loc` and one column of votes per answer, or a folder
            of prepared images.
        schema: the tree: a name, a YAML file or a `Schema`.
        output: a folder for `catalog_report.html`, `rejected.csv` and `warnings.csv`: one line per row and kind of
            fault, with `row` (from 1), `id_str`, `column`, `value`, `reason` and `remedy`.
        settings: see `zoobot.config.CatalogCheckSettings`.

    Raises:
        RejectedCatalogError: rows or columns cannot be used; its message has every fault and its `report` the rest.
        CatalogError: the catalog cannot be read at all.
    """
    settings = settings or CatalogCheckSettings()
    tree = load_schema(schema)
    if not isinstance(catalog, pd.DataFrame) and is_prepared(catalog):
        catalog = Path(catalog) / CATALOG
    if output is None:
        report = _inspect(catalog, tree, settings, Findings())
    else:
        inputs = {"catalog": str(catalogs.folder_of(catalog) / catalogs.source_of(catalog)), "schema": tree.to_dict()}
        folder = open_run(output, "catalog check", settings, inputs)
        with FaultLists(folder) as lists:
            report = _inspect(catalog, tree, settings, Findings(lists.add))
            lists.add_columns(report.column_faults)
        report = dataclasses.replace(report, page=folder / "catalog_report.html")
        write_atomically(folder / "catalog_report.html", _render(report))
    if report.rejections:
        raise RejectedCatalogError(report)
    return report


class FaultLists:
    """`rejected.csv` and `warnings.csv` of a folder, written line by line, there at the end or not at all."""

    def __init__(self, folder: Path) -> None:
        self._paths = {True: folder / "rejected.csv", False: folder / "warnings.csv"}

    def __enter__(self) -> "FaultLists":
        self._partial = {rejected: path.with_name(f".{path.name}.partial") for rejected, path in self._paths.items()}
        for path in self._partial.values():
            catalogs.no_rejected_rows().to_csv(path, index=False)
        return self

    def add(self, kind: Kind, lines: pd.DataFrame) -> None:
        lines.to_csv(self._partial[kind.rejected], mode="a", header=False, index=False)

    def add_columns(self, faults: Sequence[str]) -> None:
        """Faults of whole columns: no row, and all in one sentence."""
        lines = catalogs.no_rejected_rows().assign(reason=list(faults))
        lines.to_csv(self._partial[True], mode="a", header=False, index=False)

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        for rejected, partial in self._partial.items():
            if error is None:
                os.replace(partial, self._paths[rejected])
            else:
                partial.unlink(missing_ok=True)


def _inspect(
    catalog: str | Path | pd.DataFrame, schema: Schema, settings: CatalogCheckSettings, findings: Findings
) -> CatalogReport:
    source = catalogs.source_of(catalog)
    totals = VoteTotals(schema)
    columns, n_rows, batches = _open(catalog, schema)

    def tables() -> Iterator[pd.DataFrame]:
        with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("Checking rows", total=n_rows)
            for table in batches:
                if len(table):
                    yield catalogs.fill_missing_votes(table, schema) if settings.fill_missing_votes else table
                progress.advance(task, len(table))

    ids, images = find_faults(
        tables(),
        schema,
        findings,
        weighted=settings.weighted_votes,
        min_votes=settings.min_votes,
        on_votes=totals.add,
    )
    if not findings.n_rows:
        raise CatalogError(f"The catalog {source} is empty: it has no rows. Give it one row per galaxy.")
    if settings.files or settings.open_images:
        for column, files in images.items():
            _look_at_files(catalogs.folder_of(catalog), ids, column, files, settings, findings)
    column_faults = catalogs.find_column_faults(columns, schema)
    few = findings.found.get(FEW_VOTES)
    if few is not None and few.count == findings.n_rows:
        column_faults.append(f"No galaxy has {settings.min_votes} votes for a first question. Lower --min-votes.")
    return CatalogReport(source, schema, columns, column_faults, findings, totals, suggest_parents(totals, columns))


def _open(catalog: str | Path | pd.DataFrame, schema: Schema) -> tuple[list[str], int | None, Iterator[pd.DataFrame]]:
    """All columns of a catalog, its number of rows if known, and batches of rows with at least the checked columns."""
    if isinstance(catalog, pd.DataFrame):
        refuse_repeated_columns(list(catalog.columns), "in memory")
        starts = range(0, len(catalog), catalogs.BATCH_ROWS)
        batches = (catalog.iloc[start : start + catalogs.BATCH_ROWS] for start in starts)
        return [str(name) for name in catalog.columns], len(catalog), batches
    columns = read_column_names(catalog)
    checked = ["id_str", *find_file_columns(columns), *schema.label_cols]
    return columns, count_rows(catalog), iter_table(catalog, catalogs.BATCH_ROWS, columns=checked)


def _look_at_files(
    folder: Path,
    ids: pa.ChunkedArray,
    column: str,
    files: pa.ChunkedArray,
    settings: CatalogCheckSettings,
    findings: Findings,
) -> None:
    """Is every image there, and, when asked, can it be read and is something to be seen on it?"""
    names = as_objects(files)
    rows = np.array([row for row, name in enumerate(names) if name.strip()], np.int64)
    paths = [os.path.join(folder, name) for name in names[rows]]
    there = np.array([os.path.isfile(path) for path in paths], bool)
    missing = rows[~there]
    findings.add(Fault.of_column(NO_FILE, missing, column, names[missing]), 0, ids)
    if settings.open_images:
        found = [path for path, is_file in zip(paths, there, strict=True) if is_file]
        with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("Opening images", total=len(found))
            opened = find_image_faults(column, found, rows[there], settings.workers, lambda: progress.advance(task))
            for fault in opened:
                findings.add(fault, 0, ids)


def _render(report: CatalogReport) -> str:
    with literal_text():
        histograms = figure_as_data(plot_votes_per_question(report.totals))
    return render_page(
        "catalog_report.html",
        report=report,
        questions=report.totals.to_table(),
        histograms=histograms,
        tree=Markup(to_svg(report.schema, report.totals.answers)),
        other_columns=[column for column in report.columns if column not in report.schema.label_cols],
    )


def plot_votes_per_question(totals: VoteTotals) -> "Figure":
    """How many galaxies have so many votes, one panel per question."""
    questions = totals.schema.questions
    columns = min(4, len(questions))
    rows = -(-len(questions) // columns)
    figure = new_figure(2.9 * columns, 2.1 * rows)
    for position, (question, counts) in enumerate(zip(questions, totals.histograms, strict=True)):
        axes = figure.add_subplot(rows, columns, position + 1)
        axes.set_title(question.text, fontsize=9)
        axes.tick_params(labelsize=7)
        if position // columns == rows - 1 or position + columns >= len(questions):
            axes.set_xlabel("votes", fontsize=8)
        if not position % columns:
            axes.set_ylabel("galaxies", fontsize=8)
        if counts[1:].any():
            edges, heights = _bin_votes(counts)
            axes.stairs(heights, edges, fill=True, color="#1f6f8b")
        else:
            axes.text(0.5, 0.5, "no votes", ha="center", va="center", fontsize=8, transform=axes.transAxes)
        if counts[0]:
            note = f"{counts[0]:,} without votes"
            axes.text(0.97, 0.95, note, ha="right", va="top", fontsize=7, transform=axes.transAxes)
    return figure


def _bin_votes(counts: npt.NDArray[np.int64], most: int = 40) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Bins of equal whole width for the numbers above 0, up to the one that 99.9 % of galaxies do not exceed."""
    above = counts[1:]
    last = int(np.searchsorted(np.cumsum(above), 0.999 * above.sum())) + 1
    width = -(-last // most)
    edges = np.arange(1, last + width + 1, width)
    kept = np.append(above[: edges[-1] - 1], np.zeros(max(0, edges[-1] - 1 - len(above)), np.int64))
    kept[-1] += above[edges[-1] - 1 :].sum()
    return edges - 0.5, kept.reshape(-1, width).sum(axis=1)

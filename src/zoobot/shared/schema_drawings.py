"""Decision trees as pictures, in the manner of the Galaxy Zoo papers.

As in Figure 4 of Walmsley et al. 2022 (MNRAS 509, 3966), the colour of a question is that of its level in the tree.
"""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from zoobot.config import CatalogSettings
from zoobot.errors import CatalogError, OutputError, SettingError
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.schema_boxes import (
    ANSWER_SIZE,
    LINE_HEIGHT,
    NAME_SIZE,
    NOTE_SIZE,
    PADDING,
    TITLE_SIZE,
    Box,
    Cell,
    wrap,
)
from zoobot.shared.schema_layouts import Layout, lay_out
from zoobot.shared.schemas import Schema, load_schema

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)

# Brown, green, blue, purple as in the paper, then orange and grey; then again. Any two differ by a CIELAB distance of
# 23 or more, also for protanopes, deuteranopes and tritanopes (Machado et al. 2009).
_COLORS = ("#7f4f10", "#1b9e77", "#1b4fa8", "#c070c0", "#e08214", "#4d4d4d")
_INK, _FAINT_INK, _PAPER, _EDGE = "#1a1a1a", "#5a5a5a", "#ffffff", "#b5b5b5"
_WAY_WIDTHS = 1.6, 13.0
_PIXELS_PER_INCH, _PNG_SCALE, _PNG_LIMIT = 96.0, 2.0, 30_000.0


@dataclass(frozen=True)
class Drawing:
    """A picture on disk."""

    path: Path
    schema: Schema
    n_galaxies: int | None = None

    def __str__(self) -> str:
        votes = "" if self.n_galaxies is None else f" with the votes on {self.n_galaxies:,} galaxies"
        size = f"{len(self.schema.questions)} questions, {len(self.schema.answers)} answers"
        return f"Drew '{self.schema.name}' ({size}){votes}: {self.path}"


@dataclass(frozen=True)
class _Rectangle:
    left: float
    top: float
    width: float
    height: float
    fill: str
    edge: str
    radius: float


@dataclass(frozen=True)
class _Line:
    """Straight to the second point, curved to the third, straight to the fourth ..."""

    points: list[tuple[float, float]]
    width: float
    color: str


@dataclass(frozen=True)
class _Text:
    """One line of text, centred at x, its letters standing on y."""

    x: float
    y: float
    text: str
    size: float
    color: str
    bold: bool = False


_Mark = _Rectangle | _Line | _Text


def draw(schema: str | Path | Schema, output: str | Path, catalog: str | Path | None = None) -> Drawing:
    """Draw a decision tree.

    Args:
        schema: a published tree's name, a YAML file, or a `Schema`.
        output: the picture to write, `.svg` or `.png`; one that is there is replaced.
        catalog: a table whose votes are shown at each answer and as the width of the way from it.

    Raises:
        SettingError: `output` ends in neither.
        OutputError: it cannot be written.
        SchemaError, CatalogError: the tree or the table is faulty.
    """
    path = Path(output)
    if path.suffix.lower() not in {".svg", ".png"}:
        raise SettingError(f"A drawing must end in .svg or .png. Got '{output}' instead.")
    tree = load_schema(schema)
    table = None if catalog is None else load_catalog(catalog, tree, CatalogSettings(weighted_votes=True))
    votes = None if table is None else table.votes.sum(axis=0)
    content = to_svg(tree, votes) if path.suffix.lower() == ".svg" else to_png(tree, votes)
    try:
        if path.is_dir():
            raise OutputError(f"The output '{path}' is a folder. Give a file in it, such as {path / 'tree.svg'}.")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"The drawing '{path}' cannot be written: {error.strerror}.") from error
    return Drawing(path, tree, None if table is None else len(table))


def to_svg(schema: Schema, votes: npt.ArrayLike | None = None) -> str:
    """The tree as one `<svg>` element, for a file or a page: the same tree and votes give the same text.

    Args:
        schema: the tree.
        votes: `(answer,)`, votes of all galaxies for each answer.
    """
    layout, marks = _compose(schema, votes)
    width, height = _number(layout.width), _number(layout.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="width:100%;max-width:{width}px;height:auto" '
        'font-family="system-ui, sans-serif" text-anchor="middle">'
    )
    title = f"<title>{escape(wrap(schema.name, np.inf, TITLE_SIZE)[0])}</title>"
    paper = f'<rect width="{width}" height="{height}" fill="{_PAPER}"/>'
    return "\n".join([head, title, paper, *map(_to_element, marks), "</svg>"]) + "\n"


def to_png(schema: Schema, votes: npt.ArrayLike | None = None) -> bytes:
    """The picture of `to_svg` as PNG, with two pixels for each of a screen."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout, marks = _compose(schema, votes)
    figure = Figure((layout.width / _PIXELS_PER_INCH, layout.height / _PIXELS_PER_INCH), facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, layout.width), ylim=(layout.height, 0))
    axes.set_axis_off()
    scale = min(_PNG_SCALE, _PNG_LIMIT / max(layout.width, layout.height))
    buffer = BytesIO()
    literal = {"text.parse_math": False, "text.usetex": False, "font.family": ["DejaVu Sans"]}
    with matplotlib.rc_context(literal), warnings.catch_warnings(record=True) as caught:  # type: ignore[arg-type]
        warnings.simplefilter("always")
        for order, mark in enumerate(marks):
            _add_artist(axes, mark, order)
        figure.savefig(buffer, format="png", dpi=scale * _PIXELS_PER_INCH, metadata={"Software": None})
    if any("missing from" in str(warning.message) for warning in caught):
        logger.warning("The PNG's font lacks some characters of '%s': draw it as .svg instead.", schema.name)
    return buffer.getvalue()


def _compose(schema: Schema, votes: npt.ArrayLike | None) -> tuple[Layout, list[_Mark]]:
    """The page and what stands on it, from the back to the front."""
    counts = None if votes is None else _check_votes(votes, schema)
    layout = lay_out(schema, {} if counts is None else _note_votes(schema, counts))
    level = {box.question.text: box.level for box in layout.boxes}
    widths = np.full(len(schema.answers), _WAY_WIDTHS[0])
    if counts is not None and counts.any():
        most = max(counts[question.slice].sum() for question in schema.questions)
        widths = np.maximum(widths, _WAY_WIDTHS[1] * counts / most)
    ways = [
        _Line(way.points, float(widths[way.answer.index]), _tint(_color(level[way.answer.question.text]), 0.5))
        for way in layout.ways
    ]
    ways.sort(key=lambda way: -way.width)
    leading = {way.answer.text for way in layout.ways}
    return layout, [*ways, *(mark for box in layout.boxes for mark in _draw_box(box, leading))]


def _check_votes(votes: npt.ArrayLike, schema: Schema) -> npt.NDArray[np.float64]:
    counts = np.asarray(votes, dtype=np.float64)
    if counts.shape != (len(schema.answers),) or not np.isfinite(counts).all() or (counts < 0).any():
        raise CatalogError(
            f"votes must be {len(schema.answers)} finite numbers from 0, one for each answer of '{schema.name}'. "
            f"Got shape {counts.shape} instead; for a catalog's votes (galaxy, answer), give votes.sum(axis=0)."
        )
    return counts


def _note_votes(schema: Schema, counts: npt.NDArray[np.float64]) -> dict[str, list[str]]:
    """Answer's column -> its votes and their share of its question's."""
    notes = {}
    for answer in schema.answers:
        count, total = counts[answer.index], counts[answer.question.slice].sum()
        share = "<1%" if 0 < count < 0.005 * total else f"{count / total:.0%}" if total else "–"
        notes[answer.text] = [f"{count:,.0f}" if count >= 100 else f"{count:.3g}", share]
    return notes


def _draw_box(box: Box, leading: set[str]) -> Iterator[_Mark]:
    color = _color(box.level)
    yield _Rectangle(box.left, box.top, box.width, box.height, _tint(color, 0.16), color, 7)
    middle, y = box.left + box.width / 2, box.top + PADDING
    for line in box.title:
        yield _Text(middle, y + TITLE_SIZE, line, TITLE_SIZE, _INK, bold=True)
        y += LINE_HEIGHT * TITLE_SIZE
    for line in box.name:
        yield _Text(middle, y + NAME_SIZE, line, NAME_SIZE, _FAINT_INK)
        y += LINE_HEIGHT * NAME_SIZE
    for cell in box.cells:
        yield from _draw_cell(cell, y + PADDING, box.cells_height, color if cell.answer.text in leading else _EDGE)


def _draw_cell(cell: Cell, top: float, height: float, edge: str) -> Iterator[_Mark]:
    yield _Rectangle(cell.left, top, cell.width, height, _PAPER, edge, 4)
    middle, foot = cell.left + cell.width / 2, top + height - PADDING / 2 - LINE_HEIGHT * NOTE_SIZE * len(cell.notes)
    y = (top + PADDING / 2 + foot - LINE_HEIGHT * ANSWER_SIZE * len(cell.lines)) / 2
    for row, line in enumerate(cell.lines):
        yield _Text(middle, y + ANSWER_SIZE * (1 + LINE_HEIGHT * row), line, ANSWER_SIZE, _INK)
    for row, line in enumerate(cell.notes):
        yield _Text(middle, foot + NOTE_SIZE * (1 + LINE_HEIGHT * row), line, NOTE_SIZE, _FAINT_INK)


def _color(level: int) -> str:
    return _COLORS[level % len(_COLORS)]


def _tint(color: str, share: float) -> str:
    """The colour mixed with white."""
    channels = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - share * (255 - channel)):02x}" for channel in channels)


def _to_element(mark: _Mark) -> str:
    if isinstance(mark, _Text):
        bold = ' font-weight="bold"' if mark.bold else ""
        return (
            f'<text x="{_number(mark.x)}" y="{_number(mark.y)}" font-size="{_number(mark.size)}"{bold} '
            f'fill="{mark.color}">{escape(mark.text)}</text>'
        )
    if isinstance(mark, _Line):
        return f'<path d="{_to_path(mark)}" fill="none" stroke="{mark.color}" stroke-width="{_number(mark.width)}"/>'
    return (
        f'<rect x="{_number(mark.left)}" y="{_number(mark.top)}" width="{_number(mark.width)}" '
        f'height="{_number(mark.height)}" rx="{_number(mark.radius)}" fill="{mark.fill}" stroke="{mark.edge}"/>'
    )


def _to_path(line: _Line) -> str:
    steps = [f"M{_point(line.points[0])}"]
    for order, ((x, y), (next_x, next_y)) in enumerate(pairwise(line.points)):
        half = (y + next_y) / 2
        bend = f"C{_point((x, half))} {_point((next_x, half))} " if order % 2 else "L"
        steps.append(bend + _point((next_x, next_y)))
    return "".join(steps)


def _point(point: tuple[float, float]) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _add_artist(axes: "Axes", mark: _Mark, order: int) -> None:
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.path import Path as Outline

    points = 72 / _PIXELS_PER_INCH
    if isinstance(mark, _Text):
        weight = "bold" if mark.bold else "normal"
        text = axes.text(mark.x, mark.y, mark.text, ha="center", va="baseline", zorder=order)
        text.set(size=mark.size * points, color=mark.color, weight=weight)
    elif isinstance(mark, _Line):
        vertices, codes = [mark.points[0]], [Outline.MOVETO]
        for step, ((x, y), end) in enumerate(pairwise(mark.points)):
            half = (y + end[1]) / 2
            vertices += [(x, half), (end[0], half), end] if step % 2 else [end]
            codes += [Outline.CURVE4] * 3 if step % 2 else [Outline.LINETO]
        axes.add_patch(
            PathPatch(Outline(vertices, codes), fill=False, ec=mark.color, lw=mark.width * points, zorder=order)
        )
    else:
        axes.add_patch(
            FancyBboxPatch(
                (mark.left, mark.top),
                mark.width,
                mark.height,
                boxstyle=f"round,pad=0,rounding_size={mark.radius}",
                fc=mark.fill,
                ec=mark.edge,
                lw=points,
                zorder=order,
            )
        )

"""The questions of a decision tree as boxes: their texts in lines, their answers in cells beside each other.

All lengths are in pixels of a screen, 1/96 inch; y points down.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from zoobot.shared.schemas import Answer, Question

TITLE_SIZE, NAME_SIZE, ANSWER_SIZE, NOTE_SIZE = 13.0, 9.5, 11.0, 10.0
LINE_HEIGHT = 1.25
BOLD = 1.1
"""How much wider bold letters are."""
PADDING = 6.0
_CELL_GAP = 4.0
_CELL_WIDTHS = 42.0, 88.0
_TITLE_WIDTH = 190.0
# Letters' widths in units of the font's size: no less than in DejaVu Sans, which is wider than most.
_NARROW = {
    **dict.fromkeys("ijlI|'", 0.31),
    **dict.fromkeys("ftrJ -.,:;()[]/\\!", 0.42),
    **dict.fromkeys("mMwW%@&", 1.0),
}
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Cell:
    """An answer in its question's box: `lines` of text, then `notes`."""

    answer: Answer
    left: float
    width: float
    lines: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Box:
    """A question; `left` of its cells counts from the page's left edge, as `left` and `top` do."""

    question: Question
    level: int
    left: float
    top: float
    width: float
    height: float
    cells_height: float
    title: list[str]
    name: list[str]
    cells: list[Cell]

    def moved(self, left: float, top: float) -> "Box":
        """The same box with its upper left corner there."""
        cells = [replace(cell, left=cell.left + left - self.left) for cell in self.cells]
        return replace(self, left=left, top=top, cells=cells)


@lru_cache(10_000)
def text_width(text: str, size: float) -> float:
    """Room for a text of that font size; no font is read, since the reader's may be another."""
    return size * sum(
        1.0 if letter > "\u2e7f" else _NARROW.get(letter, 0.8 if letter.isupper() else 0.65) for letter in text
    )


def wrap(text: str, width: float, size: float) -> list[str]:
    """The text in lines of at most that width, cut at spaces, `-` and `_` where it can be."""
    clean = _NOT_IN_XML.sub("\ufffd", " ".join(text.split()))
    lines = [""]
    for piece in re.findall(r"[^\s_-]*[_-]+|[^\s_-]+|\s", clean):
        fits = text_width(lines[-1] + piece, size) <= width
        for part in [piece] if fits or text_width(piece, size) <= width else piece:
            if lines[-1].strip() and text_width(lines[-1] + part, size) > width:
                lines.append("")
            lines[-1] += part
    return [line.strip() for line in lines if line.strip()] or [""]


def _wrap_evenly(text: str, width: float, size: float) -> list[str]:
    """As few lines as in that width, of about the same length."""
    lines = wrap(text, width, size)
    while width > size and len(narrower := wrap(text, width - size / 2, size)) == len(lines):
        width -= size / 2
        lines = narrower
    return lines


def measure_box(question: Question, level: int, notes: Mapping[str, Sequence[str]]) -> Box:
    """The question's box, with its upper left corner at 0, 0."""
    cells = []
    for answer in question.answers:
        lines = wrap(answer.display_text, _CELL_WIDTHS[1], ANSWER_SIZE)
        noted = [line for note in notes.get(answer.text, ()) for line in wrap(note, _CELL_WIDTHS[1], NOTE_SIZE)]
        width = max(_widest(lines, ANSWER_SIZE), _widest(noted, NOTE_SIZE)) + 2 * PADDING
        cells.append(Cell(answer, 0, max(width, _CELL_WIDTHS[0]), lines, noted))
    cells_width = sum(cell.width for cell in cells) + _CELL_GAP * (len(cells) - 1)
    head_width = max(cells_width, _TITLE_WIDTH)
    title = _wrap_evenly(question.display_text, head_width / BOLD, TITLE_SIZE)
    name = wrap(question.text, head_width, NAME_SIZE)
    inner = max(cells_width, BOLD * _widest(title, TITLE_SIZE), _widest(name, NAME_SIZE))
    cells_height = max(_cell_height(cell) for cell in cells)
    height = LINE_HEIGHT * (len(title) * TITLE_SIZE + len(name) * NAME_SIZE) + cells_height + 3 * PADDING
    stretched = _stretch(cells, (inner - cells_width) / len(cells))
    return Box(question, level, 0, 0, inner + 2 * PADDING, height, cells_height, title, name, stretched)


def _widest(lines: Iterable[str], size: float) -> float:
    return max((text_width(line, size) for line in lines), default=0.0)


def _cell_height(cell: Cell) -> float:
    return LINE_HEIGHT * (len(cell.lines) * ANSWER_SIZE + len(cell.notes) * NOTE_SIZE) + PADDING


def _stretch(cells: Sequence[Cell], more: float) -> list[Cell]:
    """The cells beside each other, each so much wider."""
    left = PADDING
    placed = []
    for cell in cells:
        placed.append(Cell(cell.answer, left, cell.width + more, cell.lines, cell.notes))
        left += cell.width + more + _CELL_GAP
    return placed

"""Where a decision tree's questions, and the ways between them, stand on a page.

Questions stand in levels from top to bottom: those that everybody is asked first, each other one below all that lead
to it. Its answers stand beside each other at the foot of its box, and ways run from an answer to the questions that it
leads to. A way that passes a level goes through a gap between that level's boxes (Sugiyama, Tagawa & Toda 1981, IEEE
Trans. SMC 11, 109).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from zoobot.shared.schema_boxes import PADDING, Box, measure_box
from zoobot.shared.schemas import Answer, Question, Schema

_MARGIN = 16.0
_BETWEEN_BOXES, _BETWEEN_WAYS, _BETWEEN_ENDS, _BETWEEN_PARTS, _BETWEEN_SHELVES = 26.0, 18.0, 16.0, 40.0, 56.0
_ROW_GAPS = 44.0, 100.0
_PAGE_WIDTH = 1000.0
_SWEEPS, _ALIGNING_SWEEPS = 12, 60


@dataclass(frozen=True)
class Way:
    """From an answer to a question: straight to the second point, curved to the third, straight to the fourth ..."""

    answer: Answer
    question: Question
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Layout:
    """All boxes and ways, on a page of `width` times `height`."""

    boxes: list[Box]
    ways: list[Way]
    width: float
    height: float


def lay_out(schema: Schema, notes: Mapping[str, Sequence[str]] | None = None) -> Layout:
    """Find a place for each question and each way.

    Args:
        schema: the tree; parts that no answer connects stand beside or below each other.
        notes: answer's column -> further lines in its cell.
    """
    levels = _find_levels(schema)
    parts = []
    for texts in _find_parts(schema):
        questions = [question for question in schema.questions if question.text in texts]
        parts.append(_Part([measure_box(question, levels[question.text], notes or {}) for question in questions]))
    boxes: list[Box] = []
    ways: list[Way] = []
    bottom = _MARGIN - _BETWEEN_SHELVES
    for shelf in _fill_shelves(parts):
        shelf_boxes, shelf_ways, bottom = _place_rows(shelf, bottom + _BETWEEN_SHELVES)
        boxes += shelf_boxes
        ways += shelf_ways
    right = max([box.left + box.width for box in boxes] + [x for way in ways for x, _ in way.points])
    return Layout(boxes, ways, right + _MARGIN, bottom + _MARGIN)


def _find_levels(schema: Schema) -> dict[str, int]:
    """Question -> the longest way from a question that everybody is asked, in steps."""
    levels: dict[str, int] = {}
    for question in schema.asking_order:
        above = (levels[answer.question.text] for answer in question.asked_after)
        levels[question.text] = 1 + max(above, default=-1)
    return levels


def _find_parts(schema: Schema) -> list[set[str]]:
    """The questions that answers connect, in the order of their first."""
    part = {question.text: {question.text} for question in schema.questions}
    for question in schema.questions:
        for answer in question.asked_after:
            joined = part[question.text] | part[answer.question.text]
            part.update(dict.fromkeys(joined, joined))
    return list({id(texts): texts for texts in part.values()}.values())


@dataclass(eq=False)
class _Node:
    """A question in its level, or the place where a way passes the level; `x` is its middle."""

    level: int
    box: Box | None = None
    x: float = 0.0
    upper: list["_Link"] = field(default_factory=list)
    lower: list["_Link"] = field(default_factory=list)

    @property
    def half(self) -> float:
        return self.box.width / 2 if self.box else 0.0


@dataclass(eq=False)
class _Link:
    """One step of a way, down one level; `start` and `end` are measured from the nodes' middles."""

    upper: _Node
    lower: _Node
    start: float = 0.0
    end: float = 0.0

    @property
    def start_x(self) -> float:
        return self.upper.x + self.start

    @property
    def end_x(self) -> float:
        return self.lower.x + self.end

    def start_in(self, place: Mapping["_Node", float]) -> float:
        """Where the step starts, in nodes from the left."""
        return place[self.upper] + (self.start / (2 * self.upper.half) if self.upper.box else 0.0)

    @property
    def weight(self) -> float:
        """Ways that pass levels are kept straight first."""
        return 4.0 ** ((self.upper.box is None) + (self.lower.box is None))


class _Part:
    """Questions that answers connect, in levels; its left edge is at 0."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.boxed = [(_Node(box.level, box), box) for box in boxes]
        self.levels: list[list[_Node]] = [[] for _ in range(1 + max(box.level for box in boxes))]
        self.chains: list[tuple[Answer, Question, list[_Link]]] = []
        by_text = {box.question.text: (node, box) for node, box in self.boxed}
        for node, box in self.boxed:
            for answer in box.question.asked_after:
                links = _connect(*by_text[answer.question.text], answer, node)
                self.chains.append((answer, box.question, links))
        for node, _ in self.boxed:
            if not node.upper:
                self._enter(node)
        self._order()
        self._align()
        self.shift(-min(low for low, _ in self.extents.values()))

    @property
    def extents(self) -> dict[int, tuple[float, float]]:
        """Leftmost and rightmost x of each level `2 * level`, and of the ways below it `2 * level + 1`."""
        found = {}
        for depth, level in enumerate(self.levels):
            found[2 * depth] = min(n.x - n.half for n in level), max(n.x + n.half for n in level)
            ways = [x for node in level for link in node.lower for x in (link.start_x, link.end_x)]
            if ways:
                found[2 * depth + 1] = min(ways), max(ways)
        return found

    def shift(self, distance: float) -> None:
        for level in self.levels:
            for node in level:
                node.x += distance

    def _enter(self, first: _Node) -> None:
        """Put a node, and those that its answers lead to, from left to right: trees start without crossings."""
        waiting = [first]
        while waiting:
            node = waiting.pop()
            if node not in self.levels[node.level]:
                self.levels[node.level].append(node)
                waiting += [link.lower for link in sorted(node.lower, key=lambda link: link.start)[::-1]]

    def _order(self) -> None:
        """Of several sweeps the order with the fewest crossings."""
        best, fewest = [list(level) for level in self.levels], self._count_crossings()
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for depth in range(1, len(self.levels)) if down else reversed(range(len(self.levels) - 1)):
                self._order_level(depth, down)
            crossings = self._count_crossings()
            if crossings < fewest:
                best, fewest = [list(level) for level in self.levels], crossings
        self.levels = best

    def _order_level(self, depth: int, down: bool) -> None:
        """Each node at the mean of its neighbours above or below; then nodes beside each other swap where it helps."""
        level = self.levels[depth]
        place = _find_places(self.levels)
        mean = {node: place[node] for node in level}
        for node in level:
            ends = [link.start_in(place) for link in node.upper] if down else [place[n.lower] for n in node.lower]
            mean[node] = sum(ends) / len(ends) if ends else place[node]
        level.sort(key=mean.__getitem__)
        for left in range(len(level) - 1):
            here, there = level[left : left + 2]
            if _count_pair_crossings(here, there, place) > _count_pair_crossings(there, here, place):
                level[left : left + 2] = there, here

    def _count_crossings(self) -> int:
        place = _find_places(self.levels)
        return sum(_count_pair_crossings(a, b, place) for level in self.levels for a, b in combinations(level, 2))

    def _align(self) -> None:
        """Shortest ways at the least distance between boxes: sweeps of exact steps, a level at a time."""
        for level in self.levels:
            for node, x in zip(level, _least_offsets(level), strict=True):
                node.x = float(x)
        for sweep in range(_ALIGNING_SWEEPS):
            for level in self.levels[:: 1 if sweep % 2 else -1]:
                _align_level(level)
            self._spread_ends()

    def _spread_ends(self) -> None:
        """Ways that end at one question end beside each other, in the order in which they come."""
        for node, box in self.boxed:
            coming = sorted(node.upper, key=lambda link: link.start_x)
            gap = min(_BETWEEN_ENDS, (box.width - 4 * PADDING) / max(1, len(coming) - 1))
            for rank, link in enumerate(coming):
                link.end = gap * (rank - (len(coming) - 1) / 2)


def _connect(upper: _Node, box: Box, answer: Answer, lower: _Node) -> list[_Link]:
    """The steps of a way, with a node in each level that it passes."""
    passed = [_Node(level) for level in range(upper.level + 1, lower.level)]
    links = [_Link(above, below) for above, below in pairwise([upper, *passed, lower])]
    cell = next(cell for cell in box.cells if cell.answer is answer)
    links[0].start = cell.left + cell.width / 2 - upper.half
    for link in links:
        link.upper.lower.append(link)
        link.lower.upper.append(link)
    return links


def _find_places(levels: Sequence[Sequence[_Node]]) -> dict[_Node, float]:
    return {node: float(place) for level in levels for place, node in enumerate(level)}


def _count_pair_crossings(left: _Node, right: _Node, place: Mapping[_Node, float]) -> int:
    """How often the ways of two nodes of a level cross when one stands left of the other."""
    below = sum(place[a.lower] > place[b.lower] for a in left.lower for b in right.lower)
    return below + sum(a.start_in(place) > b.start_in(place) for a in left.upper for b in right.upper)


def _least_offsets(level: Sequence[_Node]) -> npt.NDArray[np.float64]:
    """x of each node's middle when all stand as close as they may."""
    distances = [a.half + b.half + (_BETWEEN_BOXES if a.box and b.box else _BETWEEN_WAYS) for a, b in pairwise(level)]
    return np.concatenate([[0.0], np.cumsum(distances)])


def _align_level(level: Sequence[_Node]) -> None:
    """The least sum of squared sideways lengths of the level's links that order and distances allow."""
    targets, weights = [], []
    for node in level:
        wanted = [(link.upper.x + link.start - link.end, link.weight) for link in node.upper]
        wanted += [(link.lower.x + link.end - link.start, link.weight) for link in node.lower]
        total = sum(weight for _, weight in wanted)
        targets.append(sum(x * weight for x, weight in wanted) / total if wanted else node.x)
        weights.append(total or 1e-3)
    least = _least_offsets(level)
    # What exceeds the least distances may not decrease from left to right: isotonic regression.
    excess = isotonic_regression(np.array(targets) - least, weights=np.array(weights)).x
    for node, x in zip(level, excess + least, strict=True):
        node.x = float(x)


def _fill_shelves(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Parts beside each other, as close as their levels allow, while they fit on the page."""
    page = max(_PAGE_WIDTH, *(high for part in parts for _, high in part.extents.values()))
    shelves: list[list[_Part]] = []
    taken: dict[int, float] = {}
    for part in parts:
        extents = part.extents
        shift = max([taken[row] + _BETWEEN_PARTS - low for row, (low, _) in extents.items() if row in taken] + [0.0])
        if not shelves or shift + max(high for _, high in extents.values()) > page:
            shelves.append([])
            taken, shift = {}, 0.0
        part.shift(shift)
        shelves[-1].append(part)
        taken |= {row: high + shift for row, (_, high) in extents.items()}
    return shelves


def _place_rows(shelf: Sequence[_Part], top: float) -> tuple[list[Box], list[Way], float]:
    """Boxes and ways of parts whose levels share rows, and the lower edge of the last row."""
    depth = max(len(part.levels) for part in shelf)
    heights, reaches = [0.0] * depth, [0.0] * depth
    for part in shelf:
        for node, box in part.boxed:
            heights[node.level] = max(heights[node.level], box.height)
            reaches[node.level] = max([reaches[node.level], *(abs(a.end_x - a.start_x) for a in node.lower)])
    tops = [top]
    for height, reach in zip(heights, reaches, strict=True):
        tops.append(tops[-1] + height + float(np.clip(_ROW_GAPS[0] + reach / 8, *_ROW_GAPS)))
    bottoms = [row + height for row, height in zip(tops, heights, strict=False)]
    boxes = [box.moved(_MARGIN + node.x - node.half, tops[node.level]) for part in shelf for node, box in part.boxed]
    lower_edge = {box.question.text: box.top + box.height for box in boxes}
    ways = []
    for answer, question, links in (chain for part in shelf for chain in part.chains):
        points = [(links[0].start_x + _MARGIN, lower_edge[answer.question.text])]
        for link in links:
            points.append((link.start_x + _MARGIN, bottoms[link.upper.level]))
            points.append((link.end_x + _MARGIN, tops[link.lower.level]))
        ways.append(Way(answer, question, points))
    return boxes, ways, bottoms[-1]

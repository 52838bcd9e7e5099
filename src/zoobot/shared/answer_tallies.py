"""A tally of volunteer answers: those that count, in columns of numbers, and why the others do not."""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoobot.config import ZooniverseSettings
from zoobot.errors import CatalogError, SettingError
from zoobot.shared.zooniverse_exports import (
    Annotation,
    BadLineError,
    Classification,
    iter_lines,
    parse_time,
    read_classification,
    read_metadata,
)
from zoobot.shared.zooniverse_mappings import Uncounted, ZooniverseMapping
from zoobot.shared.zooniverse_subjects import Subjects

logger = logging.getLogger(__name__)

OTHER_WORKFLOW, OTHER_TIME, NOT_LOGGED_IN = "of other workflows", "outside of the time range", "not logged in"
UNKNOWN_QUESTION, UNKNOWN_ANSWER = "question not in the mapping", "answer not in the mapping"
_REASONS = {
    Uncounted.SKIPPED: "skipped by the volunteer",
    Uncounted.LEFT_OUT: "left out by the mapping",
    Uncounted.UNKNOWN_QUESTION: UNKNOWN_QUESTION,
    Uncounted.UNKNOWN_ANSWER: UNKNOWN_ANSWER,
    Uncounted.REPEATED: "repeated in one classification",
}
CHUNK_ROWS = 100_000
_COLUMNS = [
    ("column", np.int16),
    ("annotation", np.int32),
    ("subject", np.int32),
    ("volunteer", np.uint64),
    ("time", np.int64),
]
_EXAMPLES = 5
_MOST_QUESTIONS = 20
_MOST_DISTINCT = 10_000  # texts remembered, so that free text cannot fill the memory


@dataclass
class Tally:
    """The answers that count, and why the others do not."""

    mapping: ZooniverseMapping
    settings: ZooniverseSettings
    subjects: Subjects = field(default_factory=Subjects)
    dropped: "Counter[str]" = field(default_factory=Counter)
    workflows: "Counter[str]" = field(default_factory=Counter)
    unknown: "Counter[tuple[str, str, str]]" = field(default_factory=Counter)
    n_answers: int = 0
    n_lines: int = 0
    n_bad_lines: int = 0
    bad_lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._why_not = _filters(self.settings)
        self._found: dict[tuple[str, str, Any], int] = {}
        self._dtype = _COLUMNS if self.settings.weight_col is None else [*_COLUMNS, ("weight", np.float64)]
        self._n_annotations = 0
        self._rows: list[tuple[Any, ...]] = []
        self._chunks: list[npt.NDArray[Any]] = []

    @property
    def answers(self) -> npt.NDArray[Any]:
        """The answers that count, in the order of the file, with the fields `column` (of the schema), `annotation`
        (its number), `subject` (its number), `volunteer` (a hash), `time` (microseconds since 1970), `weight`."""
        self._pack()
        self._chunks = [np.concatenate(self._chunks)]
        return self._chunks[0]

    def add(self, classification: Classification) -> None:
        """Take up one classification, or count it under the reason for which it is not."""
        n_answers = sum(len(annotation.values) for annotation in classification.annotations)
        why_not = self._why_not(classification)
        if why_not is None:
            found = [self._find_columns(annotation) for annotation in classification.annotations]
            self._append(classification, found)
            for annotation, columns in zip(classification.annotations, found, strict=True):
                self._drop(annotation, columns)
        else:
            self.dropped[why_not] += n_answers
        self.workflows[classification.workflow] += n_answers
        self.n_answers += n_answers

    def note_bad_line(self, number: int, reason: object) -> None:
        self.n_bad_lines += 1
        if len(self.bad_lines) < _EXAMPLES:
            self.bad_lines.append(f"line {number:,}: {reason}")

    def describe_unknown(self) -> list[str]:
        """One line for each question with answers that have no place, the most frequent first."""
        questions: dict[tuple[str, str], Counter[str]] = {}
        for (reason, question, answer), count in self.unknown.most_common():
            questions.setdefault((reason, question), Counter())[answer] = count
        shown = [
            f"'{question}' ({'question' if reason == UNKNOWN_QUESTION else 'answers'} unknown): {show_counts(answers)}"
            for (reason, question), answers in questions.items()
        ]
        return (
            [*shown[:_MOST_QUESTIONS], f"and {len(shown) - _MOST_QUESTIONS:,} more questions"]
            if len(shown) > _MOST_QUESTIONS
            else shown
        )

    def _find_columns(self, annotation: Annotation) -> list[int]:
        """For each value its column, or an `Uncounted`; an answer given twice at once is counted once."""
        columns: list[int] = []
        for value in annotation.values:
            column = self._find_column(annotation.task, annotation.text, value)
            columns.append(Uncounted.REPEATED if column >= 0 and column in columns else column)
        return columns

    def _find_column(self, task: str, text: str, value: Any) -> int:
        if not isinstance(value, str):
            return self.mapping.find_column(task, text, value)
        column = self._found.get((task, text, value))
        if column is None:
            column = self.mapping.find_column(task, text, value)
            if len(self._found) < _MOST_DISTINCT:
                self._found[task, text, value] = column
        return column

    def _number_of(self, classification: Classification) -> int:
        number = self.subjects.find(classification.subject)
        return self.subjects.add(classification.subject, read_metadata(classification)) if number is None else number

    def _append(self, classification: Classification, found: Sequence[Sequence[int]]) -> None:
        """Keep what counts; a subject that cannot be read stops this before the first."""
        own: tuple[Any, ...] | None = None
        for columns in found:
            self._n_annotations += 1
            for column in columns:
                if column >= 0:
                    own = own or self._describe(classification)
                    self._rows.append((column, self._n_annotations, *own))
        if len(self._rows) >= CHUNK_ROWS:
            self._pack()

    def _describe(self, classification: Classification) -> tuple[Any, ...]:
        own = (self._number_of(classification), _hash(classification.volunteer), classification.time)
        return own if self.settings.weight_col is None else (*own, classification.weight)

    def _pack(self) -> None:
        """Python's numbers take ten times the memory of numpy's."""
        self._chunks.append(np.array(self._rows, self._dtype))
        self._rows = []

    def _drop(self, annotation: Annotation, columns: list[int]) -> None:
        for value, column in zip(annotation.values, columns, strict=True):
            if column < 0:
                reason = _REASONS[Uncounted(column)]
                self.dropped[reason] += 1
                if reason in (UNKNOWN_QUESTION, UNKNOWN_ANSWER):
                    self._note_unknown(reason, annotation, value)

    def _note_unknown(self, reason: str, annotation: Annotation, value: Any) -> None:
        question = " ".join(filter(None, (annotation.task, annotation.text)))
        key = (reason, question, str(value)[:80])
        if key not in self.unknown and len(self.unknown) >= _MOST_DISTINCT:
            key = (reason, question, "others")
        self.unknown[key] += 1


def read_tally(export: str | Path, mapping: ZooniverseMapping, settings: ZooniverseSettings) -> Tally:
    """The tally of an export; `CatalogError` for one that is mostly or wholly no record."""
    tally = Tally(mapping, settings)
    for number, fields in iter_lines(export, settings.weight_col):
        tally.n_lines += 1
        try:
            if fields is None:
                raise BadLineError("it is no whole record")
            tally.add(read_classification(fields, settings.weight_col))
        except BadLineError as error:
            tally.note_bad_line(number, error)
    if not tally.n_lines:
        raise CatalogError(f"The export '{export}' holds no answers, only a header.")
    _tell_bad_lines(tally, export)
    return tally


def show_counts(counts: Mapping[str, int], most: int = _EXAMPLES) -> str:
    """The largest counts: `'smooth' (12), 'artifact' (3)`."""
    shown = [f"'{name}' ({count:,})" for name, count in Counter(counts).most_common(most)]
    return ", ".join([*shown, f"and {len(counts) - most:,} more"] if len(counts) > most else shown) or "none"


def _filters(settings: ZooniverseSettings) -> Callable[[Classification], str | None]:
    """A function that gives the reason for which a classification is not wanted, or None."""
    since, until = _read_time("since", settings.since), _read_time("until", settings.until)
    if since is not None and until is not None and since >= until:
        raise SettingError(
            f"The setting 'since' must be before 'until'. Got {settings.since} and {settings.until} instead."
        )
    workflows, drop_anonymous = frozenset(settings.workflow_id), settings.not_logged_in == "drop"

    def why_not(classification: Classification) -> str | None:
        if workflows and classification.workflow not in workflows:
            return OTHER_WORKFLOW
        if (since is not None and classification.time < since) or (until is not None and classification.time >= until):
            return OTHER_TIME
        return NOT_LOGGED_IN if drop_anonymous and not classification.logged_in else None

    return why_not


@lru_cache(maxsize=65_536)
def _hash(volunteer: str) -> int:
    """64 bits: among ten million volunteers two would share one with a probability of 3 in a million."""
    return int.from_bytes(hashlib.blake2b(volunteer.encode(), digest_size=8).digest(), "little")


def _read_time(name: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError:
        raise SettingError(
            f"The setting '{name}' must be a date or a time such as 2019-12-04 or 2019-12-04T20:48 (UTC). "
            f"Got '{text}' instead."
        ) from None


def _tell_bad_lines(tally: Tally, export: str | Path) -> None:
    if not tally.n_bad_lines:
        return
    counted = f"{tally.n_bad_lines:,} of {tally.n_lines:,} lines of the export '{export}' cannot be understood"
    examples = "\n".join(f"- {line}" for line in tally.bad_lines)
    if 2 * tally.n_bad_lines > tally.n_lines:
        raise CatalogError(f"{counted}, such as:\n{examples}\nIs it the right file, downloaded as a whole?")
    logger.warning("%s and are left out, such as:\n%s", counted, examples)

"""Raw volunteer answers on disk, read line by line: Zooniverse classification exports and flat tables of answers.

A classification export has a row for each classification, with `annotations` and `subject_data` in JSON. The flat
form has a line for each answer to one question: `question`, `response`, `subject_id`, `user_id`, `created_at`. Both
may be CSV or JSON lines, gzipped or not; the content tells which it is.
"""

import csv
import gzip
import io
import json
import math
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from zoobot.errors import CatalogError, did_you_mean

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ANONYMOUS = "not-logged-in"
_LARGEST_FIELD = 2**24  # the csv module's own limit is too small for annotations with drawings
_LINES_PER_STEP = 20_000
_EXPECTED = (
    "Expected is a Zooniverse classification export (CSV with the columns annotations, subject_ids, subject_data, "
    "created_at, user_id, user_ip, workflow_id, classification_id), or one answer per line with question, response, "
    "subject_id, created_at, user_id, workflow_id, classification_id."
)


class BadLineError(ValueError):
    """One line of an export cannot be understood; the message says why."""


class Annotation(NamedTuple):
    """What was answered to one question: several values for a question with several answers, one None if skipped."""

    task: str
    text: str
    values: Sequence[Any]


class Classification(NamedTuple):
    """What one volunteer answered about one subject; the flat form gives one for each answer.

    `volunteer` is a key that only this volunteer has, `time` in microseconds since 1970 (UTC), `metadata` the
    subject's, still in JSON.
    """

    subject: str
    metadata: str | Mapping[str, Any] | None
    volunteer: str
    logged_in: bool
    time: int
    workflow: str
    weight: float
    annotations: Sequence[Annotation]


def iter_lines(path: str | Path, weight_col: str | None = None) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """Number (from 1) and fields of each line; None for a line that is no record. Shows progress on a terminal.

    Raises:
        CatalogError: the file is missing, empty, damaged, or no export of answers.
    """
    file = Path(path)
    if not file.is_file():
        raise CatalogError(
            f"There is no export '{path}'." if not file.is_dir() else f"The export '{path}' is a folder."
        )
    try:
        with file.open("rb") as raw, _opened(raw) as text, _progress(file) as advance:
            start = text.read(1)
            if not start:
                raise CatalogError(f"The export '{path}' is empty. {_EXPECTED}")
            lines = _iter_json(start, text) if start == "{" else _iter_csv(start, text, path, weight_col)
            for count, line in enumerate(lines):
                if count % _LINES_PER_STEP == 0:
                    advance(raw.tell())
                yield line
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise CatalogError(f"The export '{path}' cannot be read: {error}. Is the download complete?") from error


def read_classification(fields: Mapping[str, Any], weight_col: str | None = None) -> Classification:
    """The answers of one line; `BadLineError` where it cannot be understood."""
    volunteer, logged_in = _volunteer_of(fields)
    return Classification(
        subject=_subject_of(fields),
        metadata=fields.get("subject_data"),
        volunteer=volunteer,
        logged_in=logged_in,
        time=_read_time(fields.get("created_at")),
        workflow=_as_id(fields.get("workflow_id")),
        weight=1.0 if weight_col is None else _read_weight(fields, weight_col),
        annotations=_annotations_of(fields),
    )


def read_metadata(classification: Classification) -> Mapping[str, Any]:
    """What the export tells about a classification's subject; `BadLineError` where it cannot be understood."""
    subjects = _read_json(classification.metadata or {}, "subject_data")
    metadata = subjects.get(classification.subject, {}) if isinstance(subjects, dict) else None
    if not isinstance(metadata, dict):
        raise BadLineError("subject_data is not an object with one object for each subject")
    return metadata


@lru_cache(maxsize=1024)
def parse_time(text: str) -> int:
    """Microseconds since 1970 of `2019-12-04 20:48:11 UTC` or an ISO time, UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text.strip().replace(" UTC", "+00:00"))
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def show_time(time: int) -> str:
    """`2019-12-04 20:48:11`, in UTC."""
    return f"{_EPOCH + timedelta(seconds=time // 1_000_000):%Y-%m-%d %H:%M:%S}"


@contextmanager
def _opened(raw: BinaryIO) -> Iterator[io.TextIOWrapper]:
    zipped = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    limit = csv.field_size_limit(_LARGEST_FIELD)
    stream: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
    try:
        yield io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
    finally:
        csv.field_size_limit(limit)


@contextmanager
def _progress(file: Path) -> Iterator[Any]:
    """A function that is told how many bytes of the file are read; it shows them only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda position: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"Reading {file.name}", total=file.stat().st_size)
        yield lambda position: progress.update(task, completed=position)


def _iter_json(start: str, text: io.TextIOWrapper) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    for number, line in enumerate(text, 1):
        whole = start + line if number == 1 else line
        if not whole.isspace():
            try:
                fields = json.loads(whole)
            except (ValueError, RecursionError):
                fields = None
            yield number, fields if isinstance(fields, dict) else None


def _iter_csv(
    start: str, text: io.TextIOWrapper, path: str | Path, weight_col: str | None
) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    header = next(csv.reader([start + text.readline()]))
    _refuse_header(header, path, weight_col)
    rows, number = csv.reader(text), 2
    for row in rows:
        if row:
            yield number, dict(zip(header, row, strict=True)) if len(row) == len(header) else None
        number = rows.line_num + 2  # a row may take several lines


def _refuse_header(header: Sequence[str], path: str | Path, weight_col: str | None) -> None:
    columns = set(header)
    subject = columns & {"subject_ids", "subject_id", "subject_data"}
    answers = "annotations" in columns or {"question", "response"} <= columns
    if not (answers and subject and "created_at" in columns):
        found = ", ".join(header)[:300]
        raise CatalogError(f"The export '{path}' holds no answers that zoobot knows: it has '{found}'. {_EXPECTED}")
    if weight_col is not None and weight_col not in columns:
        raise CatalogError(
            f"The export '{path}' has no column '{weight_col}' with weights.{did_you_mean(weight_col, columns)} "
            f"Its columns are {', '.join(header)}."
        )


def _subject_of(fields: Mapping[str, Any]) -> str:
    given = fields.get("subject_ids")
    subject = _as_id(fields.get("subject_id") if given is None else given)
    if not subject and "subject_data" in fields:
        subjects = _read_json(fields["subject_data"] or {}, "subject_data")
        subject = ";".join(subjects) if isinstance(subjects, dict) else ""
    if not subject:
        raise BadLineError("it names no subject (subject_ids or subject_id)")
    if ";" in subject:
        raise BadLineError(f"it is about several subjects ({subject})")
    return subject


def _volunteer_of(fields: Mapping[str, Any]) -> tuple[str, bool]:
    """A key for the volunteer and whether it is an account; addresses come hashed, it seems anew for each export."""
    user, name = _as_id(fields.get("user_id")), _as_id(fields.get("user_name"))
    if user:
        return f"user {user}", True
    if name and not name.startswith(_ANONYMOUS):
        return f"name {name}", True
    address = _as_id(fields.get("user_ip")) or name.removeprefix(_ANONYMOUS).strip("-")
    if address:
        return f"address {address}", False
    classification = _as_id(fields.get("classification_id"))
    if not classification:
        raise BadLineError("it has neither user_id nor user_ip nor classification_id")
    return f"classification {classification}", False


def _annotations_of(fields: Mapping[str, Any]) -> list[Annotation]:
    if "annotations" in fields:
        annotations = _read_json(fields["annotations"] or [], "annotations")
        if not isinstance(annotations, list):
            raise BadLineError("annotations is not a list")
        return [flat for annotation in annotations for flat in _flatten(annotation)]
    if "response" not in fields or not _as_id(fields.get("question")):
        raise BadLineError("it has neither annotations nor question and response")
    response = fields["response"]
    return [Annotation("", _as_id(fields["question"]), response if isinstance(response, list) else [response])]


def _flatten(annotation: Any) -> Iterator[Annotation]:
    """One annotation, or those inside of a combined task."""
    if not isinstance(annotation, dict) or not ("task" in annotation or "task_label" in annotation):
        raise BadLineError("annotations holds something without a task")
    value = annotation.get("value")
    parts = value if isinstance(value, list) else [value]
    combined = [part for part in parts if isinstance(part, dict) and "task" in part and "value" in part]
    for part in combined:
        yield from _flatten(part)
    if not combined:
        task, text = _as_id(annotation.get("task")), annotation.get("task_label")
        yield Annotation(task, text if isinstance(text, str) else "", parts or [None])


def _read_json(given: Any, field: str) -> Any:
    try:
        return json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        raise BadLineError(f"{field} is no JSON") from None


def _read_time(given: Any) -> int:
    try:
        return parse_time(given)
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise BadLineError(f"created_at is no time: {given!r}") from None


def _read_weight(fields: Mapping[str, Any], weight_col: str) -> float:
    given = fields.get(weight_col)
    try:
        weight = math.nan if given is None or isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise BadLineError(f"the weight '{weight_col}' is no number from 0 on: {given!r}")
    return weight


def _as_id(given: Any) -> str:
    """A number or a text as text; nothing for anything else."""
    if isinstance(given, str):
        return given.strip()
    if isinstance(given, float) and given.is_integer():
        return str(int(given))
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else ""

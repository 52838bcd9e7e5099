"""How each kind of fault (`fault_kinds.py`) is found in the rows of a catalog.

A table may come in batches of rows; `Findings` collects what is found, kind by kind, in little memory. Rows with a
fault of a rejected kind cannot be used; other kinds are warnings.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zoobot.shared.dirichlet import sum_by_question
from zoobot.shared.fault_kinds import (
    ABSURD,
    BLANK,
    BLANK_FILE,
    BLANK_ID,
    EXCESS,
    EXCESS_SHARE,
    EXCESS_VOTES,
    FEW_VOTES,
    FRACTIONAL,
    INFINITE,
    MAX_VOTES,
    NEGATIVE,
    NO_VOTES,
    REPEATED_FILE,
    REPEATED_ID,
    ROUNDED_ID,
    SMALL_EXCESS,
    TEXT,
    UNREADABLE_TYPE,
    Kind,
)
from zoobot.shared.images import READABLE_SUFFIXES
from zoobot.shared.schemas import Question, Schema

IntArray = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]
FloatArray = npt.NDArray[np.float64]

_CELL_KINDS = (TEXT, BLANK, INFINITE, NEGATIVE, ABSURD, FRACTIONAL)
# What spreadsheets and data frames make of long whole numbers: 5.87739505752785e+17, 587739505752785605.0
_ROUNDED = r"^(-?\d\.\d*[eE]\+\d+|-?\d{16,}\.0)$"
# An ending of letters names a type; J132200.16+005202.0 ends in a position.
_TYPE = r"\.[A-Za-z]{2,5}(\.[gf]z)?$"
_READABLE_TYPE = "(?i)(" + "|".join(suffix.replace(".", r"\.") for suffix in READABLE_SUFFIXES) + ")$"


@dataclass(frozen=True)
class Fault:
    """Rows of one batch with one kind of fault.

    Args:
        rows: `(row,)`, positions.
        columns: the columns or questions at fault, of all rows together.
        where: `(row,)`, those of each row as one text.
        values: `(row,)`, what stands there.
    """

    kind: Kind
    rows: IntArray
    columns: Sequence[str]
    where: Texts
    values: Texts

    @classmethod
    def of_column(cls, kind: Kind, rows: IntArray, column: str, values: Sequence[str] | Texts) -> "Fault":
        """A fault that is in one column or question."""
        return cls(kind, rows, [column], np.full(len(rows), column, object), np.array(values, object))


@dataclass
class Found:
    """All rows with one kind of fault: how many, in which columns, and the first as an example."""

    rows: list[IntArray] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)
    example: str = ""

    @property
    def count(self) -> int:
        return sum(map(len, self.rows))


class Findings:
    """The faults of a catalog of `n_rows` rows, kind by kind, as they are found batch by batch.

    Args:
        sink: called with the lines of every fault: `row` (from 1), `id_str`, `column`, `value`, `reason`, `remedy`.
    """

    def __init__(self, sink: Callable[[Kind, pd.DataFrame], None] = lambda kind, lines: None) -> None:
        self._sink = sink
        self.n_rows = 0
        self.found: dict[Kind, Found] = {}

    def add(self, fault: Fault, first_row: int, ids: pa.StringArray) -> None:
        """Note a fault of a batch whose first row is `first_row` of the catalog; `ids` are those of the batch."""
        if not len(fault.rows):
            return
        found = self.found.setdefault(fault.kind, Found())
        found.columns.update(dict.fromkeys(fault.columns))
        found.rows.append(fault.rows + first_row)
        names = as_objects(ids.take(fault.rows))
        if not found.example:
            row = int(found.rows[0][0]) + 1
            found.example = f"{fault.values[0]!r} in row {row:,}" + (f" ('{names[0]}')" if names[0] else "")
        lines = {"row": found.rows[-1] + 1, "id_str": names, "column": fault.where, "value": fault.values}
        self._sink(fault.kind, pd.DataFrame(lines).assign(reason=fault.kind.what, remedy=fault.kind.remedy))

    def rows(self, rejected: bool) -> IntArray:
        """Positions of the rows that are rejected, or warned of; each once, in order."""
        rows = [part for kind, found in self.found.items() if kind.rejected == rejected for part in found.rows]
        return np.unique(np.concatenate(rows)) if rows else np.zeros(0, np.int64)

    def sentences(self, rejected: bool) -> list[str]:
        """One sentence for each kind: what, in how many rows and which columns, an example, and what to do."""
        return [self._sentence(kind, found) for kind, found in self.found.items() if kind.rejected == rejected]

    def _sentence(self, kind: Kind, found: Found) -> str:
        if kind is NO_VOTES and found.count == self.n_rows:
            return "All votes are 0: there is nothing to learn from."
        where = f"{say_rows(found.count)}{_name_columns(list(found.columns))}"
        return f"{kind.what} in {where}, such as {found.example}. {kind.remedy}"


def find_faults(
    batches: Iterable[pd.DataFrame],
    schema: Schema | None,
    findings: Findings,
    *,
    weighted: bool = False,
    min_votes: int = 0,
    on_votes: Callable[[FloatArray], None] = lambda votes: None,
) -> tuple[pa.ChunkedArray, dict[str, pa.ChunkedArray]]:
    """Put every fault of a table into `findings`; returns all its `id_str`, and the files of each column of images.

    Both are blank where there is none.

    Args:
        batches: the table, in batches of rows. Faults of columns that it lacks are not looked for.
        schema: the tree of the votes; None where the catalog needs none.
        weighted: fractional votes are meant.
        min_votes: galaxies with fewer votes for every question that is asked of everybody are left out; with 0, one
            without any votes is at fault.
        on_votes: called with the votes `(row, answer)` of each batch, NaN where there is no number.
    """
    texts: dict[str, list[pa.StringArray]] = {"id_str": []}
    for table in batches:
        blank = pa.array([""] * len(table), pa.large_string())
        for name in ("id_str", *find_file_columns(table.columns)):
            texts.setdefault(name, []).append(as_strings(table[name]) if name in table else blank)
        votes = None if schema is None else read_votes(table, schema)
        for fault in _find_row_faults(table, votes, schema, weighted, min_votes):
            findings.add(fault, findings.n_rows, texts["id_str"][-1])
        if votes is not None:
            on_votes(votes)
        findings.n_rows += len(table)
    columns = {name: pa.chunked_array(parts, pa.large_string()) for name, parts in texts.items()}
    ids = columns["id_str"]
    for name, column in columns.items():
        kind = REPEATED_ID if name == "id_str" else REPEATED_FILE
        rows, firsts = find_repeats(column)
        repeated = zip(as_objects(column.take(rows)), firsts, strict=True)
        values = [f"{text} (first in row {first + 1:,})" for text, first in repeated]
        findings.add(Fault.of_column(kind, rows, name, values), 0, ids)
    return columns.pop("id_str"), columns


def _find_row_faults(
    table: pd.DataFrame, votes: FloatArray | None, schema: Schema | None, weighted: bool, min_votes: int
) -> Iterator[Fault]:
    """What is wrong with each row of a batch by itself."""
    if "id_str" in table:
        yield from _find_id_faults(table["id_str"])
    for column in find_file_columns(table.columns):
        yield from _find_file_faults(column, as_strings(table[column]))
    if schema is not None and votes is not None:
        sound = np.ones(len(votes), bool)
        for fault in _find_vote_faults(table, votes, schema, weighted):
            sound[fault.rows] = False
            yield fault
        yield from _find_question_faults(votes, schema, sound, weighted, min_votes)


def find_file_columns(columns: Iterable[Any]) -> list[str]:
    """The columns that name images: `file_loc`, or one per band in their order, `file_loc_g`, `file_loc_r` ..."""
    names = [str(column) for column in columns]
    return ["file_loc"] if "file_loc" in names else [name for name in names if name.startswith("file_loc_")]


def read_votes(table: pd.DataFrame, schema: Schema) -> FloatArray:
    """`(row, answer)`; NaN where there is no number and where the table lacks the column."""
    columns = [column for column in schema.label_cols if column in table]
    numbers = table[columns]
    texts = [name for name in columns if not pd.api.types.is_numeric_dtype(numbers[name])]
    if texts:
        numbers = numbers.assign(**{name: pd.to_numeric(numbers[name], errors="coerce") for name in texts})
    votes = numbers.to_numpy(np.float64, na_value=np.nan)
    if len(columns) == len(schema.label_cols):
        return votes
    spread = np.full((len(table), len(schema.label_cols)), np.nan)
    spread[:, [schema.get_answer(column).index for column in columns]] = votes
    return spread


def find_too_few_votes(votes: FloatArray, schema: Schema, min_votes: int) -> npt.NDArray[np.bool_]:
    """Which galaxies have fewer votes for every question that is asked of everybody, `(row,)`."""
    totals = sum_by_question(votes, schema.question_index_groups)
    first: FloatArray = totals[:, [question.always_asked for question in schema.questions]].max(axis=1)
    return first < min_votes


def find_repeats(texts: pa.ChunkedArray) -> tuple[IntArray, IntArray]:
    """Rows whose text stands in an earlier row, and that row, the first. Blanks are not compared."""
    hashes = np.concatenate(
        [np.zeros(0, np.uint64)] + [pd.util.hash_array(as_objects(part), categorize=False) for part in texts.chunks]
    )
    order = np.argsort(hashes, kind="stable")
    same = hashes[order][1:] == hashes[order][:-1]
    if not same.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    candidates = np.sort(np.unique(np.concatenate([order[1:][same], order[:-1][same]])))
    first: dict[str, int] = {}
    pairs = []
    for row, text in zip(candidates.tolist(), texts.take(candidates).to_pylist(), strict=True):
        if text.strip() and first.setdefault(text, row) != row:
            pairs.append((row, first[text]))
    rows, firsts = np.array(pairs, np.int64).reshape(-1, 2).T
    return rows, firsts


def as_strings(column: "pd.Series[Any]") -> pa.StringArray:
    """A column as Arrow strings; blank where there is nothing."""
    if pd.api.types.infer_dtype(column, skipna=True) != "string":
        column = column.astype(object).where(column.notna(), "").astype(str)
    return pc.fill_null(pa.array(column, pa.large_string(), from_pandas=True), "")


def as_objects(strings: pa.StringArray | pa.ChunkedArray) -> Texts:
    """Arrow strings as Python strings."""
    if isinstance(strings, pa.ChunkedArray):
        strings = strings.combine_chunks()
    return np.asarray(strings.to_numpy(zero_copy_only=False), dtype=object)


def say_rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def quote(names: Sequence[Any] | npt.NDArray[Any], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def question_of_volunteers(question: Question, schema: Schema) -> Question | None:
    """The question that counts the volunteers of another one which everybody is asked, too; None for the first.

    Where campaigns are joined, each has a first question of its own: the one whose ending its other questions share
    (`smooth-or-featured-dr5`, `merging-dr5`).
    """
    for first in schema.questions:
        if first is question:
            return None
        ending = _ending_of_campaign(first, schema) if first.always_asked else None
        if ending is not None and question.text.endswith(ending):
            return first
    return None


def _name_columns(names: list[str]) -> str:
    if names in (["id_str"], ["file_loc"], [""]):
        return ""
    return f", in {'the column' if len(names) == 1 else 'the columns'} {quote(names)}"


def _fault(kind: Kind, chosen: npt.NDArray[np.bool_], column: str, texts: pa.StringArray) -> Fault:
    rows = np.flatnonzero(chosen)
    return Fault.of_column(kind, rows, column, as_objects(texts.take(rows)))


def _find_id_faults(column: "pd.Series[Any]") -> Iterator[Fault]:
    ids = as_strings(column)
    blank = _are_blank(ids)
    rounded = ~blank if pd.api.types.is_float_dtype(column) else _match(ids, _ROUNDED)
    yield _fault(BLANK_ID, blank, "id_str", ids)
    yield _fault(ROUNDED_ID, rounded, "id_str", ids)


def _find_file_faults(column: str, files: pa.StringArray) -> Iterator[Fault]:
    yield _fault(BLANK_FILE, _are_blank(files), column, files)
    yield _fault(UNREADABLE_TYPE, _match(files, _TYPE) & ~_match(files, _READABLE_TYPE), column, files)


def _are_blank(texts: pa.StringArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.equal(pc.utf8_trim_whitespace(texts), ""))


def _match(texts: pa.StringArray, pattern: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.match_substring_regex(texts, pattern))


def _find_vote_faults(table: pd.DataFrame, votes: FloatArray, schema: Schema, weighted: bool) -> Iterator[Fault]:
    """Faults of single cells; each cell has one at most."""
    present = np.array([column in table for column in schema.label_cols])
    given = votes if present.all() else votes[:, present]
    labels = np.array(schema.label_cols, object)[present]
    whole = weighted or all(pd.api.types.is_integer_dtype(dtype) for dtype in table.dtypes[labels])
    if not given.size or _are_sound(given, whole):
        return
    kinds = np.select(
        [np.isnan(given), np.isinf(given), given < 0, given > MAX_VOTES, (given != np.floor(given)) & (not weighted)],
        [2, 3, 4, 5, 6],
        0,
    )
    for position, label in enumerate(labels):
        if not pd.api.types.is_numeric_dtype(table[label]):
            kinds[(kinds[:, position] == 2) & table[label].notna().to_numpy(), position] = 1
    for number, kind in enumerate(_CELL_KINDS, start=1):
        cells = kinds == number
        rows = np.flatnonzero(cells.any(axis=1))
        if len(rows):
            first = cells[rows].argmax(axis=1)
            if kind is TEXT:
                values = [str(table[labels[column]].iloc[row]) for row, column in zip(rows, first, strict=True)]
            else:
                values = [f"{number:.10g}" for number in given[rows, first]]
            where = _name_cells(labels, cells[rows])
            yield Fault(kind, rows, list(labels[cells.any(axis=0)]), where, np.array(values, object))


def _are_sound(votes: FloatArray, whole: bool) -> bool:
    """Nothing to find: the usual case, in two passes where votes are `whole`. NaN makes both comparisons false."""
    with np.errstate(invalid="ignore"):
        return bool(votes.min() >= 0 and votes.max() <= MAX_VOTES and (whole or (votes == np.floor(votes)).all()))


def _name_cells(labels: Texts, cells: npt.NDArray[np.bool_]) -> Texts:
    """The columns of each row's cells, as one text."""
    patterns, inverse = np.unique(cells, axis=0, return_inverse=True)
    names = np.array([", ".join(labels[pattern]) for pattern in patterns], object)
    return np.asarray(names[inverse.ravel()], object)


def _find_question_faults(
    votes: FloatArray, schema: Schema, sound: npt.NDArray[np.bool_], weighted: bool, min_votes: int
) -> Iterator[Fault]:
    """Questions against the answers that lead to them, and rows without votes; of rows whose cells are sound."""
    totals = sum_by_question(votes, schema.question_index_groups)
    # weights and fractions are rounded somewhere: half a vote is nothing
    slack = 0.5 if weighted else 0.0
    for position, question in enumerate(schema.questions):
        led = _count_led(votes, totals, question, schema)
        if led is None:
            continue
        over = totals[:, position] - led
        many = sound & (over > np.maximum(EXCESS_VOTES, EXCESS_SHARE * led) + 1e-9) & (not question.always_asked)
        few = sound & (over > slack) & ~many & (led > 0 if question.always_asked else True)
        for kind, chosen in ((EXCESS, many), (SMALL_EXCESS, few)):
            rows = np.flatnonzero(chosen)
            found = zip(totals[rows, position], led[rows], strict=True)
            values = [f"{total:g} votes, {most:g} volunteers led to it" for total, most in found]
            yield Fault.of_column(kind, rows, question.text, values)
    if min_votes:
        rows = np.flatnonzero(sound & find_too_few_votes(votes, schema, min_votes))
        yield Fault.of_column(FEW_VOTES, rows, "", [f"{total:g} votes in all" for total in totals[rows].sum(axis=1)])
    else:
        rows = np.flatnonzero(sound & (totals.sum(axis=1) == 0))
        yield Fault.of_column(NO_VOTES, rows, "", ["0 votes"] * len(rows))


def _count_led(votes: FloatArray, totals: FloatArray, question: Question, schema: Schema) -> FloatArray | None:
    """Volunteers who reached the question, `(row,)`; None where nothing tells."""
    if not question.always_asked:
        led: FloatArray = votes[:, [parent.index for parent in question.asked_after]].sum(axis=1)
        return led
    first = question_of_volunteers(question, schema)
    return None if first is None else totals[:, schema.questions.index(first)]


def _ending_of_campaign(first: Question, schema: Schema) -> str | None:
    """What `first` and the questions that it leads to end in: `-dr5`, or nothing in a plain tree; None if to none."""
    below = {first.text}
    for question in schema.asking_order:
        if any(parent.question.text in below for parent in question.asked_after):
            below.add(question.text)
    if len(below) == 1:
        return None
    endings = {text[text.rfind("-") :] if "-" in text else "" for text in below}
    return endings.pop() if len(endings) == 1 else ""

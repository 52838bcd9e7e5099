"""How each kind of fault (`fault_kinds.py`) is found in the rows of a catalog.

A table may come in batches of rows; what is found is collected in little memory (`fault_findings.py`). Faults of
votes are found in `vote_faults.py`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zoobot.shared.fault_findings import Fault, Findings, IntArray
from zoobot.shared.fault_kinds import (
    BLANK_FILE,
    BLANK_ID,
    REPEATED_FILE,
    REPEATED_ID,
    ROUNDED_ID,
    UNREADABLE_TYPE,
    Kind,
)
from zoobot.shared.images import READABLE_SUFFIXES
from zoobot.shared.schemas import Schema
from zoobot.shared.tables import as_objects, as_strings
from zoobot.shared.vote_faults import FloatArray, find_vote_faults, read_votes

# What spreadsheets and data frames make of long whole numbers: 5.87739505752785e+17, 587739505752785605.0
_ROUNDED = r"^(-?\d\.\d*[eE]\+\d+|-?\d{16,}\.0)$"
# An ending of letters names a type; J132200.16+005202.0 ends in a position.
_TYPE = r"\.[A-Za-z]{2,5}(\.[gf]z)?$"
_READABLE_TYPE = "(?i)(" + "|".join(suffix.replace(".", r"\.") for suffix in READABLE_SUFFIXES) + ")$"


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
        yield from find_vote_faults(table, votes, schema, weighted, min_votes)


def find_file_columns(columns: Iterable[Any]) -> list[str]:
    """The columns that name images: `file_loc`, or one per band in their order, `file_loc_g`, `file_loc_r` ..."""
    names = [str(column) for column in columns]
    return ["file_loc"] if "file_loc" in names else [name for name in names if name.startswith("file_loc_")]


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


def _find_id_faults(column: "pd.Series[Any]") -> Iterator[Fault]:
    ids = as_strings(column)
    blank = _are_blank(ids)
    rounded = ~blank if pd.api.types.is_float_dtype(column) else _match(ids, _ROUNDED)
    yield _fault(BLANK_ID, blank, "id_str", ids)
    yield _fault(ROUNDED_ID, rounded, "id_str", ids)


def _find_file_faults(column: str, files: pa.StringArray) -> Iterator[Fault]:
    yield _fault(BLANK_FILE, _are_blank(files), column, files)
    yield _fault(UNREADABLE_TYPE, _match(files, _TYPE) & ~_match(files, _READABLE_TYPE), column, files)


def _fault(kind: Kind, chosen: npt.NDArray[np.bool_], column: str, texts: pa.StringArray) -> Fault:
    rows = np.flatnonzero(chosen)
    return Fault.of_column(kind, rows, column, as_objects(texts.take(rows)))


def _are_blank(texts: pa.StringArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.equal(pc.utf8_trim_whitespace(texts), ""))


def _match(texts: pa.StringArray, pattern: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.match_substring_regex(texts, pattern))

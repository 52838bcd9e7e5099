"""The faults of a catalog, collected kind by kind while its rows come in batches.

Rows with a fault of a rejected kind cannot be used; other kinds are warnings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from zoobot.errors import quote
from zoobot.shared.fault_kinds import NO_VOTES, Kind
from zoobot.shared.tables import as_objects

IntArray = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]


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
        where = f"{_say_rows(found.count)}{_name_columns(list(found.columns))}"
        return f"{kind.what} in {where}, such as {found.example}. {kind.remedy}"


def _say_rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _name_columns(names: list[str]) -> str:
    if names in (["id_str"], ["file_loc"], [""]):
        return ""
    return f", in {'the column' if len(names) == 1 else 'the columns'} {quote(names)}"

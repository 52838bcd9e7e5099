"""The votes of a published table: from its counts where it has them, else from its fractions."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.errors import CatalogError, SettingError, did_you_mean, quote
from zoobot.shared.schemas import Schema
from zoobot.shared.table_mappings import TableMapping

logger = logging.getLogger(__name__)

Votes = npt.NDArray[np.float64]

_FAR_FROM_WHOLE = 0.1
"""A fraction times the number of answers is a whole number, but for the digits that the table gives."""


@dataclass(frozen=True)
class PublishedVotes:
    """Votes `(galaxy, answer)`, the columns they came from, how, how many were blank, and whether they are whole."""

    votes: Votes
    columns: list[str]
    how: str
    n_blank: int

    @property
    def weighted(self) -> bool:
        """Whether some votes are no whole numbers."""
        finite = self.votes[np.isfinite(self.votes)]
        return bool((finite != np.rint(finite)).any())

    def to_columns(self, schema: Schema) -> dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]]:
        """Vote column -> votes, whole ones as integers."""
        whole = np.isfinite(self.votes).all() and not self.weighted
        votes = self.votes.astype(np.int64) if whole else self.votes
        return {label: votes[:, position] for position, label in enumerate(schema.label_cols)}


def find_votes(
    table: pd.DataFrame, mapping: TableMapping, schema: Schema, total_votes: str | None, source: str
) -> PublishedVotes:
    """Read the votes of all answers of a tree.

    Args:
        total_votes: volunteers per galaxy, a column or a number; needed for fractions without totals.
        source: what to call the table in messages.

    Raises:
        CatalogError: the mapping or the table lacks columns, or a column holds something else.
        SettingError: `total_votes` is missing, or neither a column nor a number.
    """
    _refuse_unmapped(mapping, schema)
    counts = [mapping.find_label(label, mapping.counts) for label in schema.label_cols]
    fractions = [mapping.find_label(label, mapping.fractions) for label in schema.label_cols]
    if _has_all(table, counts):
        if total_votes is not None:
            logger.warning("The table has counts: --total-votes is not used.")
        return _read_counts(table, [str(column) for column in counts], source)
    some_counts = any(column in table for column in counts if column)
    if not _has_all(table, fractions) or (some_counts and total_votes is None):
        _refuse_missing(table, counts, fractions, source, mapping)
    return _read_fractions(table, [str(column) for column in fractions], mapping, schema, total_votes, source)


def _has_all(table: pd.DataFrame, columns: Sequence[str | None]) -> bool:
    return all(column is not None and column in table for column in columns)


def _refuse_unmapped(mapping: TableMapping, schema: Schema) -> None:
    named = {**mapping.counts, **mapping.fractions}
    unmapped = [label for label in schema.label_cols if mapping.find_label(label, named) is None]
    if unmapped:
        raise CatalogError(
            f"The mapping '{mapping.name}' does not say where {len(unmapped)} of the {len(schema.label_cols)} vote "
            f"columns of the schema '{schema.name}' come from: {quote(unmapped)}.{did_you_mean(unmapped[0], named)} "
            f"Choose a schema that it fills, such as {' or '.join(mapping.schemas)}, or write a mapping of your own."
        )


def _refuse_missing(
    table: pd.DataFrame,
    counts: Sequence[str | None],
    fractions: Sequence[str | None],
    source: str,
    mapping: TableMapping,
) -> None:
    wanted = [column for column in (counts if None not in counts else fractions) if column is not None]
    missing = [column for column in wanted if column not in table]
    others = [str(column) for column in table.columns if column not in wanted]
    raise CatalogError(
        f"The table {source} lacks {len(missing)} of the {len(wanted)} columns that the mapping '{mapping.name}' "
        f"needs: {quote(missing)}.{did_you_mean(missing[0], others)} Is it another table, or another mapping? "
        f"The table's other columns are: {quote(others) or 'none'}."
    )


def _read_counts(table: pd.DataFrame, columns: list[str], source: str) -> PublishedVotes:
    votes = read_numbers(table, columns, source)
    blank = np.isnan(votes)
    return PublishedVotes(np.where(blank, 0.0, votes), columns, "from counts", int(blank.sum()))


def _read_fractions(
    table: pd.DataFrame,
    columns: list[str],
    mapping: TableMapping,
    schema: Schema,
    total_votes: str | None,
    source: str,
) -> PublishedVotes:
    fractions = read_numbers(table, columns, source)
    _refuse_no_fractions(fractions, columns, source)
    blank = np.isnan(fractions)
    fractions = np.where(blank, 0.0, fractions)
    totals = [mapping.find_total(question.text) for question in schema.questions]
    if _has_all(table, totals):
        if total_votes is not None:
            logger.warning("The table has the number of answers to each question: --total-votes is not used.")
        answers = read_numbers(table, [str(column) for column in totals], source)
        votes = fractions * np.repeat(np.nan_to_num(answers), [len(q.answers) for q in schema.questions], axis=1)
        return _restore_counts(votes, [*columns, *map(str, totals)], int(blank.sum()))
    everybody = _read_total_votes(table, total_votes, mapping, source)
    if mapping.fractions_of == "everybody":
        votes = fractions * everybody[:, np.newaxis]
    else:
        votes = votes_of_fractions(fractions, everybody, schema)
    return PublishedVotes(votes, columns, f"fractions times volunteers ({total_votes})", int(blank.sum()))


def votes_of_fractions(fractions: Votes, everybody: npt.NDArray[np.float64], schema: Schema) -> Votes:
    """Votes of fractions among those asked: a question is put to all who gave an answer that leads to it.

    Args:
        fractions: `(galaxy, answer)`, 0 to 1.
        everybody: `(galaxy,)`, the number of volunteers.
    """
    votes = np.zeros_like(fractions)
    for question in schema.asking_order:
        parents = [parent.index for parent in question.asked_after]
        asked = votes[:, parents].sum(axis=1) if parents else everybody
        votes[:, question.slice] = fractions[:, question.slice] * asked[:, np.newaxis]
    return votes


def _restore_counts(votes: Votes, columns: list[str], n_blank: int) -> PublishedVotes:
    distance = float(np.abs(votes - np.rint(votes)).max(initial=0.0))
    if distance > _FAR_FROM_WHOLE:
        return PublishedVotes(votes, columns, "fractions times answers to each question", n_blank)
    how = f"fractions times answers to each question, whole numbers to within {distance:.2g} and rounded to them"
    return PublishedVotes(np.rint(votes), columns, how, n_blank)


def read_numbers(table: pd.DataFrame, columns: Sequence[str], source: str) -> Votes:
    """`(galaxy, column)`, NaN where a column is blank; `CatalogError` where it holds text."""
    return np.stack([_read_column(table, column, source) for column in columns], axis=1)


def _read_column(table: pd.DataFrame, column: str, source: str) -> npt.NDArray[np.float64]:
    values = table[column]
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = numbers.isna() & values.notna()
    if wrong.any():  # a column that was read as text has '' where it is blank
        wrong &= values.astype(str).str.strip() != ""
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise CatalogError(
            f"The column '{column}' of the table {source} must hold numbers, but {wrong.sum():,} of {len(table):,} "
            f"rows hold text, such as {values.iloc[row]!r} in row {row + 1:,}. Mend them, or choose another column."
        )
    return np.asarray(numbers.to_numpy(np.float64, na_value=np.nan))


def _refuse_no_fractions(fractions: Votes, columns: Sequence[str], source: str) -> None:
    wrong = (fractions < 0) | (fractions > 1 + 1e-3)
    if wrong.any():
        row, position = np.argwhere(wrong)[0]
        raise CatalogError(
            f"The column '{columns[position]}' of the table {source} must hold fractions from 0 to 1, but row "
            f"{row + 1:,} of {len(fractions):,} has {fractions[row, position]:g}; {wrong.any(axis=1).sum():,} rows "
            "have such a value. If these are counts, name them under 'counts:' in the mapping."
        )


def _read_total_votes(
    table: pd.DataFrame, total_votes: str | None, mapping: TableMapping, source: str
) -> npt.NDArray[np.float64]:
    if total_votes is None:
        raise SettingError(
            f"The table {source} has vote fractions and no counts. Give the number of volunteers per galaxy, a "
            f"column or a number: --total-votes COLUMN, or --total-votes 40. Votes are then fractional."
        )
    if total_votes in table:
        totals = read_numbers(table, [total_votes], source)[:, 0]
        wrong = ~(totals >= 0)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise CatalogError(
                f"The column '{total_votes}' of the table {source} must hold the number of volunteers, but "
                f"{wrong.sum():,} of {len(table):,} rows are blank or negative, such as row {row + 1:,}."
            )
        return totals
    try:
        number = float(total_votes)
    except ValueError:
        number = np.nan
    if not 0 < number < np.inf:
        raise SettingError(
            f"The setting 'total_votes' must be a column of the table {source} or a number above 0. Got "
            f"'{total_votes}' instead.{did_you_mean(total_votes, map(str, table.columns))}"
        )
    return np.full(len(table), number)

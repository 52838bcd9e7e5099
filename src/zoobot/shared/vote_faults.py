"""How faults of votes are found: of single cells, then of questions against the answers that lead to them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.shared.dirichlet import sum_by_question
from zoobot.shared.fault_findings import Fault, Texts
from zoobot.shared.fault_kinds import (
    ABSURD,
    BLANK,
    EXCESS,
    EXCESS_SHARE,
    EXCESS_VOTES,
    FEW_VOTES,
    FRACTIONAL,
    INFINITE,
    MAX_VOTES,
    NEGATIVE,
    NO_VOTES,
    SMALL_EXCESS,
    TEXT,
)
from zoobot.shared.schemas import Question, Schema

FloatArray = npt.NDArray[np.float64]

_CELL_KINDS = (TEXT, BLANK, INFINITE, NEGATIVE, ABSURD, FRACTIONAL)


def find_vote_faults(
    table: pd.DataFrame, votes: FloatArray, schema: Schema, weighted: bool, min_votes: int
) -> Iterator[Fault]:
    """What is wrong with the votes of each row of a batch by itself; `votes` are those that `read_votes` reads."""
    sound = np.ones(len(votes), bool)
    for fault in _find_cell_faults(table, votes, schema, weighted):
        sound[fault.rows] = False
        yield fault
    yield from _find_question_faults(votes, schema, sound, weighted, min_votes)


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


def _find_cell_faults(table: pd.DataFrame, votes: FloatArray, schema: Schema, weighted: bool) -> Iterator[Fault]:
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

"""Raw volunteer answers in, a catalog of votes out.

One vote per volunteer, subject and question: the last one stands, by the time of the classification, then by the
order in the file. This goes question by question: who first sees a disk and says that it has a bar, and later comes
back to say "smooth", leaves a vote for smooth and the earlier one about the bar. Only answers that count take part:
one that was skipped, has no place in the schema, or is outside of the time range replaces none.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import ZooniverseSettings
from zoobot.errors import CatalogError, OutputError
from zoobot.shared.answer_tallies import Tally, read_tally, show_counts
from zoobot.shared.schemas import Schema
from zoobot.shared.tables import write_table
from zoobot.shared.zooniverse_exports import show_time
from zoobot.shared.zooniverse_mappings import ZooniverseMapping, load_mapping
from zoobot.shared.zooniverse_subjects import DEFAULT_TEMPLATE, refuse_template

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VoteCount:
    """What was counted: `str()` is the summary for the terminal.

    Args:
        file: the catalog.
        export: what was read.
        schema: the tree of the vote columns.
        n_answers: answers read, each to one question.
        dropped: reason -> answers that were not counted for it.
        n_replaced: answers in whose place a later one of the same volunteer stands.
        unknown: one line for each question of which something is not in the mapping, with examples.
        n_bad_lines: lines that cannot be understood.
        n_subjects: rows of the catalog.
        n_volunteers: distinct volunteers among the votes.
        votes: question -> votes; sums of weights where `weight_col` is set.
        workflows: workflow -> answers in the export.
        times: first and last answer counted.
        weight_col: the column of weights, if any.
        file_template: where the images' names come from a template, and which.
    """

    file: Path
    export: str
    schema: Schema
    n_answers: int
    dropped: Mapping[str, int]
    n_replaced: int
    unknown: tuple[str, ...]
    n_bad_lines: int
    n_subjects: int
    n_volunteers: int
    votes: Mapping[str, float]
    workflows: Mapping[str, int]
    times: tuple[str, str]
    weight_col: str | None = None
    file_template: str | None = None

    @property
    def n_counted(self) -> int:
        """Answers that became votes."""
        return self.n_answers - self.n_replaced - sum(self.dropped.values())

    def __str__(self) -> str:
        lines = [
            f"{self.export}: {self.n_answers:,} answers. Workflows: {show_counts(self.workflows)}.",
            f"Counted {self.n_counted:,} answers by {self.n_volunteers:,} volunteers about {self.n_subjects:,} "
            f"subjects, from {self.times[0]} to {self.times[1]} (UTC).",
            f"Replaced by a later answer of the same volunteer: {self.n_replaced:,}.",
            *(f"Not counted, {reason}: {count:,}." for reason, count in self.dropped.items() if count),
            *(f"  {line}" for line in self.unknown),
        ]
        if self.n_bad_lines:
            lines.append(f"Lines that cannot be understood: {self.n_bad_lines:,}.")
        lines += ["", f"Votes per question of the schema '{self.schema.name}':"]
        decimals = 1 if self.weight_col else 0
        lines += [f"  {question:24}{votes:14,.{decimals}f}" for question, votes in self.votes.items()]
        if self.weight_col:
            lines.append(f"Votes are sums of '{self.weight_col}', not counts: commands need --weighted-votes.")
        if self.file_template:
            lines.append(f"file_loc is '{self.file_template}' for each subject; --file-template changes that.")
        return "\n".join([*lines, f"Written to '{self.file}'."])


def from_zooniverse(
    export: str | Path,
    mapping: str | Path | ZooniverseMapping,
    output: str | Path,
    settings: ZooniverseSettings | None = None,
) -> VoteCount:
    """Count the answers of an export and write a catalog: one row for each subject with a vote.

    Besides `id_str`, `file_loc`, the subject's metadata and the vote columns it has `volunteers`, the number of
    distinct volunteers whose votes these are. The export is read line by line; some 30 bytes per answer are kept.

    Args:
        export: classification export or flat answers, CSV or JSON lines, gzipped or not.
        mapping: name of a bundled mapping, or a YAML file.
        output: .csv, .csv.gz or .parquet.

    Raises:
        CatalogError: an export or a mapping that cannot be used, or that do not fit each other.
        SettingError: a time or a template that cannot be one.
        OutputError: the output cannot be written.
    """
    settings = settings or ZooniverseSettings()
    _refuse_output(output)
    refuse_template(settings.file_template)
    known = load_mapping(mapping)
    tally = read_tally(export, known, settings)
    source = f"'{export}'"
    answers = tally.answers
    if not len(answers):
        raise CatalogError(_explain_nothing(tally, known, source))
    _tell_absent_workflows(tally, settings, source)
    votes, volunteers, n_replaced = _count(answers, len(tally.subjects), known.schema)
    reserved = {"volunteers", *known.schema.label_cols}
    table = tally.subjects.to_table(known.subject, settings.file_template, source, reserved)
    table = table.assign(volunteers=volunteers)
    file = write_table(pd.concat([table, pd.DataFrame(votes, columns=known.schema.label_cols)], axis=1), output)
    guessed = None if tally.subjects.has_image_key(known.subject) else DEFAULT_TEMPLATE
    return VoteCount(
        file=file,
        export=source,
        schema=known.schema,
        n_answers=tally.n_answers,
        dropped=dict(tally.dropped.most_common()),
        n_replaced=n_replaced,
        unknown=tuple(tally.describe_unknown()),
        n_bad_lines=tally.n_bad_lines,
        n_subjects=len(table),
        n_volunteers=len(np.unique(answers["volunteer"])),
        votes={question.text: votes[:, question.slice].sum() for question in known.schema.questions},
        workflows=dict(tally.workflows.most_common()),
        times=(show_time(int(answers["time"].min())), show_time(int(answers["time"].max()))),
        weight_col=settings.weight_col,
        file_template=settings.file_template or guessed,
    )


def _count(
    answers: npt.NDArray[Any], n_subjects: int, schema: Schema
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], int]:
    """`(subject, answer)` votes, `(subject,)` distinct volunteers, and how many answers a later one replaces."""
    question_of = np.repeat(np.arange(len(schema.questions)), [len(q.answers) for q in schema.questions])
    subjects, volunteers, columns = answers["subject"], answers["volunteer"], answers["column"]
    questions = question_of.astype(np.int16)[columns]
    # The sort is stable: answers of one moment stay in the order of the file.
    order = np.lexsort((answers["time"], questions, volunteers, subjects))
    starts_volunteer = _starts(subjects[order], volunteers[order])
    starts_question = starts_volunteer | _starts(questions[order])
    last_of_each = np.append(np.flatnonzero(starts_question)[1:], len(order)) - 1
    annotations = answers["annotation"][order]
    stands = annotations == annotations[last_of_each][np.cumsum(starts_question) - 1]
    kept, n_answers = order[stands], len(schema.answers)
    weights = answers["weight"][kept] if "weight" in (answers.dtype.names or ()) else None
    cells = subjects[kept].astype(np.int64) * n_answers + columns[kept]
    votes = np.bincount(cells, weights, n_subjects * n_answers).reshape(n_subjects, n_answers)
    per_subject = np.bincount(subjects[order][starts_volunteer], minlength=n_subjects)
    return votes, per_subject, len(order) - len(kept)


def _starts(*keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where any of the sorted keys differs from the one before; the first always does."""
    starts = np.ones(len(keys[0]), bool)
    starts[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return starts


def _refuse_output(output: str | Path) -> None:
    """Before an hour of reading, rather than after it."""
    if not str(output).lower().endswith((".csv", ".csv.gz", ".parquet")):
        raise OutputError(f"The table '{output}' must end in one of .csv, .csv.gz, .parquet.")


def _tell_absent_workflows(tally: Tally, settings: ZooniverseSettings, source: str) -> None:
    absent = [workflow for workflow in settings.workflow_id if workflow not in tally.workflows]
    if absent:
        held = show_counts(tally.workflows)
        logger.warning("The export %s has no answers of workflow %s. It holds: %s.", source, ", ".join(absent), held)


def _explain_nothing(tally: Tally, mapping: ZooniverseMapping, source: str) -> str:
    """Why not one answer counted: what the export holds, and what was expected."""
    lines = [f"None of the {tally.n_answers:,} answers of the export {source} counts."]
    lines += [f"- {reason}: {count:,}" for reason, count in tally.dropped.most_common()]
    lines.append(f"It holds the workflows {show_counts(tally.workflows)}.")
    if tally.unknown:
        lines += ["It holds these questions, which have no place in the mapping:", *tally.describe_unknown()]
        expected = ", ".join(f"{question.text}" for question in mapping.schema.questions)
        lines.append(
            f"The mapping '{mapping.name}' is for the questions {expected} of the schema '{mapping.schema.name}'. "
            "Say under 'questions' and 'answers' of a mapping of your own what they are called in the export."
        )
    return "\n".join(lines)

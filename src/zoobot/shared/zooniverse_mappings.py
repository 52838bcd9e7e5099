"""What the questions and answers of a Zooniverse export are called in a schema: a small YAML file.

name: my-survey
schema: my_tree.yaml              # a published tree, or a file beside this one
questions:
  T0: smooth-or-featured          # a task, or the question's text; null leaves it out
answers:
  smooth-or-featured:
    Features or Disk: featured    # as in the export; a bare number is the answer's position, from 0
subject:
  id_str: "!iauname"              # by default the Zooniverse's own subject id
  file_loc: Filename              # by default the first of the usual names of an image
  keep: [ra, dec]                 # by default all metadata

Names are compared without markdown images, surrounding spaces and case. Those that equal the schema's need no line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from zoobot.errors import CatalogError, did_you_mean
from zoobot.shared.mapping_files import load_schema_of, read_mapping
from zoobot.shared.schemas import Question, Schema

_KEYS = ("name", "schema", "questions", "answers", "subject")
_SUBJECT_KEYS = ("id_str", "file_loc", "keep")
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")


class Uncounted(IntEnum):
    """Why an answer has no vote column; negative, so that it cannot be taken for one."""

    SKIPPED = -1
    LEFT_OUT = -2
    UNKNOWN_QUESTION = -3
    UNKNOWN_ANSWER = -4
    REPEATED = -5


@dataclass(frozen=True)
class SubjectFields:
    """From which metadata a subject's name, image and further columns come; `keep` None is all of them."""

    id_str: str = "subject_id"
    file_loc: str | None = None
    keep: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ZooniverseMapping:
    """A checked mapping.

    Args:
        name: what to call it in messages.
        schema: the tree whose vote columns are filled.
        questions: normalised task or question text -> the schema's question; None where it is left out.
        answers: the schema's question -> normalised text, or position, of an answer -> its vote column, or None.
        subject: where names and images come from.
    """

    name: str
    schema: Schema
    questions: Mapping[str, str | None]
    answers: Mapping[str, Mapping[str | int, int | None]]
    subject: SubjectFields

    def find_column(self, task: str, text: str, value: object) -> int:
        """The vote column of one answer to a question that has a task key, a text or both; else an `Uncounted`."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return Uncounted.SKIPPED
        for name in filter(None, map(normalise, (task, text))):
            if name in self.questions:
                question = self.questions[name]
                return Uncounted.LEFT_OUT if question is None else self._find_answer(question, value)
        return Uncounted.UNKNOWN_QUESTION

    def _find_answer(self, question: str, value: object) -> int:
        answers = self.answers[question]
        known = normalise(value) if isinstance(value, str) else value
        if isinstance(known, bool) or not isinstance(known, str | int) or known not in answers:
            return Uncounted.UNKNOWN_ANSWER
        column = answers[known]
        return Uncounted.LEFT_OUT if column is None else column


def normalise(text: str) -> str:
    """A name without markdown images, surplus spaces and case; an image that stands alone goes by its own name.

    >>> normalise("![smooth.png](https://example.org/1.png)  Smooth ")
    'smooth'
    """
    without = _IMAGE.sub(" ", text).split() or _IMAGE.sub(r" \1 ", text).split()
    return " ".join(without).casefold()


def load_mapping(mapping: str | Path | ZooniverseMapping) -> ZooniverseMapping:
    """A mapping by its bundled name or from a YAML file.

    Raises:
        CatalogError: no such mapping, or every fault of it with what to do.
    """
    if isinstance(mapping, ZooniverseMapping):
        return mapping
    path, content = read_mapping(mapping, "zooniverse", "'schema: decals-dr5' and 'questions:'")
    faults = _find_wrong_keys(content)
    if not faults:
        schema = load_schema_of(path, content["schema"])
        questions = _read_questions(content.get("questions") or {}, schema, faults)
        answers = _read_answers(content.get("answers") or {}, schema, faults)
        subject = _read_subject(content.get("subject") or {}, faults)
    if faults:
        raise CatalogError(f"The mapping '{mapping}' cannot be used:\n" + "\n".join(f"- {fault}" for fault in faults))
    return ZooniverseMapping(str(content.get("name", path.stem)), schema, questions, answers, subject)


def _find_wrong_keys(content: Mapping[Any, Any]) -> list[str]:
    faults = [
        f"There is no key '{key}'.{did_you_mean(str(key), _KEYS)} The keys are {', '.join(_KEYS)}."
        for key in content
        if key not in _KEYS
    ]
    if not isinstance(content.get("schema"), str):
        faults.append("The key 'schema' must name a published tree or a schema file, such as 'schema: decals-dr5'.")
    faults += [
        f"The key '{key}' must hold lines of 'name: value'. Got {content[key]!r} instead."
        for key in ("questions", "answers", "subject")
        if not isinstance(content.get(key), dict | None)
    ]
    return faults


def _read_questions(listed: Mapping[Any, Any], schema: Schema, faults: list[str]) -> dict[str, str | None]:
    names = {question.text for question in schema.questions}
    questions: dict[str, str | None] = {normalise(name): name for name in names}
    for key, question in listed.items():
        if question is not None and question not in names:
            faults.append(
                f"The schema '{schema.name}' has no question '{question}' (for '{key}')."
                + (did_you_mean(str(question), names) or f" Its questions are {', '.join(sorted(names))}.")
            )
        questions[normalise(str(key))] = question
    return questions


def _read_answers(
    listed: Mapping[Any, Any], schema: Schema, faults: list[str]
) -> dict[str, dict[str | int, int | None]]:
    columns = {question.text: _own_names(question) for question in schema.questions}
    answers: dict[str, dict[str | int, int | None]] = {name: dict(own.items()) for name, own in columns.items()}
    for question, lines in listed.items():
        if question not in columns:
            faults.append(
                f"The schema '{schema.name}' has no question '{question}' (in answers)."
                f"{did_you_mean(str(question), columns)} Answers stand under the schema's name of their question."
            )
        elif not isinstance(lines, dict):
            faults.append(f"The answers of '{question}' must be lines of 'answer in the export: answer of the schema'.")
        else:
            for key, answer in lines.items():
                _add_answer(answers[question], columns[question], question, key, answer, faults)
    return answers


def _own_names(question: Question) -> dict[str, int]:
    """A question's answers by the names that the schema has for them."""
    full = {normalise(answer.text): answer.index for answer in question.answers}
    return full | {normalise(answer.short_text): answer.index for answer in question.answers}


def _add_answer(
    answers: dict[str | int, int | None],
    columns: Mapping[str, int],
    question: str,
    key: object,
    answer: object,
    faults: list[str],
) -> None:
    name = None if answer is None else normalise(_as_text(answer))
    if name is not None and name not in columns:
        faults.append(
            f"The question '{question}' has no answer '{_as_text(answer)}' (for '{_as_text(key)}')."
            f"{did_you_mean(name, columns)} Its answers are {', '.join(sorted(set(columns)))}."
        )
        return
    column = None if name is None else columns[name]
    if isinstance(key, int) and not isinstance(key, bool):
        answers[key] = column  # a position; a text of that number still goes by the schema's own names
        answers.setdefault(str(key), column)
    else:
        answers[normalise(_as_text(key))] = column


def _as_text(value: object) -> str:
    """YAML reads a bare yes or no as true or false."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _read_subject(listed: Mapping[Any, Any], faults: list[str]) -> SubjectFields:
    faults += [
        f"There is no key '{key}' under subject.{did_you_mean(str(key), _SUBJECT_KEYS)} The keys are "
        f"{', '.join(_SUBJECT_KEYS)}."
        for key in listed
        if key not in _SUBJECT_KEYS
    ]
    keep = listed.get("keep")
    if keep is not None and not (isinstance(keep, list) and all(isinstance(key, str) for key in keep)):
        faults.append(f"The key 'keep' under subject must be a list of metadata keys. Got {keep!r} instead.")
        keep = None
    for key in ("id_str", "file_loc"):
        if not isinstance(listed.get(key), str | None):
            faults.append(f"The key '{key}' under subject must name a metadata key. Got {listed[key]!r} instead.")
    return SubjectFields(
        str(listed.get("id_str") or "subject_id"), listed.get("file_loc"), None if keep is None else tuple(keep)
    )

"""A decision tree as a schema: which questions volunteers are asked, in which columns their answers are counted.

schema = Schema(
    {"smooth-or-featured": ["_smooth", "_featured"], "bar": ["_yes", "_no"]},
    {"smooth-or-featured": None, "bar": "smooth-or-featured_featured"},
)
schema.label_cols             # ['smooth-or-featured_smooth', 'smooth-or-featured_featured', 'bar_yes', 'bar_no']
schema.question_index_groups  # [(0, 1), (2, 3)]: first and last column of each question, both included
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from zoobot.errors import SchemaError, did_you_mean
from zoobot.shared import label_metadata

Dependencies = Mapping[str, str | Sequence[str] | None]


@dataclass(eq=False)
class Answer:
    """One answer to one question. `text` is the name of its vote column, `index` the column's position."""

    text: str
    question: "Question" = field(repr=False)
    index: int

    @property
    def short_text(self) -> str:
        """The answer without its question: `smooth` of `smooth-or-featured_smooth`."""
        return self.text.removeprefix(self.question.text).lstrip("_")


@dataclass(eq=False)
class Question:
    """One question: its answers stand in columns `start_index` to `end_index`, both included."""

    text: str
    start_index: int
    end_index: int
    answers: list[Answer] = field(default_factory=list, repr=False)
    asked_after: list[Answer] = field(default_factory=list, repr=False)
    """Any of these answers leads to the question; empty where everybody is asked."""

    @property
    def slice(self) -> slice:
        """The question's columns, as a Python slice."""
        return slice(self.start_index, self.end_index + 1)

    @property
    def always_asked(self) -> bool:
        return not self.asked_after


class Schema:
    """The decision tree of one campaign.

    Args:
        question_answer_pairs: question -> answers; a column is named question + answer (`bar` + `_yes`).
        dependencies: question -> the answer after which it is asked (a column's name), a list of answers where
            any of them leads to it, or None where everybody is asked. Keys for questions that the tree lacks
            are ignored, so that campaigns can share one set of dependencies.
        name: what to call the tree in messages and files.

    Raises:
        SchemaError: the tree is malformed. The message names the question and the remedy.
    """

    def __init__(
        self,
        question_answer_pairs: Mapping[str, Sequence[str]],
        dependencies: Dependencies,
        name: str = "unnamed",
    ) -> None:
        self.name = name
        self.question_answer_pairs = {
            text: _check_answers(text, answers) for text, answers in question_answer_pairs.items()
        }
        self.dependencies = {
            text: _check_parents(text, dependencies[text]) for text in question_answer_pairs if text in dependencies
        }
        self.questions = _build_questions(self.question_answer_pairs)
        self.answers = [answer for question in self.questions for answer in question.answers]
        _refuse_repeated_columns(self.answers)
        self._question_by_text = {question.text: question for question in self.questions}
        self._answer_by_text = {answer.text: answer for answer in self.answers}
        self._link_questions()
        self.asking_order = _asking_order(self.questions)
        """The questions so that each comes after those that lead to it."""

    @property
    def label_cols(self) -> list[str]:
        """Names of the vote columns, in order."""
        return [answer.text for answer in self.answers]

    @property
    def question_index_groups(self) -> list[tuple[int, int]]:
        """`(first, last)` column of each question, both included."""
        return [(question.start_index, question.end_index) for question in self.questions]

    def get_question(self, text: str) -> Question:
        """The question of that name; `SchemaError` where there is none."""
        if text not in self._question_by_text:
            raise SchemaError(
                f"The tree '{self.name}' has no question '{text}'.{did_you_mean(text, self._question_by_text)}"
            )
        return self._question_by_text[text]

    def get_answer(self, text: str) -> Answer:
        """The answer whose column has that name; `SchemaError` where there is none."""
        if text not in self._answer_by_text:
            raise SchemaError(
                f"The tree '{self.name}' has no answer '{text}'.{did_you_mean(text, self._answer_by_text)}"
            )
        return self._answer_by_text[text]

    def proportion_asked(self, vote_fractions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Fraction of the volunteers who reach each question.

        Args:
            vote_fractions: `(galaxy, answer, ...)`, the fraction of each answer among those asked, 0 to 1.

        Returns:
            `(galaxy, question, ...)`: 1 for a question that everybody is asked; otherwise the sum, over the
            answers that lead to it, of answer fraction times proportion asked of that answer's question.
        """
        fractions = np.asarray(vote_fractions)
        if fractions.ndim < 2 or fractions.shape[1] != len(self.answers):
            raise SchemaError(
                f"vote_fractions must have shape (galaxy, answer) with {len(self.answers)} answers for the tree "
                f"'{self.name}'. Got shape {fractions.shape} instead."
            )
        shape = (fractions.shape[0], len(self.questions), *fractions.shape[2:])
        asked = np.ones(shape, dtype=np.result_type(fractions.dtype, np.float32))
        for question in self.asking_order:
            if not question.always_asked:
                position = self._position[question.text]
                asked[:, position] = sum(
                    fractions[:, parent.index] * asked[:, self._position[parent.question.text]]
                    for parent in question.asked_after
                )
        return asked

    def joint_p(self, prob_of_answers: npt.NDArray[Any], answer_text: str) -> npt.NDArray[Any]:
        """Probability that a volunteer reaches an answer's question and then gives that answer.

        Args:
            prob_of_answers: `(galaxy, answer, ...)`, the probability of each answer among those asked, 0 to 1.
            answer_text: the answer, named as its column.

        Returns:
            `(galaxy, ...)`: the product of the answer's probability and of those along the way to it.
        """
        answer = self.get_answer(answer_text)
        asked = self.proportion_asked(prob_of_answers)[:, self._position[answer.question.text]]
        joint: npt.NDArray[Any] = asked * np.asarray(prob_of_answers)[:, answer.index]
        return joint

    def to_dict(self) -> dict[str, Any]:
        """The tree as plain data, for JSON; `Schema.from_dict` reads it back."""
        dependencies = {
            text: None if not parents else parents[0] if len(parents) == 1 else parents
            for text, parents in self.dependencies.items()
        }
        return {
            "name": self.name,
            "question_answer_pairs": self.question_answer_pairs,
            "dependencies": dependencies,
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Schema":
        """Read what `to_dict` wrote."""
        try:
            return cls(tree["question_answer_pairs"], tree["dependencies"], tree.get("name", "unnamed"))
        except (KeyError, TypeError, AttributeError) as error:
            raise SchemaError(
                "A schema must hold 'question_answer_pairs' (question: list of answers) and 'dependencies' "
                f"(question: answer, list of answers or null). This one could not be read: {error!r}."
            ) from error

    @cached_property
    def _position(self) -> dict[str, int]:
        return {question.text: position for position, question in enumerate(self.questions)}

    def _link_questions(self) -> None:
        for question in self.questions:
            if question.text not in self.dependencies:
                raise SchemaError(
                    f"The question '{question.text}' has no key in the dependencies. Add "
                    f"'{question.text}': None if everybody is asked, or the answer after which it is asked."
                )
            for parent in self.dependencies[question.text]:
                if parent not in self._answer_by_text:
                    raise SchemaError(
                        f"The question '{question.text}' depends on '{parent}', which is no answer of this "
                        f"tree.{did_you_mean(parent, self._answer_by_text)} "
                        "Name an answer as its column: question + answer, such as 'bar_yes'."
                    )
                question.asked_after.append(self._answer_by_text[parent])

    def __eq__(self, other: object) -> bool:
        """Trees are equal when columns and dependencies are; the name does not count."""
        if not isinstance(other, Schema):
            return NotImplemented
        return (
            list(self.question_answer_pairs.items()) == list(other.question_answer_pairs.items())
            and self.dependencies == other.dependencies
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Schema('{self.name}', {len(self.questions)} questions, {len(self.answers)} answers)"


def get_schema(name: str) -> Schema:
    """The published tree of that name, such as `gz2` or `gz-evo-v2-public`; `SchemaError` for any other name."""
    if name not in label_metadata.trees:
        raise SchemaError(
            f"There is no schema '{name}'.{did_you_mean(name, label_metadata.trees)} "
            "'zoobot schema list' shows the names."
        )
    tree = label_metadata.trees[name]
    return Schema(tree.question_answer_pairs, tree.dependencies, name)


def list_schemas() -> str:
    """One line for each published tree: name, size, what was looked at, paper."""
    lines = []
    for name, tree in label_metadata.trees.items():
        n_answers = sum(map(len, tree.question_answer_pairs.values()))
        size = f"{len(tree.question_answer_pairs)} questions, {n_answers} answers"
        lines.append(f"{name:28}{size:26}{tree.description} ({tree.paper})")
    return "\n".join(lines)


def show_schema(schema: "str | Path | Schema") -> str:
    """The tree of `load_schema` in words: each question, after which answer it is asked, and its columns."""
    tree = load_schema(schema)
    lines = [f"{tree.name}: {len(tree.questions)} questions, {len(tree.answers)} answers"]
    if tree.name in label_metadata.trees:
        lines.append(label_metadata.trees[tree.name].paper)
    for question in tree.questions:
        parents = " or ".join(parent.text for parent in question.asked_after)
        lines += ["", f"{question.text} ({f'asked after {parents}' if parents else 'asked of everybody'})"]
        lines += [f"    {answer.text}" for answer in question.answers]
    return "\n".join(lines)


def load_schema(schema: "str | Path | Schema") -> Schema:
    """A schema by the name of a published tree, or from a YAML file; a `Schema` is returned as it is.

    The file holds `question_answer_pairs` and `dependencies`, as the arguments of `Schema`.
    """
    if isinstance(schema, Schema):
        return schema
    path = Path(schema)
    if path.suffix not in {".yaml", ".yml"}:
        if str(schema) not in label_metadata.trees and path.is_file():
            raise SchemaError(f"The schema file '{path}' must be YAML and end in .yaml or .yml.")
        return get_schema(str(schema))
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise SchemaError(f"There is no schema file '{path}'.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SchemaError(f"The schema file '{path}' cannot be read: {error}") from error
    try:
        return Schema.from_dict({"name": path.stem, **tree} if isinstance(tree, dict) else tree)
    except SchemaError as error:
        raise SchemaError(f"The schema file '{path}': {error}") from error


def _check_answers(question: str, answers: Sequence[str]) -> list[str]:
    if not isinstance(question, str):
        raise SchemaError(f"The name of a question must be text. Got {question!r} instead; in YAML, quote it.")
    if not _is_list_of_text(answers):
        raise SchemaError(
            f"The answers of the question '{question}' must be a list of text, such as ['_yes', '_no']. "
            f"Got {answers!r} instead; in YAML, quote words such as 'yes' and numbers."
        )
    return list(answers)


def _check_parents(question: str, parents: str | Sequence[str] | None) -> list[str]:
    if parents is None:
        return []
    if isinstance(parents, str):
        return [parents]
    if not _is_list_of_text(parents):
        raise SchemaError(
            f"The dependency of the question '{question}' must be the column of an answer, a list of them, or None. "
            f"Got {parents!r} instead."
        )
    return list(parents)


def _is_list_of_text(names: Any) -> bool:
    return isinstance(names, Sequence) and not isinstance(names, str) and all(isinstance(name, str) for name in names)


def _build_questions(pairs: Mapping[str, Sequence[str]]) -> list[Question]:
    if not pairs:
        raise SchemaError("A tree needs at least one question; question_answer_pairs is empty.")
    questions = []
    first = 0
    for text, answers in pairs.items():
        if not answers:
            raise SchemaError(f"The question '{text}' has no answers. Give it at least one, or remove it.")
        question = Question(text, first, first + len(answers) - 1)
        question.answers = [Answer(text + answer, question, first + offset) for offset, answer in enumerate(answers)]
        questions.append(question)
        first += len(answers)
    return questions


def _refuse_repeated_columns(answers: Sequence[Answer]) -> None:
    seen: set[str] = set()
    for answer in answers:
        if answer.text in seen:
            raise SchemaError(
                f"The question '{answer.question.text}' repeats the answer '{answer.text}'. "
                "Each answer needs a column of its own: rename or remove one."
            )
        seen.add(answer.text)


def _asking_order(questions: Sequence[Question]) -> list[Question]:
    """Parents before children, otherwise in the order of the columns; a cycle is refused."""
    ordered: dict[str, Question] = {}

    def walk(question: Question, path: tuple[str, ...]) -> Iterator[Question]:
        if question.text in path:
            cycle = " -> ".join((*path[path.index(question.text) :], question.text))
            raise SchemaError(
                f"The question '{question.text}' is asked only after itself ({cycle}, each after the next). "
                "Change one of these dependencies, so that a question with None leads to all of them."
            )
        if question.text not in ordered:
            for parent in question.asked_after:
                yield from walk(parent.question, (*path, question.text))
            ordered[question.text] = question
            yield question

    return [question for start in questions for question in walk(start, ())]

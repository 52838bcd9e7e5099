"""A decision tree as a schema: which questions volunteers are asked, in which columns their answers are counted.

schema = Schema(
    {"smooth-or-featured": ["_smooth", "_featured"], "bar": ["_yes", "_no"]},
    {"smooth-or-featured": None, "bar": "smooth-or-featured_featured"},
)
schema.label_cols             # ['smooth-or-featured_smooth', 'smooth-or-featured_featured', 'bar_yes', 'bar_no']
schema.question_index_groups  # [(0, 1), (2, 3)]: first and last column of each question, both included
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoobot.errors import SchemaError, did_you_mean
from zoobot.shared import campaigns
from zoobot.shared.schema_faults import find_faults, find_wrong_keys, read_parents
from zoobot.shared.schema_files import SUFFIXES, read_yaml, write_yaml

Dependencies = Mapping[str, str | Sequence[str] | None]


@dataclass(eq=False)
class Answer:
    """One answer to one question. `text` is the name of its vote column, `index` the column's position."""

    text: str
    question: "Question" = field(repr=False)
    index: int
    display_text: str = field(repr=False)
    """The answer as people read it: `featured or disk`."""

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
    display_text: str = field(repr=False)
    """The question as people read it."""
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
        citation: the paper to cite for its votes.
        display_text: question or column -> the words in which volunteers read it, for drawings and reports. What is
            not there is made from its name: `disk-edge-on` is shown as "Disk edge on".

    Raises:
        SchemaError: the tree is malformed. The message names every fault with its question and the remedy.
    """

    def __init__(
        self,
        question_answer_pairs: Mapping[str, Sequence[str]],
        dependencies: Dependencies,
        name: str = "unnamed",
        *,
        citation: str = "",
        display_text: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.citation = citation
        self.display_text = dict(display_text or {})
        _refuse_faults(find_faults(question_answer_pairs, dependencies))
        self.question_answer_pairs = {text: list(answers) for text, answers in question_answer_pairs.items()}
        self.dependencies = {text: read_parents(dependencies[text]) for text in question_answer_pairs}
        self.questions = self._build_questions()
        self.answers = [answer for question in self.questions for answer in question.answers]
        self._question_by_text = {question.text: question for question in self.questions}
        self._answer_by_text = {answer.text: answer for answer in self.answers}
        _refuse_faults(_find_unknown_texts(self))
        for question in self.questions:
            question.asked_after = [self._answer_by_text[parent] for parent in self.dependencies[question.text]]
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
            **({"citation": self.citation} if self.citation else {}),
            "question_answer_pairs": self.question_answer_pairs,
            "dependencies": dependencies,
            **({"display_text": self.display_text} if self.display_text else {}),
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Schema":
        """Read what `to_dict` wrote; `SchemaError` for anything else."""
        _refuse_faults(find_wrong_keys(tree))
        texts = {"name": "unnamed", "citation": "", **tree}
        return cls(
            tree["question_answer_pairs"],
            tree["dependencies"],
            texts["name"],
            citation=texts["citation"],
            display_text=tree.get("display_text"),
        )

    def to_yaml(self, path: str | Path) -> None:
        """Write the tree as a schema file, ending in .yaml or .yml; `Schema.from_yaml` reads it back."""
        write_yaml(self.to_dict(), path)

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Schema":
        """Read a schema file: `question_answer_pairs` and `dependencies` as above, and if you like `name` (otherwise
        that of the file), `citation` and `display_text`.

        Raises:
            SchemaError: every fault of the file, with its path.
        """
        tree = read_yaml(path)
        try:
            return cls.from_dict({"name": Path(path).stem, **tree} if isinstance(tree, dict) else tree)
        except SchemaError as error:
            raise SchemaError(f"The schema file '{path}': {error}") from error

    @cached_property
    def _position(self) -> dict[str, int]:
        return {question.text: position for position, question in enumerate(self.questions)}

    def _build_questions(self) -> list[Question]:
        questions = []
        first = 0
        for text, answers in self.question_answer_pairs.items():
            shown = self.display_text.get(text, _to_words(text).capitalize())
            question = Question(text, first, first + len(answers) - 1, shown)
            for offset, answer in enumerate(answers):
                column = text + answer
                shown = self.display_text.get(column, _to_words(answer))
                question.answers.append(Answer(column, question, first + offset, shown))
            questions.append(question)
            first += len(answers)
        return questions

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
    if name not in campaigns.trees:
        raise SchemaError(
            f"There is no schema '{name}'.{did_you_mean(name, campaigns.trees)} 'zoobot schema list' shows the names."
        )
    tree = campaigns.trees[name]
    return Schema(
        tree.question_answer_pairs,
        tree.dependencies,
        name,
        citation=tree.paper,
        display_text=tree.display_text,
    )


def list_schemas() -> str:
    """One line for each published tree: name, size, what was looked at, paper."""
    lines = []
    for name, tree in campaigns.trees.items():
        n_answers = sum(map(len, tree.question_answer_pairs.values()))
        size = f"{len(tree.question_answer_pairs)} questions, {n_answers} answers"
        lines.append(f"{name:28}{size:26}{tree.description} ({tree.paper})")
    return "\n".join(lines)


def show_schema(schema: "str | Path | Schema", output: str | Path | None = None) -> str:
    """The tree of `load_schema` in words: each question, after which answer it is asked, and its columns.

    Args:
        output: a schema file to write the tree to, such as `my_tree.yaml`, to start a tree of your own from.
    """
    tree = load_schema(schema)
    if output is not None:
        tree.to_yaml(output)
    lines = [f"{tree.name}: {len(tree.questions)} questions, {len(tree.answers)} answers"]
    lines += [tree.citation] if tree.citation else []
    for question in tree.questions:
        parents = " or ".join(parent.text for parent in question.asked_after)
        lines += ["", f"{question.text} ({f'asked after {parents}' if parents else 'asked of everybody'})"]
        lines += [f"    {answer.text}" for answer in question.answers]
    return "\n".join(lines)


def check_schema(file: str | Path) -> str:
    """One line about a sound schema file; `SchemaError` with every fault of another."""
    tree = load_schema(file)
    everybody = [question.text for question in tree.questions if question.always_asked]
    return (
        f"'{file}': {len(tree.questions)} questions, {len(tree.answers)} answers, no faults. "
        f"Asked of everybody: {', '.join(everybody)}. 'zoobot schema show {file}' shows its columns."
    )


def load_schema(schema: "str | Path | Schema") -> Schema:
    """A schema by the name of a published tree, or from a YAML file; a `Schema` is returned as it is."""
    if isinstance(schema, Schema):
        return schema
    path = Path(schema)
    if path.suffix in SUFFIXES:
        return Schema.from_yaml(path)
    if str(schema) not in campaigns.trees and path.is_file():
        raise SchemaError(f"The schema file '{path}' must be YAML and end in {' or '.join(SUFFIXES)}.")
    return get_schema(str(schema))


def _to_words(name: str) -> str:
    return name.strip("_").replace("_", " ").replace("-", " ")


def _refuse_faults(faults: Sequence[str]) -> None:
    if len(faults) == 1:
        raise SchemaError(faults[0])
    if faults:
        raise SchemaError(f"The tree has {len(faults)} faults:\n" + "\n".join(f"- {fault}" for fault in faults))


def _find_unknown_texts(schema: Schema) -> list[str]:
    names = [*schema._question_by_text, *schema._answer_by_text]
    return [
        f"The display text of '{name}' is for no question or column of the tree.{did_you_mean(str(name), names)}"
        for name in schema.display_text
        if name not in names
    ] + [
        f"The display text of '{name}' must be text. Got {text!r} instead; in YAML, quote it."
        for name, text in schema.display_text.items()
        if not isinstance(text, str)
    ]


def _asking_order(questions: Sequence[Question]) -> list[Question]:
    """Parents before children, otherwise in the order of the columns."""
    ordered: dict[str, Question] = {}

    def walk(question: Question) -> None:
        if question.text not in ordered:
            for parent in question.asked_after:
                walk(parent.question)
            ordered[question.text] = question

    for question in questions:
        walk(question)
    return list(ordered.values())

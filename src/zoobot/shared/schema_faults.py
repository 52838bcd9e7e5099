"""What can be wrong with a decision tree, all of it at once, each fault with its question and the remedy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from zoobot.errors import did_you_mean

Tree = Mapping[str, Sequence[str]]
"""Question -> answers; or question -> the answers that lead to it, none where everybody is asked."""

_KEYS: dict[str, type] = {
    "name": str,
    "citation": str,
    "question_answer_pairs": Mapping,
    "dependencies": Mapping,
    "display_text": Mapping,
}


def find_faults(pairs: Mapping[Any, Any], dependencies: Mapping[Any, Any]) -> list[str]:
    """The faults of a tree given as the two dicts of `Schema`; empty for a sound one."""
    if not pairs:
        return ["A tree needs at least one question; question_answer_pairs is empty."]
    faults = [fault for question, answers in pairs.items() for fault in _find_answer_faults(question, answers)]
    answers_of = {question: answers for question, answers in pairs.items() if _is_list_of_text(answers)}
    columns = {f"{question}{answer}": question for question, answers in answers_of.items() for answer in answers}
    faults += _find_repeated_columns(answers_of)
    faults += [fault for question in pairs for fault in _find_dependency_faults(question, pairs, dependencies, columns)]
    parents = {question: _known_parents(dependencies.get(question), columns) for question in pairs}
    cycles = _find_cycles(parents, columns)
    return faults + (cycles or _find_parents_of_one_volunteer(parents, columns))


def find_wrong_keys(tree: Any) -> list[str]:
    """What a tree as plain data, such as a schema file holds, has too little, too much or of the wrong kind."""
    if not isinstance(tree, Mapping) or not all(
        isinstance(tree.get(key), Mapping) for key in ("question_answer_pairs", "dependencies")
    ):
        return [
            "A schema must hold 'question_answer_pairs' (question: list of answers) and 'dependencies' "
            f"(question: answer, list of answers or null). Got {_describe(tree)} instead."
        ]
    faults = []
    for key, value in tree.items():
        if key not in _KEYS:
            faults.append(f"A schema has no '{key}'.{did_you_mean(str(key), _KEYS)}")
        elif not isinstance(value, _KEYS[key]):
            faults.append(f"'{key}' must be {'text' if _KEYS[key] is str else 'a table'}. Got {value!r} instead.")
    return faults


def read_parents(dependency: str | Sequence[str] | None) -> list[str]:
    """The answers that lead to a question: none, one, or a list of them."""
    if dependency is None:
        return []
    return [dependency] if isinstance(dependency, str) else list(dependency)


def _describe(tree: Any) -> str:
    return f"the keys {', '.join(map(repr, tree))}" if isinstance(tree, Mapping) and tree else repr(tree)


def _is_list_of_text(names: Any) -> bool:
    return isinstance(names, Sequence) and not isinstance(names, str) and all(isinstance(name, str) for name in names)


def _find_answer_faults(question: Any, answers: Any) -> Iterator[str]:
    if not isinstance(question, str):
        yield f"The name of a question must be text. Got {question!r} instead; in YAML, quote it."
    elif not _is_list_of_text(answers):
        yield (
            f"The answers of the question '{question}' must be a list of text, such as ['_yes', '_no']. "
            f"Got {answers!r} instead; in YAML, quote words such as 'yes' and numbers."
        )
    elif not answers:
        yield f"The question '{question}' has no answers. Give it at least one, or remove it."


def _find_repeated_columns(answers_of: Tree) -> Iterator[str]:
    seen: set[str] = set()
    for question, answers in answers_of.items():
        for column in (f"{question}{answer}" for answer in answers):
            if column in seen:
                yield (
                    f"The question '{question}' repeats the answer '{column}'. "
                    "Each answer needs a column of its own: rename or remove one."
                )
            seen.add(column)


def _find_dependency_faults(
    question: Any, pairs: Mapping[Any, Any], dependencies: Mapping[Any, Any], columns: Mapping[str, str]
) -> Iterator[str]:
    if question not in dependencies:
        others = [str(key) for key in dependencies if key not in pairs]
        yield (
            f"The question '{question}' has no key in the dependencies.{did_you_mean(str(question), others)} Add "
            f"'{question}': None if everybody is asked, or the answer after which it is asked."
        )
        return
    dependency = dependencies[question]
    if dependency is not None and not isinstance(dependency, str) and not _is_list_of_text(dependency):
        yield (
            f"The dependency of the question '{question}' must be the column of an answer, a list of them, or None. "
            f"Got {dependency!r} instead."
        )
        return
    parents = read_parents(dependency)
    for parent in dict.fromkeys(parents):
        if parent not in columns:
            yield (
                f"The question '{question}' depends on '{parent}', which is no answer of this "
                f"tree.{did_you_mean(parent, columns)} "
                "Name an answer as its column: question + answer, such as 'bar_yes'."
            )
        elif parents.count(parent) > 1:
            yield f"The question '{question}' depends on '{parent}' twice. Name it once."


def _known_parents(dependency: Any, columns: Mapping[str, str]) -> list[str]:
    named = [dependency] if isinstance(dependency, str) else dependency if _is_list_of_text(dependency) else []
    return [parent for parent in dict.fromkeys(named) if parent in columns]


def _find_cycles(parents: Tree, columns: Mapping[str, str]) -> list[str]:
    """One fault for each circle of questions that lead to one another."""
    faults: list[str] = []
    done: set[str] = set()

    def walk(question: str, path: tuple[str, ...]) -> None:
        if question in path:
            cycle = " -> ".join((*path[path.index(question) :], question))
            faults.append(
                f"The question '{question}' is asked only after itself ({cycle}, each after the next). "
                "Change one of these dependencies, so that a question with None leads to all of them."
            )
        elif question not in done:
            for parent in parents[question]:
                walk(columns[parent], (*path, question))
            done.add(question)

    for question in parents:
        walk(question, ())
    return faults


def _find_parents_of_one_volunteer(parents: Tree, columns: Mapping[str, str]) -> list[str]:
    """Several answers may lead to a question only if no volunteer can give two: else some would be counted twice."""
    both_can_be_given = _build_possible_pairs(parents, columns)
    return [
        f"The question '{question}' depends on '{one}' and '{other}', which one volunteer can both give: such a "
        f"volunteer would be counted twice. Let it depend on one of them, or on answers that exclude each other."
        for question, answers in parents.items()
        for one, other in combinations(answers, 2)
        if both_can_be_given(one, other)
    ]


def _build_possible_pairs(parents: Tree, columns: Mapping[str, str]) -> Callable[[str, str], bool]:
    """Can one volunteer give both answers? Whoever gives the one that is asked later has given a parent of it."""
    depth: dict[str, int] = {}

    def depth_of(question: str) -> int:
        if question not in depth:
            depth[question] = 1 + max((depth_of(columns[parent]) for parent in parents[question]), default=0)
        return depth[question]

    known: dict[tuple[str, str], bool] = {}

    def possible(one: str, other: str) -> bool:
        if columns[one] == columns[other]:
            return one == other
        earlier, later = sorted((one, other), key=lambda answer: (depth_of(columns[answer]), answer))
        if (earlier, later) not in known:
            leading = parents[columns[later]]
            known[earlier, later] = not leading or any(possible(earlier, parent) for parent in leading)
        return known[earlier, later]

    return possible

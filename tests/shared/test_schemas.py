"""Trees refuse what is malformed and say the remedy; the walk along a tree equals a naive one."""

import json
import re

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zoobot.errors import SchemaError
from zoobot.shared import label_metadata
from zoobot.shared.schemas import Schema, get_schema, list_schemas, load_schema, show_schema

PAIRS = {"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"], "odd": ["_yes", "_no"]}
DEPENDENCIES = {"smooth": None, "bar": "smooth_no", "odd": None}


def walk_asked(schema, fractions, question):
    """Proportion asked of one question and galaxy, `(sample)`: recursion from the question to the root."""
    if not question.asked_after:
        return np.ones(fractions.shape[1:])
    return sum(
        fractions[parent.index] * walk_asked(schema, fractions, parent.question) for parent in question.asked_after
    )


def draw_fractions(schema, n_galaxies=4, n_samples=3, seed=0):
    rng = np.random.default_rng(seed)
    groups = [rng.dirichlet(np.ones(len(q.answers)), (n_galaxies, n_samples)) for q in schema.questions]
    return np.concatenate(groups, axis=2).transpose(0, 2, 1)


@st.composite
def random_trees(draw):
    """Trees of 1 to 6 questions, each asked of everybody or after 1 to 3 answers, columns in any order."""
    n_questions = draw(st.integers(1, 6))
    texts = [f"q{number}" for number in range(n_questions)]
    pairs = {text: [f"_{answer}" for answer in range(draw(st.integers(1, 4)))] for text in texts}
    dependencies = {}
    for number, text in enumerate(texts):
        earlier = [parent + answer for parent in texts[:number] for answer in pairs[parent]]
        parents = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        dependencies[text] = draw(st.sampled_from([parents[0], parents])) if parents else None
    order = draw(st.permutations(texts))
    return Schema({text: pairs[text] for text in order}, dependencies, draw(st.text(max_size=8)))


# --- the documented contract ---


def test_columns_and_index_groups_are_in_order_and_inclusive():
    schema = Schema(PAIRS, DEPENDENCIES)
    assert schema.label_cols == ["smooth_yes", "smooth_no", "bar_strong", "bar_weak", "bar_no", "odd_yes", "odd_no"]
    assert schema.question_index_groups == [(0, 1), (2, 4), (5, 6)]
    bar = schema.get_question("bar")
    assert schema.label_cols[bar.slice] == [answer.text for answer in bar.answers]
    assert [answer.text for answer in bar.asked_after] == ["smooth_no"]
    assert (bar.always_asked, schema.get_question("odd").always_asked) == (False, True)
    weak = schema.get_answer("bar_weak")
    assert (weak.index, weak.short_text, weak.question) == (3, "weak", bar)
    assert repr(schema) == "Schema('unnamed', 3 questions, 7 answers)"


@pytest.mark.parametrize("name", label_metadata.trees)
def test_published_trees_have_columns_side_by_side_and_parents_first(name):
    schema = get_schema(name)
    columns = [column for first, last in schema.question_index_groups for column in range(first, last + 1)]
    assert columns == list(range(len(schema.label_cols)))
    place = {question.text: number for number, question in enumerate(schema.asking_order)}
    assert sorted(place) == sorted(question.text for question in schema.questions)
    for question in schema.questions:
        assert all(place[parent.question.text] < place[question.text] for parent in question.asked_after)


def test_keys_of_other_campaigns_are_allowed_and_dropped():
    schema = Schema(PAIRS, {**DEPENDENCIES, "rings": "nothing_here"})
    assert schema == Schema(PAIRS, DEPENDENCIES)
    assert "rings" not in schema.to_dict()["dependencies"]


def test_schema_is_not_changed_by_its_arguments_later():
    pairs = {text: list(answers) for text, answers in PAIRS.items()}
    dependencies = dict(DEPENDENCIES, bar=["smooth_no"])
    schema = Schema(pairs, dependencies)
    pairs["bar"].append("_new")
    dependencies["bar"].append("odd_yes")
    assert schema == Schema(PAIRS, DEPENDENCIES)


def test_equality_counts_columns_their_order_and_dependencies_but_not_the_name():
    schema = Schema(PAIRS, DEPENDENCIES, "one")
    assert schema == Schema(PAIRS, {**DEPENDENCIES, "bar": ["smooth_no"]}, "another")
    assert schema != Schema(PAIRS, {**DEPENDENCIES, "bar": "smooth_yes"})
    assert schema != Schema(dict(reversed(PAIRS.items())), DEPENDENCIES)
    assert schema != "one"


# --- malformed trees ---


@pytest.mark.parametrize(
    ("pairs", "dependencies", "message"),
    [
        (
            PAIRS,
            {**DEPENDENCIES, "bar": "smooth_noo"},
            "The question 'bar' depends on 'smooth_noo', which is no answer of this tree. Did you mean 'smooth_no'? "
            "Name an answer as its column: question + answer, such as 'bar_yes'.",
        ),
        (PAIRS, {**DEPENDENCIES, "bar": ["smooth_no", "qqq"]}, "The question 'bar' depends on 'qqq', which is no"),
        (
            PAIRS,
            {**DEPENDENCIES, "smooth": "bar_no"},
            "The question 'smooth' is asked only after itself (smooth -> bar -> smooth, each after the next). "
            "Change one of these dependencies",
        ),
        (PAIRS, {**DEPENDENCIES, "odd": "odd_yes"}, "The question 'odd' is asked only after itself (odd -> odd,"),
        (
            PAIRS,
            {"smooth": None, "bar": "smooth_no"},
            "The question 'odd' has no key in the dependencies. Add 'odd': None if everybody is asked",
        ),
        (
            {**PAIRS, "odd": ["_yes", "_yes"]},
            DEPENDENCIES,
            "The question 'odd' repeats the answer 'odd_yes'. Each answer needs a column of its own: rename or remove",
        ),
        ({"a": ["b_c"], "ab": ["_c"]}, {"a": None, "ab": None}, "The question 'ab' repeats the answer 'ab_c'."),
        ({**PAIRS, "odd": []}, DEPENDENCIES, "The question 'odd' has no answers. Give it at least one, or remove it."),
        ({}, {}, "A tree needs at least one question; question_answer_pairs is empty."),
    ],
)
def test_malformed_tree_is_refused_with_question_and_remedy(pairs, dependencies, message):
    with pytest.raises(SchemaError, match=re.escape(message)):
        Schema(pairs, dependencies)


@pytest.mark.parametrize(
    ("pairs", "dependencies", "message"),
    [
        ({"bar": "_yes"}, {"bar": None}, "The answers of the question 'bar' must be a list of text"),
        ({"bar": 3}, {"bar": None}, "The answers of the question 'bar' must be a list of text"),
        ({"bar": [1, 2]}, {"bar": None}, "The answers of the question 'bar' must be a list of text"),
        ({"bar": [True, False]}, {"bar": None}, "The answers of the question 'bar' must be a list of text"),
        ({"bar": ["_yes"]}, {"bar": 4}, "The dependency of the question 'bar' must be"),
        ({1: ["_yes"]}, {1: None}, "The name of a question must be text. Got 1 instead"),
    ],
)
def test_tree_of_wrong_types_is_refused_with_its_question(pairs, dependencies, message):
    with pytest.raises(SchemaError, match=re.escape(message)):
        Schema(pairs, dependencies)


@pytest.mark.parametrize(
    ("look_up", "message"),
    [
        (lambda schema: schema.get_question("bars"), "has no question 'bars'. Did you mean 'bar'?"),
        (lambda schema: schema.get_answer("bar_wek"), "has no answer 'bar_wek'. Did you mean 'bar_weak'?"),
        (lambda schema: schema.joint_p(np.ones((2, 7)), "zzz"), "has no answer 'zzz'."),
        (
            lambda schema: schema.proportion_asked(np.ones((2, 6))),
            "(galaxy, answer) with 7 answers for the tree 'mine'",
        ),
        (lambda schema: schema.proportion_asked(np.ones(7)), "Got shape (7,) instead."),
        (lambda schema: schema.joint_p(np.ones((2, 8)), "bar_no"), "Got shape (2, 8) instead."),
    ],
)
def test_wrong_names_and_shapes_are_refused(look_up, message):
    with pytest.raises(SchemaError, match=re.escape(message)):
        look_up(Schema(PAIRS, DEPENDENCIES, "mine"))


# --- the walk along the tree ---


@given(random_trees())
def test_proportion_asked_equals_a_naive_walk(schema):
    fractions = draw_fractions(schema)
    asked = schema.proportion_asked(fractions)
    for galaxy in range(len(fractions)):
        naive = [walk_asked(schema, fractions[galaxy], question) for question in schema.questions]
        np.testing.assert_allclose(asked[galaxy], naive, rtol=1e-12)
    np.testing.assert_array_equal(schema.proportion_asked(fractions[..., 0]), asked[..., 0])


@given(random_trees())
def test_joint_p_equals_a_naive_walk(schema):
    fractions = draw_fractions(schema)
    for answer in schema.answers:
        naive = [walk_asked(schema, galaxy, answer.question) * galaxy[answer.index] for galaxy in fractions]
        np.testing.assert_allclose(schema.joint_p(fractions, answer.text), naive, rtol=1e-12)


def test_question_after_several_answers_is_asked_of_all_who_gave_any():
    schema = Schema(PAIRS, {"smooth": None, "bar": ["odd_yes", "smooth_no"], "odd": "smooth_yes"})
    fractions = np.array([[0.6, 0.4, 0.5, 0.3, 0.2, 0.25, 0.75]])
    np.testing.assert_allclose(schema.proportion_asked(fractions), [[1, 0.6 * 0.25 + 0.4, 0.6]])
    np.testing.assert_allclose(schema.joint_p(fractions, "bar_weak"), [(0.6 * 0.25 + 0.4) * 0.3])
    assert [question.text for question in schema.asking_order] == ["smooth", "odd", "bar"]


def test_proportion_asked_of_whole_numbers_is_not_rounded():
    asked = Schema(PAIRS, DEPENDENCIES).proportion_asked(np.array([[1, 0, 1, 0, 0, 1, 0]]))
    assert asked.dtype == np.float64
    assert asked.tolist() == [[1, 0, 1]]


# --- files ---


@given(random_trees())
def test_schema_survives_json(schema):
    again = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    assert again == schema
    assert (again.name, again.label_cols) == (schema.name, schema.label_cols)


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_yaml_file_is_read_and_named_after_itself(tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    path.write_text(yaml.safe_dump({"question_answer_pairs": PAIRS, "dependencies": DEPENDENCIES}, sort_keys=False))
    schema = load_schema(path)
    assert schema == Schema(PAIRS, DEPENDENCIES)
    assert schema.name == "mine"
    assert load_schema(str(path)) == schema
    assert load_schema(schema) is schema


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "mine.yaml' cannot be read"),
        ("a: 3", "must hold 'question_answer_pairs' (question: list of answers) and 'dependencies'"),
        ("- 1", "must hold 'question_answer_pairs'"),
        ("", "must hold 'question_answer_pairs'"),
        ("question_answer_pairs: [a, b]\ndependencies: {}", "must hold 'question_answer_pairs'"),
        ("question_answer_pairs: {bar: [_yes]}\ndependencies: [bar]", "must hold 'question_answer_pairs'"),
        ("question_answer_pairs: {bar: [_yes]}\ndependencies:", "must hold 'question_answer_pairs'"),
        (
            "question_answer_pairs: {bar: null}\ndependencies: {bar: null}",
            "of the question 'bar' must be a list of text",
        ),
        ("question_answer_pairs: {bar: [_yes, no]}\ndependencies: {bar: null}", "of the question 'bar' must be a list"),
        ("question_answer_pairs: {bar: [_a, _a]}\ndependencies: {bar: null}", "The question 'bar' repeats the answer"),
    ],
)
def test_broken_yaml_file_is_refused_with_its_path(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SchemaError, match=re.escape(message)) as caught:
        load_schema(path)
    assert "mine.yaml'" in str(caught.value)


def test_missing_schema_file_and_folder_are_named(tmp_path):
    with pytest.raises(SchemaError, match=r"There is no schema file '.*none\.yaml'\."):
        load_schema(tmp_path / "none.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(SchemaError, match=r"folder\.yaml' cannot be read: .*directory"):
        load_schema(tmp_path / "folder.yaml")


def test_yaml_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(SchemaError, match=r"mine\.yaml' cannot be read"):
        load_schema(tmp_path / "mine.yaml")


def test_file_with_another_suffix_is_told_to_be_yaml(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text("{}")
    with pytest.raises(SchemaError, match=r"\.yaml"):
        load_schema(path)


# --- names and the command line ---


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(
        SchemaError, match=re.escape("There is no schema 'decal'. Did you mean 'decals'? 'zoobot schema list'")
    ):
        get_schema("decal")


def test_list_has_one_line_for_each_tree(zoobot):
    result = zoobot("schema", "list")
    assert (result.code, result.out) == (0, list_schemas() + "\n")
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines] == list(label_metadata.trees)
    assert "10 questions, 30 answers" in next(line for line in lines if line.startswith("gz2 "))


def test_show_names_every_question_column_and_parent(zoobot):
    result = zoobot("schema", "show", "gz2")
    assert (result.code, result.out) == (0, show_schema("gz2") + "\n")
    schema = get_schema("gz2")
    assert [line.strip() for line in result.out.splitlines() if line.startswith("    ")] == schema.label_cols
    assert "smooth-or-featured (asked of everybody)" in result.out
    assert "bulge-shape (asked after disk-edge-on_yes)" in result.out


def test_show_of_an_unknown_tree_ends_with_1(zoobot):
    result = zoobot("schema", "show", "gz3")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("There is no schema 'gz3'. Did you mean 'gz2'?")


def test_show_of_a_file_and_of_several_parents(zoobot, tmp_path):
    tree = {"question_answer_pairs": PAIRS, "dependencies": {**DEPENDENCIES, "bar": ["smooth_no", "odd_yes"]}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(tree))
    assert "bar (asked after smooth_no or odd_yes)" in zoobot("schema", "show", tmp_path / "mine.yaml").out
